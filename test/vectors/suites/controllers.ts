// Suite `controllers`: scenarios recorded from kube-controller-manager, replayed against the real controllers on the real apiserver,
// all in this process on a virtual clock. The kubelet is played as it was played for the recording.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { registry } from "@podwire/api";
import { reasonOf, seededRandom } from "@podwire/base";
import { ApiError, type KubeObject, type ResourceRef, time, timeMs } from "@podwire/client";
import { type VirtualClock, virtualClock } from "@podwire/testkit";
import { type ControlPlane, startControlPlane } from "../../control-plane.ts";
import { compact, compareObjects, Placeholders } from "./controllers-compare.ts";
import { type SuiteResult, Tally } from "./suite.ts";

interface Step {
  ops: any[];
  expect: { objects: any[]; events: any[] };
}

interface Scenario {
  name: string;
  controller: string;
  steps: Step[];
  mayDiffer?: string[];
}

const NAMESPACE = "scenario-ns";
/** How long the recorder let things settle. */
const QUIET_MS = 2_000;
/** Operations do not happen at the same instant; "oldest" means something. */
const BETWEEN_OPS_MS = 10;
const DRIVE_LIMIT_MS = 120_000;

/** Kinds that a scenario always tells of, beside those that it names. */
const ALWAYS: Record<string, string[]> = { EndpointSlice: ["Endpoints", "EndpointSlice"], ServiceAccount: ["ServiceAccount", "ConfigMap"] };

const API_VERSIONS = [
  "v1",
  "apps/v1",
  "batch/v1",
  "discovery.k8s.io/v1",
  "policy/v1",
  "autoscaling/v2",
  "storage.k8s.io/v1",
  "certificates.k8s.io/v1",
  "scheduling.k8s.io/v1",
];

export async function run(dir: string): Promise<SuiteResult> {
  const result = new Tally();
  const only = process.env["PODWIRE_SCENARIO"];
  for (const file of readdirSync(dir).filter((f) => f.endsWith(".json")))
    for (const s of JSON.parse(readFileSync(join(dir, file), "utf8")) as Scenario[]) {
      if (only !== undefined && !`${s.controller}: ${s.name}`.includes(only)) continue;
      const failures = await new Replay(s).run().catch((e) => [`the replay ended: ${reasonOf(e)}`]);
      result.note(`${s.controller}: ${s.name}`, failures.slice(0, 4));
    }
  return result;
}

function refOf(kind: string, apiVersion?: string): ResourceRef {
  for (const v of apiVersion ? [apiVersion] : API_VERSIONS) {
    const slash = v.indexOf("/");
    const r = registry.byKind(slash < 0 ? "" : v.slice(0, slash), v.slice(slash + 1), kind);
    if (r) return { group: r.group, version: r.version, resource: r.resource, kind: r.kind, namespaced: r.namespaced };
  }
  throw new Error(`no kind ${kind}`);
}

class Replay {
  readonly #s: Scenario;
  // Half past a minute, so that CronJobs have a minute to come.
  readonly #clock: VirtualClock = virtualClock(Date.UTC(2026, 0, 1, 12, 0, 20));
  readonly #names = new Placeholders(NAMESPACE);
  readonly #kinds: Set<string>;
  #plane!: ControlPlane;
  #address = 0;
  readonly #seen = new Map<string, KubeObject>();

  constructor(s: Scenario) {
    this.#s = s;
    this.#kinds = new Set(ALWAYS[s.controller] ?? []);
    for (const step of s.steps) {
      for (const o of step.expect.objects) this.#kinds.add(o.kind);
      for (const op of step.ops) if (op.do === "create") this.#kinds.add(op.object.kind);
    }
  }

