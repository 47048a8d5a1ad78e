// The kubelet: this node's pods from the API, one worker each; sandboxes from the runtime, addresses from CNI.
// Invariant: a pod (by uid) has at most one worker; what the API no longer has is torn down; a pod of before the last reboot is
// taken up again from its checkpoint.

import path from "node:path";
import { type Node, type Pod, parseQuantity } from "@podwire/api";
import { type Clock, type Logger, PodwireError, type Random, reasonOf, type Timer } from "@podwire/base";
import type { Bus, Subscription } from "@podwire/bus";
import { type ApiClient, type EventRecorder, eventRecorder, type Informer, informer, Resources } from "@podwire/client";
import {
  Cpu,
  createHostSandbox,
  createPodSandbox,
  type FileInode,
  ImageCatalogue,
  Machine,
  type NetStack,
  type PodSandbox,
} from "@podwire/runtime";
import { bandwidthOf } from "../cni/bandwidth-plugin.ts";
import type { BridgePlugin } from "../cni/bridge-plugin.ts";
import type { NodeAgentConfig } from "../config.ts";
import type { NodeNetwork } from "../network/node-network.ts";
import { type AdmissionNode, admitPod, type Rejection } from "./admission/admission.ts";
import { type Checkpoint, CheckpointStore, restore } from "./checkpoint.ts";
import { textFile } from "./container-options.ts";
import { EvictionManager } from "./eviction/eviction-manager.ts";
import type { Eviction } from "./eviction/plan.ts";
import { combineThresholds, type Threshold } from "./eviction/thresholds.ts";
import { collectImages } from "./image-collection.ts";
import { ImagePuller, podRef } from "./image-puller.ts";
import type { NodeWatch } from "./kube-watch.ts";
import { LogStore } from "./log-store.ts";
import { nodeRef } from "./node-status.ts";
import { ObjectSource } from "./object-source.ts";
import { isSidecar, type PodRecord, type SandboxRecord } from "./pod-record.ts";
import { amountOf } from "./pod-requests.ts";
import { PodWorker, type PodWorkerDeps } from "./pod-worker.ts";
import { allocatedPod, judgeResize } from "./resize.ts";
import { etcHosts, nodeHosts, podHostname, resolvConf } from "./resolv-conf.ts";
import { kubeletConfiguration, kubeletMetrics, probeMetrics, type Tallies } from "./server/introspection.ts";
import type { KubeletApiSources } from "./server/kubelet-api.ts";
import { shutDownPods, shutdownGroups } from "./shutdown.ts";
import { isMirrorPod, StaticPods } from "./static-pods.ts";
import { cadvisorMetrics, resourceMetrics } from "./stats/metrics.ts";
import { NodeStats } from "./stats/node-stats.ts";
import { StatusManager } from "./status-manager.ts";
import { serveKubeletStreams } from "./streams.ts";
import { TokenSource } from "./token-source.ts";
import { NodeVolumes } from "./volumes/node-volumes.ts";
import type { PodVolumes } from "./volumes/pod-volumes.ts";

export interface KubeletOptions {
  config: NodeAgentConfig;
  nodeName: string;
  stateDir: string;
  client: ApiClient;
  bus: Bus;
  network: NodeNetwork;
  cni: BridgePlugin;
  /** Resolves when policies are enforced here: no pod gets a network before. */
  networkGuarded(): Promise<void>;
  /** A pod has its addresses and nothing in it runs yet. */
  onAttached(pod: Pod, addresses: readonly string[]): void;
  onDetached(uid: string): void;
  watch: NodeWatch;
  allocatable: Readonly<Record<string, string>>;
  /** Pressure has come or gone: the node's conditions are to be told. */
  onConditions?: () => void;
  /** The volumes that node.status.volumesInUse names have changed. */
  onVolumesInUse?: () => void;
  clock: Clock;
  random: Random;
  log: Logger;
}

/** For the last statuses of a node that shuts down. */
const LAST_WORDS_MS = 1000;
const IMAGE_GC_MS = 300_000;
/** A hard threshold leaves no more time. */
const EVICTION_GRACE_SECONDS = 1;

