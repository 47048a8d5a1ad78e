// From a chosen node to a bound pod: reserve, permit, preBind, bind, postBind (kube-scheduler's scheduling and binding cycle).
// Invariant: whatever way it fails, every plugin that could have set something aside is asked to give it back, in reverse order.
import { PodwireError } from "@podwire/base";
import { type ApiClient, Resources } from "@podwire/client";
import type { WaitingPods } from "../waiting-pods.ts";
import type { NodeInfo } from "./node-info.ts";
import type { Binding, Cycle, Rejection } from "./plugin.ts";
import type { Profile, Refusal } from "./schedule.ts";

/** A plugin refused the pod after its node was chosen. */
export class BindingRefusedError extends PodwireError {
  readonly refusal: Refusal;
  constructor(refusal: Refusal) {
    super(refusal.reasons.join(", "));
    this.refusal = refusal;
  }
}

const refused = (plugin: string, r: Rejection) => new BindingRefusedError({ ...r, plugin });

/** Sets aside what the pod takes; in the same turn as the decision. Throws BindingRefusedError with nothing held. */
export function reserve(profile: Profile, c: Cycle, node: NodeInfo): void {
  for (const p of profile.reserve) {
    const r = p.reserve?.(c, node);
    if (!r) continue;
    unreserve(profile, c, node.name);
    throw refused(p.name, r);
  }
}

export function unreserve(profile: Profile, c: Cycle, node: string): void {
  for (const p of [...profile.reserve].reverse()) p.unreserve?.(c, node);
}

/** Binds a pod for which everything is reserved. On failure nothing stays reserved. */
export async function bind(profile: Profile, c: Cycle, node: string, b: Binding, waiting: WaitingPods): Promise<void> {
  try {
    await permitted(profile, c, node, waiting);
    for (const p of profile.preBind) await p.preBind?.(c, node, b);
    await bindPod(b.client, c, node);
  } catch (e) {
    unreserve(profile, c, node);
    throw e;
  }
  for (const p of profile.postBind) p.postBind?.(c, node);
}

async function permitted(profile: Profile, c: Cycle, node: string, waiting: WaitingPods): Promise<void> {
  let waits: Map<string, number> | undefined;
  for (const p of profile.permit) {
    const r = p.permit?.(c, node);
    if (!r) continue;
    if (!("waitMs" in r)) throw refused(p.name, r);
    waits ??= new Map();
    waits.set(p.name, r.waitMs);
  }
  if (!waits) return;
  const verdict = await waiting.hold(c.pod, node, waits);
  if (!verdict.allowed) throw refused(verdict.plugin, { reasons: [verdict.message], unresolvable: false });
}

async function bindPod(client: ApiClient, c: Cycle, node: string): Promise<void> {
  const { namespace = "", name, uid = "" } = c.pod.pod.metadata;
  await client.createSubresource(Resources.pods, namespace, name, "binding", {
    apiVersion: "v1",
    kind: "Binding",
    metadata: { namespace, name, uid },
    target: { kind: "Node", name: node },
  });
}
