// The cluster, followed: informers for what the page shows, and the counters of every process with a network card, asked once a
// second while somebody looks. Invariant: without a listener nothing is asked and nothing is built.
import { type Clock, type Logger, type Random, reasonOf, type Timer } from "@podwire/base";
import { type Bus, Identity, subjectsOf } from "@podwire/bus";
import { type ApiClient, informer, type KubeObject, type ResourceRef, Resources } from "@podwire/client";
import { type ClusterView, clusterView } from "./view.ts";

/** Of one process, as its control subject answers them. */
export type ProcessCounters = Record<string, unknown>;

export interface LiveEvent {
  type: "cluster" | "counters";
  data: ClusterView | Record<string, ProcessCounters>;
}

export interface LiveCluster {
  synced(): boolean;
  view(): ClusterView;
  /** Calls back with the view at once and after changes (at most every VIEW_PERIOD_MS), and with counters each second. */
  listen(cb: (e: LiveEvent) => void): () => void;
  stop(): void;
}

const VIEW_PERIOD_MS = 200;
const COUNTERS_PERIOD_MS = 1_000;
const CONTROL_TIMEOUT_MS = 900;

export function followCluster(o: { bus: Bus; client: ApiClient; clock: Clock; random: Random; log: Logger; cluster: string }): LiveCluster {
  const listeners = new Set<(e: LiveEvent) => void>();
  const follow = (ref: ResourceRef) => informer<KubeObject>({ ...o, ref });
  const informers = {
    nodes: follow(Resources.nodes),
    pods: follow(Resources.pods),
    services: follow(Resources.services),
    endpointSlices: follow(Resources.endpointSlices),
  };
  let pending: Timer | undefined;
  let polling: Timer | undefined;

  const view = () =>
    clusterView(o.cluster, {
      nodes: informers.nodes.lister.list(),
      pods: informers.pods.lister.list(),
      services: informers.services.lister.list(),
      endpointSlices: informers.endpointSlices.lister.list(),
    });
  const tell = (e: LiveEvent) => {
    for (const cb of listeners) cb(e);
  };
  const changed = () => {
    if (pending || listeners.size === 0) return;
    pending = o.clock.after(VIEW_PERIOD_MS, () => {
      pending = undefined;
      tell({ type: "cluster", data: view() });
    });
  };
  for (const i of Object.values(informers)) {
    i.handle({ onAdd: changed, onUpdate: changed, onDelete: changed });
    i.start().catch((e) => o.log.error({ resource: i.ref.resource, reason: reasonOf(e) }, "cannot follow"));
  }

  const subjects = subjectsOf(o.bus.cluster);
  const poll = async () => {
    const identities = [
      Identity.apiserver,
      Identity.edge,
      ...informers.nodes.lister.list().map((n) => Identity.node(n.metadata?.name ?? "")),
    ];
    const answers: Record<string, ProcessCounters> = {};
    await Promise.all(
      identities.map(async (identity) => {
        try {
          answers[identity.replace(/^node:/, "")] = (await o.bus.request(
            subjects.control(identity),
            { op: "counters" },
            { timeoutMs: CONTROL_TIMEOUT_MS },
          )) as ProcessCounters;
        } catch {
          // A process that does not answer is missing from the counters; the node's condition says more.
        }
      }),
    );
    tell({ type: "counters", data: answers });
  };

  return {
    synced: () => Object.values(informers).every((i) => i.synced),
    view,
    listen(cb) {
      listeners.add(cb);
      cb({ type: "cluster", data: view() });
      polling ??= o.clock.every(COUNTERS_PERIOD_MS, () => void poll());
      return () => {
        listeners.delete(cb);
        if (listeners.size > 0) return;
        polling?.cancel();
        polling = undefined;
      };
    },
    stop() {
      pending?.cancel();
      polling?.cancel();
      for (const i of Object.values(informers)) i.stop();
    },
  };
}
