// From NetworkPolicies, Pods and Namespaces to what the policy engine of one node enforces: per local pod, resolved to addresses and
// port numbers.
// Invariant: pure. A pod that no policy selects in a direction has no entry for it (everything is allowed); one that is selected
// lists every rule of every policy that selects it, in the order of their names. networking.k8s.io/v1 NetworkPolicySpec.
import { type LabelSelectorMatcher, labelSelector } from "@podwire/api";
import {
  type IpAddress,
  inPrefix,
  type PodPolicy,
  type PolicyPeers,
  type PolicyPort,
  type PolicyRule,
  type PolicySide,
  type Prefix,
  parseAddress,
  parsePrefix,
} from "@podwire/net";

interface Selector {
  matchLabels?: Record<string, string>;
  matchExpressions?: { key: string; operator: string; values?: string[] }[];
}

export interface PeerLike {
  podSelector?: Selector;
  namespaceSelector?: Selector;
  ipBlock?: { cidr: string; except?: string[] };
}

export interface PortLike {
  protocol?: string;
  port?: number | string;
  endPort?: number;
}

export interface NetworkPolicyLike {
  metadata?: { name?: string; namespace?: string };
  spec?: {
    podSelector?: Selector;
    policyTypes?: string[];
    ingress?: { from?: PeerLike[]; ports?: PortLike[] }[];
    egress?: { to?: PeerLike[]; ports?: PortLike[] }[];
  };
}

export interface PodLike {
  metadata?: { name?: string; namespace?: string; labels?: Record<string, string> };
  spec?: {
    nodeName?: string;
    hostNetwork?: boolean;
    containers?: { ports?: { name?: string; containerPort?: number; protocol?: string }[] }[];
    initContainers?: { restartPolicy?: string; ports?: { name?: string; containerPort?: number; protocol?: string }[] }[];
  };
  status?: { phase?: string; podIP?: string; podIPs?: { ip?: string }[] };
}

export interface NamespaceLike {
  metadata?: { name?: string; labels?: Record<string, string> };
}

export interface PolicyInput {
  policies: readonly NetworkPolicyLike[];
  pods: readonly PodLike[];
  namespaces: readonly NamespaceLike[];
  /** The node whose pods are to be protected. */
  nodeName: string;
}

/** A pod that can be a peer or a target. */
interface Candidate {
  key: string;
  namespace: string;
  labels: Record<string, string>;
  addresses: IpAddress[];
  local: boolean;
  named: Map<string, { protocol: number; port: number }[]>;
}

const PROTOCOLS: Readonly<Record<string, number>> = { TCP: 6, UDP: 17, SCTP: 132 };
const NAMESPACE_NAME = "kubernetes.io/metadata.name";

export function planPolicies(input: PolicyInput): PodPolicy[] {
  const pods = input.pods.map((p) => candidate(p, input.nodeName)).filter((p) => p !== undefined);
  const resolver = new Resolver(pods, input.namespaces);
  const policies = [...input.policies].sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1)).map((p) => readPolicy(p));
  const out: PodPolicy[] = [];
  for (const pod of pods) {
    if (!pod.local) continue;
    const mine = policies.filter((p) => p.namespace === pod.namespace && p.selector.matches(pod.labels));
    const ingress = sideOf(mine, "ingress", pod, resolver);
    const egress = sideOf(mine, "egress", pod, resolver);
    if (ingress !== undefined || egress !== undefined) out.push({ pod: pod.key, addresses: pod.addresses, ingress, egress });
  }
  return out;
}

interface ReadPolicy {
  name: string;
  namespace: string;
  selector: LabelSelectorMatcher;
  ingress: { peers: PeerLike[] | undefined; ports: PortLike[] | undefined }[] | undefined;
  egress: { peers: PeerLike[] | undefined; ports: PortLike[] | undefined }[] | undefined;
}

