// What a plugin is. Up to the choice of a node plugins are pure: the pod, the snapshot and what their own preFilter computed in; a verdict or
// a number out. From `reserve` on they may hold something for the pod, and `unreserve` gives it back when the pod does not get there.
// The extension points and their order are kube-scheduler's.
import type { Clock } from "@podwire/base";
import type { ApiClient } from "@podwire/client";
import type { Snapshot } from "./cache.ts";
import type { NodeInfo } from "./node-info.ts";
import type { PodInfo } from "./pod-info.ts";

/** Why a node (or every node) cannot take the pod. */
export interface Rejection {
  /** Reasons as kube-scheduler words them. */
  readonly reasons: readonly string[];
  /** True when removing pods from the node would not help. */
  readonly unresolvable: boolean;
}

/** One attempt to schedule one pod. */
export interface Cycle {
  readonly pod: PodInfo;
  readonly snapshot: Snapshot;
  /** What a plugin keeps for itself from one extension point to the next, by the plugin's name. */
  readonly state: Map<string, unknown>;
}

export type PreFilterResult =
  | undefined
  /** Nothing to filter for this pod. */
  | "skip"
  /** No node will do. */
  | { reject: Rejection }
  /** Only these nodes may do. */
  | { only: ReadonlySet<string> };

/** With what a plugin acts on the cluster while a pod is being bound. */
export interface Binding {
  readonly client: ApiClient;
  readonly clock: Clock;
  /** The scheduler is stopping: give up. */
  stopped(): boolean;
}

/** The pod waits, at most so long, for somebody to allow it. */
export interface Wait {
  readonly waitMs: number;
}

export interface Plugin {
  readonly name: string;
  preFilter?(c: Cycle): PreFilterResult;
  filter?(c: Cycle, node: NodeInfo): Rejection | undefined;
  /** "skip": every node would score the same. */
  preScore?(c: Cycle, nodes: readonly NodeInfo[]): "skip" | undefined;
  /** Higher is better; 0 to 100 unless `normalize` brings it there. */
  score?(c: Cycle, node: NodeInfo): number;
  /** Brings raw scores to 0..100, in place; `nodes` are in the same order. */
  normalize?(c: Cycle, scores: number[], nodes: readonly NodeInfo[]): void;
  /** Sets aside what the pod will take on the node. */
  reserve?(c: Cycle, node: NodeInfo): Rejection | undefined;
  /** Gives it back; also called when `reserve` refused or never ran. */
  unreserve?(c: Cycle, node: string): void;
  /** The last word before the pod is bound. */
  permit?(c: Cycle, node: string): Rejection | Wait | undefined;
  /** What must be done first; the pod is not bound when it throws. */
  preBind?(c: Cycle, node: string, b: Binding): Promise<void>;
  postBind?(c: Cycle, node: string): void;
}

/** The extension points by the names of KubeSchedulerConfiguration, with the methods that belong to them. */
export const EXTENSION_POINTS = {
  preFilter: ["preFilter"],
  filter: ["filter"],
  preScore: ["preScore"],
  score: ["score", "normalize"],
  reserve: ["reserve", "unreserve"],
  permit: ["permit"],
  preBind: ["preBind"],
  postBind: ["postBind"],
} as const satisfies Record<string, readonly (keyof Plugin)[]>;

export type ExtensionPoint = keyof typeof EXTENSION_POINTS;

export const MAX_SCORE = 100;

export const reject = (unresolvable: boolean, ...reasons: string[]): Rejection => ({ reasons, unresolvable });

/** Scales to 0..100 by the largest; `reverse` makes small good. */
export function normalizeByMax(scores: number[], reverse: boolean): void {
  let max = 0;
  for (const s of scores) max = Math.max(max, s);
  for (let i = 0; i < scores.length; i++) {
    const scaled = max === 0 ? 0 : Math.trunc(((scores[i] as number) * MAX_SCORE) / max);
    scores[i] = reverse ? MAX_SCORE - scaled : scaled;
  }
}
