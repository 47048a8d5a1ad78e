// Suite `netpol`: every pair of pods, every port and protocol, as real packets through the hooks of two nodes whose policy engines
// were planned from the row's objects. What arrives is compared with the table; a drop must name a policy.
import { readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { seededRandom, silentLogger } from "@podwire/base";
import { address, checksum, Device, ipHeader, NetNamespace, Packet, PolicyEngine, pseudoSumAt, type TracePoint } from "@podwire/net";
import { planPolicies } from "@podwire/node-agent";
import { virtualClock } from "@podwire/testkit";
import { type SuiteResult, Tally } from "./suite.ts";

interface PodRow {
  namespace: string;
  name: string;
  labels: Record<string, string>;
  ip: string;
}

interface Step {
  policies: any[];
  cluster: {
    namespaces: { name: string; labels: Record<string, string> }[];
    pods: PodRow[];
    ports: { name: string; port: number; protocol: string }[];
  };
  expected: { port: number; protocol: string; denied: string[] }[];
}

type Case = { name: string } & (Step | { steps: Step[] });

export async function run(dir: string): Promise<SuiteResult> {
  const result = new Tally();
  for (const file of readdirSync(dir).filter((f) => f.endsWith(".json"))) {
    const selfAsserted = !basename(file).includes("upstream");
    for (const c of JSON.parse(readFileSync(join(dir, file), "utf8")) as Case[]) {
      const network = new TwoNodes();
      const problems = ("steps" in c ? c.steps : [c]).flatMap((s, i) => network.check(s, selfAsserted).map((p) => `step ${i}: ${p}`));
      network.close();
      result.note(c.name, problems.length > 5 ? [...problems.slice(0, 5), `and ${problems.length - 5} more`] : problems);
    }
  }
  return result;
}

/** A point-to-point link end: tells what was sent, and lets packets in. */
class LinkEnd extends Device {
  private readonly onSent: (p: Packet) => void;
  constructor(name: string, onSent: (p: Packet) => void) {
    super(name, 0x020000000001, 1500);
    this.onSent = onSent;
  }
  override neighbour(): number {
    return 0x020000000001;
  }
  protected override send(p: Packet): void {
    p.pull(14);
    p.ct = null;
    this.onSent(p);
  }
  inject(p: Packet): void {
    const at = p.push(14);
    p.data.set([2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 1, 8, 0], at);
    if (p.data[p.start + 14]! >> 4 === 6) p.data.set([0x86, 0xdd], at + 12);
    this.arrive(p);
  }
}

/** Pods of the first namespaces are on one node, the rest on the other, so that both ends and the way between are walked. */
class TwoNodes {
  private readonly clock = virtualClock();
  private readonly points: TracePoint[] = [];
  private readonly nodes: { ns: NetNamespace; engine: PolicyEngine; wire: LinkEnd }[] = [];
  private arrivedAt = "";
  private port = 20_000;

  constructor() {
    for (const i of [0, 1]) {
      const ns = new NetNamespace({
        name: "root",
        process: `node-${i}`,
        clock: this.clock,
        random: seededRandom(i),
        log: silentLogger,
        trace: { point: (p) => void this.points.push(p) },
        ipForward: true,
      });
      const engine = new PolicyEngine();
      ns.netfilter.addExtension(engine.extension);
      const wire = new LinkEnd("eth0", (p) => this.nodes[1 - i]!.wire.inject(p));
      ns.addDevice(wire);
      ns.addRoute({ to: "0.0.0.0/0", dev: "eth0" });
      ns.addRoute({ to: "::/0", dev: "eth0" });
      this.nodes.push({ ns, engine, wire });
    }
  }

  close(): void {
    for (const n of this.nodes) n.ns.close();
  }

  check(s: Step, selfAsserted: boolean): string[] {
    const { pods } = s.cluster;
    const nodeOf = (p: PodRow) => (s.cluster.namespaces.findIndex((n) => n.name === p.namespace) < 2 ? 0 : 1);
    for (const p of pods) this.ensurePod(p, nodeOf(p));
    this.plan(s, nodeOf);
    const problems: string[] = [];
    for (const e of s.expected) {
      const denied = new Set(e.denied);
      for (const from of pods)
        for (const to of pods) {
          if (from === to && !selfAsserted) continue;
          const pair = `${from.namespace}/${from.name}>${to.namespace}/${to.name}`;
          const allowed = from === to || this.send(from, nodeOf(from), to, e.port, e.protocol);
          if (allowed === denied.has(pair)) problems.push(`${pair} ${e.protocol} ${e.port} ${allowed ? "arrived" : "was denied"}`);
          if (!allowed && !this.points.some((x) => x.place === "drop" && x.rule.startsWith("NetworkPolicy ")))
            problems.push(`${pair}: the drop names no policy`);
        }
    }
    return problems;
  }

  private ensurePod(p: PodRow, node: number): void {
    const { ns } = this.nodes[node]!;
    const name = `veth-${p.namespace}-${p.name}`;
    if (ns.device(name) !== undefined) return;
    ns.addDevice(
      new LinkEnd(name, () => {
        this.arrivedAt = name;
      }),
    );
    ns.addRoute({ to: p.ip, dev: name });
  }

  private plan(s: Step, nodeOf: (p: PodRow) => number): void {
    const ports = s.cluster.ports.map((x) => ({ name: x.name, containerPort: x.port, protocol: x.protocol }));
    const pods = s.cluster.pods.map((p) => ({
      metadata: { namespace: p.namespace, name: p.name, labels: p.labels },
      spec: { nodeName: `node-${nodeOf(p)}`, containers: [{ ports }] },
      status: { phase: "Running", podIPs: [{ ip: p.ip }] },
    }));
    const namespaces = s.cluster.namespaces.map((n) => ({ metadata: n }));
    for (const [i, n] of this.nodes.entries())
      n.engine.replace(planPolicies({ policies: s.policies, pods, namespaces, nodeName: `node-${i}` }));
  }

  private send(from: PodRow, node: number, to: PodRow, port: number, protocol: string): boolean {
    this.points.length = 0;
    this.arrivedAt = "";
    const p = firstPacket(from.ip, this.port, to.ip, port, protocol);
    this.port = this.port >= 60_000 ? 20_000 : this.port + 1;
    p.traceId = 1;
    (this.nodes[node]!.ns.device(`veth-${from.namespace}-${from.name}`) as LinkEnd).inject(p);
    return this.arrivedAt === `veth-${to.namespace}-${to.name}`;
  }
}

function firstPacket(src: string, sport: number, dst: string, dport: number, protocol: string): Packet {
  const number = { TCP: 6, UDP: 17, SCTP: 132 }[protocol] as number;
  const header = src.includes(":") ? 40 : 20;
  const length = number === 6 ? 20 : 12;
  const p = Packet.alloc(header + length);
  const at = p.start + header;
  p.data.set([sport >> 8, sport & 255, dport >> 8, dport & 255], at);
  if (number === 6) p.data.set([0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2, 0xff, 0xff], at + 4);
  else if (number === 17) p.data.set([0, length], at + 4);
  ipHeader(p.data, p.start, p.end, number, address(src), address(dst), 64);
  if (number !== 132) {
    const sum = checksum(p.data, at, p.end, pseudoSumAt(p.data, p.start, number) + length);
    const field = at + (number === 6 ? 16 : 6);
    p.data.set([sum >> 8, sum & 255], field);
  }
  return p;
}
