// Suite `scheduler`: decisions recorded from kube-scheduler, made again by the real scheduler on the real apiserver, in this process
// on a virtual clock. Which of several equally good nodes is taken is free; messages, conditions and events are compared to the letter.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { registry } from "@podwire/api";
import { reasonOf, seededRandom } from "@podwire/base";
import { ApiError, type KubeObject, type ResourceRef, Resources } from "@podwire/client";
import { type VirtualClock, virtualClock } from "@podwire/testkit";
import { type ControlPlane, startControlPlane } from "../../control-plane.ts";
import { type SuiteResult, Tally } from "./suite.ts";

interface Expectation {
  pod: string;
  scheduled?: boolean;
  rejected?: boolean;
  code?: number;
  message?: string;
  allowedNodes?: string[];
  condition?: { status: string; reason: string; message: string } | null;
  events?: { type: string; reason: string; message: string }[];
  nominatedNodeName?: string;
  preemptedPods?: string[];
  victims?: { pod: string; conditions: any[]; events: any[] }[];
  afterVictimsGone?: { scheduled: boolean; allowedNodes?: string[] };
}

interface Scenario {
  name: string;
  nodes: KubeObject[];
  existing: KubeObject[];
  objects: KubeObject[];
  pods: KubeObject[];
  expect: Expectation[];
  then?: any[];
  expectAfter?: Expectation[][];
}

const SETTLE_MS = 1_500;
const AFTER_MS = 15_000;
const DRIVE_LIMIT_MS = 120_000;
const UNSCHEDULABLE_TAINT = { key: "node.kubernetes.io/unschedulable", effect: "NoSchedule" };

export async function run(dir: string): Promise<SuiteResult> {
  const result = new Tally();
  const only = process.env["PODWIRE_SCENARIO"];
  for (const file of readdirSync(dir).filter((f) => f.endsWith(".json")))
    for (const s of JSON.parse(readFileSync(join(dir, file), "utf8")) as Scenario[]) {
      if (only !== undefined && !s.name.includes(only)) continue;
      const failures = await new Replay(s).run().catch((e) => [`the replay ended: ${reasonOf(e)}`]);
      result.note(s.name, failures.slice(0, 3));
    }
  return result;
}

function refOf(o: { kind?: string; apiVersion?: string }): ResourceRef {
  const candidates = o.apiVersion ? [o.apiVersion] : ["v1", "storage.k8s.io/v1", "scheduling.k8s.io/v1", "policy/v1", "node.k8s.io/v1"];
  for (const v of candidates) {
    const slash = v.indexOf("/");
    const r = registry.byKind(slash < 0 ? "" : v.slice(0, slash), v.slice(slash + 1), o.kind ?? "");
    if (r) return { group: r.group, version: r.version, resource: r.resource, kind: r.kind, namespaced: r.namespaced };
  }
  throw new Error(`no kind ${o.kind}`);
}

class Replay {
  readonly #s: Scenario;
  readonly #clock: VirtualClock = virtualClock(Date.UTC(2026, 0, 2));
  #plane!: ControlPlane;

  constructor(s: Scenario) {
    this.#s = s;
  }

  async run(): Promise<string[]> {
    const controllers = ["serviceaccount-controller"];
    this.#plane = await this.#drive(startControlPlane({ clock: this.#clock, random: seededRandom(9), controllers, scheduler: true }));
    try {
      return await this.#replay();
    } finally {
      await this.#drive(this.#plane.stop());
    }
  }

