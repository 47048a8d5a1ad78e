// From the caches of Services, nodes and endpoints to answers for the router and the listeners: who may take a packet for a virtual
// address, and where a connection of a listener goes. Answers are kept until one of the caches changes.
import type { EndpointSlice, Node } from "@podwire/api";
import type { Random } from "@podwire/base";
import type { Informer, KubeObject } from "@podwire/client";
import { addressOf, wantsAddress } from "../cloud/addresses.ts";
import type { ServiceObject } from "../cloud/service-controller.ts";
import type { Reach } from "../listeners/host-ports.ts";
import type { WantedListener } from "../listeners/wanted.ts";
import { type Candidate, candidatesFor, readyNodes } from "./candidates.ts";

export interface ReachTable {
  candidates(vip: string, port: number): readonly Candidate[];
  of(wanted: WantedListener): Reach;
}

export interface ReachOptions {
  services: Informer<ServiceObject>;
  nodes: Informer<Node & KubeObject>;
  slices: Informer<EndpointSlice & KubeObject>;
  random: Random;
}

export function reachTable(o: ReachOptions): ReachTable {
  let byVip: Map<string, readonly Candidate[]> | undefined;
  let ready: Candidate[] | undefined;
  const forget = () => {
    byVip = undefined;
    ready = undefined;
  };
  const handlers = { onAdd: forget, onUpdate: forget, onDelete: forget };
  for (const informer of [o.services, o.nodes, o.slices]) informer.handle(handlers);

  function fresh(): { byVip: Map<string, readonly Candidate[]>; ready: Candidate[] } {
    const nodes = o.nodes.lister.list();
    ready ??= readyNodes(nodes);
    if (byVip) return { byVip, ready };
    byVip = new Map();
    for (const s of o.services.lister.list()) {
      const vip = wantsAddress(s) ? addressOf(s) : undefined;
      if (vip === undefined) continue;
      const name = s.metadata.name;
      const slices = o.slices.lister.list(s.metadata.namespace).filter((e) => e.metadata.labels?.["kubernetes.io/service-name"] === name);
      byVip.set(vip, candidatesFor(s, ready, nodes, slices));
    }
    return { byVip, ready };
  }

  return {
    candidates: (vip) => fresh().byVip.get(vip) ?? [],
    of: (wanted) => () => {
      const { target } = wanted;
      if (target.kind === "vip") return (fresh().byVip.get(target.address) ?? []).length > 0 ? target : undefined;
      const { ready: nodes } = fresh();
      return nodes.length === 0 ? undefined : { address: o.random.pick(nodes).address, port: target.port };
    },
  };
}
