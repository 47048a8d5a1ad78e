// Two nodes in one process, on a bus and an API in memory: pods get addresses, run, answer over the tunnel, restart, end.
import fs from "node:fs";
import https from "node:https";
import os from "node:os";
import path from "node:path";
import tls from "node:tls";
import { seededRandom, silentLogger, systemClock, z } from "@podwire/base";
import { memoryBus } from "@podwire/bus";
import { memoryApi, Resources } from "@podwire/client";
import { afterEach, beforeEach, expect, it } from "vitest";
import { FLAGS, type NodeAgentConfig } from "./config.ts";
import { NodeAgent } from "./node-agent.ts";

const clock = systemClock;
const random = seededRandom(7);
const log = silentLogger;
let api: ReturnType<typeof memoryApi>;
let nodes: NodeAgent[] = [];
let folder: string;
let bus: ReturnType<typeof memoryBus>;

function startNode(i: number, flags: Record<string, string> = {}): NodeAgent {
  const name = `node-${i}`;
  const open = { "anonymous-auth": "true", "authorization-mode": "AlwaysAllow" };
  const config = z.object(FLAGS).parse({ "node-status-update-frequency": "1s", ...open, ...flags }) as NodeAgentConfig;
  const node = new NodeAgent({
    config,
    nodeName: name,
    address: `172.30.1.${i}`,
    stateDir: path.join(folder, name),
    bus: bus.connect({ cluster: "t", identity: `node:${name}`, clock, random, log }),
    client: api.client(),
    clock,
    random,
    log,
  });
  nodes.push(node);
  return node;
}

beforeEach(async () => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), "podwire-node-"));
  bus = memoryBus();
  const apiBus = bus.connect({ cluster: "t", identity: "apiserver", clock, random, log });
  api = memoryApi({ clock, random, bus: apiBus });
  nodes = [];
  for (const i of [1, 2]) {
    const n = startNode(i);
    await Promise.race([n.start(), clock.sleep(2000)]);
    await api.client().patch(Resources.nodes, "", `node-${i}`, "merge", { spec: { podCIDR: `10.244.${i}.0/24` } });
  }
});

afterEach(async () => {
  for (const n of nodes) await n.stop();
  fs.rmSync(folder, { recursive: true, force: true });
});

const pod = (name: string, node: string, spec: object, extra: object = {}) =>
  api.client().create(Resources.pods, {
    metadata: { name, namespace: "default", labels: { app: name } },
    spec: {
      nodeName: node,
      restartPolicy: "Always",
      terminationGracePeriodSeconds: 1,
      containers: [{ name: "main", image: "podwire/echo" }],
      ...spec,
    },
    ...extra,
  } as any);

async function until<T>(what: string, look: () => T | undefined | false, ms = 8000): Promise<T> {
  const end = Date.now() + ms;
  for (;;) {
    const v = look();
    if (v) return v as T;
    if (Date.now() > end) throw new Error(`${what} did not happen: ${JSON.stringify(api.objects(Resources.pods).map((p) => p["status"]))}`);
    await new Promise((r) => setTimeout(r, 10));
  }
}
const find = (name: string) => api.objects(Resources.pods).find((p) => p.metadata.name === name) as any;
const running = (name: string) =>
  until(`${name} running`, () => find(name)?.status?.conditions?.some((c: any) => c.type === "Ready" && c.status === "True") && find(name));
const events = (reason: string) => api.objects(Resources.events).filter((e) => e["reason"] === reason);

it("registers the node, keeps its lease and turns Ready with its podCIDR", async () => {
  await until("Ready", () => {
    const n = api.objects(Resources.nodes).find((x) => x.metadata.name === "node-1") as any;
    return n?.status?.conditions?.some((c: any) => c.type === "Ready" && c.status === "True" && c.reason === "KubeletReady");
  });
  const n = api.objects(Resources.nodes)[0] as any;
  expect(n.status.nodeInfo.kubeletVersion).toMatch(/^v1\.34\./);
  expect(n.status.addresses).toEqual([
    { type: "InternalIP", address: "172.30.1.1" },
    { type: "Hostname", address: "node-1" },
  ]);
  const lease = api.objects(Resources.leases)[0] as any;
  expect(lease.spec.holderIdentity).toBe("node-1");
  expect(lease.spec.leaseDurationSeconds).toBe(40);
});

