// metrics.k8s.io over a bus in memory, on which a kubelet tells what its containers have counted.
import { silentLogger, systemClock, systemRandom } from "@podwire/base";
import { memoryBus, subjectsOf } from "@podwire/bus";
import { openMemoryStore } from "@podwire/store";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type InProcess, startInProcess } from "../in-process.ts";
import { durationText, type Sample, usageOf } from "./usage.ts";

let api: InProcess;
let looks = 0;
const startedMs = Date.now() - 60_000;

beforeAll(async () => {
  const base = { clock: systemClock, random: systemRandom(), log: silentLogger };
  const broker = memoryBus();
  const bus = (identity: string) => broker.connect({ cluster: "c", identity, ...base });
  const serverBus = bus("apiserver");
  const node = bus("node:n1");
  api = await startInProcess({ bus: serverBus, store: openMemoryStore({ ...base, bus: serverBus }) });
  await api.request("POST", "/api/v1/nodes", { metadata: { name: "n1", labels: { zone: "a" } } });
  await api.request("POST", "/api/v1/nodes", { metadata: { name: "silent" } });
  await api.request("POST", "/api/v1/namespaces/default/serviceaccounts", { metadata: { name: "default" } });
  const uids: string[] = [];
  for (const name of ["busy", "idle"]) {
    const spec = { nodeName: "n1", containers: [{ name: "c", image: "i" }] };
    const made = await api.request("POST", "/api/v1/namespaces/default/pods", { metadata: { name, labels: { app: name } }, spec });
    uids.push(made.body.metadata.uid);
    const status = {
      phase: "Running",
      containerStatuses: [{ name: "c", image: "i", imageID: "", ready: true, restartCount: 0, state: { running: {} } }],
    };
    await api.request("PATCH", `/api/v1/namespaces/default/pods/${name}/status`, { status });
  }
  node.serveStreams(subjectsOf("c").kubelet("n1"), (open, stream) => {
    if ((open as { op: string }).op !== "stats") return stream.end();
    looks++;
    const startTime = new Date(startedMs).toISOString();
    const container = (cores: number, workingSetBytes: number) => ({
      name: "c",
      startTime,
      cpu: { usageCoreNanoSeconds: Math.round((Date.now() - startedMs) * 1e6 * cores) },
      memory: { workingSetBytes },
    });
    const pods = [container(0.25, 3 * 1024 * 1024), container(0, 1024)].map((c, i) => ({ podRef: { uid: uids[i] }, containers: [c] }));
    void stream.send({ node: { nodeName: "n1", ...container(0.5, 64 * 1024 * 1024) }, pods }).then(() => stream.end());
  });
});
afterAll(() => api.stop());

const group = "/apis/metrics.k8s.io/v1beta1";
const milli = (cpu: string) => (cpu === "0" ? 0 : Number.parseInt(cpu, 10) / 1e6);

it("measures pods, selected by label, and shares one look", async () => {
  const answers = await Promise.all([1, 2, 3].map(() => api.request("GET", `${group}/namespaces/default/pods`)));
  const [busy, idle] = (answers[0] as { body: any }).body.items;
  expect(answers[0]?.body.kind).toBe("PodMetricsList");
  expect(busy).toMatchObject({ metadata: { name: "busy", namespace: "default", labels: { app: "busy" } }, containers: [{ name: "c" }] });
  expect(milli(busy.containers[0].usage.cpu)).toBeGreaterThan(150);
  expect(milli(busy.containers[0].usage.cpu)).toBeLessThan(400);
  expect(idle.containers[0].usage).toEqual({ cpu: "0", memory: "1Ki" });
  expect(busy.containers[0].usage.memory).toBe("3072Ki");
  expect(busy.window).toMatch(/^[\d.]+s$/);
  expect(looks).toBeLessThanOrEqual(4);
  const some = await api.request("GET", `${group}/pods?labelSelector=app%3Didle`);
  expect(some.body.items.map((i: any) => i.metadata.name)).toEqual(["idle"]);
});

it("measures nodes that tell, and leaves out those that do not", async () => {
  const { items } = (await api.request("GET", `${group}/nodes`)).body;
  expect(items.map((i: any) => [i.kind, i.metadata.name, i.usage.memory])).toEqual([["NodeMetrics", "n1", "65536Ki"]]);
  expect((await api.request("GET", `${group}/nodes/n1`)).body.metadata.labels).toEqual({ zone: "a" });
  const absent = await api.request("GET", `${group}/nodes/silent`);
  expect([absent.status, absent.body.message]).toEqual([404, 'nodemetrics.metrics.k8s.io "silent" not found']);
  expect((await api.request("GET", `${group}/namespaces/default/pods/nope`)).body.message).toBe('pods "nope" not found');
});

it("is discovered, printed and refused as a group of its own", async () => {
  const list = (await api.request("GET", group)).body;
  expect(list.resources.map((r: any) => [r.name, r.kind, r.namespaced, r.verbs])).toEqual([
    ["nodes", "NodeMetrics", false, ["get", "list"]],
    ["pods", "PodMetrics", true, ["get", "list"]],
  ]);
  const available = (await api.request("GET", "/apis/apiregistration.k8s.io/v1/apiservices/v1beta1.metrics.k8s.io")).body;
  expect(available.status.conditions[0]).toMatchObject({ type: "Available", status: "True" });
  const accept = "application/json;as=Table;g=meta.k8s.io;v=v1";
  const table = (await api.request("GET", `${group}/nodes`, undefined, { headers: { accept } })).body;
  expect(table.columnDefinitions.map((c: any) => c.name)).toEqual(["Name", "cpu", "memory", "Window"]);
  expect(table.rows[0].cells[0]).toBe("n1");
  expect((await api.request("DELETE", `${group}/nodes/n1`)).status).toBe(405);
  const user = { name: "u", groups: ["system:authenticated"] };
  expect((await api.request("GET", `${group}/nodes`, undefined, { user })).status).toBe(403);
});

it("measures from the start what was not there before, or began anew", () => {
  const sample = (atMs: number, cpuNanoSeconds: number, startedMs: number): Sample => ({
    atMs,
    counters: new Map([["x", { atMs, cpuNanoSeconds, memoryBytes: 5, startedMs }]]),
  });
  expect(usageOf("x", undefined, sample(2_000, 1e9, 1_000))).toEqual({ atMs: 2_000, windowMs: 1_000, nanoCores: 1e9, memoryBytes: 5 });
  expect(usageOf("x", sample(1_000, 1e9, 0), sample(3_000, 2e9, 0))?.nanoCores).toBe(5e8);
  expect(usageOf("x", sample(1_000, 1e9, 0), sample(3_000, 1e8, 2_000))).toMatchObject({ windowMs: 1_000, nanoCores: 1e8 });
  expect(usageOf("y", undefined, sample(1, 1, 0))).toBeUndefined();
  expect([durationText(15_012), durationText(61_000), durationText(3_600_000)]).toEqual(["15.012s", "1m1s", "1h0m0s"]);
});
