// Suite `kubeproxy`: each flow as real packets through a node whose rules kube-proxy wrote, in every proxy mode; the outcome is read
// from the packets' traces. Topology rows ask the pure choice of endpoints.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { seededRandom, silentLogger } from "@podwire/base";
import { address, checksum, Device, Flow, ipHeader, NetNamespace, Packet, pseudoSumAt, readFlow, type TracePoint } from "@podwire/net";
import {
  categorize,
  createProxier,
  endpointsOf,
  type ProxyMode,
  type ProxySettings,
  SERVICE_NAME,
  type ServiceInput,
  servicePorts,
} from "@podwire/node-agent";
import { virtualClock } from "@podwire/testkit";
import { type SuiteResult, Tally } from "./suite.ts";

interface Config {
  ipFamily: "IPv4" | "IPv6";
  nodeName: string;
  nodeLabels: Record<string, string>;
  nodeIPs: string[];
  podCIDR: string | null;
  masqueradeAll: boolean;
  nodePortAddresses: string[] | null;
  localhostNodePorts: boolean;
  preferSameTrafficDistribution?: boolean;
}

interface FlowRow {
  name: string;
  sourceIP: string;
  protocol: string;
  destIP: string;
  destPort: number;
  expect: { action: string; output: string; candidates: string[]; masq: boolean; sticky?: { timeoutSeconds: number } };
}

interface Case {
  name: string;
  config: Config;
  services: any[];
  endpointSlices: any[];
  flows?: FlowRow[];
  expect?: { cluster: string[]; local: string[]; all: string[]; hasAny: boolean };
}

export const MODES: readonly ProxyMode[] = ["iptables", "ipvs", "nftables"];

export async function run(dir: string): Promise<SuiteResult> {
  const result = new Tally();
  for (const file of readdirSync(dir).filter((f) => f.endsWith(".json")))
    for (const c of JSON.parse(readFileSync(join(dir, file), "utf8")) as Case[]) {
      if (c.expect !== undefined) result.note(c.name, checkTopology(c));
      for (const mode of c.flows === undefined ? [] : MODES) {
        const node = new NodeUnderTest(c, mode);
        for (const f of c.flows ?? []) result.note(`${mode}: ${c.name}: ${f.name}`, node.check(f));
        node.close();
      }
    }
  return result;
}

function settingsOf(c: Config): ProxySettings {
  const family = c.ipFamily === "IPv6" ? 6 : 4;
  return {
    family,
    nodeName: c.nodeName,
    nodeLabels: c.nodeLabels,
    nodeIPs: c.nodeIPs.filter((ip) => ip.includes(":") === (family === 6)),
    podCIDR: c.podCIDR ?? undefined,
    masqueradeAll: c.masqueradeAll,
    nodePortAddresses: c.nodePortAddresses?.filter((n) => n.includes(":") === (family === 6)),
    localhostNodePorts: c.localhostNodePorts,
    preferSameTrafficDistribution: c.preferSameTrafficDistribution ?? false,
  };
}

function inputsOf(c: Case): Map<string, ServiceInput> {
  const key = (o: any) => `${o.metadata.namespace}/${o.metadata.name}`;
  return new Map(
    c.services.map((service) => [
      key(service),
      {
        service,
        slices: c.endpointSlices.filter((s) => `${s.metadata.namespace}/${s.metadata.labels?.[SERVICE_NAME]}` === key(service)),
      },
    ]),
  );
}

function checkTopology(c: Case): string {
  const settings = settingsOf(c.config);
  const [input] = inputsOf(c).values();
  const [port] = input === undefined ? [] : servicePorts(input.service, settings.family);
  if (input === undefined || port === undefined) return "the Service has no port in this family";
  const got = categorize(endpointsOf(port, input.slices, settings.family, settings.nodeName), port, settings);
  const text = (x: { cluster: unknown; local: unknown; all: unknown; hasAny: boolean }) =>
    JSON.stringify([x.cluster, x.local, x.all, x.hasAny]);
  const names = (list: readonly { endpoint: string }[]) => list.map((e) => e.endpoint).sort();
  const want = c.expect as NonNullable<Case["expect"]>;
  const wanted = { cluster: [...want.cluster].sort(), local: [...want.local].sort(), all: [...want.all].sort(), hasAny: want.hasAny };
  const have = { cluster: names(got.cluster), local: names(got.local), all: names(got.all), hasAny: got.hasAny };
  return text(have) === text(wanted) ? "" : `expected ${text(wanted)}, got ${text(have)}`;
}

