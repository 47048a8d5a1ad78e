// A proxy mode on one node and family, behind one small interface: bring the node to what the Services say, show it, take it away.
// Invariant: after `sync` the node's data path is that of exactly these Services; `remove` leaves nothing of the mode behind.
import { NotBuiltError } from "@podwire/base";
import type { NetNamespace } from "@podwire/net";
import { type Applied, applyIptables, removeIptables } from "./iptables-apply.ts";
import { type IptablesPlan, planIptables } from "./iptables-plan.ts";
import type { ProxySettings } from "./proxy-settings.ts";
import type { ServiceInput } from "./service-ports.ts";

export type ProxyMode = "iptables" | "ipvs" | "nftables";

export interface Proxier {
  readonly mode: ProxyMode;
  /** `services` by "namespace/name"; an input that did not change must be the same object. */
  sync(services: ReadonlyMap<string, ServiceInput>): Applied;
  /** The rules in the mode's own dump format. */
  dump(): string;
  remove(): void;
}

export function createProxier(mode: ProxyMode, namespace: NetNamespace, settings: ProxySettings): Proxier {
  switch (mode) {
    case "iptables":
      return new IptablesProxier(namespace, settings);
    default:
      throw new NotBuiltError(`kube-proxy mode ${mode}`);
  }
}

class IptablesProxier implements Proxier {
  readonly mode = "iptables";
  private readonly namespace: NetNamespace;
  private readonly settings: ProxySettings;
  private plan: IptablesPlan | undefined;

  constructor(namespace: NetNamespace, settings: ProxySettings) {
    this.namespace = namespace;
    this.settings = settings;
  }

  sync(services: ReadonlyMap<string, ServiceInput>): Applied {
    const next = planIptables(services, this.settings, this.plan);
    const applied = applyIptables(this.namespace.netfilter.ruleset(this.settings.family), next, this.plan);
    this.plan = next;
    return applied;
  }

  dump(): string {
    return this.namespace.netfilter.ruleset(this.settings.family).save();
  }

  remove(): void {
    if (this.plan !== undefined) removeIptables(this.namespace.netfilter.ruleset(this.settings.family), this.plan);
    this.plan = undefined;
  }
}
