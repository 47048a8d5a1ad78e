// Pods that wait for a node. Invariants: a pod is in exactly one place: active (by priority, then age), back-off (by due time),
// unschedulable (until something changes), gated, or in flight; an event that comes while a pod is in flight is not lost on it.
import type { Clock, Timer } from "@podwire/base";
import type { PodInfo } from "../framework/pod-info.ts";
import { Heap } from "./heap.ts";
import { type ClusterEvent, mayHelp } from "./requeue.ts";

export interface QueuedPod {
  pod: PodInfo;
  /** When it first came; decides among equals. */
  readonly addedMs: number;
  readonly sequence: number;
  attempts: number;
  /** Plugins that refused it last time. */
  refusedBy: ReadonlySet<string>;
  /** When it became unschedulable, or failed. */
  failedMs: number;
  /** The last failure was an error, not a refusal. */
  failedByError: boolean;
}

export const INITIAL_BACKOFF_MS = 1_000;
export const MAX_BACKOFF_MS = 10_000;
/** An unschedulable pod is tried again after this even if nothing changed. */
export const MAX_UNSCHEDULABLE_MS = 5 * 60_000;
const FLUSH_PERIOD_MS = 30_000;
/** Events remembered for pods in flight; past it a pod that fails is tried again as if something had helped. */
const MAX_EVENTS = 2_000;

export class SchedulingQueue {
  readonly #clock: Clock;
  readonly #active: Heap<QueuedPod>;
  readonly #backoff: Heap<QueuedPod>;
  readonly #unschedulable = new Map<string, QueuedPod>();
  readonly #gated = new Map<string, QueuedPod>();
  readonly #inFlight = new Map<string, { queued: QueuedPod; eventAt: number; updated: boolean }>();
  #events: ClusterEvent[] = [];
  #eventBase = 0;
  #sequence = 0;
  #waiter: ((p: QueuedPod | undefined) => void) | undefined;
  #timer: Timer | undefined;
  #flusher: Timer | undefined;
  #closed = false;