function readPolicy(p: NetworkPolicyLike): ReadPolicy {
  const spec = p.spec ?? {};
  // Defaulted by the API server; read the same way should it be absent.
  const types = spec.policyTypes ?? (spec.egress?.length ? ["Ingress", "Egress"] : ["Ingress"]);
  return {
    name: nameOf(p),
    namespace: p.metadata?.namespace ?? "",
    selector: labelSelector((spec.podSelector ?? {}) as never),
    ingress: types.includes("Ingress") ? (spec.ingress ?? []).map((r) => ({ peers: r.from, ports: r.ports })) : undefined,
    egress: types.includes("Egress") ? (spec.egress ?? []).map((r) => ({ peers: r.to, ports: r.ports })) : undefined,
  };
}

function nameOf(p: NetworkPolicyLike): string {
  return `${p.metadata?.namespace ?? ""}/${p.metadata?.name ?? ""}`;
}

function candidate(p: PodLike, nodeName: string): Candidate | undefined {
  const phase = p.status?.phase;
  if (p.spec?.hostNetwork || phase === "Succeeded" || phase === "Failed") return undefined;
  const texts = p.status?.podIPs?.map((x) => x.ip ?? "") ?? [p.status?.podIP ?? ""];
  const addresses = texts.map(parseAddress).filter((a) => a !== undefined);
  if (addresses.length === 0) return undefined;
  const named: Candidate["named"] = new Map();
  const sidecars = (p.spec?.initContainers ?? []).filter((c) => c.restartPolicy === "Always");
  for (const c of [...sidecars, ...(p.spec?.containers ?? [])])
    for (const port of c.ports ?? [])
      if (port.name && port.containerPort)
        named.set(port.name, [
          ...(named.get(port.name) ?? []),
          { protocol: PROTOCOLS[port.protocol ?? "TCP"] ?? 0, port: port.containerPort },
        ]);
  const namespace = p.metadata?.namespace ?? "";
  return {
    key: `${namespace}/${p.metadata?.name ?? ""}`,
    namespace,
    labels: p.metadata?.labels ?? {},
    addresses,
    local: p.spec?.nodeName === nodeName,
    named,
  };
}

function sideOf(
  policies: readonly ReadPolicy[],
  direction: "ingress" | "egress",
  pod: Candidate,
  resolver: Resolver,
): PolicySide | undefined {
  const isolating = policies.filter((p) => p[direction] !== undefined);
  if (isolating.length === 0) return undefined;
  const rules: PolicyRule[] = [];
  for (const p of isolating)
    p[direction]?.forEach((r, i) => {
      const base = { policy: p.name, rule: `${direction}[${i}]` };
      if (direction === "ingress") rules.push({ ...base, peers: resolver.peers(r.peers, p.namespace), ports: portsOf(r.ports, pod.named) });
      else rules.push(...egressRules(base, r.peers, r.ports, p.namespace, resolver));
    });
  return { policies: isolating.map((p) => p.name), rules };
}

/** Named ports of an egress rule are the peer's: the rule becomes one for the numbers and one per group of peers with the same port. */
function egressRules(
  base: { policy: string; rule: string },
  from: PeerLike[] | undefined,
  ports: PortLike[] | undefined,
  namespace: string,
  resolver: Resolver,
): PolicyRule[] {
  const peers = resolver.peers(from, namespace);
  const names = (ports ?? []).filter((p) => typeof p.port === "string");
  if (names.length === 0) return [{ ...base, peers, ports: portsOf(ports, NO_NAMES) }];
  const rules: PolicyRule[] = [];
  const numbered = (ports ?? []).filter((p) => typeof p.port !== "string");
  if (numbered.length > 0) rules.push({ ...base, peers, ports: portsOf(numbered, NO_NAMES) });
  const byPort = new Map<string, { port: PolicyPort; addresses: Set<IpAddress> }>();
  for (const pod of resolver.podsOf(from, namespace))
    for (const port of portsOf(names, pod.named) ?? []) {
      const key = `${port.protocol} ${port.from}`;
      const group = byPort.get(key) ?? { port, addresses: new Set<IpAddress>() };
      for (const a of pod.addresses) group.addresses.add(a);
      byPort.set(key, group);
    }
  for (const g of byPort.values()) rules.push({ ...base, peers: { any: false, addresses: g.addresses, blocks: [] }, ports: [g.port] });
  return rules;
}

