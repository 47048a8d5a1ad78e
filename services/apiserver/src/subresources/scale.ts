// Scale: replicas of a workload as an object of its own (autoscaling/v1). Written through to the workload, whose managedFields record it.
import { applyManaged, invalid, type KubeObject, labelSelector, parseYaml, patchObject, statusErrors, updateManaged } from "@podwire/api";
import type { Api, ApiResponse, Call } from "../call.ts";
import { writeOptions } from "../request/options.ts";
import { valueResponse } from "../response.ts";
import { bindName, bindNamespace, decodeObject, header, managerOf, timeText } from "../verbs/body.ts";
import { readOne } from "../verbs/get.ts";
import { type UpdateRequest, updateObject } from "../verbs/update.ts";
import { kindInfo } from "./kind-info.ts";

const SCALE = kindInfo("autoscaling", "v1", "Scale");

export async function scale(api: Api, call: Call, verb: string): Promise<ApiResponse> {
  if (verb === "get") return valueResponse(200, scaleOf(call, await call.served.toServed((await readOne(api, call)).copy())), call.output);
  const isPatch = verb === "patch";
  const type = (header(call, "content-type") ?? "").split(";", 1)[0]?.trim() ?? "";
  const isApply = isPatch && type === "application/apply-patch+yaml";
  const options = writeOptions(call.info.query, isPatch ? "PatchOptions" : "UpdateOptions", isApply);
  const time = timeText(api.clock.nowMs());
  const request: UpdateRequest = {
    options,
    kind: isPatch ? "PatchOptions" : "UpdateOptions",
    allowCreate: false,
    view: {
      subresource: "scale",
      of: (parent) => scaleOf(call, parent),
      take: (parent, seen) => setReplicas(call, parent, seen["spec"]?.replicas ?? 0),
    },
    next: (current) => {
      const parent = current as KubeObject;
      const before = scaleOf(call, parent);
      const next = isPatch ? patched(call, before, type) : decodeScale(call, options.fieldValidation);
      const replicas = next["spec"]?.replicas ?? 0;
      if (!Number.isInteger(replicas) || replicas < 0)
        throw statusErrors.invalid(SCALE, call.name, [invalid("spec.replicas", replicas, "must be greater than or equal to 0")]);
      if (isApply) return appliedTo(call, parent, replicas, options, time);
      setReplicas(call, parent, replicas);
      if (next.metadata.resourceVersion !== undefined) parent.metadata.resourceVersion = next.metadata.resourceVersion;
      else delete parent.metadata.resourceVersion;
      if (next.metadata.uid) parent.metadata.uid = next.metadata.uid;
      return parent;
    },
    managed: (live, next) =>
      untimed(
        isApply
          ? next
          : updateManaged(call.served.info, live, next, {
              manager: managerOf(options.fieldManager, call.userAgent),
              operation: "Update",
              time,
              subresource: "scale",
            }),
      ),
  };
  const written = await updateObject(api, { ...call, subresource: "" }, request);
  return valueResponse(200, scaleOf(call, await call.served.toServed(written.object)), call.output);
}

/** Entries that came by way of a Scale carry no time. */
function untimed(o: KubeObject): KubeObject {
  for (const e of (o.metadata.managedFields ?? []) as { subresource?: string; time?: string }[])
    if (e.subresource === "scale") delete e.time;
  return o;
}

function decodeScale(call: Call, fieldValidation: "Ignore" | "Warn" | "Strict"): KubeObject {
  const o = decodeObject(call, SCALE, fieldValidation);
  bindNamespace(call, o);
  bindName(call, o);
  return o;
}

function patched(call: Call, before: KubeObject, type: string): KubeObject {
  const body = call.request.body ?? new Uint8Array();
  if (type === "application/apply-patch+yaml") return parseYaml(body).value as KubeObject;
  const { object, warnings } = patchObject(SCALE, before, body, type, { fieldValidation: "Warn" });
  call.warnings.push(...warnings);
  return object;
}

/** Server-side apply of a Scale is an apply of the workload's replicas alone. */
function appliedTo(
  call: Call,
  parent: KubeObject,
  replicas: number,
  options: { fieldManager: string; force: boolean | undefined },
  time: string,
): KubeObject {
  const { info, apiVersion } = call.served;
  const partial: KubeObject = {
    apiVersion,
    kind: info.kind,
    metadata: { name: call.name, ...(info.namespaced ? { namespace: call.namespace } : {}) },
  };
  setReplicas(call, partial, replicas);
  return applyManaged(info, parent, partial, { manager: options.fieldManager, force: options.force === true, time, subresource: "scale" });
}

export function scaleOf(call: Call, o: KubeObject): KubeObject {
  const { name, namespace, uid, resourceVersion, creationTimestamp } = o.metadata;
  const paths = call.served.custom?.scale;
  if (paths && at(o, paths.specReplicasPath) === undefined)
    throw statusErrors.internal(`the spec replicas field ${JSON.stringify(paths.specReplicasPath)} does not exist`);
  const selector = paths ? (paths.labelSelectorPath ? at(o, paths.labelSelectorPath) : undefined) : selectorText(o);
  return {
    kind: "Scale",
    apiVersion: "autoscaling/v1",
    metadata: { name, ...(namespace ? { namespace } : {}), uid, resourceVersion, creationTimestamp },
    spec: replicasOf(paths ? at(o, paths.specReplicasPath) : o["spec"]?.replicas),
    status: { replicas: (paths ? at(o, paths.statusReplicasPath) : o["status"]?.replicas) ?? 0, ...(selector ? { selector } : {}) },
  } as KubeObject;
}

/** `replicas` has omitempty in Scale. */
function replicasOf(n: number | undefined): Record<string, unknown> {
  return n ? { replicas: n } : {};
}

function selectorText(o: KubeObject): string {
  const s = o["spec"]?.selector;
  if (!s) return "";
  const isMap = !("matchLabels" in s) && !("matchExpressions" in s); // ReplicationController
  return labelSelector(isMap ? { matchLabels: s } : s).toString();
}

function setReplicas(call: Call, o: KubeObject, replicas: number): void {
  const path = (call.served.custom?.scale?.specReplicasPath ?? ".spec.replicas").split(".").filter((p) => p !== "");
  let where: any = o;
  for (const p of path.slice(0, -1)) where = where[p] ??= {};
  where[path[path.length - 1] as string] = replicas;
}

function at(o: unknown, path: string): any {
  return path
    .split(".")
    .filter((p) => p !== "")
    .reduce((v: any, p) => v?.[p], o);
}
