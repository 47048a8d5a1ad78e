// [sig-node] Probing container: who is restarted, who is not, and when a container is ready.
import { setTimeout as sleep } from "node:timers/promises";
import { expect } from "vitest";
import { AGNHOST, BUSYBOX, type Context, conformance } from "../harness.ts";
import type { Json } from "../rest.ts";

const PROBE = { initialDelaySeconds: 1, periodSeconds: 1, failureThreshold: 1 };
/** How long "never restarted" is watched: several periods of the probe. */
const WATCHED_MS = 6_000;

const restarts = (p: Json): number => p.status.containerStatuses?.[0].restartCount ?? 0;

async function restarted(t: Context, o: Json, times = 1): Promise<void> {
  await t.create(t.pod("probed", o));
  let seen = 0;
  const p = await t.podWhen("probed", `restarted ${times} times`, (x) => {
    expect(restarts(x)).toBeGreaterThanOrEqual(seen);
    seen = restarts(x);
    return seen >= times;
  });
  expect(p.status.containerStatuses[0].lastState.terminated).toBeDefined();
}

async function steady(t: Context, o: Json, watchedMs = WATCHED_MS): Promise<void> {
  await t.runPod("probed", o);
  await sleep(watchedMs);
  const p = await t.getPod("probed");
  expect(restarts(p)).toBe(0);
  expect(p.status.phase).toBe("Running");
}

const http = (path: string, port = 8080) => ({ livenessProbe: { ...PROBE, timeoutSeconds: 5, httpGet: { path, port } } });
const grpc = (port: number) => ({ livenessProbe: { ...PROBE, timeoutSeconds: 5, grpc: { port } } });
const exec = { livenessProbe: { ...PROBE, timeoutSeconds: 5, exec: { command: ["cat", "/tmp/health"] } } };

conformance(
  "[sig-node] Probing container should *not* be restarted with a /healthz http liveness probe [NodeConformance] [Conformance]",
  (t) => steady(t, { args: ["test-webserver"], container: http("/", 80) }),
);
conformance("[sig-node] Probing container should *not* be restarted with a GRPC liveness probe [NodeConformance] [Conformance]", (t) =>
  steady(t, { args: ["grpc-health-checking"], container: grpc(5000) }),
);
conformance(
  '[sig-node] Probing container should *not* be restarted with a exec "cat /tmp/health" liveness probe [NodeConformance] [Conformance]',
  (t) => steady(t, { image: BUSYBOX, command: ["/bin/sh", "-c", "echo ok >/tmp/health; sleep 600"], container: exec }),
);
conformance("[sig-node] Probing container should *not* be restarted with a tcp:8080 liveness probe [NodeConformance] [Conformance]", (t) =>
  // The server answers HTTP with errors after ten seconds, which a probe of the socket does not see.
  steady(t, { args: ["liveness"], container: { livenessProbe: { ...PROBE, timeoutSeconds: 5, tcpSocket: { port: 8080 } } } }, 13_000),
);
conformance(
  "[sig-node] Probing container should be restarted with a /healthz http liveness probe [NodeConformance] [Conformance]",
  async (t) => {
    await restarted(t, { args: ["liveness"], container: http("/healthz") });
    const p = await t.getPod("probed");
    // The server answers 200 for ten seconds: it was not killed before it failed.
    const { startedAt, finishedAt } = p.status.containerStatuses[0].lastState.terminated;
    expect(Date.parse(finishedAt) - Date.parse(startedAt)).toBeGreaterThanOrEqual(9_000);
  },
);
conformance("[sig-node] Probing container should be restarted with a GRPC liveness probe [NodeConformance] [Conformance]", (t) =>
  restarted(t, { args: ["grpc-health-checking"], container: grpc(2333) }),
);
conformance(
  '[sig-node] Probing container should be restarted with a exec "cat /tmp/health" liveness probe [NodeConformance] [Conformance]',
  (t) =>
    restarted(t, {
      image: BUSYBOX,
      command: ["/bin/sh", "-c", "echo ok >/tmp/health; sleep 2; rm -rf /tmp/health; sleep 600"],
      container: exec,
    }),
);
conformance(
  "[sig-node] Probing container should have monotonically increasing restart count [NodeConformance] [Conformance]",
  async (t) => {
    // Each restart waits longer: 0, 10, 20 seconds.
    await restarted(t, { args: ["test-webserver"], container: http("/healthz", 81) }, 3);
  },
);

conformance(
  "[sig-node] Probing container with readiness probe should not be ready before initial delay and never restart [NodeConformance] [Conformance]",
  async (t) => {
    const delaySeconds = 4;
    await t.create(
      t.pod("probed", {
        image: AGNHOST,
        args: ["test-webserver"],
        container: { readinessProbe: { httpGet: { path: "/", port: 80 }, initialDelaySeconds: delaySeconds, periodSeconds: 1 } },
      }),
    );
    const p = await t.podReady("probed");
    const ready = p.status.conditions.find((c: Json) => c.type === "Ready").lastTransitionTime;
    const started = p.status.containerStatuses[0].state.running.startedAt;
    expect(Date.parse(ready) - Date.parse(started)).toBeGreaterThanOrEqual((delaySeconds - 1) * 1000);
    expect(restarts(p)).toBe(0);
  },
);
