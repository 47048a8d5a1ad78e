// What Kubernetes' conversion to its internal types does to an object before anyone looks at it: stringData becomes data, a DaemonSet
// carries its template's generation as an annotation. Invariant: runs before managedFields are recorded, so that they name what is stored.
import type { KubeObject, ResourceInfo } from "@podwire/api";

const TEMPLATE_GENERATION = "deprecated.daemonset.template.generation";

export function toInternalForm(info: ResourceInfo, o: KubeObject, isCreate: boolean): void {
  if (info.group === "" && info.resource === "secrets") mergeStringData(o);
  if (info.group === "apps" && info.resource === "daemonsets" && isCreate) {
    o.metadata.annotations = { ...o.metadata.annotations, [TEMPLATE_GENERATION]: o.metadata.annotations?.[TEMPLATE_GENERATION] ?? "0" };
  }
}

function mergeStringData(o: KubeObject): void {
  const plain: Record<string, string> | undefined = o["stringData"];
  if (plain === undefined) return;
  for (const [k, v] of Object.entries(plain)) o["data"] = { ...o["data"], [k]: Buffer.from(v, "utf8").toString("base64") };
  delete o["stringData"];
}
