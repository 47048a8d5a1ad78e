// The way of an IP packet through a namespace: in, forward, deliver, out, with the hooks between.
// Invariant: every packet that enters is delivered, sent on or dropped with a counted reason; TTL falls by one per forwarding, so no
// loop lasts; the Flow and the packet's bytes agree at every hook. RFC 1812 5.2, RFC 1122 3.2, RFC 8200; order as in Linux.
import { adjustChecksum16 } from "../checksum.ts";
import { formatAddress, type IpAddress, isLoopback, isMulticast, isUnspecified } from "../codec/address.ts";
import { putU16, u16 } from "../codec/numbers.ts";
import type { Device } from "../devices/device.ts";
import { HookVerdict } from "../netfilter/netfilter.ts";
import type { HookName } from "../netfilter/rule.ts";
import type { Position } from "../netfilter/walk.ts";
import type { Packet } from "../packet.ts";
import { formatRoute, type Route, type RouteType } from "../routing/table.ts";
import type { OutputResult } from "../sockets/ip-layer.ts";
import type { TracePoint } from "../trace.ts";
import { Flow, readFlow } from "./flow.ts";
import { fragment } from "./fragments.ts";
import { echoReply, type IcmpErrorKind, IcmpLimiter, icmpError, mayAnswer, tcpReset, tooBigMtu } from "./icmp-errors.ts";
import type { NetNamespace } from "./namespace.ts";

/** Where the path MTU of a destination is remembered (RFC 1191 6.3: ten minutes); when full it is emptied. */
const PMTU_LIMIT = 4096;
const PMTU_MS = 600_000;
const MIN_PMTU_V4 = 576;
const MIN_PMTU_V6 = 1280;

/** What a local sender hears of a route that leads nowhere (fib_props of Linux). */
const ROUTE_ERRORS: Readonly<Record<RouteType, OutputResult>> = {
  unicast: "ENETUNREACH",
  local: "ENETUNREACH",
  broadcast: "ENETUNREACH",
  blackhole: "EINVAL",
  unreachable: "EHOSTUNREACH",
  prohibit: "EACCES",
};

export class IpPath {
  private readonly ns: NetNamespace;
  private readonly limiter: IcmpLimiter;
  private readonly pmtu = new Map<IpAddress, { mtu: number; untilMs: number }>();

  constructor(ns: NetNamespace) {
    this.ns = ns;
    this.limiter = new IcmpLimiter(ns.clock);
  }

  /** An IP packet came in by `device` (and bridge port `port`, or ""). */
  receive(device: Device, p: Packet, port: string, reassembled = false): void {
    const { ns } = this;
    const f = new Flow();
    f.reassembled = reassembled;
    const fault = readFlow(p, f, true);
    if (fault !== undefined) {
      this.drop(p, undefined, fault, device.name);
      return;
    }
    p.inDevice = device.name;
    if (p.ct instanceof Flow) {
      f.ct = p.ct.ct;
      f.ctState = p.ct.ctState;
      p.ct = null;
    }
    // The outside of a tunnel passes the hooks by, both ways: what is inside meets them, and no connection is tracked twice.
    if (
      f.protocol === 17 &&
      f.fragmentOffset === 0 &&
      !f.moreFragments &&
      ns.isTunnel(f.dport) &&
      ns.isLocal(f.dst) &&
      !ns.isLocal(f.src)
    ) {
      ns.tunnelIn(p, f);
      return;
    }
    if (ns.tracing.armed) ns.tracing.pick(p, f);
    // Hooks see whole packets: later pieces have no ports to know their connection by.
    if ((f.fragmentOffset !== 0 || f.moreFragments) && ns.netfilterIfAny !== undefined) {
      const whole = ns.reassembly.add(p, f);
      p.release();
      if (whole !== undefined) this.receive(device, whole, port, true);
      return;
    }
    const at: Position = { in: device.name, out: "", physIn: port, physOut: "" };
    if (!this.hook("prerouting", p, f, at)) return;
    this.route(device, p, f, at);
  }

  /** After the prerouting hook: local, forward or drop. */
  route(device: Device, p: Packet, f: Flow, at: Position): void {
    const { ns } = this;
    const { src, dst } = f;
    const martian = this.martian(device, src, dst);
    if (martian !== "") {
      this.drop(p, f, martian, device.name);
      return;
    }
    if (ns.isLocal(dst) || ns.addresses.isBroadcast(dst)) {
      this.deliver(p, f, at);
      return;
    }
    if (isMulticast(dst)) {
      ns.addresses.isJoined(dst) ? this.deliver(p, f, at) : this.drop(p, f, "multicastNotJoined", device.name);
      return;
    }
    if (!ns.options.ipForward) {
      this.drop(p, f, "forwardingOff", device.name);
      return;
    }
    this.forward(p, f, at);
  }

