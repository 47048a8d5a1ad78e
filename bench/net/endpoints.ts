// How long a change of endpoints takes to all rules of all nodes: a real nats-server, a real apiserver process and 20 nodes' kube-proxies
// (a process each, with its own connection, informers and rules in iptables mode) among many Services. A change is timed from the moment
// it is sent to the apiserver until a node's nat table has the new endpoint; the slowest node counts.
//   node scripts/node.mjs bench/net/endpoints.ts [--nodes 20] [--services 200] [--changes 100]
import { type ChildProcess, fork, spawn } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { silentLogger, systemClock, systemRandom } from "@podwire/base";
import { connectNats, type IdentityFile } from "@podwire/bus";
import { informer, natsClient, Resources } from "@podwire/client";
import { NetNamespace } from "@podwire/net";
import { startTestNats } from "@podwire/testkit";
import { startKubeProxy } from "../../services/node-agent/src/kube-proxy/index.ts";

const SELF = fileURLToPath(import.meta.url);
const root = join(import.meta.dirname, "..", "..");
const deps = { clock: systemClock, random: systemRandom(), log: silentLogger };

/** Wall time with a fraction, comparable between processes of one machine. */
const now = () => performance.timeOrigin + performance.now();

/** One node: tells its parent, for each address that appears as a DNAT target, when it did. */
async function node(identity: IdentityFile, index: number): Promise<void> {
  const bus = await connectNats({ url: identity.natsUrl, ...identity, ...deps });
  const client = natsClient(bus, { clock: systemClock, fieldManager: "kube-proxy" });
  const namespace = new NetNamespace({ name: "root", process: `node-${index}`, ...deps });
  const watch = (ref: (typeof Resources)[keyof typeof Resources]) => {
    const i = informer({ client, ...deps, bus, ref });
    void i.start();
    return i;
  };
  const nat = namespace.netfilter.ruleset(4).table("nat");
  const apply = nat.apply.bind(nat);
  nat.apply = (change) => {
    apply(change);
    const atMs = now();
    const seen: string[] = [];
    for (const rules of change.chains.values())
      for (const r of rules) if (r.target?.t === "DNAT") seen.push(r.target.to.split(":")[0] as string);
    if (seen.length > 0 && seen.length < 50) process.send?.({ index, seen, atMs });
  };
  const proxy = startKubeProxy({
    namespace,
    services: watch(Resources.services),
    endpointSlices: watch(Resources.endpointSlices),
    nodeName: `node-${index}`,
    nodeLabels: {},
    nodeIPs: [`172.30.1.${index}`],
    clusterCIDRs: ["10.244.0.0/16"],
    clock: systemClock,
    log: silentLogger,
  });
  await proxy.ready;
  process.send?.("ready");
}

const slice = (i: number, address: string) => ({
  metadata: { namespace: "default", name: `s${i}-x`, labels: { "kubernetes.io/service-name": `s${i}` } },
  addressType: "IPv4",
  ports: [{ name: "http", port: 8080, protocol: "TCP" }],
  endpoints: [{ addresses: [address], conditions: { ready: true } }],
});

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      nodes: { type: "string", default: "20" },
      services: { type: "string", default: "200" },
      changes: { type: "string", default: "100" },
    },
  });
  const [nodes, services, changes] = [Number(values.nodes), Number(values.services), Number(values.changes)];
  const identities: Record<string, string | undefined> = { apiserver: "172.30.0.2", supervisor: undefined };
  for (let i = 1; i <= nodes; i++) identities[`node:node-${i}`] = `172.30.1.${i}`;
  const nats = await startTestNats({ identities });
  const children: ChildProcess[] = [];
  try {
    const server = spawn(
      process.execPath,
      [
        join(root, "services/apiserver/src/main.ts"),
        `--identity-file=${await nats.writeIdentityFile("apiserver")}`,
        `--cert-dir=${join(nats.folder, "pki")}`,
        "--secure-port=0",
        "--v=error",
      ],
      { stdio: ["ignore", "ignore", "inherit"] },
    );
    children.push(server);
    const admin = nats.identityFile("supervisor");
    const bus = await connectNats({ url: admin.natsUrl, ...admin, ...deps });
    const client = natsClient(bus, { clock: systemClock, fieldManager: "bench" });
    for (;;) {
      try {
        await client.get(Resources.namespaces, "", "default");
        break;
      } catch {
        await systemClock.sleep(100);
      }
    }
    for (let i = 0; i < services; i++) {
      const spec = { ports: [{ name: "http", port: 80, protocol: "TCP", targetPort: 8080 }] };
      await client.create(Resources.services, { metadata: { namespace: "default", name: `s${i}` }, spec } as never);
      await client.create(Resources.endpointSlices, slice(i, "10.244.250.1") as never);
    }
    const arrived = new Map<string, number[]>();
    const workers = Array.from({ length: nodes }, (_, k) => {
      const child = fork(SELF, ["--worker", String(k + 1), JSON.stringify(nats.identityFile(`node:node-${k + 1}`))]);
      children.push(child);
      return new Promise<void>((resolve) =>
        child.on("message", (m: "ready" | { seen: string[]; atMs: number }) => {
          if (m === "ready") resolve();
          else for (const address of m.seen) arrived.get(address)?.push(m.atMs);
        }),
      );
    });
    await Promise.all(workers);
    const first: number[] = [];
    const last: number[] = [];
    for (let i = 0; i < changes; i++) {
      const address = `10.244.${1 + Math.floor(i / 200)}.${2 + (i % 200)}`;
      const times: number[] = [];
      arrived.set(address, times);
      const begin = now();
      const name = `s${i % services}-x`;
      await client.patch(Resources.endpointSlices, "default", name, "merge", { endpoints: slice(0, address).endpoints });
      const limit = begin + 10_000;
      while (times.length < nodes && now() < limit) await systemClock.sleep(2);
      if (times.length < nodes) throw new Error(`change ${i} reached ${times.length} of ${nodes} nodes in 10 s`);
      first.push(Math.min(...times) - begin);
      last.push(Math.max(...times) - begin);
      await systemClock.sleep(20);
    }
    const at = (xs: number[], q: number) => [...xs].sort((a, b) => a - b)[Math.min(xs.length - 1, Math.floor(xs.length * q))]?.toFixed(1);
    console.log(`${changes} changes, ${services} Services, ${nodes} node processes; milliseconds from the request to the rules`);
    console.log("| | p50 | p99 |\n|---|---|---|");
    console.log(`| first node | ${at(first, 0.5)} | ${at(first, 0.99)} |`);
    console.log(`| all nodes | ${at(last, 0.5)} | ${at(last, 0.99)} |`);
    await bus.close();
  } finally {
    for (const c of children) c.kill();
    await nats.close();
  }
}

const worker = process.argv.indexOf("--worker");
if (worker > 0) {
  process.on("disconnect", () => process.exit(0));
  await node(JSON.parse(process.argv[worker + 2] as string) as IdentityFile, Number(process.argv[worker + 1]));
} else await main();
