// A network namespace: devices, addresses, routes, neighbours, netfilter and sockets of one host or pod (network_namespaces(7)).
// Invariant: everything a packet meets here belongs to this object; two namespaces share only the veth between them. Netfilter and
// conntrack come into being when first used, so that a pod without rules pays nothing.
import { type Clock, type Logger, PodwireError, type Random } from "@podwire/base";
import { formatAddress, type IpAddress, type Mac, parseAddress, parseMac, parsePrefix } from "../codec/address.ts";
import { Udp } from "../codec/udp.ts";
import type { ConntrackOptions } from "../conntrack/conntrack.ts";
import { Bridge, type BridgeNetfilter } from "../devices/bridge.ts";
import type { Device, DeviceHost } from "../devices/device.ts";
import { Loopback } from "../devices/loopback.ts";
import { type Underlay, VxlanDevice } from "../devices/vxlan.ts";
import { Netfilter, type NetfilterHost } from "../netfilter/netfilter.ts";
import { Packet } from "../packet.ts";
import { formatRoute, type Route, RouteTable } from "../routing/table.ts";
import type { PingAnswer, PingOptions } from "../sockets/icmp-layer.ts";
import type { IpLayer, OutputResult } from "../sockets/ip-layer.ts";
import type { NetSocket } from "../sockets/net-socket.ts";
import { type ConnectOptions, type ListenOptions, SocketLayer } from "../sockets/socket-layer.ts";
import type { TcpServer } from "../sockets/tcp-server.ts";
import type { UdpSocket } from "../sockets/udp-socket.ts";
import type { FlowTuple, TraceFilter, TracePoint, TraceSink } from "../trace.ts";
import { Addresses, networkPrefix } from "./addresses.ts";
import { BridgePath } from "./bridge-path.ts";
import { Counters } from "./counters.ts";
import { Flow, readFlow } from "./flow.ts";
import { Reassembly } from "./fragments.ts";
import { ipHeader } from "./icmp-errors.ts";
import { IpPath } from "./ip-path.ts";
import { Link } from "./link.ts";
import { Neighbours } from "./neighbours.ts";
import { Tracing } from "./tracing.ts";

/** What can be switched, as sysctls are; defaults are a pod's. */
export interface NamespaceOptions {
  /** net.ipv4.ip_forward */
  ipForward: boolean;
  /** net.bridge.bridge-nf-call-iptables */
  bridgeNfCallIptables: boolean;
  /** net.ipv4.conf.all.route_localnet */
  routeLocalnet: boolean;
  /** net.ipv4.conf.all.rp_filter: 0 off, 1 strict, 2 loose */
  rpFilter: 0 | 1 | 2;
  /** net.ipv4.conf.all.proxy_arp */
  proxyArp: boolean;
}

export interface NetNamespaceInit extends Partial<NamespaceOptions> {
  /** "root", or "<namespace>/<pod>". */
  name: string;
  /** The process, as traces name it ("node-1"). */
  process: string;
  clock: Clock;
  random: Random;
  log: Logger;
  trace?: TraceSink;
  conntrack?: Partial<Pick<ConntrackOptions, "maxEntries" | "timeouts">>;
}

export interface RouteSpec {
  /** "default", "10.244.1.0/24" or an address. */
  to: string;
  via?: string;
  dev?: string;
  onlink?: boolean;
  src?: string;
  metric?: number;
  mtu?: number;
  type?: "unicast" | "blackhole" | "unreachable" | "prohibit";
}

/** What eats the packets that are delivered here. False: nobody wanted it. */
export interface LocalSockets {
  input(p: Packet): boolean;
  close?(): void;
}

/** A command that cannot be carried out, with ip(8)'s reason. */
export class NetConfigError extends PodwireError {}