/** The node's only way out: keeps what leaves, lets packets in. */
class Outside extends Device {
  readonly sent: Packet[] = [];
  constructor() {
    super("eth0", 0x020000000001, 1500);
  }
  override neighbour(): number {
    return 0x020000000002;
  }
  protected override send(p: Packet): void {
    this.sent.push(p);
  }
  inject(p: Packet): void {
    const at = p.push(14);
    p.data.fill(0, at, at + 14);
    p.data.set([2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2], at);
    const six = p.data[p.start + 14]! >> 4 === 6;
    p.data.set(six ? [0x86, 0xdd] : [8, 0], at + 12);
    this.arrive(p);
  }
}

interface Outcome {
  action: string;
  to: string;
  masq: boolean;
}

class NodeUnderTest {
  private readonly points: TracePoint[] = [];
  private readonly clock = virtualClock();
  private readonly ns: NetNamespace;
  private readonly eth0 = new Outside();
  private readonly own: Set<string>;
  private readonly mode: ProxyMode;
  private readonly clusterIPs: Set<string>;
  private port = 20_000;

  constructor(c: Case, mode: ProxyMode) {
    this.mode = mode;
    this.clusterIPs = new Set(c.services.map((s) => s.spec.clusterIP));
    const settings = settingsOf(c.config);
    this.own = new Set([...settings.nodeIPs, "127.0.0.1", "::1"]);
    this.ns = new NetNamespace({
      name: "root",
      process: c.config.nodeName,
      clock: this.clock,
      random: seededRandom(7),
      log: silentLogger,
      trace: { point: (p) => void this.points.push(p) },
      ipForward: true,
      routeLocalnet: settings.localhostNodePorts,
    });
    this.ns.addDevice(this.eth0);
    for (const ip of settings.nodeIPs) this.ns.addAddress(this.eth0, ip, settings.family === 6 ? 128 : 32);
    this.ns.addRoute({ to: settings.family === 6 ? "::/0" : "0.0.0.0/0", dev: "eth0", src: settings.nodeIPs[0] as string });
    this.ns.sockets = { input: () => true };
    createProxier(mode, this.ns, settings).sync(inputsOf(c));
  }

  close(): void {
    this.ns.close();
  }

  check(f: FlowRow): string {
    const { expect } = f;
    const first = this.send(f);
    if (first.action !== expect.action && this.byMode(f) === first.action) return "";
    if (first.action !== expect.action) return `expected ${expect.output}, got ${first.action} ${first.to}`;
    if (expect.action !== "DNAT") return "";
    const seen = new Set<string>();
    const tries = expect.sticky === undefined ? 60 * expect.candidates.length : 1;
    for (let i = 0; i < tries && (i < 5 || seen.size < expect.candidates.length); i++) {
      const o = i === 0 ? first : this.send(f);
      seen.add(o.to);
      if (o.action !== "DNAT") return `one of the packets ended in ${o.action}`;
      if (o.masq !== expect.masq) return `expected masquerade ${expect.masq}, got ${o.masq} (${o.to})`;
    }
    if (expect.sticky !== undefined) return this.checkSticky(f, first, expect.sticky.timeoutSeconds);
    const [want, got] = [[...expect.candidates].sort().join(" "), [...seen].sort().join(" ")];
    return want === got ? "" : `expected ${want}, got ${got}`;
  }

  /** The tables are of iptables mode. Where upstream's other modes mean to differ, what they do instead:
   *  nftables refuses ports of a ClusterIP that no Service has (its chain cluster-ips-check); only iptables needs, and so has, a rule
   *  that lets the health-check port in: elsewhere nothing is in its way. */
  private byMode(f: FlowRow): string | undefined {
    if (this.mode === "nftables" && f.expect.action === "NONE" && this.clusterIPs.has(f.destIP)) return "REJECT";
    if (this.mode === "nftables" && f.expect.action === "ACCEPT") return "NONE";
    return undefined;
  }

