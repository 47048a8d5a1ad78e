// kube-proxy's ipvs mode on one node and family: virtual servers do the balancing, a fixed handful of iptables rules over ipsets marks
// what has to be masqueraded.
// Invariant: the number of iptables rules does not depend on the number of Services; a sync touches the virtual servers and sets that
// differ.
import { isDeepStrictEqual } from "node:util";
import {
  inPrefix,
  type Match,
  type NetNamespace,
  parsePrefix,
  type Rule,
  type Ruleset,
  type Scheduler,
  type TableName,
  type VirtualServer,
  VirtualServers,
  virtualServerKey,
} from "@podwire/net";
import type { Applied } from "./iptables-apply.ts";
import { MARK_MASQ, MASQUERADE_MARK } from "./iptables-rules.ts";
import { IPVS_SETS, type IpvsPort, ipvsPort } from "./ipvs-rules.ts";
import type { Proxier } from "./proxier.ts";
import type { ProxySettings } from "./proxy-settings.ts";
import { endpointsOf, type ServiceInput, sameInput, servicePorts } from "./service-ports.ts";
import { categorize } from "./topology.ts";

interface Contribution {
  input: ServiceInput;
  ports: readonly IpvsPort[];
}

export class IpvsProxier implements Proxier {
  readonly mode = "ipvs";
  private readonly settings: ProxySettings;
  private readonly namespace: NetNamespace;
  private readonly ruleset: Ruleset;
  private readonly servers: VirtualServers;
  private readonly scheduler: Scheduler;
  private readonly contributions = new Map<string, Contribution>();
  /** How many ports want an entry, by set and entry. */
  private readonly entries = new Map<string, Map<string, number>>();
  private begun = false;

  constructor(namespace: NetNamespace, settings: ProxySettings, scheduler: Scheduler) {
    this.namespace = namespace;
    this.settings = settings;
    this.scheduler = scheduler;
    this.ruleset = namespace.netfilter.ruleset(settings.family);
    const pods = settings.podCIDR === undefined ? undefined : parsePrefix(settings.podCIDR);
    this.servers = new VirtualServers(
      settings.family,
      namespace.netfilter,
      (a) => namespace.isLocal(a) || (pods !== undefined && inPrefix(a, pods.address, pods.length)),
    );
    for (const name of Object.keys(IPVS_SETS)) this.entries.set(name, new Map());
  }

  sync(services: ReadonlyMap<string, ServiceInput>, changed?: Iterable<string>): Applied {
    const applied: Applied = { chainsSet: 0, chainsRemoved: 0 };
    const dirty = new Set<string>(this.begun ? [] : Object.keys(IPVS_SETS));
    for (const key of changed ?? new Set([...[...services.keys()].sort(), ...this.contributions.keys()])) {
      const input = services.get(key);
      const old = this.contributions.get(key);
      if (input === undefined ? old === undefined : old !== undefined && sameInput(old.input, input)) continue;
      const next = input === undefined ? undefined : this.contribute(input);
      if (next === undefined) this.contributions.delete(key);
      else this.contributions.set(key, next);
      this.change(old, next, applied, dirty);
    }
    for (const name of dirty) this.namespace.netfilter.sets.replace(this.setName(name), IPVS_SETS[name]!, this.entries.get(name)!.keys());
    if (!this.begun) {
      this.placeRules();
      this.servers.attach();
    }
    this.begun = true;
    return applied;
  }

  dump(): string {
    return `${this.servers.save()}${this.namespace.netfilter.sets.save()}${this.ruleset.save()}`;
  }

  remove(): void {
    if (!this.begun) return;
    this.servers.detach();
    for (const [table, chain, rule] of this.jumps()) this.ruleset.table(table).deleteRule(chain, rule);
    for (const table of ["nat", "mangle", "filter"] as const) {
      const names = [...this.chains(table).keys()];
      this.ruleset.table(table).apply({ chains: new Map(), remove: names });
    }
    for (const name of Object.keys(IPVS_SETS)) this.namespace.netfilter.sets.destroy(this.setName(name));
  }

  private contribute(input: ServiceInput): Contribution {
    const s = this.settings;
    const ports = servicePorts(input.service, s.family).map((p) =>
      ipvsPort(p, categorize(endpointsOf(p, input.slices, s.family, s.nodeName), p, s), s, this.scheduler),
    );
    return { input, ports };
  }

  private change(old: Contribution | undefined, next: Contribution | undefined, applied: Applied, dirty: Set<string>): void {
    const servers = (c: Contribution | undefined) =>
      new Map(c?.ports.flatMap((p) => p.servers.map((v): [string, VirtualServer] => [virtualServerKey(v), v])));
    const before = servers(old);
    for (const [key, v] of servers(next)) {
      if (!isDeepStrictEqual(before.get(key), v)) {
        this.servers.set(v);
        applied.chainsSet++;
      }
      before.delete(key);
    }
    for (const key of before.keys()) {
      this.servers.remove(key);
      applied.chainsRemoved++;
    }
    const count = (c: Contribution | undefined, by: number) => {
      for (const p of c?.ports ?? [])
        for (const [set, entry] of p.entries) {
          const entries = this.entries.get(set)!;
          const n = (entries.get(entry) ?? 0) + by;
          if (n > 0) entries.set(entry, n);
          else entries.delete(entry);
          if ((by > 0 && n === 1) || n === 0) dirty.add(set);
        }
    };
    count(next, 1);
    count(old, -1);
  }

  /** ip6 sets carry a prefix, as upstream's do. */
  private setName(name: string): string {
    return this.settings.family === 6 ? name.replace("KUBE-", "KUBE-6-") : name;
  }

