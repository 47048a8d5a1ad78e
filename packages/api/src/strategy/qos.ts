// A Pod's quality of service class from its containers' cpu and memory (core/v1 helper qos; Kubernetes 1.34).
import { parseQuantity } from "../meta/quantity.ts";

/** The class that a new pod gets in status.qosClass. */
export function podQosClass(pod: any): "Guaranteed" | "Burstable" | "BestEffort" {
  const spec = pod.spec ?? {};
  if (spec.resources?.limits || spec.resources?.requests) return qosOf([spec]);
  return qosOf([...(spec.containers ?? []), ...(spec.initContainers ?? [])]);
}

function qosOf(holders: any[]): "Guaranteed" | "Burstable" | "BestEffort" {
  let any = false;
  let guaranteed = true;
  for (const c of holders) {
    const { requests = {}, limits = {} } = c.resources ?? {};
    for (const name of ["cpu", "memory"]) {
      const request = nonZero(requests[name]);
      const limit = nonZero(limits[name]);
      if (request !== undefined || limit !== undefined) any = true;
      if (limit === undefined || (request !== undefined && parseQuantity(request).cmp(parseQuantity(limit)) !== 0)) guaranteed = false;
      if (limit !== undefined && request === undefined) guaranteed = false;
    }
  }
  if (!any) return "BestEffort";
  return guaranteed ? "Guaranteed" : "Burstable";
}

function nonZero(q: string | undefined): string | undefined {
  return q === undefined || parseQuantity(q).sign() <= 0 ? undefined : q;
}
