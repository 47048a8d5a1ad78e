// The pod network of a node: the plugins loopback, bridge with host-local IPAM, portmap and bandwidth, run as one list with the
// operations of the CNI specification: ADD gives a pod its namespace, veth and an address of each family, DEL takes them away, CHECK
// says whether they are as ADD left them, GC forgets what nobody holds, STATUS says whether ADD can be served, VERSION what is spoken.
// Invariant: ADD either succeeds completely or leaves nothing; DEL and GC of something unknown succeed.
import type { Clock, Logger, Random } from "@podwire/base";
import { macOfIpv4, NetNamespace, POD_MAC, parseAddress, parseIpv4, randomMac, type TraceSink, type Veth, vethPair } from "@podwire/net";
import type { NodeNetwork } from "../network/node-network.ts";
import { addBandwidth } from "./bandwidth-plugin.ts";
import { CNI_VERSION, CniCode, CniError, type CniRequest, type CniResult, isIpv6, SUPPORTED_VERSIONS, type VersionResult } from "./cni.ts";
import { HostLocalIpam } from "./ipam.ts";
import { PortmapPlugin } from "./portmap-plugin.ts";

/** The pod's end and the specification's CNI_IFNAME. */
const IFNAME = "eth0";
/** CNI_CONTAINERID, as the specification restricts it. */
const CONTAINER_ID = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/;

export interface Attached {
  result: CniResult;
  netns: NetNamespace;
  /** Bare addresses, the primary family's first. */
  addresses: readonly string[];
}

interface Attachment extends Attached {
  host: Veth;
}

export class BridgePlugin {
  readonly #network: NodeNetwork;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #log: Logger;
  readonly #trace: TraceSink | undefined;
  readonly #leaseFile: string;
  readonly #portmap: PortmapPlugin;
  #ipam: HostLocalIpam[] | undefined;
  readonly #attached = new Map<string, Attachment>();

  constructor(o: { network: NodeNetwork; leaseFile: string; clock: Clock; random: Random; log: Logger; trace?: TraceSink }) {
    this.#network = o.network;
    this.#portmap = new PortmapPlugin(o.network.root);
    this.#clock = o.clock;
    this.#random = o.random;
    this.#log = o.log;
    this.#trace = o.trace;
    this.#leaseFile = o.leaseFile;
  }

  /** VERSION. */
  version(): VersionResult {
    return { cniVersion: CNI_VERSION, supportedVersions: SUPPORTED_VERSIONS };
  }

