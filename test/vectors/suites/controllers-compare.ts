// The compact form in which recorded controller scenarios tell the state of a namespace, made from live objects, and the comparison
// with what was recorded. What is random or a time becomes a placeholder, as in the recording (test/vectors/controllers/README.md).
import { isDeepStrictEqual } from "node:util";
import { type KubeObject, timeMs } from "@podwire/client";

const WORKLOADS = new Set(["Deployment", "ReplicaSet", "ReplicationController", "StatefulSet", "DaemonSet", "Job"]);
const TIMES = ["lastTransitionTime", "lastUpdateTime", "lastProbeTime", "lastHeartbeatTime"];
const DEFAULT_TOLERATIONS = new Set(["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"]);
const HASH_LABELS = ["controller.kubernetes.io/hash", "controller-revision-hash"];

/** Texts to be replaced by placeholders, found in the objects seen so far. */
export class Placeholders {
  readonly #names = new Map<string, string>();
  readonly #hashes: string[] = [];
  readonly #revisions: string[] = [];
  readonly #namespace: string;

  constructor(namespace: string) {
    this.#namespace = namespace;
  }

  /** Learns hashes, revisions and generated names, oldest object first. */
  learn(objects: readonly KubeObject[]): void {
    const sorted = [...objects].sort(
      (a, b) => (timeMs(a.metadata.creationTimestamp) ?? 0) - (timeMs(b.metadata.creationTimestamp) ?? 0) || order(a) - order(b),
    );
    for (const o of sorted) {
      const hash = o.kind === "ReplicaSet" ? o.metadata.labels?.["pod-template-hash"] : undefined;
      if (hash !== undefined && hash.length > 4 && !this.#hashes.includes(hash)) this.#hashes.push(hash);
      const revision = o.kind === "ControllerRevision" ? HASH_LABELS.map((l) => o.metadata.labels?.[l]).find((h) => h) : undefined;
      if (revision !== undefined && !this.#revisions.includes(revision)) this.#revisions.push(revision);
      if (o.metadata.generateName && o.metadata.name.startsWith(o.metadata.generateName))
        this.#names.set(o.metadata.name, `${o.metadata.generateName}<rand>`);
    }
  }

  /** A text with what is random replaced. */
  apply(text: string): string {
    let t = text;
    for (const [name, placeholder] of this.#names) t = t.replaceAll(name, placeholder);
    this.#hashes.forEach((h, i) => {
      t = t.replaceAll(h, `<hash${i + 1}>`);
    });
    this.#revisions.forEach((r, i) => {
      t = t.replaceAll(r, `<rev${i + 1}>`);
    });
    return t
      .replaceAll(this.#namespace, "<ns>")
      .replace(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g, "<uid>")
      .replace(/\b(cj)-\d{7,10}\b/g, "$1-<minute>")
      .replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z/g, "<time>")
      .replace(/-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----(\\n)*/gs, "<pem>");
  }
}

const order = (o: KubeObject): number => Number(o.metadata["resourceVersion"] ?? 0);

export function compact(o: KubeObject, withAddresses: boolean): Record<string, any> {
  const m = o.metadata;
  const out: Record<string, any> = { kind: o.kind, name: m.name };
  if (m.labels && Object.keys(m.labels).length > 0) out["labels"] = m.labels;
  if (m.annotations && Object.keys(m.annotations).length > 0) out["annotations"] = m.annotations;
  if (m.finalizers && m.finalizers.length > 0) out["finalizers"] = m.finalizers;
  if (m.ownerReferences && m.ownerReferences.length > 0) out["owners"] = m.ownerReferences.map(({ uid: _, ...r }) => r);
  if (m.deletionTimestamp) out["terminating"] = true;
  if (m.deletionGracePeriodSeconds !== undefined && m.deletionGracePeriodSeconds !== 0)
    out["deletionGracePeriodSeconds"] = m.deletionGracePeriodSeconds;
  if (m.generation !== undefined) out["generation"] = m.generation;
  for (const field of ["data", "subsets", "endpoints", "ports", "addressType", "revision"])
    if (o[field] !== undefined) out[field] = o[field];
  if (o["spec"]) out["spec"] = o.kind === "Pod" ? podSpec(o["spec"]) : WORKLOADS.has(o.kind ?? "") ? workloadSpec(o["spec"]) : o["spec"];
  if (o["status"]) out["status"] = o.kind === "Pod" ? podStatus(o["status"], withAddresses) : conditionsSorted(o["status"]);
  if (out["endpoints"])
    out["endpoints"] = out["endpoints"].map((e: any) => ({
      ...e,
      ...(e.targetRef ? { targetRef: { ...e.targetRef, uid: undefined } } : {}),
    }));
  if (o.kind === "CronJob" && out["status"]?.active)
    out["status"] = { ...out["status"], active: out["status"].active.map(({ uid: _, resourceVersion: __, ...r }: any) => r) };
  if (out["subsets"]) out["subsets"] = JSON.parse(JSON.stringify(out["subsets"], (k, v) => (k === "uid" ? undefined : v)));
  return JSON.parse(JSON.stringify(out));
}

function images(template: any): string[] {
  return (template?.spec?.containers ?? []).map((c: any) => c.image);
}

function workloadSpec(spec: any): any {
  const { template, volumeClaimTemplates: _, ...rest } = spec;
  return { ...rest, template: { ...template?.metadata, images: images(template) } };
}

