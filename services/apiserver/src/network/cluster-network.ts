// The apiserver's network card: its own namespace on the wire, with routes to every node's pods. Pods reach the API here
// (10.96.0.1 becomes <advertise-address>:6443 by their node's rules), and webhooks and pods/proxy leave from here as packets.
import type { Duplex } from "node:stream";
import { type Clock, type Logger, oncePerMinute, type Random } from "@podwire/base";
import { type Bus, followTraceFilters, openWire, reportTraces } from "@podwire/bus";
import { NetNamespace, Nic } from "@podwire/net";
import type { WatchCache } from "../cache/watch-cache.ts";

export interface ClusterNetworkOptions {
  bus: Bus;
  /** Underlay address of this process. */
  address: string;
  cache: WatchCache;
  clock: Clock;
  random: Random;
  log: Logger;
}

/** Opens connections to pods, Services and nodes. */
export interface Dialer {
  connect(host: string, port: number): Duplex;
}

const UNDERLAY_PREFIX = 16;
const CONNECT_TIMEOUT_MS = 10_000;

export class ClusterNetwork implements Dialer {
  readonly namespace: NetNamespace;
  readonly #wire: ReturnType<typeof openWire>;
  readonly #routes = new Map<string, { podCIDR: string; via: string }>();
  readonly #log: Logger;

  constructor(o: ClusterNetworkOptions) {
    const { bus, clock, random, log } = o;
    this.#log = log;
    this.#wire = openWire(bus, { address: o.address, clock, random, log });
    this.namespace = new NetNamespace({ name: "root", process: "apiserver", clock, random, log, trace: reportTraces(bus, clock) });
    const nic = new Nic(this.#wire, { name: "eth0" });
    this.namespace.addDevice(nic);
    this.namespace.addAddress(nic, o.address, UNDERLAY_PREFIX);
    followTraceFilters(bus, oncePerMinute(log, clock), (f: Parameters<NetNamespace["armTrace"]>[0]) => this.namespace.armTrace(f));
    for (const n of o.cache.of("", "nodes").values()) this.#setNode(n.key.name, n.object);
    o.cache.onChange((object, deleted) => {
      if (object.key.group === "" && object.key.resource === "nodes") this.#setNode(object.key.name, deleted ? undefined : object.object);
    });
  }

  /** Calls back for each connection to a port. */
  listen(port: number, onConnection: (socket: Duplex) => void): void {
    this.namespace.tcpListen({ port, allowHalfOpen: true }, onConnection);
  }

  connect(host: string, port: number): Duplex {
    return this.namespace.tcpConnect({ host, port, timeoutMs: CONNECT_TIMEOUT_MS });
  }

  close(): void {
    this.namespace.close();
    this.#wire.close();
  }

  #setNode(name: string, node: Record<string, any> | undefined): void {
    const podCIDR: string = node?.["spec"]?.podCIDR ?? "";
    const via: string = node?.["status"]?.addresses?.find((a: any) => a.type === "InternalIP")?.address ?? "";
    const old = this.#routes.get(name);
    if (old?.podCIDR === podCIDR && old.via === via) return;
    try {
      if (old) this.namespace.removeRoute({ to: old.podCIDR });
      this.#routes.delete(name);
      if (podCIDR === "" || via === "") return;
      this.namespace.addRoute({ to: podCIDR, via, dev: "eth0" });
      this.#routes.set(name, { podCIDR, via });
    } catch (err) {
      this.#log.warn({ err, node: name, podCIDR, via }, "no route to a node's pods");
    }
  }
}
