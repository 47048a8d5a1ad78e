// ControllerRevisions (apps/v1): the past templates of StatefulSets and DaemonSets. Pure planning; the shells write.
// Invariants: equal templates have one revision; the newest used template has the highest number; live revisions are never removed.
import { controllerReference, type KubeObject, type ResourceRef, Resources, timeMs } from "@podwire/client";
import type { Action } from "./actions.ts";
import { canonical, equal } from "./equality.ts";
import { fnv32a, safeEncode } from "./template-hash.ts";

/** What a revision holds: a strategic merge patch that puts the template back. kubectl's rollout undo sends it as it is. */
export function revisionData(owner: KubeObject): object {
  return { spec: { template: { ...owner["spec"].template, $patch: "replace" } } };
}

export interface HistoryInput {
  owner: KubeObject;
  ownerRef: ResourceRef;
  /** Revisions that the owner controls. */
  revisions: readonly KubeObject[];
  /** Label that holds the hash. */
  hashLabel: string;
  collisionCount: number;
  annotations?: Record<string, string>;
}

export interface History {
  /** The revision of the current template; when `actions` create or change it, as it will be. */
  update: KubeObject;
  /** All, oldest first, `update` included. */
  all: KubeObject[];
  actions: Action[];
}

export const byRevision = (a: KubeObject, b: KubeObject): number =>
  a["revision"] - b["revision"] ||
  (timeMs(a.metadata.creationTimestamp) ?? 0) - (timeMs(b.metadata.creationTimestamp) ?? 0) ||
  (a.metadata.name < b.metadata.name ? -1 : 1);

export function planHistory(i: HistoryInput): History {
  const all = [...i.revisions].sort(byRevision);
  const data = revisionData(i.owner);
  const next = (all.at(-1)?.["revision"] ?? 0) + 1;
  const same = all.filter((r) => equal(r["data"], data));
  const found = same.at(-1);
  if (found && found === all.at(-1)) return { update: found, all, actions: [] };
  if (found) {
    // A rollback: the old revision becomes the newest.
    const update = { ...found, revision: next };
    return {
      update,
      all: [...all.filter((r) => r !== found), update],
      actions: [{ do: "update", ref: Resources.controllerRevisions, object: update }],
    };
  }
  const hash = safeEncode(String(fnv32a(canonical(data) + (i.collisionCount > 0 ? String(i.collisionCount) : ""))));
  const update: KubeObject = {
    apiVersion: "apps/v1",
    kind: "ControllerRevision",
    metadata: {
      name: `${i.owner.metadata.name}-${hash}`,
      namespace: i.owner.metadata.namespace as string,
      labels: { ...i.owner["spec"].template?.metadata?.labels, [i.hashLabel]: hash },
      ...(i.annotations && Object.keys(i.annotations).length > 0 ? { annotations: i.annotations } : {}),
      ownerReferences: [controllerReference(i.owner, i.ownerRef)],
    },
    data,
    revision: next,
  };
  return { update, all: [...all, update], actions: [{ do: "create", ref: Resources.controllerRevisions, object: update }] };
}

/** Deletes what exceeds the history limit, oldest first, never what `live` names. */
export function planTruncation(all: readonly KubeObject[], live: ReadonlySet<string>, limit: number): Action[] {
  const dead = [...all].sort(byRevision).filter((r) => !live.has(r.metadata.name));
  return dead.slice(0, Math.max(0, dead.length - limit)).map((r) => ({
    do: "delete",
    ref: Resources.controllerRevisions,
    namespace: r.metadata.namespace ?? "",
    name: r.metadata.name,
  }));
}

/** The template that a revision holds. */
export function templateOf(revision: KubeObject): any {
  const { $patch: _, ...template } = revision["data"]?.spec?.template ?? {};
  return template;
}
