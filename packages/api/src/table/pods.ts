// The row of a Pod: what STATUS, READY and RESTARTS say is decided here (printPod of Kubernetes 1.34).
import { age, type Cell, NONE, type Obj, type PrintContext, since } from "./cells.ts";

const sidecar = (c: Obj): boolean => c?.restartPolicy === "Always";
const later = (a: string, b: string | null | undefined): string => (b && b > a ? b : a);
const exit = (t: Obj): string => t.reason || (t.signal ? `Signal:${t.signal}` : `ExitCode:${t.exitCode ?? 0}`);

interface Summary {
  reason: string;
  restarts: number;
  lastRestart: string;
  ready: number;
  total: number;
}

/** Walks init containers in order until one is not done. */
function initState(pod: Obj, s: Summary): { initializing: boolean; sidecarRestarts: number; sidecarLastRestart: string } {
  const inits: Obj[] = pod.spec?.initContainers ?? [];
  const byName = new Map(inits.map((c) => [c.name, c]));
  let sidecarRestarts = 0;
  let sidecarLastRestart = "";
  for (const [i, st] of (pod.status?.initContainerStatuses ?? []).entries()) {
    const spec = byName.get(st.name);
    const ended = st.lastState?.terminated;
    s.restarts += st.restartCount ?? 0;
    if (ended) s.lastRestart = later(s.lastRestart, ended.finishedAt);
    if (sidecar(spec)) {
      sidecarRestarts += st.restartCount ?? 0;
      if (ended) sidecarLastRestart = later(sidecarLastRestart, ended.finishedAt);
    }
    const terminated = st.state?.terminated;
    if (terminated && (terminated.exitCode ?? 0) === 0) continue;
    if (sidecar(spec) && st.started === true) {
      if (st.ready) s.ready++;
      continue;
    }
    const waiting = st.state?.waiting?.reason;
    if (terminated) s.reason = `Init:${exit(terminated)}`;
    else if (waiting && waiting !== "PodInitializing") s.reason = `Init:${waiting}`;
    else s.reason = `Init:${i}/${inits.length}`;
    return { initializing: true, sidecarRestarts, sidecarLastRestart };
  }
  return { initializing: false, sidecarRestarts, sidecarLastRestart };
}

function containerState(pod: Obj, s: Summary): void {
  const conditions: Obj[] = pod.status?.conditions ?? [];
  let running = false;
  for (const st of [...(pod.status?.containerStatuses ?? [])].reverse()) {
    s.restarts += st.restartCount ?? 0;
    const ended = st.lastState?.terminated;
    if (ended) s.lastRestart = later(s.lastRestart, ended.finishedAt);
    if (st.state?.waiting?.reason) s.reason = st.state.waiting.reason;
    else if (st.state?.terminated) s.reason = exit(st.state.terminated);
    else if (st.ready && st.state?.running) {
      running = true;
      s.ready++;
    }
  }
  if (s.reason === "Completed" && running) {
    s.reason = conditions.some((x) => x.type === "Ready" && x.status === "True") ? "Running" : "NotReady";
  }
}

export function printPod(pod: Obj, c: PrintContext): Cell[] {
  const { spec = {}, status = {}, metadata } = pod;
  const conditions: Obj[] = status.conditions ?? [];
  const s: Summary = {
    reason: status.reason || status.phase || "",
    restarts: 0,
    lastRestart: "",
    ready: 0,
    total: (spec.containers ?? []).length + (spec.initContainers ?? []).filter(sidecar).length,
  };
  if (conditions.some((x) => x.type === "PodScheduled" && x.reason === "SchedulingGated")) s.reason = "SchedulingGated";
  const init = initState(pod, s);
  if (!init.initializing || conditions.some((x) => x.type === "Initialized" && x.status === "True")) {
    s.restarts = init.sidecarRestarts;
    s.lastRestart = init.sidecarLastRestart;
    containerState(pod, s);
  }
  if (metadata.deletionTimestamp) {
    if (status.reason === "NodeLost") s.reason = "Unknown";
    else if (status.phase !== "Succeeded" && status.phase !== "Failed") s.reason = "Terminating";
  }
  const restarts = s.restarts !== 0 && s.lastRestart !== "" ? `${s.restarts} (${since(s.lastRestart, c)} ago)` : String(s.restarts);
  const gates: Obj[] = spec.readinessGates ?? [];
  const open = gates.filter((g) => conditions.some((x) => x.type === g.conditionType && x.status === "True")).length;
  return [
    metadata.name,
    `${s.ready}/${s.total}`,
    s.reason,
    restarts,
    age(pod, c),
    status.podIPs?.[0]?.ip || status.podIP || NONE,
    spec.nodeName || NONE,
    status.nominatedNodeName || NONE,
    gates.length === 0 ? NONE : `${open}/${gates.length}`,
  ];
}

/** Rows of pods that are over carry a condition, so that clients can hide them. */
export function podRowConditions(pod: Obj): Obj[] | undefined {
  switch (pod.status?.phase) {
    case "Succeeded":
      return [{ type: "Completed", status: "True", reason: "Succeeded", message: "The pod has completed successfully." }];
    case "Failed":
      return [{ type: "Completed", status: "True", reason: "Failed", message: "The pod failed." }];
    default:
      return undefined;
  }
}
