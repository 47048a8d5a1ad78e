// The one loop that every controller runs: keys come in from informers, workers reconcile them one at a time a key, failures
// come back with back-off. Invariant: `reconcile` is never called for the same key twice at once, nor before all caches
// that it reads were filled.
import { type Clock, type Logger, reasonOf } from "@podwire/base";
import { isConflict, isNamespaceTerminating } from "./errors.ts";
import type { Informer } from "./informer.ts";
import type { KubeObject } from "./object.ts";
import { type WorkQueue, workQueue } from "./work-queue.ts";

export interface ControllerOptions {
  name: string;
  clock: Clock;
  log: Logger;
  /** Caches that must be filled before the first reconcile. */
  informers: readonly Pick<Informer<any>, "whenSynced">[];
  queue?: WorkQueue;
  /** Default 5, as in kube-controller-manager. */
  workers?: number;
  /** Brings one object to its specification. Throws to be called again with back-off; may ask to be called again later. */
  reconcile(key: string): Promise<ReconcileResult>;
  /** Tries of a failing key before it is dropped until its next change; default: no limit. */
  maxTries?: number;
}

/** Nothing: done. */
export type ReconcileResult = undefined | { requeueAfterMs: number };

export interface Controller {
  readonly queue: WorkQueue;
  /** Starts the workers when the caches are filled. */
  start(): Promise<void>;
  /** Stops taking keys; resolves when the reconciles under way are over. */
  stop(): Promise<void>;
  counters(): Readonly<Record<string, number>>;
}

/** Makes the loop; `start` runs it. Add keys from the informers' handlers to its `queue`. */
export function runController(o: ControllerOptions): Controller {
  const queue = o.queue ?? workQueue({ clock: o.clock });
  const counters = { reconciles: 0, errors: 0, conflicts: 0, dropped: 0 };
  let workers: Promise<void>[] = [];
  let stopped = false;

  async function work(): Promise<void> {
    for (;;) {
      const key = await queue.get();
      if (key === undefined) return;
      try {
        counters.reconciles++;
        const result = await o.reconcile(key);
        queue.forget(key);
        if (result) queue.addAfter(key, result.requeueAfterMs);
      } catch (e) {
        onFailure(key, e);
      } finally {
        queue.done(key);
      }
    }
  }

  function onFailure(key: string, e: unknown): void {
    if (stopped) return;
    if (isConflict(e)) {
      counters.conflicts++;
      o.log.debug({ controller: o.name, key, reason: reasonOf(e) }, "conflict, trying again");
    } else if (isNamespaceTerminating(e)) {
      queue.forget(key);
      return;
    } else {
      counters.errors++;
      o.log.warn({ controller: o.name, key, reason: reasonOf(e), failures: queue.failures(key) }, "reconcile failed");
    }
    if (o.maxTries !== undefined && queue.failures(key) >= o.maxTries) {
      counters.dropped++;
      queue.forget(key);
    } else queue.addRateLimited(key);
  }

  return {
    queue,
    async start() {
      await Promise.all(o.informers.map((i) => i.whenSynced()));
      if (stopped) return;
      workers = Array.from({ length: o.workers ?? 5 }, work);
    },
    async stop() {
      stopped = true;
      queue.shutDown();
      await Promise.all(workers);
    },
    counters: () => ({ ...counters, queued: queue.length }),
  };
}

/** Enqueues the key that `keyOfObject` gives for every added, changed or deleted object of `informer`. */
export function enqueueOn<T extends KubeObject>(
  informer: Informer<T>,
  queue: WorkQueue,
  keysOf: (object: T) => readonly string[] | string | undefined,
): void {
  const each = (o: T) => {
    const keys = keysOf(o);
    if (typeof keys === "string") queue.add(keys);
    else if (keys) for (const k of keys) queue.add(k);
  };
  informer.handle({
    onAdd: each,
    onUpdate(o, old) {
      each(old);
      each(o);
    },
    onDelete: each,
  });
}