export class NetNamespace implements DeviceHost, NetfilterHost, Underlay, IpLayer {
  readonly name: string;
  readonly process: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly options: NamespaceOptions;
  readonly devices = new Map<string, Device>();
  readonly addresses = new Addresses();
  readonly routes = new RouteTable();
  readonly neighbours: Neighbours;
  readonly counters = new Counters();
  readonly tracing: Tracing;
  readonly link: Link;
  readonly path: IpPath;
  readonly reassembly: Reassembly;
  /** The route of everything local. */
  readonly localRoute: Route;
  sockets: LocalSockets | undefined;
  private layer: SocketLayer | undefined;
  private lastIndex = 0;
  private readonly conntrackOptions: NetNamespaceInit["conntrack"];
  private readonly tunnels = new Map<number, VxlanDevice[]>();
  private readonly bridgePath: BridgeNetfilter;
  /** The netfilter tables when they are in use. */
  netfilterIfAny: Netfilter | undefined;

  constructor(init: NetNamespaceInit) {
    this.name = init.name;
    this.process = init.process;
    this.clock = init.clock;
    this.random = init.random;
    this.log = init.log;
    this.options = {
      ipForward: init.ipForward ?? false,
      bridgeNfCallIptables: init.bridgeNfCallIptables ?? false,
      routeLocalnet: init.routeLocalnet ?? false,
      rpFilter: init.rpFilter ?? 0,
      proxyArp: init.proxyArp ?? false,
    };
    this.conntrackOptions = init.conntrack;
    this.tracing = new Tracing(init.clock, init.process, init.name, init.trace);
    this.link = new Link(this);
    this.path = new IpPath(this);
    this.reassembly = new Reassembly(init.clock, this.counters);
    this.bridgePath = new BridgePath(this);
    this.neighbours = new Neighbours(init.clock, {
      ask: (d, target, mac) => this.link.ask(d, target, mac),
      send: (d, p, mac) => this.link.send(d, p, mac),
      unreachable: (d, p) => this.path.unreachable(d, p),
      overflow: (d, p) => this.dropped(p, d, "neighbourQueueFull"),
    });
    const lo = new Loopback(init.clock);
    this.addDevice(lo);
    this.localRoute = {
      to: { address: 0x7f000000, length: 8 },
      type: "local",
      dev: lo.name,
      via: undefined,
      onlink: false,
      src: undefined,
      metric: 0,
      mtu: 0,
      scope: "host",
      proto: "kernel",
    };
  }

  // Devices and addresses

  addDevice(device: Device): void {
    if (this.devices.has(device.name)) throw new NetConfigError(`${this.name}: device ${device.name} exists`);
    this.devices.set(device.name, device);
    device.index = ++this.lastIndex;
    device.host = this;
    if (device instanceof VxlanDevice) {
      device.underlay = this;
      this.tunnels.set(device.port, [...(this.tunnels.get(device.port) ?? []), device]);
    }
    if (device instanceof Bridge && this.options.bridgeNfCallIptables) device.netfilter = this.bridgePath;
  }

  /** Removes a device with its addresses, routes and neighbours, and closes it. */
  removeDevice(name: string): void {
    const device = this.devices.get(name);
    if (device === undefined) return;
    this.devices.delete(name);
    if (device.master instanceof Bridge) device.master.removePort(device);
    this.addresses.remove(name);
    this.routes.remove((r) => r.dev === name);
    this.neighbours.removeDevice(name);
    if (device instanceof VxlanDevice)
      this.tunnels.set(
        device.port,
        (this.tunnels.get(device.port) ?? []).filter((d) => d !== device),
      );
    device.close();
    device.host = undefined;
  }

  device(name: string): Device | undefined {
    return this.devices.get(name);
  }

  /** ip address add <address>/<length> dev <device>; adds the connected route too. */
  addAddress(device: Device | string, address: string, length: number): void {
    const dev = this.needDevice(device);
    const a = this.needAddress(address);
    this.addresses.add(dev.name, a, length);
    if (length < (typeof a === "number" ? 32 : 128)) {
      const to = networkPrefix(a, length);
      this.routes.add({
        to,
        type: "unicast",
        dev: dev.name,
        via: undefined,
        onlink: false,
        src: a,
        metric: 0,
        mtu: 0,
        scope: "link",
        proto: "kernel",
      });
    }
  }

