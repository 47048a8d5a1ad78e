// The scheduler's shell: caches and queue fed by informers, one decision after the other, bindings in the background.
// Invariants: decisions are serial, so that each sees what the one before assumed; nothing is written while not leading; an
// assumed pod whose binding fails is forgotten and comes back through the queue.
import { type Clock, type Logger, PodwireError, type Random, reasonOf } from "@podwire/base";
import type { Bus } from "@podwire/bus";
import {
  type ApiClient,
  type EventRecorder,
  eventRecorder,
  InformerSet,
  isConflict,
  isNotFound,
  type KubeObject,
  objectKey,
  Resources,
  time,
} from "@podwire/client";
import { defaultSelectorOf } from "./default-selector.ts";
import { EXPLAIN, EXPLANATION, type Explanation, explanationOf } from "./explanation.ts";
import { SchedulerCache } from "./framework/cache.ts";
import { fitMessage, GATED, NO_NODES } from "./framework/messages.ts";
import { type PodInfo, podInfo } from "./framework/pod-info.ts";
import { type Failure, type Profile, schedule } from "./framework/schedule.ts";
import { Nominator } from "./nominator.ts";
import { type LimitSources, nodeVolumeLimits } from "./plugins/node-volume-limits.ts";
import { decideFor, isBound, type VolumeDecision, volumeBinding } from "./plugins/volume-binding.ts";
import { volumeRestrictions } from "./plugins/volume-restrictions.ts";
import { volumeZone } from "./plugins/volume-zone.ts";
import { type Candidate, planPreemption } from "./preemption.ts";
import { DEFAULT_SCHEDULER, defaultProfile } from "./profiles.ts";
import { type QueuedPod, SchedulingQueue } from "./queue/scheduling-queue.ts";

export interface SchedulerOptions {
  client: ApiClient;
  bus: Bus | undefined;
  clock: Clock;
  random: Random;
  log: Logger;
  schedulerName?: string;
  percentageOfNodesToScore?: number;
  /** Names this process in events. */
  instance?: string;
  podInitialBackoffMs?: number;
  podMaxBackoffMs?: number;
}

export interface Scheduler {
  start(): Promise<void>;
  stop(): Promise<void>;
  counters(): Record<string, unknown>;
  /** Per node, which plugin refuses the pod or how each scores it; undefined when the pod is not known. */
  explain(namespace: string, name: string): Explanation | undefined;
}

/** Bindings under way; decisions wait when there are more. */
const MAX_BINDINGS = 128;
/** Decisions in a row before input is let in. */
const DECISIONS_PER_TURN = 8;
/** How long a pod waits for its claims to be bound, and how often it looks. */
const BIND_TIMEOUT_MS = 600_000;
const BIND_POLL_MS = 50;
/** What the resource claim plugin adds to every unschedulable pod's message: it has nothing to take back. */
const NO_CLAIMS = "no new claims to deallocate";
/** ... and when another plugin refused the pod before it had looked. */
const NO_STATE = "not found";

export function scheduler(o: SchedulerOptions): Scheduler {
  return new SchedulerService(o);
}

class SchedulerService implements Scheduler {
  readonly #o: SchedulerOptions;
  readonly #name: string;
  readonly #informers: InformerSet;
  readonly #cache: SchedulerCache;
  readonly #queue: SchedulingQueue;
  readonly #profile: Profile;
  readonly #nominator = new Nominator();
  readonly #volumes: LimitSources;
  /** Volumes that are being bound, to which claim. */
  readonly #taken = new Map<string, string>();
  readonly #recorder: EventRecorder;
  readonly #counters = { decisions: 0, bound: 0, unschedulable: 0, errors: 0, preemptions: 0 };
  #bindings = 0;
  #slotFree: (() => void) | undefined;
  #start = 0;
  #stopped = false;
  #loop: Promise<void> = Promise.resolve();

