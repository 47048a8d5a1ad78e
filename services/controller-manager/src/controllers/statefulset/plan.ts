// StatefulSet: pods with names, one after the other (or all at once), each with its claims; updates from the highest ordinal down.
// Pure: the set, its pods and revisions and the time in; actions and the status out. One call gives the steps until the first one
// that must be waited for. Follows apps/v1 StatefulSet.
import { type KubeObject, Resources } from "@podwire/client";
import type { Action } from "../../actions.ts";
import { isAvailable, isReady, isTerminating, phaseOf } from "../../pods/status.ts";
import {
  claimOwners,
  claimsOf,
  hasIdentity,
  hasStorage,
  ordinalOf,
  POD_INDEX_LABEL,
  POD_NAME_LABEL,
  podOf,
  REVISION_LABEL,
} from "./identity.ts";

export interface StatefulState {
  set: KubeObject;
  pods: readonly KubeObject[];
  current: KubeObject;
  update: KubeObject;
  claim(name: string): KubeObject | undefined;
  nowMs: number;
}

export interface StatefulPlan {
  actions: Action[];
  status: Record<string, any>;
}

const running = (p: KubeObject | undefined): boolean => p !== undefined && phaseOf(p) === "Running" && isReady(p);

export function planStatefulSet(s: StatefulState): StatefulPlan {
  return new Planner(s).plan();
}

class Planner {
  readonly #s: StatefulState;
  readonly #actions: Action[] = [];
  readonly #minReady: number;
  readonly #oneByOne: boolean;
  readonly #start: number;
  readonly #replicas: number;
  /** Members by position; undefined where the pod does not exist. */
  readonly #members: (KubeObject | undefined)[];
  readonly #condemned: KubeObject[];
  readonly #n = { replicas: 0, ready: 0, available: 0, current: 0, updated: 0 };

