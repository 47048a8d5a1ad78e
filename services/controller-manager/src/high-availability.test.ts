// Two controller-managers on one API: one leads; when it dies without a word the other takes over and nothing is done twice.
import { seededRandom, silentLogger } from "@podwire/base";
import { memoryBus } from "@podwire/bus";
import { type ApiTransport, ApiUnreachableError, apiClient, type KubeObject, memoryApi, Resources } from "@podwire/client";
import { virtualClock } from "@podwire/testkit";
import { expect, test } from "vitest";
import { DEFAULT_SETTINGS } from "./context.ts";
import { controllerManager } from "./manager.ts";
import { builtinCollections } from "./resource-table.ts";

test("the leader is cut off: the other one goes on, with no pod too many", async () => {
  const clock = virtualClock();
  const random = seededRandom(2);
  const base = { clock, random, log: silentLogger };
  const broker = memoryBus();
  const bus = (identity: string) => broker.connect({ cluster: "ha", identity, ...base });
  const api = memoryApi({ ...base, bus: bus("apiserver"), resources: builtinCollections().map((c) => c.ref) });
  const cut = new Set<string>();
  const lost: string[] = [];
  const start = (identity: string) => {
    const transport: ApiTransport = {
      ...api.transport,
      request: async (r, o) => {
        if (cut.has(identity)) throw new ApiUnreachableError("cut off");
        return api.transport.request(r, o);
      },
    };
    const manager = controllerManager({
      ...base,
      client: apiClient(transport, { clock }),
      bus: bus("controller-manager"),
      settings: DEFAULT_SETTINGS,
      controllers: ["replicaset-controller"],
      leaderElection: { identity, leaseDurationMs: 15_000, renewDeadlineMs: 10_000, retryPeriodMs: 2_000 },
      onLost: () => lost.push(identity),
    });
    void manager.start();
    return manager;
  };
  const a = start("a");
  await clock.advance(1_000);
  const b = start("b");
  await clock.advance(5_000);
  expect([a.leading, b.leading]).toEqual([true, false]);

  const set = (name: string): KubeObject => ({
    metadata: { name, namespace: "default" },
    spec: {
      replicas: 3,
      selector: { matchLabels: { app: name } },
      template: { metadata: { labels: { app: name } }, spec: { containers: [] } },
    },
  });
  await api.client().create(Resources.replicaSets, set("one"));
  await clock.advance(2_000);
  expect(api.objects(Resources.pods).length).toBe(3);

  cut.add("a");
  await api.client().create(Resources.replicaSets, set("two"));
  await clock.advance(12_000);
  expect(lost).toEqual(["a"]);
  expect(b.leading).toBe(false);
  await clock.advance(20_000);
  expect(b.leading).toBe(true);
  expect(api.objects(Resources.pods).length).toBe(6);
  expect(api.objects(Resources.leases)[0]?.["spec"]).toMatchObject({ holderIdentity: "b", leaseTransitions: 1 });
  await Promise.all([a.stop(), b.stop()].map((p) => Promise.race([p, clock.advance(5_000)])));
});

test("the leader is cut off in the middle of its writes, the last answer lost: the other one makes what is missing and no more", async () => {
  const clock = virtualClock();
  const base = { clock, random: seededRandom(4), log: silentLogger };
  const broker = memoryBus();
  const bus = (identity: string) => broker.connect({ cluster: "ha", identity, ...base });
  const api = memoryApi({ ...base, bus: bus("apiserver"), resources: builtinCollections().map((c) => c.ref) });
  let writesLeft = Number.POSITIVE_INFINITY;
  const start = (identity: string) => {
    const transport: ApiTransport = {
      ...api.transport,
      request: async (r, o) => {
        if (identity === "a" && writesLeft <= 0) throw new ApiUnreachableError("cut off");
        const answer = await api.transport.request(r, o);
        if (identity === "a" && r.method === "POST" && r.path.endsWith("/pods") && --writesLeft === 0)
          throw new ApiUnreachableError("the answer was lost");
        return answer;
      },
    };
    const manager = controllerManager({
      ...base,
      client: apiClient(transport, { clock }),
      bus: bus("controller-manager"),
      settings: DEFAULT_SETTINGS,
      controllers: ["deployment-controller", "replicaset-controller"],
      leaderElection: { identity, leaseDurationMs: 15_000, renewDeadlineMs: 10_000, retryPeriodMs: 2_000 },
      onLost() {},
    });
    void manager.start();
    return manager;
  };
  const a = start("a");
  await clock.advance(1_000);
  const b = start("b");
  await clock.advance(5_000);
  writesLeft = 4;
  await api.client().create(Resources.deployments, {
    metadata: { name: "web", namespace: "default", generation: 1 },
    spec: {
      replicas: 10,
      selector: { matchLabels: { app: "web" } },
      strategy: { type: "RollingUpdate", rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
      template: { metadata: { labels: { app: "web" } }, spec: { containers: [{ name: "c", image: "v1" }] } },
    },
  } as KubeObject);
  await clock.advance(60_000);
  expect(b.leading).toBe(true);
  expect(api.objects(Resources.replicaSets).length).toBe(1);
  expect(api.objects(Resources.pods).length).toBe(10);
  // Every pod that was ever made is still there: none was made twice and taken away again.
  expect(api.writes.get("POST pods")).toBe(10);
  const events = api.objects(Resources.events).filter((e) => e["reason"] === "ScalingReplicaSet");
  expect(events.reduce((n, e) => n + (e["count"] ?? 1), 0)).toBe(1);
  await Promise.all([a.stop(), b.stop()].map((p) => Promise.race([p, clock.advance(5_000)])));
});
