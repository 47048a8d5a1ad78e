// How much the control plane spends on pods of Deployments, with real processes: nats-server, apiserver, controller-manager and
// scheduler; nodes are objects with Leases. Prints seconds until all pods are bound, CPU-seconds and resident memory of each process.
//   node scripts/node.mjs bench/controllers/deployment.ts [--pods 2000] [--deployments 1] [--nodes 100] [--idle-seconds 20] [--cpu-prof DIR]
import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { silentLogger, systemClock, systemRandom } from "@podwire/base";
import { subjectsOf } from "@podwire/bus";
import { type Component, MALLOC, NODE_FLAGS, youngGeneration } from "@podwire/cli";
import { type ApiClient, informer, isAlreadyExists, type KubeObject, microTime, natsClient, Resources } from "@podwire/client";
import { startTestNats } from "@podwire/testkit";
import { programFile } from "../../scripts/program.mjs";
import { cpuSeconds, memoryMb } from "../process-usage.ts";

const PARALLEL = 32;

const { values } = parseArgs({
  options: {
    pods: { type: "string", default: "2000" },
    deployments: { type: "string", default: "1" },
    nodes: { type: "string", default: "100" },
    "idle-seconds": { type: "string", default: "10" },
    "cpu-prof": { type: "string", default: "" },
  },
});
const podCount = Number(values.pods);
const deploymentCount = Number(values.deployments);
const nodeCount = Number(values.nodes);
const idleSeconds = Number(values["idle-seconds"]);

interface Process {
  name: string;
  pid: number;
  child?: ChildProcess;
}

async function each<T>(list: readonly T[], fn: (x: T) => Promise<unknown>): Promise<void> {
  let at = 0;
  await Promise.all(
    Array.from({ length: PARALLEL }, async () => {
      while (at < list.length) await fn(list[at++] as T);
    }),
  );
}

const clock = systemClock;
const nats = await startTestNats();
const bus = await nats.connect("supervisor");
const client: ApiClient = natsClient(bus, { clock });
const processes: Process[] = [{ name: "nats-server", pid: nats.pid }];

/** As `podwire up` starts them: bundles, with its flags and environment. */
async function start(service: Component, flags: readonly string[]): Promise<void> {
  const file = await nats.writeIdentityFile(service);
  const args = [
    ...NODE_FLAGS,
    youngGeneration(service),
    ...(values["cpu-prof"] === "" ? [] : ["--cpu-prof", `--cpu-prof-dir=${values["cpu-prof"]}`]),
    programFile(service),
    `--identity-file=${file}`,
    "--v=warn",
    ...flags,
  ];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "ignore", "inherit"], env: { ...process.env, ...MALLOC } });
  processes.push({ name: service, pid: child.pid as number, child });
}

async function ready(service: string): Promise<void> {
  const subject = subjectsOf(nats.cluster).control(service);
  for (let i = 0; ; i++) {
    try {
      await bus.request(subject, { op: "health" }, { timeoutMs: 500 });
      return;
    } catch (e) {
      if (i > 120) throw e;
      await clock.sleep(250);
    }
  }
}

async function counters(service: string): Promise<any> {
  return bus.request(subjectsOf(nats.cluster).control(service), { op: "counters" }, { timeoutMs: 5000 });
}

const node = (i: number): KubeObject => {
  const name = `hollow-${i}`;
  const amounts = { cpu: "64", memory: "256Gi", pods: "500", "ephemeral-storage": "100Gi" };
  const labels = { "kubernetes.io/hostname": name, "topology.kubernetes.io/zone": `zone-${i % 3}` };
  const conditions = [{ type: "Ready", status: "True", reason: "KubeletReady", lastHeartbeatTime: null, lastTransitionTime: null }];
  return {
    apiVersion: "v1",
    kind: "Node",
    metadata: { name, labels },
    spec: {},
    status: { capacity: amounts, allocatable: amounts, conditions },
  };
};

const deployment = (i: number): KubeObject => ({
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: { name: `web-${i}`, namespace: "default" },
  spec: {
    replicas: podCount / deploymentCount,
    selector: { matchLabels: { app: `web-${i}` } },
    template: {
      metadata: { labels: { app: `web-${i}` } },
      spec: { containers: [{ name: "c", image: "podwire/echo:1", resources: { requests: { cpu: "50m", memory: "32Mi" } } }] },
    },
  },
});