it("runs a pod with the kubelet's events and conditions", async () => {
  await pod("web", "node-1", {});
  const p = await running("web");
  expect(p.status.phase).toBe("Running");
  expect(p.status.podIP).toMatch(/^10\.244\.1\.\d+$/);
  expect(p.status.hostIP).toBe("172.30.1.1");
  expect(p.status.conditions.map((c: any) => c.type).sort()).toEqual([
    "ContainersReady",
    "Initialized",
    "PodReadyToStartContainers",
    "PodScheduled",
    "Ready",
  ]);
  expect(p.status.containerStatuses[0].state.running.startedAt).toMatch(/Z$/);
  expect(p.status.containerStatuses[0].containerID).toMatch(/^podwire:\/\/[0-9a-f]{64}$/);
  expect(p.status.qosClass).toBe("BestEffort");
  await until("events", () => events("Started").length > 0);
  expect(events("Created")[0]!["message"]).toBe("Created container: main");
  expect(events("Started")[0]!["message"]).toBe("Started container main");
  expect(events("Pulling")[0]!["message"]).toBe('Pulling image "podwire/echo"');
});

it("carries a request from a pod on one node to a pod on the other", async () => {
  await pod("web", "node-1", {});
  const web = await running("web");
  await pod("caller", "node-2", {
    restartPolicy: "Never",
    containers: [{ name: "main", image: "podwire/client", args: ["--count", "1", `http://${web.status.podIP}:8080/hi`] }],
  });
  const done = await until("the client's end", () => find("caller")?.status?.phase === "Succeeded" && find("caller"));
  expect(done.status.containerStatuses[0].state.terminated).toMatchObject({ exitCode: 0, reason: "Completed" });
  const logs = fs.readdirSync(path.join(folder, "node-2", "logs", "pods"));
  const text = fs.readFileSync(path.join(folder, "node-2", "logs", "pods", logs[0]!, "main", "0.log"), "utf8");
  expect(text).toMatch(/stdout F 200 [\d.]+ms web \(10\.244\.1\.\d+\) on node-1 saw 10\.244\.2\.\d+:\d+/);
});

it("deletes gracefully: TERM, then the object goes and the address is free", async () => {
  await pod("web", "node-1", {});
  await running("web");
  await api.client().delete(Resources.pods, "default", "web", {});
  await until("deletion", () => !find("web"));
  await until("events", () => events("Killing").length > 0);
  expect(events("Killing")[0]!["message"]).toBe("Stopping container main");
  expect(nodes[0]!.cni.used).toBe(0);
});

it("a pod that somebody else declares failed stays failed: its containers end and do not come back", async () => {
  await pod("web", "node-1", {});
  const { uid } = (await running("web")).metadata;
  const failed = { phase: "Failed", reason: "ByHand", message: "enough" };
  await api.client().patch(Resources.pods, "default", "web", "merge", { status: failed }, { subresource: "status" });
  const p = await until("the container's end", () => find("web")?.status?.containerStatuses?.[0]?.state?.terminated && find("web"));
  expect(p.metadata.uid).toBe(uid);
  expect(p.status).toMatchObject({ ...failed, containerStatuses: [{ ready: false, restartCount: 0 }] });
  await clock.sleep(500);
  expect(find("web").status).toMatchObject(failed);
});

it("restarts a failing container with CrashLoopBackOff and counts", async () => {
  await pod("bad", "node-1", {
    containers: [{ name: "main", image: "podwire/client", args: ["--count", "1", "--timeout", "0.05", "http://10.244.1.250:1/"] }],
  });
  const p = await until(
    "back-off",
    () => find("bad")?.status?.containerStatuses?.[0]?.state?.waiting?.reason === "CrashLoopBackOff" && find("bad"),
  );
  const c = p.status.containerStatuses[0];
  expect(c.restartCount).toBe(1);
  expect(c.state.waiting.message).toBe(`back-off 10s restarting failed container=main pod=bad_default(${p.metadata.uid})`);
  expect(c.lastState.terminated).toMatchObject({ exitCode: 1, reason: "Error" });
  expect(p.status.phase).toBe("Running");
}, 15_000);

