// Starts and stops the containers of one pod: image, environment, mounts, hooks, probes, logs, exit reasons.
// Invariant: every started container has exactly one exit recorded; probes of a container end before it is stopped.
import type { Container as ContainerSpec } from "@podwire/api";
import { PodwireError, reasonOf } from "@podwire/base";
import { type Container, type ExitStatus, type FileInode, StartError } from "@podwire/runtime";
import { containerOptions, textFile } from "./container-options.ts";
import { ContainerConfigError, environment } from "./environment.ts";
import { runHook } from "./hooks.ts";
import type { LogFile } from "./log-file.ts";
import { shouldRestart } from "./plan.ts";
import { type ContainerRecord, isSidecar, NO_WAIT, type Termination } from "./pod-record.ts";
import type { PodWorker } from "./pod-worker.ts";
import type { ProbeTarget } from "./probes/probe.ts";
import { type ProbeCount, Prober } from "./probes/prober.ts";

const START_ERROR_EXIT_CODE = 128;
const MAX_TERMINATION_MESSAGE_BYTES = 4096;
const FALLBACK_LOG_BYTES = 2048;
const FALLBACK_LOG_LINES = 80;
/** The least a container gets between its stop signal and its end (minimumGracePeriodInSeconds). */
const MIN_GRACE_SECONDS = 2;

class RunAsRootError extends PodwireError {}

export class ContainerRunner {
  readonly #w: PodWorker;
  readonly #probers = new Map<string, Prober>();
  readonly #logs = new Map<string, LogFile>();
  readonly #graceTimers = new Map<string, (seconds: number) => void>();

  constructor(worker: PodWorker) {
    this.#w = worker;
  }

