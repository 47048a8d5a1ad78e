// Owns the processes of one cluster: starts them in order, keeps the control plane alive, and answers the other commands.
// Invariant: whatever it started is known to the guardian, so nothing outlives it; cluster.json always names the nodes that exist.
import { rmSync } from "node:fs";
import type { Server } from "node:net";
import { type Clock, PodwireError, type Random, silentLogger } from "@podwire/base";
import { type Bus, connectNats, subjectsOf } from "@podwire/bus";
import { type ApiClient, isNotFound, natsClient, Resources } from "@podwire/client";
import { PortTakenError, ProcessFailedError, UsageError } from "../errors.ts";
import type { Installation } from "../installation.ts";
import { hasCertificates } from "../kubeconfig.ts";
import { freePort, isPortFree, ownerOfPort } from "../ports.ts";
import type { ClusterFolder, ClusterRecord, NodeRecord } from "../state/cluster-folder.ts";
import { ensureIdentities, MAX_SLOTS, readIdentity, SLOT_STEP, underlayOfSlot } from "../state/identities.ts";
import { controlPlaneSpecs, natsSpec, nextNode, nodeSpec, type Surroundings } from "./components.ts";
import { type ControlRequest, type SupervisorStatus, serveControl } from "./control.ts";
import { Guardian } from "./guardian.ts";
import { endLeftovers, recordProcesses } from "./leftovers.ts";
import { LogFile, type LogLine } from "./log-files.ts";
import { natsIsUp, writeNatsConfig } from "./nats.ts";
import { ManagedProcess, type ProcessSpec } from "./process.ts";

export interface SupervisorOptions {
  folder: ClusterFolder;
  installation: Installation;
  clock: Clock;
  random: Random;
  env: Readonly<Record<string, string | undefined>>;
  logLevel: string;
  /** Finds or obtains nats-server, or names a server that somebody else runs; `say` is told what takes time. */
  natsServer: (say: (step: string) => void) => Promise<{ binary: string } | { url: string }>;
  onLine(line: LogLine): void;
}

/** What `up` was asked for, on top of what the cluster's record says. */
export interface UpRequest {
  nodes: number | undefined;
  apiPort: number | undefined;
  args: Record<string, string[]>;
  /** Components not to start; undefined: as before. */
  without: string[] | undefined;
}

const DEFAULT_NODES = 3;
const CERTIFICATES_POLL_MS = 10;
const HEALTH_TIMEOUT_MS = 2_000;
/** A process that was started this often while the cluster starts will not come up. */
const MAX_START_RESTARTS = 4;
const DEFAULT_API_PORT = 6443;

export class Supervisor {
  private readonly options: SupervisorOptions;
  private readonly guardian = new Guardian();
  private readonly processes = new Map<string, ManagedProcess>();
  private readonly logs = new Map<string, LogFile>();
  private readonly startedMs: number;
  private record: ClusterRecord | undefined;
  private natsUrl = "";
  private around: Surroundings | undefined;
  private control: Server | undefined;
  private bus: Bus | undefined;
  private stopping: Promise<void> | undefined;
  /** Shown by `status`; set by whoever drives the start. */
  phase = "preparing";
  /** Called when somebody asked for `down`. */
  onDown: () => void = () => undefined;

  constructor(options: SupervisorOptions) {
    this.options = options;
    this.startedMs = options.clock.nowMs();
  }

  /** Takes the cluster: state folder, control socket, ports, credentials. Throws when another supervisor has it. */
  async prepare(request: UpRequest, say: (step: string) => void): Promise<ClusterRecord> {
    const { folder } = this.options;
    folder.create();
    this.control = await serveControl(folder.socket, (r) => this.handle(r));
    endLeftovers(folder);
    const record = await this.settle(folder.exists() ? folder.read() : undefined, request);
    this.record = record;
    const server = await this.options.natsServer(say);
    this.natsUrl = "url" in server ? server.url : `nats://127.0.0.1:${record.natsPort}`;
    const identities = ensureIdentities(folder, record, this.natsUrl);
    folder.write(record);
    this.around = {
      installation: this.options.installation,
      folder,
      natsServer: "binary" in server ? server.binary : undefined,
      natsConfig: writeNatsConfig(folder, record, identities, "127.0.0.1"),
      env: this.options.env,
      logLevel: this.options.logLevel,
    };
    return record;
  }

  /** Ports and nodes of this life: what the record says where that still works, what was asked for where that was given. */
  private async settle(old: ClusterRecord | undefined, request: UpRequest): Promise<ClusterRecord> {
    const apiPort = await settlePort(request.apiPort, old?.apiPort ?? DEFAULT_API_PORT, "the API server, --api-port");
    const natsPort = await keepPort(old?.natsPort);
    const dashboardPort = await keepPort(old?.dashboardPort);
    const record: ClusterRecord = {
      version: 1,
      name: this.options.folder.name,
      apiPort,
      natsPort,
      dashboardPort,
      nodes: [...(old?.nodes ?? [])],
      slots: old?.slots ?? SLOT_STEP,
      args: Object.keys(request.args).length > 0 ? request.args : (old?.args ?? {}),
      without: request.without ?? old?.without ?? [],
    };
    const wanted = request.nodes ?? (old ? old.nodes.length : DEFAULT_NODES);
    while (record.nodes.length < wanted) record.nodes.push(nextNode(record));
    if (request.nodes !== undefined) record.nodes.length = wanted;
    makeRoom(record);
    return record;
  }

