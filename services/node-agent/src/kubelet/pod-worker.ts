// One pod's worker: brings what runs in line with the spec, one step after another (pod_workers.go, SyncPod, SyncTerminatingPod).
// Invariant: at most one sync of a pod runs at a time; every change of the record ends in a status; a deleted pod's object goes only
// after its containers have stopped and its sandbox is released.
import type { Container as ContainerSpec, Pod } from "@podwire/api";
import { type Clock, type Logger, type Random, reasonOf, type Timer } from "@podwire/base";
import { type EventRecorder, timeMs } from "@podwire/client";
import type { Cpu, FileInode, NetStack, SpacePool } from "@podwire/runtime";
import { CniError } from "../cni/cni.ts";
import type { Rejection } from "./admission/admission.ts";
import { type BackOff, nextBackOff } from "./back-off.ts";
import type { CheckpointStore } from "./checkpoint.ts";
import { ContainerRunner } from "./container-runner.ts";
import type { EnvironmentSources } from "./environment.ts";
import { type ImagePuller, podRef } from "./image-puller.ts";
import type { LogStore } from "./log-store.ts";
import { type Action, isOver, planPod, specsOf } from "./plan.ts";
import { type ContainerRecord, isSidecar, newContainerRecord, type PodRecord, podText, type SandboxRecord } from "./pod-record.ts";
import { amountOf } from "./pod-requests.ts";
import { isOwnEcho, podStatus } from "./pod-status.ts";
import type { ProbeCount } from "./probes/prober.ts";
import { allocate, changedResources, limitBelowUsage, resizable, wantsResize } from "./resize.ts";
import type { Tallies } from "./server/introspection.ts";
import type { StatusManager } from "./status-manager.ts";
import { VolumePending } from "./volumes/payload.ts";
import type { PodVolumes } from "./volumes/pod-volumes.ts";

export interface PodWorkerDeps {
  clock: Clock;
  random: Random;
  log: Logger;
  cpu: Cpu;
  nodeName: string;
  /** The primary address first. */
  nodeIPs: readonly string[];
  /** The node's own network: probes come from it. */
  nodeStack: NetStack;
  events: EventRecorder;
  images: ImagePuller;
  statuses: StatusManager;
  checkpoints: CheckpointStore;
  logs: LogStore;
  createSandbox(pod: Pod): Promise<{ sandbox: SandboxRecord; etc: Map<string, FileInode> }>;
  environment(pod: Pod, sandbox: SandboxRecord): Omit<EnvironmentSources, "onInvalid">;
  volumes(pod: Pod, onChange: () => void): PodVolumes;
  /** Why the node has no room for what the pod's spec asks for now, or undefined. */
  judgeResize(worker: PodWorker): { reason: "Deferred" | "Infeasible"; message: string } | undefined;
  tallies: Tallies;
  diskPool: SpacePool;
  /** Asked once, before anything of the pod is made: why it may not run here, or undefined. */
  admit(worker: PodWorker): Promise<Rejection | undefined>;
  /** Called once when nothing of the pod is left here. */
  onGone(uid: string): void;
}

/** A deferred resize is tried again when a pod goes, and this often. */
const RESIZE_RETRY_MS = 180_000;
const RESIZE_ERROR_RETRY_MS = 10_000;
const RETRY_MS = 2000;
/** CNI's code for "not now". */
const TRY_AGAIN = 11;
const MOUNT_RETRY_FIRST_MS = 500;
const MOUNT_RETRY_MAX_MS = 122_000;
/** A volume that is being attached is looked for this often at first, and then less. */
const ATTACH_LOOK_FIRST_MS = 50;
const ATTACH_LOOK_MAX_MS = 1_000;
/** Volumes are written anew at least this often, as the kubelet's resync does. */
const REFRESH_MS = 60_000;

