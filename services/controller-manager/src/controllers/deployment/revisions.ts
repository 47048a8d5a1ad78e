// Revisions and annotations that tie a Deployment to its ReplicaSets (deployment util). Pure; objects are changed in place
// only when they are working copies of the plan.
import { type KubeObject, timeMs } from "@podwire/client";
import { equal } from "../../equality.ts";

export const REVISION = "deployment.kubernetes.io/revision";
export const REVISION_HISTORY = "deployment.kubernetes.io/revision-history";
export const DESIRED_REPLICAS = "deployment.kubernetes.io/desired-replicas";
export const MAX_REPLICAS = "deployment.kubernetes.io/max-replicas";
export const ROLLBACK_TO = "deprecated.deployment.rollback.to";
export const TEMPLATE_HASH_LABEL = "pod-template-hash";

const NOT_COPIED = new Set([
  "kubectl.kubernetes.io/last-applied-configuration",
  REVISION,
  REVISION_HISTORY,
  DESIRED_REPLICAS,
  MAX_REPLICAS,
  ROLLBACK_TO,
]);

/** Characters of the list of past revisions in an annotation. */
const MAX_HISTORY_LENGTH = 2000;

export function revisionOfSet(rs: KubeObject): number {
  const text = rs.metadata.annotations?.[REVISION];
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : 0;
}

export function maxRevision(sets: readonly KubeObject[]): number {
  let max = 0;
  for (const rs of sets) max = Math.max(max, revisionOfSet(rs));
  return max;
}

/** The template without the hash label, which differs between the sets of one Deployment. */
function withoutHash(template: any): any {
  const labels = template?.metadata?.labels;
  if (labels?.[TEMPLATE_HASH_LABEL] === undefined) return template;
  const { [TEMPLATE_HASH_LABEL]: _, ...rest } = labels;
  return { ...template, metadata: { ...template.metadata, labels: rest } };
}

export function sameTemplate(a: any, b: any): boolean {
  const x = withoutHash(a);
  const y = withoutHash(b);
  const { metadata: mx, ...sx } = x ?? {};
  const { metadata: my, ...sy } = y ?? {};
  return equal(sx, sy) && equal(nonEmpty(mx), nonEmpty(my));
}

function nonEmpty(meta: any): any {
  const { creationTimestamp: _, labels, annotations, ...rest } = meta ?? {};
  return {
    ...rest,
    ...(labels && Object.keys(labels).length > 0 ? { labels } : {}),
    ...(annotations && Object.keys(annotations).length > 0 ? { annotations } : {}),
  };
}

export function byCreation(a: KubeObject, b: KubeObject): number {
  const d = (timeMs(a.metadata.creationTimestamp) ?? 0) - (timeMs(b.metadata.creationTimestamp) ?? 0);
  return d !== 0 ? d : a.metadata.name < b.metadata.name ? -1 : 1;
}

/** The oldest set with the Deployment's template: the newest revision. */
export function findNewSet(deployment: KubeObject, sets: readonly KubeObject[]): KubeObject | undefined {
  return [...sets].sort(byCreation).find((rs) => sameTemplate(rs["spec"].template, deployment["spec"].template));
}

/** Writes the annotations of the newest set into `rs`; true when something changed. */
export function annotateNewSet(
  deployment: KubeObject,
  rs: KubeObject,
  newRevision: string,
  exists: boolean,
  desired: number,
  max: number,
): boolean {
  let changed = false;
  const annotations = (rs.metadata.annotations ??= {});
  for (const [k, v] of Object.entries(deployment.metadata.annotations ?? {}))
    if (!NOT_COPIED.has(k) && annotations[k] !== v) {
      annotations[k] = v;
      changed = true;
    }
  const oldText = annotations[REVISION];
  const old = oldText !== undefined && /^\d+$/.test(oldText) ? Number(oldText) : 0;
  if (old < Number(newRevision)) {
    annotations[REVISION] = newRevision;
    changed = true;
    if (oldText !== undefined && oldText !== "") {
      let past = annotations[REVISION_HISTORY] ? [...annotations[REVISION_HISTORY].split(","), oldText] : [oldText];
      while (past.length > 1 && past.join(",").length > MAX_HISTORY_LENGTH) past = past.slice(1);
      annotations[REVISION_HISTORY] = past.join(",");
    }
  }
  if (!exists && annotateReplicas(rs, desired, max)) changed = true;
  return changed;
}

/** Writes the desired and maximal size into the annotations; true when something changed. */
export function annotateReplicas(rs: KubeObject, desired: number, max: number): boolean {
  const annotations = (rs.metadata.annotations ??= {});
  const changed = annotations[DESIRED_REPLICAS] !== String(desired) || annotations[MAX_REPLICAS] !== String(max);
  annotations[DESIRED_REPLICAS] = String(desired);
  annotations[MAX_REPLICAS] = String(max);
  return changed;
}

/** A number out of an annotation of a set; undefined when absent or nonsense. */
export function annotatedNumber(rs: KubeObject, key: string): number | undefined {
  const text = rs.metadata.annotations?.[key];
  return text !== undefined && /^-?\d+$/.test(text) ? Number(text) : undefined;
}
