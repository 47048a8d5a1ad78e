// PodSecurity: a namespace's labels say which level its pods must keep, and of which users are warned (KEP-2579).
import { errorText, type FieldError, invalid, type KubeObject, statusErrors } from "@podwire/api";
import type { Api } from "../call.ts";
import type { AdmissionPlugin, Attributes } from "./chain.ts";
import { forbiddenBy } from "./forbidden.ts";
import { type Level, violations, violationText } from "./pod-security-checks.ts";

const PREFIX = "pod-security.kubernetes.io/";
const LEVELS = ["privileged", "baseline", "restricted"];
const MODES = ["enforce", "audit", "warn"] as const;
/** Existing pods looked at when a namespace's level rises. */
const MAX_PODS_CHECKED = 3_000;
/** Subresources of pods that cannot change what a pod may do. */
const IGNORED = new Set(["exec", "attach", "binding", "eviction", "log", "portforward", "proxy", "status"]);

interface LevelVersion {
  level: Level;
  version: string;
}

type Policy = Record<(typeof MODES)[number], LevelVersion>;
type Subject = { metadata: any; spec: any };

const TEMPLATES: Readonly<Record<string, (o: KubeObject) => any>> = {
  podtemplates: (o) => o["template"],
  replicationcontrollers: (o) => o["spec"]?.template,
  "replicasets.apps": (o) => o["spec"]?.template,
  "deployments.apps": (o) => o["spec"]?.template,
  "statefulsets.apps": (o) => o["spec"]?.template,
  "daemonsets.apps": (o) => o["spec"]?.template,
  "jobs.batch": (o) => o["spec"]?.template,
  "cronjobs.batch": (o) => o["spec"]?.jobTemplate?.spec?.template,
};

export function podSecurity(api: Api): AdmissionPlugin {
  return {
    name: "PodSecurity",
    operations: ["CREATE", "UPDATE"],
    validate(a) {
      if (!a.object) return;
      const id = a.info.groupResource;
      if (id === "namespaces") return a.subresource === "" ? namespace(api, a) : undefined;
      if (id === "pods") return IGNORED.has(a.subresource) ? undefined : pod(api, a);
      const template = a.subresource === "" ? TEMPLATES[id]?.(a.object) : undefined;
      return template?.spec ? controller(api, a, template) : undefined;
    },
  };
}

/** What a namespace's labels ask for; where they make no sense, the strictest is enforced, and nothing is warned of or recorded. */
export function policyOf(labels: Readonly<Record<string, string>>): { policy: Policy; errors: FieldError[] } {
  const errors: FieldError[] = [];
  const read = (label: string, good: (v: string) => boolean, why: string): string | undefined | null => {
    const value = labels[PREFIX + label];
    if (value === undefined || good(value)) return value;
    errors.push(invalid(`metadata.labels[${PREFIX}${label}]`, value, why));
    return null;
  };
  const of = (mode: string, whenWrong: Level): LevelVersion => {
    const level = read(mode, (v) => LEVELS.includes(v), `must be one of ${LEVELS.join(", ")}`);
    const version = read(`${mode}-version`, (v) => v === "latest" || /^v1\.(\d|[1-9]\d*)$/.test(v), 'must be "latest" or "v1.x"');
    return { level: level === null ? whenWrong : ((level ?? "privileged") as Level), version: version ?? "latest" };
  };
  const policy = { enforce: of("enforce", "restricted"), audit: of("audit", "privileged"), warn: of("warn", "privileged") };
  // Without a word of its own, the warning follows what is enforced (so that owners of controllers hear of it).
  const { enforce, warn } = policy;
  const enforced = labels[`${PREFIX}enforce`];
  if (labels[`${PREFIX}warn`] === undefined && LEVELS.includes(enforced ?? "") && stricter(enforce.level, warn.level)) {
    warn.level = enforce.level;
    if (labels[`${PREFIX}warn-version`] === undefined) warn.version = enforce.version;
  }
  return { policy, errors };
}

const stricter = (a: Level, b: Level) => LEVELS.indexOf(a) > LEVELS.indexOf(b);
const text = (p: LevelVersion) => `${p.level}:${p.version}`;

/** The policy for a request's namespace, also of one that this server's cache has not seen yet. */
async function policyFor(api: Api, a: Attributes) {
  const key = { group: "", resource: "namespaces", namespace: "", name: a.namespace };
  const there = api.cache.of("", "namespaces").get("", a.namespace) ?? (await api.storage.read(key, true));
  if (!there) throw statusErrors.internal(`failed to lookup namespace ${JSON.stringify(a.namespace)}`);
  return policyOf(there.object.metadata.labels ?? {});
}

async function pod(api: Api, a: Attributes): Promise<void> {
  const { policy, errors } = await policyFor(api, a);
  if (errors.length === 0 && MODES.every((m) => policy[m].level === "privileged")) {
    a.notes?.annotate(`${PREFIX}enforce-policy`, "privileged:latest");
    return;
  }
  const o = a.object as KubeObject;
  if (a.operation === "UPDATE" && a.oldObject && !significant(o, a.oldObject)) return;
  evaluate(a, policy, errors, { metadata: o.metadata, spec: o["spec"] ?? {} }, true);
}

