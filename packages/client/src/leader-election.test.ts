import { seededRandom, silentLogger, systemClock } from "@podwire/base";
import { expect, test } from "vitest";
import { type LeaderElection, leaderElection } from "./leader-election.ts";
import { memoryApi } from "./memory-api.ts";
import { Resources } from "./resources.ts";

const fast = { leaseDurationMs: 1000, renewDeadlineMs: 300, retryPeriodMs: 40 };

function contest() {
  const api = memoryApi({ clock: systemClock, random: seededRandom(3) });
  const log: string[] = [];
  const run = (identity: string, client = api.client()): LeaderElection =>
    leaderElection({
      client,
      clock: systemClock,
      random: seededRandom(identity.length),
      log: silentLogger,
      namespace: "kube-system",
      name: "test",
      identity,
      ...fast,
      onStartedLeading: () => log.push(`${identity} starts`),
      onStoppedLeading: () => log.push(`${identity} stops`),
    });
  return { api, log, run };
}

async function until(what: () => boolean): Promise<void> {
  for (let i = 0; i < 600; i++) {
    if (what()) return;
    await systemClock.sleep(5);
  }
  throw new Error("it did not happen");
}

test("one of two leads; when it stops it releases the lease and the other takes over at once", async () => {
  const { api, log, run } = contest();
  const a = run("a");
  await until(() => a.isLeader);
  const b = run("b");
  await systemClock.sleep(150);
  expect(b.isLeader).toBe(false);
  expect(b.leader).toBe("a");
  const started = performance.now();
  await a.stop();
  await until(() => b.isLeader);
  expect(performance.now() - started).toBeLessThan(900);
  expect(log).toEqual(["a starts", "a stops", "b starts"]);
  const spec = api.objects(Resources.leases)[0]?.["spec"];
  expect(spec.holderIdentity).toBe("b");
  expect(spec.leaseTransitions).toBe(1);
  await b.stop();
});

test("a leader that cannot renew stops leading before another may start", async () => {
  const { api, log, run } = contest();
  const a = run("a");
  await until(() => a.isLeader);
  const b = run("b");
  api.intercept = (r) => {
    if (r.method !== "PUT" || !Buffer.from(r.body as Uint8Array).includes('"holderIdentity":"a"')) return undefined;
    return { status: 500, headers: {}, body: new Uint8Array() };
  };
  await until(() => b.isLeader);
  expect(log).toEqual(["a starts", "a stops", "b starts"]);
  await Promise.all([a.stop(), b.stop()]);
});