  async #drive<T>(p: Promise<T>): Promise<T> {
    let settled = false;
    const mark = () => {
      settled = true;
    };
    p.then(mark, mark);
    await this.#clock.until(() => settled, DRIVE_LIMIT_MS);
    return p;
  }

  async #create(object: KubeObject): Promise<KubeObject> {
    const o = { ...object, metadata: { ...object.metadata } };
    const ref = refOf(o);
    if (ref.namespaced) o.metadata.namespace ??= "default";
    const made = await this.#drive(this.#plane.client.create(ref, o));
    return made;
  }

  async #replay(): Promise<string[]> {
    for (const team of ["a", "b"])
      await this.#create({ kind: "Namespace", apiVersion: "v1", metadata: { name: `team-${team}`, labels: { team } } });
    await this.#clock.advance(500);
    for (const o of this.#s.objects) await this.#makeObject(o);
    for (const n of this.#s.nodes) await this.#node(n);
    for (const p of this.#s.existing) {
      const made = await this.#create({ apiVersion: "v1", kind: "Pod", ...p });
      const status = { phase: "Running", ...p["status"] };
      await this.#drive(
        this.#plane.client.patch(
          Resources.pods,
          made.metadata.namespace ?? "",
          made.metadata.name,
          "merge",
          { status },
          { subresource: "status" },
        ),
      );
    }
    await this.#clock.advance(SETTLE_MS);
    const failures: string[] = [];
    for (const [i, p] of this.#s.pods.entries()) {
      const want = this.#s.expect.find((e) => e.pod === p.metadata.name) ?? (this.#s.expect[i] as Expectation);
      const rejected = await this.#makePod(p);
      if (want.rejected) {
        if (rejected?.code !== want.code || rejected?.message !== want.message)
          failures.push(`${want.pod}: expected ${want.code} ${want.message}, got ${rejected?.code} ${rejected?.message}`);
        continue;
      }
      if (rejected) return [`${want.pod}: refused: ${rejected.message}`];
      await this.#clock.advance(SETTLE_MS);
      failures.push(...(await this.#check(want, p.metadata.namespace ?? "default")));
    }
    for (const [i, action] of (this.#s.then ?? []).entries()) {
      await this.#act(action);
      await this.#clock.advance(AFTER_MS / 2);
      await this.#playBinder();
      await this.#clock.advance(AFTER_MS / 2);
      for (const want of this.#s.expectAfter?.[i] ?? [])
        failures.push(...(await this.#checkPlace(want, await this.#pod(want.pod))).map((f) => `after ${i}: ${f}`));
    }
    return failures;
  }

  /** Objects that carry a status get it by the status subresource. */
  async #makeObject(o: KubeObject): Promise<void> {
    const made = await this.#create(o);
    if (o["status"] && !["StorageClass", "PriorityClass"].includes(o.kind ?? ""))
      await this.#drive(this.#plane.client.updateStatus(refOf(o), { ...made, status: { ...made["status"], ...o["status"] } }));
  }

  async #node(given: KubeObject): Promise<void> {
    const n: KubeObject = given;
    const unschedulable = n["spec"]?.unschedulable === true || n["unschedulable"] === true;
    const taints = [...(n["spec"]?.taints ?? []), ...(unschedulable ? [UNSCHEDULABLE_TAINT] : [])];
    const made: KubeObject = await this.#create({
      apiVersion: "v1",
      kind: "Node",
      metadata: n.metadata,
      spec: { ...n["spec"], unschedulable, taints },
    });
    const status = {
      ...n["status"],
      capacity: n["status"].allocatable,
      conditions: [{ type: "Ready", status: "True", reason: "KubeletReady" }],
    };
    const live: KubeObject = await this.#drive(this.#plane.client.updateStatus<KubeObject>(Resources.nodes, { ...made, status }));
    // Registration adds a taint for nodes that are not ready yet; these are.
    if ((live["spec"].taints ?? []).length !== taints.length)
      await this.#drive(this.#plane.client.update(Resources.nodes, { ...live, spec: { ...live["spec"], taints } }));
  }

  async #makePod(p: KubeObject): Promise<ApiError | undefined> {
    try {
      await this.#create({ apiVersion: "v1", kind: "Pod", ...p });
      return undefined;
    } catch (e) {
      if (e instanceof ApiError) return e;
      throw e;
    }
  }

  async #pod(name: string): Promise<KubeObject | undefined> {
    const { items } = await this.#drive(this.#plane.client.list(Resources.pods, {}));
    return items.find((p) => p.metadata.name === name);
  }

  /** No volume binder runs: what the scheduler has reserved for a claim is bound by hand, as for the recording. */
  async #playBinder(): Promise<void> {
    const { items } = await this.#drive(this.#plane.client.list(Resources.persistentVolumes, {}));
    for (const v of items) {
      const ref = v["spec"].claimRef;
      if (!ref?.uid) continue;
      const annotations = { "pv.kubernetes.io/bind-completed": "yes" };
      const patch = { metadata: { annotations }, spec: { volumeName: v.metadata.name } };
      await this.#drive(this.#plane.client.patch(Resources.persistentVolumeClaims, ref.namespace, ref.name, "merge", patch));
    }
  }

  async #act(a: any): Promise<void> {
    if (a.do === "create") {
      if (a.object.kind === "Node") return this.#node(a.object);
      return this.#makeObject(a.object);
    }
    const ref = refOf({ kind: a.kind });
    const namespace = ref.namespaced ? "default" : "";
    if (a.do === "patch")
      await this.#drive(
        this.#plane.client.patch(ref, namespace, a.name, "merge", a.patch, a.subresource ? { subresource: a.subresource } : {}),
      );
    else await this.#drive(this.#plane.client.delete(ref, namespace, a.name, { gracePeriodSeconds: 0 }));
  }

  async #check(want: Expectation, namespace: string): Promise<string[]> {
    const pod = await this.#pod(want.pod);
    const failures = await this.#checkPlace(want, pod);
    if (!pod) return failures;
    if (want.scheduled === false) {
      const has = (pod["status"]?.conditions ?? []).find((c: any) => c.type === "PodScheduled");
      const text = has && JSON.stringify([has.status, has.reason, has.message]);
      const expected = want.condition ? JSON.stringify([want.condition.status, want.condition.reason, want.condition.message]) : undefined;
      if (text !== expected) failures.push(`${want.pod}: condition ${text}, expected ${expected}`);
    }
    failures.push(...(await this.#checkEvents(want.pod, namespace, want.events ?? [], pod)));
    if (want.nominatedNodeName !== undefined && pod["status"]?.nominatedNodeName !== want.nominatedNodeName)
      failures.push(`${want.pod}: nominated ${pod["status"]?.nominatedNodeName}, expected ${want.nominatedNodeName}`);
    if (want.preemptedPods) failures.push(...(await this.#checkVictims(want)));
    return failures;
  }

  async #checkPlace(want: Expectation, pod: KubeObject | undefined): Promise<string[]> {
    const node = pod?.["spec"].nodeName;
    if (want.scheduled === false) return node ? [`${want.pod}: was put on ${node}`] : [];
    if (!node) return [`${want.pod}: was not scheduled: ${JSON.stringify(pod?.["status"]?.conditions?.[0]?.message)}`];
    if (!want.allowedNodes || want.allowedNodes.includes(node)) return [];
    // A tie that the recording has not seen: as good as the nodes that it saw.
    const e = this.#plane.scheduler?.explain(pod.metadata.namespace ?? "", want.pod) as
      | { nodes: Record<string, { score?: number }> }
      | undefined;
    const totals = e?.nodes ?? {};
    const best = Math.max(...want.allowedNodes.map((n) => totals[n]?.score ?? -1));
    return totals[node]?.score === best && best >= 0
      ? []
      : [`${want.pod}: on ${node}, expected one of ${want.allowedNodes} (${JSON.stringify(totals)})`];
  }

  async #checkEvents(name: string, namespace: string, wanted: readonly any[], pod: KubeObject): Promise<string[]> {
    const { items } = await this.#drive(this.#plane.client.list(Resources.events, { namespace }));
    const node = pod["spec"].nodeName ?? "<none>";
    const key = (e: any) => `${e.type} ${e.reason} ${e.message}`.replace(/[0-9a-f]{8}-[0-9a-f-]{27}/g, "<uid>");
    const actual = new Set(items.filter((e) => e["involvedObject"].name === name).map(key));
    const expected = new Set(wanted.map((e) => key(e).replaceAll("<node>", node)));
    return [
      ...[...expected].filter((e) => !actual.has(e)).map((e) => `${name}: missing event ${e}`),
      ...[...actual].filter((e) => !expected.has(e)).map((e) => `${name}: unexpected event ${e}`),
    ];
  }

  async #checkVictims(want: Expectation): Promise<string[]> {
    const failures: string[] = [];
    const gone: string[] = [];
    for (const p of [...this.#s.existing, ...this.#s.pods.filter((x) => x.metadata.name !== want.pod)]) {
      const live = await this.#pod(p.metadata.name);
      if (!live || live.metadata.deletionTimestamp) gone.push(p.metadata.name);
    }
    if (JSON.stringify(gone.sort()) !== JSON.stringify([...(want.preemptedPods ?? [])].sort()))
      failures.push(`preempted ${gone}, expected ${want.preemptedPods}`);
    for (const v of want.victims ?? []) {
      const live = await this.#pod(v.pod);
      const has = (live?.["status"]?.conditions ?? []).find((c: any) => c.type === "DisruptionTarget");
      const c = v.conditions[0];
      if (has?.reason !== c?.reason || has?.message !== c?.message) failures.push(`victim ${v.pod}: condition ${JSON.stringify(has)}`);
      if (live) {
        const all = await this.#checkEvents(v.pod, live.metadata.namespace ?? "default", v.events, live);
        // A victim that this scheduler placed has its own event, too.
        failures.push(...all.filter((f) => !f.includes("unexpected event Normal Scheduled")));
      }
      await this.#drive(
        this.#plane.client.delete(Resources.pods, live?.metadata.namespace ?? "default", v.pod, { gracePeriodSeconds: 0 }),
      ).catch(() => {});
    }
    if (!want.afterVictimsGone) return failures;
    await this.#clock.advance(AFTER_MS);
    return [
      ...failures,
      ...(await this.#checkPlace({ ...want, ...want.afterVictimsGone }, await this.#pod(want.pod))).map((f) => `after the victims: ${f}`),
    ];
  }
}
