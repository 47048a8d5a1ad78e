// The scheduler's shell: caches and queue fed by informers, one decision after the other, bindings in the background.
// Invariants: decisions are serial, so that each sees what the one before assumed; nothing is written while not leading; an
// assumed pod whose binding fails is forgotten and comes back through the queue.
import type { Clock, Logger, Random } from "@podwire/base";
import { reasonOf } from "@podwire/base";
import type { Bus } from "@podwire/bus";
import {
  type ApiClient,
  type EventRecorder,
  eventRecorder,
  InformerSet,
  isConflict,
  isNotFound,
  type KubeObject,
  Resources,
  time,
} from "@podwire/client";
import { defaultSelectorOf } from "./default-selector.ts";
import { EXPLAIN, EXPLANATION, type Explanation, explanationOf } from "./explanation.ts";
import { BindingRefusedError, bind, reserve } from "./framework/binding-cycle.ts";
import { SchedulerCache } from "./framework/cache.ts";
import { fitMessage, GATED, NO_NODES } from "./framework/messages.ts";
import type { Binding, Cycle, Plugin } from "./framework/plugin.ts";
import { type PodInfo, podInfo } from "./framework/pod-info.ts";
import { type Failure, type Profile, schedule } from "./framework/schedule.ts";
import { Nominator } from "./nominator.ts";
import { type ProfileConfiguration, plain } from "./plugin-arguments.ts";
import { type ClaimSources, claimsOf } from "./plugins/dynamic-resources.ts";
import type { LimitSources } from "./plugins/node-volume-limits.ts";
import { type Candidate, planPreemption } from "./preemption.ts";
import { DEFAULT_SCHEDULER, type PluginSources, profileOf } from "./profiles.ts";
import { type QueuedPod, SchedulingQueue } from "./queue/scheduling-queue.ts";
import { type WaitingPod, WaitingPods } from "./waiting-pods.ts";

export interface SchedulerOptions {
  client: ApiClient;
  bus: Bus | undefined;
  clock: Clock;
  random: Random;
  log: Logger;
  /** One profile a scheduler name; default: kube-scheduler's own. */
  profiles?: readonly ProfileConfiguration[];
  /** Plugins beyond kube-scheduler's, by name, for profiles that enable them. */
  plugins?: Readonly<Record<string, (args: unknown) => Plugin>>;
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
  /** Pods that permit plugins hold back, to be allowed or rejected. */
  waiting(): readonly WaitingPod[];
}

/** Bindings under way, without those that a permit plugin holds back; decisions wait when there are more. */
const MAX_BINDINGS = 128;
/** Decisions in a row before input is let in. */
const DECISIONS_PER_TURN = 8;
/** What the resource claim plugin adds to every unschedulable pod's message: it has nothing to take back. */
const NO_CLAIMS = "no new claims to deallocate";
/** ... and for a pod that has claims. */
const CLAIMS_HELD = "still not schedulable";
/** ... and when another plugin refused the pod before it had looked. */
const NO_STATE = "not found";

export function scheduler(o: SchedulerOptions): Scheduler {
  return new SchedulerService(o);
}

class SchedulerService implements Scheduler {
  readonly #o: SchedulerOptions;
  readonly #informers: InformerSet;
  readonly #cache: SchedulerCache;
  readonly #queue: SchedulingQueue;
  /** By scheduler name. */
  readonly #profiles: ReadonlyMap<string, Profile>;
  readonly #recorders: ReadonlyMap<string, EventRecorder>;
  readonly #nominator = new Nominator();
  readonly #claims: ClaimSources;
  readonly #waiting: WaitingPods;
  readonly #binding: Binding;
  readonly #counters = { decisions: 0, bound: 0, unschedulable: 0, errors: 0, preemptions: 0 };
  #bindings = 0;
  #slotFree: (() => void) | undefined;
  #start = 0;
  #stopped = false;
  #loop: Promise<void> = Promise.resolve();