export class PodWorker {
  readonly record: PodRecord;
  readonly deps: PodWorkerDeps;
  readonly runner: ContainerRunner;
  readonly backOffs = new Map<string, BackOff>();
  volumes: PodVolumes;
  etc = new Map<string, FileInode>();
  #running = false;
  #dirty = false;
  #timer: Timer | undefined;
  #timerAtMs = Number.POSITIVE_INFINITY;
  #mountRetryMs = MOUNT_RETRY_FIRST_MS;
  #attachLookMs = ATTACH_LOOK_FIRST_MS;
  #terminated = false;
  #refreshed = 0;
  #gone = false;

  constructor(deps: PodWorkerDeps, pod: Pod) {
    this.deps = deps;
    this.record = {
      uid: pod.metadata!.uid!,
      pod,
      conditions: [],
      sandbox: undefined,
      containers: new Map(),
      terminating: undefined,
      finished: pod.status?.phase === "Succeeded" || pod.status?.phase === "Failed",
      startMs: timeMs(pod.status?.startTime as string | undefined) ?? deps.clock.nowMs(),
      failed: undefined,
      admitted: false,
      resize: { pending: undefined, inProgress: undefined },
    };
    this.#addContainers();
    this.volumes = deps.volumes(pod, () => this.#volumesChanged());
    this.runner = new ContainerRunner(this);
  }

  #addContainers(): void {
    const { init, main, ephemeral } = specsOf(this.record.pod);
    for (const [list, kind] of [
      [init, "init"],
      [main, "main"],
      [ephemeral, "ephemeral"],
    ] as const)
      for (const spec of list)
        if (!this.record.containers.has(spec.name!)) this.record.containers.set(spec.name!, newContainerRecord(spec, kind));
  }

  /** A newer version of the object. */
  update(pod: Pod): void {
    const echo = isOwnEcho(this.record.pod, pod);
    this.record.pod = pod;
    if (pod.status?.phase === "Failed" && this.#isOpen()) return void this.#failedByOthers(pod);
    this.deps.statuses.observe(pod);
    if (echo) return;
    this.#addContainers();
    if (pod.metadata!.deletionTimestamp) {
      const grace = Number(pod.metadata!.deletionGracePeriodSeconds ?? pod.spec!.terminationGracePeriodSeconds ?? 30);
      this.terminate(grace, "", "");
    }
    this.#volumesChanged();
    this.wake();
  }

  #isOpen(): boolean {
    return !this.record.finished && !this.record.failed && !this.record.terminating;
  }

