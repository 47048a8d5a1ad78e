// postStart and preStop hooks: exec in the container, a request to the pod, or a sleep (lifecycle/handlers.go).
import type { LifecycleHandler } from "@podwire/api";
import { PodwireError } from "@podwire/base";
import { type ProbeTarget, runProbe } from "./probes/probe.ts";

export class HookError extends PodwireError {}

/** A hook has no timeout of its own; what limits it is the caller's abort signal. */
const HOOK_TIMEOUT_SECONDS = 24 * 3600;

export async function runHook(h: LifecycleHandler, t: ProbeTarget, signal: AbortSignal): Promise<void> {
  if (h.sleep) {
    await t.clock.sleep(Number(h.sleep.seconds) * 1000, signal).catch(() => undefined);
    return;
  }
  const outcome = runProbe({ timeoutSeconds: HOOK_TIMEOUT_SECONDS, ...(h as object) } as never, t);
  const aborted = new Promise<undefined>((resolve) => signal.addEventListener("abort", () => resolve(undefined), { once: true }));
  const o = await Promise.race([outcome, aborted]);
  if (o === undefined || o.result === "success" || o.result === "warning") return;
  // Any answer of an HTTP server is good enough for a hook.
  if (h.httpGet && o.output.startsWith("HTTP probe failed with statuscode")) return;
  throw new HookError(
    h.exec ? `Exec lifecycle hook (${JSON.stringify(h.exec.command)}) for Container "${t.spec.name}" failed: ${o.output}` : o.output,
  );
}