it("an image that cannot be pulled waits with the kubelet's reasons", async () => {
  await pod("noimage", "node-1", { containers: [{ name: "main", image: "foo:non-existent" }] });
  await until("ErrImagePull", () =>
    ["ErrImagePull", "ImagePullBackOff"].includes(find("noimage")?.status?.containerStatuses?.[0]?.state?.waiting?.reason),
  );
  expect(find("noimage").status.phase).toBe("Pending");
});

it("rejects what does not fit here, with the kubelet's reason, and keeps nothing of it", async () => {
  const resources = (cpu: string) => ({ containers: [{ name: "main", image: "podwire/echo", resources: { requests: { cpu } } }] });
  await pod("fits", "node-1", resources("7"));
  await running("fits");
  await pod("big", "node-1", resources("2"));
  const big = await until("the rejection", () => find("big")?.status?.phase === "Failed" && find("big"));
  expect(big.status.reason).toBe("OutOfcpu");
  expect(big.status.message).toBe("Pod was rejected: Node didn't have enough resource: cpu, requested: 2000, used: 7000, capacity: 8000");
  expect(big.status.containerStatuses).toBeUndefined();
  await until("the event", () => events("OutOfcpu").length > 0);
  await pod("elsewhere", "node-1", { nodeSelector: { zone: "x" } });
  await until("the other rejection", () => find("elsewhere")?.status?.reason === "NodeAffinity");
  await api.client().delete(Resources.pods, "default", "big", {});
  await until("deletion", () => !find("big"));
});

/** GET from one node's network to the other's kubelet. */
function kubelet(path: string, method = "GET"): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const socket = nodes[1]!.network.root.tcpConnect({ host: "172.30.1.1", port: 10_250 });
    const req = https.request(
      { path, method, createConnection: () => tls.connect({ socket: socket as never, rejectUnauthorized: false }) },
      (res) => {
        let body = "";
        res.setEncoding("utf8").on("data", (d) => (body += d));
        res.on("end", () => resolve({ status: res.statusCode ?? 0, body }));
      },
    );
    req.on("error", reject);
    req.end();
  });
}

it("answers on its HTTPS port: health, pods, stats, metrics, logs, commands", async () => {
  await pod("web", "node-1", { containers: [{ name: "main", image: "busybox", command: ["sh", "-c", "echo hello; sleep 1000"] }] });
  await running("web");
  expect(await kubelet("/healthz")).toEqual({ status: 200, body: "ok" });
  expect(JSON.parse((await kubelet("/pods")).body).items.map((p: any) => p.metadata.name)).toEqual(["web"]);
  expect(JSON.parse((await kubelet("/runningpods/")).body).items[0].spec.containers[0].name).toBe("main");
  const stats = JSON.parse((await kubelet("/stats/summary")).body);
  expect(stats.node.nodeName).toBe("node-1");
  expect(stats.node.memory.availableBytes).toBeGreaterThan(15 * 1024 ** 3);
  expect(stats.pods[0]).toMatchObject({ podRef: { name: "web", namespace: "default" }, process_stats: { process_count: 1 } });
  expect(stats.pods[0].containers[0].memory.workingSetBytes).toBeGreaterThan(0);
  expect(stats.pods[0].containers[0].logs.usedBytes).toBeGreaterThan(0);
  expect((await kubelet("/metrics/resource")).body).toMatch(
    /container_memory_working_set_bytes\{container="main",namespace="default",pod="web"\} \d+/,
  );
  expect((await kubelet("/metrics")).body).toContain("kubelet_running_pods 1\n");
  expect(JSON.parse((await kubelet("/configz")).body).kubeletconfig.maxPods).toBe(110);
  expect((await kubelet("/containerLogs/default/web/main?tailLines=1")).body).toBe("hello\n");
  const logs = (query: string) => kubelet(`/containerLogs/default/web/main?${query}`);
  expect((await logs("limitBytes=3")).body).toBe("hel");
  expect((await logs("stream=Stderr")).body).toBe("");
  expect((await logs("sinceTime=2100-01-01T00:00:00Z")).body).toBe("");
  expect((await logs("timestamps=true&sinceSeconds=1000")).body).toMatch(/^\d{4}-.*Z hello\n$/);
  expect(await logs("previous=true")).toMatchObject({
    status: 400,
    body: 'previous terminated container "main" in pod "web" not found',
  });
  expect((await logs("tailLines=many")).status).toBe(422);
  expect((await kubelet("/run/default/web/main?cmd=hostname", "POST")).body).toBe("web\n");
  expect((await kubelet("/nothing")).status).toBe(404);
});