  /** Somebody else has declared the pod failed: what they said stays, and its containers end (generateAPIPodStatus). */
  #failedByOthers(pod: Pod): void {
    const { reason = "", message = "" } = pod.status ?? {};
    this.record.failed = { reason, message };
    this.terminate(Number(pod.spec!.terminationGracePeriodSeconds ?? 30), "", "");
  }

  /** Ends the pod: deletion, eviction (with reason), deadline. A shorter grace than before wins. */
  terminate(graceSeconds: number, reason: string, message: string, disrupted = false): void {
    const t = this.record.terminating;
    if (t) {
      if (graceSeconds < t.graceSeconds) {
        t.graceSeconds = graceSeconds;
        this.runner.shortenGrace(graceSeconds);
      }
      return;
    }
    this.record.terminating = { graceSeconds, reason, message };
    if (reason !== "") this.record.failed = { reason, message, ...(disrupted ? { disrupted } : {}) };
    this.wake();
  }

  wake(): void {
    if (this.#gone) return;
    this.#dirty = true;
    if (this.#running) return;
    this.#running = true;
    void this.#run();
  }

  event(type: "Normal" | "Warning", reason: string, message: string, container?: ContainerSpec): void {
    const opts = container ? { fieldPath: this.fieldPath(container) } : {};
    this.deps.events.event(podRef(this.record.pod), type, reason, message, opts);
  }

  probes(): Iterable<ProbeCount> {
    return this.runner.probes();
  }

  fieldPath(spec: ContainerSpec): string {
    const kind = this.record.containers.get(spec.name!)?.kind;
    return `spec.${kind === "init" ? "initContainers" : kind === "ephemeral" ? "ephemeralContainers" : "containers"}{${spec.name}}`;
  }

  publish(): void {
    if (this.#gone) return;
    const status = podStatus(this.record, { hostIPs: this.deps.nodeIPs }, this.deps.clock.nowMs());
    const before = this.record.pod.status;
    this.record.conditions = status.conditions ?? [];
    this.record.pod = { ...this.record.pod, status: { ...before, ...status } };
    this.deps.statuses.set(this.record.pod, status, before);
    this.deps.checkpoints.save(this.record);
  }

  wakeAt(ms: number): void {
    if (ms >= this.#timerAtMs) return;
    this.#timer?.cancel();
    this.#timerAtMs = ms;
    this.#timer = this.deps.clock.after(Math.max(1, ms - this.deps.clock.nowMs()), () => {
      this.#timerAtMs = Number.POSITIVE_INFINITY;
      this.wake();
    });
  }

  async #run(): Promise<void> {
    await Promise.resolve();
    while (this.#dirty && !this.#gone) {
      this.#dirty = false;
      try {
        await this.#sync();
      } catch (e) {
        this.deps.log.error({ err: e, pod: podText(this.record.pod) }, "a pod could not be brought up to date");
        this.wakeAt(this.deps.clock.nowMs() + RETRY_MS);
      }
    }
    this.#running = false;
    if (this.#dirty && !this.#gone) this.wake();
  }

  async #sync(): Promise<void> {
    const r = this.record;
    this.#checkDeadline();
    if (!r.admitted && !r.terminating && !r.finished) {
      const rejection = await this.deps.admit(this);
      if (rejection) this.#reject(rejection);
      else {
        r.admitted = true;
        // What was allocated before a reboot stands.
        if (![...r.containers.values()].some((c) => c.allocated)) allocate(r);
      }
    }
    if (r.terminating || r.finished) return this.#syncTerminating();
    this.#resize();
    this.publish();
    if (!(await this.#mount())) return;
    for (const action of planPod(r, this.backOffs, this.deps.clock.nowMs())) {
      if (r.terminating) break;
      await this.#apply(action);
    }
    if (!r.finished) this.publish();
    if (r.terminating || isOver(r)) this.#dirty = true;
    if (this.deps.clock.nowMs() - this.#refreshed > REFRESH_MS) this.#volumesChanged();
    this.wakeAt(this.deps.clock.nowMs() + REFRESH_MS);
  }

  /** Allocates what a newer spec asks for, if the node has room (KEP-1287). */
  #resize(): void {
    const r = this.record;
    if (!wantsResize(r)) {
      r.resize.pending = undefined;
    } else {
      const refused = this.deps.judgeResize(this);
      if (refused) {
        if (r.resize.pending?.message !== refused.message)
          this.event("Warning", `Resize${refused.reason}`, `Pod resize ${refused.reason}: ${this.#resizeText()}: ${refused.message}`);
        r.resize.pending = refused;
        if (refused.reason === "Deferred") this.wakeAt(this.deps.clock.nowMs() + RESIZE_RETRY_MS);
        return;
      }
      r.resize.pending = undefined;
      allocate(r);
      r.resize.inProgress = { error: "" };
      this.event("Normal", "ResizeStarted", `Pod resize started: ${this.#resizeText()}`);
    }
    const waiting = [...r.containers.values()].some((c) => c.running && c.actual && changedResources(c.actual, c.allocated).length > 0);
    if (r.resize.inProgress && !waiting && !r.resize.inProgress.error) {
      r.resize.inProgress = undefined;
      this.event("Normal", "ResizeCompleted", `Pod resize completed: ${this.#resizeText()}`);
    }
  }

  #resizeText(): string {
    const containers = resizable(this.record.pod).map((c) => ({ name: c.name, resources: c.resources ?? {} }));
    const { generation } = this.record.pod.metadata!;
    return JSON.stringify({ containers, ...(generation === undefined ? {} : { generation }) });
  }

  #applyResize(c: ContainerRecord): void {
    const error = limitBelowUsage(c) ?? "";
    if (error !== "") {
      this.record.resize.inProgress = { error };
      this.wakeAt(this.deps.clock.nowMs() + RESIZE_ERROR_RETRY_MS);
      return;
    }
    const limit = (c.allocated?.limits as Record<string, string> | undefined)?.["memory"];
    if (c.container) c.container.memory.limitBytes = limit === undefined ? undefined : amountOf("memory", limit);
    c.actual = c.allocated;
    this.record.resize.inProgress = { error: "" };
    this.#dirty = true;
  }

  #reject({ reason, message }: Rejection): void {
    this.event("Warning", reason, message);
    this.record.failed = { reason, message: `Pod was rejected: ${message}`, rejected: true };
    this.record.finished = true;
  }

  async #apply(a: Action): Promise<void> {
    switch (a.kind) {
      case "createSandbox":
        return this.#createSandbox();
      case "start":
        if (a.restart && a.record.terminated)
          this.backOffs.set(
            a.record.name,
            nextBackOff(this.backOffs.get(a.record.name), a.record.terminated.finishedMs, this.deps.clock.nowMs()),
          );
        return this.runner.start(a.spec, a.record);
      case "wait":
        if (a.record.waiting.message !== a.message || a.record.waiting.reason !== a.reason)
          a.record.waiting = { reason: a.reason, message: a.message };
        if (a.event)
          this.event("Warning", "BackOff", `Back-off restarting failed container ${a.record.name} in pod ${podText(this.record.pod)}`, {
            name: a.record.name,
          } as ContainerSpec);
        if (a.untilMs !== undefined) this.wakeAt(Math.min(a.untilMs, this.deps.clock.nowMs() + 10_000));
        return;
      case "kill":
        void this.runner.kill(a.spec, a.record, a.message, Number(this.record.pod.spec!.terminationGracePeriodSeconds ?? 30));
        return;
      case "resize":
        this.#applyResize(a.record);
        return;
      case "finish":
        await this.#finish();
        return;
    }
  }

  async #createSandbox(): Promise<void> {
    const r = this.record;
    try {
      if ([...r.containers.values()].some((c) => c.last || c.terminated))
        this.event("Normal", "SandboxChanged", "Pod sandbox changed, it will be killed and re-created.");
      const made = await this.deps.createSandbox(r.pod);
      r.sandbox = made.sandbox;
      this.etc = made.etc;
      this.publish();
      this.#dirty = true;
    } catch (e) {
      if (e instanceof CniError && e.code === TRY_AGAIN && e.cause === undefined)
        this.event(
          "Warning",
          "NetworkNotReady",
          `network is not ready: container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady message:Network plugin returns error: ${e.message}`,
        );
      else this.event("Warning", "FailedCreatePodSandBox", `Failed to create pod sandbox: ${reasonOf(e)}`);
      this.wakeAt(this.deps.clock.nowMs() + RETRY_MS);
    }
  }

  async #mount(): Promise<boolean> {
    try {
      await this.volumes.mountAll(this.record.pod);
      this.#mountRetryMs = MOUNT_RETRY_FIRST_MS;
      return true;
    } catch (e) {
      if (e instanceof VolumePending) {
        this.wakeAt(this.deps.clock.nowMs() + this.#attachLookMs);
        this.#attachLookMs = Math.min(this.#attachLookMs * 1.5, ATTACH_LOOK_MAX_MS);
        return false;
      }
      this.event("Warning", "FailedMount", e instanceof Error ? e.message : String(e));
      this.wakeAt(this.deps.clock.nowMs() + this.#mountRetryMs);
      this.#mountRetryMs = Math.min(this.#mountRetryMs * 2, MOUNT_RETRY_MAX_MS);
      return false;
    }
  }

  #volumesChanged(): void {
    this.#refreshed = this.deps.clock.nowMs();
    void this.volumes
      .refresh(this.record.pod)
      .catch((e) => this.deps.log.warn({ reason: reasonOf(e), pod: podText(this.record.pod) }, "volumes could not be refreshed"));
    // A mount that failed may work now.
    if (this.#mountRetryMs !== MOUNT_RETRY_FIRST_MS) this.wake();
  }

  #checkDeadline(): void {
    const { pod, terminating, finished } = this.record;
    const deadline = pod.spec!.activeDeadlineSeconds;
    if (deadline === undefined || deadline === null || terminating || finished) return;
    const endMs = this.record.startMs + Number(deadline) * 1000;
    if (this.deps.clock.nowMs() >= endMs) {
      const message = "Pod was active on the node longer than the specified deadline";
      this.event("Normal", "DeadlineExceeded", message);
      this.terminate(Number(pod.spec!.terminationGracePeriodSeconds ?? 30), "DeadlineExceeded", message);
    } else this.wakeAt(endMs);
  }

  /** All containers are done: sidecars end in reverse order, then the sandbox goes. */
  async #finish(): Promise<void> {
    await this.#stopAll(Number(this.record.pod.spec!.terminationGracePeriodSeconds ?? 30));
    await this.#releaseSandbox();
    this.record.finished = true;
    this.publish();
  }

  async #syncTerminating(): Promise<void> {
    const r = this.record;
    if (!this.#terminated) {
      if (r.terminating && !r.finished) {
        this.publish();
        await this.#stopAll(r.terminating.graceSeconds);
      }
      await this.#releaseSandbox();
      this.#terminated = true;
      if (!r.finished || r.failed) {
        r.finished = true;
        this.publish();
      }
    }
    if (!r.pod.metadata!.deletionTimestamp) return;
    this.#gone = true;
    this.deps.statuses.remove(r.pod);
    this.dispose();
  }

  /** A static pod's manifest is gone: the pod ends in its own time, and nothing of it is told. */
  async retire(): Promise<void> {
    if (this.#gone) return;
    this.#gone = true;
    await this.#stopAll(Number(this.record.pod.spec!.terminationGracePeriodSeconds ?? 30));
    await this.#releaseSandbox();
    this.deps.statuses.forget(this.record.uid);
    this.dispose();
  }

  /** The object is gone from the API without waiting for us (forced deletion, or the node's pods were taken away). */
  async vanish(): Promise<void> {
    if (this.#gone) return;
    this.#gone = true;
    this.runner.shortenGrace(0);
    await this.#stopAll(0);
    await this.#releaseSandbox();
    this.deps.statuses.forget(this.record.uid);
    this.dispose();
  }

  /** The node goes down: nothing of the pod is told to the API any more. */
  abandon(): void {
    this.#gone = true;
    this.#timer?.cancel();
    this.runner.close();
    this.record.sandbox?.sandbox.stop();
  }

  dispose(): void {
    this.#timer?.cancel();
    this.runner.close();
    this.volumes.release(this.record.uid);
    this.deps.checkpoints.remove(this.record.uid);
    this.deps.onGone(this.record.uid);
  }

  /** All at once; sidecars get their signal when the containers that they serve are over, the last one first (termination_order.go). */
  async #stopAll(graceSeconds: number): Promise<void> {
    const { init, main, ephemeral } = specsOf(this.record.pod);
    const stop = async (spec: ContainerSpec, turn?: Promise<unknown>) => {
      const c = this.record.containers.get(spec.name!);
      if (c?.running) await this.runner.kill(spec, c, `Stopping container ${spec.name}`, graceSeconds, turn);
    };
    let before: Promise<unknown> = Promise.all([...main, ...ephemeral, ...init.filter((s) => !isSidecar(s))].map((s) => stop(s)));
    for (const s of init.filter(isSidecar).reverse()) before = Promise.all([before, stop(s, before)]);
    await before;
  }

  async #releaseSandbox(): Promise<void> {
    const s = this.record.sandbox;
    if (s) {
      this.record.sandbox = undefined;
      s.sandbox.stop();
      await s.release();
      this.runner.close();
    }
    await this.volumes.unmount(this.record.uid);
  }
}
