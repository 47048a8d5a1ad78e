// Deployment: which ReplicaSets should exist and how large they should be. Pure: a Deployment, its ReplicaSets, the pods of the
// old ones and the time in, actions out. Follows apps/v1 Deployment and kubectl's expectations of its annotations and events.
// Invariant: with the specification reached and the status right, the plan is empty.
import { controllerReference, type KubeObject, Resources } from "@podwire/client";
import type { Action } from "../../actions.ts";
import { equal } from "../../equality.ts";
import { isTerminal, isTerminating } from "../../pods/status.ts";
import { templateHash } from "../../template-hash.ts";
import {
  annotatedNumber,
  annotateNewSet,
  annotateReplicas,
  byCreation,
  DESIRED_REPLICAS,
  findNewSet,
  maxRevision,
  REVISION,
  ROLLBACK_TO,
  revisionOfSet,
  sameTemplate,
  TEMPLATE_HASH_LABEL,
} from "./revisions.ts";
import { availableOf, isRolling, maxSurge, maxUnavailable, newSetSize, proportionalSizes, replicasOf, sumOf } from "./sizes.ts";
import { conditionOf, countStatus, deadlineCheckMs, hasDeadline, isComplete, rolloutStatus, setCondition } from "./status.ts";

export interface DeploymentState {
  deployment: KubeObject;
  /** ReplicaSets that it controls. */
  replicaSets: readonly KubeObject[];
  /** Pods of a set. */
  podsOf(rs: KubeObject): readonly KubeObject[];
  nowMs: number;
}

export interface DeploymentPlan {
  actions: Action[];
  requeueAfterMs?: number | undefined;
}

export function planDeployment(s: DeploymentState): DeploymentPlan {
  return new Planner(s).plan();
}

class Planner {
  readonly #s: DeploymentState;
  /** Working copies: what the API will hold when the actions so far were carried out. */
  readonly #d: KubeObject;
  #sets: KubeObject[];
  readonly #changed = new Map<KubeObject, { events: Action[] }>();
  readonly #actions: Action[] = [];