  removeAddress(device: Device | string, address: string): void {
    const dev = this.needDevice(device);
    const a = this.needAddress(address);
    for (const gone of this.addresses.remove(dev.name, a)) {
      const to = networkPrefix(gone.address, gone.length);
      this.routes.remove((r) => r.proto === "kernel" && r.dev === dev.name && r.to.address === to.address && r.to.length === to.length);
    }
    this.routes.remove((r) => r.src === a);
  }

  // Routes and neighbours

  /** ip route replace */
  addRoute(spec: RouteSpec): void {
    const to = this.needPrefix(spec.to, spec.via);
    const via = spec.via === undefined ? undefined : this.needAddress(spec.via);
    let dev = spec.dev ?? "";
    if (spec.type === undefined || spec.type === "unicast") {
      if (via !== undefined && spec.onlink !== true) {
        const way = this.routes.lookup(via);
        if (way === null || way.via !== undefined || (dev !== "" && way.dev !== dev))
          throw new NetConfigError(`${this.name}: Nexthop has invalid gateway ${spec.via}`);
        if (dev === "") dev = way.dev;
      }
      this.needDevice(dev);
    }
    this.routes.add({
      to,
      type: spec.type ?? "unicast",
      dev,
      via,
      onlink: spec.onlink === true,
      src: spec.src === undefined ? undefined : this.needAddress(spec.src),
      metric: spec.metric ?? 0,
      mtu: spec.mtu ?? 0,
      scope: via === undefined && dev !== "" ? "link" : "global",
      proto: "boot",
    });
  }

  /** Removes the routes to `to` (and by `dev`, when given); returns how many. */
  removeRoute(spec: Pick<RouteSpec, "to" | "dev" | "via">): number {
    const to = this.needPrefix(spec.to, spec.via);
    return this.routes.remove(
      (r) => r.to.address === to.address && r.to.length === to.length && (spec.dev === undefined || r.dev === spec.dev),
    );
  }

  /** As `ip route` prints them. */
  listRoutes(): string[] {
    return this.routes.list().map(formatRoute);
  }

  lookupRoute(dst: string): Route | null {
    return this.path.lookup(this.needAddress(dst));
  }

  /** ip neigh replace <address> lladdr <mac> dev <device> nud permanent */
  addNeighbour(device: Device | string, address: string, mac: string | Mac): void {
    const m = typeof mac === "number" ? mac : parseMac(mac);
    if (m === undefined) throw new NetConfigError(`${this.name}: not a MAC address: ${mac}`);
    this.neighbours.setPermanent(this.needDevice(device), this.needAddress(address), m);
  }

  removeNeighbour(device: Device | string, address: string): void {
    this.neighbours.remove(this.needDevice(device), this.needAddress(address));
  }

  // Netfilter and traces

  get netfilter(): Netfilter {
    this.netfilterIfAny ??= new Netfilter(this, this.conntrackOptions);
    return this.netfilterIfAny;
  }

  get conntrack() {
    return this.netfilter.conntrack;
  }

  armTrace(filter: TraceFilter): void {
    this.tracing.arm(filter);
  }

  disarmTrace(traceId: number): void {
    this.tracing.disarm(traceId);
  }

  /** Everything that is counted here, for `control` requests and tests. */
  readCounters() {
    const nf = this.netfilterIfAny;
    return {
      ...this.counters.read(),
      sockets: this.layer?.counters(),
      devices: Object.fromEntries([...this.devices].map(([n, d]) => [n, { ...d.counters }])),
      conntrack: nf === undefined ? undefined : { entries: nf.conntrack.count, ...nf.conntrack.stats },
    };
  }