  constructor(o: SchedulerOptions) {
    this.#o = o;
    this.#name = o.schedulerName ?? DEFAULT_SCHEDULER;
    this.#informers = new InformerSet(o);
    const namespaces = this.#informers.of(Resources.namespaces);
    this.#cache = new SchedulerCache((ns) => namespaces.lister.get("", ns)?.metadata.labels);
    this.#queue = new SchedulingQueue(o.clock, o.podInitialBackoffMs, o.podMaxBackoffMs);
    const sources = {
      services: this.#informers.of(Resources.services),
      replicaSets: this.#informers.of(Resources.replicaSets),
      replicationControllers: this.#informers.of(Resources.replicationControllers),
      statefulSets: this.#informers.of(Resources.statefulSets),
    };
    const claims = this.#informers.of(Resources.persistentVolumeClaims).lister;
    const volumes = this.#informers.of(Resources.persistentVolumes).lister;
    const classes = this.#informers.of(Resources.storageClasses).lister;
    const csiNodes = this.#informers.of(Resources.csiNodes).lister;
    const attachments = this.#informers.of(Resources.volumeAttachments);
    attachments.addIndex("node", (a) => [a["spec"].nodeName]);
    this.#volumes = {
      csiNode: (name) => csiNodes.get("", name),
      attachments: (node) => attachments.lister.byIndex("node", node),
      claim: (ns, name) => claims.get(ns, name),
      volume: (name) => volumes.get("", name),
      volumes: () => volumes.list(),
      storageClass: (name) => classes.get("", name),
      takenBy: (name) => this.#taken.get(name),
    };
    this.#profile = defaultProfile({
      schedulerName: this.#name,
      percentageOfNodesToScore: o.percentageOfNodesToScore ?? 0,
      defaultSelector: (c) => defaultSelectorOf(sources, c.pod),
      volumes: [
        volumeRestrictions(this.#volumes),
        nodeVolumeLimits(this.#volumes),
        volumeBinding(this.#volumes),
        volumeZone(this.#volumes),
      ],
    });
    this.#followStorage();
    this.#recorder = eventRecorder({
      client: o.client,
      clock: o.clock,
      random: o.random,
      log: o.log,
      component: this.#name,
      newStyle: { instance: o.instance ?? this.#name },
    });
    this.#informers.of(Resources.podDisruptionBudgets);
    this.#followNodes();
    this.#followPods();
    namespaces.handle({ onUpdate: () => this.#queue.event({ kind: "namespace" }) });
  }

  async start(): Promise<void> {
    await this.#informers.start();
    if (!this.#stopped) this.#loop = this.#run();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#queue.close();
    this.#informers.stop();
    this.#slotFree?.();
    await this.#loop;
  }

  counters(): Record<string, unknown> {
    return {
      ...this.#counters,
      bindings: this.#bindings,
      queue: this.#queue.counts(),
      nodes: this.#cache.nodes.length,
      informers: this.#informers.counters(),
    };
  }

  #followNodes(): void {
    this.#informers.of(Resources.nodes).handle({
      onAdd: (node) => {
        this.#cache.setNode(node);
        this.#queue.event({ kind: "nodeAdd", node });
      },
      onUpdate: (node, old) => {
        const e = {
          kind: "nodeUpdate" as const,
          node,
          labels: differ(node.metadata.labels, old.metadata.labels),
          taints: differ(node["spec"]?.taints, old["spec"]?.taints),
          allocatable: differ(node["status"]?.allocatable, old["status"]?.allocatable),
          unschedulable: node["spec"]?.unschedulable !== old["spec"]?.unschedulable,
        };
        const images = differ(node["status"]?.images, old["status"]?.images);
        if (e.labels || e.taints || e.allocatable || e.unschedulable || images) this.#cache.setNode(node);
        if (e.labels || e.taints || e.allocatable || e.unschedulable) this.#queue.event(e);
      },
      onDelete: (node) => this.#cache.removeNode(node.metadata.name),
    });
  }

