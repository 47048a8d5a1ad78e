// The node's own network namespace and its place in the cluster: a card on the wire, the bridge of its pods, the way to the other
// nodes' pods (flannel's backends vxlan and host-gw), masquerading for pods that leave the cluster, in one or both families.
// Invariant: every other node has exactly one route a family here (and, by vxlan, one neighbour a family and one FDB entry); without a
// podCIDR of its own the node has no bridge and starts no pods but those on the host network.
import type { Clock, Logger, Random } from "@podwire/base";
import type { WirePort } from "@podwire/bus";
import {
  address,
  Bridge,
  formatAddress,
  macOfIpv4,
  NetNamespace,
  Nic,
  parseIpv4,
  type Rule,
  type TraceSink,
  VXLAN_OVERHEAD_V4,
  VxlanDevice,
} from "@podwire/net";

export interface NodeNetworkOptions {
  nodeName: string;
  wire: WirePort;
  /** --cluster-cidr: one range a family; an IPv6 one makes the node dual-stack. */
  clusterCIDRs: readonly string[];
  /** The underlay's router: the way to everything that is not a node or a pod. */
  gateway: string;
  underlayPrefix: number;
  mtu: number;
  overlay: "vxlan" | "host-gw";
  clock: Clock;
  random: Random;
  log: Logger;
  trace?: TraceSink;
}

export interface Peer {
  podCIDRs: readonly string[];
  /** Its InternalIPs. */
  addresses: readonly string[];
}

/** High bytes of the tunnel ends' MAC addresses; the rest is the node's underlay address, so that nobody needs to tell. */
const TUNNEL_MAC = 0x0ef1;
const BRIDGE_MAC = 0x0a58;
const TUNNEL = "flannel.1";
/** The underlay's IPv6 network: the last 32 bits of an address are the same card's IPv4 address. */
const UNDERLAY_V6 = address("fd00:172:30::") as bigint;
const UNDERLAY_V6_PREFIX = 64;

/** The IPv6 address of the card with this IPv4 address. */
export function underlayV6(ipv4: string): string {
  return formatAddress(UNDERLAY_V6 | BigInt(address(ipv4)));
}

const isV6 = (text: string): boolean => text.includes(":");

export class NodeNetwork {
  readonly root: NetNamespace;
  /** IPv4, then IPv6 when the cluster is dual-stack. */
  readonly addresses: readonly string[];
  readonly podMtu: number;
  readonly options: NodeNetworkOptions;
  readonly nic: Nic;
  bridge: Bridge | undefined;
  podCIDRs: readonly string[] = [];
  #tunnel: VxlanDevice | undefined;
  readonly #peers = new Map<string, Peer>();

  constructor(o: NodeNetworkOptions) {
    this.options = o;
    const dual = o.clusterCIDRs.some(isV6);
    this.addresses = dual ? [o.wire.address, underlayV6(o.wire.address)] : [o.wire.address];
    this.podMtu = o.overlay === "vxlan" ? o.mtu - VXLAN_OVERHEAD_V4 : o.mtu;
    this.root = new NetNamespace({
      name: "root",
      process: o.nodeName,
      clock: o.clock,
      random: o.random,
      log: o.log,
      ipForward: true,
      bridgeNfCallIptables: true,
      ...(o.trace ? { trace: o.trace } : {}),
    });
    this.nic = new Nic(o.wire, { name: "eth0", mtu: o.mtu });
    this.root.addDevice(this.nic);
    for (const a of this.addresses) this.root.addAddress(this.nic, a, isV6(a) ? UNDERLAY_V6_PREFIX : o.underlayPrefix);
    if (o.gateway === this.address) return;
    this.root.addRoute({ to: "default", via: o.gateway, dev: "eth0" });
    if (dual) this.root.addRoute({ to: "default", via: underlayV6(o.gateway), dev: "eth0" });
  }

  /** The primary address. */
  get address(): string {
    return this.addresses[0] as string;
  }

  get ready(): boolean {
    return this.bridge !== undefined;
  }

