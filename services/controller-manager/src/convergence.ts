// A property of the workload controllers, tried under a seed: whatever was asked for, lost, doubled, refused or crashed on the way,
// once the faults are over the objects come to what the specifications say, and then nothing is written any more.
// Everything runs on one virtual clock, so a failing seed fails again.
import { type Clock, type Random, seededRandom } from "@podwire/base";
import type { Bus, BusMessage, BusStatus } from "@podwire/bus";
import {
  type ApiTransport,
  ApiUnreachableError,
  controllerOf,
  isNotFound,
  type KubeObject,
  type ResourceRef,
  Resources,
  time,
} from "@podwire/client";
import { isTerminal, isTerminating } from "./pods/status.ts";
import { type Simulation, simulation } from "./simulation.ts";
import { WriteRate } from "./write-rate.ts";

export interface ConvergenceOptions {
  seed: number;
  clock: Clock & { advance(ms: number): Promise<void> };
  /** Virtual time during which things happen and go wrong. */
  chaosMs?: number;
}

export interface ConvergenceResult {
  seed: number;
  /** Undefined when the property held. */
  failure: string | undefined;
  faults: Readonly<Record<string, number>>;
  writes: number;
}

const CONTROLLERS = [
  "deployment-controller",
  "replicaset-controller",
  "statefulset-controller",
  "daemonset-controller",
  "job-controller",
  "endpointslice-controller",
  "garbage-collector-controller",
  "disruption-controller",
  "resourcequota-controller",
];
const NAMESPACE = "default";
const STRAY = "stray";
const CALM_STEP_MS = 10_000;
/** Back-off of a key that failed often is up to 1000 s. */
const CALM_LIMIT_MS = 3_600_000;
const QUIET_MS = 180_000;
const MAX_WRITES = 20_000;

/** Faults between the controllers and the rest, off until `rate` is raised. */
export class Faults {
  rate = 0;
  readonly counts: Record<string, number> = { refused: 0, conflict: 0, lostAnswer: 0, doubled: 0, broken: 0, crash: 0 };
  readonly #random: Random;
  readonly #status = new Set<(s: BusStatus) => void>();
  #deaf = false;

  constructor(random: Random) {
    this.#random = random;
  }

  #hit(kind: string, share: number): boolean {
    if (this.rate === 0 || this.#random.float() >= this.rate * share) return false;
    this.counts[kind] = (this.counts[kind] ?? 0) + 1;
    return true;
  }