it("resizes containers in place, restarts those that want it, defers and refuses what does not fit", async () => {
  const container = (resources: object, more: object = {}) => ({
    containers: [{ name: "main", image: "busybox", command: ["sleep", "1000"], resources, ...more }],
  });
  const amounts = (cpu: string, memory: string) => ({ requests: { cpu, memory }, limits: { cpu, memory } });
  const resize = (name: string, resources: object, more: object = {}) =>
    api.client().patch(Resources.pods, "default", name, "merge", { spec: container(resources, more) } as never);
  const status = (name: string) => find(name)?.status?.containerStatuses?.[0];
  const condition = (name: string, type: string) => find(name)?.status?.conditions?.find((c: any) => c.type === type);
  await pod("sized", "node-1", container(amounts("1", "64Mi")));
  await running("sized");
  expect(status("sized")).toMatchObject({ allocatedResources: { cpu: "1" }, user: { linux: { uid: 0, gid: 0 } } });
  await resize("sized", amounts("2", "128Mi"));
  await until(
    "the new resources",
    () => status("sized")?.resources?.limits?.memory === "128Mi" && !condition("sized", "PodResizeInProgress"),
  );
  expect(status("sized")).toMatchObject({ restartCount: 0, allocatedResources: { cpu: "2", memory: "128Mi" } });
  await until("the event", () => events("ResizeCompleted").length > 0);
  await resize("sized", amounts("9", "128Mi"));
  await until("the refusal", () => condition("sized", "PodResizePending")?.reason === "Infeasible");
  expect(condition("sized", "PodResizePending").message).toBe("Node didn't have enough capacity: cpu, requested: 9000, capacity: 8000");
  expect(status("sized").allocatedResources.cpu).toBe("2");
  await pod("other", "node-1", container(amounts("5", "64Mi")));
  await running("other");
  await resize("sized", amounts("4", "128Mi"));
  await until("the delay", () => condition("sized", "PodResizePending")?.reason === "Deferred");
  await api.client().delete(Resources.pods, "default", "other", { gracePeriodSeconds: 0 });
  await until("room", () => status("sized")?.resources?.requests?.cpu === "4" && !condition("sized", "PodResizePending"));
  const policy = { resizePolicy: [{ resourceName: "memory", restartPolicy: "RestartContainer" }] };
  await resize("sized", amounts("4", "256Mi"), policy);
  await until("the restart", () => status("sized")?.restartCount === 1 && status("sized")?.resources?.limits?.memory === "256Mi", 15_000);
}, 30_000);

it("runs static pods from a folder, shows them by mirrors, follows the files", async () => {
  const manifests = path.join(folder, "manifests");
  fs.mkdirSync(manifests);
  const manifest = (text: string) =>
    `apiVersion: v1\nkind: Pod\nmetadata: {name: web, labels: {a: b}}\nspec:\n  terminationGracePeriodSeconds: 0\n  containers:\n  - {name: main, image: busybox, command: [sh, -c, "echo ${text}; sleep 1000"]}\n`;
  fs.writeFileSync(path.join(manifests, "web.yaml"), manifest("one"));
  fs.writeFileSync(path.join(manifests, "broken.yaml"), "kind: [");
  const node = startNode(3, { "pod-manifest-path": manifests, "file-check-frequency": "100ms" });
  await Promise.race([node.start(), clock.sleep(2000)]);
  await api.client().patch(Resources.nodes, "", "node-3", "merge", { spec: { podCIDR: "10.244.3.0/24" } });
  const p = await running("web-node-3");
  expect(p.metadata.ownerReferences[0]).toMatchObject({ kind: "Node", name: "node-3", controller: true });
  expect(p.metadata.annotations["kubernetes.io/config.mirror"]).toBe(p.metadata.annotations["kubernetes.io/config.hash"]);
  expect(p.spec.tolerations).toContainEqual({ operator: "Exists", effect: "NoExecute" });
  // Deleting the mirror changes nothing but its uid.
  const { startTime } = p.status;
  await api.client().delete(Resources.pods, "default", "web-node-3", { gracePeriodSeconds: 0 });
  await until("a new mirror", () => find("web-node-3") && find("web-node-3").metadata.uid !== p.metadata.uid);
  expect((await running("web-node-3")).status.startTime).toBe(startTime);
  fs.writeFileSync(path.join(manifests, "web.yaml"), manifest("two"));
  await until("the new content", () => {
    const now = find("web-node-3");
    return (
      now &&
      now.metadata.annotations["kubernetes.io/config.hash"] !== p.metadata.annotations["kubernetes.io/config.hash"] &&
      now.status?.phase === "Running"
    );
  });
  fs.rmSync(path.join(manifests, "web.yaml"));
  await until("its end", () => !find("web-node-3"));
}, 30_000);

