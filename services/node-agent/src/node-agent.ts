// A node: its network, its kubelet, its proxy, put together. `main.ts` gives it configuration and a bus; tests give it others.
import { readFileSync } from "node:fs";
import path from "node:path";
import { canonicalQuantity, type Node, parseQuantity } from "@podwire/api";
import { type Clock, type Logger, oncePerMinute, type Random, reasonOf } from "@podwire/base";
import { type Bus, followTraceFilters, openWire, RemoteError, reportTraces } from "@podwire/bus";
import { type ApiClient, type Informer, informer, natsClient, Resources } from "@podwire/client";
import type { TraceFilter, TracePoint } from "@podwire/net";
import { BridgePlugin } from "./cni/bridge-plugin.ts";
import type { NodeAgentConfig } from "./config.ts";
import { type KubeProxy, startKubeProxy } from "./kube-proxy/kube-proxy.ts";
import { kubeWatch, type NodeWatch } from "./kubelet/kube-watch.ts";
import { Kubelet } from "./kubelet/kubelet.ts";
import { NodeRegistrar } from "./kubelet/node-registrar.ts";
import type { NodeDescription } from "./kubelet/node-status.ts";
import type { KubeletServer } from "./kubelet/server/kubelet-server.ts";
import { readMachineId } from "./machine-id.ts";
import { NodeNetwork } from "./network/node-network.ts";
import { type NetworkPolicyEnforcer, startNetworkPolicy } from "./network-policy/network-policy.ts";

const PROXY_MODES = ["iptables", "ipvs", "nftables"] as const;

function podCIDRsOf(n: Node): readonly string[] {
  return n.spec?.podCIDRs?.length ? n.spec.podCIDRs : n.spec?.podCIDR ? [n.spec.podCIDR] : [];
}

export interface NodeAgentOptions {
  config: NodeAgentConfig;
  nodeName: string;
  /** Underlay address. */
  address: string;
  stateDir: string;
  bus: Bus;
  /** Default: the API over the bus. */
  client?: ApiClient;
  clock: Clock;
  random: Random;
  log: Logger;
}

export class NodeAgent {
  readonly network: NodeNetwork;
  readonly cni: BridgePlugin;
  readonly kubelet: Kubelet;
  readonly client: ApiClient;
  readonly #o: NodeAgentOptions;
  readonly #registrar: NodeRegistrar;
  readonly #nodes: Informer<Node & { metadata: any }>;
  readonly #watch: NodeWatch;
  #proxy: KubeProxy | undefined;
  #policy: NetworkPolicyEnforcer | undefined;
  #server: Promise<KubeletServer> | undefined;
  #stopped = false;

