// Which endpoints a node may use for a Service port: readiness, traffic policies, terminating endpoints (KEP-1669), topology hints
// (KEP-2433) and same-node preference (KEP-3015).
// Invariant: pure; `cluster` and `local` are in the order of the input.
import { type EndpointInfo, type ServicePort, usesClusterEndpoints, usesLocalEndpoints } from "./service-ports.ts";

export interface Categorized {
  cluster: EndpointInfo[];
  local: EndpointInfo[];
  /** Everything that the node's rules can reach. */
  all: EndpointInfo[];
  /** Whether the Service has any usable endpoint anywhere (decides between REJECT and DROP). */
  hasAny: boolean;
}

export interface NodeTopology {
  nodeName: string;
  nodeLabels: Readonly<Record<string, string>>;
  /** Feature gate PreferSameTrafficDistribution: heed node hints. */
  preferSameTrafficDistribution: boolean;
}

const ZONE = "topology.kubernetes.io/zone";

export function categorize(endpoints: readonly EndpointInfo[], port: ServicePort, node: NodeTopology): Categorized {
  const draining = (e: EndpointInfo) => e.serving && e.terminating;
  let cluster: EndpointInfo[] = [];
  let hasAny = false;
  let hinted = false;
  if (usesClusterEndpoints(port)) {
    const wanted = hintFilter(endpoints, node);
    hinted = wanted !== undefined;
    cluster = endpoints.filter((e) => e.ready && (wanted === undefined || wanted(e)));
    if (cluster.length === 0) cluster = endpoints.filter(draining);
    hasAny = cluster.length > 0;
  }
  if (!usesLocalEndpoints(port)) return { cluster, local: [], all: cluster, hasAny };
  hasAny ||= endpoints.some((e) => e.ready || draining(e));
  let local = endpoints.filter((e) => e.isLocal && e.ready);
  const fallback = local.length === 0;
  if (fallback) local = endpoints.filter((e) => e.isLocal && draining(e));
  if (!usesClusterEndpoints(port)) return { cluster, local, all: local, hasAny };
  if (!hinted && !(fallback && local.length > 0)) return { cluster, local, all: cluster, hasAny };
  const both = new Set([...cluster, ...local]);
  return { cluster, local, all: endpoints.filter((e) => both.has(e)), hasAny };
}

/** Hints count only when every ready endpoint has one and one of them is for here. */
function hintFilter(endpoints: readonly EndpointInfo[], node: NodeTopology): ((e: EndpointInfo) => boolean) | undefined {
  const ready = endpoints.filter((e) => e.ready);
  const { nodeName, nodeLabels } = node;
  const zone = nodeLabels[ZONE] ?? "";
  if (node.preferSameTrafficDistribution && ready.every((e) => e.nodeHints.length > 0) && ready.some((e) => e.nodeHints.includes(nodeName)))
    return (e) => e.nodeHints.includes(nodeName);
  if (zone !== "" && ready.every((e) => e.zoneHints.length > 0) && ready.some((e) => e.zoneHints.includes(zone)))
    return (e) => e.zoneHints.includes(zone);
  return undefined;
}