  constructor(o: SchedulerOptions) {
    this.#o = o;
    this.#waiting = new WaitingPods(o.clock);
    this.#binding = { client: o.client, clock: o.clock, stopped: () => this.#stopped };
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
    const limits: LimitSources = {
      csiNode: (name) => csiNodes.get("", name),
      attachments: (node) => attachments.lister.byIndex("node", node),
      claim: (ns, name) => claims.get(ns, name),
      volume: (name) => volumes.get("", name),
      volumes: () => volumes.list(),
      storageClass: (name) => classes.get("", name),
      taken: new Map(),
    };
    const resourceClaims = this.#informers.of(Resources.resourceClaims);
    const slices = this.#informers.of(Resources.resourceSlices);
    const deviceClasses = this.#informers.of(Resources.deviceClasses);
    this.#claims = {
      claim: (ns, name) => resourceClaims.lister.get(ns, name),
      claims: () => resourceClaims.lister.list(),
      slices: () => slices.lister.list(),
      deviceClass: (name) => deviceClasses.lister.get("", name),
      pending: new Map(),
    };
    const plugins: PluginSources = { defaultSelector: (c) => defaultSelectorOf(sources, c.pod), volumes: limits, claims: this.#claims };
    const configured = o.profiles ?? [plain(DEFAULT_SCHEDULER, 0)];
    const more = o.plugins === undefined ? {} : { more: o.plugins };
    this.#profiles = new Map(configured.map((p) => [p.schedulerName, profileOf(p, { sources: plugins, ...more })]));
    this.#recorders = new Map(configured.map(({ schedulerName }) => [schedulerName, this.#recorderFor(schedulerName)]));
    this.#followStorage();
    this.#followDevices();
    this.#informers.of(Resources.podDisruptionBudgets);
    this.#followNodes();
    this.#followPods();
    namespaces.handle({ onUpdate: () => this.#queue.event({ kind: "namespace" }) });
  }

  #recorderFor(component: string): EventRecorder {
    const { client, clock, random, log } = this.#o;
    const instance = this.#o.instance === undefined ? component : `${component}-${this.#o.instance}`;
    return eventRecorder({ client, clock, random, log, component, newStyle: { instance } });
  }

  #nameOf(pod: KubeObject): string {
    return pod["spec"]?.schedulerName ?? DEFAULT_SCHEDULER;
  }