export class Kubelet {
  readonly #o: KubeletOptions;
  /** Pods that have ended here and whose objects remain for a while (a finalizer, a DELETE under way): nothing is started for them again. */
  readonly #over = new Set<string>();
  readonly #workers = new Map<string, PodWorker>();
  readonly #events: EventRecorder;
  readonly images: ImagePuller;
  readonly #statuses: StatusManager;
  readonly #checkpoints: CheckpointStore;
  readonly #logs: LogStore;
  readonly #objects: ObjectSource;
  readonly #tokens: TokenSource;
  readonly #nodeVolumes: NodeVolumes;
  readonly #watch: NodeWatch;
  readonly #pods: Informer<Pod & { metadata: any }>;
  readonly #deps: PodWorkerDeps;
  readonly #host: PodSandbox;
  #streams: Subscription | undefined;
  readonly #static: StaticPods;
  /** Checkpoints of before the reboot that no pod has claimed yet. */
  #saved = new Map<string, Checkpoint>();
  #shutdown: Promise<void> | undefined;
  #imageTimer: Timer | undefined;
  readonly #eviction: EvictionManager;
  readonly #stats: NodeStats;
  readonly #machine: Machine;
  readonly #tallies: Tallies = { started: 0, startErrors: 0, evictions: new Map() };
  #stopping = false;
  #node: Node | undefined;

