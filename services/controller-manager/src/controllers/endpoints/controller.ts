// The shell of the Endpoints controller: one Endpoints object a Service with a selector, removed with the Service.
import { labelSet } from "@podwire/api";
import { isNotFound, type KubeObject, objectKey, Resources, runController, splitKey } from "@podwire/client";
import { applyActions, causeOf } from "../../actions.ts";
import type { ControllerContext, RunningController } from "../../context.ts";
import { indexByLabel, selectedBy } from "../../pods/labels.ts";
import { servicesOf } from "../endpointslice/services-of.ts";
import { TriggerTimes } from "../endpointslice/trigger-time.ts";
import { planEndpoints } from "./plan.ts";

const GATHER_MS = 20;

export function startEndpoints(c: ControllerContext): RunningController {
  const services = c.informers.of(Resources.services);
  const pods = c.informers.of(Resources.pods);
  const endpoints = c.informers.of(Resources.endpoints);
  indexByLabel(pods);
  const triggers = new TriggerTimes();
  const controller = runController({ name: "endpoints", clock: c.clock, log: c.log, informers: [services, pods, endpoints], reconcile });
  const { queue } = controller;
  const own = (o: KubeObject) => queue.add(objectKey(o));
  services.handle({ onAdd: own, onUpdate: own, onDelete: own });
  endpoints.handle({ onDelete: own });
  servicesOf(services, pods, (key) => queue.addAfter(key, GATHER_MS));

  async function reconcile(key: string) {
    const { namespace, name } = splitKey(key);
    const service = services.lister.get(namespace, name);
    const existing = endpoints.lister.get(namespace, name);
    if (!service) {
      triggers.forget(key);
      if (existing)
        await c.client.delete(Resources.endpoints, namespace, name, { preconditions: { uid: existing.metadata.uid ?? "" } }).catch((e) => {
          if (!isNotFound(e)) throw e;
        });
      return undefined;
    }
    const selector = service["spec"].selector;
    if (!selector || Object.keys(selector).length === 0 || service["spec"].type === "ExternalName") return undefined;
    const selected = selectedBy(pods, namespace, selector, labelSet(selector));
    await applyActions(
      c.client,
      undefined,
      planEndpoints({ service, pods: selected, endpoints: existing, triggerMs: triggers.next(key, service, selected) }),
    ).catch((e) => {
      throw causeOf(e);
    });
    return undefined;
  }

  return controller;
}
