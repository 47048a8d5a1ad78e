// PATCH: JSON Patch (RFC 6902), merge patch (RFC 7386), strategic merge patch and server-side apply (endpoints/handlers/patch.go).
import {
  applyDefaults,
  decodeBody,
  type KubeObject,
  mediaType,
  patchObject,
  patchTypes,
  statusErrors,
  unsupportedPatchType,
} from "@podwire/api";
import type { Api, ApiResponse, Call } from "../call.ts";
import { writeOptions } from "../request/options.ts";
import { objectResponse } from "../response.ts";
import { applyManaged, updateManaged } from "../semantics.ts";
import { header, managerOf, timeText } from "./body.ts";
import { type UpdateRequest, updateObject } from "./update.ts";

export async function patch(api: Api, call: Call): Promise<ApiResponse> {
  const type = mediaType(header(call, "content-type"));
  if (!patchTypes(call.served.info).includes(type)) throw unsupportedPatchType();
  const request = type === "application/apply-patch+yaml" ? applyRequest(api, call) : patchRequest(api, call, type);
  const written = await updateObject(api, call, request);
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
      return finished(call, object, warnings);
    },
    managed: (live, next) =>
      updateManaged(info, live, next, {
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
      const { object: applied, warnings } = decodeBody(info, body, "application/yaml", { fieldValidation: options.fieldValidation });
      const next = applyManaged(info, current, applied, {
        manager: options.fieldManager,
        force: options.force === true,
        time: timeText(api.clock.nowMs()),
        subresource: call.subresource || undefined,
      });
      return finished(call, next, warnings);
    },
    managed: (_live, next) => next,
  };
}

/** What follows on any patch: warnings, defaults, and the names of the request. */
function finished(call: Call, object: KubeObject, warnings: readonly string[]): KubeObject {
  const { info } = call.served;
  for (const w of warnings) if (!call.warnings.includes(w)) call.warnings.push(w);
  applyDefaults(info, object);
  const m = object.metadata;
  if (m.name && m.name !== call.name)
    throw statusErrors.badRequest(`the name of the object (${m.name}) does not match the name on the URL (${call.name})`);
  if (info.namespaced && m.namespace && m.namespace !== call.namespace)
    throw statusErrors.badRequest("the namespace of the provided object does not match the namespace sent on the request");
  m.name = call.name;
  if (info.namespaced) m.namespace = call.namespace;
  return object;
}
