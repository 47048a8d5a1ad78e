// All nodes and the pods on them, as informers tell it and as this scheduler assumes it (a pod that is being bound counts from
// the decision on). Invariants: a pod is on at most one node; what the API says of a pod replaces what was assumed.
import type { KubeObject } from "@podwire/client";
import { type CountedSelector, NodeInfo } from "./node-info.ts";
import type { Labels, PodInfo } from "./pod-info.ts";

/** Interned selectors; past it they are forgotten and walked anew. */
const MAX_SELECTORS = 2048;

export interface Snapshot {
  /** Nodes that exist, in a stable order that alternates between zones. */
  readonly nodes: readonly NodeInfo[];
  get(name: string): NodeInfo | undefined;
  /** Nodes with pods that have (required anti-) affinity; usually none, so that affinity costs nothing. */
  readonly nodesWithAffinity: ReadonlySet<NodeInfo>;
  readonly nodesWithAntiAffinity: ReadonlySet<NodeInfo>;
  /** The counted form of a selector over pods of a namespace. */
  selector(namespace: string, labels: Labels): CountedSelector;
  namespaceLabels(namespace: string): Readonly<Record<string, string>> | undefined;
  /** How many nodes have an image. */
  nodesWithImage(name: string): number;
}

export class SchedulerCache implements Snapshot {
  readonly #nodes = new Map<string, NodeInfo>();
  /** Pods on nodes that are not known (yet). */
  readonly #stray = new Map<string, Map<string, PodInfo>>();
  readonly #where = new Map<string, string>();
  readonly #assumed = new Set<string>();
  readonly nodesWithAffinity = new Set<NodeInfo>();
  readonly nodesWithAntiAffinity = new Set<NodeInfo>();
  readonly #imageNodes = new Map<string, number>();
  #selectors = new Map<string, CountedSelector>();
  #order: NodeInfo[] | undefined;
  readonly #namespaceLabels: (ns: string) => Readonly<Record<string, string>> | undefined;

  constructor(namespaceLabels: (ns: string) => Readonly<Record<string, string>> | undefined) {
    this.#namespaceLabels = namespaceLabels;
  }

  get nodes(): readonly NodeInfo[] {
    this.#order ??= zoneOrder([...this.#nodes.values()]);
    return this.#order;
  }

  get(name: string): NodeInfo | undefined {
    return this.#nodes.get(name);
  }

  namespaceLabels(namespace: string): Readonly<Record<string, string>> | undefined {
    return this.#namespaceLabels(namespace);
  }

  nodesWithImage(name: string): number {
    return this.#imageNodes.get(name) ?? 0;
  }

  selector(namespace: string, labels: Labels): CountedSelector {
    const key = `${namespace}|${labels.toString()}|${labels.empty}`;
    let s = this.#selectors.get(key);
    if (!s) {
      if (this.#selectors.size >= MAX_SELECTORS) this.#selectors = new Map();
      this.#selectors.set(key, (s = { namespace, labels }));
    }
    return s;
  }

  setNode(node: KubeObject): void {
    const name = node.metadata.name;
    const info = this.#nodes.get(name);
    if (info) {
      this.#countImages(info, -1);
      if (zoneOf(info.labels) !== zoneOf(node.metadata.labels ?? {})) this.#order = undefined;
      info.setNode(node);
      this.#countImages(info, 1);
      return;
    }
    const added = new NodeInfo(node);
    this.#nodes.set(name, added);
    this.#countImages(added, 1);
    this.#order = undefined;
    for (const p of this.#stray.get(name)?.values() ?? []) added.addPod(p);
    this.#stray.delete(name);
    this.#affinityChanged(added);
  }

  removeNode(name: string): void {
    const info = this.#nodes.get(name);
    if (!info) return;
    this.#countImages(info, -1);
    this.#nodes.delete(name);
    this.#order = undefined;
    this.nodesWithAffinity.delete(info);
    this.nodesWithAntiAffinity.delete(info);
    if (info.pods.size > 0) this.#stray.set(name, new Map(info.pods));
  }

  /** A pod that the API says is on a node; replaces what was assumed or known of it. */
  setPod(p: PodInfo, node: string): void {
    this.#assumed.delete(p.uid);
    this.#take(p.uid);
    this.#put(p, node);
  }

  removePod(uid: string): void {
    this.#assumed.delete(uid);
    this.#take(uid);
  }

  /** Counts a pod on a node although the API does not say so yet. */
  assume(p: PodInfo, node: string): void {
    this.#take(p.uid);
    this.#put(p, node);
    this.#assumed.add(p.uid);
  }

  /** The binding failed: the pod is on no node, unless the API has said otherwise meanwhile. */
  forget(uid: string): void {
    if (this.#assumed.delete(uid)) this.#take(uid);
  }

  isAssumed(uid: string): boolean {
    return this.#assumed.has(uid);
  }

  /** The node a pod counts on. */
  nodeOf(uid: string): string | undefined {
    return this.#where.get(uid);
  }

  #put(p: PodInfo, node: string): void {
    this.#where.set(p.uid, node);
    const info = this.#nodes.get(node);
    if (info) {
      info.addPod(p);
      this.#affinityChanged(info);
      return;
    }
    let stray = this.#stray.get(node);
    if (!stray) this.#stray.set(node, (stray = new Map()));
    stray.set(p.uid, p);
  }

  #take(uid: string): void {
    const node = this.#where.get(uid);
    if (node === undefined) return;
    this.#where.delete(uid);
    const info = this.#nodes.get(node);
    if (info) {
      info.removePod(uid);
      this.#affinityChanged(info);
      return;
    }
    const stray = this.#stray.get(node);
    stray?.delete(uid);
    if (stray?.size === 0) this.#stray.delete(node);
  }

  #affinityChanged(info: NodeInfo): void {
    if (info.withAffinity.size > 0) this.nodesWithAffinity.add(info);
    else this.nodesWithAffinity.delete(info);
    if (info.withAntiAffinity.size > 0) this.nodesWithAntiAffinity.add(info);
    else this.nodesWithAntiAffinity.delete(info);
  }

  #countImages(info: NodeInfo, sign: 1 | -1): void {
    for (const name of info.images.keys()) {
      const n = (this.#imageNodes.get(name) ?? 0) + sign;
      if (n > 0) this.#imageNodes.set(name, n);
      else this.#imageNodes.delete(name);
    }
  }
}

function zoneOf(labels: Readonly<Record<string, string>>): string {
  return `${labels["topology.kubernetes.io/region"] ?? ""}/${labels["topology.kubernetes.io/zone"] ?? ""}`;
}

/** One node of each zone in turn, so that looking at a part of the nodes looks at all zones. */
function zoneOrder(nodes: readonly NodeInfo[]): NodeInfo[] {
  const zones = new Map<string, NodeInfo[]>();
  for (const n of nodes) {
    const z = zoneOf(n.labels);
    zones.set(z, [...(zones.get(z) ?? []), n]);
  }
  const lists = [...zones.values()];
  const out: NodeInfo[] = [];
  for (let i = 0; out.length < nodes.length; i++)
    for (const l of lists) {
      const n = l[i];
      if (n) out.push(n);
    }
  return out;
}
