// NetworkPolicy in the data path: decides about connections from and to the pods of this node, at the forward hook.
// Invariant: a verdict belongs to a connection, not a packet: it is kept in the conntrack entry with the generation of the rules it
// was made under, so that established traffic costs one comparison and a change of rules is felt by connections that are open.
// What is judged is the original direction, from the client's address to where translation sent it. Semantics: networking.k8s.io/v1
// NetworkPolicy; traffic between a pod and its own node, and from a pod to itself, is always allowed.
import { formatAddress, type IpAddress, inPrefix, type Prefix } from "../codec/address.ts";
import { protocolName } from "../codec/numbers.ts";
import { addressAt, CtState } from "../conntrack/conntrack.ts";
import { Field, ROW_WORDS, TUPLE_WORDS } from "../conntrack/table.ts";
import { type Flow, hasPorts } from "../namespace/flow.ts";
import { type HookExtension, HookVerdict, type Netfilter } from "../netfilter/netfilter.ts";
import type { Position } from "../netfilter/walk.ts";
import type { Packet } from "../packet.ts";

export type PolicyDirection = "ingress" | "egress";

/** Who a rule lets in or out: addresses of pods, blocks with holes, or everybody. */
export interface PolicyPeers {
  any: boolean;
  addresses: ReadonlySet<IpAddress>;
  blocks: readonly { cidr: Prefix; except: readonly Prefix[] }[];
}

export interface PolicyPort {
  /** 6, 17 or 132. */
  protocol: number;
  /** 0..65535 is every port. */
  from: number;
  to: number;
}

/** One rule of a policy, resolved for one pod. */
export interface PolicyRule {
  /** "namespace/name" of the NetworkPolicy. */
  policy: string;
  /** "ingress[0]". */
  rule: string;
  peers: PolicyPeers;
  /** Undefined is every port of every protocol. */
  ports: readonly PolicyPort[] | undefined;
}

/** What holds for one direction of one pod. */
export interface PolicySide {
  /** Policies that isolate the pod in this direction, at least one. */
  policies: readonly string[];
  rules: readonly PolicyRule[];
}

export interface PodPolicy {
  /** "namespace/name". */
  pod: string;
  addresses: readonly IpAddress[];
  /** Undefined: not isolated. */
  ingress: PolicySide | undefined;
  egress: PolicySide | undefined;
}

/** Why a connection may or may not be. */
export interface PolicyDecision {
  allowed: boolean;
  direction: PolicyDirection;
  /** "NetworkPolicy x/base ingress[0]", or for a drop the policies that isolate: "NetworkPolicy x/deny-all ingress: no rule allows ...". */
  rule: string;
}

const ALLOWED = 1;
const DENIED = 2;

export class PolicyEngine {
  private pods = new Map<IpAddress, PodPolicy>();
  private generation = 1;
  readonly counters = { allowed: 0, denied: 0, evaluated: 0 };

  /** The hook extensions to put into a node's netfilter. */
  readonly extension: HookExtension = {
    name: "networkpolicy",
    hook: "forward",
    stage: "filter",
    decide: (p, f, at, nf) => this.decide(p, f, at, nf),
  };

  /** Replaces all rules. Connections are judged anew with their next packet. */
  replace(policies: Iterable<PodPolicy>): void {
    const pods = new Map<IpAddress, PodPolicy>();
    for (const p of policies) for (const a of p.addresses) pods.set(a, p);
    this.pods = pods;
    this.generation = (this.generation + 1) | 0 || 1;
  }

  /** The pods that policies isolate, for dumps. */
  isolated(): PodPolicy[] {
    return [...new Set(this.pods.values())];
  }

  /** Judges a connection; undefined when no policy has a say. A denial by either side wins. */
  judge(src: IpAddress, dst: IpAddress, protocol: number, port: number): PolicyDecision | undefined {
    if (src === dst) return undefined;
    const out = this.pods.get(src)?.egress;
    const egress = out === undefined ? undefined : judgeSide(out, "egress", dst, src, dst, protocol, port);
    if (egress?.allowed === false) return egress;
    const into = this.pods.get(dst)?.ingress;
    const ingress = into === undefined ? undefined : judgeSide(into, "ingress", src, src, dst, protocol, port);
    return ingress ?? egress;
  }

  private decide(p: Packet, f: Flow, _at: Position, nf: Netfilter): number {
    if (this.pods.size === 0 && f.ct < 0) return HookVerdict.accept;
    const tracked = f.ct >= 0;
    if (tracked && nf.conntrack.word(f.ct, Field.policyGeneration) === this.generation && p.traceId === 0) {
      if (nf.conntrack.word(f.ct, Field.policyVerdict) === ALLOWED) return HookVerdict.accept;
      return this.deny(nf, "NetworkPolicy");
    }
    const decision = tracked ? this.judgeConnection(f, nf) : this.judge(f.src, f.dst, f.protocol, f.dport);
    this.counters.evaluated++;
    const allowed = decision?.allowed !== false;
    if (tracked) {
      nf.conntrack.setWord(f.ct, Field.policyGeneration, this.generation);
      nf.conntrack.setWord(f.ct, Field.policyVerdict, allowed ? ALLOWED : DENIED);
    }
    if (decision !== undefined && p.traceId !== 0) {
      const t = f.tuple();
      nf.tracePoint(p, { place: "policy", name: decision.direction, rule: decision.rule, verdict: allowed ? "accept" : "drop" }, t, t);
    }
    if (allowed) {
      if (f.ctState === CtState.new) this.counters.allowed++;
      return HookVerdict.accept;
    }
    return this.deny(nf, decision?.rule ?? "");
  }

  private deny(nf: Netfilter, rule: string): number {
    this.counters.denied++;
    nf.cause = "networkPolicy";
    nf.reason = rule;
    return HookVerdict.drop;
  }

  private judgeConnection(f: Flow, nf: Netfilter): PolicyDecision | undefined {
    const { rows } = nf.conntrack.table;
    const original = (f.ct >> 1) * ROW_WORDS;
    const reply = original + TUPLE_WORDS;
    const protocol = rows[original + 9]! & 255;
    const port = hasPorts(protocol) ? rows[reply + 8]! >>> 16 : 0;
    return this.judge(addressAt(rows, original), addressAt(rows, reply), protocol, port);
  }
}

function judgeSide(
  side: PolicySide,
  direction: PolicyDirection,
  peer: IpAddress,
  src: IpAddress,
  dst: IpAddress,
  protocol: number,
  port: number,
): PolicyDecision {
  for (const r of side.rules)
    if (portAllowed(r.ports, protocol, port) && peerAllowed(r.peers, peer))
      return { allowed: true, direction, rule: `NetworkPolicy ${r.policy} ${r.rule}` };
  const what = hasPorts(protocol) ? `${protocolName(protocol)} ${port}` : protocolName(protocol);
  const why = `NetworkPolicy ${side.policies.join(", ")} ${direction}: no rule allows ${formatAddress(src)} to ${formatAddress(dst)} ${what}`;
  return { allowed: false, direction, rule: why };
}

function portAllowed(ports: readonly PolicyPort[] | undefined, protocol: number, port: number): boolean {
  if (ports === undefined) return true;
  for (const p of ports) if (p.protocol === protocol && port >= p.from && port <= p.to) return true;
  return false;
}

function peerAllowed(peers: PolicyPeers, a: IpAddress): boolean {
  if (peers.any || peers.addresses.has(a)) return true;
  for (const b of peers.blocks)
    if (inPrefix(a, b.cidr.address, b.cidr.length) && !b.except.some((e) => inPrefix(a, e.address, e.length))) return true;
  return false;
}