  #followStorage(): void {
    const changed = () => this.#queue.event({ kind: "storage" });
    this.#informers.of(Resources.volumeAttachments).handle({ onDelete: changed });
    for (const ref of [Resources.persistentVolumeClaims, Resources.persistentVolumes, Resources.storageClasses, Resources.csiNodes])
      this.#informers.of(ref).handle({ onAdd: changed, onUpdate: changed });
  }

  #followPods(): void {
    const onPod = (pod: KubeObject, old?: KubeObject) => {
      const finished = pod["status"]?.phase === "Succeeded" || pod["status"]?.phase === "Failed";
      if (finished) return this.#podGone(pod);
      const info = podInfo(pod);
      const node = pod["spec"]?.nodeName;
      if (node) {
        const shrunk = old?.["spec"]?.nodeName && differ(old["spec"].containers, pod["spec"].containers);
        const appears = !old?.["spec"]?.nodeName || differ(old.metadata.labels, pod.metadata.labels);
        this.#cache.setPod(info, node);
        this.#nominator.remove(info.uid);
        this.#queue.remove(info.uid);
        if (shrunk) this.#queue.event({ kind: "podGone", pod: info });
        if (appears) this.#queue.event({ kind: "podPlaced", pod: info });
        return;
      }
      if ((pod["spec"]?.schedulerName ?? DEFAULT_SCHEDULER) !== this.#name) return;
      if (info.terminating) return this.#podGone(pod);
      if (this.#cache.isAssumed(info.uid)) return;
      if (pod["status"]?.nominatedNodeName) this.#nominator.set(info, pod["status"].nominatedNodeName);
      else if (old?.["status"]?.nominatedNodeName) this.#nominator.remove(info.uid);
      this.#queue.set(info, (pod["spec"]?.schedulingGates ?? []).length === 0);
    };
    this.#informers.of(Resources.pods).handle({ onAdd: (pod) => onPod(pod), onUpdate: onPod, onDelete: (pod) => this.#podGone(pod) });
  }

  #podGone(pod: KubeObject): void {
    const uid = pod.metadata.uid ?? "";
    const placed = this.#cache.nodeOf(uid) !== undefined;
    this.#nominator.remove(uid);
    this.#queue.remove(uid);
    if (!placed) return;
    this.#cache.removePod(uid);
    this.#queue.event({ kind: "podGone", pod: podInfo(pod) });
  }

  async #run(): Promise<void> {
    let turn = 0;
    for (;;) {
      const q = await this.#queue.pop();
      if (!q || this.#stopped) return;
      while (this.#bindings >= MAX_BINDINGS && !this.#stopped) await new Promise<void>((resolve) => (this.#slotFree = resolve));
      try {
        this.#decide(q);
      } catch (e) {
        this.#counters.errors++;
        this.#o.log.error({ pod: q.pod.key, reason: reasonOf(e), stack: (e as Error)?.stack }, "a decision failed");
        this.#queue.failed(q, new Set(), true);
      }
      if (++turn % DECISIONS_PER_TURN === 0) await new Promise<void>((resolve) => this.#o.clock.soon(resolve));
    }
  }

  #decide(q: QueuedPod): void {
    this.#counters.decisions++;
    const pod = q.pod;
    const nodes = this.#cache.nodes.length;
    if (nodes === 0) {
      this.#refused(q, NO_NODES, new Set(), undefined);
      return;
    }
    const outcome = schedule(this.#profile, pod, this.#cache, {
      random: this.#o.random,
      start: this.#start % nodes,
      explain: pod.pod.metadata.annotations?.[EXPLAIN] === "true",
      ...(this.#nominator.size > 0 ? { nominated: (n: string) => this.#nominator.on(n) } : {}),
    });
    if (pod.pod.metadata.annotations?.[EXPLAIN] === "true") this.#annotate(pod, explanationOf(pod.key, outcome));
    if ("node" in outcome) {
      this.#start = (this.#start + outcome.evaluated) % nodes;
      this.#cache.assume(pod, outcome.node.name);
      this.#nominator.remove(pod.uid);
      this.#bindings++;
      void this.#bind(q, pod, outcome.node.name).finally(() => {
        this.#bindings--;
        const free = this.#slotFree;
        this.#slotFree = undefined;
        free?.();
      });
      return;
    }
    const { failure } = outcome;
    const after = this.#afterRefusal(pod, failure);
    if ("candidate" in after) this.#refused(q, fitMessage(failure), failure.plugins, after.candidate);
    else this.#refused(q, fitMessage(failure, after.message), failure.plugins, undefined);
  }

  #afterRefusal(pod: PodInfo, failure: Failure): { candidate: Candidate } | { message: string } {
    if (failure.preFilter) return { message: NO_STATE };
    const budgets = this.#informers.of(Resources.podDisruptionBudgets).lister.list();
    const start = this.#o.random.below(Math.max(1, failure.nodeCount));
    const result = planPreemption({ profile: this.#profile, pod, snapshot: this.#cache, failure, budgets, start });
    return "candidate" in result ? result : { message: `${NO_CLAIMS}, ${result.message}` };
  }

  async #bind(q: QueuedPod, pod: PodInfo, node: string): Promise<void> {
    const { namespace = "", name, uid = "" } = pod.pod.metadata;
    let decision: VolumeDecision | undefined;
    try {
      const info = this.#cache.get(node);
      decision = pod.claims.length > 0 && info ? decideFor(this.#volumes, pod, info) : undefined;
      if (decision) await this.#bindVolumes(decision, node);
      await this.#o.client.createSubresource(Resources.pods, namespace, name, "binding", {
        apiVersion: "v1",
        kind: "Binding",
        metadata: { namespace, name, uid },
        target: { kind: "Node", name: node },
      });
      this.#counters.bound++;
      this.#queue.done(pod.uid);
      this.#recorder.event(pod.pod, "Normal", "Scheduled", `Successfully assigned ${pod.key} to ${node}`, { action: "Binding" });
    } catch (e) {
      this.#cache.forget(pod.uid);
      this.#queue.event({ kind: "podGone", pod });
      if (isNotFound(e)) return this.#queue.done(pod.uid);
      this.#counters.errors++;
      this.#o.log.warn({ pod: pod.key, node, reason: reasonOf(e) }, "binding failed");
      const message = `binding rejected: ${reasonOf(e)}`;
      if (!isConflict(e)) this.#report(pod, message, "SchedulerError", undefined);
      this.#queue.failed(q, new Set(), true);
    } finally {
      for (const b of decision?.bind ?? []) this.#taken.delete(b.volume.metadata.name);
    }
  }

  /** Reserves volumes for waiting claims (or says on which node to provision) and waits until the binder has done its part. */
  async #bindVolumes(d: VolumeDecision, node: string): Promise<void> {
    const waiting = [...d.bind.map((b) => b.claim), ...d.provision];
    for (const { claim, volume } of d.bind) this.#taken.set(volume.metadata.name, objectKey(claim));
    for (const { claim, volume } of d.bind) {
      const { namespace, name, uid } = claim.metadata;
      await this.#o.client.patch(Resources.persistentVolumes, "", volume.metadata.name, "merge", {
        metadata: { resourceVersion: volume.metadata.resourceVersion, annotations: { "pv.kubernetes.io/bound-by-controller": "yes" } },
        spec: { claimRef: { kind: "PersistentVolumeClaim", apiVersion: "v1", namespace, name, uid } },
      });
    }
    for (const claim of d.provision)
      await this.#o.client.patch(Resources.persistentVolumeClaims, claim.metadata.namespace ?? "", claim.metadata.name, "merge", {
        metadata: { annotations: { "volume.kubernetes.io/selected-node": node } },
      });
    const end = this.#o.clock.monotonicMs() + BIND_TIMEOUT_MS;
    const unbound = () =>
      waiting.find((c) => {
        const live = this.#volumes.claim(c.metadata.namespace ?? "", c.metadata.name);
        return !live || !isBound(live);
      });
    for (let claim = unbound(); claim; claim = unbound()) {
      if (this.#stopped || this.#o.clock.monotonicMs() > end)
        throw new PodwireError(`timed out waiting for claim ${objectKey(claim)} to be bound`);
      await this.#o.clock.sleep(BIND_POLL_MS);
    }
  }

  /** The pod found no node: says so, makes room when there is a candidate, and waits for a change. */
  #refused(q: QueuedPod, message: string, plugins: ReadonlySet<string>, candidate: Candidate | undefined): void {
    this.#counters.unschedulable++;
    const pod = q.pod;
    if (candidate) this.#nominator.set(pod, candidate.node);
    this.#queue.failed(q, plugins, false);
    this.#report(pod, message, "Unschedulable", candidate?.node);
    if (candidate) {
      this.#counters.preemptions++;
      void this.#evict(pod, candidate).catch((e) => this.#o.log.warn({ pod: pod.key, reason: reasonOf(e) }, "preemption failed"));
    }
  }

  #report(pod: PodInfo, message: string, reason: string, nominated: string | undefined): void {
    this.#recorder.event(pod.pod, "Warning", "FailedScheduling", message, { action: "Scheduling" });
    const old = (pod.pod["status"]?.conditions ?? []).find((c: any) => c.type === "PodScheduled");
    const sameNomination = nominated === undefined || pod.pod["status"]?.nominatedNodeName === nominated;
    if (old?.status === "False" && old.reason === reason && old.message === message && sameNomination) return;
    const lastTransitionTime = old?.status === "False" ? old.lastTransitionTime : time(this.#o.clock.nowMs());
    const condition = { type: "PodScheduled", status: "False", reason, message, lastTransitionTime, lastProbeTime: null };
    const status = { conditions: [condition], ...(nominated === undefined ? {} : { nominatedNodeName: nominated }) };
    const { namespace = "", name, uid } = pod.pod.metadata;
    this.#o.client
      .patch(Resources.pods, namespace, name, "strategic", { metadata: { uid }, status }, { subresource: "status" })
      .catch((e) => {
        if (!isNotFound(e)) this.#o.log.debug({ pod: pod.key, reason: reasonOf(e) }, "could not write the condition");
      });
  }

  async #evict(preemptor: PodInfo, candidate: Candidate): Promise<void> {
    const now = time(this.#o.clock.nowMs());
    await Promise.all(
      candidate.victims.map(async (victim) => {
        const { namespace = "", name, uid = "" } = victim.pod.metadata;
        const condition = {
          type: "DisruptionTarget",
          status: "True",
          reason: "PreemptionByScheduler",
          message: `${this.#name}: preempting to accommodate a higher priority pod`,
          lastTransitionTime: now,
        };
        try {
          if (!victim.terminating) {
            await this.#o.client.patch(
              Resources.pods,
              namespace,
              name,
              "strategic",
              { metadata: { uid }, status: { conditions: [condition] } },
              { subresource: "status" },
            );
            await this.#o.client.delete(Resources.pods, namespace, name, { preconditions: { uid } });
          }
          this.#recorder.event(victim.pod, "Normal", "Preempted", `Preempted by pod ${preemptor.uid} on node ${candidate.node}`, {
            action: "Preempting",
          });
        } catch (e) {
          if (!isNotFound(e)) throw e;
        }
      }),
    );
    // Less important pods that waited for the same room look for another.
    for (const other of this.#nominator.on(candidate.node))
      if (other.priority < preemptor.priority && other.uid !== preemptor.uid) {
        this.#nominator.remove(other.uid);
        const { namespace = "", name } = other.pod.metadata;
        await this.#o.client
          .patch(Resources.pods, namespace, name, "merge", { status: { nominatedNodeName: null } }, { subresource: "status" })
          .catch((e) => {
            if (!isNotFound(e)) throw e;
          });
      }
  }

  /** The pod asked for it: leaves the explanation of the latest attempt on it. */
  #annotate(pod: PodInfo, explanation: Explanation): void {
    const { namespace = "", name, uid } = pod.pod.metadata;
    const annotations = { [EXPLANATION]: JSON.stringify(explanation) };
    if (pod.pod.metadata.annotations?.[EXPLANATION] === annotations[EXPLANATION]) return;
    this.#o.client
      .patch(Resources.pods, namespace, name, "strategic", { metadata: { uid, annotations } }, { subresource: "status" })
      .catch((e) => {
        if (!isNotFound(e)) this.#o.log.debug({ pod: pod.key, reason: reasonOf(e) }, "could not write the explanation");
      });
  }

  explain(namespace: string, name: string): Explanation | undefined {
    const pod = this.#informers.of(Resources.pods).lister.get(namespace, name);
    if (!pod) return undefined;
    if ((pod["spec"]?.schedulingGates ?? []).length > 0) return { pod: `${namespace}/${name}`, message: GATED, nodes: {} };
    // As if it were not placed: its own room on its node is free.
    const info = podInfo({ ...pod, spec: { ...pod["spec"], nodeName: undefined } });
    const where = this.#cache.nodeOf(info.uid);
    if (where) this.#cache.removePod(info.uid);
    try {
      const outcome = schedule(this.#profile, info, this.#cache, { random: this.#o.random, start: 0, explain: true });
      return explanationOf(`${namespace}/${name}`, outcome, where);
    } finally {
      if (where) this.#cache.setPod(podInfo(pod), where);
    }
  }
}

function differ(a: unknown, b: unknown): boolean {
  return a !== b && JSON.stringify(a) !== JSON.stringify(b);
}
