// The kubelet's own behaviour, on one node without the rest of a cluster: probes, ends, messages.
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { seededRandom, silentLogger, systemClock, z } from "@podwire/base";
import { memoryBus } from "@podwire/bus";
import { memoryApi, Resources } from "@podwire/client";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { FLAGS, type NodeAgentConfig } from "../config.ts";
import { NodeAgent } from "../node-agent.ts";

const base = { clock: systemClock, random: seededRandom(7), log: silentLogger };
vi.setConfig({ testTimeout: 60_000 });
let api: ReturnType<typeof memoryApi>;
let node: NodeAgent;
let folder: string;

beforeAll(async () => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), "podwire-kubelet-"));
  const bus = memoryBus();
  api = memoryApi({ ...base, bus: bus.connect({ cluster: "t", identity: "apiserver", ...base }) });
  node = new NodeAgent({
    config: z.object(FLAGS).parse({ "node-status-update-frequency": "200ms" }) as NodeAgentConfig,
    nodeName: "n",
    address: "172.30.1.1",
    stateDir: folder,
    bus: bus.connect({ cluster: "t", identity: "node:n", ...base }),
    client: api.client(),
    ...base,
  });
  await Promise.race([node.start(), systemClock.sleep(2000)]);
  await api.client().patch(Resources.nodes, "", "n", "merge", { spec: { podCIDR: "10.244.1.0/24" } });
});
afterAll(async () => {
  await node.stop();
  fs.rmSync(folder, { recursive: true, force: true });
});

const find = (name: string) => api.objects(Resources.pods).find((p) => p.metadata.name === name) as any;
const events = (name: string) => (api.objects(Resources.events) as any[]).filter((e) => (e.regarding ?? e.involvedObject)?.name === name);
const messages = (name: string) => events(name).map((e) => `${e.reason}: ${e.note ?? e.message}`);
async function until<T>(what: string, look: () => T | undefined | false, ms = 30_000): Promise<T> {
  for (const end = Date.now() + ms; ; await new Promise((r) => setTimeout(r, 20))) {
    const v = look();
    if (v) return v as T;
    if (Date.now() > end) throw new Error(`${what} did not happen: ${JSON.stringify(api.objects(Resources.pods).map((p) => p["status"]))}`);
  }
}
const told = (name: string, text: string) =>
  until(`${name}: ${text}`, () => messages(name).some((m) => m.includes(text))).catch((e) => {
    throw new Error(`${e.message}\n${messages(name).join("\n")}`);
  });
const sh = (name: string, text: string, o: object = {}) => ({ name, image: "busybox", command: ["sh", "-c", text], ...o });
const create = (name: string, containers: object[], spec: object = {}, metadata: object = {}) =>
  api.client().create(Resources.pods, {
    metadata: { name, namespace: "default", ...metadata },
    spec: { nodeName: "n", restartPolicy: "Never", terminationGracePeriodSeconds: 1, containers, ...spec },
  } as any);
const state = (name: string, i = 0) => find(name)?.status?.containerStatuses?.[i];
const running = (name: string) => until(`${name} running`, () => find(name)?.status?.phase === "Running");
const drop = (name: string, grace = 1) => api.client().delete(Resources.pods, "default", name, { gracePeriodSeconds: grace });

