// The Endpoints object of a Service with a selector (core/v1): the older form of EndpointSlices, still read by kubectl and
// clients. Pure. At most MAX_ADDRESSES addresses, the rest is left out and marked, as Kubernetes does.
import { type KubeObject, Resources, time } from "@podwire/client";
import type { Action } from "../../actions.ts";
import { equal } from "../../equality.ts";
import { addressesOf, conditionsOf, hasEndpoint, hostnameFor, isHeadless, type Port, portsOn } from "../endpointslice/endpoints-of.ts";
import { HEADLESS_LABEL, TRIGGER_TIME } from "../endpointslice/plan.ts";

export const MAX_ADDRESSES = 1000;
const OVER_CAPACITY = "endpoints.kubernetes.io/over-capacity";
const MANAGED_BY_LABEL = "endpoints.kubernetes.io/managed-by";

export interface EndpointsState {
  service: KubeObject;
  pods: readonly KubeObject[];
  endpoints: KubeObject | undefined;
  /** When the change happened that this is for; undefined: nothing that is timed. */
  triggerMs: number | undefined;
}

export function planEndpoints(s: EndpointsState): Action[] {
  const { subsets, truncated } = subsetsOf(s);
  const labels: Record<string, string> = { ...s.service.metadata.labels, [MANAGED_BY_LABEL]: "endpoint-controller" };
  if (isHeadless(s.service)) labels[HEADLESS_LABEL] = "";
  else delete labels[HEADLESS_LABEL];
  const before = s.endpoints;
  const wasTruncated = before?.metadata.annotations?.[OVER_CAPACITY] === "truncated";
  if (before && equal(before["subsets"], subsets) && equal(before.metadata.labels, labels) && wasTruncated === truncated) return [];
  const { [OVER_CAPACITY]: _, ...annotations } = before?.metadata.annotations ?? {};
  if (s.triggerMs !== undefined) annotations[TRIGGER_TIME] = time(s.triggerMs);
  else delete annotations[TRIGGER_TIME];
  if (truncated) annotations[OVER_CAPACITY] = "truncated";
  const object: KubeObject = {
    apiVersion: "v1",
    kind: "Endpoints",
    metadata: {
      ...(before ? before.metadata : { name: s.service.metadata.name }),
      namespace: s.service.metadata.namespace as string,
      labels,
      annotations,
    },
    ...(subsets.length > 0 ? { subsets } : {}),
  };
  return [before ? { do: "update", ref: Resources.endpoints, object } : { do: "create", ref: Resources.endpoints, object }];
}

/** Addresses grouped by the ports they serve, ready and not ready apart, in a stable order (so that equal means equal). */
function subsetsOf(s: EndpointsState): { subsets: any[]; truncated: boolean } {
  const family = s.service["spec"].ipFamilies?.[0] ?? "IPv4";
  const groups = new Map<string, { ports: Port[]; ready: any[]; notReady: any[] }>();
  const ordered = [...s.pods].filter((p) => hasEndpoint(p, s.service["spec"].publishNotReadyAddresses === true));
  let total = 0;
  for (const pod of ordered) {
    const ports = portsOn(s.service, pod);
    if (ports.length === 0 && !isHeadless(s.service)) continue;
    const key = JSON.stringify(ports);
    let g = groups.get(key);
    if (!g) groups.set(key, (g = { ports, ready: [], notReady: [] }));
    for (const ip of addressesOf(pod, family)) {
      total++;
      if (total > MAX_ADDRESSES) break;
      const hostname = hostnameFor(s.service, pod);
      const address = {
        ip,
        ...(hostname ? { hostname } : {}),
        ...(pod["spec"].nodeName ? { nodeName: pod["spec"].nodeName } : {}),
        targetRef: { kind: "Pod", namespace: pod.metadata.namespace, name: pod.metadata.name, uid: pod.metadata.uid },
      };
      (conditionsOf(s.service, pod).ready ? g.ready : g.notReady).push(address);
    }
  }
  const byIp = (a: any, b: any) => (a.ip < b.ip ? -1 : a.ip > b.ip ? 1 : 0);
  const subsets = [...groups.entries()]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, g]) => ({
      ...(g.ready.length > 0 ? { addresses: g.ready.sort(byIp) } : {}),
      ...(g.notReady.length > 0 ? { notReadyAddresses: g.notReady.sort(byIp) } : {}),
      ...(g.ports.length > 0
        ? {
            ports: g.ports
              .map(({ name, ...p }) => (name === "" ? p : { name, ...p }))
              .sort((a, b) => a.port - b.port || (a.protocol < b.protocol ? -1 : 1)),
          }
        : {}),
    }))
    .filter((x) => x.addresses || x.notReadyAddresses);
  return { subsets, truncated: total > MAX_ADDRESSES };
}
