// Rules and connections at scale: the first packet through 5,000 Services against one Service and against reading every rule, conntrack
// lookups at 10,000 and 100,000 entries, and what one endpoint change costs among 5,000 Services.
// node bench/net/rules.ts. Prints one JSON line a measurement; ratios are what to compare.
import { seededRandom, silentLogger, systemClock } from "../../packages/base/src/index.ts";
import { Conntrack } from "../../packages/net/src/conntrack/conntrack.ts";
import { address, Flow, NetNamespace, type Rule } from "../../packages/net/src/index.ts";
import { compileChain } from "../../packages/net/src/netfilter/compile.ts";
import { RecentLists } from "../../packages/net/src/netfilter/recent.ts";
import { IpSets } from "../../packages/net/src/netfilter/sets.ts";
import { Table } from "../../packages/net/src/netfilter/tables.ts";
import { Walker } from "../../packages/net/src/netfilter/walk.ts";
import { Packet } from "../../packages/net/src/packet.ts";
import { createProxier, type ProxyMode, type ProxySettings, type ServiceInput } from "../../services/node-agent/src/kube-proxy/index.ts";

const SERVICES = 5000;
const ENDPOINTS = 10;
const random = seededRandom(1);

const settings: ProxySettings = {
  family: 4,
  nodeName: "node-1",
  nodeLabels: {},
  nodeIPs: ["172.30.1.1"],
  podCIDR: "10.244.0.0/16",
  masqueradeAll: false,
  nodePortAddresses: undefined,
  localhostNodePorts: true,
  preferSameTrafficDistribution: true,
};

function service(i: number, changed = 0): [string, ServiceInput] {
  const endpoints = Array.from({ length: ENDPOINTS }, (_, k) => ({
    addresses: [`10.244.${k + 1}.${k === 0 && changed > 0 ? 100 + changed : (i % 200) + 2}`],
    nodeName: `node-${k + 1}`,
    conditions: { ready: true },
  }));
  return [
    `default/s${i}`,
    {
      service: {
        metadata: { namespace: "default", name: `s${i}` },
        spec: {
          type: "NodePort",
          clusterIP: `10.96.${i >> 8}.${i & 255}`,
          ports: [{ name: "http", port: 80, protocol: "TCP", nodePort: 30_000 + (i % 2700) }],
        },
      },
      slices: [{ addressType: "IPv4", metadata: {}, ports: [{ name: "http", port: 8080, protocol: "TCP" }], endpoints }],
    },
  ];
}

const namespace = () =>
  new NetNamespace({ name: "root", process: "bench", clock: systemClock, random, log: silentLogger, ipForward: true });

/** Nanoseconds of CPU of one call, the median of several rounds. */
function measure(calls: number, run: (i: number) => void): number {
  for (let i = 0; i < calls; i++) run(i);
  const rounds: number[] = [];
  for (let r = 0; r < 7; r++) {
    const start = process.cpuUsage();
    for (let i = 0; i < calls; i++) run(i);
    const used = process.cpuUsage(start);
    rounds.push(((used.user + used.system) * 1000) / calls);
  }
  return Math.round(rounds.sort((a, b) => a - b)[3] as number);
}

function report(name: string, figures: Record<string, number>): void {
  console.log(JSON.stringify({ name, ...figures }));
}

function flowTo(dst: string, dport: number): Flow {
  const f = new Flow();
  f.family = 4;
  f.protocol = 6;
  f.s3 = (address("10.244.1.2") as number) | 0;
  f.d3 = (address(dst) as number) | 0;
  f.sport = 40_000;
  f.dport = dport;
  f.tcpFlags = 2;
  return f;
}

/** The walk of the nat table for a Service's first packet. */
function walk(mode: "runs" | "linear", services: number): number {
  const ns = namespace();
  createProxier("iptables", ns, settings).sync(new Map(Array.from({ length: services }, (_, i) => service(i))));
  const { nat } = ns.netfilter.v4;
  if (mode === "linear")
    for (const c of nat.chains.values()) c.compiled = { ...compileChain(c.name, c.rules), runs: new Map(), hasRuns: false };
  const walker = walkerOf();
  const p = Packet.alloc(40);
  const flows = Array.from({ length: 64 }, (_, k) => flowTo(`10.96.${((k * 77) % services) >> 8}.${((k * 77) % services) & 255}`, 80));
  const at = { in: "cni0", out: "", physIn: "", physOut: "" };
  const chain = nat.byHook.prerouting;
  const ns1 = measure(
    mode === "linear" ? 2000 : 200_000,
    (i) => void walker.walk(nat as Table, chain as NonNullable<typeof chain>, p, flows[i & 63] as Flow, at),
  );
  ns.close();
  return ns1;
}