async function run(): Promise<void> {
  await start("apiserver", ["--secure-port=0", `--cert-dir=${join(nats.folder, "pki")}`]);
  await ready("apiserver");
  await client
    .create(
      { group: "rbac.authorization.k8s.io", version: "v1", resource: "clusterrolebindings", kind: "ClusterRoleBinding", namespaced: false },
      {
        metadata: { name: "bench:controller-manager" },
        roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "cluster-admin" },
        subjects: [{ apiGroup: "rbac.authorization.k8s.io", kind: "User", name: "system:kube-controller-manager" }],
      } as unknown as KubeObject,
    )
    .catch((e) => {
      if (!isAlreadyExists(e)) throw e;
    });
  await start("controller-manager", ["--node-monitor-grace-period=1h"]);
  await start("scheduler", []);
  await Promise.all([ready("controller-manager"), ready("scheduler")]);
  const nodes = Array.from({ length: nodeCount }, (_, i) => node(i));
  await each(nodes, async (n) => {
    await client.create(Resources.nodes, n);
    // The controllers have seen it meanwhile.
    await client.patch(Resources.nodes, "", n.metadata.name, "merge", { status: n["status"] }, { subresource: "status" });
    const spec = { holderIdentity: n.metadata.name, leaseDurationSeconds: 40, renewTime: microTime(clock.nowMs()) };
    await client.create(Resources.leases, { metadata: { namespace: "kube-node-lease", name: n.metadata.name }, spec });
  });
  await clock.sleep(3000);

  const pods = informer({ client, bus, clock, random: systemRandom(), log: silentLogger, ref: Resources.pods });
  let bound = 0;
  const isBound = (p: KubeObject) => p.metadata.namespace === "default" && p["spec"].nodeName !== undefined;
  let allBound: () => void = () => {};
  const done = new Promise<void>((resolve) => (allBound = resolve));
  const count = () => {
    bound++;
    if (bound === podCount) allBound();
  };
  pods.handle({
    onAdd: (p) => isBound(p) && count(),
    onUpdate: (p, old) => isBound(p) && !isBound(old) && count(),
  });
  await pods.start();

  const cpuBefore = processes.map((p) => cpuSeconds(p.pid));
  const writesBefore = (await counters("apiserver")).writes ?? 0;
  const startedMs = clock.monotonicMs();
  await each(
    Array.from({ length: deploymentCount }, (_, i) => deployment(i)),
    (d) => client.create(Resources.deployments, d),
  );
  const timer = clock.every(5000, () =>
    process.stderr.write(`  ${bound} of ${podCount} bound after ${Math.round((clock.monotonicMs() - startedMs) / 1000)} s\n`),
  );
  await done;
  const seconds = (clock.monotonicMs() - startedMs) / 1000;
  timer.cancel();
  // Events and statuses that are still under way belong to the work.
  await clock.sleep(2000);
  const cpu = processes.map((p, i) => cpuSeconds(p.pid) - (cpuBefore[i] as number));
  const writes = ((await counters("apiserver")).writes ?? 0) - writesBefore;
  const total = cpu.reduce((a, b) => a + b, 0);
  const memory = processes.map((p) => memoryMb(p.pid).residentMb);
  console.log(`pods ${podCount}, deployments ${deploymentCount}, nodes ${nodeCount}`);
  console.log(`all bound after ${seconds.toFixed(1)} s`);
  for (const [i, p] of processes.entries())
    console.log(`${p.name.padEnd(20)} ${(cpu[i] as number).toFixed(2)} CPU-s  ${Math.round(memory[i] as number)} MB`);
  console.log(`${"together".padEnd(20)} ${total.toFixed(2)} CPU-s  ${Math.round(memory.reduce((a, b) => a + b, 0))} MB`);
  console.log(`per pod ${((total * 1000) / podCount).toFixed(2)} CPU-ms, ${(writes / podCount).toFixed(2)} writes`);
  const schedulerCpu = cpu[processes.findIndex((p) => p.name === "scheduler")] as number;
  console.log(`scheduler ${Math.round(podCount / schedulerCpu)} pods per CPU-second`);

  const idleBefore = processes.map((p) => cpuSeconds(p.pid));
  await clock.sleep(idleSeconds * 1000);
  const idle = processes.map((p, i) => ((cpuSeconds(p.pid) - (idleBefore[i] as number)) * 100) / idleSeconds);
  for (const [i, p] of processes.entries()) console.log(`idle ${p.name.padEnd(15)} ${(idle[i] as number).toFixed(2)} % of a core`);
  pods.stop();
}

try {
  await run();
} finally {
  for (const p of processes) p.child?.kill("SIGTERM");
  await clock.sleep(1000);
  await bus.close();
  await nats.close();
}