describe("probes", () => {
  it("that cannot run are told and have no result", async () => {
    await create("odd", [
      sh("c", "sleep 100", {
        livenessProbe: { exec: { command: ["no-such-program"] }, periodSeconds: 1, failureThreshold: 1 },
        readinessProbe: { httpGet: { port: "web" }, periodSeconds: 1, failureThreshold: 1 },
      }),
    ]);
    await told(
      "odd",
      'Unhealthy: Liveness probe errored and resulted in unknown state: rpc error: code = Unknown desc = failed to exec in container: failed to start exec "no-such-program": OCI runtime exec failed: exec failed: unable to start container process: exec: "no-such-program": executable file not found in $PATH: unknown',
    );
    await told("odd", 'Unhealthy: Readiness probe errored and resulted in unknown state: strconv.Atoi: parsing "web": invalid syntax');
    expect(state("odd")).toMatchObject({ ready: false, restartCount: 0, state: { running: {} } });
    await drop("odd");
  });

  it("follow redirects to the same host, and take others for a sign of life", async () => {
    const probe = (target: string) => ({
      httpGet: { path: `/redirect?location=${encodeURIComponent(target)}`, port: 8080 },
      periodSeconds: 1,
    });
    const server = (name: string, o: object) => ({ name, image: "registry.k8s.io/e2e-test-images/agnhost:2.53", args: ["netexec"], ...o });
    await create("here", [server("c", { readinessProbe: { ...probe("/healthz"), failureThreshold: 1 } })]);
    await create("bad", [server("c", { readinessProbe: { ...probe("/echo?code=418&msg=no"), failureThreshold: 1 } })]);
    await create("there", [server("c", { readinessProbe: probe("http://0.0.0.0/") })]);
    await until("ready", () => state("here")?.ready && state("there")?.ready);
    expect(messages("here").filter((m) => m.startsWith("ProbeWarning"))).toEqual([]);
    await told(
      "there",
      'ProbeWarning: Readiness probe warning: Probe terminated redirects, Response body: <a href="http://0.0.0.0/">Found</a>.',
    );
    await told("bad", "Unhealthy: Readiness probe failed: HTTP probe failed with statuscode: 418");
    for (const n of ["here", "bad", "there"]) await drop(n);
  });

  it("of a pod that is not restarted end it without a promise", async () => {
    await create("never", [
      sh("c", "sleep 100", { livenessProbe: { exec: { command: ["false"] }, periodSeconds: 1, failureThreshold: 1 } }),
    ]);
    await told("never", "Killing: Container c failed liveness probe");
    expect(messages("never")).toContain("Killing: Container c failed liveness probe");
    await until("failed", () => find("never")?.status?.phase === "Failed");
    await drop("never");
  });

  it("of readiness go on while the pod ends, the others do not", async () => {
    await create(
      "ending",
      [
        sh("c", "touch /tmp/ok; trap 'rm /tmp/ok' TERM; while :; do sleep 0.1; done", {
          readinessProbe: { exec: { command: ["test", "-f", "/tmp/ok"] }, periodSeconds: 1, failureThreshold: 1 },
          livenessProbe: { exec: { command: ["test", "-f", "/tmp/ok"] }, periodSeconds: 1, failureThreshold: 1 },
        }),
      ],
      { restartPolicy: "Always" },
    );
    await until("ready", () => state("ending")?.ready);
    await drop("ending", 4);
    await until("not ready while it ends", () => find("ending")?.metadata.deletionTimestamp && state("ending")?.ready === false);
    expect(state("ending")?.state.running).toBeDefined();
    await until("gone", () => !find("ending"));
    expect(messages("ending").filter((m) => m.includes("liveness") || m.includes("Liveness"))).toEqual([]);
  });
});

describe("the end of a pod", () => {
  it("lets a program hear of it even without a grace period", async () => {
    await create(
      "forced",
      [
        sh("c", "trap 'echo heard > /out/said; exit 0' TERM; while :; do sleep 0.05; done", {
          volumeMounts: [{ name: "v", mountPath: "/out" }],
        }),
      ],
      {
        volumes: [{ name: "v", hostPath: { path: "/tmp/forced", type: "DirectoryOrCreate" } }],
      },
    );
    await running("forced");
    await drop("forced", 0);
    await create("reader", [sh("c", "sleep 0.5; cat /out/said", { volumeMounts: [{ name: "v", mountPath: "/out" }] })], {
      volumes: [{ name: "v", hostPath: { path: "/tmp/forced" } }],
    });
    await until("read", () => find("reader")?.status?.phase === "Succeeded");
    await drop("reader");
  });

  it("ends sidecars after those they serve, the last one first, within one grace period", async () => {
    const say = (who: string) => `trap 'echo ${who} >> /out/order; exit 0' TERM; while :; do sleep 0.05; done`;
    const mount = { volumeMounts: [{ name: "v", mountPath: "/out" }] };
    const volumes = [{ name: "v", hostPath: { path: "/tmp/order", type: "DirectoryOrCreate" } }];
    await create("served", [sh("main", "trap 'sleep 0.5; echo main >> /out/order; exit 0' TERM; while :; do sleep 0.05; done", mount)], {
      restartPolicy: "Always",
      terminationGracePeriodSeconds: 8,
      initContainers: [
        sh("first", say("first"), { ...mount, restartPolicy: "Always" }),
        sh("second", say("second"), {
          ...mount,
          restartPolicy: "Always",
          lifecycle: { preStop: { exec: { command: ["sh", "-c", "echo hook >> /out/order"] } } },
        }),
      ],
      volumes,
    });
    await running("served");
    await drop("served", 8);
    await until("gone", () => !find("served"));
    await create("order", [sh("c", "[ \"$(cat /out/order | tr '\\n' ' ')\" = 'hook main second first ' ]", mount)], { volumes });
    await until("the order", () => find("order")?.status?.phase === "Succeeded");
    await drop("order");
  });

  it("comes to those who do not listen when the grace period is over", async () => {
    const deaf = "trap '' TERM; while :; do sleep 0.05; done";
    await create("deaf", [sh("main", deaf)], {
      restartPolicy: "Always",
      initContainers: [sh("side", deaf, { restartPolicy: "Always" })],
    });
    await running("deaf");
    const began = Date.now();
    await drop("deaf", 3);
    await until("gone", () => !find("deaf"));
    // Main has used them all: the sidecar gets two seconds, which is the least.
    expect(Date.now() - began).toBeGreaterThan(4_800);
  });

  it("keeps 12 KB of termination messages for all containers together", async () => {
    const c = (n: string) => sh(n, "head -c 4000 /dev/zero | tr '\\0' x > /dev/termination-log");
    await create("wordy", ["a", "b", "c", "d"].map(c));
    await until("over", () => find("wordy")?.status?.phase === "Succeeded");
    expect([0, 1, 2, 3].map((i) => state("wordy", i).state.terminated.message.length)).toEqual([3072, 3072, 3072, 3072]);
    await drop("wordy");
  });
});

