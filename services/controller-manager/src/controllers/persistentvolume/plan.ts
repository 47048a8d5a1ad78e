// Which volume fits a claim (the persistent volume binder). Pure: the smallest that has the class, modes, size and labels that the
// claim asks for; a volume that names the claim comes first.
import { labelSelector, parseQuantity } from "@podwire/api";
import type { KubeObject } from "@podwire/client";

export const BIND_COMPLETED = "pv.kubernetes.io/bind-completed";
export const BOUND_BY_CONTROLLER = "pv.kubernetes.io/bound-by-controller";
const BETA_CLASS = "volume.beta.kubernetes.io/storage-class";

export function classOf(o: KubeObject): string {
  return o.metadata.annotations?.[BETA_CLASS] ?? o["spec"].storageClassName ?? "";
}

export function isBoundTo(volume: KubeObject, claim: KubeObject): boolean {
  const ref = volume["spec"].claimRef;
  return (
    ref !== undefined &&
    ref.name === claim.metadata.name &&
    ref.namespace === claim.metadata.namespace &&
    (ref.uid === undefined || ref.uid === "" || ref.uid === claim.metadata.uid)
  );
}

export const storageOf = (volume: KubeObject): string => volume["spec"].capacity?.storage ?? "0";

/** Why a volume cannot serve a claim that names it; undefined when it can. */
export function mismatch(volume: KubeObject, claim: KubeObject): string | undefined {
  const wanted = claim["spec"].resources?.requests?.storage ?? "0";
  if (parseQuantity(storageOf(volume)).cmp(parseQuantity(wanted)) < 0) return "requested PV is too small";
  if (classOf(volume) !== classOf(claim)) return "storageClassName does not match";
  if ((volume["spec"].volumeMode ?? "Filesystem") !== (claim["spec"].volumeMode ?? "Filesystem")) return "incompatible volumeMode";
  const modes = new Set(volume["spec"].accessModes ?? []);
  if (!(claim["spec"].accessModes ?? []).every((m: string) => modes.has(m))) return "incompatible accessMode";
  return undefined;
}

export function findVolume(
  claim: KubeObject,
  volumes: readonly KubeObject[],
  accepts: (volume: KubeObject) => boolean = () => true,
): KubeObject | undefined {
  const selector = claim["spec"].selector ? labelSelector(claim["spec"].selector) : undefined;
  let best: KubeObject | undefined;
  for (const v of volumes) {
    if (v.metadata.deletionTimestamp) continue;
    if (v["spec"].claimRef) {
      if (isBoundTo(v, claim) && mismatch(v, claim) === undefined) return v;
      continue;
    }
    if (v["status"]?.phase !== undefined && v["status"].phase !== "Available" && v["status"].phase !== "Pending") continue;
    if (mismatch(v, claim) !== undefined || (selector && !selector.matches(v.metadata.labels)) || !accepts(v)) continue;
    if (!best || parseQuantity(storageOf(v)).cmp(parseQuantity(storageOf(best))) < 0) best = v;
  }
  return best;
}
