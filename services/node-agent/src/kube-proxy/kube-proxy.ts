// The shell of kube-proxy: hears of Services and EndpointSlices, plans at most once per SYNC_DELAY_MS, brings the node's tables there.
// Invariant: the tables are those of the last plan; nothing is written before both informers have synced; a change that cannot be
// applied is logged and tried again with the next.
import { type Clock, type Logger, reasonOf, type Timer } from "@podwire/base";
import type { Informer } from "@podwire/client";
import { type NetNamespace, parseAddress, type Scheduler } from "@podwire/net";
import { cleanConntrack } from "./conntrack-cleanup.ts";
import { HealthChecks } from "./health-checks.ts";
import { createProxier, type Proxier, type ProxyMode } from "./proxier.ts";
import type { ProxySettings } from "./proxy-settings.ts";
import { type EndpointSliceLike, SERVICE_NAME, type ServiceInput, type ServiceLike } from "./service-ports.ts";

/** Changes that come within this time make one plan (an endpoint change must reach the rules within 100 ms). */
const SYNC_DELAY_MS = 10;
const ZONE = "topology.kubernetes.io/zone";
/** A failed sync is tried again after this. */
const RETRY_MS = 1000;

export interface KubeProxyOptions {
  /** The node's root namespace. */
  namespace: NetNamespace;
  services: Informer<any>;
  endpointSlices: Informer<any>;
  nodeName: string;
  nodeLabels: Readonly<Record<string, string>>;
  /** Addresses of the node, the primary one first. */
  nodeIPs: readonly string[];
  /** --cluster-cidr by family: tells pods' traffic from others'. */
  clusterCIDRs: readonly string[];
  /** --proxy-mode, default "iptables". */
  mode?: ProxyMode;
  masqueradeAll?: boolean;
  /** --nodeport-addresses: CIDRs or ["primary"]; empty is every address, in nftables mode the primary ones. */
  nodePortAddresses?: readonly string[];
  /** --ipvs-scheduler, default "rr". */
  ipvsScheduler?: Scheduler;
  /** Default true, as --iptables-localhost-nodeports. */
  localhostNodePorts?: boolean;
  clock: Clock;
  log: Logger;
}

/** The parts of the node's own object that a proxy reads. */
export interface NodeLike {
  metadata?: { labels?: Record<string, string>; deletionTimestamp?: string };
  spec?: { taints?: { key: string }[] };
}

/** Set by the cluster autoscaler on a node that it is about to remove (KEP-3836). */
const TO_BE_DELETED = "ToBeDeletedByClusterAutoscaler";

/** Whether load balancers may keep sending to the node. */
export function isEligible(node: NodeLike | undefined): boolean {
  if (node === undefined || node.metadata?.deletionTimestamp) return false;
  return !node.spec?.taints?.some((t) => t.key === TO_BE_DELETED);
}

export interface KubeProxy {
  /** Both informers have synced and the first plan is applied. */
  readonly ready: Promise<void>;
  /** The rules of a family as the mode's own tool prints them (iptables-save, ipvsadm-save, nft list table). */
  dump(family?: 4 | 6): string;
  mode(): ProxyMode;
  /** Switches the mode of the live node; connections go on where they are. */
  setMode(mode: ProxyMode): void;
  /** The node's object: another zone means another choice of endpoints, a node that is going away fails /healthz. Undefined: deleted. */
  setNode(node: NodeLike | undefined): void;
  counters(): Readonly<Record<string, number>>;
  stop(): void;
}

