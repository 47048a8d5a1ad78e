// What to do next with a pod's containers: a pure plan from the spec and the record (kuberuntime's computePodActions).
// Invariant: init containers run one after the other, in order; a main container never starts before every plain init container
// has completed and every sidecar has started; nothing is started once the pod is terminating or over.
import type { Container as ContainerSpec, Pod } from "@podwire/api";
import { type BackOff, inBackOff } from "./back-off.ts";
import { type ContainerRecord, isSidecar, type PodRecord, podText } from "./pod-record.ts";
import { changedResources, needsRestart } from "./resize.ts";

export type Action =
  | { kind: "createSandbox" }
  | { kind: "start"; spec: ContainerSpec; record: ContainerRecord; restart: boolean }
  | { kind: "wait"; record: ContainerRecord; reason: string; message: string; untilMs?: number; event?: boolean }
  | { kind: "kill"; record: ContainerRecord; spec: ContainerSpec; message: string }
  /** New resources for a running container. */
  | { kind: "resize"; record: ContainerRecord }
  /** Every container is done for good: stop sidecars, release the sandbox. */
  | { kind: "finish" };

export function specsOf(pod: Pod): { init: ContainerSpec[]; main: ContainerSpec[]; ephemeral: ContainerSpec[] } {
  const s = pod.spec!;
  return { init: s.initContainers ?? [], main: s.containers, ephemeral: (s.ephemeralContainers ?? []) as unknown as ContainerSpec[] };
}

export function shouldRestart(policy: string, exitCode: number): boolean {
  return policy === "Always" || (policy === "OnFailure" && exitCode !== 0);
}

export function planPod(r: PodRecord, backOffs: ReadonlyMap<string, BackOff>, nowMs: number): Action[] {
  const pod = r.pod;
  if (r.terminating || r.failed || r.finished) return [];
  const policy = pod.spec!.restartPolicy ?? "Always";
  const { init, main, ephemeral } = specsOf(pod);
  if (isOver(r)) return [{ kind: "finish" }];
  if (!r.sandbox) return [{ kind: "createSandbox" }];
  const actions: Action[] = [];
  const initDone = planInit(r, init, policy, backOffs, nowMs, actions);
  if (initDone) for (const spec of main) planOne(r, spec, "main", policy, backOffs, nowMs, actions);
  for (const spec of ephemeral) planOne(r, spec, "ephemeral", "Never", backOffs, nowMs, actions);
  return actions;
}

function planOne(
  r: PodRecord,
  spec: ContainerSpec,
  _kind: ContainerRecord["kind"],
  policy: string,
  backOffs: ReadonlyMap<string, BackOff>,
  nowMs: number,
  actions: Action[],
): void {
  const c = r.containers.get(spec.name);
  if (c === undefined) return;
  if (c.running) {
    const changed =
      c.killReason === "" && c.image !== spec.image ? `Container ${c.name} definition changed, will be restarted` : c.killReason;
    if (changed !== "" && !c.stopping) actions.push({ kind: "kill", record: c, spec, message: changed });
    else if (!c.stopping && c.actual && c.allocated && changedResources(c.actual, c.allocated).length > 0) {
      if (needsRestart(spec, c)) actions.push({ kind: "kill", record: c, spec, message: `Container ${c.name} resize requires restart` });
      else actions.push({ kind: "resize", record: c });
    }
    return;
  }
  if (c.terminated === undefined) return void actions.push({ kind: "start", spec, record: c, restart: c.last !== undefined });
  if (!shouldRestart(policy, c.terminated.exitCode)) return;
  restart(r, spec, c, backOffs, nowMs, actions);
}

function restart(
  r: PodRecord,
  spec: ContainerSpec,
  c: ContainerRecord,
  backOffs: ReadonlyMap<string, BackOff>,
  nowMs: number,
  actions: Action[],
): void {
  const b = backOffs.get(spec.name);
  const ended = (c.terminated ?? c.last)?.finishedMs ?? 0;
  if (b && inBackOff(b, ended, nowMs)) {
    const seconds = b.delayMs / 1000;
    const text = seconds >= 60 ? `${Math.floor(seconds / 60)}m${seconds % 60}s` : `${seconds}s`;
    actions.push({
      kind: "wait",
      record: c,
      reason: "CrashLoopBackOff",
      message: `back-off ${text} restarting failed container=${spec.name} pod=${podText(r.pod)}`,
      untilMs: ended + b.delayMs,
      event: true,
    });
    return;
  }
  actions.push({ kind: "start", spec, record: c, restart: true });
}

/** Plans the init containers; true when the main ones may start. */
function planInit(
  r: PodRecord,
  init: ContainerSpec[],
  podPolicy: string,
  backOffs: ReadonlyMap<string, BackOff>,
  nowMs: number,
  actions: Action[],
): boolean {
  // Once a main container has run, plain init containers are history; sidecars still restart.
  const begun = specsOf(r.pod).main.some((s) => {
    const c = r.containers.get(s.name);
    return c?.ranHere === true;
  });
  const policy = podPolicy === "Always" ? "OnFailure" : podPolicy;
  for (const spec of init) {
    const c = r.containers.get(spec.name);
    if (c === undefined) return false;
    if (isSidecar(spec)) {
      planOne(r, spec, "init", "Always", backOffs, nowMs, actions);
      if (!begun && !(c.running && c.started)) return false;
      continue;
    }
    if (begun) continue;
    if (c.running) {
      if (c.killReason !== "" && !c.stopping) actions.push({ kind: "kill", record: c, spec, message: c.killReason });
      return false;
    }
    if (c.terminated?.exitCode === 0) continue;
    if (c.terminated === undefined) actions.push({ kind: "start", spec, record: c, restart: c.last !== undefined });
    else if (shouldRestart(policy, c.terminated.exitCode)) restart(r, spec, c, backOffs, nowMs, actions);
    return false;
  }
  return true;
}

/** Nothing of the pod will ever run again: all main containers ended for good, or an init container failed for good. */
export function isOver(r: PodRecord): boolean {
  const policy = r.pod.spec!.restartPolicy ?? "Always";
  const { init, main } = specsOf(r.pod);
  const over = (s: ContainerSpec, p: string) => {
    const c = r.containers.get(s.name);
    return c?.terminated !== undefined && !c.running && !shouldRestart(p, c.terminated.exitCode);
  };
  if (policy === "Never")
    for (const s of init) {
      const c = r.containers.get(s.name);
      if (!isSidecar(s) && c?.terminated !== undefined && c.terminated.exitCode !== 0) return true;
    }
  return policy !== "Always" && main.every((s) => over(s, policy));
}
