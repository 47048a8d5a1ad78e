// Whether the server behind an APIService can be asked: what the Service and its EndpointSlices say, in the reasons and sentences of
// kube-aggregator (pkg/controllers/status/remote). Pure; the question to the server itself is the aggregator's.
import type { KubeObject } from "@podwire/api";

export interface Availability {
  status: "True" | "False";
  reason: string;
  message: string;
}

export const LOCAL: Availability = { status: "True", reason: "Local", message: "Local APIServices are always available" };
export const PASSED: Availability = { status: "True", reason: "Passed", message: "all checks passed" };

/** undefined: nothing speaks against it, the server itself has to be asked. */
export function unavailableBecause(
  apiService: KubeObject,
  service: KubeObject | undefined,
  slices: readonly KubeObject[],
): Availability | undefined {
  const { namespace, name, port = 443 } = apiService["spec"].service;
  const no = (reason: string, message: string): Availability => ({ status: "False", reason, message });
  const where = `service/${name} in ${JSON.stringify(namespace)}`;
  if (!service) return no("ServiceNotFound", `${where} is not present`);
  if ((service["spec"]?.type ?? "ClusterIP") !== "ClusterIP") return undefined;
  const found = (service["spec"]?.ports ?? []).find((p: any) => p.port === port);
  if (!found) return no("ServicePortError", `${where} is not listening on port ${port}`);
  if (slices.length === 0) return no("EndpointsNotFound", `cannot find endpointslices for ${where}`);
  const portName = found.name ?? "";
  const active = slices.some(
    (s) =>
      (s["endpoints"] ?? []).some((e: any) => e.conditions?.ready !== false) &&
      (s["ports"] ?? []).some((p: any) => (p.name ?? "") === portName && p.port),
  );
  if (active) return undefined;
  return no("MissingEndpoints", `endpointslices for ${where} have no addresses with port name ${JSON.stringify(portName)}`);
}

/** The status with its Available condition set; the same object when nothing changed. */
export function withCondition(status: Record<string, any> | undefined, a: Availability, now: string): Record<string, any> {
  const conditions: Record<string, any>[] = status?.["conditions"] ?? [];
  const old = conditions.find((c) => c["type"] === "Available");
  if (old && old["status"] === a.status && old["reason"] === a.reason && old["message"] === a.message) return status as never;
  const lastTransitionTime = old?.["status"] === a.status ? old["lastTransitionTime"] : now;
  const next = { type: "Available", status: a.status, lastTransitionTime, reason: a.reason, message: a.message };
  return { ...status, conditions: [...conditions.filter((c) => c !== old), next] };
}