export function startKubeProxy(o: KubeProxyOptions): KubeProxy {
  const services = new Map<string, ServiceInput>();
  const counters = { syncs: 0, failures: 0, chainsSet: 0, chainsRemoved: 0, conntrackCleaned: 0, lastSyncMs: 0 };
  const families = ([4, 6] as const).filter((f) => o.nodeIPs.some((ip) => familyOf(ip) === f));
  let mode = o.mode ?? "iptables";
  let labels = o.nodeLabels;
  let nodeEligible = true;
  let settings = settingsByFamily();
  let proxiers = new Map(families.map((f) => [f, createProxier(mode, o.namespace, settings.get(f) as ProxySettings)] as const));
  /** What changed since the last sync, as it was then. */
  const dirty = new Map<string, ServiceInput | undefined>();
  let timer: Timer | undefined;
  let stopped = false;
  let started = false;
  let lastFailed = false;
  if (o.localhostNodePorts !== false) o.namespace.options.routeLocalnet = true;
  const health = new HealthChecks(o.namespace, o.log, () => ({
    ok: !lastFailed,
    nodeEligible,
    lastUpdated: new Date(o.clock.nowMs()).toISOString(),
  }));

  const sync = () => {
    timer = undefined;
    if (stopped) return;
    const begin = o.clock.monotonicMs();
    try {
      for (const [family, proxier] of proxiers) {
        const changes = proxier.sync(services, lastFailed ? undefined : dirty.keys());
        counters.chainsSet += changes.chainsSet;
        counters.chainsRemoved += changes.chainsRemoved;
        counters.conntrackCleaned += cleanConntrack(o.namespace.conntrack, dirty, services, settings.get(family) as ProxySettings);
      }
      if (
        [...dirty].some(
          ([key, before]) => before?.service.spec?.healthCheckNodePort || services.get(key)?.service.spec?.healthCheckNodePort,
        )
      )
        health.sync(services, [...settings.values()]);
      dirty.clear();
      lastFailed = false;
      counters.syncs++;
      counters.lastSyncMs = o.clock.monotonicMs() - begin;
    } catch (e) {
      counters.failures++;
      lastFailed = true;
      o.log.error({ err: reasonOf(e) }, "the rules of the Services could not be applied; trying again");
      timer = o.clock.after(RETRY_MS, sync, { unref: true });
    }
  };
  const changed = () => {
    if (started && timer === undefined && !stopped) timer = o.clock.after(SYNC_DELAY_MS, sync, { unref: true });
  };

  function settingsByFamily(): Map<4 | 6, ProxySettings> {
    return new Map(families.map((f) => [f, settingsOf(o, f, mode, labels)] as const));
  }

  /** The old rules go and the new ones come between two packets. */
  const rebuild = () => {
    settings = settingsByFamily();
    const next = new Map<4 | 6, Proxier>();
    for (const [family, old] of proxiers) {
      const proxier = createProxier(mode, o.namespace, settings.get(family) as ProxySettings);
      old.remove();
      next.set(family, proxier);
    }
    proxiers = next;
    if (!started) return;
    lastFailed = true; // Nothing of the new proxiers stands yet: the next sync is a whole one.
    timer?.cancel();
    sync();
  };

  const keyOf = (x: { metadata?: { namespace?: string; name?: string } }) => `${x.metadata?.namespace ?? ""}/${x.metadata?.name ?? ""}`;
  const slicesByService = new Map<string, Map<string, EndpointSliceLike>>();
  const refresh = (key: string, service: ServiceLike | undefined) => {
    if (!dirty.has(key)) dirty.set(key, services.get(key));
    if (service === undefined) services.delete(key);
    else services.set(key, { service, slices: [...(slicesByService.get(key)?.values() ?? [])] });
    changed();
  };
  const serviceOfSlice = (s: EndpointSliceLike) => {
    const name = s.metadata?.labels?.[SERVICE_NAME];
    return name === undefined || name === "" ? undefined : `${s.metadata?.namespace ?? ""}/${name}`;
  };
  const putSlice = (s: EndpointSliceLike, remove: boolean) => {
    const key = serviceOfSlice(s);
    if (key === undefined) return;
    const slices = slicesByService.get(key) ?? new Map<string, EndpointSliceLike>();
    if (remove) slices.delete(keyOf(s));
    else slices.set(keyOf(s), s);
    if (slices.size === 0) slicesByService.delete(key);
    else slicesByService.set(key, slices);
    const known = services.get(key);
    if (known !== undefined) refresh(key, known.service);
  };
  o.services.handle({
    onAdd: (s) => refresh(keyOf(s), s),
    onUpdate: (s) => refresh(keyOf(s), s),
    onDelete: (s) => refresh(keyOf(s), undefined),
  });
  o.endpointSlices.handle({
    onAdd: (s) => putSlice(s, false),
    onUpdate: (s, old) => {
      if (serviceOfSlice(old) !== serviceOfSlice(s)) putSlice(old, true);
      putSlice(s, false);
    },
    onDelete: (s) => putSlice(s, true),
  });
  const ready = Promise.all([o.services.whenSynced(), o.endpointSlices.whenSynced()]).then(() => {
    started = true;
    sync();
  });
  return {
    ready,
    dump: (family = 4) => proxiers.get(family)?.dump() ?? "",
    mode: () => mode,
    setMode: (next) => {
      if (next === mode) return;
      mode = next;
      rebuild();
    },
    setNode: (node) => {
      nodeEligible = isEligible(node);
      const next = node?.metadata?.labels ?? labels;
      if (next[ZONE] === labels[ZONE]) return;
      labels = next;
      rebuild();
    },
    counters: () => ({ ...counters, services: services.size }),
    stop: () => {
      stopped = true;
      timer?.cancel();
      health.stop();
    },
  };
}

function familyOf(text: string): 4 | 6 | undefined {
  const a = parseAddress(text.split("/")[0] ?? "");
  return a === undefined ? undefined : typeof a === "number" ? 4 : 6;
}

function settingsOf(o: KubeProxyOptions, family: 4 | 6, mode: ProxyMode, nodeLabels: Readonly<Record<string, string>>): ProxySettings {
  const nodePorts = o.nodePortAddresses?.length ? o.nodePortAddresses : mode === "nftables" ? ["primary"] : undefined;
  const nodeIPs = o.nodeIPs.filter((ip) => familyOf(ip) === family);
  return {
    family,
    nodeName: o.nodeName,
    nodeLabels,
    nodeIPs,
    podCIDR: o.clusterCIDRs.find((c) => familyOf(c) === family),
    masqueradeAll: o.masqueradeAll ?? false,
    nodePortAddresses: nodePorts?.[0] === "primary" ? nodeIPs.slice(0, 1) : nodePorts,
    ...(o.ipvsScheduler === undefined ? {} : { ipvsScheduler: o.ipvsScheduler }),
    localhostNodePorts: o.localhostNodePorts ?? true,
    preferSameTrafficDistribution: true,
  };
}
