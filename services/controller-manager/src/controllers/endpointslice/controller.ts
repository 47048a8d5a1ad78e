// The shell of the EndpointSlice controller: finds a Service's pods by index, carries out the plan.
import { labelSet } from "@podwire/api";
import { expectations, type KubeObject, keyOf, objectKey, Resources, runController, splitKey } from "@podwire/client";
import { ActionFailure, applyActions, causeOf } from "../../actions.ts";
import type { ControllerContext, RunningController } from "../../context.ts";
import { indexByLabel, selectedBy } from "../../pods/labels.ts";
import { MANAGED_BY, MANAGED_BY_LABEL, planEndpointSlices, SERVICE_NAME_LABEL } from "./plan.ts";
import { servicesOf } from "./services-of.ts";
import { asksForHints, cpuShares } from "./topology-hints.ts";
import { TriggerTimes } from "./trigger-time.ts";

const ZONE_LABEL = "topology.kubernetes.io/zone";
const BY_SERVICE = "byService";
/** Changes of pods are gathered for this long, so that a rollout rewrites a slice a few times, not once a pod. */
const GATHER_MS = 20;

export function startEndpointSlice(c: ControllerContext): RunningController {
  const services = c.informers.of(Resources.services);
  const pods = c.informers.of(Resources.pods);
  const nodes = c.informers.of(Resources.nodes);
  const slices = c.informers.of(Resources.endpointSlices);
  indexByLabel(pods);
  slices.addIndex(BY_SERVICE, (o) =>
    o.metadata.labels?.[MANAGED_BY_LABEL] === MANAGED_BY ? [`${o.metadata.namespace}/${o.metadata.labels[SERVICE_NAME_LABEL] ?? ""}`] : [],
  );
  const expected = expectations(c.clock);
  const triggers = new TriggerTimes();
  const controller = runController({
    name: "endpointslice",
    clock: c.clock,
    log: c.log,
    informers: [services, pods, nodes, slices],
    reconcile,
  });
  const { queue } = controller;
  const recorder = c.recorder("endpoint-slice-controller");
  /** What was said about hints, by Service and family. */
  const said = new Map<string, Map<string, string>>();
  /** Shares of the nodes as they were last looked at; undefined: look again. */
  let shares: { value: ReturnType<typeof cpuShares>; text: string } | undefined;
  const sharesNow = () => {
    if (!shares) {
      const value = cpuShares(nodes.lister.list());
      shares = { value, text: JSON.stringify([...(value ?? [])]) };
    }
    return shares;
  };

  const own = (o: KubeObject) => queue.add(objectKey(o));
  services.handle({ onAdd: own, onUpdate: own, onDelete: own });
  servicesOf(services, pods, (key) => queue.addAfter(key, GATHER_MS));
  const onSlice = (o: KubeObject, deleted: boolean) => {
    const labels = o.metadata.labels ?? {};
    if (labels[MANAGED_BY_LABEL] !== MANAGED_BY) return;
    const key = keyOf(o.metadata.namespace ?? "", labels[SERVICE_NAME_LABEL] ?? "");
    if (deleted) expected.observeDeletion(key, objectKey(o));
    queue.add(key);
  };
  slices.handle({
    onAdd(o) {
      expected.observeCreation(keyOf(o.metadata.namespace ?? "", o.metadata.labels?.[SERVICE_NAME_LABEL] ?? ""));
      onSlice(o, false);
    },
    onUpdate: (o) => onSlice(o, false),
    onDelete: (o) => onSlice(o, true),
  });
  /** A node came, went, or changed what its zone's share is made of. */
  const reshare = () => {
    const before = shares?.text;
    shares = undefined;
    if (before === undefined) return;
    if (sharesNow().text !== before) for (const s of services.lister.list()) if (asksForHints(s)) own(s);
  };
  const shareOf = (n: KubeObject) =>
    `${(n["status"]?.conditions ?? []).find((x: any) => x.type === "Ready")?.status}/${n["status"]?.allocatable?.cpu}`;
  nodes.handle({
    onAdd: reshare,
    onUpdate(node, old) {
      const moved = node.metadata.labels?.[ZONE_LABEL] !== old.metadata.labels?.[ZONE_LABEL];
      if (moved) for (const s of services.lister.list()) own(s);
      if (moved || shareOf(node) !== shareOf(old)) reshare();
    },
    onDelete: reshare,
  });

  async function reconcile(key: string) {
    const { namespace, name } = splitKey(key);
    const service = services.lister.get(namespace, name);
    const selector = service?.["spec"].selector;
    if (!service) {
      expected.forget(key);
      triggers.forget(key);
      said.delete(key);
      return undefined;
    }
    // Without a selector the slices are somebody else's business; an external name has none.
    if (!selector || Object.keys(selector).length === 0 || service["spec"].type === "ExternalName") return undefined;
    if (!expected.satisfied(key)) return undefined;
    const selected = selectedBy(pods, namespace, selector, labelSet(selector));
    const saidOfIt = said.get(key) ?? new Map<string, string>();
    const actions = planEndpointSlices({
      service,
      pods: selected,
      slices: slices.lister.byIndex(BY_SERVICE, `${namespace}/${name}`),
      zoneOf: (node) => nodes.lister.get("", node)?.metadata.labels?.[ZONE_LABEL],
      maxEndpoints: c.settings.maxEndpointsPerSlice,
      triggerMs: triggers.next(key, service, selected),
      cpuShares: asksForHints(service) ? sharesNow().value : undefined,
      said: saidOfIt,
    });
    if (saidOfIt.size > 0) said.set(key, saidOfIt);
    const creations = actions.filter((a) => a.do === "create").length;
    expected.expect(
      key,
      creations,
      actions.flatMap((a) => (a.do === "delete" ? [keyOf(a.namespace, a.name)] : [])),
    );
    try {
      await applyActions(c.client, recorder, actions);
    } catch (e) {
      // What was not carried out will not be seen; the next try starts from the cache as it then is.
      if (e instanceof ActionFailure) expected.forget(key);
      throw causeOf(e);
    }
    return undefined;
  }

  return controller;
}
