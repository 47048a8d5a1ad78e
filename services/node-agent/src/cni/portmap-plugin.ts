// The CNI plugin "portmap": a container's hostPort as DNAT rules in the node's namespace, in the plugin's own chain names, in each
// family that the pod has an address of.
// Invariant: a container's chains stand exactly between its ADD and its DEL; a mapping with a host address answers on it alone.
import { createHash } from "node:crypto";
import type { Match, NetNamespace, ProtocolName, Rule } from "@podwire/net";
import { CniCode, CniError, isIpv6 } from "./cni.ts";

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

type Family = 4 | 6;
const FAMILIES: readonly Family[] = [4, 6];
const PROTOCOLS = ["TCP", "UDP", "SCTP"];

export class PortmapPlugin {
  readonly #root: NetNamespace;
  /** Rules of CNI-HOSTPORT-DNAT by container, by family. */
  readonly #entries = new Map<Family, Map<string, Rule[]>>(FAMILIES.map((f) => [f, new Map()]));

  constructor(root: NetNamespace) {
    this.#root = root;
  }

  add(
    containerId: string,
    podName: string,
    addresses: readonly string[],
    podCIDRs: readonly string[],
    mappings: readonly PortMapping[],
  ): void {
    for (const m of mappings)
      if (!PROTOCOLS.includes(m.protocol))
        throw new CniError(CniCode.invalidConfig, `unknown protocol ${m.protocol} of host port ${m.hostPort}`);
    for (const family of FAMILIES) {
      const address = addresses.find((a) => familyOf(a) === family);
      const podCIDR = podCIDRs.find((c) => familyOf(c) === family);
      const wanted = mappings.filter((m) => !m.hostIP || m.hostIP === "0.0.0.0" || m.hostIP === "::" || familyOf(m.hostIP) === family);
      if (address !== undefined && podCIDR !== undefined && wanted.length > 0)
        this.#add(family, containerId, podName, address, podCIDR, wanted);
    }
  }

  #add(family: Family, containerId: string, podName: string, address: string, podCIDR: string, mappings: readonly PortMapping[]): void {
    const { chain, entries, rules } = planPortmap(containerId, podName, address, podCIDR, mappings);
    const all = this.#entries.get(family)!;
    all.set(containerId, entries);
    const nat = this.#nat(family);
    nat.apply({
      chains: new Map<string, Rule[]>([
        [SETMARK, [{ matches: [{ m: "comment", text: "CNI portfwd masquerade mark" }], target: { t: "MARK", ...MARK } }]],
        [MASQ, [{ matches: [{ m: "mark", ...MARK }], target: { t: "MASQUERADE" } }]],
        [chain, rules],
        [DNAT, [...all.values()].flat()],
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
    for (const [family, all] of this.#entries) {
      if (!all.delete(containerId)) continue;
      this.#nat(family).apply({ chains: new Map([[DNAT, [...all.values()].flat()]]), remove: [chainOf(containerId)] });
    }
  }

  #nat(family: Family) {
    return this.#root.netfilter.ruleset(family).table("nat");
  }
}

const familyOf = (text: string): Family => (isIpv6(text) ? 6 : 4);

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
    const only = m.hostIP && m.hostIP !== "0.0.0.0" && m.hostIP !== "::" ? { dst: m.hostIP } : {};
    const note: Match = { m: "comment", text: `dnat name: "podwire" id: "${containerId}" pod: "${podName}"` };
    entries.push({ ...only, protocol, matches: [note, dport], target: { t: "JUMP", chain } });
    // Pods that come back to themselves, and the node by its loopback, have to see the answer from the node.
    rules.push(
      { ...only, src: podCIDR, protocol, matches: [dport], target: { t: "JUMP", chain: SETMARK } },
      ...(isIpv6(address)
        ? []
        : [{ ...only, src: "127.0.0.1", protocol, matches: [dport], target: { t: "JUMP", chain: SETMARK } } satisfies Rule]),
      {
        ...only,
        protocol,
        matches: [dport],
        target: { t: "DNAT", to: `${isIpv6(address) ? `[${address}]` : address}:${m.containerPort}` },
      },
    );
  }
  return { chain, entries, rules };
}

function chainOf(containerId: string): string {
  return `CNI-DN-${createHash("sha512").update(`podwire${containerId}`).digest("hex").slice(0, 21)}`;
}
