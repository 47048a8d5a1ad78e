// Annotates nodes with how long kubelets may cache Secrets and ConfigMaps, by the size of the cluster (ttl controller).
// The bounds overlap, so that a cluster at a boundary does not flap.
import { type KubeObject, Resources, runController } from "@podwire/client";
import type { ControllerContext, RunningController } from "../../context.ts";

export const TTL_ANNOTATION = "node.alpha.kubernetes.io/ttl";

/** Nodes from which a step is left downwards and upwards, and its seconds. */
const STEPS = [
  { min: 0, max: 100, seconds: 0 },
  { min: 90, max: 500, seconds: 15 },
  { min: 450, max: 1000, seconds: 30 },
  { min: 900, max: 2000, seconds: 60 },
  { min: 1800, max: Number.MAX_SAFE_INTEGER, seconds: 300 },
] as const;

export function nextStep(step: number, nodes: number): number {
  let s = step;
  while (nodes > (STEPS[s] as (typeof STEPS)[number]).max) s++;
  while (nodes < (STEPS[s] as (typeof STEPS)[number]).min) s--;
  return s;
}

export function startNodeTtl(c: ControllerContext): RunningController {
  const nodes = c.informers.of(Resources.nodes);
  const controller = runController({ name: "ttl", clock: c.clock, log: c.log, informers: [nodes], reconcile });
  let step = 0;
  const own = (o: KubeObject) => controller.queue.add(o.metadata.name);
  const sized = () => {
    const next = nextStep(step, nodes.lister.size);
    if (next === step) return;
    step = next;
    for (const n of nodes.lister.list()) own(n);
  };
  nodes.handle({
    onAdd(o) {
      sized();
      own(o);
    },
    onUpdate: own,
    onDelete: sized,
  });

  async function reconcile(name: string) {
    const node = nodes.lister.get("", name);
    const seconds = String((STEPS[step] as (typeof STEPS)[number]).seconds);
    if (!node || node.metadata.annotations?.[TTL_ANNOTATION] === seconds) return undefined;
    await c.client.patch(Resources.nodes, "", name, "merge", { metadata: { annotations: { [TTL_ANNOTATION]: seconds } } });
    return undefined;
  }
  return controller;
}
