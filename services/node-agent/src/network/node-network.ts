// The node's own network namespace and its place in the cluster: a card on the wire, the bridge of its pods, the VXLAN tunnel to the
// other nodes' pods, masquerading for pods that leave the cluster (as flannel's vxlan backend sets it up).
// Invariant: every other node with a podCIDR has exactly one route, neighbour and FDB entry here; without a podCIDR of its own the
// node has no bridge and starts no pods but those on the host network.
import type { Clock, Logger, Random } from "@podwire/base";
import type { WirePort } from "@podwire/bus";
import { Bridge, macOfIpv4, NetNamespace, Nic, parseIpv4, type Rule, type TraceSink, VXLAN_OVERHEAD_V4, VxlanDevice } from "@podwire/net";

export interface NodeNetworkOptions {
  nodeName: string;
  wire: WirePort;
  clusterCIDR: string;
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

interface Peer {
  podCIDR: string;
  address: string;
}

/** High bytes of the tunnel ends' MAC addresses; the rest is the node's underlay address, so that nobody needs to tell. */
const TUNNEL_MAC = 0x0ef1;
const BRIDGE_MAC = 0x0a58;

export class NodeNetwork {
  readonly root: NetNamespace;
  readonly address: string;
  readonly podMtu: number;
  readonly options: NodeNetworkOptions;
  readonly nic: Nic;
  bridge: Bridge | undefined;
  podCIDR = "";
  #tunnel: VxlanDevice | undefined;
  readonly #peers = new Map<string, Peer>();

  constructor(o: NodeNetworkOptions) {
    this.options = o;
    this.address = o.wire.address;
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
    this.root.addAddress(this.nic, this.address, o.underlayPrefix);
    if (o.gateway !== this.address) this.root.addRoute({ to: "default", via: o.gateway, dev: "eth0" });
  }

  get ready(): boolean {
    return this.bridge !== undefined;
  }

  /** Sets up the bridge and the tunnel once the node has its podCIDR. */
  configure(podCIDR: string): void {
    if (this.podCIDR === podCIDR) return;
    this.podCIDR = podCIDR;
    const base = podCIDR.split("/")[0] as string;
    const gatewayNumber = (parseIpv4(base) as number) + 1;
    const gateway = [24, 16, 8, 0].map((s) => (gatewayNumber >>> s) & 255).join(".");
    this.bridge = new Bridge(this.options.clock, "cni0", macOfIpv4(BRIDGE_MAC, gatewayNumber), this.podMtu);
    this.root.addDevice(this.bridge);
    this.root.addAddress(this.bridge, gateway, Number(podCIDR.split("/")[1]));
    if (this.options.overlay === "vxlan") {
      this.#tunnel = new VxlanDevice({
        name: "flannel.1",
        vni: 1,
        mac: macOfIpv4(TUNNEL_MAC, parseIpv4(this.address) as number),
        local: parseIpv4(this.address) as number,
        mtu: this.podMtu,
        port: 4789,
      });
      this.root.addDevice(this.#tunnel);
      this.root.addAddress(this.#tunnel, base, 32);
    }
    this.#masquerade();
    for (const [name, peer] of this.#peers) this.#connect(name, peer);
  }

  /** Another node as its object says; a change of either value moves the route. */
  setPeer(name: string, peer: Peer): void {
    const old = this.#peers.get(name);
    if (old && old.podCIDR === peer.podCIDR && old.address === peer.address) return;
    if (old) this.removePeer(name);
    this.#peers.set(name, peer);
    if (this.ready) this.#connect(name, peer);
  }

  removePeer(name: string): void {
    const peer = this.#peers.get(name);
    if (!peer) return;
    this.#peers.delete(name);
    if (!this.ready) return;
    this.root.removeRoute({ to: peer.podCIDR });
    if (this.#tunnel) {
      const mac = macOfIpv4(TUNNEL_MAC, parseIpv4(peer.address) as number);
      this.root.removeNeighbour(this.#tunnel, peer.podCIDR.split("/")[0] as string);
      this.#tunnel.removeFdb(mac);
    }
  }

  #connect(name: string, peer: Peer): void {
    const remote = parseIpv4(peer.address);
    if (remote === undefined || peer.podCIDR === "") return;
    if (!this.#tunnel) return void this.root.addRoute({ to: peer.podCIDR, via: peer.address, dev: "eth0" });
    const mac = macOfIpv4(TUNNEL_MAC, remote);
    const via = peer.podCIDR.split("/")[0] as string;
    this.#tunnel.addFdb(mac, remote);
    this.root.addNeighbour(this.#tunnel, via, mac);
    this.root.addRoute({ to: peer.podCIDR, via, dev: "flannel.1", onlink: true });
    this.options.log.debug({ node: name, podCIDR: peer.podCIDR, via: peer.address }, "route to a node's pods");
  }

  #masquerade(): void {
    const cluster = this.options.clusterCIDR;
    const nat = this.root.netfilter.ruleset(4).table("nat");
    const chain = "FLANNEL-POSTRTG";
    const note = { m: "comment", text: "flanneld masq" } as const;
    const rules: Rule[] = [
      { matches: [{ m: "mark", value: 0x4000, mask: 0x4000 }, note], target: { t: "RETURN" } },
      { src: this.podCIDR, dst: cluster, matches: [note], target: { t: "RETURN" } },
      { src: cluster, dst: this.podCIDR, matches: [note], target: { t: "RETURN" } },
      { src: cluster, notSrc: true, dst: this.podCIDR, matches: [note], target: { t: "RETURN" } },
      { src: cluster, dst: "224.0.0.0/4", notDst: true, matches: [note], target: { t: "MASQUERADE", randomFully: true } },
      { src: cluster, notSrc: true, dst: cluster, matches: [note], target: { t: "MASQUERADE", randomFully: true } },
    ];
    nat.apply({ chains: new Map([[chain, rules]]) });
    nat.ensureRule("POSTROUTING", { matches: [note], target: { t: "JUMP", chain } });
    const filter = this.root.netfilter.ruleset(4).table("filter");
    const forward = { m: "comment", text: "flanneld forward" } as const;
    const accept: Rule[] = [
      { src: cluster, matches: [forward], target: { t: "ACCEPT" } },
      { dst: cluster, matches: [forward], target: { t: "ACCEPT" } },
    ];
    filter.apply({ chains: new Map([["FLANNEL-FWD", accept]]) });
    filter.ensureRule("FORWARD", { matches: [forward], target: { t: "JUMP", chain: "FLANNEL-FWD" } });
  }

  counters(): Record<string, unknown> {
    return { wire: this.options.wire.counters(), root: this.root.readCounters(), peers: this.#peers.size, podCIDR: this.podCIDR };
  }

  close(): void {
    this.root.close();
    this.options.wire.close();
  }
}