  close(): void {
    this.sockets?.close?.();
    this.neighbours.close();
    this.netfilterIfAny?.conntrack.close();
    for (const name of [...this.devices.keys()]) this.removeDevice(name);
  }

  // Sockets (sockets/socket-layer.ts); they come into being when first used

  get socketLayer(): SocketLayer {
    this.layer ??= new SocketLayer({ ip: this, clock: this.clock, random: this.random });
    this.sockets = this.layer;
    return this.layer;
  }

  tcpConnect(o: ConnectOptions): NetSocket {
    return this.socketLayer.tcpConnect(o);
  }

  tcpListen(o: ListenOptions, onConnection?: (socket: NetSocket) => void): TcpServer {
    return this.socketLayer.tcpListen(o, onConnection);
  }

  udpBind(o: { host?: string; port?: number } = {}): UdpSocket {
    return this.socketLayer.udpBind(o);
  }

  ping(address: string, o?: PingOptions): Promise<PingAnswer> {
    return this.socketLayer.ping(address, o);
  }

  // IpLayer: what sockets ask

  output(p: Packet): OutputResult {
    return this.path.output(p);
  }

  sourceFor(dst: IpAddress): IpAddress | undefined {
    if (this.isLocal(dst)) return dst;
    const route = this.routes.lookup(dst);
    if (route === null || route.dev === "") return undefined;
    return route.src ?? this.addresses.sourceOn(route.dev, route.via ?? dst) ?? this.addresses.any(typeof dst === "number" ? 4 : 6);
  }

  mtuFor(dst: IpAddress): number {
    return this.path.mtuFor(dst);
  }

  isLocal(a: IpAddress): boolean {
    return this.addresses.isLocal(a);
  }

  /** Trace points of the sockets of this namespace. */
  trace(p: Packet, at: Device | Pick<TracePoint, "place" | "name" | "rule" | "verdict" | "detail">, direction: "in" | "out" = "in"): void {
    if (p.traceId === 0) return;
    if ("place" in at) {
      const t = tupleOf(p, 0);
      this.tracing.point(p, at, t, t);
      return;
    }
    const t = tupleOf(p, at.pointless ? 0 : 14);
    this.tracing.point(
      p,
      {
        place: at.master === undefined ? "device" : "bridge",
        name: at.name,
        rule: at.master?.name ?? "",
        verdict: direction === "in" ? "" : "send",
      },
      t,
      t,
    );
  }

  // NetfilterHost

  masqueradeAddress(device: string, dst: IpAddress): IpAddress | undefined {
    const route = this.path.lookup(dst);
    if (route !== null && route.dev === device && route.src !== undefined) return route.src;
    return this.addresses.sourceOn(device, route?.via ?? dst) ?? this.sourceFor(dst);
  }

  tracePoint(
    p: Packet,
    point: Pick<TracePoint, "place" | "name" | "rule" | "verdict" | "detail">,
    before: FlowTuple,
    after: FlowTuple,
  ): void {
    this.tracing.point(p, point, before, after);
  }

  // DeviceHost

  frameIn(device: Device, p: Packet, port: string): void {
    this.link.frameIn(device, p, port);
  }

  packetIn(device: Device, p: Packet): void {
    this.path.receive(device, p, "");
  }

  dropped(p: Packet, device: Device, reason: string): void {
    this.counters.drop(reason);
    if (p.ct instanceof Flow) this.netfilterIfAny?.conntrack.release(p.ct);
    if (p.traceId !== 0) {
      const t = tupleOf(p, device.pointless ? 0 : 14);
      this.tracing.point(p, { place: "drop", name: device.name, rule: reason, verdict: "drop", detail: { reason } }, t, t);
    }
    p.release();
  }

  // Underlay: tunnels

