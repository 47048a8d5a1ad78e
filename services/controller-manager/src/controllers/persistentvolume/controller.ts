// The shell of the volume binder: claims find volumes, volumes follow their claims' fate. One worker, so that no volume is given
// twice. No provisioner runs here: a claim of a class with one is handed to it by annotation, and its volume is awaited.
import { isNotFound, type KubeObject, objectKey, Resources, runController, splitKey, time } from "@podwire/client";
import type { ControllerContext, RunningController } from "../../context.ts";
import { equal } from "../../equality.ts";
import { BIND_COMPLETED, BOUND_BY_CONTROLLER, classOf, findVolume, isBoundTo, mismatch } from "./plan.ts";

const CLAIM = "claim/";
const VOLUME = "volume/";
const NO_PROVISIONER = "kubernetes.io/no-provisioner";
const PROVISIONER_ANNOTATIONS = ["volume.beta.kubernetes.io/storage-provisioner", "volume.kubernetes.io/storage-provisioner"];

export function startPersistentVolume(c: ControllerContext): RunningController {
  const volumes = c.informers.of(Resources.persistentVolumes);
  const claims = c.informers.of(Resources.persistentVolumeClaims);
  const classes = c.informers.of(Resources.storageClasses);
  const recorder = c.recorder("persistentvolume-controller");
  const controller = runController({
    name: "persistentvolume",
    clock: c.clock,
    log: c.log,
    informers: [volumes, claims, classes],
    workers: 1,
    reconcile,
  });
  const { queue } = controller;
  const onClaim = (o: KubeObject) => {
    queue.add(`${CLAIM}${objectKey(o)}`);
    if (o["spec"].volumeName) queue.add(`${VOLUME}${o["spec"].volumeName}`);
  };
  claims.handle({
    onAdd: onClaim,
    onUpdate: onClaim,
    onDelete(o) {
      for (const v of volumes.lister.list()) if (v["spec"].claimRef && isBoundTo(v, o)) queue.add(`${VOLUME}${v.metadata.name}`);
    },
  });
  const pending = () => {
    for (const p of claims.lister.list()) if (!isComplete(p)) queue.add(`${CLAIM}${objectKey(p)}`);
  };
  const onVolume = (v: KubeObject) => {
    queue.add(`${VOLUME}${v.metadata.name}`);
    const ref = v["spec"].claimRef;
    if (ref) queue.add(`${CLAIM}${ref.namespace}/${ref.name}`);
    else pending();
  };
  volumes.handle({ onAdd: onVolume, onUpdate: onVolume, onDelete: onVolume });
  classes.handle({ onAdd: pending, onUpdate: pending });

  async function reconcile(key: string) {
    if (key.startsWith(VOLUME)) await syncVolume(key.slice(VOLUME.length));
    else await syncClaim(key.slice(CLAIM.length));
    return undefined;
  }

  async function syncVolume(name: string): Promise<void> {
    const v = volumes.lister.get("", name);
    if (!v) return;
    const ref = v["spec"].claimRef;
    if (!ref) return setVolumePhase(v, "Available");
    if (!ref.uid) return setVolumePhase(v, "Available");
    let claim = claims.lister.get(ref.namespace, ref.name);
    if (claim && claim.metadata.uid !== ref.uid) claim = undefined;
    if (!claim) {
      await setVolumePhase(v, "Released");
      if (v["spec"].persistentVolumeReclaimPolicy === "Delete" && v["spec"].hostPath && !v.metadata.deletionTimestamp)
        await c.client.delete(Resources.persistentVolumes, "", name, { preconditions: { uid: v.metadata.uid ?? "" } }).catch(ignoreGone);
      return;
    }
    if (claim["spec"].volumeName === name) return setVolumePhase(v, "Bound");
    if (claim["spec"].volumeName && v.metadata.annotations?.[BOUND_BY_CONTROLLER]) {
      // The claim went elsewhere: the volume is free again.
      const { claimRef: _, ...spec } = v["spec"];
      const { [BOUND_BY_CONTROLLER]: __, ...annotations } = v.metadata.annotations;
      await c.client.update(Resources.persistentVolumes, { ...v, spec, metadata: { ...v.metadata, annotations } });
    } else queue.add(`${CLAIM}${objectKey(claim)}`);
  }

  async function syncClaim(key: string): Promise<void> {
    const { namespace, name } = splitKey(key);
    const claim = claims.lister.get(namespace, name);
    if (!claim || (claim.metadata.deletionTimestamp && !isComplete(claim))) return;
    if (isComplete(claim)) return followBound(claim);
    const named = claim["spec"].volumeName;
    if (named) {
      const v = volumes.lister.get("", named);
      if (!v) return setClaimPhase(claim, "Pending");
      if (v["spec"].claimRef && !isBoundTo(v, claim)) return setClaimPhase(claim, "Pending");
      const why = mismatch(v, claim);
      if (why !== undefined) {
        recorder.event(claim, "Warning", "VolumeMismatch", `Cannot bind to requested volume "${named}": ${why}`);
        return setClaimPhase(claim, "Pending");
      }
      return bind(claim, v);
    }
    const storageClass = classes.lister.get("", classOf(claim));
    const waits =
      storageClass?.["volumeBindingMode"] === "WaitForFirstConsumer" &&
      claim.metadata.annotations?.["volume.kubernetes.io/selected-node"] === undefined;
    const preBound = volumes.lister.list().find((v) => v["spec"].claimRef && isBoundTo(v, claim));
    const found = waits && !preBound ? undefined : findVolume(claim, preBound ? [preBound] : volumes.lister.list());
    if (found) return bind(claim, found);
    if (waits) recorder.event(claim, "Normal", "WaitForFirstConsumer", "waiting for first consumer to be created before binding");
    else if (classOf(claim) === "")
      recorder.event(claim, "Normal", "FailedBinding", "no persistent volumes available for this claim and no storage class is set");
    else if (!storageClass)
      recorder.event(claim, "Warning", "ProvisioningFailed", `storageclass.storage.k8s.io "${classOf(claim)}" not found`);
    else if (storageClass["provisioner"] === NO_PROVISIONER)
      recorder.event(claim, "Normal", "FailedBinding", "no persistent volumes available for this claim and no storage class is set");
    else {
      await nameProvisioner(claim, storageClass["provisioner"]);
      recorder.event(
        claim,
        "Normal",
        "ExternalProvisioning",
        `Waiting for a volume to be created either by the external provisioner '${storageClass["provisioner"]}' or manually by the system administrator. If volume creation is delayed, please verify that the provisioner is running and correctly registered.`,
      );
      if (claim["status"]?.phase === "Pending") return;
      const live = await c.client.get(Resources.persistentVolumeClaims, namespace, name);
      return setClaimPhase(live, "Pending");
    }
    await setClaimPhase(claim, "Pending");
  }

  /** Says who shall make the volume: external provisioners wait for this annotation. */
  async function nameProvisioner(claim: KubeObject, provisioner: string): Promise<void> {
    if (PROVISIONER_ANNOTATIONS.every((a) => claim.metadata.annotations?.[a] === provisioner)) return;
    const annotations = Object.fromEntries(PROVISIONER_ANNOTATIONS.map((a) => [a, provisioner]));
    await c.client.patch(Resources.persistentVolumeClaims, claim.metadata.namespace ?? "", claim.metadata.name, "merge", {
      metadata: { resourceVersion: claim.metadata.resourceVersion, annotations },
    });
  }

  /** Binds both sides: the volume's reference first, so that it is taken, then the claim. */
  async function bind(claim: KubeObject, volume: KubeObject): Promise<void> {
    let v = volume;
    const had = v["spec"].claimRef;
    const byUs = had === undefined || v.metadata.annotations?.[BOUND_BY_CONTROLLER] === "yes";
    if (had?.uid !== claim.metadata.uid) {
      const claimRef = {
        kind: "PersistentVolumeClaim",
        apiVersion: "v1",
        namespace: claim.metadata.namespace,
        name: claim.metadata.name,
        uid: claim.metadata.uid,
        resourceVersion: claim.metadata.resourceVersion,
      };
      const annotations = { ...v.metadata.annotations, ...(byUs ? { [BOUND_BY_CONTROLLER]: "yes" } : {}) };
      v = await c.client.update(Resources.persistentVolumes, {
        ...v,
        metadata: { ...v.metadata, annotations },
        spec: { ...v["spec"], claimRef },
      });
    }
    await setVolumePhase(v, "Bound");
    const annotations: Record<string, string> = { ...claim.metadata.annotations, [BIND_COMPLETED]: "yes" };
    if (!claim["spec"].volumeName) annotations[BOUND_BY_CONTROLLER] = "yes";
    let next = claim;
    if (claim["spec"].volumeName !== v.metadata.name || !equal(annotations, claim.metadata.annotations))
      next = await c.client.update(Resources.persistentVolumeClaims, {
        ...claim,
        metadata: { ...claim.metadata, annotations },
        spec: { ...claim["spec"], volumeName: v.metadata.name },
      });
    await setClaimPhase(next, "Bound", v);
  }

  /** A bound claim: its volume must still be there and be its own. */
  async function followBound(claim: KubeObject): Promise<void> {
    const v = volumes.lister.get("", claim["spec"].volumeName ?? "");
    if (!v || (v["spec"].claimRef && !isBoundTo(v, claim))) {
      if (claim["status"]?.phase !== "Lost") {
        const message = v
          ? "Two claims are bound to the same volume, this one is bound incorrectly"
          : "Bound claim has lost its PersistentVolume. Data on the volume is lost!";
        recorder.event(claim, "Warning", v ? "ClaimMisbound" : "ClaimLost", message);
      }
      return setClaimPhase(claim, "Lost");
    }
    if (!v["spec"].claimRef?.uid) return bind(claim, v);
    return setClaimPhase(claim, "Bound", v);
  }

  async function setVolumePhase(v: KubeObject, phase: string): Promise<void> {
    if (v["status"]?.phase === phase && !v["status"].message) return;
    const status = {
      phase,
      lastPhaseTransitionTime: v["status"]?.phase === phase ? v["status"].lastPhaseTransitionTime : time(c.clock.nowMs()),
    };
    await c.client.updateStatus(Resources.persistentVolumes, { ...v, status });
  }

  async function setClaimPhase(claim: KubeObject, phase: string, v?: KubeObject): Promise<void> {
    const { accessModes: _, capacity: __, ...old } = claim["status"] ?? {};
    const capacity = claim["status"]?.capacity ?? v?.["spec"].capacity;
    const status = { ...old, phase, ...(v ? { accessModes: v["spec"].accessModes, capacity } : {}) };
    if (!equal(status, claim["status"] ?? {})) await c.client.updateStatus(Resources.persistentVolumeClaims, { ...claim, status });
  }

  return controller;
}

const isComplete = (claim: KubeObject): boolean => claim.metadata.annotations?.[BIND_COMPLETED] !== undefined;

const ignoreGone = (e: unknown): void => {
  if (!isNotFound(e)) throw e;
};