  /** STATUS: throws CniError 50 while the node has no podCIDR. */
  status(): void {
    if (!this.#network.ready)
      throw new CniError(CniCode.notAvailable, "cni plugin not initialized", { details: "the node has no podCIDR yet" });
  }

  /** ADD: the pod's namespace with eth0, and the result. Throws CniError. */
  add(r: CniRequest): Attached {
    if (!CONTAINER_ID.test(r.containerId))
      throw new CniError(CniCode.invalidEnvironment, `invalid characters in containerID ${JSON.stringify(r.containerId)}`);
    if (this.#attached.has(r.containerId))
      throw new CniError(CniCode.internal, `plugin type="bridge" failed (add): container ${r.containerId} already has ${IFNAME}`);
    const ranges = this.#ranges();
    const owner = ownerOf(r.containerId);
    const addresses: string[] = [];
    const undo: (() => void)[] = [];
    try {
      undo.push(() => {
        for (const range of ranges) range.release(owner);
      });
      for (const range of ranges) addresses.push(range.allocate(owner));
      const a = this.#attach(r, ranges, addresses, undo);
      undo.push(() => this.#portmap.del(r.containerId));
      this.#portmap.add(r.containerId, `${r.podNamespace}/${r.podName}`, addresses, this.#network.podCIDRs, r.hostPorts ?? []);
      this.#attached.set(r.containerId, a);
      return a;
    } catch (e) {
      for (const step of undo.reverse()) step();
      if (e instanceof CniError) throw e;
      const code = addresses.length < ranges.length ? CniCode.tryAgainLater : CniCode.internal;
      throw new CniError(code, `plugin type="bridge" failed (add): ${(e as Error).message}`, { cause: e });
    }
  }

  #attach(r: CniRequest, ranges: readonly HostLocalIpam[], addresses: readonly string[], undo: (() => void)[]): Attachment {
    const { root } = this.#network;
    const bridge = this.#network.bridge!;
    const netns = new NetNamespace({
      name: `${r.podNamespace}/${r.podName}`,
      process: root.process,
      clock: this.#clock,
      random: this.#random,
      log: this.#log,
      ...(this.#trace ? { trace: this.#trace } : {}),
    });
    undo.push(() => netns.close());
    const v4 = addresses.find((a) => !isIpv6(a));
    const podMac = v4 === undefined ? randomMac(this.#random) : macOfIpv4(POD_MAC, parseIpv4(v4) as number);
    const name = `veth${Buffer.from(this.#random.bytes(4)).toString("hex")}`;
    const hostMac = randomMac(this.#random);
    const mtu = this.#network.podMtu;
    const [host, pod] = vethPair(this.#clock, { name, mac: hostMac }, { name: IFNAME, mac: podMac }, mtu);
    undo.push(() => root.removeDevice(name));
    root.addDevice(host);
    bridge.addPort(host, { hairpin: true });
    netns.addDevice(pod);
    for (const [i, range] of ranges.entries()) {
      netns.addAddress(pod, addresses[i] as string, range.prefix);
      netns.addRoute({ to: "default", via: range.gateway, dev: IFNAME });
    }
    if (r.bandwidth) addBandwidth(this.#clock, host, pod, r.bandwidth);
    const result: CniResult = {
      cniVersion: CNI_VERSION,
      interfaces: [
        { name: bridge.name, mac: macText(bridge.mac), mtu },
        { name, mac: macText(hostMac), mtu },
        { name: IFNAME, mac: macText(podMac), mtu, sandbox: `/var/run/netns/cni-${r.containerId.slice(0, 36)}` },
      ],
      ips: ranges.map((range, i) => ({ address: `${addresses[i]}/${range.prefix}`, gateway: range.gateway, interface: 2 })),
      routes: [
        ...this.#network.options.clusterCIDRs.map((dst) => ({ dst })),
        ...ranges.map((range) => ({ dst: isIpv6(range.gateway) ? "::/0" : "0.0.0.0/0", gw: range.gateway })),
      ],
      dns: {},
    };
    return { netns, host, result, addresses };
  }

  /** DEL. */
  del(containerId: string): void {
    const a = this.#attached.get(containerId);
    if (a) {
      this.#attached.delete(containerId);
      this.#portmap.del(containerId);
      this.#network.root.removeDevice(a.host.name);
      a.netns.close();
    }
    for (const range of this.#ipam ?? []) range.release(ownerOf(containerId));
  }

  /** CHECK: throws CniError when the attachment is not as ADD left it. */
  check(containerId: string): void {
    const failed = (type: string, why: string) => new CniError(CniCode.internal, `plugin type="${type}" failed (check): ${why}`);
    const a = this.#attached.get(containerId);
    if (!a) throw new CniError(CniCode.unknownContainer, `plugin type="bridge" failed (check): container ${containerId} is unknown`);
    if (this.#network.root.device(a.host.name) !== a.host) throw failed("bridge", `${a.host.name} is missing`);
    if (a.host.master !== this.#network.bridge) throw failed("bridge", `${a.host.name} is not attached to ${this.#network.bridge?.name}`);
    const pod = a.netns.device(IFNAME);
    if (!pod) throw failed("bridge", `${IFNAME} is missing`);
    for (const [i, range] of (this.#ipam ?? []).entries()) {
      const address = a.addresses[i] as string;
      const held = parseAddress(address);
      if (!a.netns.addresses.all().some((x) => x.device === IFNAME && x.address === held))
        throw failed("bridge", `${IFNAME} lost ${address}`);
      if (range.leaseOf(ownerOf(containerId)) !== address) throw failed("host-local", `${address} is not leased to ${containerId}`);
      if (a.netns.lookupRoute(range.gateway) === null) throw failed("bridge", `no route to ${range.gateway}`);
    }
  }

  /** GC: what belongs to none of `valid` (container ids) goes. */
  gc(valid: ReadonlySet<string>): void {
    for (const id of [...this.#attached.keys()]) if (!valid.has(id)) this.del(id);
    const owners = new Set([...valid].map(ownerOf));
    for (const range of this.#ipam ?? []) range.retain(owners);
  }

  get used(): number {
    return this.#attached.size;
  }

  /** Namespaces of pods, for traces and captures. */
  namespaces(): NetNamespace[] {
    return [...this.#attached.values()].map((a) => a.netns);
  }

  #ranges(): HostLocalIpam[] {
    if (!this.#network.ready) throw new CniError(CniCode.tryAgainLater, "cni plugin not initialized");
    if (!this.#ipam) {
      this.#ipam = this.#network.podCIDRs.map(
        (c) => new HostLocalIpam(c, isIpv6(c) ? `${this.#leaseFile}.v6` : this.#leaseFile, this.#clock),
      );
      // A reboot: whoever held an address is gone, and whoever comes gets another one.
      this.gc(new Set(this.#attached.keys()));
    }
    return this.#ipam;
  }
}

const ownerOf = (containerId: string): string => `${containerId}/${IFNAME}`;

function macText(mac: number): string {
  const hex = mac.toString(16).padStart(12, "0");
  return (hex.match(/../g) as string[]).join(":");
}
