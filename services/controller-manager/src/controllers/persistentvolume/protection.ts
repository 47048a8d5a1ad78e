// Claims in use by a pod and volumes bound to a claim are not deleted before their user is gone: the finalizers
// kubernetes.io/pvc-protection and kubernetes.io/pv-protection are removed then.
import { type KubeObject, objectKey, type ResourceRef, Resources, runController, splitKey } from "@podwire/client";
import type { ControllerContext, RunningController } from "../../context.ts";
import { isTerminal } from "../../pods/status.ts";

export const CLAIM_FINALIZER = "kubernetes.io/pvc-protection";
export const VOLUME_FINALIZER = "kubernetes.io/pv-protection";
export const CLASS_FINALIZER = "kubernetes.io/vac-protection";
export const BY_CLAIM = "byClaim";

export function startClaimProtection(c: ControllerContext): RunningController {
  const claims = c.informers.of(Resources.persistentVolumeClaims);
  const pods = c.informers.of(Resources.pods);
  pods.addIndex(BY_CLAIM, (p) => claimsOf(p).map((n) => `${p.metadata.namespace}/${n}`));
  const controller = runController({ name: "pvc-protection", clock: c.clock, log: c.log, informers: [claims, pods], reconcile });
  const own = (o: KubeObject) => controller.queue.add(objectKey(o));
  claims.handle({ onAdd: own, onUpdate: own });
  const wake = (p: KubeObject) => {
    for (const n of claimsOf(p)) controller.queue.add(`${p.metadata.namespace}/${n}`);
  };
  pods.handle({
    onUpdate(p, old) {
      if (isTerminal(p) !== isTerminal(old)) wake(p);
    },
    onDelete: wake,
  });

  async function reconcile(key: string) {
    const { namespace, name } = splitKey(key);
    const claim = claims.lister.get(namespace, name);
    if (!claim) return undefined;
    const used = pods.lister.byIndex(BY_CLAIM, key).some((p) => p["spec"].nodeName && !isTerminal(p));
    await guard(c, Resources.persistentVolumeClaims, claim, CLAIM_FINALIZER, used);
    return undefined;
  }
  return controller;
}

export function startVolumeProtection(c: ControllerContext): RunningController {
  const volumes = c.informers.of(Resources.persistentVolumes);
  const controller = runController({
    name: "pv-protection",
    clock: c.clock,
    log: c.log,
    informers: [volumes],
    async reconcile(name) {
      const v = volumes.lister.get("", name);
      if (v) await guard(c, Resources.persistentVolumes, v, VOLUME_FINALIZER, v["status"]?.phase === "Bound");
      return undefined;
    },
  });
  const own = (o: KubeObject) => controller.queue.add(o.metadata.name);
  volumes.handle({ onAdd: own, onUpdate: own });
  return controller;
}

/** Adds the finalizer to a living object, removes it from a dying one that nobody uses. */
async function guard(c: ControllerContext, ref: ResourceRef, o: KubeObject, finalizer: string, used: boolean): Promise<void> {
  const finalizers = o.metadata.finalizers ?? [];
  const has = finalizers.includes(finalizer);
  let next: string[] | undefined;
  if (o.metadata.deletionTimestamp) {
    if (has && !used) next = finalizers.filter((f) => f !== finalizer);
  } else if (!has) next = [...finalizers, finalizer];
  if (!next) return;
  const patch = { metadata: { resourceVersion: o.metadata.resourceVersion, finalizers: next.length > 0 ? next : null } };
  await c.client.patch(ref, o.metadata.namespace ?? "", o.metadata.name, "merge", patch);
}

/** Names of the claims that a pod uses. */
export function claimsOf(p: KubeObject): string[] {
  return (p["spec"]?.volumes ?? []).flatMap((v: any) =>
    v.persistentVolumeClaim ? [v.persistentVolumeClaim.claimName] : v.ephemeral ? [`${p.metadata.name}-${v.name}`] : [],
  );
}

/** A VolumeAttributesClass that a claim or a volume names stays until none does. */
export function startAttributesClassProtection(c: ControllerContext): RunningController {
  const classes = c.informers.of(Resources.volumeAttributesClasses);
  const claims = c.informers.of(Resources.persistentVolumeClaims);
  const volumes = c.informers.of(Resources.persistentVolumes);
  const namesOf = (o: KubeObject): string[] =>
    [
      o["spec"].volumeAttributesClassName,
      o["status"]?.currentVolumeAttributesClassName,
      o["status"]?.modifyVolumeStatus?.targetVolumeAttributesClassName,
    ].filter((n): n is string => !!n);
  const controller = runController({
    name: "vac-protection",
    clock: c.clock,
    log: c.log,
    informers: [classes, claims, volumes],
    async reconcile(name) {
      const o = classes.lister.get("", name);
      if (!o) return undefined;
      const used =
        o.metadata.deletionTimestamp !== undefined &&
        [...claims.lister.list(), ...volumes.lister.list()].some((x) => namesOf(x).includes(name));
      await guard(c, Resources.volumeAttributesClasses, o, CLASS_FINALIZER, used);
      return undefined;
    },
  });
  const own = (o: KubeObject) => controller.queue.add(o.metadata.name);
  classes.handle({ onAdd: own, onUpdate: own });
  const wake = (o: KubeObject) => {
    for (const n of namesOf(o)) controller.queue.add(n);
  };
  for (const i of [claims, volumes])
    i.handle({
      onUpdate(o, old) {
        if (namesOf(o).join() !== namesOf(old).join()) wake(old);
      },
      onDelete: wake,
    });
  return controller;
}