  private placeRules(): void {
    for (const table of ["nat", "mangle", "filter"] as const) this.ruleset.table(table).apply({ chains: this.chains(table) });
    for (const [table, chain, rule] of this.jumps()) this.ruleset.table(table).ensureRule(chain, rule, "prepend");
  }

  private jumps(): [TableName, string, Rule][] {
    const to = (chain: string, text: string): Rule => ({ matches: [{ m: "comment", text }], target: { t: "JUMP", chain } });
    return [
      ["nat", "PREROUTING", to("KUBE-SERVICES", "kubernetes service portals")],
      ["nat", "OUTPUT", to("KUBE-SERVICES", "kubernetes service portals")],
      ["nat", "POSTROUTING", to("KUBE-POSTROUTING", "kubernetes postrouting rules")],
      ["mangle", "PREROUTING", to("KUBE-PROXY-FIREWALL", "kubernetes load balancer firewall")],
      ["mangle", "OUTPUT", to("KUBE-PROXY-FIREWALL", "kubernetes load balancer firewall")],
      ["filter", "FORWARD", to("KUBE-FORWARD", "kubernetes forwarding rules")],
      ["filter", "INPUT", to("KUBE-NODE-PORT", "kubernetes health check rules")],
    ];
  }

  private chains(table: "nat" | "mangle" | "filter"): Map<string, Rule[]> {
    const set = (name: string, flags: string): Match => ({ m: "set", name: this.setName(name), flags });
    const masq = { t: "JUMP", chain: MARK_MASQ } as const;
    const mark = { m: "mark", value: MASQUERADE_MARK, mask: MASQUERADE_MARK } as const;
    const s = this.settings;
    if (table === "mangle")
      return new Map<string, Rule[]>([
        [
          "KUBE-PROXY-FIREWALL",
          [
            {
              matches: [{ m: "conntrack", states: ["NEW"] }, set("KUBE-LOAD-BALANCER-FW", "dst,dst")],
              target: { t: "JUMP", chain: "KUBE-SOURCE-RANGES-FIREWALL" },
            },
          ],
        ],
        [
          "KUBE-SOURCE-RANGES-FIREWALL",
          [
            { matches: [set("KUBE-LOAD-BALANCER-SOURCE-CIDR", "dst,dst,src")], target: { t: "RETURN" } },
            { matches: [set("KUBE-LOAD-BALANCER-SOURCE-IP", "dst,dst,src")], target: { t: "RETURN" } },
            { target: { t: "DROP" } },
          ],
        ],
      ]);
    if (table === "filter")
      return new Map<string, Rule[]>([
        [
          "KUBE-FORWARD",
          [
            { matches: [{ m: "conntrack", states: ["INVALID"] }], target: { t: "DROP" } },
            { matches: [{ m: "comment", text: "kubernetes forwarding rules" }, mark], target: { t: "ACCEPT" } },
            { matches: [{ m: "conntrack", states: ["RELATED", "ESTABLISHED"] }], target: { t: "ACCEPT" } },
          ],
        ],
        [
          "KUBE-NODE-PORT",
          [
            {
              protocol: "tcp",
              matches: [{ m: "comment", text: "Kubernetes health check node port" }, set("KUBE-HEALTH-CHECK-NODE-PORT", "dst")],
              target: { t: "ACCEPT" },
            },
          ],
        ],
      ]);
    const clusterIP: Rule[] = s.masqueradeAll
      ? [{ matches: [set("KUBE-CLUSTER-IP", "dst,dst")], target: masq }]
      : s.podCIDR === undefined
        ? []
        : [{ src: s.podCIDR, notSrc: true, matches: [set("KUBE-CLUSTER-IP", "dst,dst")], target: masq }];
    const fromHere: Match = { m: "addrtype", of: "src", type: "LOCAL" };
    const nodePorts = (["tcp", "udp", "sctp"] as const).flatMap((protocol): Rule[] => [
      { protocol, matches: [fromHere, set(`KUBE-NODE-PORT-LOCAL-${protocol.toUpperCase()}`, "dst")], target: masq },
      { protocol, matches: [set(`KUBE-NODE-PORT-${protocol.toUpperCase()}`, "dst")], target: masq },
    ]);
    return new Map<string, Rule[]>([
      [MARK_MASQ, [{ target: { t: "MARK", value: MASQUERADE_MARK, mask: MASQUERADE_MARK } }]],
      ["KUBE-NODE-PORT", nodePorts],
      [
        "KUBE-SERVICES",
        [
          ...clusterIP,
          { matches: [set("KUBE-EXTERNAL-IP", "dst,dst")], target: masq },
          { matches: [fromHere, set("KUBE-EXTERNAL-IP-LOCAL", "dst,dst")], target: masq },
          { matches: [set("KUBE-LOAD-BALANCER", "dst,dst")], target: masq },
          { matches: [fromHere, set("KUBE-LOAD-BALANCER-LOCAL", "dst,dst")], target: masq },
          { matches: [{ m: "addrtype", of: "dst", type: "LOCAL" }], target: { t: "JUMP", chain: "KUBE-NODE-PORT" } },
        ],
      ],
      [
        "KUBE-POSTROUTING",
        [
          {
            matches: [
              { m: "comment", text: "Kubernetes endpoints dst ip:port, source ip for solving hairpin purpose" },
              set("KUBE-LOOP-BACK", "dst,dst,src"),
            ],
            target: { t: "MASQUERADE" },
          },
          { matches: [{ ...mark, not: true }], target: { t: "RETURN" } },
          { target: { t: "MARK", value: MASQUERADE_MARK, mask: 0 } },
          {
            matches: [{ m: "comment", text: "kubernetes service traffic requiring SNAT" }],
            target: { t: "MASQUERADE", randomFully: true },
          },
        ],
      ],
    ]);
  }
}
