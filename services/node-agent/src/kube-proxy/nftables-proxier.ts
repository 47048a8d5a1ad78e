// kube-proxy's nftables mode on one node and family: one table of its own, changed by transactions of what differs.
// Invariant: the sum of the transactions is what one from nothing would give; the table's base chains are in the hooks exactly while the
// mode is on.
import { isDeepStrictEqual } from "node:util";
import {
  emptyDelta,
  type NetNamespace,
  type NftDelta,
  type NftElement,
  NftHooks,
  type NftMatch,
  type NftRule,
  NftTable,
} from "@podwire/net";
import type { Applied } from "./iptables-apply.ts";
import { MARK, type NftMapName, type NftPort, nftPort } from "./nftables-rules.ts";
import type { Proxier } from "./proxier.ts";
import { nodePortIPs, offLoopback, type ProxySettings } from "./proxy-settings.ts";
import { endpointsOf, type ServiceInput, sameInput, servicePorts } from "./service-ports.ts";
import { categorize } from "./topology.ts";

interface Contribution {
  input: ServiceInput;
  ports: readonly NftPort[];
}

const MAPS: Readonly<Record<NftMapName, "service" | "port">> = {
  "service-ips": "service",
  "service-nodeports": "port",
  "no-endpoint-services": "service",
  "no-endpoint-nodeports": "port",
  "firewall-ips": "service",
};

export class NftablesProxier implements Proxier {
  readonly mode = "nftables";
  private readonly settings: ProxySettings;
  private readonly table: NftTable;
  private readonly hooks: NftHooks;
  private readonly contributions = new Map<string, Contribution>();
  private begun = false;

  constructor(namespace: NetNamespace, settings: ProxySettings) {
    this.settings = settings;
    this.table = new NftTable("kube-proxy", settings.family, MAPS);
    this.hooks = new NftHooks(this.table, namespace.netfilter);
  }

  sync(services: ReadonlyMap<string, ServiceInput>, changed?: Iterable<string>): Applied {
    const delta = this.begun ? emptyDelta() : this.begin();
    let clusterIPs = !this.begun;
    for (const key of changed ?? new Set([...[...services.keys()].sort(), ...this.contributions.keys()])) {
      const input = services.get(key);
      const old = this.contributions.get(key);
      if (input === undefined ? old === undefined : old !== undefined && sameInput(old.input, input)) continue;
      const next = input === undefined ? undefined : contribute(input, this.settings);
      if (next === undefined) this.contributions.delete(key);
      else this.contributions.set(key, next);
      difference(delta, old, next);
      clusterIPs ||= old?.ports[0]?.clusterIP !== next?.ports[0]?.clusterIP;
    }
    if (clusterIPs)
      delta.sets.set("cluster-ips", [...new Set([...this.contributions.values()].flatMap((c) => c.ports.map((p) => p.clusterIP)))]);
    try {
      this.table.apply(delta);
    } catch (e) {
      // The table is as it was; the next sync says everything again.
      this.contributions.clear();
      throw e;
    }
    if (!this.begun) this.hooks.attach();
    this.begun = true;
    return { chainsSet: delta.chains.size, chainsRemoved: delta.removeChains.length };
  }

  dump(): string {
    return this.table.print();
  }

  remove(): void {
    this.hooks.detach();
  }

