// What the kubelet knows of a pod that runs here, beyond its object: the sandbox and what became of each container.
// Invariant: a record is changed only by its pod's worker; everything else reads it.
import type { Container as ContainerSpec, Pod, PodCondition, ResourceRequirements } from "@podwire/api";
import type { Container, PodSandbox } from "@podwire/runtime";

export interface Termination {
  exitCode: number;
  signal: number;
  /** Completed, Error, OOMKilled, ContainerCannotRun, StartError, Unknown. */
  reason: string;
  message: string;
  startedMs: number;
  finishedMs: number;
  containerId: string;
}

export interface Waiting {
  reason: string;
  message: string;
}

export interface ContainerRecord {
  name: string;
  kind: "init" | "main" | "ephemeral";
  /** The runtime's, while there is one (running or stopped). */
  container: Container | undefined;
  containerId: string;
  image: string;
  imageId: string;
  restartCount: number;
  /** Undefined: never started, or waiting to be started again (then `last` is set). */
  running: { startedMs: number } | undefined;
  terminated: Termination | undefined;
  /** The end before this one. */
  last: Termination | undefined;
  waiting: Waiting;
  /** Startup probe passed (or there is none). */
  started: boolean;
  /** Readiness as the probes see it. */
  ready: boolean;
  /** A probe or a change of the pod wants it killed: the event's message. */
  killReason: string;
  /** Being stopped for `killReason`. */
  stopping: boolean;
  /** What the node has set aside for it: its spec's, until a resize waits. */
  allocated: ResourceRequirements | undefined;
  /** What the running container has got. */
  actual: ResourceRequirements | undefined;
  /** It was started since the sandbox was made: false again after a reboot. */
  ranHere: boolean;
}

export interface SandboxRecord {
  sandbox: PodSandbox;
  ip: string;
  ips: readonly string[];
  /** "podwire://<hex>" is the container's; this is the sandbox's id. */
  id: string;
  release: () => Promise<void>;
}

export interface PodRecord {
  uid: string;
  pod: Pod;
  /** The conditions as computed last: the object that a watch hands over may be older. */
  conditions: readonly PodCondition[];
  sandbox: SandboxRecord | undefined;
  containers: Map<string, ContainerRecord>;
  /** Set when the pod shall end: deletion, eviction, deadline. */
  terminating: { graceSeconds: number; reason: string; message: string } | undefined;
  /** Every container is stopped for good and the sandbox is gone. */
  finished: boolean;
  startMs: number;
  /** Set by admission or eviction: overrides phase, reason, message. */
  failed: { reason: string; message: string; rejected?: boolean; disrupted?: boolean } | undefined;
  /** A resize that is asked for and not done. */
  resize: ResizeState;
  /** It may run here and its resources are taken. */
  admitted: boolean;
}

export interface ResizeState {
  /** Why it is not allocated (yet). */
  pending: { reason: "Deferred" | "Infeasible"; message: string } | undefined;
  /** Allocated, not yet in effect everywhere; an error says what stands in the way. */
  inProgress: { error: string } | undefined;
}

export const NO_WAIT: Waiting = { reason: "", message: "" };

export function newContainerRecord(spec: Pick<ContainerSpec, "name" | "image">, kind: ContainerRecord["kind"]): ContainerRecord {
  return {
    name: spec.name,
    kind,
    container: undefined,
    containerId: "",
    image: spec.image ?? "",
    imageId: "",
    restartCount: 0,
    running: undefined,
    terminated: undefined,
    last: undefined,
    waiting: NO_WAIT,
    started: false,
    ready: false,
    killReason: "",
    stopping: false,
    allocated: undefined,
    actual: undefined,
    ranHere: false,
  };
}

/** An init container that keeps running beside the others (KEP-753). */
export function isSidecar(spec: ContainerSpec): boolean {
  return spec.restartPolicy === "Always";
}

/** "web-abc_default(uid)", as the kubelet's messages name a pod. */
export function podText(pod: Pod): string {
  return `${pod.metadata!.name}_${pod.metadata!.namespace}(${pod.metadata!.uid})`;
}