it("shuts down in order: NotReady, ordinary pods first, critical ones last, all told", async () => {
  const node = startNode(4, { "shutdown-grace-period": "3s", "shutdown-grace-period-critical-pods": "1s" });
  await Promise.race([node.start(), clock.sleep(2000)]);
  await api.client().patch(Resources.nodes, "", "node-4", "merge", { spec: { podCIDR: "10.244.4.0/24" } });
  const script = (text: string) => ({ containers: [{ name: "main", image: "busybox", command: ["sh", "-c", text] }] });
  await pod("ordinary", "node-4", script("trap 'exit 0' TERM; while :; do sleep 0.1; done"));
  await pod("critical", "node-4", { ...script("trap 'exit 0' TERM; while :; do sleep 0.1; done"), priority: 2_000_001_000 });
  await running("ordinary");
  await running("critical");
  await node.shutDown();
  const ended = (name: string) => find(name).status.containerStatuses[0].state.terminated;
  for (const name of ["ordinary", "critical"]) {
    expect(find(name).status).toMatchObject({
      phase: "Failed",
      reason: "Terminated",
      message: "Pod was terminated in response to imminent node shutdown.",
    });
    expect(ended(name).exitCode).toBe(0);
  }
  expect(Date.parse(ended("critical").finishedAt)).toBeGreaterThanOrEqual(Date.parse(ended("ordinary").finishedAt));
  await pod("late", "node-4", script("sleep 1000"));
  await until("the rejection", () => find("late")?.status?.reason === "NodeShutdown");
  await until("NotReady", () => {
    const n = api.objects(Resources.nodes).find((x) => x.metadata.name === "node-4") as any;
    return n.status.conditions.some((c: any) => c.type === "Ready" && c.status === "False" && c.message === "node is shutting down");
  });
}, 30_000);

it("a reboot takes up what restartPolicy says: counts, ends and logs are kept", async () => {
  const script = (text: string) => ({ containers: [{ name: "main", image: "busybox", command: ["sh", "-c", text] }] });
  await pod("always", "node-1", script("echo started; sleep 1000"));
  await pod("never", "node-1", { ...script("sleep 1000"), restartPolicy: "Never" });
  await pod("done", "node-1", { ...script("echo bye"), restartPolicy: "Never" });
  await running("always");
  await running("never");
  await until("done", () => find("done")?.status?.phase === "Succeeded");
  const before = find("always").status;
  await nodes[0]!.stop();
  nodes[0] = startNode(1);
  nodes.splice(2);
  const node = nodes[0]!;
  await Promise.race([node.start(), clock.sleep(2000)]);
  const after = await until("the restart", () => find("always")?.status?.containerStatuses?.[0]?.restartCount === 1 && find("always"));
  expect(after.status.containerStatuses[0].lastState.terminated).toMatchObject({
    exitCode: 255,
    reason: "Unknown",
    containerID: before.containerStatuses[0].containerID,
  });
  expect(after.status.startTime).toBe(before.startTime);
  const never = await until("the end of never", () => find("never")?.status?.phase === "Failed" && find("never"));
  expect(never.status.containerStatuses[0]).toMatchObject({ restartCount: 0, state: { terminated: { exitCode: 255 } } });
  expect(find("done").status).toMatchObject({ phase: "Succeeded", containerStatuses: [{ restartCount: 0 }] });
  expect((await kubelet("/containerLogs/default/always/main?previous=true")).body).toBe("started\n");
}, 30_000);