  async start(asked: ContainerSpec, c: ContainerRecord): Promise<void> {
    const w = this.#w;
    const spec = c.allocated ? { ...asked, resources: c.allocated } : asked;
    const { deps, record } = w;
    const pod = record.pod;
    const sandbox = record.sandbox;
    if (!sandbox) return;
    const fieldPath = w.fieldPath(spec);
    const pulled = await deps.images.ensure(pod, spec, fieldPath);
    if (!("image" in pulled)) {
      c.waiting = { reason: pulled.reason, message: pulled.message };
      w.wakeAt(deps.clock.nowMs() + pulled.retryMs);
      return;
    }
    let container: Container;
    let target: Container["pids"];
    const terminationLog = textFile(() => deps.clock.nowMs(), "", 0o666);
    try {
      const env = await environment(pod, spec, {
        ...deps.environment(pod, sandbox),
        onInvalid: (kind, name, keys) =>
          w.event(
            "Warning",
            "InvalidEnvironmentVariableNames",
            `Keys [${keys.join(", ")}] from the EnvFrom ${kind === "ConfigMap" ? "configMap" : "secret"} ${pod.metadata!.namespace}/${name} were skipped since they are considered invalid environment variable names.`,
          ),
      });
      this.#checkNonRoot(spec, pulled.image.user);
      target = this.#targetOf(spec);
      container = sandbox.sandbox.createContainer(
        containerOptions({ pod, spec, image: pulled.image, env, volumes: w.volumes, etc: w.etc, terminationLog, diskPool: deps.diskPool }),
      );
    } catch (e) {
      if (!(e instanceof ContainerConfigError || e instanceof RunAsRootError)) throw e;
      c.waiting = { reason: "CreateContainerConfigError", message: reasonOf(e) };
      w.event("Warning", "Failed", `Error: ${reasonOf(e)}`, spec);
      w.wakeAt(deps.clock.nowMs() + 10_000);
      return;
    }
    if (record.terminating || record.sandbox !== sandbox) return;
    if (c.terminated || c.last) {
      c.last = c.terminated ?? c.last;
      c.restartCount++;
    }
    c.terminated = undefined;
    c.waiting = NO_WAIT;
    c.killReason = "";
    c.stopping = false;
    c.image = spec.image ?? "";
    c.imageId = pulled.image.digest;
    c.containerId = `podwire://${Buffer.from(deps.random.bytes(32)).toString("hex")}`;
    c.started = !spec.startupProbe && !spec.readinessProbe ? true : !spec.startupProbe;
    c.ready = !spec.readinessProbe;
    c.ranHere = true;
    c.actual = spec.resources ?? {};
    w.event("Normal", "Created", `Created container: ${spec.name}`, spec);
    const log = deps.logs.open(pod, spec.name!, c.restartCount);
    this.#logs.set(spec.name!, log);
    container.onOutput((stream, bytes) => log.write(stream, bytes));
    try {
      container.start(target);
    } catch (e) {
      if (!(e instanceof StartError)) throw e;
      const now = deps.clock.nowMs();
      deps.tallies.startErrors++;
      w.event("Warning", "Failed", `Error: ${e.message}`, spec);
      c.terminated = {
        // As containerd has it, whatever the reason (errorStartExitCode).
        exitCode: START_ERROR_EXIT_CODE,
        signal: 0,
        reason: "StartError",
        message: e.message,
        startedMs: 0,
        finishedMs: now,
        containerId: c.containerId,
      };
      const policy = isSidecar(spec) ? "Always" : c.kind === "ephemeral" ? "Never" : (pod.spec!.restartPolicy ?? "Always");
      if (shouldRestart(policy, START_ERROR_EXIT_CODE)) c.waiting = { reason: "RunContainerError", message: e.message };
      sandbox.sandbox.containers.delete(container);
      log.close();
      w.wake();
      return;
    }
    deps.tallies.started++;
    c.container = container;
    c.running = { startedMs: container.startedMs };
    w.event("Normal", "Started", `Started container ${spec.name}`, spec);
    void container.wait().then((status) => this.#exited(spec, c, container, status, terminationLog));
    if (spec.lifecycle?.postStart) await this.#postStart(spec, c, container);
    if (c.container === container && container.running && (c.kind === "main" || isSidecar(spec))) this.#probe(spec, c, container);
    w.publish();
    // What waits for it may go on.
    if (c.kind === "init" && c.started) w.wake();
  }

  /** The processes that an ephemeral container is to see (targetContainerName). */
  #targetOf(spec: ContainerSpec): Container["pids"] {
    const name = (spec as { targetContainerName?: string }).targetContainerName;
    if (!name) return undefined;
    const pids = this.#w.record.containers.get(name)?.container?.pids;
    if (!pids) throw new ContainerConfigError(`unable to find target container ${name}`);
    return pids;
  }