  /** Wraps p (a VXLAN header and what follows) into UDP and IP and sends it past the hooks, as one's own. */
  sendEncapsulated(device: VxlanDevice, p: Packet, remote: IpAddress, sourcePort: number): void {
    const length = p.end - p.start + Udp.HEADER;
    const at = p.push(Udp.HEADER);
    const b = p.data;
    b[at] = sourcePort >> 8;
    b[at + 1] = sourcePort;
    b[at + 2] = device.port >> 8;
    b[at + 3] = device.port;
    b[at + 4] = length >> 8;
    b[at + 5] = length;
    b[at + 6] = 0;
    b[at + 7] = 0;
    const ip = p.push(typeof remote === "number" ? 20 : 40);
    ipHeader(p.data, ip, p.end, 17, device.local, remote, 64);
    const route = this.routes.lookup(remote);
    const out = route === null ? undefined : this.devices.get(route.dev);
    if (p.traceId !== 0) {
      const inner = tupleOf(p, (typeof remote === "number" ? 20 : 40) + Udp.HEADER + 8 + 14);
      const outer = {
        src: formatAddress(device.local),
        dst: formatAddress(remote),
        sport: sourcePort,
        dport: device.port,
        vni: device.vni,
      };
      this.tracing.point(
        p,
        { place: "encap", name: device.name, rule: route === null ? "" : formatRoute(route), verdict: "send", detail: outer },
        inner,
        inner,
      );
    }
    if (route === null || out === undefined) {
      this.dropped(p, device, "noUnderlayRoute");
      return;
    }
    if (p.traceId !== 0) {
      const t = tupleOf(p, 0);
      this.tracing.point(p, { place: "device", name: out.name, rule: "", verdict: "send" }, t, t);
    }
    const hop = route.via ?? remote;
    const mac = out.neighbour(hop);
    if (mac !== undefined) this.link.send(out, p, mac);
    else this.neighbours.output(out, hop, p);
  }

  decapsulated(device: VxlanDevice, p: Packet, remote: IpAddress): void {
    if (p.traceId === 0) return;
    const t = tupleOf(p, 14);
    this.tracing.point(
      p,
      {
        place: "decap",
        name: device.name,
        rule: "",
        verdict: "",
        detail: { src: formatAddress(remote), dst: formatAddress(device.local), vni: device.vni },
      },
      t,
      t,
    );
  }

  isTunnel(port: number): boolean {
    return this.tunnels.size > 0 && this.tunnels.has(port);
  }

  /** Takes a datagram to a local tunnel. */
  tunnelIn(p: Packet, f: Flow): void {
    p.pull(f.l4);
    for (const d of this.tunnels.get(f.dport) ?? []) if (d.receive(p, f.src)) return;
    this.counters.drop("noTunnel");
    p.release();
  }

  private needDevice(device: Device | string): Device {
    const found = typeof device === "string" ? this.devices.get(device) : device;
    if (found === undefined) throw new NetConfigError(`${this.name}: Cannot find device "${device}"`);
    return found;
  }

  private needAddress(text: string): IpAddress {
    const a = parseAddress(text);
    if (a === undefined) throw new NetConfigError(`${this.name}: not an IP address: ${JSON.stringify(text)}`);
    return a;
  }

  private needPrefix(text: string, via: string | undefined) {
    if (text === "default") return via?.includes(":") ? { address: 0n, length: 0 } : { address: 0, length: 0 };
    const p = parsePrefix(text);
    if (p === undefined) throw new NetConfigError(`${this.name}: not a prefix: ${JSON.stringify(text)}`);
    return networkPrefix(p.address, p.length);
  }
}

/** The addresses of the IP packet that begins `skip` bytes behind p.start; empty when it is none. */
export function tupleOf(p: Packet, skip: number): FlowTuple {
  const f = new Flow();
  const view = new Packet(p.data, p.start + skip, p.end);
  return view.start <= view.end && readFlow(view, f, false) === undefined
    ? f.tuple()
    : { src: "", dst: "", protocol: "", sport: 0, dport: 0 };
}
