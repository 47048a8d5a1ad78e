// A pod's status from its spec and record, pure: phase, conditions and container statuses in the kubelet's own words
// (kubelet_pods.go generateAPIPodStatus, status/generate.go).
// Invariant: a condition's lastTransitionTime changes exactly when its status does; conditions of others are kept.
import {
  type Container as ContainerSpec,
  type ContainerState,
  type ContainerStatus,
  type Pod,
  type PodCondition,
  type PodStatus,
  podQosClass,
  type VolumeMount,
  type VolumeMountStatus,
} from "@podwire/api";
import { time } from "@podwire/client";
import { specsOf } from "./plan.ts";
import { type ContainerRecord, isSidecar, type PodRecord, type Termination } from "./pod-record.ts";

export interface NodeFacts {
  /** The node's addresses, the primary one first. */
  hostIPs: readonly string[];
}

/** Conditions that this kubelet owns. */
const OWNED = new Set(["PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodResizePending", "PodResizeInProgress"]);

/** Whether a newer version of a pod differs in nothing but what this kubelet writes into its status: there is nothing to do about it. */
export function isOwnEcho(old: Pod, next: Pod): boolean {
  const was = old.metadata!;
  const is = next.metadata!;
  if (was.resourceVersion === is.resourceVersion || is.generation === undefined || was.generation !== is.generation) return false;
  return othersPart(old) === othersPart(next);
}

function othersPart({ metadata, status }: Pod): string {
  const { resourceVersion: _version, managedFields: _managers, ...rest } = metadata!;
  return JSON.stringify([
    rest,
    (status?.conditions ?? []).filter((c) => !OWNED.has(c.type!)),
    status?.nominatedNodeName,
    status?.resourceClaimStatuses,
  ]);
}

export function podStatus(r: PodRecord, node: NodeFacts, nowMs: number): PodStatus {
  const pod = r.pod;
  const { init, main, ephemeral } = specsOf(pod);
  const old = pod.status ?? {};
  if (r.failed?.rejected)
    return {
      phase: "Failed",
      reason: r.failed.reason,
      message: r.failed.message,
      qosClass: old.qosClass ?? podQosClass(pod),
      startTime: old.startTime ?? time(r.startMs),
      ...(pod.metadata!.generation === undefined ? {} : { observedGeneration: pod.metadata!.generation }),
    };
  const statuses = (specs: ContainerSpec[], kind: ContainerRecord["kind"]) => specs.map((s) => containerStatus(r, s, kind));
  const initStatuses = statuses(init, "init");
  const mainStatuses = statuses(main, "main");
  const phase = r.failed ? "Failed" : phaseOf(pod, initStatuses, mainStatuses, r);
  const status: PodStatus = {
    phase,
    conditions: [],
    hostIP: node.hostIPs[0]!,
    hostIPs: node.hostIPs.map((ip) => ({ ip })),
    startTime: old.startTime ?? time(r.startMs),
    qosClass: old.qosClass ?? podQosClass(pod),
    containerStatuses: mainStatuses,
  };
  if (pod.metadata!.generation !== undefined) status.observedGeneration = pod.metadata!.generation;
  if (initStatuses.length > 0) status.initContainerStatuses = initStatuses;
  if (ephemeral.length > 0) status.ephemeralContainerStatuses = statuses(ephemeral, "ephemeral");
  if (r.failed) {
    if (r.failed.reason !== "") status.reason = r.failed.reason;
    if (r.failed.message !== "") status.message = r.failed.message;
  }
  const ip = r.sandbox?.ip ?? old.podIP;
  if (ip) {
    status.podIP = ip;
    status.podIPs = (r.sandbox?.ips ?? old.podIPs?.map((x) => x.ip!) ?? [ip]).map((x) => ({ ip: x }));
  }
  status.conditions = conditions(r, phase, initStatuses, mainStatuses, nowMs);
  return status;
}

/** All termination messages of a pod together (MaxPodTerminationMessageLogLength). */
const MAX_MESSAGES_BYTES = 12 * 1024;

function messageBytes(pod: Pod): number {
  const { init, main, ephemeral } = specsOf(pod);
  return Math.trunc(MAX_MESSAGES_BYTES / Math.max(1, init.length + main.length + ephemeral.length));
}