function podSpec(s: any): any {
  const volumes = (s.volumes ?? []).filter((v: any) => !v.name.startsWith("kube-api-access-"));
  const tolerations = (s.tolerations ?? []).filter((t: any) => !(DEFAULT_TOLERATIONS.has(t.key) && t.tolerationSeconds === 300));
  const env = (s.containers ?? []).flatMap((c: any) => c.env ?? []);
  const keep = (k: string) => (s[k] === undefined ? {} : { [k]: s[k] });
  return {
    ...keep("nodeName"),
    ...keep("hostname"),
    ...keep("subdomain"),
    ...keep("restartPolicy"),
    ...keep("affinity"),
    images: (s.containers ?? []).map((c: any) => c.image),
    ...(env.length > 0 ? { env } : {}),
    ...(volumes.length > 0 ? { volumes } : {}),
    ...(tolerations.length > 0 ? { tolerations } : {}),
  };
}

function podStatus(s: any, withAddresses: boolean): any {
  const keep = (k: string) => (s[k] === undefined ? {} : { [k]: s[k] });
  return conditionsSorted({
    ...keep("phase"),
    ...keep("reason"),
    ...keep("message"),
    ...(withAddresses ? keep("podIP") : {}),
    ...keep("conditions"),
  });
}

function conditionsSorted(status: any): any {
  if (!Array.isArray(status.conditions)) return status;
  const conditions = status.conditions
    .map((c: any) => Object.fromEntries(Object.entries(c).filter(([k, v]) => !TIMES.includes(k) && v !== null)))
    .sort((a: any, b: any) => (a.type < b.type ? -1 : 1));
  return { ...status, conditions };
}

/** Fields of an expected object that must be equal as a whole; the rest of `actual` may hold more than was recorded. */
const WHOLE = ["labels", "annotations", "finalizers", "owners", "terminating", "deletionGracePeriodSeconds", "subsets", "endpoints"];

/** The first difference, or undefined. */
export function difference(expected: any, actual: any): string | undefined {
  for (const f of WHOLE) {
    const e = empty(expected[f]);
    const a = empty(actual[f]);
    if (!isDeepStrictEqual(sorted(e), sorted(a))) return `${f}: expected ${text(e)}, got ${text(a)}`;
  }
  for (const f of Object.keys(expected)) {
    if (WHOLE.includes(f)) continue;
    const exact = f === "status" && expected.kind !== "Node" && expected.kind !== "Namespace";
    const d = within(expected[f], actual[f], f, exact);
    if (d) return d;
  }
  if (expected.status === undefined && actual.status !== undefined && WORKLOADS.has(expected.kind))
    return `status: expected none, got ${text(actual.status)}`;
  return undefined;
}

/** `expected` is contained in `actual`; with `exact` there is nothing else. */
function within(expected: any, actual: any, path: string, exact: boolean): string | undefined {
  if (Array.isArray(expected) && Array.isArray(actual)) {
    if (expected.length !== actual.length) return `${path}: expected ${text(expected)}, got ${text(actual)}`;
    for (let i = 0; i < expected.length; i++) {
      const d = within(expected[i], actual[i], `${path}[${i}]`, exact);
      if (d) return d;
    }
    return undefined;
  }
  if (expected !== null && typeof expected === "object" && actual !== null && typeof actual === "object") {
    const keys = exact ? new Set([...Object.keys(expected), ...Object.keys(actual)]) : Object.keys(expected);
    for (const k of keys) {
      const d = within(expected[k], actual[k], `${path}.${k}`, exact);
      if (d) return d;
    }
    return undefined;
  }
  if (expected === "<clusterIP>" && typeof actual === "string") return undefined;
  const e = expected === 0 || expected === null ? undefined : expected;
  const a = actual === 0 || actual === null || (Array.isArray(actual) && actual.length === 0) ? undefined : actual;
  return e === a || isDeepStrictEqual(e, a) ? undefined : `${path}: expected ${text(expected)}, got ${text(actual)}`;
}

const empty = (v: any) =>
  v === null || v === undefined || v === false || (typeof v === "object" && Object.keys(v).length === 0) ? undefined : v;
const text = (v: any) => JSON.stringify(v)?.slice(0, 400);

function sorted(v: any): any {
  if (Array.isArray(v)) return v.map(sorted).sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
  if (v === null || typeof v !== "object") return v;
  return Object.fromEntries(
    Object.keys(v)
      .sort()
      .map((k) => [k, sorted(v[k])]),
  );
}

/** Pairs expected with actual objects as multisets; the differences that remain. */
export function compareObjects(expected: readonly any[], actual: readonly any[]): string[] {
  const left = [...actual];
  const out: string[] = [];
  const unmatched: any[] = [];
  for (const e of expected) {
    const at = left.findIndex((a) => a.kind === e.kind && a.name === e.name && difference(e, a) === undefined);
    if (at >= 0) left.splice(at, 1);
    else unmatched.push(e);
  }
  for (const e of unmatched) {
    const at = left.findIndex((a) => a.kind === e.kind && a.name === e.name);
    if (at < 0) out.push(`missing ${e.kind} ${e.name}`);
    else out.push(`${e.kind} ${e.name}: ${difference(e, left.splice(at, 1)[0])}`);
  }
  for (const a of left) out.push(`unexpected ${a.kind} ${a.name}`);
  return out;
}
