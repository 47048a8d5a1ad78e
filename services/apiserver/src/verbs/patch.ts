// PATCH: JSON Patch (RFC 6902), merge patch (RFC 7386), strategic merge patch and server-side apply (endpoints/handlers/patch.go).
import {
  applyDefaults,
  applyManaged,
  type KubeObject,
  mediaType,
  parseYaml,
  patchObject,
  patchTypes,
  statusErrors,
  unsupportedPatchType,
} from "@podwire/api";
import { reasonOf } from "@podwire/base";
import type { Api, ApiResponse, Call } from "../call.ts";
import { writeOptions } from "../request/options.ts";
import { toInternalForm } from "../resources/decoded-forms.ts";
import { objectResponse } from "../response.ts";
import { header, managerOf, recorded, timeText } from "./body.ts";
import { type UpdateRequest, updateObject } from "./update.ts";

export async function patch(api: Api, call: Call): Promise<ApiResponse> {
  const type = mediaType(header(call, "content-type"));
  if (!patchTypes(call.served.info).includes(type))
    throw call.served.custom ? statusErrors.unsupportedMediaType(patchTypes(call.served.info)) : unsupportedPatchType();
  const request = type === "application/apply-patch+yaml" ? applyRequest(api, call) : patchRequest(api, call, type);
  const written = await updateObject(api, call, request);
  await call.served.prepare?.([written.cached]);
  return objectResponse(
    written.created ? 201 : 200,
    written.cached,
    call.served,
    call.output,
    api.clock.nowMs(),
    call.info.query.get("includeObject"),
  );
}

function patchRequest(api: Api, call: Call, type: string): UpdateRequest {
  const { info } = call.served;
  const options = writeOptions(call.info.query, "PatchOptions");
  const body = call.request.body ?? new Uint8Array();
  return {
    options,
    kind: "PatchOptions",
    allowCreate: false,
    next: (current) => {
      const { object, warnings } = patchObject(info, current, body, type, { fieldValidation: options.fieldValidation });
      return finished(call, object, warnings, options.fieldValidation);
    },
    managed: (live, next) =>
      recorded(info, live, next, {
        manager: managerOf(options.fieldManager, call.userAgent),
        operation: "Update",
        time: timeText(api.clock.nowMs()),
        subresource: call.subresource || undefined,
      }),
  };
}

function applyRequest(api: Api, call: Call): UpdateRequest {
  const { info } = call.served;
  const options = writeOptions(call.info.query, "PatchOptions", true);
  const body = call.request.body ?? new Uint8Array();
  return {
    options,
    kind: "PatchOptions",
    allowCreate: call.subresource === "",
    next: (current) => {
      const { value: applied, warnings } = readApplied(call, body);
      const next = applyManaged(info, current, applied, {
        manager: options.fieldManager,
        force: options.force === true,
        time: timeText(api.clock.nowMs()),
        subresource: call.subresource || undefined,
      });
      return finished(call, next, warnings, options.fieldValidation);
    },
    managed: (_live, next) => next,
  };
}

/** The body of an apply as it was sent: what it does not say must not be filled in. */
function readApplied(call: Call, body: Uint8Array): { value: KubeObject; warnings: string[] } {
  const { info } = call.served;
  let parsed: ReturnType<typeof parseYaml>;
  try {
    parsed = parseYaml(body);
  } catch (e) {
    throw statusErrors.badRequest(`error decoding YAML: error converting YAML to JSON: ${reasonOf(e)}`);
  }
  const { kind = "", apiVersion = "", metadata } = (parsed.value ?? {}) as KubeObject;
  if (kind !== info.kind || apiVersion === "")
    throw statusErrors.badRequest(`invalid object type: ${apiVersion.includes("/") ? "" : "/"}${apiVersion}, Kind=${kind}`);
  if (apiVersion !== call.served.apiVersion)
    throw statusErrors.badRequest(
      `Incorrect version specified in apply patch. Specified patch version: ${apiVersion}, expected: ${call.served.apiVersion}`,
    );
  if (metadata?.name && metadata.name !== call.name)
    throw statusErrors.badRequest(`the name of the object (${metadata.name}) does not match the name on the URL (${call.name})`);
  const value = parsed.value as KubeObject;
  value.metadata ??= {};
  return { value, warnings: parsed.duplicates.map((d) => d.replace(/^yaml: unmarshal errors:\s*/, "")) };
}

/** What follows on any patch: warnings, defaults, and the names of the request. */
function finished(call: Call, object: KubeObject, warnings: readonly string[], fieldValidation: "Ignore" | "Warn" | "Strict"): KubeObject {
  const { info } = call.served;
  for (const w of warnings) if (!call.warnings.includes(w)) call.warnings.push(w);
  if (call.served.custom) call.served.custom.receive(object, fieldValidation, call.warnings);
  else applyDefaults(info, object);
  toInternalForm(info, object, false);
  const m = object.metadata;
  if (m.name && m.name !== call.name)
    throw statusErrors.badRequest(`the name of the object (${m.name}) does not match the name on the URL (${call.name})`);
  if (info.namespaced && m.namespace && m.namespace !== call.namespace)
    throw statusErrors.badRequest("the namespace of the provided object does not match the namespace sent on the request");
  m.name = call.name;
  if (info.namespaced) m.namespace = call.namespace;
  return object;
}
