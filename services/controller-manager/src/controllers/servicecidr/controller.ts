// The shell of the ServiceCIDR controller (pkg/controller/servicecidrs): which objects a change concerns, and the plan carried out.
import { type KubeObject, Resources, runController } from "@podwire/client";
import { applyActions, causeOf } from "../../actions.ts";
import type { ControllerContext, RunningController } from "../../context.ts";
import { containing, overlapping, planServiceCidr } from "./plan.ts";

/** Tries of one ServiceCIDR until its next change. */
const MAX_TRIES = 15;

export function startServiceCidr(c: ControllerContext): RunningController {
  const cidrs = c.informers.of(Resources.serviceCidrs);
  const addresses = c.informers.of(Resources.ipAddresses);
  const controller = runController({
    name: "servicecidr",
    clock: c.clock,
    log: c.log,
    informers: [cidrs, addresses],
    maxTries: MAX_TRIES,
    reconcile,
  });
  const wake = (names: readonly string[]) => {
    for (const name of names) controller.queue.add(name);
  };
  const around = (o: KubeObject) => wake([o.metadata.name, ...overlapping(o, cidrs.lister.list())]);
  cidrs.handle({ onAdd: around, onUpdate: (o) => wake([o.metadata.name]), onDelete: around });
  // An address may hold up a deletion; nothing else depends on it.
  const onAddress = (ip: KubeObject) => {
    const going = cidrs.lister.list().filter((o) => o.metadata.deletionTimestamp);
    if (going.length > 0) wake(containing(ip, going));
  };
  addresses.handle({ onAdd: onAddress, onDelete: onAddress });

  async function reconcile(name: string) {
    const cidr = cidrs.lister.get("", name);
    if (!cidr) return undefined;
    const plan = planServiceCidr({ cidr, cidrs: cidrs.lister.list(), addresses: addresses.lister.list(), nowMs: c.clock.nowMs() });
    try {
      await applyActions(c.client, undefined, plan.actions);
    } catch (e) {
      throw causeOf(e);
    }
    return plan.afterMs === undefined ? undefined : { requeueAfterMs: plan.afterMs };
  }
  return controller;
}