  /** Base chains, the chains that all share, and the sets. */
  private begin(): NftDelta {
    const { table } = this;
    table.addBaseChain("filter-prerouting-pre-dnat", { type: "filter", hook: "prerouting", priority: "dstnat-10" });
    table.addBaseChain("filter-output-pre-dnat", { type: "filter", hook: "output", priority: "dstnat-10" });
    table.addBaseChain("filter-input", { type: "filter", hook: "input", priority: "filter" });
    table.addBaseChain("filter-forward", { type: "filter", hook: "forward", priority: "filter" });
    table.addBaseChain("filter-output", { type: "filter", hook: "output", priority: "filter" });
    table.addBaseChain("nat-prerouting", { type: "nat", hook: "prerouting", priority: "dstnat" });
    table.addBaseChain("nat-output", { type: "nat", hook: "output", priority: "dstnat" });
    table.addBaseChain("nat-postrouting", { type: "nat", hook: "postrouting", priority: "srcnat" });
    const delta = emptyDelta();
    const jump = (chain: string, match: NftMatch[] = []): NftRule => ({ match, do: { s: "verdict", is: { v: "jump", chain } } });
    const onNew: NftMatch[] = [{ k: "ctNew" }];
    const set = (name: string, ...rules: NftRule[]) => delta.chains.set(name, rules);
    set("filter-prerouting-pre-dnat", jump("firewall-check", onNew));
    set("filter-output-pre-dnat", jump("firewall-check", onNew));
    set("filter-input", jump("nodeport-endpoints-check", onNew), jump("service-endpoints-check", onNew));
    set("filter-forward", jump("service-endpoints-check", onNew), jump("cluster-ips-check", onNew));
    set("filter-output", jump("service-endpoints-check", onNew), jump("nodeport-endpoints-check", onNew), jump("cluster-ips-check", onNew));
    set("nat-prerouting", jump("services"));
    set("nat-output", jump("services"));
    set("nat-postrouting", jump("masquerading"));
    const nodePort = this.nodePortMatch();
    set(
      "services",
      { do: { s: "serviceMap", map: "service-ips" } },
      ...nodePort.map((match): NftRule => ({ match, do: { s: "portMap", map: "service-nodeports" } })),
    );
    set("firewall-check", { do: { s: "serviceMap", map: "firewall-ips" } });
    set("service-endpoints-check", { do: { s: "serviceMap", map: "no-endpoint-services" } });
    set("nodeport-endpoints-check", ...nodePort.map((match): NftRule => ({ match, do: { s: "portMap", map: "no-endpoint-nodeports" } })));
    set("cluster-ips-check", {
      match: [{ k: "addrSet", field: "daddr", set: "cluster-ips" }],
      do: { s: "reject" },
      comment: "Reject traffic to invalid ports of ClusterIPs",
    });
    set("reject-chain", { do: { s: "reject" } });
    set("mark-for-masquerade", { do: { s: "markOr", value: MARK } });
    set(
      "masquerading",
      { match: [{ k: "markClear", mask: MARK }], do: { s: "verdict", is: { v: "return" } } },
      { do: { s: "markXor", value: MARK } },
      { do: { s: "masquerade" } },
    );
    const ips = nodePortIPs(this.settings);
    if (ips !== undefined) delta.sets.set("nodeport-ips", ips);
    return delta;
  }

  /** What addresses node ports answer on. */
  private nodePortMatch(): NftMatch[][] {
    const s = this.settings;
    if (nodePortIPs(s) !== undefined) return [[{ k: "addrSet", field: "daddr", set: "nodeport-ips" }]];
    const local: NftMatch = { k: "local", field: "daddr" };
    return [offLoopback(s) ? [{ k: "addr", field: "daddr", not: true, in: [s.family === 4 ? "127.0.0.0/8" : "::1/128"] }, local] : [local]];
  }
}

function contribute(input: ServiceInput, s: ProxySettings): Contribution {
  return {
    input,
    ports: servicePorts(input.service, s.family).map((p) =>
      nftPort(p, categorize(endpointsOf(p, input.slices, s.family, s.nodeName), p, s), s),
    ),
  };
}

/** Adds to the transaction what one Service's change means. */
function difference(delta: NftDelta, old: Contribution | undefined, next: Contribution | undefined): void {
  const chains = new Map(old?.ports.flatMap((p) => p.chains));
  for (const [name, rules] of next?.ports.flatMap((p) => p.chains) ?? []) {
    if (!isDeepStrictEqual(chains.get(name), rules)) delta.chains.set(name, rules);
    chains.delete(name);
  }
  delta.removeChains.push(...chains.keys());
  const affinity = new Map(old?.ports.flatMap((p) => p.affinity));
  for (const [name, seconds] of next?.ports.flatMap((p) => p.affinity) ?? []) {
    delta.affinity.set(name, seconds);
    affinity.delete(name);
  }
  delta.removeAffinity.push(...affinity.keys());
  for (const map of Object.keys(MAPS) as NftMapName[]) {
    const before = new Map(old?.ports.flatMap((p) => p.elements[map].map((e): [string, NftElement] => [e.key, e])));
    for (const e of next?.ports.flatMap((p) => p.elements[map]) ?? []) {
      if (!isDeepStrictEqual(before.get(e.key), e)) delta.elements.set(map, [...(delta.elements.get(map) ?? []), e]);
      before.delete(e.key);
    }
    if (before.size > 0) delta.removeElements.set(map, [...(delta.removeElements.get(map) ?? []), ...before.keys()]);
  }
}