  constructor(s: DeploymentState) {
    this.#s = s;
    this.#d = { ...s.deployment, metadata: { ...s.deployment.metadata, annotations: { ...s.deployment.metadata.annotations } } };
    this.#sets = s.replicaSets.map((rs) => ({
      ...rs,
      spec: { ...rs["spec"] },
      metadata: { ...rs.metadata, annotations: { ...rs.metadata.annotations } },
    }));
  }

  plan(): DeploymentPlan {
    const selector = this.#d["spec"].selector ?? {};
    if (Object.keys(selector.matchLabels ?? {}).length === 0 && (selector.matchExpressions ?? []).length === 0) return this.#selectsAll();
    if (isTerminating(this.#d)) return this.#finish(this.#counted());
    const paused = this.#pauseConditions();
    if (paused) return this.#finish(paused);
    if (this.#d["spec"].paused) return this.#scaleOnly();
    if (this.#d.metadata.annotations?.[ROLLBACK_TO] !== undefined) return this.#rollback(this.#d.metadata.annotations[ROLLBACK_TO]);
    if (this.#wasScaled()) return this.#scaleOnly();
    return isRolling(this.#d) ? this.#roll() : this.#recreate();
  }

  #selectsAll(): DeploymentPlan {
    const object = this.#s.deployment;
    const actions: Action[] = [
      {
        do: "event",
        object,
        type: "Warning",
        reason: "SelectingAll",
        message: "This deployment is selecting all pods. A non-empty selector is required.",
      },
    ];
    if ((object["status"]?.observedGeneration ?? 0) < (object.metadata.generation ?? 0))
      actions.push({
        do: "updateStatus",
        ref: Resources.deployments,
        object: { ...object, status: { ...object["status"], observedGeneration: object.metadata.generation } },
      });
    return { actions };
  }

  /** The condition that says paused or resumed, when it must change now. */
  #pauseConditions(): Record<string, any> | undefined {
    const current = conditionOf(this.#d["status"], "Progressing");
    if (!hasDeadline(this.#d) || current?.reason === "ProgressDeadlineExceeded") return undefined;
    const marked = current?.reason === "DeploymentPaused";
    const paused = this.#d["spec"].paused === true;
    if (paused === marked) return undefined;
    const status = { ...this.#d["status"], conditions: [...(this.#d["status"]?.conditions ?? [])] };
    const [reason, message] = paused ? ["DeploymentPaused", "Deployment is paused"] : ["DeploymentResumed", "Deployment is resumed"];
    setCondition(status, { type: "Progressing", status: "Unknown", reason: reason as string, message: message as string }, this.#s.nowMs);
    return status;
  }

  #wasScaled(): boolean {
    return this.#sets.some((rs) => {
      if (replicasOf(rs) === 0) return false;
      const desired = annotatedNumber(rs, DESIRED_REPLICAS);
      return desired !== undefined && desired !== replicasOf(this.#d);
    });
  }

  #scaleOnly(): DeploymentPlan {
    const newSet = this.#newSet(false);
    const old = this.#sets.filter((rs) => rs !== newSet);
    this.#scale(newSet, old);
    if (this.#d["spec"].paused && this.#d.metadata.annotations?.[ROLLBACK_TO] === undefined) this.#cleanUp(old);
    return this.#finish(this.#counted(newSet));
  }

  #roll(): DeploymentPlan {
    const newSet = this.#newSet(true) as KubeObject;
    const old = this.#sets.filter((rs) => rs !== newSet);
    const grown = this.#resizeNew(newSet);
    if (
      !grown &&
      !this.#shrinkOld(
        newSet,
        old.filter((rs) => replicasOf(rs) > 0),
      ) &&
      isComplete(this.#d, this.#d["status"] ?? {})
    )
      this.#cleanUp(old);
    return this.#finish(rolloutStatus(this.#d, this.#sets, newSet, this.#s.nowMs));
  }

  #recreate(): DeploymentPlan {
    let newSet = this.#newSet(false);
    const old = this.#sets.filter((rs) => rs !== newSet);
    const active = old.filter((rs) => replicasOf(rs) > 0);
    for (const rs of active) this.#resize(rs, 0);
    const stillRunning = old.some((rs) => this.#s.podsOf(rs).some((p) => !isTerminal(p)));
    if (active.length === 0 && !stillRunning) {
      newSet ??= this.#newSet(true) as KubeObject;
      this.#resize(newSet, replicasOf(this.#d));
      if (isComplete(this.#d, this.#d["status"] ?? {})) this.#cleanUp(old);
    }
    return this.#finish(rolloutStatus(this.#d, this.#sets, newSet, this.#s.nowMs));
  }

  /** The set of the current template, with revision and annotations brought up to date; made when `create`. */
  #newSet(create: boolean): KubeObject | undefined {
    const existing = findNewSet(this.#d, this.#sets);
    const revision = String(maxRevision(this.#sets.filter((rs) => rs !== existing)) + 1);
    if (existing) {
      const minReady = this.#d["spec"].minReadySeconds ?? 0;
      const annotated = annotateNewSet(this.#d, existing, revision, true, 0, 0);
      if (annotated || (existing["spec"].minReadySeconds ?? 0) !== minReady) {
        if (minReady !== 0 || existing["spec"].minReadySeconds !== undefined) existing["spec"].minReadySeconds = minReady;
        this.#touch(existing);
      }
      this.#setRevision(existing.metadata.annotations?.[REVISION] as string);
      if (hasDeadline(this.#d) && !conditionOf(this.#d["status"], "Progressing"))
        this.#progress("FoundNewReplicaSet", `Found new replica set "${existing.metadata.name}"`);
      return existing;
    }
    if (!create) return undefined;
    const made = this.#makeSet(revision);
    this.#sets.push(made);
    this.#setRevision(revision);
    if (hasDeadline(this.#d)) this.#progress("NewReplicaSetCreated", `Created new replica set "${made.metadata.name}"`);
    return made;
  }

  #makeSet(revision: string): KubeObject {
    const d = this.#d;
    const hash = templateHash(d["spec"].template, d["status"]?.collisionCount);
    const labels = { ...d["spec"].template?.metadata?.labels, [TEMPLATE_HASH_LABEL]: hash };
    const rs: KubeObject = {
      apiVersion: "apps/v1",
      kind: "ReplicaSet",
      metadata: {
        name: `${d.metadata.name}-${hash}`,
        namespace: d.metadata.namespace as string,
        labels,
        ownerReferences: [controllerReference(d, Resources.deployments)],
      },
      spec: {
        replicas: 0,
        ...(d["spec"].minReadySeconds ? { minReadySeconds: d["spec"].minReadySeconds } : {}),
        selector: { ...d["spec"].selector, matchLabels: { ...d["spec"].selector.matchLabels, [TEMPLATE_HASH_LABEL]: hash } },
        template: { ...d["spec"].template, metadata: { ...d["spec"].template?.metadata, labels } },
      },
    };
    const size = newSetSize(d, [...this.#sets, rs], 0);
    rs["spec"].replicas = size;
    annotateNewSet(d, rs, revision, false, replicasOf(d), replicasOf(d) + maxSurge(d));
    this.#actions.push({ do: "create", ref: Resources.replicaSets, object: rs });
    if (size > 0) this.#actions.push(this.#scaled("up", rs, 0, size));
    return rs;
  }

  #setRevision(revision: string): void {
    (this.#d.metadata.annotations ??= {})[REVISION] = revision;
  }

  #progress(reason: string, message: string): void {
    const status = { ...this.#d["status"], conditions: [...(this.#d["status"]?.conditions ?? [])] };
    setCondition(status, { type: "Progressing", status: "True", reason, message }, this.#s.nowMs);
    this.#d["status"] = status;
  }

  #resizeNew(newSet: KubeObject): boolean {
    const want = replicasOf(this.#d);
    if (replicasOf(newSet) === want) return false;
    if (replicasOf(newSet) > want) return this.#resize(newSet, want);
    return this.#resize(newSet, newSetSize(this.#d, this.#sets, replicasOf(newSet)));
  }

  /** Takes pods from old sets: broken ones first, then as many as availability allows. True when something changed. */
  #shrinkOld(newSet: KubeObject, active: KubeObject[]): boolean {
    if (sumOf(active, replicasOf) === 0) return false;
    const minAvailable = replicasOf(this.#d) - maxUnavailable(this.#d);
    const newUnavailable = replicasOf(newSet) - availableOf(newSet);
    const maxDown = sumOf(this.#sets, replicasOf) - minAvailable - newUnavailable;
    if (maxDown <= 0) return false;
    active.sort(byCreation);
    let unhealthy = 0;
    for (const rs of active) {
      const broken = replicasOf(rs) - availableOf(rs);
      const n = Math.min(maxDown - unhealthy, broken);
      if (n <= 0) continue;
      this.#resize(rs, replicasOf(rs) - n);
      unhealthy += n;
    }
    const available = sumOf(this.#sets, availableOf);
    let left = available - minAvailable;
    let healthy = 0;
    for (const rs of active) {
      const n = Math.min(replicasOf(rs), left);
      if (n <= 0) continue;
      this.#resize(rs, replicasOf(rs) - n);
      left -= n;
      healthy += n;
    }
    return unhealthy + healthy > 0;
  }

  /** Follows a change of spec.replicas without rolling forward. */
  #scale(newSet: KubeObject | undefined, old: readonly KubeObject[]): void {
    const want = replicasOf(this.#d);
    const active = [...old, ...(newSet ? [newSet] : [])].filter((rs) => replicasOf(rs) > 0);
    const only = active.length === 0 ? (newSet ?? [...old].sort(byCreation).at(-1)) : active.length === 1 ? active[0] : undefined;
    if (only) {
      if (replicasOf(only) !== want) this.#resize(only, want);
      return;
    }
    if (newSet && replicasOf(newSet) === want && annotatedNumber(newSet, DESIRED_REPLICAS) === want && availableOf(newSet) === want) {
      for (const rs of old) if (replicasOf(rs) > 0) this.#resize(rs, 0);
      return;
    }
    if (!isRolling(this.#d)) return;
    for (const [rs, size] of proportionalSizes(this.#d, active)) this.#resize(rs, size, true);
  }

  /** True when the size changes. With `annotate` the size annotations are brought up to date even if it does not. */
  #resize(rs: KubeObject, size: number, annotate = false): boolean {
    const from = replicasOf(rs);
    if (from === size && !annotate) return false;
    const annotated = annotateReplicas(rs, replicasOf(this.#d), replicasOf(this.#d) + maxSurge(this.#d));
    if (from === size && !annotated) return false;
    rs["spec"].replicas = size;
    const change = this.#touch(rs);
    if (from !== size) change.events.push(this.#scaled(size > from ? "up" : "down", rs, from, size));
    return from !== size;
  }

  #scaled(direction: string, rs: KubeObject, from: number, to: number): Action {
    return {
      do: "event",
      object: this.#s.deployment,
      type: "Normal",
      reason: "ScalingReplicaSet",
      message: `Scaled ${direction} replica set ${rs.metadata.name} from ${from} to ${to}`,
    };
  }

  #touch(rs: KubeObject): { events: Action[] } {
    let change = this.#changed.get(rs);
    if (!change) this.#changed.set(rs, (change = { events: [] }));
    return change;
  }

  #cleanUp(old: readonly KubeObject[]): void {
    const limit = this.#d["spec"].revisionHistoryLimit;
    if (limit === undefined || limit === null) return;
    const cleanable = old.filter((rs) => !isTerminating(rs));
    const excess = cleanable.length - limit;
    if (excess <= 0) return;
    cleanable.sort((a, b) => revisionOfSet(a) - revisionOfSet(b) || byCreation(a, b));
    for (const rs of cleanable.slice(0, excess)) {
      const { status } = rs;
      if ((status?.replicas ?? 0) !== 0 || replicasOf(rs) !== 0 || (rs.metadata.generation ?? 0) > (status?.observedGeneration ?? 0))
        continue;
      this.#actions.push({ do: "delete", ref: Resources.replicaSets, namespace: rs.metadata.namespace ?? "", name: rs.metadata.name });
    }
  }

  /** kubectl of old asked for a rollback by annotation: take the template of that revision. */
  #rollback(to: string): DeploymentPlan {
    const newSet = this.#newSet(false);
    const revision =
      Number(to) ||
      [...this.#sets]
        .map(revisionOfSet)
        .filter((r) => r !== (newSet ? revisionOfSet(newSet) : -1))
        .sort((a, b) => b - a)[0] ||
      0;
    const source = this.#sets.find((rs) => revisionOfSet(rs) === revision);
    const { [ROLLBACK_TO]: _, ...annotations } = this.#d.metadata.annotations ?? {};
    const object: KubeObject = { ...this.#s.deployment, metadata: { ...this.#s.deployment.metadata, annotations } };
    const say = (type: "Normal" | "Warning", reason: string, message: string): Action => ({
      do: "event",
      object: this.#s.deployment,
      type,
      reason,
      message,
    });
    let event: Action;
    if (!source) event = say("Warning", "DeploymentRollbackRevisionNotFound", "Unable to find the revision to rollback to.");
    else if (sameTemplate(source["spec"].template, this.#d["spec"].template))
      event = say(
        "Warning",
        "DeploymentRollbackTemplateUnchanged",
        `The rollback revision contains the same template as current deployment "${this.#d.metadata.name}"`,
      );
    else {
      const { [TEMPLATE_HASH_LABEL]: __, ...labels } = source["spec"].template?.metadata?.labels ?? {};
      object["spec"] = {
        ...object["spec"],
        template: { ...source["spec"].template, metadata: { ...source["spec"].template.metadata, labels } },
      };
      event = say("Normal", "DeploymentRollback", `Rolled back deployment "${this.#d.metadata.name}" to revision ${revision}`);
    }
    return { actions: [...this.#actions, { do: "update", ref: Resources.deployments, object }, event] };
  }

  #counted(newSet: KubeObject | undefined = findNewSet(this.#d, this.#sets)): Record<string, any> {
    return countStatus(this.#d, this.#sets, newSet, this.#s.nowMs);
  }

  #finish(status: Record<string, any>): DeploymentPlan {
    const actions = [...this.#actions];
    for (const [rs, change] of this.#changed) actions.push({ do: "update", ref: Resources.replicaSets, object: rs }, ...change.events);
    const before = this.#s.deployment;
    // A condition set on the way (a new set was made) is in the copy; rolloutStatus started from it.
    if (!equal(before["status"] ?? {}, status) || !equal(before.metadata.annotations ?? {}, this.#d.metadata.annotations ?? {}))
      actions.push({ do: "updateStatus", ref: Resources.deployments, object: { ...before, metadata: this.#d.metadata, status } });
    return { actions, requeueAfterMs: deadlineCheckMs({ ...this.#d, status }, status, this.#s.nowMs) };
  }
}