function containerStatus(r: PodRecord, spec: ContainerSpec, kind: ContainerRecord["kind"]): ContainerStatus {
  const c = r.containers.get(spec.name);
  if (c === undefined) {
    const reason = (r.pod.spec!.initContainers?.length ?? 0) > 0 && kind === "main" ? "PodInitializing" : "ContainerCreating";
    return {
      name: spec.name,
      state: { waiting: { reason } },
      lastState: {},
      ready: false,
      restartCount: 0,
      image: spec.image!,
      imageID: "",
      started: false,
    };
  }
  const out: ContainerStatus = {
    name: c.name,
    state: stateOf(r, c, kind),
    lastState:
      c.terminated && c.waiting.reason !== ""
        ? { terminated: terminated(c.terminated, messageBytes(r.pod)) }
        : c.last
          ? { terminated: terminated(c.last, messageBytes(r.pod)) }
          : {},
    ready: false,
    restartCount: c.restartCount,
    image: c.image,
    imageID: c.imageId,
  };
  if (c.containerId !== "") out.containerID = c.containerId;
  const sidecarOrMain = kind === "main" || (kind === "init" && isSidecar(spec));
  if (kind !== "ephemeral") out.started = c.running !== undefined && c.started;
  out.ready = sidecarOrMain ? c.running !== undefined && c.started && c.ready : kind === "init" ? c.terminated?.exitCode === 0 : false;
  if (c.containerId !== "" && (spec.volumeMounts?.length ?? 0) > 0) out.volumeMounts = spec.volumeMounts!.map(mountStatus);
  if (kind === "main" || (kind === "init" && isSidecar(spec))) {
    const allocated = c.allocated ?? spec.resources ?? {};
    if (allocated.requests) out.allocatedResources = allocated.requests as Record<string, string>;
    out.resources = c.running && c.actual ? c.actual : allocated;
  }
  const { container } = c;
  if (container && c.running) {
    const { uid, gid, groups } = container.init?.identity ?? { uid: 0, gid: 0, groups: [] };
    out.user = { linux: { uid, gid, supplementalGroups: [...new Set([gid, ...groups])] } };
    const { stopSignal } = spec.lifecycle ?? {};
    if (stopSignal) out.stopSignal = stopSignal;
  }
  return out;
}

/** KEP-3857: what became of recursiveReadOnly; mounts of this runtime are read-only all the way down. */
function mountStatus(m: VolumeMount): VolumeMountStatus {
  const readOnly = m.readOnly
    ? { readOnly: true, recursiveReadOnly: ["Enabled", "IfPossible"].includes(m.recursiveReadOnly ?? "") ? "Enabled" : "Disabled" }
    : {};
  return { name: m.name, mountPath: m.mountPath, ...readOnly };
}

function stateOf(r: PodRecord, c: ContainerRecord, kind: ContainerRecord["kind"]): ContainerState {
  if (c.running) return { running: { startedAt: time(c.running.startedMs) } };
  if (c.terminated && c.waiting.reason === "") return { terminated: terminated(c.terminated, messageBytes(r.pod)) };
  if (c.waiting.reason !== "")
    return { waiting: { reason: c.waiting.reason, ...(c.waiting.message ? { message: c.waiting.message } : {}) } };
  return {
    waiting: { reason: (r.pod.spec!.initContainers?.length ?? 0) > 0 && kind !== "ephemeral" ? "PodInitializing" : "ContainerCreating" },
  };
}

function terminated(t: Termination, maxBytes: number): NonNullable<ContainerState["terminated"]> {
  const bytes = Buffer.from(t.message);
  const message = bytes.length > maxBytes ? bytes.subarray(0, maxBytes).toString("utf8") : t.message;
  return {
    exitCode: t.exitCode,
    ...(t.signal ? { signal: t.signal } : {}),
    reason: t.reason,
    ...(message ? { message } : {}),
    startedAt: time(t.startedMs),
    finishedAt: time(t.finishedMs),
    containerID: t.containerId,
  };
}

/** getPhase of the kubelet. */
export function phaseOf(pod: Pod, init: ContainerStatus[], main: ContainerStatus[], r?: PodRecord): string {
  const policy = pod.spec!.restartPolicy ?? "Always";
  const specs = new Map((pod.spec!.initContainers ?? []).map((s) => [s.name, s]));
  let pendingInit = 0;
  let failedInit = 0;
  for (const s of init) {
    const sidecar = isSidecar(specs.get(s.name) as ContainerSpec);
    if (sidecar) {
      if (s.state?.running ? !s.started : !s.state?.terminated && !s.lastState?.terminated) pendingInit++;
      continue;
    }
    if (s.state?.running) pendingInit++;
    else if (s.state?.terminated) {
      if (s.state.terminated.exitCode !== 0) failedInit++;
    } else if (s.lastState?.terminated) {
      if (s.lastState.terminated.exitCode !== 0) failedInit++;
    } else pendingInit++;
  }
  let waiting = 0;
  let running = 0;
  let stopped = 0;
  let succeeded = 0;
  for (const s of main) {
    if (s.state?.running) running++;
    else if (s.state?.terminated) {
      stopped++;
      if (s.state.terminated.exitCode === 0) succeeded++;
    } else if (s.lastState?.terminated) stopped++;
    else waiting++;
  }
  if (failedInit > 0 && policy === "Never") return "Failed";
  const begun = r !== undefined && main.some((s) => s.state?.running || s.state?.terminated || s.lastState?.terminated);
  if ((pendingInit > 0 || failedInit > 0) && !begun) return "Pending";
  if (waiting > 0) return "Pending";
  if (running > 0) return "Running";
  if (stopped > 0) {
    if (policy === "Always") return "Running";
    if (stopped === succeeded) return "Succeeded";
    return policy === "Never" ? "Failed" : "Running";
  }
  return "Pending";
}