function walkerOf(): Walker {
  return new Walker({
    clock: systemClock,
    random,
    conntrack: undefined,
    recent: new RecentLists(),
    sets: new IpSets(),
    isLocal: () => false,
    onRule: () => undefined,
  });
}

const one = walk("runs", 1);
const many = walk("runs", SERVICES);
const linear = walk("linear", SERVICES);
report("first packet, nat walk", {
  oneServiceNs: one,
  services5000Ns: many,
  beyondNs: many - one,
  readEveryRuleNs: linear,
  ratio: Math.round(linear / many),
});

/** The lookup alone, in one chain of exact rules. */
{
  const table = new Table("nat");
  const rules: Rule[] = Array.from({ length: SERVICES }, (_, i) => ({
    dst: `10.96.${i >> 8}.${i & 255}`,
    protocol: "tcp",
    matches: [{ m: "dport", from: 80, to: 80 }],
    target: { t: "ACCEPT" },
  }));
  table.apply({ chains: new Map([["PREROUTING", rules]]) });
  const walker = walkerOf();
  const p = Packet.alloc(40);
  const flows = Array.from({ length: 1024 }, (_, k) => flowTo(`10.96.${(k * 4) >> 8}.${(k * 4) & 255}`, 80));
  const at = { in: "", out: "", physIn: "", physOut: "" };
  const chain = table.byHook.prerouting;
  report("map lookup among 5,000 rules", {
    ns: measure(200_000, (i) => void walker.walk(table, chain as NonNullable<typeof chain>, p, flows[i & 1023] as Flow, at)),
  });
}

/** As on a node: one Flow, read anew from every packet, and connections in random order. */
for (const entries of [10_000, 100_000]) {
  const ct = new Conntrack({ clock: systemClock, random, maxEntries: 262_144 });
  const f = flowTo("10.244.2.2", 80);
  const order = random.shuffle(Array.from({ length: entries }, (_, i) => i));
  const sources = Int32Array.from(order, (i) => (address("10.244.0.0") as number) + (i >> 12));
  const ports = Int32Array.from(order, (i) => 1024 + (i & 4095));
  const read = (i: number) => {
    f.s3 = sources[i] as number;
    f.sport = ports[i] as number;
    f.ctState = 0;
    f.ct = -1;
  };
  for (let i = 0; i < entries; i++) {
    read(i);
    f.tcpFlags = 2;
    ct.track(f, 0, undefined);
    ct.confirm(f);
  }
  f.tcpFlags = 16;
  // Looked up in another order than they came in, which is the order of the rows.
  const again = random.shuffle(Array.from({ length: entries }, (_, i) => i));
  for (const a of [sources, ports]) a.set(again.map((i) => a[i] as number));
  const loopNs = measure(entries, read);
  const lookupNs = measure(entries, (i) => {
    read(i);
    if (ct.table.findFlow(f) < 0) throw new Error("lost");
  });
  const trackNs = measure(entries, (i) => {
    read(i);
    ct.track(f, 0, undefined);
  });
  report(`conntrack at ${entries} entries`, {
    lookupNs: lookupNs - loopNs,
    trackNs: trackNs - loopNs,
    megabytes: Math.round(ct.table.rows.byteLength / 1e6),
  });
  ct.close();
}

for (const mode of (process.argv.slice(2).length > 0 ? process.argv.slice(2) : ["iptables"]) as ProxyMode[]) {
  const ns = namespace();
  const proxier = createProxier(mode, ns, settings);
  const services = new Map(Array.from({ length: SERVICES }, (_, i) => service(i)));
  const cpuMs = (run: () => void) => {
    const start = process.cpuUsage();
    run();
    const used = process.cpuUsage(start);
    return (used.user + used.system) / 1000;
  };
  const full = cpuMs(() => void proxier.sync(services));
  const times: number[] = [];
  let touched = 0;
  for (let k = 1; k <= 50; k++) {
    services.set(...service(k, k));
    times.push(
      cpuMs(() => {
        const a = proxier.sync(services, [`default/s${k}`]);
        touched = a.chainsSet + a.chainsRemoved;
      }),
    );
  }
  times.sort((a, b) => a - b);
  report(`${mode}: ${SERVICES} Services of ${ENDPOINTS} endpoints`, {
    fullSyncCpuMs: Math.round(full),
    endpointChangeCpuMsP50: Math.round((times[25] as number) * 100) / 100,
    endpointChangeCpuMsP99: Math.round((times[49] as number) * 100) / 100,
    touched,
  });
  ns.close();
}
