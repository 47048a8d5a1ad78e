import { seededRandom } from "@podwire/base";
import { expect, test } from "vitest";
import { type FaultStep, faultPlan, runFaultPlan } from "./fault-plan.ts";
import { virtualClock } from "./virtual-clock.ts";

const options = { durationMs: 60_000, ports: ["a", "b"], addresses: ["172.30.1.1"], processes: ["nats"] };

test("a seed is a plan; every fault ends within it", () => {
  const plan = faultPlan(seededRandom(1), options);
  expect(faultPlan(seededRandom(1), options)).toEqual(plan);
  expect(faultPlan(seededRandom(2), options)).not.toEqual(plan);
  expect(plan.length).toBeGreaterThan(10);
  const last = new Map<string, FaultStep>();
  for (const s of plan) {
    expect(s.atMs).toBeLessThanOrEqual(60_000);
    last.set(s.target, s);
  }
  expect(last.get("nats")?.action).toEqual({ kind: "start" });
  expect(last.get("a")?.action).toMatchObject({ kind: "wire", faults: { lossPercent: 0, partitionedFrom: [] } });
});

test("the plan is carried out at its times; a failing step does not stop it", async () => {
  const clock = virtualClock();
  const plan = faultPlan(seededRandom(1), options);
  const seen: number[] = [];
  const errors: unknown[] = [];
  const run = runFaultPlan(
    clock,
    plan,
    () => {
      seen.push(clock.monotonicMs());
      if (seen.length === 2) throw new Error("no such port");
    },
    (_s, e) => errors.push(e),
  );
  await clock.advance(60_000);
  await run;
  expect(seen).toEqual(plan.map((s) => s.atMs));
  expect(errors).toHaveLength(1);
});
