// EndpointSlices that mirror an Endpoints object somebody wrote by hand, for a Service without selector (KEP-0752). Pure.
// Invariants: one slice a combination of ports and address family; at most MAX_MIRRORED addresses a subset are mirrored.
import { isIPv6 } from "node:net";
import { controllerReference, type KubeObject, Resources } from "@podwire/client";
import type { Action } from "../../actions.ts";
import { equal } from "../../equality.ts";
import { MANAGED_BY_LABEL, SERVICE_NAME_LABEL } from "../endpointslice/plan.ts";

export const MIRROR = "endpointslicemirroring-controller.k8s.io";
export const SKIP_MIRROR = "endpointslice.kubernetes.io/skip-mirror";
const LEADER_ANNOTATION = "control-plane.alpha.kubernetes.io/leader";
/** --mirroring-max-endpoints-per-subset. */
export const MAX_MIRRORED = 1000;

export interface MirrorState {
  service: KubeObject | undefined;
  endpoints: KubeObject | undefined;
  /** Slices of this Service that the mirror made. */
  slices: readonly KubeObject[];
}

/** Whether an Endpoints object is mirrored at all. */
export function shouldMirror(service: KubeObject | undefined, endpoints: KubeObject | undefined): boolean {
  if (!service || !endpoints) return false;
  const selector = service["spec"]?.selector;
  if (selector && Object.keys(selector).length > 0) return false;
  if (endpoints.metadata.labels?.[SKIP_MIRROR] === "true") return false;
  return endpoints.metadata.annotations?.[LEADER_ANNOTATION] === undefined;
}

export function planMirror(s: MirrorState): Action[] {
  const wanted = shouldMirror(s.service, s.endpoints) ? groupsOf(s.endpoints as KubeObject) : new Map<string, Group>();
  const actions: Action[] = [];
  for (const slice of s.slices) {
    const key = keyOf(slice["addressType"], slice["ports"] ?? []);
    const group = wanted.get(key);
    if (!group) {
      actions.push({ do: "delete", ref: Resources.endpointSlices, namespace: slice.metadata.namespace ?? "", name: slice.metadata.name });
      continue;
    }
    wanted.delete(key);
    const labels = labelsOf(s.endpoints as KubeObject);
    if (equal(slice["endpoints"] ?? [], group.endpoints) && equal(slice.metadata.labels ?? {}, labels)) continue;
    const object = { ...slice, metadata: { ...slice.metadata, labels }, endpoints: group.endpoints };
    actions.push({ do: "update", ref: Resources.endpointSlices, object });
  }
  for (const group of wanted.values())
    actions.push({ do: "create", ref: Resources.endpointSlices, object: sliceOf(s.endpoints as KubeObject, group) });
  return actions;
}

interface Group {
  family: "IPv4" | "IPv6";
  ports: object[];
  endpoints: object[];
}

function groupsOf(endpoints: KubeObject): Map<string, Group> {
  const groups = new Map<string, Group>();
  for (const subset of endpoints["subsets"] ?? []) {
    const ports = (subset.ports ?? []).map((p: { name?: string; port: number; protocol?: string; appProtocol?: string }) => ({
      name: p.name ?? "",
      port: p.port,
      protocol: p.protocol ?? "TCP",
      ...(p.appProtocol === undefined ? {} : { appProtocol: p.appProtocol }),
    }));
    let mirrored = 0;
    const add = (a: { ip: string; hostname?: string; nodeName?: string; targetRef?: object }, ready: boolean) => {
      if (mirrored++ >= MAX_MIRRORED) return;
      const family = isIPv6(a.ip) ? "IPv6" : "IPv4";
      const key = keyOf(family, ports);
      let g = groups.get(key);
      if (!g) groups.set(key, (g = { family, ports, endpoints: [] }));
      g.endpoints.push({
        addresses: [a.ip],
        conditions: { ready },
        ...(a.hostname ? { hostname: a.hostname } : {}),
        ...(a.nodeName ? { nodeName: a.nodeName } : {}),
        ...(a.targetRef ? { targetRef: a.targetRef } : {}),
      });
    };
    for (const a of subset.addresses ?? []) add(a, true);
    for (const a of subset.notReadyAddresses ?? []) add(a, false);
  }
  return groups;
}

function keyOf(family: string, ports: readonly { name?: string; port?: number; protocol?: string; appProtocol?: string }[]): string {
  return `${family}|${ports
    .map((p) => `${p.name ?? ""}/${p.port}/${p.protocol ?? "TCP"}/${p.appProtocol ?? ""}`)
    .sort()
    .join(",")}`;
}

function labelsOf(endpoints: KubeObject): Record<string, string> {
  return { ...endpoints.metadata.labels, [SERVICE_NAME_LABEL]: endpoints.metadata.name, [MANAGED_BY_LABEL]: MIRROR };
}

function sliceOf(endpoints: KubeObject, group: Group): KubeObject {
  return {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: {
      generateName: `${endpoints.metadata.name}-`,
      namespace: endpoints.metadata.namespace,
      labels: labelsOf(endpoints),
      ...(endpoints.metadata.annotations ? { annotations: endpoints.metadata.annotations } : {}),
      ownerReferences: [controllerReference(endpoints, Resources.endpoints)],
    } as never,
    addressType: group.family,
    ports: group.ports,
    endpoints: group.endpoints,
  };
}