  /** A source stays while it comes back within the time-out of its last connection, and is free after it. */
  private checkSticky(f: FlowRow, first: Outcome, timeoutSeconds: number): string {
    if (!f.expect.candidates.includes(first.to)) return `${first.to} is no candidate`;
    for (let i = 0; i < 4; i++) {
      this.clock.tick((timeoutSeconds - 5) * 1000);
      for (let k = 0; k < 5; k++) if (this.send(f).to !== first.to) return "the source did not keep its endpoint";
    }
    const after = new Set<string>();
    for (let i = 0; i < 60; i++) {
      this.clock.tick((timeoutSeconds + 5) * 1000);
      after.add(this.send(f).to);
    }
    return after.size === f.expect.candidates.length ? "" : "the source kept its endpoint past the time-out";
  }

  /** One new connection's first packet. */
  private send(f: FlowRow): Outcome {
    this.points.length = 0;
    this.eth0.sent.length = 0;
    const p = firstPacket(f.sourceIP, this.port++, f.destIP, f.destPort, f.protocol);
    p.traceId = 1;
    if (this.own.has(f.sourceIP)) this.ns.output(p);
    else this.eth0.inject(p);
    this.clock.tick(0);
    return this.outcome();
  }

  private outcome(): Outcome {
    const end = this.points.find((x) => x.place === "drop");
    const dnat = this.points.find((x) => x.place === "nat" && x.verdict === "dnat" && x.rule !== "conntrack");
    const masq = this.points.some((x) => x.place === "nat" && x.verdict === "masquerade");
    const out =
      dnat === undefined
        ? ""
        : dnat.after.dst.includes(":")
          ? `[${dnat.after.dst}]:${dnat.after.dport}`
          : `${dnat.after.dst}:${dnat.after.dport}`;
    if (end !== undefined)
      return {
        action: String(end.verdict) === "reject" ? "REJECT" : `DROP${end.detail?.["reason"] === "netfilter" ? "" : ` (${end.rule})`}`,
        to: "",
        masq,
      };
    if (dnat !== undefined) {
      const bad = this.badChecksum(dnat.after.dst);
      return { action: bad === "" ? "DNAT" : bad, to: out, masq };
    }
    if (this.points.some((x) => x.place === "hook" && x.verdict === "accept")) return { action: "ACCEPT", to: "", masq };
    return { action: "NONE", to: "", masq };
  }

  /** What left the node must be whole: to the endpoint, every checksum true. */
  private badChecksum(dst: string): string {
    const p = this.eth0.sent.at(-1);
    if (p === undefined) return "DNAT, but nothing was sent";
    const f = new Flow();
    const view = Packet.from(p.bytes().subarray(14));
    const fault = readFlow(view, f, true);
    if (fault !== undefined) return `DNAT, but the packet is bad: ${fault}`;
    if (f.tuple().dst !== dst) return `DNAT, but sent to ${f.tuple().dst}`;
    const at = view.start + f.l4;
    if (f.protocol !== 132 && checksum(view.data, at, view.end, pseudoSumAt(view.data, view.start, f.protocol) + view.end - at) !== 0)
      return "DNAT, but the checksum is wrong";
    return "";
  }
}

function firstPacket(src: string, sport: number, dst: string, dport: number, protocol: string): Packet {
  const number = { TCP: 6, UDP: 17, SCTP: 132 }[protocol] as number;
  const header = src.includes(":") ? 40 : 20;
  const length = number === 6 ? 20 : number === 17 ? 12 : 32;
  const p = Packet.alloc(header + length);
  const at = p.start + header;
  const b = p.data;
  b.set([sport >> 8, sport & 255, dport >> 8, dport & 255], at);
  if (number === 6) b.set([0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2, 0xff, 0xff], at + 4);
  else if (number === 17) b.set([0, length], at + 4);
  else b.set([1, 0, 0, 20, 0, 0, 0, 1, 0, 1, 0, 0, 0, 1, 0, 1, 0, 0, 0, 1], at + 12);
  ipHeader(b, p.start, p.end, number, address(src), address(dst), 64);
  if (number !== 132) {
    const sum = checksum(b, at, p.end, pseudoSumAt(b, p.start, number) + length);
    const field = at + (number === 6 ? 16 : 6);
    b[field] = sum >> 8;
    b[field + 1] = sum & 255;
  }
  return p;
}
