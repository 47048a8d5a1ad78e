// A controller that looks at everything once a period instead of at keys. Invariant: one look at a time; a failing look is logged
// and the next comes after the period.
import { reasonOf, type Timer } from "@podwire/base";
import type { Informer } from "@podwire/client";
import type { ControllerContext, RunningController } from "./context.ts";

export function periodic(
  c: Pick<ControllerContext, "clock" | "log">,
  name: string,
  informers: readonly Pick<Informer<any>, "whenSynced">[],
  periodMs: number,
  look: () => Promise<void>,
  counters: () => Record<string, number> = () => ({}),
): RunningController {
  let timer: Timer | undefined;
  let running: Promise<void> = Promise.resolve();
  let stopped = false;
  let looks = 0;
  let errors = 0;
  const once = async () => {
    looks++;
    try {
      await look();
    } catch (e) {
      errors++;
      if (!stopped) c.log.warn({ controller: name, reason: reasonOf(e) }, "a look failed");
    }
    if (!stopped) timer = c.clock.after(periodMs, () => void (running = once()), { unref: true });
  };
  return {
    async start() {
      await Promise.all(informers.map((i) => i.whenSynced()));
      if (!stopped) running = once();
    },
    async stop() {
      stopped = true;
      timer?.cancel();
      await running;
    },
    counters: () => ({ looks, errors, ...counters() }),
  };
}
