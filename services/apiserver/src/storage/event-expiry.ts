// --event-ttl: Events live this long after they were last written, as etcd's leases make them.
// Invariant: an Event is deleted at the revision whose age was judged, so that one that was just written again stays.
import type { KubeObject } from "@podwire/api";
import type { Clock, Logger } from "@podwire/base";
import { RevisionConflictError } from "@podwire/store";
import type { WatchCache } from "../cache/watch-cache.ts";
import type { ObjectStorage } from "./object-storage.ts";

/** How many times a TTL the store is looked over, at least once in MAX_PERIOD_MS. */
const LOOKS_PER_TTL = 20;
const MIN_PERIOD_MS = 1_000;
const MAX_PERIOD_MS = 60_000;
/** Deletions of one look; the rest waits for the next. */
const MAX_DELETIONS = 5_000;

export class EventExpiry {
  readonly #o: { cache: WatchCache; storage: ObjectStorage; clock: Clock; log: Logger; ttlMs: number };
  #timer: { cancel(): void } | undefined;
  #busy = false;

  constructor(o: { cache: WatchCache; storage: ObjectStorage; clock: Clock; log: Logger; ttlMs: number }) {
    this.#o = o;
  }

  start(): void {
    const { clock, ttlMs, log } = this.#o;
    if (ttlMs === 0) return;
    const period = Math.min(MAX_PERIOD_MS, Math.max(MIN_PERIOD_MS, ttlMs / LOOKS_PER_TTL));
    this.#timer = clock.every(period, () => void this.sweep().catch((err) => log.warn({ err }, "old events could not be removed")), {
      unref: true,
    });
  }

  stop(): void {
    this.#timer?.cancel();
  }

  /** Deletes what is too old now; resolves with how many. */
  async sweep(): Promise<number> {
    if (this.#busy) return 0;
    this.#busy = true;
    try {
      const before = this.#o.clock.nowMs() - this.#o.ttlMs;
      const old = [...this.#o.cache.of("", "events").values()].filter((e) => lastWrittenMs(e.object) < before).slice(0, MAX_DELETIONS);
      let deleted = 0;
      for (const e of old) {
        try {
          await this.#o.storage.delete(e.key, e.object, e.revision);
          deleted++;
        } catch (x) {
          if (!(x instanceof RevisionConflictError) && (x as Error).name !== "KeyNotFoundError") throw x;
        }
      }
      return deleted;
    } finally {
      this.#busy = false;
    }
  }
}

/** The server's own stamps: creation, and the times of the writers. */
function lastWrittenMs(o: KubeObject): number {
  let at = Date.parse(o.metadata.creationTimestamp ?? "") || 0;
  for (const m of o.metadata.managedFields ?? []) at = Math.max(at, Date.parse(m.time ?? "") || 0);
  return at;
}