  constructor(o: NodeAgentOptions) {
    this.#o = o;
    const { clock, random, log, bus, config, nodeName } = o;
    this.client = o.client ?? natsClient(bus, { clock, fieldManager: "kubelet", userAgent: "kubelet/v1.34.2" });
    const wire = openWire(bus, { address: o.address, clock, random, log });
    const trace = reportTraces<TracePoint>(bus, clock);
    this.network = new NodeNetwork({
      nodeName,
      wire,
      clusterCIDRs: config["cluster-cidr"],
      gateway: config["underlay-gateway"],
      underlayPrefix: config["underlay-prefix"],
      mtu: config.mtu,
      overlay: config.overlay,
      clock,
      random,
      log,
      trace,
    });
    this.cni = new BridgePlugin({
      network: this.network,
      leaseFile: path.join(o.stateDir, "cni", "leases.json"),
      clock,
      random,
      log,
      trace,
    });
    followTraceFilters<TraceFilter>(bus, oncePerMinute(log, clock), (filter) => {
      for (const ns of [this.network.root, ...this.cni.namespaces()]) ns.armTrace(filter);
    });
    const description = this.#describe();
    this.#watch = kubeWatch({ client: this.client, bus, clock, random, log });
    this.kubelet = new Kubelet({
      watch: this.#watch,
      config,
      nodeName,
      stateDir: o.stateDir,
      client: this.client,
      bus,
      network: this.network,
      cni: this.cni,
      networkGuarded: () => this.#policy?.ready ?? Promise.resolve(),
      onAttached: (pod, addresses) => this.#policy?.attached(pod, addresses),
      onDetached: (uid) => this.#policy?.detached(uid),
      allocatable: description.allocatable,
      onVolumesInUse: () => this.#registrar.poke(),
      onConditions: () => this.#registrar.poke(),
      clock,
      random,
      log,
    });
    this.#registrar = new NodeRegistrar({
      client: this.client,
      clock,
      random,
      log,
      description,
      health: () => ({
        networkReady: this.network.ready,
        pressures: this.kubelet.pressures(),
        images: this.kubelet.images.images(),
        volumesInUse: this.kubelet.volumesInUse(),
        shutdown: this.kubelet.shuttingDown,
      }),
      leaseSeconds: config["node-lease-duration-seconds"],
      statusPeriodMs: config["node-status-update-frequency"],
      onNode: (node) => this.#ownNode(node),
    });
    this.#nodes = informer<Node & { metadata: any }>({ client: this.client, clock, random, log, bus, ref: Resources.nodes });
    this.#nodes.handle({
      onAdd: (n) => this.#node(n),
      onUpdate: (n) => this.#node(n),
      onDelete: (n) => (n.metadata.name === nodeName ? this.#proxy?.setNode(undefined) : this.network.removePeer(n.metadata.name)),
    });
  }

  async start(): Promise<void> {
    this.#listen();
    this.#startProxy();
    this.#startPolicy();
    const nodes = this.#nodes.start().catch(() => undefined);
    if (this.#o.config["register-node"]) await this.#registrar.start();
    await nodes;
    if (!this.#stopped) await this.kubelet.start();
  }

  /** The kubelet's port; its server is made when somebody comes. */
  #listen(): void {
    const { config, nodeName, address, clock, random, log } = this.#o;
    if (config.port === 0) return;
    this.network.root.tcpListen({ port: config.port, allowHalfOpen: true }, (socket) => {
      this.#server ??= import("./kubelet/server/kubelet-server.ts").then(
        ({ KubeletServer }) =>
          new KubeletServer({
            nodeName,
            address,
            client: this.client,
            clientCa: config["client-ca-file"] === "" ? "" : readFileSync(config["client-ca-file"], "utf8"),
            anonymous: config["anonymous-auth"],
            authorization: config["authorization-mode"],
            sources: this.kubelet.serverSources(),
            clock,
            random,
            log,
          }),
      );
      this.#server.then(
        (s) => s.accept(socket as never),
        (e) => {
          log.error({ reason: reasonOf(e) }, "the kubelet's port cannot be served");
          this.#server = undefined;
          socket.destroy();
        },
      );
    });
  }

  #startProxy(): void {
    const { config, nodeName, clock, log } = this.#o;
    if (config["proxy-mode"] === "none") return;
    this.#proxy = startKubeProxy({
      mode: config["proxy-mode"],
      namespace: this.network.root,
      services: this.#watch.informerOf("services"),
      endpointSlices: this.#watch.informerOf("endpointslices"),
      nodeName,
      nodeLabels: config["node-labels"],
      nodeIPs: this.network.addresses,
      clusterCIDRs: config["cluster-cidr"],
      ipvsScheduler: config["ipvs-scheduler"],
      nodePortAddresses: config["nodeport-addresses"],
      localhostNodePorts: config["iptables-localhost-nodeports"],
      masqueradeAll: config["masquerade-all"],
      clock,
      log,
    });
    // Rejects only when the node stops before the first sync.
    this.#proxy.ready.catch(() => undefined);
  }

  #startPolicy(): void {
    const { nodeName, clock, log } = this.#o;
    this.#policy = startNetworkPolicy({
      namespace: this.network.root,
      nodeName,
      policies: this.#watch.informerOf("networkpolicies"),
      pods: () => this.#watch.informerOf("pods"),
      namespaces: () => this.#watch.informerOf("namespaces"),
      clock,
      log,
    });
    this.#policy.ready.catch(() => undefined);
  }

  #node(n: Node): void {
    if (n.metadata!.name === this.#o.nodeName) {
      this.#registrar.observe(n);
      this.#ownNode(n);
      return;
    }
    const addresses = (n.status?.addresses ?? []).filter((a) => a.type === "InternalIP").map((a) => a.address);
    const podCIDRs = podCIDRsOf(n);
    if (podCIDRs.length > 0 && addresses.length > 0) this.network.setPeer(n.metadata!.name!, { podCIDRs, addresses });
    else this.network.removePeer(n.metadata!.name!);
  }

  #ownNode(n: Node): void {
    this.kubelet.setNode(n);
    this.#proxy?.setNode(n);
    const podCIDRs = podCIDRsOf(n);
    if (podCIDRs.length === 0 || this.network.ready) return;
    this.network.configure(podCIDRs);
    this.#o.log.info({ podCIDRs }, "the pod network is ready");
    this.kubelet.networkReady();
    this.#registrar.poke();
  }

  #describe(): NodeDescription {
    const { config, nodeName, stateDir, random } = this.#o;
    const uid = readMachineId(path.join(stateDir, "machine-id"), random);
    const memory = parseQuantity(config.memory);
    const reserved = parseQuantity(config["kube-reserved-memory"]);
    const capacity = {
      cpu: canonicalQuantity(config.cpus),
      memory: `${memory.value() / 1024n}Ki`,
      "ephemeral-storage": canonicalQuantity(config["ephemeral-storage"]),
      "hugepages-1Gi": "0",
      "hugepages-2Mi": "0",
      pods: String(config["max-pods"]),
    };
    return {
      name: nodeName,
      uid,
      addresses: this.network.addresses,
      labels: config["node-labels"],
      taints: config["register-with-taints"],
      capacity,
      allocatable: { ...capacity, memory: `${memory.sub(reserved).value() / 1024n}Ki` },
      bootId: random.uuid(),
      kubeletPort: config.port,
    };
  }

  /** Control operations of a live node; undefined: not known. */
  control(op: string, body: Readonly<Record<string, unknown>>): Promise<unknown> | undefined {
    if (op !== "proxy" && op !== "proxy-rules" && op !== "proxy-mode") return undefined;
    const proxy = this.#proxy;
    if (proxy === undefined) return Promise.reject(new RemoteError("bad-request", "the node runs no kube-proxy (--proxy-mode=none)"));
    if (op === "proxy-rules") return Promise.resolve({ rules: proxy.dump(body["family"] === 6 ? 6 : 4) });
    if (op === "proxy-mode") {
      const mode = PROXY_MODES.find((m) => m === body["mode"]);
      if (mode === undefined) return Promise.reject(new RemoteError("bad-request", `the mode is one of ${PROXY_MODES.join(", ")}`));
      proxy.setMode(mode);
    }
    return Promise.resolve({ mode: proxy.mode(), counters: proxy.counters() });
  }

  health(): string {
    return this.network.ready ? "ok" : "the node has no podCIDR yet";
  }

  counters(): Record<string, unknown> {
    return {
      ...this.network.counters(),
      kubelet: this.kubelet.counters(),
      cni: { attached: this.cni.used },
      proxy: this.#proxy?.counters() ?? {},
      policy: this.#policy?.counters() ?? {},
    };
  }

  /** As a machine that is switched off in order: see --shutdown-grace-period. */
  shutDown(): Promise<void> {
    return this.kubelet.shutDown();
  }

  async stop(): Promise<void> {
    await this.shutDown();
    this.#stopped = true;
    void this.#server?.then((s) => s.close());
    this.#registrar.stop();
    this.#nodes.stop();
    this.kubelet.stop();
    this.#proxy?.stop();
    this.#policy?.stop();
    this.#watch.stop();
    this.network.close();
  }
}