  async run(): Promise<string[]> {
    // The recorded cluster had no metrics-server.
    this.#plane = await this.#drive(
      startControlPlane({ clock: this.#clock, random: seededRandom(5), apiserver: { "metrics-server": "false" } }),
    );
    try {
      await this.#base();
      for (const [i, step] of this.#s.steps.entries()) {
        const failures = await this.#step(step, i);
        if (failures.length > 0) return failures.map((f) => `step ${i}: ${f}`);
      }
      return [];
    } finally {
      await this.#drive(this.#plane.stop());
    }
  }

  /** Advances the clock until the promise is settled. */
  async #drive<T>(p: Promise<T>): Promise<T> {
    let settled = false;
    const mark = () => {
      settled = true;
    };
    p.then(mark, mark);
    await this.#clock.until(() => settled, DRIVE_LIMIT_MS);
    return p;
  }

  async #base(): Promise<void> {
    for (const [name, zone] of [
      ["node-1", "a"],
      ["node-2", "b"],
    ] as const)
      await this.#create({
        apiVersion: "v1",
        kind: "Node",
        metadata: { name, labels: { "kubernetes.io/hostname": name, "topology.kubernetes.io/zone": zone } },
        spec: {},
        status: nodeStatus(),
      });
    this.#plane.heartbeat(() => ["node-1", "node-2", ...this.#madeNodes]);
    await this.#create({ apiVersion: "v1", kind: "Namespace", metadata: { name: NAMESPACE } });
    await this.#clock.advance(1_000);
  }

  readonly #madeNodes: string[] = [];

  async #create(object: KubeObject): Promise<void> {
    const ref = refOf(object.kind ?? "", object.apiVersion);
    const made = await this.#drive(this.#plane.client.create(ref, object));
    // The status of a node comes with its creation, as a kubelet's does.
    if (object["status"] && object.kind === "Node" && !made["status"]?.conditions)
      await this.#drive(this.#plane.client.updateStatus(ref, { ...made, status: object["status"] }));
  }

  async #step(step: Step, index: number): Promise<string[]> {
    let samePod: KubeObject | undefined;
    for (const [i, op] of step.ops.entries()) {
      const pod = op.pod === undefined ? undefined : (samePod ?? (await this.#pick(op.pod, op.pick)));
      if (op.pod !== undefined && !pod) return [`no pod for ${JSON.stringify({ do: op.do, pod: op.pod, pick: op.pick })}`];
      const failure = await this.#op(op, pod);
      if (failure) return [`${op.do} ${op.kind ?? op.object?.kind ?? op.pod ?? ""}: ${failure}`];
      const next = step.ops[i + 1];
      samePod = op.do === "bind" && next?.do === "patchPodStatus" && next.pod === op.pod ? pod : undefined;
      await this.#clock.advance(BETWEEN_OPS_MS);
    }
    await this.#clock.advance(QUIET_MS);
    return this.#compare(step, index);
  }

  async #op(op: any, pod: KubeObject | undefined): Promise<string | undefined> {
    const client = this.#plane.client;
    try {
      switch (op.do) {
        case "create": {
          const object = (await this.#fill(op.object)) as KubeObject;
          const ref = refOf(object.kind ?? "", object.apiVersion);
          object.apiVersion ??= ref.group === "" ? ref.version : `${ref.group}/${ref.version}`;
          if (ref.namespaced) object.metadata.namespace = NAMESPACE;
          if (object.kind === "Node") this.#madeNodes.push(object.metadata.name);
          await this.#create(object);
          return op.rejected ? `was not rejected with ${op.rejected}` : undefined;
        }
        case "patch": {
          const ref = refOf(op.kind);
          const name = op.name === "$ns" ? NAMESPACE : this.#real(op.name);
          const patch = await this.#fill(op.patch);
          await this.#drive(
            client.patch(ref, ref.namespaced ? NAMESPACE : "", name, "merge", patch, op.subresource ? { subresource: op.subresource } : {}),
          );
          return undefined;
        }
        case "delete": {
          const ref = refOf(op.kind);
          const name = op.name === "$ns" ? NAMESPACE : this.#real(op.name);
          await this.#drive(client.delete(ref, ref.namespaced ? NAMESPACE : "", name, op.options));
          return undefined;
        }
        case "wait":
          await this.#clock.advance(op.seconds * 1000);
          return undefined;
        case "until": {
          const limit = this.#clock.monotonicMs() + op.timeout * 1000;
          while ((await this.#list(op.kind)).length < op.count) {
            if (this.#clock.monotonicMs() > limit) return `there are not ${op.count} after ${op.timeout} s`;
            await this.#clock.advance(500);
          }
          return undefined;
        }
        case "bind": {
          const name = (pod as KubeObject).metadata.name;
          await this.#drive(
            client.createSubresource(refOf("Pod"), NAMESPACE, name, "binding", {
              apiVersion: "v1",
              kind: "Binding",
              metadata: { name },
              target: { kind: "Node", name: op.node },
            }),
          );
          return undefined;
        }
        case "patchPodStatus":
          await this.#drive(
            client.patch(refOf("Pod"), NAMESPACE, (pod as KubeObject).metadata.name, "merge", await this.#fill(op.patch), {
              subresource: "status",
            }),
          );
          return undefined;
        case "patchPod":
          await this.#drive(client.patch(refOf("Pod"), NAMESPACE, (pod as KubeObject).metadata.name, "merge", await this.#fill(op.patch)));
          return undefined;
        case "deletePod":
          await this.#drive(
            client.delete(
              refOf("Pod"),
              NAMESPACE,
              (pod as KubeObject).metadata.name,
              op.gracePeriodSeconds === undefined ? {} : { gracePeriodSeconds: op.gracePeriodSeconds },
            ),
          );
          return undefined;
        default:
          return "unknown operation";
      }
    } catch (e) {
      if (e instanceof ApiError && (op.mayFail || op.rejected === e.code)) return undefined;
      return reasonOf(e);
    }
  }

  /** A member of a class of pods, or the pod of that name. */
  async #pick(pattern: string, how: string | undefined): Promise<KubeObject | undefined> {
    const pods = await this.#list("Pod");
    this.#learn(pods);
    const oldestFirst = pods.sort(
      (a, b) => (timeMs(a.metadata.creationTimestamp) ?? 0) - (timeMs(b.metadata.creationTimestamp) ?? 0) || revision(a) - revision(b),
    );
    const members = oldestFirst.filter((p) => this.#names.apply(p.metadata.name) === pattern);
    const ready = (p: KubeObject) => (p["status"]?.conditions ?? []).some((c: any) => c.type === "Ready" && c.status === "True");
    const finished = (p: KubeObject) => p["status"]?.phase === "Succeeded" || p["status"]?.phase === "Failed";
    const going = (p: KubeObject) => p.metadata.deletionTimestamp !== undefined;
    const choice: Record<string, (p: KubeObject) => boolean> = {
      oldestUnbound: (p) => !p["spec"].nodeName && !going(p),
      oldestNotReady: (p) => !ready(p) && !finished(p) && !going(p),
      oldestReady: (p) => ready(p) && !going(p),
      oldestPending: (p) => p["status"]?.phase === "Pending" && !going(p),
      oldestNotFinished: (p) => !finished(p) && !going(p),
      oldestNotTerminating: (p) => !going(p),
      terminating: going,
    };
    return how === undefined ? members[0] : members.find(choice[how] ?? (() => false));
  }

  async #list(kind: string): Promise<KubeObject[]> {
    const ref = refOf(kind);
    const { items } = await this.#drive(this.#plane.client.list(ref, ref.namespaced ? { namespace: NAMESPACE } : {}));
    return items;
  }

  #learn(objects: readonly KubeObject[]): void {
    for (const o of objects) if (!this.#seen.has(o.metadata.uid ?? "")) this.#seen.set(o.metadata.uid ?? "", o);
    this.#names.learn([...this.#seen.values()]);
  }

  /** A recorded name with placeholders as the real one. */
  #real(name: string): string {
    if (!name.includes("<")) return name;
    for (const o of this.#seen.values()) if (this.#names.apply(o.metadata.name) === name) return o.metadata.name;
    return name;
  }

  /** Replaces $now, $ip and $uid:Kind/name in an operation. */
  async #fill(value: any): Promise<any> {
    if (typeof value === "string") {
      if (value === "$now") return time(this.#clock.nowMs());
      if (value === "$ip") return this.#ip();
      const m = /^\$uid:(\w+)\/(.+)$/.exec(value);
      if (!m) return value;
      const ref = refOf(m[1] as string);
      const o = await this.#drive(this.#plane.client.get(ref, ref.namespaced ? NAMESPACE : "", this.#real(m[2] as string)));
      return o.metadata.uid;
    }
    if (Array.isArray(value)) return Promise.all(value.map((v) => this.#fill(v)));
    if (value === null || typeof value !== "object") return value;
    const out: any = {};
    for (const [k, v] of Object.entries(value)) out[k] = await this.#fill(v);
    if (out.podIP && Array.isArray(out.podIPs) && value.podIPs[0]?.ip === "$ip") out.podIPs = [{ ip: out.podIP }];
    return out;
  }

  #ip(): string {
    this.#address++;
    return `10.244.9.${this.#address % 250}`;
  }

  async #compare(step: Step, index: number): Promise<string[]> {
    const named = new Set(step.expect.objects.map((o) => `${o.kind}/${o.name}`));
    const live: KubeObject[] = [];
    for (const kind of this.#kinds) {
      const ref = refOf(kind);
      for (const o of await this.#list(kind)) {
        const hidden =
          this.#s.controller !== "ServiceAccount" &&
          (o.metadata.name === "kube-root-ca.crt" || (kind === "ServiceAccount" && o.metadata.name === "default"));
        const foreign =
          !ref.namespaced &&
          !named.has(`${kind}/${o.metadata.name}`) &&
          !(kind === "Namespace" && named.has("Namespace/<ns>") && o.metadata.name === NAMESPACE);
        if (!hidden && !foreign) live.push(o);
      }
    }
    this.#learn(live);
    const withAddresses = this.#s.controller === "EndpointSlice";
    const actual = live.map((o) => JSON.parse(this.#names.apply(JSON.stringify(compact(o, withAddresses)))));
    let expected = step.expect.objects;
    if (this.#s.mayDiffer?.some((p) => p.startsWith(`/${index}/`))) {
      const plain = (o: any) => (o.kind === "Deployment" ? { ...o, status: { ...o.status, conditions: undefined } } : o);
      expected = expected.map(plain);
      return [
        ...compareObjects(JSON.parse(JSON.stringify(expected)), JSON.parse(JSON.stringify(actual.map(plain)))),
        ...(await this.#compareEvents(step)),
      ];
    }
    return [...compareObjects(expected, actual), ...(await this.#compareEvents(step))];
  }

  async #compareEvents(step: Step): Promise<string[]> {
    const events = await this.#list("Event");
    const key = (e: any) => [e.kind, e.name, e.type, e.reason, e.message, e.source].join(" ");
    const actual = new Set(
      events.map((e) =>
        this.#names.apply(
          key({
            ...e["involvedObject"],
            type: e["type"],
            reason: e["reason"],
            message: e["message"],
            source: e["source"]?.component ?? e["reportingComponent"],
          }),
        ),
      ),
    );
    const expected = new Set(step.expect.events.map(key));
    return [
      ...[...expected].filter((e) => !actual.has(e)).map((e) => `missing event ${e}`),
      ...[...actual].filter((e) => !expected.has(e)).map((e) => `unexpected event ${e}`),
    ];
  }
}

const revision = (o: KubeObject): number => Number(o.metadata.resourceVersion);

function nodeStatus(): object {
  const amounts = { cpu: "8", memory: "16Gi", pods: "110" };
  return { capacity: amounts, allocatable: amounts, conditions: [{ type: "Ready", status: "True", reason: "KubeletReady" }] };
}
