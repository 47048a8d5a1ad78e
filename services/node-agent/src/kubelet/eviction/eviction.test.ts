// Eviction: thresholds, ranks, messages and conditions, on plain observations and a clock that the test owns.
import { silentLogger } from "@podwire/base";
import { virtualClock } from "@podwire/testkit";
import { expect, it } from "vitest";
import type { PodUsage } from "../stats/usage.ts";
import { EvictionManager } from "./eviction-manager.ts";
import { type Eviction, overLocalLimits, rank } from "./plan.ts";
import { combineThresholds, parseMinimumReclaim, parseThresholds, type Signal, type Threshold } from "./thresholds.ts";

const MI = 1024 ** 2;
const usage = (
  name: string,
  o: { memory?: number; request?: string; priority?: number; disk?: number; processes?: number; spec?: object } = {},
) =>
  ({
    pod: {
      metadata: { name, uid: name, namespace: "d" },
      spec: {
        priority: o.priority ?? 0,
        containers: [{ name: "c", resources: o.request ? { requests: { memory: o.request, "ephemeral-storage": o.request } } : {} }],
        ...o.spec,
      },
    },
    containers: [{ name: "c", memoryBytes: (o.memory ?? 0) * MI, rootfsBytes: (o.disk ?? 0) * MI, logBytes: 0 }],
    volumes: [],
    memoryBytes: (o.memory ?? 0) * MI,
    diskBytes: (o.disk ?? 0) * MI,
    processes: o.processes ?? 1,
    diskInodes: 1,
  }) as unknown as PodUsage;

it("thresholds are read as the kubelet reads them", () => {
  expect(parseThresholds("memory.available<100Mi,nodefs.available<10%")).toEqual([
    { signal: "memory.available", quantity: 100 * MI, fraction: undefined, text: "100Mi" },
    { signal: "nodefs.available", quantity: undefined, fraction: 0.1, text: "10%" },
  ]);
  expect(parseThresholds("memory.free<1Gi")).toBe("unsupported eviction signal memory.free");
  expect(parseThresholds("memory.available>1Gi")).toBe(
    "invalid eviction threshold syntax memory.available>1Gi, expected <signal>operator<value>",
  );
});

it("who uses more than it asked for goes first, then low priority, then the largest excess", () => {
  const pods = [
    usage("within", { memory: 50, request: "100Mi", priority: -5 }),
    usage("important", { memory: 300, request: "100Mi", priority: 10 }),
    usage("over", { memory: 150, request: "100Mi" }),
    usage("best", { memory: 120 }),
  ];
  expect(rank("memory", pods).map((p) => p.pod.metadata!.name)).toEqual(["best", "over", "important", "within"]);
});

it("limits of a pod's own local storage", () => {
  const volumes = [{ name: "cache", emptyDir: { sizeLimit: "1Mi" } }];
  const p = usage("v", { spec: { volumes, containers: [{ name: "c" }] } });
  p.volumes.push({ name: "cache", bytes: 2 * MI, inodes: 1, onDisk: true, limitBytes: undefined });
  expect(overLocalLimits([p])[0]?.message).toBe('Usage of EmptyDir volume "cache" exceeds the limit "1Mi". ');
  const limited = usage("l", {
    disk: 3,
    spec: {
      containers: [
        { name: "c", resources: { limits: { "ephemeral-storage": "2Mi" } } },
        { name: "d", resources: { limits: { "ephemeral-storage": "8Mi" } } },
      ],
    },
  });
  expect(overLocalLimits([limited])[0]?.message).toBe('Container c exceeded its local ephemeral storage limit "2Mi". ');
  expect(overLocalLimits([usage("w", { disk: 100 })])).toEqual([]);
});

