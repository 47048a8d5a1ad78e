// Which nodes may take a packet for a Service from outside. Pure. A cloud load balancer's rule: any Ready node, except that with
// externalTrafficPolicy Local only nodes with a ready endpoint (what the health check node port would say).
import type { EndpointSlice, Node, Service } from "@podwire/api";

export interface Candidate {
  name: string;
  /** InternalIP, the node's underlay address. */
  address: string;
}

const NO_EXTERNAL = "node.kubernetes.io/exclude-from-external-load-balancers";

/**
 * Ready nodes with an address, by name, so that every process that asks gets the same order. When no node is Ready it is all of them:
 * then it is more likely that nobody hears the nodes than that all are dead, and a load balancer that fails open keeps traffic going.
 */
export function readyNodes(nodes: readonly Node[]): Candidate[] {
  const all: (Candidate & { ready: boolean })[] = [];
  for (const n of nodes) {
    const ready = n.status?.conditions?.some((c) => c.type === "Ready" && c.status === "True") === true;
    const address = n.status?.addresses?.find((a) => a.type === "InternalIP")?.address;
    if (address !== undefined && n.metadata.name !== undefined) all.push({ name: n.metadata.name, address, ready });
  }
  const some = all.some((n) => n.ready);
  const usable = all.filter((n) => n.ready || !some).map(({ name, address }) => ({ name, address }));
  return usable.sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Nodes of `ready` that the load balancer sends a Service's packets to. */
export function candidatesFor(
  service: Service,
  ready: readonly Candidate[],
  nodes: readonly Node[],
  slices: readonly EndpointSlice[],
): Candidate[] {
  const excluded = new Set(nodes.filter((n) => n.metadata.labels?.[NO_EXTERNAL] !== undefined).map((n) => n.metadata.name));
  const usable = ready.filter((n) => !excluded.has(n.name));
  if (service.spec.externalTrafficPolicy !== "Local") return usable;
  const withEndpoint = new Set<string>();
  for (const slice of slices)
    for (const e of slice.endpoints ?? []) if (e.conditions?.ready !== false && e.nodeName) withEndpoint.add(e.nodeName);
  return usable.filter((n) => withEndpoint.has(n.name));
}
