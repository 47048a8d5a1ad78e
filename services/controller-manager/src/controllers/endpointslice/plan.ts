// EndpointSlices of a Service with a selector (discovery/v1). Pure: a Service, its pods and its slices in, actions out.
// Invariants: no slice holds more than maxEndpoints; endpoints stay in the slice they are in while they fit, so that a change of
// one pod rewrites one slice; all endpoints of a slice have the same ports and address family.
import { controllerReference, type KubeObject, Resources, time } from "@podwire/client";
import type { Action } from "../../actions.ts";
import { equal } from "../../equality.ts";
import { isTerminating } from "../../pods/status.ts";
import { addressesOf, conditionsOf, hasEndpoint, hostnameFor, isHeadless, type Port, portsOn } from "./endpoints-of.ts";
import { asksForHints, type HintedEndpoint, planHints } from "./topology-hints.ts";

export const MANAGED_BY = "endpointslice-controller.k8s.io";
export const MANAGED_BY_LABEL = "endpointslice.kubernetes.io/managed-by";
export const SERVICE_NAME_LABEL = "kubernetes.io/service-name";
export const HEADLESS_LABEL = "service.kubernetes.io/headless";
export const TRIGGER_TIME = "endpoints.kubernetes.io/last-change-trigger-time";

export interface SliceState {
  service: KubeObject;
  pods: readonly KubeObject[];
  /** Slices of the Service that this controller manages. */
  slices: readonly KubeObject[];
  zoneOf(node: string): string | undefined;
  maxEndpoints: number;
  /** When the change happened that this is for; undefined: nothing that is timed. */
  triggerMs: number | undefined;
  /** Each zone's share of CPU, for Services that ask for hints by annotation. */
  cpuShares: ReadonlyMap<string, number> | undefined;
  /** What was said about hints before, by family; the plan changes it. */
  said: Map<string, string>;
}

interface Group {
  family: string;
  ports: Port[];
  endpoints: Map<string, any>;
}

export function planEndpointSlices(s: SliceState): Action[] {
  if (isTerminating(s.service)) return [];
  const families: string[] = s.service["spec"].ipFamilies ?? ["IPv4"];
  const groups = groupsOf(s, families);
  const actions: Action[] = [];
  const left = new Map<string, KubeObject[]>();
  for (const slice of s.slices) {
    if (isTerminating(slice)) continue;
    const key = groupKey(slice["addressType"], slice["ports"] ?? []);
    left.set(key, [...(left.get(key) ?? []), slice]);
  }
  for (const family of families)
    hintByAnnotation(
      s,
      family,
      [...groups.values()].filter((g) => g.family === family),
      actions,
    );
  const spare: KubeObject[] = [];
  for (const [key, slices] of left) if (!groups.has(key)) spare.push(...slices);
  for (const [key, group] of groups) reconcileGroup(s, group, left.get(key) ?? [], spare, actions);
  for (const slice of spare)
    actions.push({ do: "delete", ref: Resources.endpointSlices, namespace: slice.metadata.namespace ?? "", name: slice.metadata.name });
  return actions;
}

/** Desired endpoints by family and ports. A family without any endpoint has one group without ports: its placeholder. */
function groupsOf(s: SliceState, families: readonly string[]): Map<string, Group> {
  const groups = new Map<string, Group>();
  for (const family of families) {
    let any = false;
    for (const pod of s.pods) {
      if (!hasEndpoint(pod, true)) continue;
      const addresses = addressesOf(pod, family);
      if (addresses.length === 0) continue;
      const ports = portsOn(s.service, pod);
      if (ports.length === 0 && !isHeadless(s.service)) continue;
      any = true;
      const key = groupKey(family, ports);
      let g = groups.get(key);
      if (!g) groups.set(key, (g = { family, ports, endpoints: new Map() }));
      g.endpoints.set(endpointKey(pod.metadata.uid, addresses), endpointOf(s, pod, addresses));
    }
    if (!any) groups.set(groupKey(family, []), { family, ports: [], endpoints: new Map() });
  }
  return groups;
}