it("evicts one pod a look, sets the condition at once and takes it back after the transition period", () => {
  const clock = virtualClock();
  let pods = [usage("a", { memory: 600 }), usage("b", { memory: 400, request: "500Mi" })];
  const evicted: Eviction[] = [];
  const events: string[] = [];
  let changes = 0;
  const manager = new EvictionManager({
    thresholds: parseThresholds("memory.available<100Mi") as Threshold[],
    transitionMs: 300_000,
    periodMs: 10_000,
    usage: () => pods,
    observe: (list) => {
      const used = list.reduce((n, p) => n + p.memoryBytes, 0);
      return new Map([["memory.available" as Signal, { available: 1024 * MI - used, capacity: 1024 * MI }]]);
    },
    reclaimImages: () => false,
    evict: (e) => void evicted.push(e),
    nodeEvent: (_t, reason, message) => void events.push(`${reason}: ${message}`),
    onChange: () => changes++,
    clock,
    log: silentLogger,
  });
  manager.look();
  manager.look();
  expect(evicted.map((e) => e.pod.metadata!.name)).toEqual(["a"]);
  expect(evicted[0]?.message).toBe(
    "The node was low on resource: memory. Threshold quantity: 100Mi, available: 24Mi. Container c was using 600Mi, request is 0, has larger consumption of memory. ",
  );
  expect(events).toEqual(["EvictionThresholdMet: Attempting to reclaim memory"]);
  expect([manager.pressures(), changes]).toEqual([["MemoryPressure"], 1]);
  pods = [pods[1] as PodUsage];
  clock.tick(299_000);
  manager.look();
  expect(manager.pressures()).toEqual(["MemoryPressure"]);
  clock.tick(2_000);
  manager.look();
  expect([manager.pressures(), changes]).toEqual([[], 2]);
  expect(evicted).toHaveLength(1);
});

it("a soft threshold waits its grace period, and a crossed one is resolved when its minimum reclaim is there", () => {
  const clock = virtualClock();
  const soft = parseThresholds("memory.available<300Mi") as Threshold[];
  expect(combineThresholds([], soft, new Map(), new Map())).toBe(
    "grace period must be specified for the soft eviction threshold memory.available",
  );
  const reclaim = parseMinimumReclaim("memory.available=200Mi") as ReturnType<typeof parseMinimumReclaim> & Map<string, never>;
  const thresholds = combineThresholds([], soft, new Map([["memory.available", 90_000]]), reclaim) as Threshold[];
  let free = 250;
  let pods = [usage("a", { memory: 300 }), usage("b", { memory: 200 }), usage("c", { memory: 100 })];
  const evicted: Eviction[] = [];
  const manager = new EvictionManager({
    thresholds,
    transitionMs: 1,
    periodMs: 10_000,
    usage: () => pods,
    observe: () => new Map([["memory.available" as Signal, { available: free * MI, capacity: 1024 * MI }]]),
    reclaimImages: () => false,
    evict: (e) => void evicted.push(e),
    nodeEvent: () => undefined,
    onChange: () => undefined,
    clock,
    log: silentLogger,
  });
  manager.look();
  expect([manager.pressures(), evicted.length]).toEqual([["MemoryPressure"], 0]);
  clock.tick(60_000);
  // It was not crossed for a moment: the time begins again.
  free = 600;
  manager.look();
  free = 250;
  clock.tick(60_000);
  manager.look();
  clock.tick(60_000);
  manager.look();
  expect(evicted).toEqual([]);
  clock.tick(30_000);
  manager.look();
  expect(evicted.map((e) => [e.pod.metadata!.name, e.soft])).toEqual([["a", true]]);
  // 300Mi are there again, but not the 200Mi more: the next one goes.
  pods = pods.slice(1);
  free = 450;
  manager.look();
  expect(evicted.map((e) => e.pod.metadata!.name)).toEqual(["a", "b"]);
  pods = pods.slice(1);
  free = 550;
  manager.look();
  clock.tick(100_000);
  manager.look();
  expect(evicted).toHaveLength(2);
});
