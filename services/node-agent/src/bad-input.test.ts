// Scripts that loop, fork, allocate or write without end: each is bounded and ends for the right reason, and the node goes on.
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { seededRandom, silentLogger, systemClock, z } from "@podwire/base";
import { memoryBus } from "@podwire/bus";
import { memoryApi, Resources } from "@podwire/client";
import { afterAll, beforeAll, expect, it } from "vitest";
import { FLAGS, type NodeAgentConfig } from "./config.ts";
import { NodeAgent } from "./node-agent.ts";

const base = { clock: systemClock, random: seededRandom(11), log: silentLogger };
let api: ReturnType<typeof memoryApi>;
let node: NodeAgent;
let folder: string;

beforeAll(async () => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), "podwire-bad-"));
  const bus = memoryBus();
  api = memoryApi({ ...base, bus: bus.connect({ cluster: "t", identity: "apiserver", ...base }) });
  node = new NodeAgent({
    config: z.object(FLAGS).parse({ "housekeeping-interval": "200ms", "disk-space": "16Mi" }) as NodeAgentConfig,
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
async function until<T>(what: string, look: () => T | undefined | false, ms = 15_000): Promise<T> {
  for (const end = Date.now() + ms; ; await new Promise((r) => setTimeout(r, 20))) {
    const v = look();
    if (v) return v as T;
    if (Date.now() > end) throw new Error(`${what} did not happen: ${JSON.stringify(api.objects(Resources.pods).map((p) => p["status"]))}`);
  }
}
const script = (name: string, text: string, resources: object = {}, spec: object = {}) =>
  api.client().create(Resources.pods, {
    metadata: { name, namespace: "default" },
    spec: {
      nodeName: "n",
      restartPolicy: "Never",
      terminationGracePeriodSeconds: 0,
      containers: [{ name: "c", image: "busybox", command: ["sh", "-c", text], resources }],
      ...spec,
    },
  } as any);
const drop = (name: string) => api.client().delete(Resources.pods, "default", name, { gracePeriodSeconds: 0 });
/** The node still starts pods and answers, quickly. */
async function alive(): Promise<void> {
  const name = `alive-${Math.trunc(performance.now())}`;
  await script(name, "echo fine");
  await until(`${name} on a node that lives`, () => find(name)?.status?.phase === "Succeeded", 5_000);
  await drop(name);
}

it("a loop without end leaves the node its turns", async () => {
  await script("loop", "while :; do :; done");
  await until("running", () => find("loop")?.status?.phase === "Running");
  await alive();
  await drop("loop");
  await until("its end", () => !find("loop"));
});

it("memory without end is OOMKilled at the limit", async () => {
  await script("memory", "a=xxxxxxxxxxxxxxxx; while :; do a=$a$a; done", { limits: { memory: "8Mi" } });
  const p = await until("OOMKilled", () => find("memory")?.status?.phase === "Failed" && find("memory"));
  expect(p.status.containerStatuses[0].state.terminated).toMatchObject({ exitCode: 137, reason: "OOMKilled" });
  await alive();
});

it("forks without end meet the pod's limit of processes", async () => {
  await script("forks", "f() { f & f & wait; }; f");
  await until("running", () => find("forks")?.status?.containerStatuses?.[0]?.state?.running || find("forks")?.status?.phase === "Failed");
  await alive();
  await drop("forks");
  await until("its end", () => !find("forks"));
}, 60_000);

it("writing past the ephemeral-storage limit is Evicted, with the event and the condition", async () => {
  await script("writes", "while :; do echo 0123456789012345678901234567890123456789 >> /file; done", {
    limits: { "ephemeral-storage": "64Ki" },
  });
  const p = await until("Evicted", () => find("writes")?.status?.reason === "Evicted" && find("writes"));
  expect(p.status.phase).toBe("Failed");
  expect(p.status.message).toBe("Pod ephemeral local storage usage exceeds the total limit of containers 64Ki. ");
  expect(p.status.conditions.find((c: any) => c.type === "DisruptionTarget")).toMatchObject({
    status: "True",
    reason: "TerminationByKubelet",
  });
  await until("the event", () => api.objects(Resources.events).some((e) => e["reason"] === "Evicted"));
  await until("the containers' end", () => find("writes")?.status?.containerStatuses?.[0]?.state?.terminated);
  await alive();
});

it("an emptyDir past its sizeLimit is Evicted", async () => {
  await script(
    "dir",
    "while :; do echo 0123456789012345678901234567890123456789 >> /cache/file; done",
    {},
    {
      containers: [
        {
          name: "c",
          image: "busybox",
          command: ["sh", "-c", "while :; do echo 0123456789012345678901234567890123456789 >> /cache/file; done"],
          volumeMounts: [{ name: "cache", mountPath: "/cache" }],
        },
      ],
      volumes: [{ name: "cache", emptyDir: { sizeLimit: "32Ki" } }],
    },
  );
  const p = await until("Evicted", () => find("dir")?.status?.reason === "Evicted" && find("dir"));
  expect(p.status.message).toBe('Usage of EmptyDir volume "cache" exceeds the limit "32Ki". ');
  await alive();
});

it("a full disk is DiskPressure: the writer is evicted, nobody else, and the node says so", async () => {
  await script("quiet", "sleep 1000");
  await script(
    "fills",
    "while :; do cat /bin/busybox /etc/passwd /file > /file2; cat /file2 /file2 >> /file; echo 0123456789 >> /file; done 2>/dev/null",
  );
  const p = await until("Evicted", () => find("fills")?.status?.reason === "Evicted" && find("fills"));
  expect(p.status.message).toMatch(/^The node was low on resource: ephemeral-storage\. Threshold quantity: \S+, available: \S+\. /);
  await until("DiskPressure", () =>
    (api.objects(Resources.nodes)[0] as any).status.conditions.some((c: any) => c.type === "DiskPressure" && c.status === "True"),
  );
  expect(find("quiet").status.phase).toBe("Running");
});
