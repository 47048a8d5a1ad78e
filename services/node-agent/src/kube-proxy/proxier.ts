// A proxy mode on one node and family, behind one small interface: bring the node to what the Services say, show it, take it away.
// Invariant: after `sync` the node's data path is that of exactly these Services; `remove` leaves nothing of the mode behind.
import type { NetNamespace, Ruleset } from "@podwire/net";
import { type Applied, applyIptables, placeJumps, removeIptables } from "./iptables-apply.ts";
import { IptablesPlanner } from "./iptables-plan.ts";
import { IpvsProxier } from "./ipvs-proxier.ts";
import { NftablesProxier } from "./nftables-proxier.ts";
import type { ProxySettings } from "./proxy-settings.ts";
import type { ServiceInput } from "./service-ports.ts";

export type ProxyMode = "iptables" | "ipvs" | "nftables";

export interface Proxier {
  readonly mode: ProxyMode;
  /** `services` by "namespace/name"; an input that did not change must be the same object. `changed`, when given, are the only keys
   *  that may differ from the last sync. */
  sync(services: ReadonlyMap<string, ServiceInput>, changed?: Iterable<string>): Applied;
  /** The rules in the mode's own dump format. */
  dump(): string;
  remove(): void;
}

export function createProxier(mode: ProxyMode, namespace: NetNamespace, settings: ProxySettings): Proxier {
  switch (mode) {
    case "iptables":
      return new IptablesProxier(namespace, settings);
    case "nftables":
      return new NftablesProxier(namespace, settings);
    case "ipvs":
      return new IpvsProxier(namespace, settings, settings.ipvsScheduler ?? "rr");
  }
}

class IptablesProxier implements Proxier {
  readonly mode = "iptables";
  private readonly ruleset: Ruleset;
  private planner: IptablesPlanner;
  private placed = false;

  constructor(namespace: NetNamespace, settings: ProxySettings) {
    this.ruleset = namespace.netfilter.ruleset(settings.family);
    this.planner = new IptablesPlanner(settings);
  }

  sync(services: ReadonlyMap<string, ServiceInput>, changed?: Iterable<string>): Applied {
    const applied = this.step(services, changed);
    if (!this.placed) placeJumps(this.ruleset);
    this.placed = true;
    return applied;
  }

  /** A step that cannot be applied leaves the tables as they were; the next one begins from nothing. */
  private step(services: ReadonlyMap<string, ServiceInput>, changed: Iterable<string> | undefined): Applied {
    try {
      return applyIptables(this.ruleset, this.planner.step(services, changed));
    } catch (e) {
      this.planner = new IptablesPlanner(this.planner.settings);
      throw e;
    }
  }

  dump(): string {
    return this.ruleset.save();
  }

  remove(): void {
    if (this.placed) removeIptables(this.ruleset, this.planner.chains());
  }
}