  /** A locally made packet. */
  output(p: Packet): OutputResult {
    const { ns } = this;
    const f = new Flow();
    const fault = readFlow(p, f, false);
    if (fault !== undefined) {
      this.drop(p, undefined, fault, "output");
      return "EPERM";
    }
    if (ns.tracing.armed) ns.tracing.pick(p, f);
    let dst = f.dst;
    let route = this.lookup(dst);
    if (route === null || route.dev === "") {
      this.drop(p, f, route === null ? "noRoute" : route.type, "output");
      return route === null ? "ENETUNREACH" : ROUTE_ERRORS[route.type];
    }
    const at: Position = { in: "", out: route.dev, physIn: "", physOut: "" };
    if (!this.hook("output", p, f, at)) return "EPERM";
    if (f.dst !== dst || p.mark !== 0) {
      dst = f.dst;
      route = this.lookup(dst);
      if (route === null || route.dev === "") {
        this.drop(p, f, "noRoute", "output");
        return "EHOSTUNREACH";
      }
      at.out = route.dev;
    }
    if (p.traceId !== 0) this.point(p, f, "route", "output", formatRoute(route), "send");
    const device = ns.devices.get(route.dev);
    if (device === undefined) {
      this.drop(p, f, "noDevice", "output");
      return "ENETUNREACH";
    }
    if (this.tooBig(p, f, this.mtuOf(route, dst, device))) {
      if ((f.dontFragment && f.family === 4) || f.protocol === 6) {
        this.drop(p, f, "tooBig", device.name);
        return "EMSGSIZE";
      }
      this.finish(p, f, route, device, at, dst, this.mtuOf(route, dst, device));
      return "";
    }
    this.finish(p, f, route, device, at, dst, 0);
    return "";
  }

  private forward(p: Packet, f: Flow, at: Position): void {
    const { ns } = this;
    if (f.ttl <= 1) {
      this.refuse(p, f, "timeExceeded", "ttlExceeded", at);
      return;
    }
    const dst = f.dst;
    const route = ns.routes.lookup(dst);
    if (route === null || route.type === "unreachable") {
      // ICMPv6 has one code for both.
      const kind = route === null || f.family === 6 ? "netUnreachable" : "hostUnreachable";
      this.refuse(p, f, kind, route === null ? "noRoute" : "unreachable", at);
      return;
    }
    if (route.type === "prohibit") {
      this.refuse(p, f, "adminProhibited", "prohibit", at);
      return;
    }
    if (route.type === "blackhole") {
      this.drop(p, f, "blackhole", "forward");
      return;
    }
    const device = ns.devices.get(route.dev);
    if (device === undefined) {
      this.refuse(p, f, "netUnreachable", "noDevice", at);
      return;
    }
    const mtu = this.mtuOf(route, dst, device);
    let pieces = 0;
    if (this.tooBig(p, f, mtu)) {
      if (f.dontFragment && !f.reassembled) {
        this.refuse(p, f, "packetTooBig", "tooBig", at, mtu);
        return;
      }
      pieces = mtu;
    }
    decrementTtl(p, f);
    ns.counters.count("forwarded");
    if (p.traceId !== 0) this.point(p, f, "route", "forward", formatRoute(route), "forward");
    at.out = route.dev;
    if (!this.hook("forward", p, f, at)) return;
    this.finish(p, f, route, device, at, dst, pieces);
  }

  /** Postrouting, then the link. `pieces` is the MTU to fragment to, 0 when the packet fits. */
  private finish(p: Packet, f: Flow, route: Route, device: Device, at: Position, dst: IpAddress, pieces: number): void {
    if (!this.hook("postrouting", p, f, at)) return;
    const { ns } = this;
    if (pieces > 0) {
      for (const piece of fragment(p, f, pieces, ns.random.uint32())) this.toLink(piece, f, route, device, dst);
      p.release();
      return;
    }
    this.toLink(p, f, route, device, dst);
  }

  private toLink(p: Packet, f: Flow, route: Route, device: Device, dst: IpAddress): void {
    const { ns } = this;
    if (device.pointless) {
      p.ct = f;
      if (p.traceId !== 0) this.point(p, f, "device", device.name, "", "send");
      device.transmit(p);
      return;
    }
    p.ct = null;
    p.mark = 0;
    if (p.traceId !== 0) this.point(p, f, "device", device.name, "", "send");
    const hop = route.via ?? dst;
    const mac = device.neighbour(hop);
    if (mac !== undefined) {
      ns.link.send(device, p, mac);
      return;
    }
    if (isMulticast(hop) || ns.addresses.isBroadcast(hop)) {
      ns.link.sendToMany(device, p, hop);
      return;
    }
    ns.neighbours.output(device, hop, p);
  }

