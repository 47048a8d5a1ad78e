// The API as the coredns image gets it: informers of this node's client, shared by every pod of the node that watches.
// Invariant: an informer runs while somebody watches through it. Pods come by a watch: their broadcast is none of a node's (bus:
// permissions.ts), everything else by the broker's.
import type { Clock, Logger, Random } from "@podwire/base";
import type { Bus } from "@podwire/bus";
import { type ApiClient, type Informer, informer, Resources } from "@podwire/client";

const REFS = {
  namespaces: Resources.namespaces,
  services: Resources.services,
  endpointslices: Resources.endpointSlices,
  pods: Resources.pods,
  networkpolicies: Resources.networkPolicies,
} as const;

export type NodeWatch = ReturnType<typeof kubeWatch>;

export function kubeWatch(o: { client: ApiClient; bus: Bus; clock: Clock; random: Random; log: Logger }) {
  const shared = new Map<keyof typeof REFS, Informer>();
  const informerOf = (resource: keyof typeof REFS): Informer => {
    let i = shared.get(resource);
    if (!i) {
      const { bus, ...watching } = o;
      i = informer({ ...watching, ref: REFS[resource], ...(resource === "pods" ? {} : { bus }) });
      shared.set(resource, i);
      i.start().catch(() => undefined);
    }
    return i;
  };
  return {
    /** For the node's own use: kube-proxy, Service variables. */
    informerOf,
    watch(resource: keyof typeof REFS, handlers: { set(o: any): void; remove(o: any): void }) {
      const i = informerOf(resource);
      let live = true;
      i.handle({
        onAdd: (x) => live && handlers.set(x),
        onUpdate: (x) => live && handlers.set(x),
        onDelete: (x) => live && handlers.remove(x),
      });
      return { synced: i.whenSynced().catch(() => undefined), stop: () => void (live = false) };
    },
    services(): readonly any[] {
      return shared.get("services")?.lister.list() ?? [];
    },
    stop(): void {
      for (const i of shared.values()) i.stop();
      shared.clear();
    },
  };
}
