// When to compact: every period, up to the revision that was current one period ago (etcd's and kube-apiserver's habit),
// so that a feed has at least one period to fetch what it has not seen.
import { type Clock, type Logger, reasonOf } from "@podwire/base";
import type { Store } from "./contract.ts";

/** kube-apiserver's --etcd-compaction-interval. */
export const DEFAULT_COMPACTION_PERIOD_MS = 300_000;

/** Compacts until `stop` is called. A failed attempt is logged and made good by the next. */
export function startCompaction(store: Store, opts: { clock: Clock; log: Logger; periodMs?: number }): { stop(): void } {
  let previous: number | undefined;
  let busy = false;
  const timer = opts.clock.every(
    opts.periodMs ?? DEFAULT_COMPACTION_PERIOD_MS,
    async () => {
      if (busy) return;
      busy = true;
      try {
        const current = await store.currentRevision();
        if (previous !== undefined) await store.compact(previous);
        previous = current;
      } catch (err) {
        opts.log.warn({ err: reasonOf(err) }, "compaction failed; the next one makes it good");
      } finally {
        busy = false;
      }
    },
    { unref: true },
  );
  return { stop: () => timer.cancel() };
}