  private deliver(p: Packet, f: Flow, at: Position): void {
    const { ns } = this;
    if (f.fragmentOffset !== 0 || f.moreFragments) {
      const whole = ns.reassembly.add(p, f);
      p.release();
      if (whole === undefined) return;
      const again = new Flow();
      if (readFlow(whole, again, false) !== undefined) {
        this.drop(whole, undefined, "badReassembly", "input");
        return;
      }
      again.ct = f.ct;
      again.ctState = f.ctState;
      this.deliver(whole, again, at);
      return;
    }
    if (!this.hook("input", p, f, at)) return;
    const icmp = f.protocol === 1 || f.protocol === 58;
    if (icmp && ns.link.neighbourDiscovery(p, f, at.in)) {
      p.release();
      return;
    }
    ns.counters.count("delivered");
    if (p.traceId !== 0) this.point(p, f, "route", "input", `local ${formatAddress(f.dst)}`, "deliver");
    if (icmp) {
      const type = f.dport >> 8;
      if (type === (f.family === 4 ? 8 : 128)) {
        const reply = echoReply(p, f);
        p.release();
        this.output(reply);
        return;
      }
      const mtu = tooBigMtu(p, f);
      if (mtu > 0) this.learnPmtu(p, f, mtu);
    }
    if (ns.sockets?.input(p) === true) return;
    if (icmp) {
      p.release();
      return;
    }
    if (f.protocol === 6) {
      const reset = tcpReset(p, f);
      this.drop(p, f, "noSocket", "input");
      if (reset !== undefined) this.output(reset);
      return;
    }
    this.refuse(p, f, f.protocol === 17 ? "portUnreachable" : "protocolUnreachable", "noSocket", at);
  }

  /** Runs a hook; false when the packet is gone (dropped, rejected), with everything done about it. */
  hook(hook: HookName, p: Packet, f: Flow, at: Position): boolean {
    const nf = this.ns.netfilterIfAny;
    if (nf === undefined) return true;
    const v = nf.run(hook, p, f, at);
    if (v === HookVerdict.accept) return true;
    if (v === HookVerdict.reject) this.reject(p, f, hook, at);
    else this.drop(p, f, nf.cause, hook, nf.reason);
    return false;
  }

  private reject(p: Packet, f: Flow, hook: HookName, at: Position): void {
    const nf = this.ns.netfilter;
    const { rejectWith, reason } = nf;
    const answer = this.answerable(p, f) ? this.rejection(p, f, rejectWith, at) : undefined;
    this.ns.counters.count("rejected");
    if (p.traceId !== 0) this.point(p, f, "drop", hook, reason, "reject");
    nf.conntrack.release(f);
    p.release();
    if (answer !== undefined) this.output(answer);
  }

  private rejection(p: Packet, f: Flow, what: string, at: Position): Packet | undefined {
    if (what === "tcp-reset") return f.protocol === 6 ? tcpReset(p, f) : undefined;
    const kind: IcmpErrorKind = what.includes("host")
      ? "hostUnreachable"
      : what.includes("net")
        ? "netUnreachable"
        : what.includes("adm")
          ? "adminProhibited"
          : "portUnreachable";
    return icmpError(p, f, kind, this.errorSource(f, at));
  }

  /** Drops a packet and tells its sender by ICMP. */
  refuse(p: Packet, f: Flow, kind: IcmpErrorKind, reason: string, at: Position, mtu = 0): void {
    const answer = this.answerable(p, f) ? icmpError(p, f, kind, this.errorSource(f, at), mtu) : undefined;
    this.drop(p, f, reason, at.in === "" ? "output" : at.in);
    if (answer !== undefined) this.output(answer);
  }

  /** A packet that waited for a neighbour which never answered. */
  unreachable(device: Device, p: Packet): void {
    const f = new Flow();
    if (readFlow(p, f, false) !== undefined) {
      p.release();
      return;
    }
    this.refuse(p, f, "hostUnreachable", "neighbourFailed", { in: "", out: device.name, physIn: "", physOut: "" });
  }

  private answerable(p: Packet, f: Flow): boolean {
    if (!mayAnswer(f)) return false;
    if (this.limiter.allow()) return true;
    this.ns.counters.count("icmpRateLimited");
    return p.traceId !== 0;
  }

  /** The address that an ICMP error comes from: the one addressed, else that of the way back. */
  private errorSource(f: Flow, at: Position): IpAddress {
    const { ns } = this;
    if (ns.isLocal(f.dst)) return f.dst;
    const own = at.in === "" ? undefined : ns.addresses.primary(at.in, f.family);
    return own ?? ns.sourceFor(f.src) ?? f.dst;
  }