  constructor(clock: Clock, initialBackoffMs = INITIAL_BACKOFF_MS, maxBackoffMs = MAX_BACKOFF_MS) {
    this.#clock = clock;
    this.#initialMs = initialBackoffMs;
    this.#maxMs = maxBackoffMs;
    const key = (q: QueuedPod) => q.pod.uid;
    this.#active = new Heap(
      key,
      (a, b) => a.pod.priority > b.pod.priority || (a.pod.priority === b.pod.priority && a.sequence < b.sequence),
    );
    this.#backoff = new Heap(
      key,
      (a, b) => this.#dueMs(a) < this.#dueMs(b) || (this.#dueMs(a) === this.#dueMs(b) && a.sequence < b.sequence),
    );
    this.#flusher = clock.every(FLUSH_PERIOD_MS, () => this.#flushOld(), { unref: true });
  }

  readonly #initialMs: number;
  readonly #maxMs: number;

  /** A new pod, or a new version of a waiting one. */
  set(pod: PodInfo, schedulable: boolean): void {
    const uid = pod.uid;
    const flying = this.#inFlight.get(uid);
    if (flying) {
      if (demandsChanged(flying.queued.pod, pod)) flying.updated = true;
      flying.queued.pod = pod;
      return;
    }
    const known = this.#gated.get(uid) ?? this.#unschedulable.get(uid) ?? this.#active.get(uid) ?? this.#backoff.get(uid);
    if (!known) {
      const q = {
        pod,
        addedMs: this.#clock.nowMs(),
        sequence: this.#sequence++,
        attempts: 0,
        refusedBy: new Set<string>(),
        failedMs: 0,
        failedByError: false,
      };
      if (schedulable) this.#activate(q);
      else this.#gated.set(uid, q);
      return;
    }
    const changed = demandsChanged(known.pod, pod);
    known.pod = pod;
    if (this.#gated.has(uid)) {
      if (!schedulable) return;
      this.#gated.delete(uid);
      this.#activate(known);
    } else if (this.#unschedulable.has(uid)) {
      if (!changed) return;
      this.#unschedulable.delete(uid);
      this.#release(known);
    } else if (this.#active.get(uid)) this.#active.push(known);
    else this.#backoff.push(known);
  }

  /** Lets those go on that were held back before they were ever tried and need not be any more. */
  ungate(test: (pod: PodInfo) => boolean): void {
    for (const [uid, q] of this.#gated)
      if (test(q.pod)) {
        this.#gated.delete(uid);
        this.#activate(q);
      }
  }

  /** The pod is gone, or has got a node. */
  remove(uid: string): void {
    this.#gated.delete(uid);
    this.#unschedulable.delete(uid);
    this.#active.remove(uid);
    this.#backoff.remove(uid);
    this.#inFlight.delete(uid);
    this.#trimEvents();
  }

  /** The next pod; it is in flight until `done` or `failed`. Undefined once closed. */
  pop(): Promise<QueuedPod | undefined> {
    const q = this.#take();
    if (q || this.#closed) return Promise.resolve(q);
    return new Promise((resolve) => (this.#waiter = resolve));
  }

  /** The attempt is over and the pod needs no more. */
  done(uid: string): void {
    this.#inFlight.delete(uid);
    this.#trimEvents();
  }

  /** The attempt failed. `refusedBy` is empty for errors. */
  failed(q: QueuedPod, refusedBy: ReadonlySet<string>, byError: boolean): void {
    const flying = this.#inFlight.get(q.pod.uid);
    if (!flying) return;
    this.#inFlight.delete(q.pod.uid);
    q.refusedBy = refusedBy;
    q.failedMs = this.#clock.monotonicMs();
    q.failedByError = byError;
    const missed = flying.eventAt < this.#eventBase;
    const helped =
      byError || flying.updated || missed || this.#events.slice(flying.eventAt - this.#eventBase).some((e) => mayHelp(e, q.pod, refusedBy));
    this.#trimEvents();
    if (helped) this.#release(q);
    else this.#unschedulable.set(q.pod.uid, q);
  }

  /** Something changed in the cluster. */
  event(e: ClusterEvent): void {
    if (this.#inFlight.size > 0) {
      this.#events.push(e);
      if (this.#events.length > MAX_EVENTS) {
        const drop = this.#events.length - MAX_EVENTS / 2;
        this.#events = this.#events.slice(drop);
        this.#eventBase += drop;
      }
    }
    if (this.#unschedulable.size === 0) return;
    for (const [uid, q] of this.#unschedulable)
      if (mayHelp(e, q.pod, q.refusedBy)) {
        this.#unschedulable.delete(uid);
        this.#release(q);
      }
  }

  /** Moves a pod that waits for its victims' deletion, or that should be tried now. */
  activate(uid: string): void {
    const q = this.#unschedulable.get(uid) ?? this.#backoff.remove(uid);
    if (!q) return;
    this.#unschedulable.delete(uid);
    this.#activate(q);
  }

  counts(): Readonly<Record<string, number>> {
    return {
      active: this.#active.size,
      backoff: this.#backoff.size,
      unschedulable: this.#unschedulable.size,
      gated: this.#gated.size,
      inFlight: this.#inFlight.size,
    };
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
    this.#flusher?.cancel();
    this.#waiter?.(undefined);
    this.#waiter = undefined;
  }

  #take(): QueuedPod | undefined {
    let q = this.#active.pop();
    // Nothing else to do: a refused pod need not sit out its back-off (an error's cause is given the time).
    if (!q && this.#backoff.size > 0 && !this.#backoff.peek()?.failedByError) q = this.#backoff.pop();
    if (!q) return undefined;
    q.attempts++;
    this.#inFlight.set(q.pod.uid, { queued: q, eventAt: this.#eventBase + this.#events.length, updated: false });
    return q;
  }

  #activate(q: QueuedPod): void {
    this.#active.push(q);
    this.#wake();
  }

  /** From unschedulable to active, or to back-off when that is not over. */
  #release(q: QueuedPod): void {
    if (this.#dueMs(q) <= this.#clock.monotonicMs()) {
      this.#activate(q);
      return;
    }
    this.#backoff.push(q);
    if (!q.failedByError) this.#wake();
    this.#armTimer();
  }

  #wake(): void {
    if (!this.#waiter) return;
    const q = this.#take();
    if (!q) return;
    const waiter = this.#waiter;
    this.#waiter = undefined;
    waiter(q);
  }

  #dueMs(q: QueuedPod): number {
    if (q.attempts === 0) return 0;
    return q.failedMs + Math.min(this.#maxMs, this.#initialMs * 2 ** Math.min(q.attempts - 1, 20));
  }

  #armTimer(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    const first = this.#backoff.peek();
    if (!first || this.#closed) return;
    const wait = Math.max(1, this.#dueMs(first) - this.#clock.monotonicMs());
    this.#timer = this.#clock.after(wait, () => this.#flushBackoff(), { unref: true });
  }

  #flushBackoff(): void {
    const now = this.#clock.monotonicMs();
    for (let q = this.#backoff.peek(); q && this.#dueMs(q) <= now; q = this.#backoff.peek()) {
      this.#backoff.pop();
      this.#activate(q);
    }
    this.#armTimer();
  }

  #flushOld(): void {
    const now = this.#clock.monotonicMs();
    for (const [uid, q] of this.#unschedulable)
      if (now - q.failedMs >= MAX_UNSCHEDULABLE_MS) {
        this.#unschedulable.delete(uid);
        this.#release(q);
      }
  }

  #trimEvents(): void {
    if (this.#inFlight.size > 0) return;
    this.#eventBase += this.#events.length;
    this.#events = [];
  }
}

/** True when the new version asks for something else than the old one did. */
function demandsChanged(old: PodInfo, next: PodInfo): boolean {
  const demand = (p: PodInfo) => {
    const s = p.pod["spec"] ?? {};
    return JSON.stringify([
      p.labels,
      s.nodeSelector,
      s.affinity,
      s.tolerations,
      s.schedulingGates,
      s.topologySpreadConstraints,
      p.requests.cpu,
      p.requests.memory,
      s.nodeName,
    ]);
  };
  return demand(old) !== demand(next);
}