  constructor(o: KubeletOptions) {
    this.#o = o;
    const { clock, random, log, client } = o;
    this.#events = eventRecorder({ client, clock, random, log, component: "kubelet", host: o.nodeName });
    this.images = new ImagePuller({
      catalogue: new ImageCatalogue({ strict: o.config["strict-images"] }),
      clock,
      events: this.#events,
      pullMs: o.config["image-pull-time"],
    });
    this.#static = new StaticPods({
      folder: o.config["pod-manifest-path"],
      periodMs: o.config["file-check-frequency"],
      nodeName: o.nodeName,
      node: () => this.#node,
      client,
      clock,
      log,
      start: (pod) => this.#take(pod),
      stop: (uid) => void this.#workers.get(uid)?.retire(),
      mirrored: (uid) => this.#statuses.retry(uid),
    });
    this.#statuses = new StatusManager({ client, clock, log, apiUid: (uid) => this.#static.apiUid(uid) });
    this.#checkpoints = new CheckpointStore(path.join(o.stateDir, "pods"), clock);
    this.#logs = new LogStore(path.join(o.stateDir, "logs", "pods"), clock, {
      maxBytes: amountOf("ephemeral-storage", o.config["container-log-max-size"]),
      maxFiles: o.config["container-log-max-files"],
    });
    this.#objects = new ObjectSource({ client, clock, random, log });
    this.#tokens = new TokenSource({ client, clock, random });
    this.#nodeVolumes = new NodeVolumes({
      client,
      bus: o.bus,
      clock,
      log,
      nodeName: o.nodeName,
      stateDir: o.stateDir,
      hostFiles: {
        "/etc/hosts": `127.0.0.1\tlocalhost\n${o.network.address}\t${o.nodeName}\n`,
        "/etc/hostname": `${o.nodeName}\n`,
        "/etc/os-release": 'NAME="Podwire"\nID=podwire\nPRETTY_NAME="Podwire"\n',
      },
      diskBytes: Number(parseQuantity(o.config["disk-space"]).value()),
      volumeBytes: Number(parseQuantity(o.config["volume-space"]).value()),
      attachLimit: o.config["csi-attach-limit"],
      event: (uid, type, reason, message) => this.#workers.get(uid)?.event(type, reason, message),
      onChange: () => o.onVolumesInUse?.(),
    });
    this.#stats = new NodeStats({
      ...o,
      logs: this.#logs,
      workers: () => this.#workers.values(),
      images: this.images,
      pool: this.#nodeVolumes.disk.pool,
    });
    this.#watch = o.watch;
    this.#machine = new Machine(clock, {
      cores: Number(parseQuantity(o.config.cpus).value()),
      memoryBytes: Number(parseQuantity(o.config.memory).value()),
    });
    this.#host = createHostSandbox({
      machine: this.#machine,
      name: o.nodeName,
      namespace: "",
      uid: "",
      hostname: o.nodeName,
      netns: o.network.root as unknown as NetStack,
      clock,
      random,
      log,
    });
    this.#pods = informer<Pod & { metadata: any }>({
      client,
      clock,
      random,
      log,
      ref: Resources.pods,
      fieldSelector: `spec.nodeName=${o.nodeName}`,
    });
    this.#eviction = new EvictionManager({
      thresholds: evictionThresholds(o.config),
      transitionMs: o.config["eviction-pressure-transition-period"],
      periodMs: o.config["housekeeping-interval"],
      usage: () => this.#stats.pods().filter((p) => !this.#workers.get(p.pod.metadata!.uid!)?.record.terminating),
      observe: (pods) => this.#stats.observe(pods),
      reclaimImages: () => this.images.collect(this.#imagesInUse(), Number.POSITIVE_INFINITY, this.#o.clock.nowMs()) > 0,
      evict: (e) => this.#evict(e),
      nodeEvent: (type, reason, message) => this.#events.event(nodeRef(o.nodeName), type, reason, message),
      onChange: () => o.onConditions?.(),
      clock,
      log,
    });
    this.#deps = {
      clock,
      random,
      log,
      cpu: new Cpu(clock),
      nodeName: o.nodeName,
      nodeIPs: o.network.addresses,
      nodeStack: o.network.root as unknown as NetStack,
      events: this.#events,
      images: this.images,
      statuses: this.#statuses,
      checkpoints: this.#checkpoints,
      logs: this.#logs,
      createSandbox: (pod) => this.#createSandbox(pod),
      environment: (pod, sandbox) => this.#environment(pod, sandbox),
      volumes: (pod, onChange) => this.#volumes(pod, onChange),
      judgeResize: (worker) => judgeResize(worker.record.pod, this.#active(worker), this.#admissionNode().allocatable),
      tallies: this.#tallies,
      diskPool: this.#nodeVolumes.disk.pool,
      admit: (worker) => this.#admit(worker),
      onGone: (uid) => this.#gone(uid),
    };
  }

  /** This node's object, each time it was read or written. */
  setNode(node: Node): void {
    if (this.#node?.metadata?.uid !== node.metadata!.uid) this.#nodeVolumes.register(node.metadata!.uid!);
    this.#node = node;
  }

  #admissionNode(): AdmissionNode {
    const n = this.#node;
    return {
      name: this.#o.nodeName,
      labels: n?.metadata?.labels ?? {},
      taints: n?.spec?.taints ?? [],
      allocatable: { ...(n?.status?.allocatable as Record<string, string> | undefined), ...this.#o.allocatable },
      pressures: this.#eviction.pressures(),
      shuttingDown: this.#shutdown !== undefined,
      allowedUnsafeSysctls: this.#o.config["allowed-unsafe-sysctls"],
    };
  }

  /** Pods whose resources are taken. */
  #active(but: PodWorker): Pod[] {
    return [...this.#workers.values()]
      .filter((w) => w !== but && w.record.admitted && !w.record.finished)
      .map((w) => allocatedPod(w.record));
  }

  async #admit(worker: PodWorker): Promise<Rejection | undefined> {
    const { pod } = worker.record;
    let verdict = admitPod(pod, this.#active(worker), this.#admissionNode());
    if (!verdict.admit && verdict.reason === "NodeAffinity") {
      // What we know of our labels may be older than the scheduler's decision.
      const node = await this.#o.client.get(Resources.nodes, "", this.#o.nodeName).catch(() => undefined);
      if (node) this.setNode(node as Node);
      verdict = admitPod(pod, this.#active(worker), this.#admissionNode());
    }
    if (!verdict.admit) return verdict;
    for (const victim of verdict.preempt) {
      const w = this.#workers.get(victim.metadata!.uid!);
      const message = "Preempted in order to admit critical pod";
      w?.event("Warning", "Preempting", message);
      w?.terminate(0, "Preempting", message, true);
    }
    return undefined;
  }

  async start(): Promise<void> {
    this.#saved = this.#checkpoints.load();
    const { clock, log } = this.#o;
    this.#watch.informerOf("services");
    this.#pods.handle({
      onAdd: (pod) => (isMirrorPod(pod) ? this.#static.observe(pod) : this.#take(pod)),
      onUpdate: (pod, old) => {
        if (isMirrorPod(pod)) return this.#static.observe(pod);
        if (old.metadata.uid !== pod.metadata.uid) {
          this.#over.delete(old.metadata.uid);
          void this.#workers.get(old.metadata.uid)?.vanish();
        }
        if (!this.#over.has(pod.metadata.uid)) this.#worker(pod).update(pod);
      },
      onDelete: (pod) => {
        if (isMirrorPod(pod)) return this.#static.forgotten(pod);
        this.#over.delete(pod.metadata.uid);
        void this.#workers.get(pod.metadata.uid)?.vanish();
      },
    });
    this.#streams = serveKubeletStreams({
      bus: this.#o.bus,
      nodeName: this.#o.nodeName,
      clock,
      log,
      logs: this.#logs,
      find: (namespace, name, uid) => this.#find(namespace, name, uid),
      stackOf: (r) => r.sandbox?.sandbox.options.netns,
      stats: () => this.#stats.summary(),
      pods: () => this.#pods.lister.list(),
    });
    this.#static.start();
    await this.#pods.start().catch((e) => this.#stopping || log.error({ reason: reasonOf(e) }, "this node's pods cannot be followed"));
    if (this.#stopping) return;
    this.#eviction.start();
    this.#imageTimer = clock.every(
      IMAGE_GC_MS,
      () => collectImages({ ...this.#o, images: this.images, stats: this.#stats, inUse: this.#imagesInUse(), events: this.#events }),
      { unref: true },
    );
    // Pods that were here before the reboot and are no more: their logs and checkpoints go.
    const live = new Set(this.#pods.lister.list().map((p) => p.metadata.uid as string));
    for (const uid of this.#static.uids()) live.add(uid);
    for (const uid of this.#saved.keys()) if (!live.has(uid)) this.#checkpoints.remove(uid);
    this.#saved.clear();
    this.#logs.retain(live);
    this.#nodeVolumes.retain(live);
  }

  /** A pod that is new here, or was here before a reboot. */
  #take(pod: Pod): void {
    const uid = pod.metadata!.uid!;
    const checkpoint = this.#saved.get(uid);
    this.#saved.delete(uid);
    const w = this.#worker(pod);
    if (checkpoint) restore(w.record, checkpoint, this.#o.clock.nowMs());
    w.update(pod);
  }

  #worker(pod: Pod): PodWorker {
    const uid = pod.metadata!.uid!;
    let w = this.#workers.get(uid);
    if (!w) {
      w = new PodWorker(this.#deps, pod);
      this.#workers.set(uid, w);
    }
    return w;
  }

  #find(namespace: string, name: string, uid: string | undefined): { record: PodRecord; pod: Pod } | undefined {
    for (const w of this.#workers.values()) {
      const m = w.record.pod.metadata!;
      if (m.namespace === namespace && m.name === name && (uid === undefined || m.uid === uid || this.#static.apiUid(m.uid!) === uid))
        return { record: w.record, pod: w.record.pod };
    }
    return undefined;
  }

  #gone(uid: string): void {
    const w = this.#workers.get(uid);
    this.#workers.delete(uid);
    if (w && this.#pods.lister.get(w.record.pod.metadata!.namespace!, w.record.pod.metadata!.name!)?.metadata.uid === uid)
      this.#over.add(uid);
    this.#nodeVolumes.gone(uid);
    this.#tokens.forget(uid);
    this.images.forget(uid);
    if (w) this.#logs.remove(w.record.pod);
    for (const other of this.#workers.values()) if (other.record.resize.pending?.reason === "Deferred") other.wake();
  }

  async #createSandbox(pod: Pod): Promise<{ sandbox: SandboxRecord; etc: Map<string, FileInode> }> {
    const { clock, random, log, network, cni, nodeName, config } = this.#o;
    const { name, namespace, uid } = pod.metadata!;
    const id = Buffer.from(random.bytes(32)).toString("hex");
    const host = pod.spec!.hostNetwork ?? false;
    if (!host) await this.#o.networkGuarded();
    const attached = host ? undefined : this.#attach(pod, id);
    const ips = attached?.addresses ?? network.addresses;
    const ip = ips[0]!;
    const domain = config["cluster-domain"];
    const { hostname, domain: subdomain } = podHostname(pod, nodeName, domain);
    const now = () => clock.nowMs();
    const etc = new Map([
      ["/etc/hosts", textFile(now, host ? nodeHosts(pod, nodeName, network.address) : etcHosts(pod, ips, hostname, subdomain))],
      ["/etc/hostname", textFile(now, `${hostname}\n`)],
      [
        "/etc/resolv.conf",
        textFile(
          now,
          resolvConf(pod, { clusterDNS: config["cluster-dns"], clusterDomain: domain, host: { nameservers: [], search: [], options: [] } }),
        ),
      ],
    ]);
    const sandbox = createPodSandbox({
      name: name!,
      namespace: namespace!,
      uid: uid!,
      hostname,
      netns: (attached?.netns ?? network.root) as unknown as NetStack,
      clock,
      random,
      log,
      cpu: this.#deps.cpu,
      machine: this.#machine,
      shareProcessNamespace: pod.spec!.shareProcessNamespace ?? false,
      sysctls: new Map((pod.spec!.securityContext?.sysctls ?? []).map((s) => [s.name!.replaceAll("/", "."), s.value!])),
      ...(pod.spec!.hostPID ? { pidNamespace: this.#host.sharedPids! } : {}),
      ...(pod.spec!.hostIPC ? { sharedMemory: this.#host.sharedMemory } : {}),
      annex: new Map<string, unknown>([
        ["pod", { name, namespace, node: nodeName, ip: () => ip }],
        ["kube-watch", this.#watch],
      ]),
    });
    const release = async () => {
      if (!attached) return;
      cni.del(id);
      this.#o.onDetached(uid!);
    };
    return { etc, sandbox: { sandbox, ip, ips, id, release } };
  }

  /** The pod's place in the network; its policies hold before anything in it runs. */
  #attach(pod: Pod, containerId: string) {
    const { name, namespace, annotations } = pod.metadata!;
    const bandwidth = bandwidthOf(annotations);
    const attached = this.#o.cni.add({
      containerId,
      podName: name!,
      podNamespace: namespace!,
      hostPorts: hostPortsOf(pod),
      ...(bandwidth ? { bandwidth } : {}),
    });
    this.#o.onAttached(pod, attached.addresses);
    return attached;
  }

  #environment(pod: Pod, sandbox: SandboxRecord) {
    const { network, nodeName, allocatable } = this.#o;
    return {
      configMap: (ns: string, n: string) => this.#objects.configMap<any>(ns, n),
      secret: (ns: string, n: string) => this.#objects.secret<any>(ns, n),
      services: () =>
        this.#watch
          .services()
          .filter(
            (s: any) =>
              s.metadata.namespace === pod.metadata!.namespace || (s.metadata.namespace === "default" && s.metadata.name === "kubernetes"),
          ),
      podIP: sandbox.ip,
      podIPs: sandbox.ips,
      hostIPs: network.addresses,
      nodeName,
      allocatable,
    };
  }

  #volumes(pod: Pod, onChange: () => void): PodVolumes {
    const { network, nodeName, allocatable } = this.#o;
    const uid = pod.metadata!.uid!;
    return this.#nodeVolumes.forPod({
      objects: this.#objects,
      tokens: this.#tokens,
      facts: () => {
        const s = this.#workers.get(uid)?.record.sandbox;
        return { podIP: s?.ip ?? "", podIPs: s?.ips ?? [], hostIPs: network.addresses, nodeName, allocatable };
      },
      onChange,
    });
  }

  volumesInUse(): string[] {
    return this.#nodeVolumes.inUse();
  }

  /** The pod network has come up: pods that waited for it go on. */
  networkReady(): void {
    for (const w of this.#workers.values()) w.wake();
  }

  #imagesInUse(): Set<string> {
    const used = new Set<string>();
    for (const w of this.#workers.values()) for (const c of w.record.containers.values()) if (c.running) used.add(c.image);
    return used;
  }

  #evict(e: Eviction): void {
    const w = this.#workers.get(e.pod.metadata!.uid!);
    if (!w) return;
    this.#events.event(podRef(w.record.pod), "Warning", "Evicted", e.message, { annotations: e.annotations });
    this.#tallies.evictions.set(e.signal, (this.#tallies.evictions.get(e.signal) ?? 0) + 1);
    const own = Number(w.record.pod.spec!.terminationGracePeriodSeconds ?? 30);
    const grace = e.soft ? Math.min(own, this.#o.config["eviction-max-pod-grace-period"]) : EVICTION_GRACE_SECONDS;
    w.terminate(grace, "Evicted", e.message, true);
  }

  pressures(): readonly string[] {
    return this.#eviction.pressures();
  }

  /** What the kubelet's HTTPS port shows. */
  serverSources(): KubeletApiSources {
    return {
      pods: () => [...this.#workers.values()].map((w) => w.record.pod),
      find: (namespace, name, uid) => this.#find(namespace, name, uid),
      running: () =>
        [...this.#workers.values()]
          .map((w) => ({ pod: w.record.pod, containers: [...w.record.containers.values()].filter((c) => c.running).map((c) => c.name) }))
          .filter((p) => p.containers.length > 0),
      summary: (only) => this.#stats.summary(only),
      metrics: (kind) => this.#metrics(kind),
      config: () => kubeletConfiguration(this.#o.config),
      logs: this.#logs,
      nowMs: () => this.#o.clock.nowMs(),
      logFolder: path.dirname(this.#logs.folder),
    };
  }

  #metrics(kind: "kubelet" | "resource" | "cadvisor" | "probes"): string {
    const nowMs = this.#o.clock.nowMs();
    if (kind === "resource") return resourceMetrics(this.#stats.pods(), nowMs);
    if (kind === "cadvisor") return cadvisorMetrics(this.#stats.pods(), nowMs);
    if (kind === "probes") return probeMetrics(this.#workers.values());
    return kubeletMetrics(this.#o.nodeName, this.#workers.values(), this.#tallies);
  }

  counters(): Record<string, unknown> {
    let running = 0;
    let restarts = 0;
    for (const w of this.#workers.values())
      for (const c of w.record.containers.values()) {
        if (c.running) running++;
        restarts += c.restartCount;
      }
    return {
      pods: this.#workers.size,
      containersRunning: running,
      restarts,
      volumes: this.#nodeVolumes.counters(),
      statuses: this.#statuses.counters,
      events: this.#events.counters(),
    };
  }

  get shuttingDown(): boolean {
    return this.#shutdown !== undefined;
  }

  /** The machine is about to go down: pods end in order, and the API hears of it. Without a grace period nothing happens. */
  shutDown(): Promise<void> {
    const { config, nodeName, clock } = this.#o;
    const graceMs = config["shutdown-grace-period"];
    if (graceMs === 0) return Promise.resolve();
    this.#shutdown ??= (async () => {
      this.#events.event(nodeRef(nodeName), "Normal", "NodeShutdown", "Shutdown manager detected shutdown event");
      this.#o.onConditions?.();
      const groups = shutdownGroups(graceMs, config["shutdown-grace-period-critical-pods"]);
      await shutDownPods([...this.#workers.values()], groups, clock);
      await Promise.race([Promise.all([this.#statuses.idle(), this.#events.flush()]), clock.sleep(LAST_WORDS_MS)]);
    })();
    return this.#shutdown;
  }

  /** Ends the process's part without touching the API: a node that stops is a node that is gone. */
  stop(): void {
    this.#stopping = true;
    this.#eviction.stop();
    this.#imageTimer?.cancel();
    this.#static.stop();
    this.#streams?.unsubscribe();
    this.#pods.stop();
    this.#objects.stop();
    for (const w of this.#workers.values()) w.abandon();
    this.#checkpoints.close();
    this.#nodeVolumes.stop();
  }
}

/** The flags were checked at start. */
function evictionThresholds(c: NodeAgentConfig): Threshold[] {
  const all = combineThresholds(c["eviction-hard"], c["eviction-soft"], c["eviction-soft-grace-period"], c["eviction-minimum-reclaim"]);
  if (typeof all === "string") throw new EvictionConfigError(all);
  return all;
}

export class EvictionConfigError extends PodwireError {}

export { isSidecar };

/** What the pod's containers ask of the node's own ports. */
function hostPortsOf(pod: Pod) {
  return (pod.spec?.containers ?? [])
    .flatMap((c) => c.ports ?? [])
    .filter((p) => (p.hostPort ?? 0) > 0)
    .map((p) => ({
      hostPort: p.hostPort as number,
      containerPort: p.containerPort,
      protocol: p.protocol ?? "TCP",
      ...(p.hostIP ? { hostIP: p.hostIP } : {}),
    }));
}
