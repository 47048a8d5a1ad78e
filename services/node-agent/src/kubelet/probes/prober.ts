// The probes of one container over its life (prober/worker.go): initial delay, period, thresholds; startup holds back the others.
// Invariant: a result is reported only when a threshold is reached, and never after `stop`.
import type { Probe } from "@podwire/api";
import { type Clock, type Random, reasonOf } from "@podwire/base";
import { type ProbeTarget, runProbe } from "./probe.ts";

export type ProbeKind = "Startup" | "Liveness" | "Readiness";

export interface ProbeReport {
  onStarted(): void;
  onReady(ready: boolean): void;
  /** Liveness or startup failed: the container is to be killed. */
  onUnhealthy(kind: "Startup" | "Liveness"): void;
  /** Every attempt that did not simply succeed, for its event: it failed, could not run (no result), or succeeded with a warning. */
  onTrouble(kind: ProbeKind, what: "failed" | "errored" | "warning", output: string): void;
  /** The pod is about to end: only readiness is still asked. */
  readonly ending: boolean;
}

/** How often a probe of a container ended how. */
export interface ProbeCount {
  container: string;
  kind: ProbeKind;
  results: { successful: number; failed: number };
}

/** Attempts before a failure counts, as the kubelet repeats a probe that could not run. */
const MAX_ATTEMPTS = 3;

export class Prober {
  readonly #target: ProbeTarget;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #report: ProbeReport;
  readonly #abort = new AbortController();
  readonly counts: ProbeCount[] = [];

  constructor(o: { target: ProbeTarget; clock: Clock; random: Random; report: ProbeReport }) {
    this.#target = o.target;
    this.#clock = o.clock;
    this.#random = o.random;
    this.#report = o.report;
  }

  start(): void {
    const { startupProbe, livenessProbe, readinessProbe } = this.#target.spec;
    const later = () => {
      this.#report.onStarted();
      if (livenessProbe) void this.#loop("Liveness", livenessProbe);
      if (readinessProbe) void this.#loop("Readiness", readinessProbe);
      else this.#report.onReady(true);
    };
    if (startupProbe) void this.#loop("Startup", startupProbe, later);
    else later();
  }

  stop(): void {
    this.#abort.abort();
  }

  async #loop(kind: ProbeKind, probe: Probe, onSuccess?: () => void): Promise<void> {
    const { signal } = this.#abort;
    const periodMs = (probe.periodSeconds ?? 10) * 1000;
    const successAt = probe.successThreshold ?? 1;
    const failureAt = probe.failureThreshold ?? 3;
    const startedMs = this.#target.container.startedMs;
    let last: "success" | "failure" | undefined;
    let run = 0;
    const count: ProbeCount = { container: this.#target.spec.name!, kind, results: { successful: 0, failed: 0 } };
    this.counts.push(count);
    try {
      const wait = startedMs + (probe.initialDelaySeconds ?? 0) * 1000 - this.#clock.nowMs();
      if (wait > 0) await this.#clock.sleep(wait, signal);
      else if (kind !== "Readiness" && probe.exec) await this.#clock.sleep(this.#random.below(50), signal);
      for (;;) {
        // Who ends is not restarted.
        if (this.#report.ending && kind !== "Readiness") return;
        const outcome = await this.#attempt(probe);
        if (signal.aborted) return;
        if (outcome?.result === "unknown") this.#report.onTrouble(kind, "errored", outcome.output);
        else if (outcome !== undefined) {
          if (outcome.result === "failure") this.#report.onTrouble(kind, "failed", outcome.output);
          if (outcome.result === "warning") this.#report.onTrouble(kind, "warning", outcome.output);
          const result = outcome.result === "failure" ? "failure" : "success";
          count.results[result === "success" ? "successful" : "failed"]++;
          run = result === last ? run + 1 : 1;
          last = result;
          if (result === "success" && run >= successAt) {
            if (kind === "Readiness") this.#report.onReady(true);
            if (kind === "Startup") return onSuccess?.();
          }
          if (result === "failure" && run >= failureAt) {
            if (kind === "Readiness") this.#report.onReady(false);
            else return this.#report.onUnhealthy(kind);
          }
        }
        await this.#clock.sleep(periodMs, signal);
      }
    } catch (e) {
      if (!signal.aborted) this.#report.onTrouble(kind, "errored", reasonOf(e));
    }
  }

  async #attempt(probe: Probe) {
    for (let i = 1; ; i++) {
      if (!this.#target.container.running) return undefined;
      const outcome = await runProbe(probe, this.#target);
      if (outcome.result !== "unknown" || i >= MAX_ATTEMPTS) return outcome;
    }
  }
}