  drop(p: Packet, f: Flow | undefined, reason: string, where: string, rule = ""): void {
    const { ns } = this;
    ns.counters.drop(reason);
    if (f !== undefined) ns.netfilterIfAny?.conntrack.release(f);
    if (p.traceId !== 0) {
      const t = f?.tuple() ?? { src: "", dst: "", protocol: "", sport: 0, dport: 0 };
      ns.tracing.point(p, { place: "drop", name: where, rule: rule === "" ? reason : rule, verdict: "drop", detail: { reason } }, t, t);
    }
    p.release();
  }

  point(p: Packet, f: Flow, place: TracePoint["place"], name: string, rule: string, verdict: TracePoint["verdict"]): void {
    const t = f.tuple();
    this.ns.tracing.point(p, { place, name, rule, verdict }, t, t);
  }

  lookup(dst: IpAddress): Route | null {
    return this.ns.isLocal(dst) ? this.ns.localRoute : this.ns.routes.lookup(dst);
  }

  mtuFor(dst: IpAddress): number {
    const route = this.lookup(dst);
    const device = route === null ? undefined : this.ns.devices.get(route.dev);
    return route === null || device === undefined ? 1500 : this.mtuOf(route, dst, device);
  }

  private mtuOf(route: Route, dst: IpAddress, device: Device): number {
    const mtu = route.mtu > 0 && route.mtu < device.mtu ? route.mtu : device.mtu;
    if (this.pmtu.size === 0) return mtu;
    const learned = this.pmtu.get(dst);
    if (learned === undefined) return mtu;
    if (learned.untilMs < this.ns.clock.monotonicMs()) {
      this.pmtu.delete(dst);
      return mtu;
    }
    return Math.min(mtu, learned.mtu);
  }

  /** Only an error about a packet that really left here can lower the path MTU: its quoted source must be ours. */
  private learnPmtu(p: Packet, f: Flow, mtu: number): void {
    const quoted = new Flow();
    const at = p.start + f.l4 + 8;
    const six = f.family === 6;
    if (at + (six ? 40 : 20) > p.end) return;
    const b = p.data.slice(at, at + (six ? 40 : 20));
    readQuotedAddresses(b, quoted, six);
    if (!this.ns.isLocal(quoted.src)) return;
    if (this.pmtu.size >= PMTU_LIMIT) this.pmtu.clear();
    const floor = six ? MIN_PMTU_V6 : MIN_PMTU_V4;
    this.pmtu.set(quoted.dst, { mtu: Math.max(mtu, floor), untilMs: this.ns.clock.monotonicMs() + PMTU_MS });
    this.ns.counters.count("pmtuLearned");
  }

  private tooBig(p: Packet, f: Flow, mtu: number): boolean {
    const length = p.end - p.start;
    if (length <= mtu) return false;
    if (p.gsoSize === 0) return true;
    const transport = f.protocol === 6 ? (p.data[p.start + f.l4 + 12]! >> 4) * 4 : 8;
    return f.l4 + transport + p.gsoSize > mtu;
  }

  private martian(device: Device, src: IpAddress, dst: IpAddress): string {
    const { ns } = this;
    if (device.pointless) return "";
    if (isMulticast(src) || src === 0xffffffff || ns.addresses.isBroadcast(src)) return "martianSource";
    if (isLoopback(src) || (isLoopback(dst) && !ns.options.routeLocalnet)) return "martianLoopback";
    if (isUnspecified(dst) || (isUnspecified(src) && typeof src === "number" && dst !== 0xffffffff)) return "martianUnspecified";
    if (ns.isLocal(src)) return "martianOwnSource";
    if (ns.options.rpFilter === 0) return "";
    const back = ns.routes.lookup(src);
    if (back === null || back.dev === "" || (ns.options.rpFilter === 1 && back.dev !== device.name)) return "reversePath";
    return "";
  }
}

/** TTL or hop limit minus one, with the header checksum corrected. */
function decrementTtl(p: Packet, f: Flow): void {
  const { data: b, start } = p;
  f.ttl--;
  if (f.family === 6) {
    b[start + 7] = f.ttl;
    return;
  }
  const before = u16(b, start + 8);
  b[start + 8] = f.ttl;
  putU16(b, start + 10, adjustChecksum16(u16(b, start + 10), before, u16(b, start + 8)));
}

function readQuotedAddresses(b: Uint8Array, f: Flow, six: boolean): void {
  const w = (i: number) => (b[i]! << 24) | (b[i + 1]! << 16) | (b[i + 2]! << 8) | b[i + 3]!;
  f.family = six ? 6 : 4;
  const [s, d] = six ? [8, 24] : [0, 4];
  if (six) {
    [f.s0, f.s1, f.s2, f.s3] = [w(s), w(s + 4), w(s + 8), w(s + 12)];
    [f.d0, f.d1, f.d2, f.d3] = [w(d), w(d + 4), w(d + 8), w(d + 12)];
  } else [f.s3, f.d3] = [w(12), w(16)];
}
