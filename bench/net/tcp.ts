// TCP in one process: goodput per CPU-second with segmentation offload and at MTU 1450, memory of an idle connection, ping.
// node bench/net/tcp.ts [seconds]. Prints one JSON line a measurement; ratios and CPU, not wall time, are what to compare.
// The link is memory (sockets/two-hosts.ts): what is measured is sockets, TCP, checksums and copies, both ends.

import { twoHosts } from "../../packages/net/src/sockets/two-hosts.ts";
import { ipOf, two } from "../../packages/testkit/src/two-nodes.ts";

const seconds = Number(process.argv[2] ?? 3);

async function onMemoryLink(name: string, gsoBytes: number): Promise<void> {
  using hosts = twoHosts({ mtu: 1450 }, undefined, 1, { tcp: { gsoBytes } });
  await goodput(name, hosts.a, hosts.b, "10.0.0.2");
}

/** The whole way inside one process: veth, bridge, routes, VXLAN, cards, a wire of memory, and back. */
async function betweenNodes(): Promise<void> {
  const net = two();
  const [p, q] = [net.a.addPod(2), net.b.addPod(2)];
  await goodput("tcp goodput, pods of two nodes", p, q, ipOf(q));
  net.close();
}

type Sockets = Pick<ReturnType<typeof twoHosts>["a"], "tcpConnect" | "tcpListen">;

async function goodput(name: string, a: Sockets, b: Sockets, host: string): Promise<void> {
  const chunk = Buffer.alloc(65_536, 7);
  let received = 0;
  b.tcpListen({ port: 7 }, (s) => {
    s.on("data", (c: Buffer) => {
      received += c.length;
    });
  });
  const s = a.tcpConnect({ host, port: 7 });
  s.setNoDelay(true);
  let running = true;
  const pump = () => {
    while (running && s.write(chunk));
  };
  s.on("drain", pump);
  s.once("connect", pump);
  await sleep(500);
  const [from, cpu, start] = [received, process.cpuUsage(), performance.now()];
  await sleep(seconds * 1000);
  const used = process.cpuUsage(cpu);
  const cpuSeconds = (used.user + used.system) / 1e6;
  const bytes = received - from;
  running = false;
  report(name, {
    gbitPerCpuSecond: round((bytes * 8) / 1e9 / cpuSeconds),
    gbitPerSecond: round((bytes * 8) / 1e6 / (performance.now() - start)),
  });
  s.destroy();
}

async function idle(count: number): Promise<void> {
  using hosts = twoHosts();
  const accepted: unknown[] = [];
  hosts.b.tcpListen({ port: 7, backlog: 65_536 }, (s) => accepted.push(s));
  const sockets: unknown[] = [];
  const open = async (n: number) => {
    for (let i = 0; i < n; i++) sockets.push(hosts.a.tcpConnect({ host: "10.0.0.2", port: 7 }));
    while (accepted.length < sockets.length) await sleep(5);
  };
  await open(200);
  const before = heap();
  await open(count);
  const grown = heap() - before;
  report("idle connection", { bytesBothEnds: Math.round(grown / count), bytesOneEnd: Math.round(grown / count / 2), count });
}

async function ping(count: number): Promise<void> {
  using hosts = twoHosts();
  const times: number[] = [];
  for (let i = 0; i < count; i++) times.push((await hosts.a.ping("10.0.0.2")).rttMs);
  times.sort((x, y) => x - y);
  report("ping", { p50Us: round(times[count >> 1]! * 1000), p99Us: round(times[Math.floor(count * 0.99)]! * 1000), count });
}

async function connections(): Promise<void> {
  using hosts = twoHosts();
  hosts.b.tcpListen({ port: 7 }, (s) => s.end("x"));
  const [cpu, n] = [process.cpuUsage(), 3000];
  for (let i = 0; i < n; i += 10)
    await Promise.all(
      Array.from({ length: 10 }, () => {
        const s = hosts.a.tcpConnect({ host: "10.0.0.2", port: 7 });
        s.resume();
        return new Promise((done) => s.once("close", done));
      }),
    );
  const used = process.cpuUsage(cpu);
  report("connections", { perCpuSecond: Math.round(n / ((used.user + used.system) / 1e6)) });
}

/** What this machine gives at this moment: compare the figures of one run with these, not with another machine's. */
function machine(): void {
  const [from, to] = [new Uint8Array(32_000).fill(1), new Uint8Array(32_000)];
  const n = 30_000;
  const cpu = process.cpuUsage();
  for (let i = 0; i < n; i++) to.set(from);
  const used = process.cpuUsage(cpu);
  report("machine", { copy32kGbitPerCpuSecond: round((n * 32_000 * 8) / 1e9 / ((used.user + used.system) / 1e6)) });
}

function heap(): number {
  for (let i = 0; i < 3; i++) (globalThis as { gc?: () => void }).gc?.();
  return process.memoryUsage().heapUsed + process.memoryUsage().external;
}

const sleep = (ms: number) => new Promise((r) => setTimeout(r, ms));
const round = (x: number) => Math.round(x * 100) / 100;
function report(name: string, figures: Record<string, number>): void {
  console.log(JSON.stringify({ bench: name, ...figures }));
}

// Timers of the stack do not keep a process alive.
const alive = setInterval(() => {}, 1000);
const only = process.argv[3];
const runs: [string, () => Promise<void>][] = [
  ["gso", () => onMemoryLink("tcp goodput, GSO", 32_000)],
  ["mtu", () => onMemoryLink("tcp goodput, MTU 1450", 0)],
  ["nodes", betweenNodes],
  ["idle", () => idle(2000)],
  ["ping", () => ping(2000)],
  ["connections", connections],
];
machine();
for (const [name, run] of runs) if (only === undefined || only === name) await run();
clearInterval(alive);
