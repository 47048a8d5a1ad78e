// Which nodes may take a packet for a Service from outside. Pure. A cloud load balancer's rule: any Ready node, except that with
// externalTrafficPolicy Local only nodes with a ready endpoint (what the health check node port would say).
import type { EndpointSlice, Node, Service } from "@podwire/api";

export interface Candidate {
  name: string;
  /** InternalIP, the node's underlay address. */
  address: string;
}

const NO_EXTERNAL = "node.kubernetes.io/exclude-from-external-load-balancers";

/** Ready nodes with an address, by name, so that every process that asks gets the same order. */
export function readyNodes(nodes: readonly Node[]): Candidate[] {
  const out: Candidate[] = [];
  for (const n of nodes) {
    const ready = n.status?.conditions?.some((c) => c.type === "Ready" && c.status === "True");
    const address = n.status?.addresses?.find((a) => a.type === "InternalIP")?.address;
    if (ready && address !== undefined && n.metadata.name !== undefined) out.push({ name: n.metadata.name, address });
  }
  return out.sort((a, b) => (a.name < b.name ? -1 : 1));
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