function endpointOf(s: SliceState, pod: KubeObject, addresses: string[]): any {
  const nodeName = pod["spec"].nodeName;
  const zone = nodeName ? s.zoneOf(nodeName) : undefined;
  const hostname = hostnameFor(s.service, pod);
  return {
    addresses,
    conditions: conditionsOf(s.service, pod),
    ...(hostname ? { hostname } : {}),
    targetRef: { kind: "Pod", namespace: pod.metadata.namespace, name: pod.metadata.name, uid: pod.metadata.uid },
    ...(nodeName ? { nodeName } : {}),
    ...(zone ? { zone } : {}),
    ...(asksForHints(s.service) ? {} : hintsFor(s.service, nodeName, zone)),
  };
}

/** trafficDistribution of the Service, as hints that kube-proxy honours. */
function hintsFor(service: KubeObject, nodeName: string | undefined, zone: string | undefined): object {
  const wish = service["spec"].trafficDistribution;
  if ((wish === "PreferClose" || wish === "PreferSameZone") && zone) return { hints: { forZones: [{ name: zone }] } };
  if (wish === "PreferSameNode" && nodeName)
    return { hints: { ...(zone ? { forZones: [{ name: zone }] } : {}), forNodes: [{ name: nodeName }] } };
  return {};
}

/** Hints by the Service's annotation: all ready endpoints of a family have one, or none and an event that says why. */
function hintByAnnotation(s: SliceState, family: string, groups: readonly Group[], actions: Action[]): void {
  const old = new Map<string, string | undefined>();
  let hinted = false;
  for (const slice of s.slices) {
    if (slice["addressType"] !== family) continue;
    for (const e of slice["endpoints"] ?? []) {
      if (e.hints) hinted = true;
      old.set(endpointKey(e.targetRef?.uid, e.addresses), e.hints?.forZones?.[0]?.name);
    }
  }
  const say = (type: "Normal" | "Warning", reason: string, message: string) => {
    const text = `${message}, addressType: ${family}`;
    if (s.said.get(family) === text) return;
    s.said.set(family, text);
    actions.push({ do: "event", object: s.service, type, reason, message: text });
  };
  if (!asksForHints(s.service)) {
    const before = s.said.has(family) || (hinted && !s.service["spec"].trafficDistribution);
    if (before) say("Warning", "TopologyAwareHintsDisabled", "Topology Aware Hints has been disabled");
    return;
  }
  const endpoints = groups.flatMap((g): HintedEndpoint[] =>
    [...g.endpoints].map(([key, e]) => ({ key, zone: e.zone, ready: e.conditions?.ready === true, hint: old.get(key) })),
  );
  const plan = planHints(endpoints, s.cpuShares);
  if ("why" in plan) {
    say("Warning", "TopologyAwareHintsDisabled", plan.why);
    return;
  }
  for (const g of groups)
    for (const [key, e] of g.endpoints) {
      const zone = plan.zones.get(key);
      if (zone !== undefined) e.hints = { forZones: [{ name: zone }] };
    }
  if (!hinted) say("Normal", "TopologyAwareHintsEnabled", "Topology Aware Hints has been enabled");
  else if (s.said.has(family)) s.said.set(family, "");
}

const endpointKey = (uid: string | undefined, addresses: readonly string[]): string => `${uid ?? ""}/${[...addresses].sort().join(",")}`;

function groupKey(family: string, ports: readonly Partial<Port>[]): string {
  return `${family}|${ports
    .map((p) => `${p.name ?? ""}/${p.port}/${p.protocol ?? "TCP"}/${p.appProtocol ?? ""}`)
    .sort()
    .join(",")}`;
}

