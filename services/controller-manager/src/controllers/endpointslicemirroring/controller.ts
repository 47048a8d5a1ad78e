// The shell of the EndpointSlice mirroring controller.
import { type KubeObject, objectKey, Resources, runController, splitKey } from "@podwire/client";
import { applyActions, causeOf } from "../../actions.ts";
import type { ControllerContext, RunningController } from "../../context.ts";
import { MANAGED_BY_LABEL, SERVICE_NAME_LABEL } from "../endpointslice/plan.ts";
import { MIRROR, planMirror } from "./plan.ts";

const BY_MIRRORED = "byMirrored";
/** A slice that was just written is seen a moment later: the next look waits for it, so that none is made twice. */
const GATHER_MS = 100;

export function startEndpointSliceMirroring(c: ControllerContext): RunningController {
  const services = c.informers.of(Resources.services);
  const endpoints = c.informers.of(Resources.endpoints);
  const slices = c.informers.of(Resources.endpointSlices);
  slices.addIndex(BY_MIRRORED, (o) =>
    o.metadata.labels?.[MANAGED_BY_LABEL] === MIRROR ? [`${o.metadata.namespace}/${o.metadata.labels[SERVICE_NAME_LABEL] ?? ""}`] : [],
  );
  const controller = runController({
    name: "endpointslicemirroring",
    clock: c.clock,
    log: c.log,
    informers: [services, endpoints, slices],
    reconcile,
  });
  const soon = (o: KubeObject) => controller.queue.addAfter(objectKey(o), GATHER_MS);
  services.handle({ onAdd: soon, onUpdate: soon, onDelete: soon });
  endpoints.handle({ onAdd: soon, onUpdate: soon, onDelete: soon });
  const ofSlice = (o: KubeObject) => {
    const labels = o.metadata.labels ?? {};
    if (labels[MANAGED_BY_LABEL] === MIRROR) controller.queue.addAfter(`${o.metadata.namespace}/${labels[SERVICE_NAME_LABEL]}`, GATHER_MS);
  };
  slices.handle({ onUpdate: ofSlice, onDelete: ofSlice });

  async function reconcile(key: string) {
    const { namespace, name } = splitKey(key);
    const actions = planMirror({
      service: services.lister.get(namespace, name),
      endpoints: endpoints.lister.get(namespace, name),
      slices: slices.lister.byIndex(BY_MIRRORED, `${namespace}/${name}`),
    });
    try {
      await applyActions(c.client, undefined, actions);
    } catch (e) {
      throw causeOf(e);
    }
    return undefined;
  }

  return controller;
}