const NO_NAMES: Candidate["named"] = new Map();

/** Undefined is every port of every protocol. */
function portsOf(ports: PortLike[] | undefined, named: Candidate["named"]): PolicyPort[] | undefined {
  if (ports === undefined || ports.length === 0) return undefined;
  return ports.flatMap((p) => {
    const protocol = PROTOCOLS[p.protocol ?? "TCP"] ?? 0;
    if (p.port === undefined) return [{ protocol, from: 0, to: 65_535 }];
    if (typeof p.port === "number") return [{ protocol, from: p.port, to: p.endPort ?? p.port }];
    return (named.get(p.port) ?? []).filter((n) => n.protocol === protocol).map((n) => ({ protocol, from: n.port, to: n.port }));
  });
}

/** Finds the pods behind selectors, each selector once. */
class Resolver {
  private readonly pods: readonly Candidate[];
  private readonly namespaceLabels: Map<string, Record<string, string>>;
  private readonly selected = new Map<string, Candidate[]>();

  constructor(pods: readonly Candidate[], namespaces: readonly NamespaceLike[]) {
    this.pods = pods;
    this.namespaceLabels = new Map(
      namespaces.map((n) => [n.metadata?.name ?? "", { [NAMESPACE_NAME]: n.metadata?.name ?? "", ...n.metadata?.labels }]),
    );
  }

  peers(list: PeerLike[] | undefined, namespace: string): PolicyPeers {
    if (list === undefined || list.length === 0) return { any: true, addresses: new Set(), blocks: [] };
    const addresses = new Set<IpAddress>();
    const blocks: { cidr: Prefix; except: Prefix[] }[] = [];
    for (const peer of list) {
      if (peer.ipBlock !== undefined) {
        const cidr = parsePrefix(peer.ipBlock.cidr);
        const except = (peer.ipBlock.except ?? []).map(parsePrefix).filter((x) => x !== undefined);
        if (cidr !== undefined) blocks.push({ cidr, except });
        continue;
      }
      for (const pod of this.matching(peer, namespace)) for (const a of pod.addresses) addresses.add(a);
    }
    return { any: false, addresses, blocks };
  }

  /** The pods among the peers; every pod for a rule without peers. */
  podsOf(list: PeerLike[] | undefined, namespace: string): readonly Candidate[] {
    if (list === undefined || list.length === 0) return this.pods;
    const out = new Set<Candidate>();
    for (const peer of list) {
      if (peer.ipBlock === undefined) for (const pod of this.matching(peer, namespace)) out.add(pod);
      else {
        const { blocks } = this.peers([peer], namespace);
        for (const pod of this.pods) if (pod.addresses.some((a) => inBlocks(blocks, a))) out.add(pod);
      }
    }
    return [...out];
  }

  private matching(peer: PeerLike, namespace: string): readonly Candidate[] {
    const key = JSON.stringify([peer.podSelector, peer.namespaceSelector, peer.namespaceSelector === undefined ? namespace : ""]);
    let found = this.selected.get(key);
    if (found === undefined) {
      const pods = labelSelector((peer.podSelector ?? {}) as never);
      const spaces = peer.namespaceSelector === undefined ? undefined : labelSelector(peer.namespaceSelector as never);
      const inScope = (ns: string) => (spaces === undefined ? ns === namespace : spaces.matches(this.namespaceLabels.get(ns) ?? {}));
      found = this.pods.filter((p) => inScope(p.namespace) && pods.matches(p.labels));
      this.selected.set(key, found);
    }
    return found;
  }
}

function inBlocks(blocks: PolicyPeers["blocks"], a: IpAddress): boolean {
  return blocks.some((b) => inPrefix(a, b.cidr.address, b.cidr.length) && !b.except.some((e) => inPrefix(a, e.address, e.length)));
}