  /** What `startNats` will do, for whoever watches. */
  natsTitle(): string {
    const { record, around } = this.ready();
    return around.natsServer === undefined ? `Using NATS at ${this.natsUrl}` : `Starting NATS on port ${record.natsPort}`;
  }

  /** Starts nats-server and waits for it. */
  async startNats(): Promise<void> {
    const { record, around } = this.ready();
    if (around.natsServer === undefined) return;
    const nats = this.launch(natsSpec(around, record, around.natsServer));
    await natsIsUp(record.natsPort, this.options.clock, () => nats.status().restarts === 0 && nats.status().state === "running");
  }

  /** Starts the control plane, the edge and all nodes at once: each waits for what it needs by itself, but for the
   *  controller-manager, which reads the certificate authority that the apiserver makes in its first life. */
  startComponents(): void {
    const { record, around } = this.ready();
    const later: ProcessSpec[] = [];
    for (const spec of controlPlaneSpecs(around, record)) {
      if (spec.name === "dashboard") continue; // Nobody waits for it: see startDashboard.
      if (spec.name === "controller-manager" && !hasCertificates(around.folder.pki)) later.push(spec);
      else this.launch(spec);
    }
    for (const node of record.nodes) this.launch(nodeSpec(around, record, node));
    const { clock } = this.options;
    const launchLater = () => {
      if (this.stopping) return;
      if (hasCertificates(around.folder.pki)) for (const spec of later) this.launch(spec);
      else clock.after(CERTIFICATES_POLL_MS, launchLater);
    };
    if (later.length > 0) launchLater();
  }

  /** Once the cluster is up: a page that nobody looks at yet must not slow the start. */
  startDashboard(): void {
    const { record, around } = this.ready();
    for (const spec of controlPlaneSpecs(around, record)) if (spec.name === "dashboard") this.launch(spec);
  }

  /** True when every control-plane process answers on its control subject that it is well. */
  async controlPlaneIsWell(): Promise<boolean> {
    await this.api();
    const { record } = this.ready();
    const subjects = subjectsOf(record.name);
    const names = [...this.processes.values()].map((p) => p.spec).filter((s) => s.kind === "control-plane" || s.kind === "edge");
    const answers = await Promise.all(
      names.map((s) => this.bus?.request(subjects.control(s.name), { op: "health" }, { timeoutMs: HEALTH_TIMEOUT_MS })),
    );
    return answers.every((a) => (a as { health?: unknown } | undefined)?.health === "ok");
  }

  /** The supervisor's own way into the API. */
  async api(): Promise<ApiClient> {
    const { clock, random, folder } = this.options;
    const { record } = this.ready();
    if (!this.bus) {
      const { seed, natsUrl: url } = readIdentity(folder, "supervisor");
      this.bus = await connectNats({ url, cluster: record.name, identity: "supervisor", seed, clock, random, log: silentLogger });
    }
    return natsClient(this.bus, { clock, fieldManager: "podwire" });
  }

  /** Throws when a process that others wait for keeps dying, with its last words. */
  assertStarting(): void {
    for (const p of this.processes.values()) {
      const s = p.status();
      // Exit code 2 is a mistake in its flags, which no restart mends.
      if (s.lastExit !== "exit code 2" && (s.kind === "node" || s.restarts < MAX_START_RESTARTS)) continue;
      throw new ProcessFailedError(`${s.name} does not stay up (${s.lastExit})${p.lastWords ? `: ${p.lastWords}` : ""}`, {
        next: `podwire logs ${s.name} --tail 20`,
      });
    }
  }

  status(): SupervisorStatus {
    const { folder, installation } = this.options;
    const record = this.record;
    return {
      cluster: folder.name,
      pid: process.pid,
      startedMs: this.startedMs,
      version: installation.version,
      phase: this.phase,
      apiUrl: record ? `https://127.0.0.1:${record.apiPort}` : "",
      natsUrl: this.natsUrl,
      dashboardUrl: record ? `http://127.0.0.1:${record.dashboardPort}/` : "",
      kubeconfig: folder.kubeconfig,
      processes: [...this.processes.values()].map((p) => p.status()),
      nodes: (record?.nodes ?? []).map((n) => ({ name: n.name, underlay: underlayOfSlot(n.slot) })),
    };
  }

  /** Ends everything: nodes and controllers first, then the API, then NATS; each politely, then not. Runs once. */
  stop(): Promise<void> {
    this.stopping ??= this.stopAll();
    return this.stopping;
  }