  transport(inner: ApiTransport): ApiTransport {
    return {
      ...inner,
      request: async (r, opts) => {
        if (this.#hit("refused", 0.3)) throw new ApiUnreachableError("the request was lost");
        if (r.method === "PUT" && this.#hit("conflict", 0.5)) return conflict();
        const answer = await inner.request(r, opts);
        if (r.method !== "GET" && this.#hit("lostAnswer", 0.3)) throw new ApiUnreachableError("the answer was lost");
        return answer;
      },
    };
  }

  bus(inner: Bus): Bus {
    const subscribe: Bus["subscribe"] = (subject, onMessage, opts) =>
      inner.subscribe(
        subject,
        (m: BusMessage) => {
          if (this.#deaf) return;
          onMessage(m);
          if (this.#hit("doubled", 0.3)) onMessage(m);
        },
        opts,
      );
    const onStatus: Bus["onStatus"] = (cb) => {
      this.#status.add(cb);
      const s = inner.onStatus(cb);
      return {
        unsubscribe: () => {
          this.#status.delete(cb);
          s.unsubscribe();
        },
      };
    };
    return new Proxy(inner, {
      get(target, key) {
        if (key === "subscribe") return subscribe;
        if (key === "onStatus") return onStatus;
        const value = Reflect.get(target, key);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
  }

  /** The connection is gone for a while: events are lost, and the loss is known afterwards. */
  breakFor(clock: Clock, ms: number): void {
    this.counts["broken"] = (this.counts["broken"] ?? 0) + 1;
    this.#deaf = true;
    for (const cb of [...this.#status]) cb("disconnected");
    clock.after(ms, () => {
      this.#deaf = false;
      for (const cb of [...this.#status]) cb("connected");
    });
  }
}

function conflict() {
  const body = { kind: "Status", status: "Failure", reason: "Conflict", code: 409, message: "the object has been modified" };
  return { status: 409, headers: {}, body: new TextEncoder().encode(JSON.stringify(body)) };
}

export async function tryConvergence(o: ConvergenceOptions): Promise<ConvergenceResult> {
  const run = new Run(o);
  const failure = await run.all();
  return { seed: o.seed, failure, faults: run.faults.counts, writes: run.writes };
}

class Run {
  readonly #clock: ConvergenceOptions["clock"];
  readonly #random: Random;
  readonly #chaosMs: number;
  readonly faults: Faults;
  readonly #sim: Simulation;
  readonly #rate = new WriteRate();
  writes = 0;

  constructor(o: ConvergenceOptions) {
    this.#clock = o.clock;
    this.#random = seededRandom(o.seed);
    this.#chaosMs = o.chaosMs ?? 60_000;
    this.faults = new Faults(seededRandom(o.seed ^ 0x5eed));
    this.#sim = simulation({
      clock: o.clock,
      random: seededRandom(o.seed + 1),
      controllers: CONTROLLERS,
      nodes: 3,
      kubeletDelayMs: 50,
      wrapTransport: (t) => {
        const faulty = this.faults.transport(t);
        const noted: typeof t.request = (r, opts) => {
          this.#rate.note(r.method, r.path, o.clock.monotonicMs());
          return faulty.request(r, opts);
        };
        return { ...faulty, request: noted };
      },
      wrapBus: (b) => this.faults.bus(b),
    });
    const commit = this.#sim.api.onCommit;
    this.#sim.api.onCommit = (resource, object, deleted) => {
      this.writes++;
      commit?.(resource, object, deleted);
    };
  }

  async all(): Promise<string | undefined> {
    await this.#drive(this.#sim.start());
    await this.#clock.advance(1_000);
    await this.#chaos();
    const failure = (await this.#settle()) ?? (await this.#quiet()) ?? this.#rate.alarm;
    await this.#drive(this.#sim.stop());
    return failure;
  }

  async #drive(p: Promise<unknown>): Promise<void> {
    let settled = false;
    const mark = () => {
      settled = true;
    };
    p.then(mark, mark);
    for (let i = 0; i < 600 && !settled; i++) await this.#clock.advance(100);
    await p;
  }

  async #chaos(): Promise<void> {
    const r = this.#random;
    const names: { ref: ResourceRef; name: string }[] = [];
    for (let i = 0; i < 1 + r.below(3); i++) names.push(await this.#make(i));
    await this.#drive(
      this.#sim.client.create(Resources.resourceQuotas, {
        metadata: { name: "quota", namespace: NAMESPACE },
        spec: { hard: { pods: "100", "count/replicasets.apps": "100" } },
      } as KubeObject),
    );
    this.faults.rate = r.float() * 0.4;
    const end = this.#clock.monotonicMs() + this.#chaosMs;
    while (this.#clock.monotonicMs() < end) {
      await this.#clock.advance(100 + r.below(5_000));
      const target = r.pick(names);
      try {
        await this.#act(target);
      } catch {
        // What a user asks for may be refused; the controllers must cope with what is.
      }
    }
    this.faults.rate = 0;
  }

  async #make(i: number): Promise<{ ref: ResourceRef; name: string }> {
    const r = this.#random;
    const name = `w${i}`;
    const labels = { app: name };
    const template = { metadata: { labels }, spec: { containers: [{ name: "c", image: "v1" }] } };
    const base = { selector: { matchLabels: labels }, template };
    const [ref, spec] = r.pick<[ResourceRef, object]>([
      [
        Resources.deployments,
        {
          ...base,
          replicas: r.below(6),
          revisionHistoryLimit: 2,
          progressDeadlineSeconds: 600,
          strategy: r.pick([{ type: "Recreate" }, { type: "RollingUpdate" }]),
        },
      ],
      [Resources.replicaSets, { ...base, replicas: r.below(6) }],
      [
        Resources.statefulSets,
        {
          ...base,
          replicas: r.below(4),
          serviceName: name,
          podManagementPolicy: r.pick(["OrderedReady", "Parallel"]),
          updateStrategy: { type: "RollingUpdate", rollingUpdate: { partition: 0 } },
        },
      ],
      [Resources.daemonSets, { ...base, updateStrategy: { type: "RollingUpdate", rollingUpdate: { maxUnavailable: 1, maxSurge: 0 } } }],
      [
        Resources.jobs,
        {
          ...base,
          completions: 1 + r.below(4),
          parallelism: 1 + r.below(3),
          backoffLimit: 100,
          template: { ...template, spec: { ...template.spec, restartPolicy: "Never" } },
        },
      ],
    ]);
    await this.#drive(this.#sim.client.create(ref, { metadata: { name, namespace: NAMESPACE }, spec } as KubeObject));
    await this.#drive(
      this.#sim.client.create(Resources.services, {
        metadata: { name, namespace: NAMESPACE },
        spec: { selector: labels, ports: [{ port: 80 }] },
      } as KubeObject),
    );
    await this.#drive(
      this.#sim.client.create(Resources.podDisruptionBudgets, {
        metadata: { name, namespace: NAMESPACE, generation: 1 },
        spec: { minAvailable: r.below(5), selector: { matchLabels: labels } },
      } as KubeObject),
    );
    return { ref, name };
  }

  async #act(target: { ref: ResourceRef; name: string }): Promise<void> {
    const r = this.#random;
    const client = this.#sim.client;
    const pods = this.#sim.api.objects(Resources.pods);
    const pod = pods.length > 0 ? r.pick(pods) : undefined;
    const patchPod = (patch: object, status = false) =>
      pod
        ? this.#drive(
            client.patch(Resources.pods, NAMESPACE, pod.metadata.name, "strategic", patch, status ? { subresource: "status" } : {}),
          )
        : undefined;
    const ready = (status: string) => ({
      status: { conditions: [{ type: "Ready", status, lastTransitionTime: time(this.#clock.nowMs()) }] },
    });
    switch (r.below(11)) {
      case 0:
        if (target.ref !== Resources.daemonSets && target.ref !== Resources.jobs)
          await this.#drive(client.patch(target.ref, NAMESPACE, target.name, "merge", { spec: { replicas: r.below(7) } }));
        return;
      case 1:
        if (target.ref !== Resources.jobs)
          await this.#drive(
            client.patch(target.ref, NAMESPACE, target.name, "merge", {
              spec: { template: { spec: { containers: [{ name: "c", image: `v${r.below(4)}` }] } } },
            }),
          );
        return;
      case 2:
        if (pod) await this.#drive(client.delete(Resources.pods, NAMESPACE, pod.metadata.name, { gracePeriodSeconds: r.pick([0, 30]) }));
        return;
      case 3:
        await patchPod(ready("False"), true);
        return;
      case 4:
        await patchPod(ready("True"), true);
        return;
      case 5:
        // Released: its owner must replace it, and it stays behind as somebody's own pod.
        if (pod && controllerOf(pod)?.kind !== "Job") await patchPod({ metadata: { labels: { app: STRAY } } });
        return;
      case 6:
        await patchPod({ status: { phase: r.pick(["Failed", "Succeeded"]) } }, true);
        return;
      case 7:
        this.faults.breakFor(this.#clock, 10 + r.below(3_000));
        return;
      case 8:
        this.faults.counts["crash"] = (this.faults.counts["crash"] ?? 0) + 1;
        await this.#drive(this.#sim.restartManager());
        return;
      case 9:
        if (r.float() < 0.3)
          await this.#drive(client.delete(target.ref, NAMESPACE, target.name, { propagationPolicy: r.pick(["Background", "Foreground"]) }));
        return;
      default:
        return;
    }
  }

  /** Kubelets are well again; waits until all is as specified. */
  async #settle(): Promise<string | undefined> {
    let why: string | undefined = "not looked at";
    for (let waited = 0; waited < CALM_LIMIT_MS; waited += CALM_STEP_MS) {
      await this.#heal();
      await this.#clock.advance(CALM_STEP_MS);
      why = this.#difference();
      if (why === undefined) return undefined;
      if (this.writes > MAX_WRITES) return `more than ${MAX_WRITES} writes and still: ${why}`;
    }
    return `did not converge: ${why}`;
  }

  /** A user notices, too, what no controller may mend: a released pod of a stateful set keeps a name that the set needs (so in
   *  Kubernetes; the set tries again, event FailedCreate). */
  async #heal(): Promise<void> {
    const now = time(this.#clock.nowMs());
    const sets = this.#sim.api.objects(Resources.statefulSets).map((s) => s.metadata.name);
    for (const p of this.#sim.api.objects(Resources.pods)) {
      if (p.metadata.labels?.["app"] === STRAY && sets.some((name) => p.metadata.name.startsWith(`${name}-`))) {
        await this.#onPod(this.#sim.client.delete(Resources.pods, NAMESPACE, p.metadata.name, { gracePeriodSeconds: 0 }));
        continue;
      }
      if (isTerminating(p) || isTerminal(p) || !p["spec"].nodeName) continue;
      const isReady = (p["status"]?.conditions ?? []).some((c: any) => c.type === "Ready" && c.status === "True");
      const ready = { phase: "Running", conditions: [{ type: "Ready", status: "True", lastTransitionTime: now }] };
      const status = controllerOf(p)?.kind === "Job" ? { phase: "Succeeded" } : isReady ? undefined : ready;
      if (!status) continue;
      const { client } = this.#sim;
      await this.#onPod(client.patch(Resources.pods, NAMESPACE, p.metadata.name, "strategic", { status }, { subresource: "status" }));
    }
  }

  /** The pod may be gone since it was listed. */
  #onPod(call: Promise<unknown>): Promise<void> {
    return this.#drive(call.catch((e) => (isNotFound(e) ? undefined : Promise.reject(e))));
  }

  async #quiet(): Promise<string | undefined> {
    const before = this.#sim.api.revision;
    await this.#clock.advance(QUIET_MS);
    if (this.#sim.api.revision === before) return undefined;
    const writes = [...this.#sim.api.writes].map(([k, n]) => `${k} ${n}`).join(", ");
    return `${this.#sim.api.revision - before} writes although everything is as specified (all writes: ${writes})`;
  }

  /** What is not yet as the specifications say; undefined when all is. */
  #difference(): string | undefined {
    const api = this.#sim.api;
    const pods = api.objects(Resources.pods);
    const owned = (o: KubeObject) => pods.filter((p) => controllerOf(p)?.uid === o.metadata.uid);
    const alive = (o: KubeObject) => owned(o).filter((p) => !isTerminal(p) && !isTerminating(p));
    for (const p of pods) if (isTerminating(p)) return `pod ${p.metadata.name} is terminating`;
    for (const d of api.objects(Resources.deployments)) {
      if (isTerminating(d)) return `deployment ${d.metadata.name} is terminating`;
      const sets = api.objects(Resources.replicaSets).filter((rs) => controllerOf(rs)?.uid === d.metadata.uid);
      const want = d["spec"].replicas;
      const s = d["status"] ?? {};
      if (s.observedGeneration !== d.metadata.generation) return `deployment ${d.metadata.name} has not seen its generation`;
      if (sets.reduce((n, rs) => n + alive(rs).length, 0) !== want) return `deployment ${d.metadata.name} wants ${want} pods`;
      const image = d["spec"].template.spec.containers[0].image;
      for (const rs of sets)
        for (const p of alive(rs)) if (p["spec"].containers[0].image !== image) return `pod ${p.metadata.name} runs an old template`;
      if ((s.availableReplicas ?? 0) !== want || (s.updatedReplicas ?? 0) !== want)
        return `deployment ${d.metadata.name}: status ${JSON.stringify(s)}`;
    }
    for (const rs of api.objects(Resources.replicaSets)) {
      if (isTerminating(rs)) return `replica set ${rs.metadata.name} is terminating`;
      if (alive(rs).length !== rs["spec"].replicas)
        return `replica set ${rs.metadata.name}: ${alive(rs).length} pods of ${rs["spec"].replicas}`;
      if ((rs["status"]?.replicas ?? 0) !== rs["spec"].replicas) return `replica set ${rs.metadata.name}: status`;
    }
    for (const s of api.objects(Resources.statefulSets)) {
      if (isTerminating(s)) return `stateful set ${s.metadata.name} is terminating`;
      const names = alive(s)
        .map((p) => p.metadata.name)
        .sort();
      const want = Array.from({ length: s["spec"].replicas }, (_, i) => `${s.metadata.name}-${i}`).sort();
      if (names.join() !== want.join()) return `stateful set ${s.metadata.name}: ${names} instead of ${want}`;
      const image = s["spec"].template.spec.containers[0].image;
      for (const p of alive(s)) if (p["spec"].containers[0].image !== image) return `pod ${p.metadata.name} runs an old template`;
      if ((s["status"]?.readyReplicas ?? 0) !== s["spec"].replicas) return `stateful set ${s.metadata.name}: status`;
    }
    for (const d of api.objects(Resources.daemonSets)) {
      if (isTerminating(d)) return `daemon set ${d.metadata.name} is terminating`;
      if (alive(d).length !== 3) return `daemon set ${d.metadata.name}: ${alive(d).length} pods on 3 nodes`;
      if (d["status"]?.numberAvailable !== 3 || d["status"]?.updatedNumberScheduled !== 3)
        return `daemon set ${d.metadata.name}: status ${JSON.stringify(d["status"])}`;
    }
    for (const j of api.objects(Resources.jobs)) {
      if (isTerminating(j)) return `job ${j.metadata.name} is terminating`;
      const over = (j["status"]?.conditions ?? []).some((c: any) => ["Complete", "Failed"].includes(c.type) && c.status === "True");
      if (!over) return `job ${j.metadata.name} is not over`;
      if ((j["status"]?.succeeded ?? 0) < j["spec"].completions) return `job ${j.metadata.name} is over without its completions`;
      for (const p of owned(j)) if ((p.metadata.finalizers ?? []).length > 0) return `pod ${p.metadata.name} is still tracked`;
    }
    return this.#strays(pods) ?? this.#endpoints(pods) ?? this.#budgets(pods) ?? this.#quota(pods);
  }

  #budgets(pods: readonly KubeObject[]): string | undefined {
    for (const b of this.#sim.api.objects(Resources.podDisruptionBudgets)) {
      const selected = pods.filter((p) => p.metadata.labels?.["app"] === b.metadata.name && !isTerminal(p));
      const healthy = selected.filter((p) =>
        (p["status"]?.conditions ?? []).some((c: any) => c.type === "Ready" && c.status === "True"),
      ).length;
      const s = b["status"] ?? {};
      const allowed = Math.max(0, healthy - b["spec"].minAvailable);
      if (s.expectedPods !== selected.length || s.currentHealthy !== healthy || s.disruptionsAllowed !== allowed)
        return `budget ${b.metadata.name}: ${healthy} of ${selected.length} are healthy, status ${JSON.stringify(s)}`;
    }
    return undefined;
  }

  #quota(pods: readonly KubeObject[]): string | undefined {
    const used = this.#sim.api.objects(Resources.resourceQuotas)[0]?.["status"]?.used;
    const counts = { pods: pods.filter((p) => !isTerminal(p)).length, sets: this.#sim.api.objects(Resources.replicaSets).length };
    if (used?.pods === String(counts.pods) && used["count/replicasets.apps"] === String(counts.sets)) return undefined;
    return `quota: ${JSON.stringify(counts)}, status ${JSON.stringify(used)}`;
  }

  /** Pods of owners that are gone must be gone, too. */
  #strays(pods: readonly KubeObject[]): string | undefined {
    const uids = new Set(
      [Resources.replicaSets, Resources.statefulSets, Resources.daemonSets, Resources.jobs].flatMap((r) =>
        this.#sim.api.objects(r).map((o) => o.metadata.uid),
      ),
    );
    for (const p of pods) {
      const owner = controllerOf(p);
      if (owner && !uids.has(owner.uid)) return `pod ${p.metadata.name} has outlived its owner`;
    }
    return undefined;
  }

  #endpoints(pods: readonly KubeObject[]): string | undefined {
    for (const s of this.#sim.api.objects(Resources.services)) {
      const app = s["spec"].selector?.app;
      if (!app) continue;
      const want = pods.filter((p) => p.metadata.labels?.["app"] === app && !isTerminal(p) && p["status"]?.podIP).length;
      const have = this.#sim.api
        .objects(Resources.endpointSlices)
        .filter((x) => x.metadata.labels?.["kubernetes.io/service-name"] === s.metadata.name)
        .reduce((n, x) => n + (x["endpoints"]?.length ?? 0), 0);
      if (want !== have) return `service ${s.metadata.name}: ${have} endpoints for ${want} pods`;
    }
    return undefined;
  }
}
