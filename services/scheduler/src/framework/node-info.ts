// A node and what is on it, kept up to date one pod at a time, so that scheduling a pod never adds up all others.
// Invariant: sums, ports and counts equal what a fresh walk over `pods` would give.
import type { KubeObject } from "@podwire/client";
import type { HostPort, Labels, PodInfo } from "./pod-info.ts";
import { add, copy, none, type Resources, resourcesOf } from "./resources.ts";
import type { Taint } from "./tolerations.ts";

/** A selector over pods of one namespace whose matches are counted per node. Interned: equal ones are the same object. */
export interface CountedSelector {
  readonly namespace: string;
  readonly labels: Labels;
}

/** Selectors whose counts a node keeps; past it the counts start again from nothing (and are walked when asked for). */
const MAX_COUNTED = 512;

const NO_LABELS: Readonly<Record<string, string>> = Object.freeze({});
const NO_TAINTS: readonly Taint[] = Object.freeze([]);

export class NodeInfo {
  readonly name: string;
  node: KubeObject;
  labels: Readonly<Record<string, string>> = NO_LABELS;
  taints: readonly Taint[] = NO_TAINTS;
  unschedulable = false;
  allocatable: Resources = none();
  maxPods = 0;
  images = new Map<string, number>();
  readonly pods = new Map<string, PodInfo>();
  requested: Resources = none();
  nonZeroCpu = 0;
  nonZeroMemory = 0;
  /** Pods with any term of pod affinity or anti-affinity; with required anti-affinity. */
  readonly withAffinity = new Set<PodInfo>();
  readonly withAntiAffinity = new Set<PodInfo>();
  readonly #ports = new Map<string, number>();
  #counts = new Map<CountedSelector, number>();

  constructor(node: KubeObject) {
    this.name = node.metadata.name;
    this.node = node;
    this.setNode(node);
  }

  setNode(node: KubeObject): void {
    this.node = node;
    this.labels = node.metadata.labels ?? NO_LABELS;
    this.taints = node["spec"]?.taints ?? NO_TAINTS;
    this.unschedulable = node["spec"]?.unschedulable === true;
    const allocatable = node["status"]?.allocatable ?? node["status"]?.capacity;
    this.allocatable = resourcesOf(allocatable);
    this.maxPods = allocatable?.pods === undefined ? 0 : Number(allocatable.pods);
    this.images = new Map();
    for (const image of node["status"]?.images ?? []) for (const name of image.names ?? []) this.images.set(name, image.sizeBytes ?? 0);
  }

  addPod(p: PodInfo): void {
    this.pods.set(p.uid, p);
    this.#account(p, 1);
  }

  removePod(uid: string): PodInfo | undefined {
    const p = this.pods.get(uid);
    if (!p) return undefined;
    this.pods.delete(uid);
    this.#account(p, -1);
    return p;
  }

  #account(p: PodInfo, sign: 1 | -1): void {
    add(this.requested, p.requests, sign);
    this.nonZeroCpu += sign * p.nonZeroCpu;
    this.nonZeroMemory += sign * p.nonZeroMemory;
    for (const port of p.hostPorts) {
      const key = portKey(port);
      const n = (this.#ports.get(key) ?? 0) + sign;
      if (n > 0) this.#ports.set(key, n);
      else this.#ports.delete(key);
    }
    const anti = p.requiredAntiAffinity.length > 0;
    if (anti || p.requiredAffinity.length > 0 || p.preferredAffinity.length > 0 || p.preferredAntiAffinity.length > 0) {
      if (sign > 0) this.withAffinity.add(p);
      else this.withAffinity.delete(p);
    }
    if (anti) {
      if (sign > 0) this.withAntiAffinity.add(p);
      else this.withAntiAffinity.delete(p);
    }
    for (const [s, n] of this.#counts) if (counts(s, p)) this.#counts.set(s, n + sign);
  }

  /** Pods of the selector's namespace that it matches and that are not terminating. Walked once, then kept. */
  count(s: CountedSelector): number {
    const known = this.#counts.get(s);
    if (known !== undefined) return known;
    let n = 0;
    for (const p of this.pods.values()) if (counts(s, p)) n++;
    if (this.#counts.size >= MAX_COUNTED) this.#counts = new Map();
    this.#counts.set(s, n);
    return n;
  }

  /** True when a pod with these host ports could not bind them here. */
  portsConflict(wanted: readonly HostPort[]): boolean {
    if (this.#ports.size === 0) return false;
    for (const w of wanted)
      for (const key of this.#ports.keys()) {
        const [ip, protocol, port] = key.split("|") as [string, string, string];
        if (protocol !== w.protocol || Number(port) !== w.port) continue;
        if (ip === w.ip || ip === "0.0.0.0" || w.ip === "0.0.0.0") return true;
      }
    return false;
  }

  /** A copy to try things on. */
  clone(): NodeInfo {
    const c = new NodeInfo(this.node);
    for (const [uid, p] of this.pods) c.pods.set(uid, p);
    c.requested = copy(this.requested);
    c.nonZeroCpu = this.nonZeroCpu;
    c.nonZeroMemory = this.nonZeroMemory;
    for (const p of this.withAffinity) c.withAffinity.add(p);
    for (const p of this.withAntiAffinity) c.withAntiAffinity.add(p);
    for (const [k, n] of this.#ports) c.#ports.set(k, n);
    c.#counts = new Map(this.#counts);
    return c;
  }
}

const portKey = (p: HostPort): string => `${p.ip}|${p.protocol}|${p.port}`;
const counts = (s: CountedSelector, p: PodInfo): boolean => p.namespace === s.namespace && !p.terminating && s.labels.matches(p.labels);