  /** Sets up the bridge and the tunnel once the node has its podCIDRs. Later calls do nothing: a node keeps its ranges until it reboots. */
  configure(podCIDRs: readonly string[]): void {
    if (this.ready || podCIDRs.length === 0) return;
    this.podCIDRs = podCIDRs.filter((c) => !isV6(c) || this.addresses.length > 1);
    const own = parseIpv4(this.address) as number;
    this.bridge = new Bridge(this.options.clock, "cni0", macOfIpv4(BRIDGE_MAC, bridgeNumber(this.podCIDRs) ?? own), this.podMtu);
    this.root.addDevice(this.bridge);
    if (this.options.overlay === "vxlan") {
      this.#tunnel = new VxlanDevice({
        name: TUNNEL,
        vni: 1,
        mac: macOfIpv4(TUNNEL_MAC, own),
        local: own,
        mtu: this.podMtu,
        port: 4789,
      });
      this.root.addDevice(this.#tunnel);
    }
    for (const cidr of this.podCIDRs) {
      const [base, length] = cidr.split("/") as [string, string];
      this.root.addAddress(this.bridge, nextAddress(base), Number(length));
      if (this.#tunnel) this.root.addAddress(this.#tunnel, base, isV6(cidr) ? 128 : 32);
      this.#masquerade(cidr);
    }
    for (const [name, peer] of this.#peers) this.#connect(name, peer);
  }

  /** Another node; other values move its routes. */
  setPeer(name: string, peer: Peer): void {
    const old = this.#peers.get(name);
    if (old && same(old.podCIDRs, peer.podCIDRs) && same(old.addresses, peer.addresses)) return;
    if (old) this.removePeer(name);
    this.#peers.set(name, peer);
    if (this.ready) this.#connect(name, peer);
  }

  removePeer(name: string): void {
    const peer = this.#peers.get(name);
    if (!peer) return;
    this.#peers.delete(name);
    if (!this.ready) return;
    for (const cidr of peer.podCIDRs) {
      this.root.removeRoute({ to: cidr });
      if (this.#tunnel) this.root.removeNeighbour(this.#tunnel, cidr.split("/")[0] as string);
    }
    const remote = ipv4Of(peer);
    if (this.#tunnel && remote !== undefined) this.#tunnel.removeFdb(macOfIpv4(TUNNEL_MAC, remote));
  }

  #connect(name: string, peer: Peer): void {
    const remote = ipv4Of(peer);
    if (remote === undefined) return;
    const mac = macOfIpv4(TUNNEL_MAC, remote);
    this.#tunnel?.addFdb(mac, remote);
    for (const cidr of peer.podCIDRs) {
      if (isV6(cidr) && this.addresses.length === 1) continue;
      if (!this.#tunnel) {
        const via = peer.addresses.find((a) => isV6(a) === isV6(cidr));
        if (via !== undefined) this.root.addRoute({ to: cidr, via, dev: "eth0" });
        continue;
      }
      const via = cidr.split("/")[0] as string;
      this.root.addNeighbour(this.#tunnel, via, mac);
      this.root.addRoute({ to: cidr, via, dev: TUNNEL, onlink: true });
    }
    this.options.log.debug({ node: name, podCIDRs: peer.podCIDRs, via: peer.addresses }, "route to a node's pods");
  }

  #masquerade(podCIDR: string): void {
    const six = isV6(podCIDR);
    const cluster = this.options.clusterCIDRs.find((c) => isV6(c) === six);
    if (cluster === undefined) return;
    const rules = this.root.netfilter.ruleset(six ? 6 : 4);
    const nat = rules.table("nat");
    const chain = "FLANNEL-POSTRTG";
    const note = { m: "comment", text: "flanneld masq" } as const;
    const postrouting: Rule[] = [
      { matches: [{ m: "mark", value: 0x4000, mask: 0x4000 }, note], target: { t: "RETURN" } },
      { src: podCIDR, dst: cluster, matches: [note], target: { t: "RETURN" } },
      { src: cluster, dst: podCIDR, matches: [note], target: { t: "RETURN" } },
      { src: cluster, notSrc: true, dst: podCIDR, matches: [note], target: { t: "RETURN" } },
      {
        src: cluster,
        dst: six ? "ff00::/8" : "224.0.0.0/4",
        notDst: true,
        matches: [note],
        target: { t: "MASQUERADE", randomFully: true },
      },
      { src: cluster, notSrc: true, dst: cluster, matches: [note], target: { t: "MASQUERADE", randomFully: true } },
    ];
    nat.apply({ chains: new Map([[chain, postrouting]]) });
    nat.ensureRule("POSTROUTING", { matches: [note], target: { t: "JUMP", chain } });
    const filter = rules.table("filter");
    const forward = { m: "comment", text: "flanneld forward" } as const;
    const accept: Rule[] = [
      { src: cluster, matches: [forward], target: { t: "ACCEPT" } },
      { dst: cluster, matches: [forward], target: { t: "ACCEPT" } },
    ];
    filter.apply({ chains: new Map([["FLANNEL-FWD", accept]]) });
    filter.ensureRule("FORWARD", { matches: [forward], target: { t: "JUMP", chain: "FLANNEL-FWD" } });
  }

  counters(): Record<string, unknown> {
    return {
      wire: this.options.wire.counters(),
      root: this.root.readCounters(),
      peers: this.#peers.size,
      podCIDR: this.podCIDRs[0] ?? "",
      podCIDRs: this.podCIDRs,
    };
  }

  close(): void {
    this.root.close();
    this.options.wire.close();
  }
}

function nextAddress(base: string): string {
  const a = address(base);
  return formatAddress(typeof a === "number" ? a + 1 : a + 1n);
}

/** The bridge's MAC address is made of its IPv4 address, when it has one. */
function bridgeNumber(podCIDRs: readonly string[]): number | undefined {
  const v4 = podCIDRs.find((c) => !isV6(c));
  return v4 === undefined ? undefined : (parseIpv4(v4.split("/")[0] as string) as number) + 1;
}

function ipv4Of(peer: Peer): number | undefined {
  const text = peer.addresses.find((a) => !isV6(a));
  return text === undefined ? undefined : parseIpv4(text);
}

function same(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((x, i) => x === b[i]);
}