it("what somebody adds to the node's capacity is allocatable, admits pods up to it, and goes again", async () => {
  const { nodes } = Resources;
  const status = () => (api.objects(nodes)[0] as any).status;
  const patch = (value: string | null) =>
    api.client().patch(nodes, "", "n", "merge", { status: { capacity: { "example.com/dongle": value } } }, { subresource: "status" });
  await patch("3");
  await until("allocatable", () => status().allocatable["example.com/dongle"] === "3");
  const asks = (name: string, n: string) =>
    create(name, [sh("c", "sleep 100", { resources: { limits: { "example.com/dongle": n }, requests: { "example.com/dongle": n } } })]);
  await asks("two", "2");
  await running("two");
  await asks("more", "2");
  const p = await until("refused", () => find("more")?.status?.phase === "Failed" && find("more"));
  expect(p.status.reason).toBe("OutOfexample.com/dongle");
  await patch(null);
  await until("gone", () => status().allocatable["example.com/dongle"] === undefined);
  for (const n of ["two", "more"]) await drop(n);
});

it("a program that is not there is a StartError, and waits as RunContainerError where it is started again", async () => {
  const containers = [{ name: "c", image: "busybox", command: ["no-such-program"] }];
  await create("missing", containers);
  const once = await until("failed", () => find("missing")?.status?.phase === "Failed" && state("missing"));
  expect(once.state.terminated).toMatchObject({ reason: "StartError", exitCode: 128, startedAt: "1970-01-01T00:00:00Z" });
  await create("again", containers, { restartPolicy: "Always" });
  await until("CrashLoopBackOff", () => state("again")?.state.waiting?.reason === "CrashLoopBackOff");
  expect(state("again").lastState.terminated).toMatchObject({ reason: "StartError", exitCode: 128 });
  for (const n of ["missing", "again"]) await drop(n);
});

it("an ephemeral container sees the processes of its target, and no others", async () => {
  await create("debugged", [sh("main", "exec sleep 1111"), sh("other", "exec sleep 2222")]);
  await running("debugged");
  const look = (name: string, target?: string) => sh(name, "ps > /dev/termination-log", target ? { targetContainerName: target } : {});
  await api.client().patch(Resources.pods, "default", "debugged", "merge", {
    spec: { ephemeralContainers: [look("sees", "main"), look("blind"), look("lost", "nobody")] },
  });
  const seen = (name: string) => find("debugged")?.status?.ephemeralContainerStatuses?.find((c: any) => c.name === name)?.state;
  const main = await until("its end", () => seen("sees")?.terminated);
  expect(main.message).toContain("sleep 1111");
  expect(main.message).not.toContain("2222");
  expect((await until("its end", () => seen("blind")?.terminated)).message).not.toContain("sleep");
  expect(await until("its reason", () => seen("lost")?.waiting?.reason !== "ContainerCreating" && seen("lost")?.waiting)).toEqual({
    reason: "CreateContainerConfigError",
    message: "unable to find target container nobody",
  });
  await drop("debugged");
});
