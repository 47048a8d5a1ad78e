// The shell of the ResourceClaim controller (pkg/controller/resourceclaim): pods and claims as keys of one queue.
// Invariant: a reservation is dropped only for a pod that the API itself says is gone, replaced or ended.
import {
  controllerOf,
  isConflict,
  isNotFound,
  type KubeObject,
  keyOf,
  objectKey,
  Resources,
  runController,
  splitKey,
} from "@podwire/client";
import { applyActions, causeOf } from "../../actions.ts";
import type { ControllerContext, RunningController } from "../../context.ts";
import { isTerminal } from "../../pods/status.ts";
import { claimNameOf, POD_CLAIM, planClaim, planPod } from "./plan.ts";

const POD = "pod:";
const CLAIM = "claim:";
const BY_OWNER = "byPodOwner";
const MANAGER = "ResourceClaimController";

export function startResourceClaim(c: ControllerContext): RunningController {
  const pods = c.informers.of(Resources.pods);
  const claims = c.informers.of(Resources.resourceClaims);
  const templates = c.informers.of(Resources.resourceClaimTemplates);
  claims.addIndex(BY_OWNER, (o) => {
    const owner = controllerOf(o);
    return owner?.kind === "Pod" ? [owner.uid] : [];
  });
  const recorder = c.recorder("resource_claim");
  const controller = runController({ name: "resourceclaim", clock: c.clock, log: c.log, informers: [pods, claims, templates], reconcile });
  const { queue } = controller;
  const claimsOfPod = (pod: KubeObject) => {
    for (const entry of pod["spec"]?.resourceClaims ?? []) {
      const meant = claimNameOf(pod, entry);
      if (typeof meant === "object") queue.add(CLAIM + keyOf(pod.metadata.namespace ?? "", meant.name));
    }
    for (const o of claims.lister.byIndex(BY_OWNER, pod.metadata.uid ?? "")) queue.add(CLAIM + objectKey(o));
  };
  const onPod = (pod: KubeObject) => {
    if (!(pod["spec"]?.resourceClaims?.length > 0)) return;
    if (!isTerminal(pod) && !pod.metadata.deletionTimestamp) queue.add(POD + objectKey(pod));
    else claimsOfPod(pod);
  };
  pods.handle({
    onAdd: onPod,
    onUpdate: onPod,
    onDelete: (pod) => {
      if (pod["spec"]?.resourceClaims?.length > 0) claimsOfPod(pod);
    },
  });
  const onClaim = (o: KubeObject) => {
    queue.add(CLAIM + objectKey(o));
    // A claim that was deleted under its pod is made again.
    const owner = controllerOf(o);
    if (owner?.kind === "Pod") queue.add(POD + keyOf(o.metadata.namespace ?? "", owner.name));
  };
  claims.handle({ onAdd: onClaim, onUpdate: onClaim, onDelete: onClaim });
  templates.handle({
    onAdd(template) {
      for (const pod of pods.lister.list(template.metadata.namespace))
        if ((pod["spec"].resourceClaims ?? []).some((e: any) => e.resourceClaimTemplateName === template.metadata.name)) onPod(pod);
    },
  });

  async function reconcile(key: string) {
    try {
      if (key.startsWith(POD)) await reconcilePod(key.slice(POD.length));
      else await reconcileClaim(key.slice(CLAIM.length));
    } catch (e) {
      throw causeOf(e);
    }
    return undefined;
  }

  async function reconcilePod(key: string): Promise<void> {
    const { namespace, name } = splitKey(key);
    const pod = pods.lister.get(namespace, name);
    if (!pod || pod.metadata.deletionTimestamp || isTerminal(pod)) return;
    const plan = planPod({
      pod,
      claim: (n) => claims.lister.get(namespace, n),
      owned: claims.lister.byIndex(BY_OWNER, pod.metadata.uid ?? ""),
      template: (n) => templates.lister.get(namespace, n),
    });
    const told = new Map(plan.found);
    for (const [entry, object] of plan.create) told.set(entry, (await c.client.create(Resources.resourceClaims, object)).metadata.name);
    if (told.size > 0) await tell(pod, told);
    for (const [entry, template] of plan.lacking) {
      const why = `resource claim template "${template}": resourceclaimtemplate.resource.k8s.io "${template}" not found`;
      recorder.event(pod, "Warning", "FailedResourceClaimCreation", `PodResourceClaim ${entry}: ${why}`);
    }
    await applyActions(c.client, undefined, plan.actions);
  }

  /** Says in the pod's status which claims were made for it; those of before stay. */
  async function tell(pod: KubeObject, claimOf: ReadonlyMap<string, string>): Promise<void> {
    const { namespace = "", name } = pod.metadata;
    const old: any[] = (pod["status"]?.resourceClaimStatuses ?? []).filter((s: any) => !claimOf.has(s.name));
    const resourceClaimStatuses = [...old, ...[...claimOf].map(([entry, claim]) => ({ name: entry, resourceClaimName: claim }))];
    const patch = { apiVersion: "v1", kind: "Pod", metadata: { name, namespace }, status: { resourceClaimStatuses } };
    await c.client.patch(Resources.pods, namespace, name, "apply", patch, { subresource: "status", fieldManager: MANAGER, force: true });
  }

  async function reconcileClaim(key: string): Promise<void> {
    const { namespace, name } = splitKey(key);
    const claim = claims.lister.get(namespace, name);
    if (!claim) return;
    const living = new Set<string>();
    for (const r of claim["status"]?.reservedFor ?? []) if (await lives(namespace, r)) living.add(r.uid);
    const owner = controllerOf(claim);
    const pod = owner?.kind === "Pod" ? pods.lister.get(namespace, owner.name) : undefined;
    const generated = owner?.kind === "Pod" && claim.metadata.annotations?.[POD_CLAIM] !== undefined;
    const actions = planClaim({ claim, living, owner: pod?.metadata.uid === owner?.uid ? pod : undefined, generated });
    try {
      await applyActions(c.client, undefined, actions);
    } catch (e) {
      if (!isNotFound(causeOf(e)) && !(isConflict(causeOf(e)) && actions.at(-1)?.do === "delete")) throw e;
    }
  }

  async function lives(namespace: string, r: { name: string; uid: string; resource: string; apiGroup?: string }): Promise<boolean> {
    // Others than pods reserve claims for themselves and say so themselves when they are done.
    if (r.resource !== "pods" || (r.apiGroup ?? "") !== "") return true;
    const stays = (p: KubeObject) => p.metadata.uid === r.uid && !isTerminal(p);
    const known = pods.lister.get(namespace, r.name);
    if (known) return stays(known);
    try {
      return stays(await c.client.get(Resources.pods, namespace, r.name));
    } catch (e) {
      if (isNotFound(e)) return false;
      throw e;
    }
  }
  return controller;
}