  constructor(s: StatefulState) {
    this.#s = s;
    const spec = s.set["spec"];
    this.#minReady = spec.minReadySeconds ?? 0;
    this.#oneByOne = (spec.podManagementPolicy ?? "OrderedReady") !== "Parallel";
    this.#start = spec.ordinals?.start ?? 0;
    this.#replicas = spec.replicas ?? 1;
    this.#members = new Array(this.#replicas).fill(undefined);
    this.#condemned = [];
    for (const pod of s.pods) {
      const at = ordinalOf(s.set, pod) - this.#start;
      if (at >= 0 && at < this.#replicas) this.#members[at] = pod;
      else if (at + this.#start >= 0) this.#condemned.push(pod);
    }
    this.#condemned.sort((a, b) => ordinalOf(s.set, b) - ordinalOf(s.set, a));
    this.#count();
  }

  #count(): void {
    const { set, pods, current, update, nowMs } = this.#s;
    for (const p of pods) {
      if (ordinalOf(set, p) < 0) continue;
      this.#n.replicas++;
      if (running(p)) {
        this.#n.ready++;
        if (isAvailable(p, this.#minReady, nowMs)) this.#n.available++;
      }
      if (isTerminating(p)) continue;
      const revision = p.metadata.labels?.[REVISION_LABEL];
      if (revision === current.metadata.name) this.#n.current++;
      if (revision === update.metadata.name) this.#n.updated++;
    }
  }

  plan(): StatefulPlan {
    if (!isTerminating(this.#s.set) && !this.#build()) if (!this.#condemn()) this.#roll();
    return { actions: this.#actions, status: this.#status() };
  }

  /** Makes members exist and be healthy, from the lowest. True: wait here. */
  #build(): boolean {
    for (let i = 0; i < this.#replicas; i++) if (this.#buildOne(i, this.#members[i])) return true;
    return false;
  }

  #buildOne(i: number, pod: KubeObject | undefined): boolean {
    const { set, nowMs } = this.#s;
    const ordinal = this.#start + i;
    if (!pod) {
      const revision = this.#revisionFor(ordinal);
      this.#ensureClaims(ordinal, undefined);
      const made = podOf(set, ordinal, revision);
      this.#actions.push({ do: "create", ref: Resources.pods, object: made });
      this.#say("Normal", "SuccessfulCreate", `create Pod ${made.metadata.name} in StatefulSet ${set.metadata.name} successful`);
      this.#n.replicas++;
      if (revision.metadata.name === this.#s.current.metadata.name) this.#n.current++;
      if (revision.metadata.name === this.#s.update.metadata.name) this.#n.updated++;
      return this.#oneByOne;
    }
    const phase = phaseOf(pod);
    if (phase === "Failed" || phase === "Succeeded") {
      if (!isTerminating(pod)) this.#delete(pod);
      return true;
    }
    if (phase === "Pending" && !isTerminating(pod)) this.#ensureClaims(ordinal, pod);
    if (isTerminating(pod)) return this.#oneByOne;
    if (this.#oneByOne && !(running(pod) && isAvailable(pod, this.#minReady, nowMs))) return true;
    this.#ensureClaims(ordinal, undefined, false);
    if (!hasIdentity(set, pod)) {
      const labels = { [POD_NAME_LABEL]: pod.metadata.name, [POD_INDEX_LABEL]: String(ordinal) };
      this.#actions.push({
        do: "patch",
        ref: Resources.pods,
        namespace: pod.metadata.namespace ?? "",
        name: pod.metadata.name,
        type: "merge",
        patch: { metadata: { labels } },
      });
      this.#say("Normal", "SuccessfulUpdate", `update Pod ${pod.metadata.name} in StatefulSet ${set.metadata.name} successful`);
    } else if (!hasStorage(set, pod)) this.#ensureClaims(ordinal, pod);
    return false;
  }

  /** Removes members past the size, the highest first. True: wait here. */
  #condemn(): boolean {
    const { nowMs } = this.#s;
    const all = [...this.#members, ...[...this.#condemned].reverse()];
    const firstUnhealthy = all.find((p) => p && !(running(p) && !isTerminating(p)));
    for (const pod of this.#condemned) {
      if (isTerminating(pod)) {
        if (this.#oneByOne) return true;
        continue;
      }
      const healthy = running(pod) && isAvailable(pod, this.#minReady, nowMs);
      if (this.#oneByOne && !healthy && pod !== firstUnhealthy) return true;
      this.#ensureClaims(ordinalOf(this.#s.set, pod), pod, false, true);
      this.#delete(pod);
      if (this.#oneByOne) return true;
    }
    return false;
  }

  /** Replaces members of other revisions, the highest first, one at a time. */
  #roll(): void {
    const strategy = this.#s.set["spec"].updateStrategy;
    if (strategy?.type === "OnDelete") return;
    const partition = Math.max(0, (strategy?.rollingUpdate?.partition ?? 0) - this.#start);
    for (let i = this.#replicas - 1; i >= partition; i--) {
      const pod = this.#members[i];
      if (!pod) continue;
      if (pod.metadata.labels?.[REVISION_LABEL] !== this.#s.update.metadata.name && !isTerminating(pod)) {
        this.#delete(pod);
        return;
      }
      if (!running(pod) || isTerminating(pod)) return;
    }
  }

  /** Which revision a missing member gets: below the partition (or not reached by the update yet) the current one. */
  #revisionFor(ordinal: number): KubeObject {
    const { set, current, update } = this.#s;
    const strategy = set["spec"].updateStrategy;
    const rolling = strategy?.rollingUpdate;
    if (strategy?.type !== "OnDelete" && rolling === undefined) {
      const n = set["status"]?.currentReplicas ?? 0;
      return ordinal < this.#start + n ? current : update;
    }
    if (strategy?.type === "OnDelete") return update;
    return ordinal < Math.max(this.#start, rolling.partition ?? 0) ? current : update;
  }

  /** Creates claims that are missing and sets owners by the retention policy. */
  #ensureClaims(ordinal: number, pod: KubeObject | undefined, create = true, condemned = false): void {
    const { set } = this.#s;
    for (const wanted of claimsOf(set, ordinal)) {
      const existing = this.#s.claim(wanted.metadata.name);
      const owners = claimOwners(set, existing ?? wanted, condemned ? pod : undefined);
      if (!existing) {
        if (!create) continue;
        const object = owners && owners.length > 0 ? { ...wanted, metadata: { ...wanted.metadata, ownerReferences: owners } } : wanted;
        this.#actions.push({ do: "create", ref: Resources.persistentVolumeClaims, object });
        const podName = `${set.metadata.name}-${ordinal}`;
        this.#say(
          "Normal",
          "SuccessfulCreate",
          `create Claim ${wanted.metadata.name} Pod ${podName} in StatefulSet ${set.metadata.name} success`,
        );
      } else if (owners && !isTerminating(existing) && differ(owners, existing.metadata.ownerReferences ?? []))
        this.#actions.push({
          do: "patch",
          ref: Resources.persistentVolumeClaims,
          namespace: existing.metadata.namespace ?? "",
          name: existing.metadata.name,
          type: "merge",
          patch: { metadata: { resourceVersion: existing.metadata.resourceVersion, ownerReferences: owners.length > 0 ? owners : null } },
        });
    }
  }

  #delete(pod: KubeObject): void {
    const { set, current, update } = this.#s;
    this.#actions.push({
      do: "delete",
      ref: Resources.pods,
      namespace: pod.metadata.namespace ?? "",
      name: pod.metadata.name,
      options: { preconditions: { uid: pod.metadata.uid ?? "" } },
    });
    this.#say("Normal", "SuccessfulDelete", `delete Pod ${pod.metadata.name} in StatefulSet ${set.metadata.name} successful`);
    const revision = pod.metadata.labels?.[REVISION_LABEL];
    if (revision === current.metadata.name) this.#n.current--;
    if (revision === update.metadata.name) this.#n.updated--;
  }

  #say(type: "Normal" | "Warning", reason: string, message: string): void {
    this.#actions.push({ do: "event", object: this.#s.set, type, reason, message });
  }

  #status(): Record<string, any> {
    const { set, current, update } = this.#s;
    const n = this.#n;
    let currentName = current.metadata.name;
    let currentReplicas = n.current;
    const done =
      set["spec"].updateStrategy?.type !== "OnDelete" &&
      n.updated === this.#replicas &&
      n.ready === this.#replicas &&
      n.replicas === this.#replicas;
    if (done && !isTerminating(set)) {
      currentName = update.metadata.name;
      currentReplicas = n.updated;
    }
    return {
      observedGeneration: set.metadata.generation ?? 0,
      replicas: n.replicas,
      ...(n.ready > 0 ? { readyReplicas: n.ready } : {}),
      ...(currentReplicas > 0 ? { currentReplicas } : {}),
      ...(n.updated > 0 ? { updatedReplicas: n.updated } : {}),
      currentRevision: currentName,
      updateRevision: update.metadata.name,
      collisionCount: set["status"]?.collisionCount ?? 0,
      availableReplicas: n.available,
      ...(set["status"]?.conditions ? { conditions: set["status"].conditions } : {}),
    };
  }
}

function differ(a: readonly any[], b: readonly any[]): boolean {
  const key = (o: any) => `${o.uid}/${o.controller === true}/${o.blockOwnerDeletion === true}`;
  return a.map(key).sort().join() !== b.map(key).sort().join();
}
