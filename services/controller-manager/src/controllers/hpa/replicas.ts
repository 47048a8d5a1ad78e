// From measured pods to a wanted number of replicas (autoscaling/v2): the ratio of usage to target, with pods that are not ready or
// not measured counted on the careful side, and nothing done within the tolerance. Pure.
import { type KubeObject, timeMs } from "@podwire/client";
import { isTerminating, phaseOf, podCondition } from "../../pods/status.ts";

export interface PodUse {
  /** Thousandths. */
  milli: number;
  atMs: number;
  windowMs: number;
}

export interface Calculation {
  replicas: number;
  /** Percent of requests (utilization), or undefined. */
  utilization: number | undefined;
  averageMilli: number;
}

export interface Timing {
  initialReadinessDelayMs: number;
  cpuInitializationMs: number;
  nowMs: number;
}

interface Groups {
  ready: string[];
  unready: string[];
  missing: string[];
}

function group(pods: readonly KubeObject[], uses: ReadonlyMap<string, PodUse>, resource: string, t: Timing): Groups {
  const g: Groups = { ready: [], unready: [], missing: [] };
  for (const p of pods) {
    if (isTerminating(p) || phaseOf(p) === "Failed") continue;
    const name = p.metadata.name;
    const use = uses.get(name);
    if (phaseOf(p) === "Pending") g.unready.push(name);
    else if (!use) g.missing.push(name);
    else if (resource === "cpu" && tooEarly(p, use, t)) g.unready.push(name);
    else g.ready.push(name);
  }
  return g;
}

/** CPU of a pod that has just started says nothing about its load. */
function tooEarly(p: KubeObject, use: PodUse, t: Timing): boolean {
  const ready = podCondition(p, "Ready");
  const started = timeMs(p["status"]?.startTime);
  if (!ready || started === undefined) return true;
  const changed = timeMs(ready.lastTransitionTime) ?? 0;
  if (started + t.cpuInitializationMs > t.nowMs) return ready.status === "False" || use.atMs < changed + use.windowMs;
  return ready.status === "False" && started + t.initialReadinessDelayMs > changed;
}

/** `target` is the wanted use of a pod in thousandths; with `requests` usage is judged in percent of what each pod asks for. */
export function replicasFor(
  current: number,
  pods: readonly KubeObject[],
  uses: ReadonlyMap<string, PodUse>,
  o: { resource: string; targetMilli?: number; targetPercent?: number; requests?: ReadonlyMap<string, number> } & Timing,
  tolerance: { up: number; down: number },
): Calculation | { error: string } {
  const g = group(pods, uses, o.resource, o);
  if (g.ready.length === 0) return { error: "did not receive metrics for targeted pods (pods might be unready)" };
  const measure = (sample: ReadonlyMap<string, number>): { ratio: number; percent: number | undefined; average: number } => {
    let use = 0;
    let requested = 0;
    for (const [name, milli] of sample) {
      use += milli;
      requested += o.requests?.get(name) ?? 0;
    }
    const average = use / sample.size;
    if (o.targetPercent === undefined) return { ratio: average / (o.targetMilli ?? 1), percent: undefined, average };
    const percent = Math.trunc((use * 100) / requested);
    return { ratio: percent / o.targetPercent, percent, average };
  };
  const sample = new Map(g.ready.map((n) => [n, (uses.get(n) as PodUse).milli]));
  const first = measure(sample);
  const within = (ratio: number) => (ratio > 1 ? ratio - 1 <= tolerance.up : 1 - ratio <= tolerance.down);
  const result = (replicas: number): Calculation => ({ replicas, utilization: first.percent, averageMilli: Math.trunc(first.average) });
  const rising = first.ratio > 1;
  if ((!rising || g.unready.length === 0) && g.missing.length === 0) {
    if (within(first.ratio)) return result(current);
    return result(Math.ceil(first.ratio * g.ready.length));
  }
  // What is not known must not make the change larger: missing pods use nothing on the way up and their target on the way down.
  const assumed = (name: string) =>
    o.targetPercent === undefined ? (o.targetMilli ?? 0) : ((o.requests?.get(name) ?? 0) * Math.max(100, o.targetPercent)) / 100;
  for (const n of g.missing) sample.set(n, first.ratio < 1 ? assumed(n) : 0);
  if (rising) for (const n of g.unready) sample.set(n, 0);
  const second = measure(sample);
  if (within(second.ratio) || (first.ratio < 1 && second.ratio > 1) || (first.ratio > 1 && second.ratio < 1)) return result(current);
  const replicas = Math.ceil(second.ratio * sample.size);
  if ((second.ratio < 1 && replicas > current) || (second.ratio > 1 && replicas < current)) return result(current);
  return result(replicas);
}