function conditions(r: PodRecord, phase: string, init: ContainerStatus[], main: ContainerStatus[], nowMs: number): PodCondition[] {
  const pod = r.pod;
  const over = phase === "Succeeded" || phase === "Failed";
  const sidecars = new Set((pod.spec!.initContainers ?? []).filter(isSidecar).map((s) => s.name));
  const made: PodCondition[] = [
    { type: "PodReadyToStartContainers", status: r.sandbox !== undefined && !r.finished ? "True" : "False" },
    initialized(pod, phase, init, main, sidecars),
  ];
  const containersReady = over
    ? { type: "ContainersReady", status: "False", reason: phase === "Succeeded" ? "PodCompleted" : "PodFailed" }
    : readyOf([...init.filter((s) => sidecars.has(s.name)), ...main]);
  const ready: PodCondition = { ...containersReady, type: "Ready" };
  const gates = (pod.spec!.readinessGates ?? [])
    .map((g) => g.conditionType!)
    .filter((t) => !pod.status?.conditions?.some((c) => c.type === t && c.status === "True"));
  if (ready.status === "True" && gates.length > 0) {
    ready.status = "False";
    ready.reason = "ReadinessGatesNotReady";
    ready.message = gates
      .map((g) =>
        pod.status?.conditions?.some((c) => c.type === g)
          ? `the status of pod readiness gate "${g}" is not "True", but False`
          : `corresponding condition of pod readiness gate "${g}" does not exist.`,
      )
      .join(", ");
  }
  made.push(ready, containersReady);
  const { pending, inProgress } = r.resize;
  if (pending) made.push({ type: "PodResizePending", status: "True", reason: pending.reason, message: pending.message });
  if (inProgress)
    made.push({ type: "PodResizeInProgress", status: "True", ...(inProgress.error ? { reason: "Error", message: inProgress.error } : {}) });
  if (r.failed?.disrupted)
    made.push({ type: "DisruptionTarget", status: "True", reason: "TerminationByKubelet", message: r.failed.message });
  const old = pod.status?.conditions ?? [];
  const others = old.filter((c) => !OWNED.has(c.type!) && !made.some((m) => m.type === c.type));
  if (!others.some((c) => c.type === "PodScheduled"))
    others.push({ type: "PodScheduled", status: "True", lastProbeTime: null as never, lastTransitionTime: time(nowMs) });
  const generation = pod.metadata!.generation;
  const known = r.conditions.length > 0 ? r.conditions : old;
  return [
    ...made.map((c): PodCondition => {
      const before = known.find((o) => o.type === c.type);
      return {
        type: c.type!,
        ...(generation !== undefined ? { observedGeneration: generation } : {}),
        status: c.status!,
        lastProbeTime: null as never,
        lastTransitionTime: before && before.status === c.status && before.lastTransitionTime ? before.lastTransitionTime : time(nowMs),
        ...(c.reason ? { reason: c.reason } : {}),
        ...(c.message ? { message: c.message } : {}),
      };
    }),
    ...others,
  ];
}

function initialized(
  pod: Pod,
  phase: string,
  init: ContainerStatus[],
  main: ContainerStatus[],
  sidecars: ReadonlySet<string>,
): PodCondition {
  if (phase === "Succeeded") return { type: "Initialized", status: "True", reason: "PodCompleted" };
  const begun = main.some((s) => s.state?.running || s.state?.terminated || s.lastState?.terminated);
  const incomplete =
    begun && (pod.spec!.initContainers?.length ?? 0) > 0
      ? []
      : init.filter((s) => (sidecars.has(s.name) ? !s.started : !s.ready)).map((s) => s.name);
  if (incomplete.length === 0) return { type: "Initialized", status: "True" };
  return {
    type: "Initialized",
    status: "False",
    reason: "ContainersNotInitialized",
    message: `containers with incomplete status: [${incomplete.join(" ")}]`,
  };
}

function readyOf(statuses: ContainerStatus[]): PodCondition {
  const unready = statuses.filter((s) => !s.ready).map((s) => s.name);
  if (unready.length === 0) return { type: "ContainersReady", status: "True" };
  return {
    type: "ContainersReady",
    status: "False",
    reason: "ContainersNotReady",
    message: `containers with unready status: [${unready.join(" ")}]`,
  };
}
