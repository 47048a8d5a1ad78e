// The CNI plugin "bridge" with host-local IPAM (CNI specification 1.0.0): ADD gives a pod its namespace, veth and address, DEL takes
// them away, CHECK says whether they are still there.
// Invariant: ADD either succeeds completely or leaves nothing; DEL of something unknown succeeds.
import { type Clock, type Logger, PodwireError, type Random } from "@podwire/base";
import { macOfIpv4, NetNamespace, POD_MAC, parseIpv4, randomMac, type TraceSink, type Veth, vethPair } from "@podwire/net";
import type { NodeNetwork } from "../network/node-network.ts";
import { HostLocalIpam } from "./ipam.ts";
import { type PortMapping, PortmapPlugin } from "./portmap-plugin.ts";

export class CniError extends PodwireError {
  /** Code of the CNI specification: 11 try again later, 7 invalid configuration, 999 anything else. */
  readonly code: number;
  constructor(code: number, message: string, cause?: unknown) {
    super(message, cause === undefined ? {} : { cause });
    this.code = code;
  }
}

export interface CniRequest {
  containerId: string;
  podName: string;
  podNamespace: string;
  hostPorts?: readonly PortMapping[];
}

/** Result of ADD, in the specification's shape. */
export interface CniResult {
  cniVersion: "1.0.0";
  interfaces: { name: string; mac: string; sandbox?: string }[];
  ips: { address: string; gateway: string; interface: number }[];
  routes: { dst: string; gw?: string }[];
  dns: Record<string, never>;
}

interface Attachment {
  netns: NetNamespace;
  host: Veth;
  result: CniResult;
  address: string;
}

export class BridgePlugin {
  readonly #network: NodeNetwork;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #log: Logger;
  readonly #trace: TraceSink | undefined;
  readonly #leaseFile: string;
  readonly #portmap: PortmapPlugin;
  #ipam: HostLocalIpam | undefined;
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

  #ipamOrFail(): HostLocalIpam {
    if (!this.#network.ready) throw new CniError(11, "cni plugin not initialized");
    if (!this.#ipam) {
      this.#ipam = new HostLocalIpam(this.#network.podCIDR, this.#leaseFile);
      // A reboot: whoever held an address is gone, and whoever comes gets another one.
      this.#ipam.retain(new Set());
    }
    return this.#ipam;
  }

  /** ADD: the pod's namespace with eth0, and the result. Throws CniError. */
  add(r: CniRequest): { result: CniResult; netns: NetNamespace; address: string } {
    const known = this.#attached.get(r.containerId);
    if (known) return known;
    const ipam = this.#ipamOrFail();
    const bridge = this.#network.bridge!;
    const owner = `${r.containerId}/eth0`;
    let address: string;
    try {
      address = ipam.allocate(owner);
    } catch (e) {
      throw new CniError(11, `plugin type="bridge" failed (add): ${(e as Error).message}`, e);
    }
    const root = this.#network.root;
    const netns = new NetNamespace({
      name: `${r.podNamespace}/${r.podName}`,
      process: root.process,
      clock: this.#clock,
      random: this.#random,
      log: this.#log,
      ...(this.#trace ? { trace: this.#trace } : {}),
    });
    const number = parseIpv4(address) as number;
    const name = `veth${Buffer.from(this.#random.bytes(4)).toString("hex")}`;
    const hostMac = randomMac(this.#random);
    const podMac = macOfIpv4(POD_MAC, number);
    const [host, pod] = vethPair(this.#clock, { name, mac: hostMac }, { name: "eth0", mac: podMac }, this.#network.podMtu);
    try {
      root.addDevice(host);
      bridge.addPort(host, { hairpin: true });
      netns.addDevice(pod);
      netns.addAddress(pod, address, ipam.prefix);
      netns.addRoute({ to: "default", via: ipam.gateway, dev: "eth0" });
    } catch (e) {
      root.removeDevice(name);
      netns.close();
      ipam.release(owner);
      throw new CniError(999, `plugin type="bridge" failed (add): ${(e as Error).message}`, e);
    }
    const result: CniResult = {
      cniVersion: "1.0.0",
      interfaces: [
        { name: "cni0", mac: macText(bridge.mac) },
        { name, mac: macText(hostMac) },
        { name: "eth0", mac: macText(podMac), sandbox: `/var/run/netns/cni-${r.containerId.slice(0, 36)}` },
      ],
      ips: [{ address: `${address}/${ipam.prefix}`, gateway: ipam.gateway, interface: 2 }],
      routes: [{ dst: this.#network.options.clusterCIDR }, { dst: "0.0.0.0/0", gw: ipam.gateway }],
      dns: {},
    };
    this.#portmap.add(r.containerId, `${r.podNamespace}/${r.podName}`, address, this.#network.podCIDR, r.hostPorts ?? []);
    const a = { netns, host, result, address };
    this.#attached.set(r.containerId, a);
    return a;
  }

  del(containerId: string): void {
    const a = this.#attached.get(containerId);
    if (a) {
      this.#attached.delete(containerId);
      this.#portmap.del(containerId);
      this.#network.root.removeDevice(a.host.name);
      a.netns.close();
    }
    this.#ipam?.release(`${containerId}/eth0`);
  }

  /** CHECK: throws CniError when the attachment is not as ADD left it. */
  check(containerId: string): void {
    const a = this.#attached.get(containerId);
    if (!a) throw new CniError(999, `plugin type="bridge" failed (check): no attachment of ${containerId}`);
    if (!this.#network.root.device(a.host.name)) throw new CniError(999, `plugin type="bridge" failed (check): ${a.host.name} is missing`);
    if (!a.netns.device("eth0")) throw new CniError(999, `plugin type="bridge" failed (check): eth0 is missing`);
    if (this.#ipam?.leaseOf(`${containerId}/eth0`) !== a.address)
      throw new CniError(999, `plugin type="host-local" failed (check): ${a.address} is not leased`);
  }

  get used(): number {
    return this.#attached.size;
  }

  /** Namespaces of pods, for traces and captures. */
  namespaces(): NetNamespace[] {
    return [...this.#attached.values()].map((a) => a.netns);
  }
}

function macText(mac: number): string {
  const hex = mac.toString(16).padStart(12, "0");
  return (hex.match(/../g) as string[]).join(":");
}