  #target(spec: ContainerSpec, container: Container): ProbeTarget {
    const { deps, record } = this.#w;
    return { spec, container, podIP: record.sandbox?.ip ?? deps.nodeIPs[0]!, stack: deps.nodeStack, clock: deps.clock };
  }

  #checkNonRoot(spec: ContainerSpec, imageUser: string | undefined): void {
    const pod = this.#w.record.pod;
    const own = spec.securityContext ?? {};
    const shared = pod.spec!.securityContext ?? {};
    if (!(own.runAsNonRoot ?? shared.runAsNonRoot)) return;
    const user = own.runAsUser ?? shared.runAsUser;
    const where = `(pod: "${pod.metadata!.name}_${pod.metadata!.namespace}(${pod.metadata!.uid})", container: ${spec.name})`;
    if (user !== undefined && user !== null) {
      if (Number(user) === 0) throw new RunAsRootError(`container's runAsUser breaks non-root policy ${where}`);
    } else if (imageUser === undefined || imageUser === "" || /^(0|root)(:|$)/.test(imageUser))
      throw new RunAsRootError(`container has runAsNonRoot and image will run as root ${where}`);
    else if (!/^\d+/.test(imageUser))
      throw new RunAsRootError(
        `container has runAsNonRoot and image has non-numeric user (${imageUser}), cannot verify user is non-root ${where}`,
      );
  }

  async #postStart(spec: ContainerSpec, c: ContainerRecord, container: Container): Promise<void> {
    const ended = new AbortController();
    void container.wait().then(() => ended.abort());
    try {
      await runHook(spec.lifecycle!.postStart!, this.#target(spec, container), ended.signal);
    } catch (e) {
      this.#w.event("Warning", "FailedPostStartHook", `PostStartHook failed`, spec);
      this.#w.deps.log.info({ reason: reasonOf(e) }, "postStart hook failed");
      await this.kill(spec, c, "FailedPostStartHook", Number(this.#w.record.pod.spec!.terminationGracePeriodSeconds ?? 30));
    }
  }

  #probe(spec: ContainerSpec, c: ContainerRecord, container: Container): void {
    const { deps } = this.#w;
    const w = this.#w;
    const prober = new Prober({
      target: this.#target(spec, container),
      clock: deps.clock,
      random: deps.random,
      report: {
        onStarted: () => {
          if (c.started) return;
          c.started = true;
          w.wake();
        },
        onReady: (ready) => {
          if (c.ready === ready) return;
          c.ready = ready;
          // A pod that ends is synchronized no more; that it is not ready any more is still told.
          if (w.record.terminating) w.publish();
          else w.wake();
        },
        onUnhealthy: (kind) => {
          const again = isSidecar(spec) || (w.record.pod.spec!.restartPolicy ?? "Always") !== "Never" ? ", will be restarted" : "";
          c.killReason = `Container ${spec.name} failed ${kind.toLowerCase()} probe${again}`;
          w.wake();
        },
        onTrouble: (kind, what, output) => {
          if (!container.running) return;
          if (what === "warning") w.event("Warning", "ProbeWarning", `${kind} probe warning: ${output}`, spec);
          else if (what === "failed") w.event("Warning", "Unhealthy", `${kind} probe failed: ${output}`, spec);
          else w.event("Warning", "Unhealthy", `${kind} probe errored and resulted in unknown state: ${output}`, spec);
        },
        get ending() {
          return w.record.terminating !== undefined;
        },
      },
    });
    this.#probers.get(spec.name!)?.stop();
    this.#probers.set(spec.name!, prober);
    prober.start();
  }

  #exited(spec: ContainerSpec, c: ContainerRecord, container: Container, status: ExitStatus, terminationLog: FileInode): void {
    this.#probers.get(spec.name!)?.stop();
    this.#probers.delete(spec.name!);
    const log = this.#logs.get(spec.name!);
    log?.close();
    container.mounts.rootMount.root.fs.release();
    if (c.container !== container) return;
    const exitCode = status.signal > 0 ? 128 + status.signal : status.code;
    const reason = container.oomKilled ? "OOMKilled" : exitCode === 0 ? "Completed" : "Error";
    const t: Termination = {
      exitCode,
      signal: 0,
      reason,
      message: this.#terminationMessage(spec, terminationLog, exitCode, log),
      startedMs: container.startedMs,
      finishedMs: container.finishedMs,
      containerId: c.containerId,
    };
    c.running = undefined;
    c.container = undefined;
    c.terminated = t;
    c.ready = false;
    c.started = false;
    c.stopping = false;
    c.killReason = "";
    this.#graceTimers.delete(spec.name!);
    this.#w.wake();
  }

  #terminationMessage(spec: ContainerSpec, file: FileInode, exitCode: number, log: LogFile | undefined): string {
    const text = Buffer.from(file.view().subarray(0, MAX_TERMINATION_MESSAGE_BYTES)).toString("utf8");
    if (text !== "" || spec.terminationMessagePolicy !== "FallbackToLogsOnError" || exitCode === 0 || !log) return text;
    return this.#w.deps.logs.tail(log.file, FALLBACK_LOG_LINES, FALLBACK_LOG_BYTES);
  }

  /**
   * Runs preStop, waits for its turn, sends the stop signal, waits for what is left of the grace (at least MIN_GRACE_SECONDS), kills;
   * resolves when the container is over.
   */
  async kill(spec: ContainerSpec, c: ContainerRecord, message: string, graceSeconds: number, turn?: Promise<unknown>): Promise<void> {
    const container = c.container;
    if (!container || !c.running) return;
    if (c.stopping) {
      await container.wait();
      return;
    }
    c.stopping = true;
    const { clock } = this.#w.deps;
    const probeGrace = message.includes("failed liveness probe")
      ? spec.livenessProbe?.terminationGracePeriodSeconds
      : message.includes("failed startup probe")
        ? spec.startupProbe?.terminationGracePeriodSeconds
        : undefined;
    const grace = probeGrace !== undefined && probeGrace !== null ? Number(probeGrace) : graceSeconds;
    this.#w.event("Normal", "Killing", message, spec);
    let deadlineMs = clock.nowMs() + grace * 1000;
    const over = new AbortController();
    void container.wait().then(() => over.abort());
    let cutShort: () => void = () => undefined;
    this.#graceTimers.set(spec.name!, (seconds) => {
      deadlineMs = Math.min(deadlineMs, clock.nowMs() + seconds * 1000);
      cutShort();
    });
    /** Until `end()`, which may come nearer, or the container's end, or `other`. */
    const waitFor = async (end: () => number, other?: Promise<unknown>): Promise<void> => {
      let settled = false;
      void other?.then(() => {
        settled = true;
        cutShort();
      });
      while (!settled && container.running && clock.nowMs() < end()) {
        const wait = new AbortController();
        cutShort = () => wait.abort();
        over.signal.addEventListener("abort", cutShort, { once: true });
        await clock.sleep(end() - clock.nowMs(), wait.signal).catch(() => undefined);
        over.signal.removeEventListener("abort", cutShort);
      }
    };
    if (spec.lifecycle?.preStop && grace > 0) {
      const hookOver = new AbortController();
      over.signal.addEventListener("abort", () => hookOver.abort(), { once: true });
      const hook = runHook(spec.lifecycle.preStop, this.#target(spec, container), hookOver.signal).catch((e) => {
        this.#w.event("Warning", "FailedPreStopHook", `PreStopHook failed`, spec);
        this.#w.deps.log.info({ reason: reasonOf(e) }, "preStop hook failed");
      });
      await waitFor(() => deadlineMs, hook);
      hookOver.abort();
    }
    if (turn && grace > 0) await waitFor(() => deadlineMs, turn);
    const stoppedMs = clock.nowMs();
    container.kill(stopSignal(spec, container));
    await waitFor(() => Math.max(deadlineMs, stoppedMs + MIN_GRACE_SECONDS * 1000));
    if (container.running) container.kill(9);
    await container.wait();
  }

  *probes(): Iterable<ProbeCount> {
    for (const p of this.#probers.values()) yield* p.counts;
  }

  shortenGrace(seconds: number): void {
    for (const f of this.#graceTimers.values()) f(seconds);
  }

  close(): void {
    for (const p of this.#probers.values()) p.stop();
    this.#probers.clear();
    for (const l of this.#logs.values()) l.close();
  }
}

function stopSignal(spec: ContainerSpec, container: Container): number {
  const asked = (spec.lifecycle as { stopSignal?: string } | undefined)?.stopSignal ?? container.options.image.stopSignal ?? "SIGTERM";
  const known: Record<string, number> = {
    SIGTERM: 15,
    SIGQUIT: 3,
    SIGINT: 2,
    SIGKILL: 9,
    SIGHUP: 1,
    SIGUSR1: 10,
    SIGUSR2: 12,
    SIGWINCH: 28,
  };
  return known[asked] ?? 15;
}