  /** Only pods of one of the profiles are ever asked about. */
  #profileOf(pod: PodInfo): Profile {
    return this.#profiles.get(this.#nameOf(pod.pod)) as Profile;
  }

  #recorderOf(pod: PodInfo): EventRecorder {
    return this.#recorders.get(this.#nameOf(pod.pod)) as EventRecorder;
  }

  async start(): Promise<void> {
    await this.#informers.start();
    if (!this.#stopped) this.#loop = this.#run();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#waiting.close();
    this.#queue.close();
    this.#informers.stop();
    this.#slotFree?.();
    await this.#loop;
  }

  counters(): Record<string, unknown> {
    return {
      ...this.#counters,
      bindings: this.#bindings,
      waitingOnPermit: this.#waiting.size,
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

  #followDevices(): void {
    const changed = () => {
      this.#queue.ungate((pod) => this.#mayBeTried(pod));
      this.#queue.event({ kind: "devices" });
    };
    for (const ref of [Resources.resourceClaims, Resources.resourceSlices, Resources.deviceClasses])
      this.#informers.of(ref).handle({ onAdd: changed, onUpdate: changed, onDelete: changed });
  }

  /** No gates, and all of its claims are there. */
  #mayBeTried(pod: PodInfo): boolean {
    if ((pod.pod["spec"]?.schedulingGates ?? []).length > 0) return false;
    return !pod.pod["spec"]?.resourceClaims || typeof claimsOf(this.#claims, pod) !== "string";
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
      if (!this.#profiles.has(this.#nameOf(pod))) return;
      if (info.terminating) return this.#podGone(pod);
      if (this.#cache.isAssumed(info.uid)) return;
      if (pod["status"]?.nominatedNodeName) this.#nominator.set(info, pod["status"].nominatedNodeName);
      else if (old?.["status"]?.nominatedNodeName) this.#nominator.remove(info.uid);
      this.#queue.set(info, this.#mayBeTried(info));
    };
    this.#informers.of(Resources.pods).handle({ onAdd: (pod) => onPod(pod), onUpdate: onPod, onDelete: (pod) => this.#podGone(pod) });
  }

  #podGone(pod: KubeObject): void {
    const uid = pod.metadata.uid ?? "";
    const placed = this.#cache.nodeOf(uid) !== undefined;
    this.#waiting.get(uid)?.reject("", "the pod is gone");
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
      while (this.#bindings - this.#waiting.size >= MAX_BINDINGS && !this.#stopped)
        await new Promise<void>((resolve) => (this.#slotFree = resolve));
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
    const profile = this.#profileOf(pod);
    const outcome = schedule(profile, pod, this.#cache, {
      random: this.#o.random,
      start: this.#start % nodes,
      explain: pod.pod.metadata.annotations?.[EXPLAIN] === "true",
      ...(this.#nominator.size > 0 ? { nominated: (n: string) => this.#nominator.on(n) } : {}),
    });
    if (pod.pod.metadata.annotations?.[EXPLAIN] === "true") this.#annotate(pod, explanationOf(pod.key, outcome));
    if ("node" in outcome) {
      this.#start = (this.#start + outcome.evaluated) % nodes;
      try {
        reserve(profile, outcome.cycle, outcome.node);
      } catch (e) {
        if (!(e instanceof BindingRefusedError)) throw e;
        this.#refused(q, e.message, new Set([e.refusal.plugin]), undefined);
        return;
      }
      this.#cache.assume(pod, outcome.node.name);
      this.#nominator.remove(pod.uid);
      this.#bindings++;
      void this.#bind(q, outcome.cycle, outcome.node.name).finally(() => {
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
    const profile = this.#profileOf(pod);
    if (failure.preFilter) return { message: NO_STATE };
    const claims = pod.pod["spec"]?.resourceClaims ? CLAIMS_HELD : NO_CLAIMS;
    if (!profile.preemption) return { message: claims };
    const budgets = this.#informers.of(Resources.podDisruptionBudgets).lister.list();
    const start = this.#o.random.below(Math.max(1, failure.nodeCount));
    const result = planPreemption({ profile, pod, snapshot: this.#cache, failure, budgets, start });
    return "candidate" in result ? result : { message: `${claims}, ${result.message}` };
  }

  async #bind(q: QueuedPod, cycle: Cycle, node: string): Promise<void> {
    const { pod } = cycle;
    try {
      await bind(this.#profileOf(pod), cycle, node, this.#binding, this.#waiting);
      this.#counters.bound++;
      this.#queue.done(pod.uid);
      this.#recorderOf(pod).event(pod.pod, "Normal", "Scheduled", `Successfully assigned ${pod.key} to ${node}`, { action: "Binding" });
    } catch (e) {
      this.#cache.forget(pod.uid);
      this.#queue.event({ kind: "podGone", pod });
      if (isNotFound(e)) return this.#queue.done(pod.uid);
      if (e instanceof BindingRefusedError) return this.#refused(q, e.message, new Set([e.refusal.plugin]), undefined);
      this.#counters.errors++;
      this.#o.log.warn({ pod: pod.key, node, reason: reasonOf(e) }, "binding failed");
      const message = `binding rejected: ${reasonOf(e)}`;
      if (!isConflict(e)) this.#report(pod, message, "SchedulerError", undefined);
      this.#queue.failed(q, new Set(), true);
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
    this.#recorderOf(pod).event(pod.pod, "Warning", "FailedScheduling", message, { action: "Scheduling" });
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
          message: `${this.#nameOf(preemptor.pod)}: preempting to accommodate a higher priority pod`,
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
          const message = `Preempted by pod ${preemptor.uid} on node ${candidate.node}`;
          this.#recorderOf(preemptor).event(victim.pod, "Normal", "Preempted", message, { action: "Preempting" });
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

  waiting(): readonly WaitingPod[] {
    return this.#waiting.all();
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
      const profile = this.#profiles.get(this.#nameOf(pod));
      if (!profile) return { pod: `${namespace}/${name}`, message: `no profile is for the scheduler name ${this.#nameOf(pod)}`, nodes: {} };
      const outcome = schedule(profile, info, this.#cache, { random: this.#o.random, start: 0, explain: true });
      return explanationOf(`${namespace}/${name}`, outcome, where);
    } finally {
      if (where) this.#cache.setPod(podInfo(pod), where);
    }
  }
}

function differ(a: unknown, b: unknown): boolean {
  return a !== b && JSON.stringify(a) !== JSON.stringify(b);
}
