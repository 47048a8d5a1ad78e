// The shell of policy enforcement on a node: hears of policies, pods and namespaces, plans at most once per PLAN_DELAY_MS, hands the
// result to the engine in the node's forward hook.
// Invariant: until what is needed has synced nothing is enforced (and no pod is started, `ready`); after that the engine holds the last
// plan, in which every pod of this node is from the moment it has addresses. Pods and namespaces of the whole cluster are followed only
// once a policy exists.
import { type Clock, type Logger, reasonOf, type Timer } from "@podwire/base";
import type { Informer } from "@podwire/client";
import { type NetNamespace, PolicyEngine } from "@podwire/net";
import { planPolicies } from "./plan.ts";

/** Changes that come within this time make one plan. */
const PLAN_DELAY_MS = 10;

export interface NetworkPolicyOptions {
  /** The node's root namespace. */
  namespace: NetNamespace;
  nodeName: string;
  policies: Informer<any>;
  /** Called when the first policy appears; started by whoever gives them. */
  pods: () => Informer<any>;
  namespaces: () => Informer<any>;
  clock: Clock;
  log: Logger;
}

export interface NetworkPolicyEnforcer {
  readonly engine: PolicyEngine;
  /** What policies there are is known, and whom they select. */
  readonly ready: Promise<void>;
  /** A pod of this node has got its addresses: its policies hold when this returns, before anything in it runs and before the API
   *  tells of the addresses. */
  attached(pod: any, addresses: readonly string[]): void;
  detached(uid: string): void;
  counters(): Readonly<Record<string, number>>;
  stop(): void;
}

export function startNetworkPolicy(o: NetworkPolicyOptions): NetworkPolicyEnforcer {
  const engine = new PolicyEngine();
  const counters = { plans: 0, failures: 0, isolatedPods: 0, lastPlanMs: 0 };
  let timer: Timer | undefined;
  let started = false;
  let stopped = false;
  let hooked = false;
  let peers: { pods: Informer<any>; namespaces: Informer<any>; synced: boolean; ready: Promise<void> } | undefined;
  /** Pods of this node with their addresses, by uid, for as long as the API does not tell of them. */
  const own = new Map<string, any>();
  const allPods = (listed: any[]) => {
    if (own.size === 0) return listed;
    const seen = new Set<string>();
    const merged = listed.map((p) => {
      const mine = own.get(p.metadata.uid);
      if (mine === undefined) return p;
      seen.add(p.metadata.uid);
      return { ...p, status: { ...p.status, podIPs: mine.status.podIPs } };
    });
    for (const [uid, p] of own) if (!seen.has(uid)) merged.push(p);
    return merged;
  };
  const plan = () => {
    timer?.cancel();
    timer = undefined;
    if (stopped) return;
    const policies = o.policies.lister.list();
    if (peers === undefined && policies.length > 0) follow();
    if (peers === undefined || !peers.synced) return;
    const begin = o.clock.monotonicMs();
    try {
      const pods = planPolicies({
        policies,
        pods: allPods(peers.pods.lister.list()),
        namespaces: peers.namespaces.lister.list(),
        nodeName: o.nodeName,
      });
      engine.replace(pods);
      // The hook costs every packet a call, so it is taken only once a policy exists.
      if (!hooked && pods.length > 0) {
        o.namespace.netfilter.addExtension(engine.extension);
        hooked = true;
      }
      counters.plans++;
      counters.isolatedPods = pods.length;
      counters.lastPlanMs = o.clock.monotonicMs() - begin;
    } catch (e) {
      counters.failures++;
      o.log.error({ err: reasonOf(e) }, "network policies could not be planned; the last plan stays");
    }
  };
  const changed = () => {
    if (started && timer === undefined && !stopped) timer = o.clock.after(PLAN_DELAY_MS, plan, { unref: true });
  };
  /** Pods change all the time; only what a policy can see counts. */
  const visible = (p: any) => JSON.stringify([p.metadata?.labels, p.status?.podIPs, p.status?.podIP, p.status?.phase, p.spec?.nodeName]);
  const handlers = { onAdd: changed, onUpdate: changed, onDelete: changed };
  const follow = () => {
    const now = { pods: o.pods(), namespaces: o.namespaces(), synced: false, ready: Promise.resolve() };
    peers = now;
    now.namespaces.handle(handlers);
    now.pods.handle({
      onAdd: changed,
      onDelete: changed,
      onUpdate: (next, old) => {
        if (visible(next) !== visible(old)) changed();
      },
    });
    now.ready = Promise.all([now.pods.whenSynced(), now.namespaces.whenSynced()]).then(() => {
      now.synced = true;
      plan();
    });
    now.ready.catch(() => undefined);
  };
  o.policies.handle(handlers);
  const ready = o.policies.whenSynced().then(async () => {
    started = true;
    plan();
    await peers?.ready;
  });
  return {
    engine,
    ready,
    attached: (pod, addresses) => {
      own.set(pod.metadata.uid, { ...pod, status: { ...pod.status, podIPs: addresses.map((ip) => ({ ip })) } });
      if (started) plan();
    },
    detached: (uid) => {
      if (own.delete(uid)) changed();
    },
    counters: () => ({ ...counters, ...engine.counters }),
    stop: () => {
      stopped = true;
      timer?.cancel();
      o.namespace.netfilterIfAny?.removeExtension(engine.extension.name);
    },
  };
}