  private async stopAll(): Promise<void> {
    this.phase = "stopping";
    const all = [...this.processes.values()];
    const named = (names: readonly string[]) => all.filter((p) => names.includes(p.spec.name));
    await this.bus?.close();
    const last = named(["nats"]);
    const api = named(["apiserver"]);
    await Promise.all(all.filter((p) => !last.includes(p) && !api.includes(p)).map((p) => p.stop()));
    await Promise.all(api.map((p) => p.stop()));
    await Promise.all(last.map((p) => p.stop()));
    this.guardian.close();
    for (const log of this.logs.values()) log.close();
    rmSync(this.options.folder.processes, { force: true });
    this.control?.close();
    rmSync(this.options.folder.socket, { force: true });
  }

  private async handle(request: ControlRequest): Promise<unknown> {
    switch (request.op) {
      case "status":
        return this.status();
      case "down":
        this.onDown();
        return this.stop();
      case "node-add":
        return this.addNodes(request.name, request.count ?? 1);
      case "node-rm":
        return this.removeNode(request.name);
      case "node-kill":
        return this.node(request.name).process.kill();
      case "node-restart": {
        const { process } = this.node(request.name);
        await process.kill();
        return process.start();
      }
      default:
        throw new UsageError(`unknown request ${JSON.stringify(request)}`);
    }
  }

  private async addNodes(name: string | undefined, count: number): Promise<string[]> {
    const { record, around } = this.ready();
    if (name !== undefined && (count !== 1 || !/^[a-z0-9]([-a-z0-9.]{0,61}[a-z0-9])?$/.test(name)))
      throw new UsageError(`invalid node name ${JSON.stringify(name)}: a lower case RFC 1123 name`);
    if (record.nodes.some((n) => n.name === name)) throw new UsageError(`node ${JSON.stringify(name)} exists`);
    const added: NodeRecord[] = [];
    for (let i = 0; i < count; i++) {
      const node = nextNode(record, name);
      record.nodes.push(node);
      added.push(node);
    }
    const grew = makeRoom(record);
    const identities = ensureIdentities(this.options.folder, record, this.natsUrl);
    this.options.folder.write(record);
    if (grew || name !== undefined) {
      writeNatsConfig(this.options.folder, record, identities, "127.0.0.1");
      this.processes.get("nats")?.hangUp();
      await this.options.clock.sleep(200); // nats-server reads its configuration in the background and does not say when.
    }
    for (const node of added) this.launch(nodeSpec(around, record, node));
    return added.map((n) => n.name);
  }

  private async removeNode(name: string): Promise<void> {
    const { record } = this.ready();
    const { process } = this.node(name);
    await process.stop();
    this.processes.delete(name);
    record.nodes = record.nodes.filter((n) => n.name !== name);
    this.options.folder.write(record);
    const api = await this.api();
    try {
      await api.delete(Resources.nodes, "", name);
    } catch (e) {
      if (!isNotFound(e)) throw e;
    }
    rmSync(this.options.folder.nodeState(name), { recursive: true, force: true });
  }

  private node(name: string): { process: ManagedProcess } {
    const process = this.processes.get(name);
    if (process?.spec.kind === "node") return { process };
    const names = this.ready().record.nodes.map((n) => n.name);
    throw new UsageError(`no node named ${JSON.stringify(name)} (there are ${names.join(", ") || "none"})`, { next: "podwire nodes" });
  }

  private launch(spec: ProcessSpec): ManagedProcess {
    const { clock, folder, onLine } = this.options;
    let log = this.logs.get(spec.name);
    if (!log) this.logs.set(spec.name, (log = new LogFile(folder.logs, spec.name, clock)));
    const process = new ManagedProcess(spec, { clock, guardian: this.guardian, log, onLine, onChange: () => this.remember() });
    this.processes.set(spec.name, process);
    process.start();
    return process;
  }

  private remember(): void {
    if (this.stopping) return;
    const pids = [...this.processes.values()].map((p) => p.status().pid).filter((pid) => pid !== undefined);
    recordProcesses(this.options.folder, pids);
  }

  private ready(): { record: ClusterRecord; around: Surroundings } {
    const { record, around } = this;
    if (!record || !around) throw new PodwireError("the cluster is still being prepared", { next: "podwire status --wait" });
    return { record, around };
  }
}

/** Adds credential slots in steps until every node has one; true when some were added. */
function makeRoom(record: ClusterRecord): boolean {
  const highest = Math.max(0, ...record.nodes.map((n) => n.slot));
  if (highest > MAX_SLOTS) throw new UsageError(`a cluster has at most ${MAX_SLOTS} nodes`);
  const before = record.slots;
  while (record.slots < highest) record.slots += SLOT_STEP;
  return record.slots > before;
}

/** The port of an earlier life when it is still free, else any free one. */
async function keepPort(old: number | undefined): Promise<number> {
  return old !== undefined && (await isPortFree(old)) ? old : freePort();
}

/** The wanted port or an error that says who has it; without a wish the usual one, or any free one when that is taken. */
async function settlePort(wanted: number | undefined, usual: number, what: string): Promise<number> {
  if (wanted === 0) return freePort();
  if (await isPortFree(wanted ?? usual)) return wanted ?? usual;
  if (wanted !== undefined) throw new PortTakenError(wanted, what, ownerOfPort(wanted));
  return freePort();
}