/** Brings the slices of one group to its endpoints; slices it does not need go to `spare`, and it takes from there first. */
function reconcileGroup(s: SliceState, group: Group, slices: readonly KubeObject[], spare: KubeObject[], actions: Action[]): void {
  const wanted = new Map(group.endpoints);
  const held: { slice: KubeObject; endpoints: any[]; changed: boolean }[] = [];
  for (const slice of slices) {
    const endpoints: any[] = [];
    let changed = false;
    for (const e of slice["endpoints"] ?? []) {
      const key = endpointKey(e.targetRef?.uid, e.addresses);
      const want = wanted.get(key);
      if (want && endpoints.length < s.maxEndpoints) {
        wanted.delete(key);
        if (!equal(e, want)) changed = true;
        endpoints.push(want);
      } else changed = true;
    }
    if (!equal(labelsFor(s.service), slice.metadata.labels ?? {}) || !ownedBy(slice, s.service)) changed = true;
    held.push({ slice, endpoints, changed });
  }
  // New endpoints go where something is written anyway, fullest first, then into one slice with room, then into new ones.
  const rest = [...wanted.values()];
  const byFullest = [...held].sort((a, b) => b.endpoints.length - a.endpoints.length);
  const fill = (h: (typeof held)[number]) => {
    const room = s.maxEndpoints - h.endpoints.length;
    if (room <= 0 || rest.length === 0) return;
    h.endpoints.push(...rest.splice(0, room));
    h.changed = true;
  };
  for (const h of byFullest) if (h.changed && h.endpoints.length > 0) fill(h);
  if (rest.length > 0 && rest.length < s.maxEndpoints) {
    const fits = byFullest.find((h) => !h.changed && h.endpoints.length + rest.length <= s.maxEndpoints);
    if (fits) fill(fits);
  }
  for (const h of byFullest) if (h.endpoints.length === 0) fill(h);
  const placeholder = group.endpoints.size === 0;
  let keptPlaceholder = false;
  for (const h of held) {
    if (h.endpoints.length === 0 && (!placeholder || keptPlaceholder)) {
      spare.push(h.slice);
      continue;
    }
    keptPlaceholder = true;
    if (h.changed) actions.push(writeSlice(s, group, h.slice, h.endpoints));
  }
  while (rest.length > 0 || (placeholder && !keptPlaceholder)) {
    const endpoints = rest.splice(0, s.maxEndpoints);
    keptPlaceholder = true;
    const at = spare.findIndex((x) => x["addressType"] === group.family);
    const recycled = at >= 0 ? spare.splice(at, 1)[0] : undefined;
    actions.push(writeSlice(s, group, recycled, endpoints));
  }
}

function writeSlice(s: SliceState, group: Group, slice: KubeObject | undefined, endpoints: any[]): Action {
  const annotations: Record<string, string> = { ...slice?.metadata.annotations };
  if (s.triggerMs !== undefined && (group.ports.length > 0 || endpoints.length === 0)) annotations[TRIGGER_TIME] = time(s.triggerMs);
  else delete annotations[TRIGGER_TIME];
  const object: KubeObject = {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: {
      ...(slice ? slice.metadata : ({ generateName: `${s.service.metadata.name}-` } as never)),
      namespace: s.service.metadata.namespace as string,
      labels: labelsFor(s.service),
      annotations,
      ownerReferences: [controllerReference(s.service, Resources.services)],
    },
    addressType: group.family,
    ports: group.ports.length > 0 ? group.ports : null,
    endpoints: endpoints.length > 0 ? endpoints : null,
  };
  return slice ? { do: "update", ref: Resources.endpointSlices, object } : { do: "create", ref: Resources.endpointSlices, object };
}

export function labelsFor(service: KubeObject): Record<string, string> {
  const labels: Record<string, string> = {};
  for (const [k, v] of Object.entries(service.metadata.labels ?? {}))
    if (k !== HEADLESS_LABEL && k !== SERVICE_NAME_LABEL && k !== MANAGED_BY_LABEL) labels[k] = v;
  if (isHeadless(service)) labels[HEADLESS_LABEL] = "";
  labels[SERVICE_NAME_LABEL] = service.metadata.name;
  labels[MANAGED_BY_LABEL] = MANAGED_BY;
  return labels;
}

function ownedBy(slice: KubeObject, service: KubeObject): boolean {
  return slice.metadata.ownerReferences?.some((r) => r.uid === service.metadata.uid) ?? false;
}
