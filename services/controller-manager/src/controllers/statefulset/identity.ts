// What makes a pod of a StatefulSet that pod: name, ordinal, labels, host name and claims. Pure (apps/v1 StatefulSet).
import { controllerReference, type KubeObject, Resources } from "@podwire/client";
import { templateOf } from "../../revision-history.ts";

export const POD_NAME_LABEL = "statefulset.kubernetes.io/pod-name";
export const POD_INDEX_LABEL = "apps.kubernetes.io/pod-index";
export const REVISION_LABEL = "controller-revision-hash";

/** The ordinal in a pod's name, or -1 when the pod is no member by name. */
export function ordinalOf(set: KubeObject, pod: KubeObject): number {
  const prefix = `${set.metadata.name}-`;
  const rest = pod.metadata.name.startsWith(prefix) ? pod.metadata.name.slice(prefix.length) : "";
  return /^(0|[1-9]\d*)$/.test(rest) ? Number(rest) : -1;
}

export const claimName = (set: KubeObject, template: KubeObject, ordinal: number): string =>
  `${template.metadata.name}-${set.metadata.name}-${ordinal}`;

const claimTemplates = (set: KubeObject): KubeObject[] => set["spec"].volumeClaimTemplates ?? [];

export function podOf(set: KubeObject, ordinal: number, revision: KubeObject): KubeObject {
  const template = templateOf(revision);
  const name = `${set.metadata.name}-${ordinal}`;
  const claims = claimTemplates(set);
  const names = new Set(claims.map((c) => c.metadata.name));
  const volumes = [
    ...(template.spec?.volumes ?? []).filter((v: any) => !names.has(v.name)),
    ...claims.map((c) => ({ name: c.metadata.name, persistentVolumeClaim: { claimName: claimName(set, c, ordinal) } })),
  ];
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name,
      namespace: set.metadata.namespace as string,
      labels: {
        ...template.metadata?.labels,
        [POD_NAME_LABEL]: name,
        [POD_INDEX_LABEL]: String(ordinal),
        [REVISION_LABEL]: revision.metadata.name,
      },
      ...(template.metadata?.annotations ? { annotations: { ...template.metadata.annotations } } : {}),
      ...(template.metadata?.finalizers ? { finalizers: [...template.metadata.finalizers] } : {}),
      ownerReferences: [controllerReference(set, Resources.statefulSets)],
    },
    spec: {
      ...template.spec,
      hostname: name,
      ...(set["spec"].serviceName ? { subdomain: set["spec"].serviceName } : {}),
      ...(volumes.length > 0 ? { volumes } : {}),
    },
  };
}

/** True when the labels still say who the pod is. */
export function hasIdentity(set: KubeObject, pod: KubeObject): boolean {
  const ordinal = ordinalOf(set, pod);
  return pod.metadata.labels?.[POD_NAME_LABEL] === pod.metadata.name && pod.metadata.labels[POD_INDEX_LABEL] === String(ordinal);
}

/** True when the pod's volumes name the claims of its ordinal. */
export function hasStorage(set: KubeObject, pod: KubeObject): boolean {
  const ordinal = ordinalOf(set, pod);
  return claimTemplates(set).every((c) =>
    (pod["spec"].volumes ?? []).some(
      (v: any) => v.name === c.metadata.name && v.persistentVolumeClaim?.claimName === claimName(set, c, ordinal),
    ),
  );
}

/** The claims of an ordinal, owned as the retention policy says. */
export function claimsOf(set: KubeObject, ordinal: number): KubeObject[] {
  return claimTemplates(set).map((c) => ({
    apiVersion: "v1",
    kind: "PersistentVolumeClaim",
    metadata: {
      name: claimName(set, c, ordinal),
      namespace: set.metadata.namespace as string,
      labels: { ...c.metadata.labels, ...set["spec"].selector?.matchLabels },
      ...(c.metadata.annotations ? { annotations: { ...c.metadata.annotations } } : {}),
    },
    spec: c["spec"],
  }));
}

export interface Retention {
  whenDeleted: "Retain" | "Delete";
  whenScaled: "Retain" | "Delete";
}

export function retentionOf(set: KubeObject): Retention {
  const p = set["spec"].persistentVolumeClaimRetentionPolicy ?? {};
  return { whenDeleted: p.whenDeleted ?? "Retain", whenScaled: p.whenScaled ?? "Retain" };
}

/** The owner references that a claim should have: the set's when it goes with the set, the pod's when it goes with a condemned pod. */
export function claimOwners(set: KubeObject, claim: KubeObject, condemnedPod: KubeObject | undefined): any[] | undefined {
  const r = retentionOf(set);
  const uid = set.metadata.uid;
  const others = (claim.metadata.ownerReferences ?? []).filter(
    (o) => o.uid !== uid && !(o.kind === "Pod" && o.name.startsWith(`${set.metadata.name}-`)),
  );
  // Somebody else controls the claim: it is theirs.
  if (others.some((o) => o.controller)) return undefined;
  const wanted: any[] = [...others];
  if (r.whenScaled === "Delete" && condemnedPod) wanted.push(controllerReference(condemnedPod, Resources.pods));
  else if (r.whenDeleted === "Delete") wanted.push(controllerReference(set, Resources.statefulSets));
  return wanted;
}
