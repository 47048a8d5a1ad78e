// Every active namespace has a ServiceAccount "default". It is made again when deleted; nothing else of it is touched.
import { isAlreadyExists, type KubeObject, Resources, runController } from "@podwire/client";
import type { ControllerContext, RunningController } from "../../context.ts";

const NAME = "default";

export function startServiceAccount(c: ControllerContext): RunningController {
  const namespaces = c.informers.of(Resources.namespaces);
  const accounts = c.informers.of(Resources.serviceAccounts);
  const controller = runController({ name: "serviceaccount", clock: c.clock, log: c.log, informers: [namespaces, accounts], reconcile });
  const own = (o: KubeObject) => controller.queue.add(o.metadata.name);
  namespaces.handle({ onAdd: own, onUpdate: own });
  accounts.handle({
    onDelete(o) {
      if (o.metadata.name === NAME) controller.queue.add(o.metadata.namespace ?? "");
    },
  });

  async function reconcile(namespace: string) {
    const ns = namespaces.lister.get("", namespace);
    if (!ns || ns["status"]?.phase === "Terminating" || ns.metadata.deletionTimestamp || accounts.lister.get(namespace, NAME))
      return undefined;
    try {
      await c.client.create(Resources.serviceAccounts, { metadata: { namespace, name: NAME } });
    } catch (e) {
      if (!isAlreadyExists(e)) throw e;
    }
    return undefined;
  }
  return controller;
}