async function controller(api: Api, a: Attributes, template: any): Promise<void> {
  const { policy, errors } = await policyFor(api, a);
  if (errors.length === 0 && policy.warn.level === "privileged" && policy.audit.level === "privileged") return;
  evaluate(a, policy, errors, { metadata: template.metadata ?? {}, spec: template.spec }, false);
}

/** Refuses what the level that is enforced minds; else warns, and notes for the audit log, what the other levels mind. */
function evaluate(a: Attributes, policy: Policy, errors: readonly FieldError[], subject: Subject, enforce: boolean): void {
  const minds = (p: LevelVersion) => {
    const v = violations(p.level, p.version, subject);
    return v.length > 0 ? `PodSecurity ${JSON.stringify(text(p))}: ${violationText(v)}` : undefined;
  };
  if (errors.length > 0) {
    const why = errors.map(errorText);
    a.notes?.annotate(`${PREFIX}error`, `Failed to parse policy: ${why.length === 1 ? why[0] : `[${why.join(", ")}]`}`);
  }
  if (enforce) a.notes?.annotate(`${PREFIX}enforce-policy`, text(policy.enforce));
  const audited = minds(policy.audit);
  if (audited) a.notes?.annotate(`${PREFIX}audit-violations`, `would violate ${audited}`);
  const refused = enforce ? minds(policy.enforce) : undefined;
  if (refused) throw forbiddenBy(a, `violates ${refused}`);
  const warned = minds(policy.warn);
  if (warned) a.warnings.push(`would violate ${warned}`);
}

/** Updates that leave containers' images alone cannot change what a pod may do. */
function significant(o: KubeObject, old: KubeObject): boolean {
  const images = (p: KubeObject) =>
    JSON.stringify(["containers", "initContainers"].map((k) => (p["spec"]?.[k] ?? []).map((c: any) => c.image)));
  if (images(o) !== images(old)) return true;
  const before = new Map((old["spec"]?.ephemeralContainers ?? []).map((c: any) => [c.name, c.image]));
  return (o["spec"]?.ephemeralContainers ?? []).some((c: any) => before.get(c.name) !== c.image);
}

function namespace(api: Api, a: Attributes): void {
  const o = a.object as KubeObject;
  const { policy, errors } = policyOf(o.metadata.labels ?? {});
  const old = a.operation === "UPDATE" ? policyOf(a.oldObject?.metadata.labels ?? {}) : undefined;
  // What was wrong already does not stop another change.
  if (errors.length > 0 && JSON.stringify(old?.errors) !== JSON.stringify(errors))
    throw statusErrors.invalid({ group: "", kind: "Namespace" }, o.metadata.name ?? "", errors);
  if (!old) return;
  const [before, now] = [old.policy.enforce, policy.enforce];
  if (now.level === "privileged" || (now.version === before.version && !stricter(now.level, before.level))) return;
  a.warnings.push(...warningsOfExisting(api, o.metadata.name ?? "", now));
}

/** What the pods that are there would be refused for. */
function warningsOfExisting(api: Api, name: string, now: LevelVersion): string[] {
  const all = foremost([...api.cache.of("", "pods").values(name)].map((p) => p.object));
  const found = new Map<string, string[]>();
  for (const p of all.slice(0, MAX_PODS_CHECKED)) {
    const reasons = violations(now.level, now.version, { metadata: p.metadata, spec: p["spec"] ?? {} }).map((v) => v.reason);
    if (reasons.length === 0) continue;
    const why = reasons.join(", ");
    found.set(why, [...(found.get(why) ?? []), p.metadata.name ?? ""]);
  }
  const out: string[] = [];
  if (all.length > MAX_PODS_CHECKED)
    out.push(`new PodSecurity enforce level only checked against the first ${MAX_PODS_CHECKED} of ${all.length} existing pods`);
  if (found.size > 0)
    out.push(`existing pods in namespace ${JSON.stringify(name)} violate the new PodSecurity enforce level ${JSON.stringify(text(now))}`);
  const others = (n: number) => (n === 0 ? "" : ` (and ${n} other ${n === 1 ? "pod" : "pods"})`);
  return [...out, ...[...found].map(([why, names]) => `${[...names].sort()[0]}${others(names.length - 1)}: ${why}`).sort()];
}

/** One pod of each controller before the others. */
function foremost(pods: readonly KubeObject[]): KubeObject[] {
  const seen = new Set<string>();
  const first: KubeObject[] = [];
  const rest: KubeObject[] = [];
  for (const p of pods) {
    const owner = p.metadata.ownerReferences?.find((r) => r.controller === true)?.uid;
    if (owner === undefined || !seen.has(owner)) first.push(p);
    else rest.push(p);
    if (owner !== undefined) seen.add(owner);
  }
  return [...first, ...rest];
}
