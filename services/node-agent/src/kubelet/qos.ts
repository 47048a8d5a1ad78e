// A pod's quality-of-service class (qos.go): from requests and limits of cpu and memory of all its containers.
import { type Pod, parseQuantity } from "@podwire/api";

export function qosClass(pod: Pod): "Guaranteed" | "Burstable" | "BestEffort" {
  const all = [...(pod.spec!.initContainers ?? []), ...pod.spec!.containers];
  const positive = (q: unknown) => q !== undefined && q !== null && parseQuantity(String(q)).cmp(parseQuantity("0")) > 0;
  let any = false;
  let guaranteed = true;
  for (const c of all) {
    const { requests = {}, limits = {} } = (c.resources ?? {}) as { requests?: Record<string, string>; limits?: Record<string, string> };
    for (const r of ["cpu", "memory"]) {
      const limit = positive(limits[r]);
      const request = positive(requests[r]);
      if (limit || request) any = true;
      if (!limit || (request && parseQuantity(String(requests[r])).cmp(parseQuantity(String(limits[r]))) !== 0)) guaranteed = false;
    }
  }
  if (!any) return "BestEffort";
  return guaranteed ? "Guaranteed" : "Burstable";
}
