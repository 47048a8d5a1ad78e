// The CNI plugin "portmap": a container's hostPort as DNAT rules in the node's namespace, in the plugin's own chain names.
// Invariant: a container's chains stand exactly between its ADD and its DEL; a mapping with a host address answers on it alone.
import { createHash } from "node:crypto";
import type { Match, NetNamespace, ProtocolName, Rule } from "@podwire/net";

export interface PortMapping {
  hostPort: number;
  containerPort: number;
  /** "TCP", "UDP" or "SCTP". */
  protocol: string;
  hostIP?: string;
}

const DNAT = "CNI-HOSTPORT-DNAT";
const SETMARK = "CNI-HOSTPORT-SETMARK";
const MASQ = "CNI-HOSTPORT-MASQ";
const MARK = { value: 0x2000, mask: 0x2000 };

export class PortmapPlugin {
  readonly #root: NetNamespace;
  /** Rules of CNI-HOSTPORT-DNAT by container. */
  readonly #entries = new Map<string, Rule[]>();

  constructor(root: NetNamespace) {
    this.#root = root;
  }

  add(containerId: string, podName: string, address: string, podCIDR: string, mappings: readonly PortMapping[]): void {
    if (mappings.length === 0) return;
    const { chain, entries, rules } = planPortmap(containerId, podName, address, podCIDR, mappings);
    this.#entries.set(containerId, entries);
    const nat = this.#nat();
    nat.apply({
      chains: new Map<string, Rule[]>([
        [SETMARK, [{ matches: [{ m: "comment", text: "CNI portfwd masquerade mark" }], target: { t: "MARK", ...MARK } }]],
        [MASQ, [{ matches: [{ m: "mark", ...MARK }], target: { t: "MASQUERADE" } }]],
        [chain, rules],
        [DNAT, [...this.#entries.values()].flat()],
      ]),
    });
    const local: Match = { m: "addrtype", of: "dst", type: "LOCAL" };
    nat.ensureRule("PREROUTING", { matches: [local], target: { t: "JUMP", chain: DNAT } });
    nat.ensureRule("OUTPUT", { matches: [local], target: { t: "JUMP", chain: DNAT } });
    nat.ensureRule("POSTROUTING", {
      matches: [{ m: "comment", text: "CNI portfwd requiring masquerade" }],
      target: { t: "JUMP", chain: MASQ },
    });
  }

  del(containerId: string): void {
    if (!this.#entries.delete(containerId)) return;
    this.#nat().apply({ chains: new Map([[DNAT, [...this.#entries.values()].flat()]]), remove: [chainOf(containerId)] });
  }

  #nat() {
    return this.#root.netfilter.ruleset(4).table("nat");
  }
}

/** The container's chain, its rules, and the rules that lead to it. Pure. */
export function planPortmap(
  containerId: string,
  podName: string,
  address: string,
  podCIDR: string,
  mappings: readonly PortMapping[],
): { chain: string; entries: Rule[]; rules: Rule[] } {
  const chain = chainOf(containerId);
  const entries: Rule[] = [];
  const rules: Rule[] = [];
  for (const m of mappings) {
    const protocol = m.protocol.toLowerCase() as ProtocolName;
    const dport: Match = { m: "dport", from: m.hostPort, to: m.hostPort };
    const only = m.hostIP && m.hostIP !== "0.0.0.0" ? { dst: m.hostIP } : {};
    const note: Match = { m: "comment", text: `dnat name: "podwire" id: "${containerId}" pod: "${podName}"` };
    entries.push({ ...only, protocol, matches: [note, dport], target: { t: "JUMP", chain } });
    // Pods that come back to themselves, and the node by its loopback, have to see the answer from the node.
    rules.push(
      { ...only, src: podCIDR, protocol, matches: [dport], target: { t: "JUMP", chain: SETMARK } },
      { ...only, src: "127.0.0.1", protocol, matches: [dport], target: { t: "JUMP", chain: SETMARK } },
      { ...only, protocol, matches: [dport], target: { t: "DNAT", to: `${address}:${m.containerPort}` } },
    );
  }
  return { chain, entries, rules };
}

function chainOf(containerId: string): string {
  return `CNI-DN-${createHash("sha512").update(`podwire${containerId}`).digest("hex").slice(0, 21)}`;
}
