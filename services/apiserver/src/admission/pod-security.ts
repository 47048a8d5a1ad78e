// PodSecurity: a namespace's labels say which level its pods must keep, and of which users are warned (KEP-2579).
import { type FieldError, invalid, type KubeObject, statusErrors } from "@podwire/api";
import type { Api } from "../call.ts";
import type { AdmissionPlugin, Attributes } from "./chain.ts";
import { forbiddenBy } from "./forbidden.ts";
import { type Level, violations, violationText } from "./pod-security-checks.ts";

const PREFIX = "pod-security.kubernetes.io/";
const LEVELS = ["privileged", "baseline", "restricted"];
/** Existing pods looked at when a namespace's level rises, and names shown per warning. */
const MAX_PODS_CHECKED = 3_000;

interface Policy {
  level: Level;
  version: string;
}

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
      if (id === "namespaces" && a.subresource === "") return namespace(api, a);
      if (id === "pods" && (a.subresource === "" || a.subresource === "ephemeralcontainers")) return pod(api, a);
      const template = a.subresource === "" ? TEMPLATES[id]?.(a.object) : undefined;
      if (template?.spec) controller(api, a, template);
    },
  };
}

function policyOf(labels: Record<string, string> | undefined, mode: string): Policy {
  // Without a word of its own, the warning follows what is enforced (so that owners of controllers hear of it).
  if (mode === "warn" && labels?.[`${PREFIX}warn`] === undefined) return policyOf(labels, "enforce");
  const level = labels?.[`${PREFIX}${mode}`];
  return {
    level: LEVELS.includes(level ?? "") ? (level as Level) : level === undefined ? "privileged" : "restricted",
    version: labels?.[`${PREFIX}${mode}-version`] ?? "latest",
  };
}

function labelsOf(api: Api, a: Attributes): Record<string, string> | undefined {
  return api.cache.of("", "namespaces").get("", a.namespace)?.object.metadata.labels;
}

function pod(api: Api, a: Attributes): void {
  const o = a.object as KubeObject;
  if (a.operation === "UPDATE" && a.oldObject && !significant(o, a.oldObject)) return;
  const labels = labelsOf(api, a);
  if (!labels) return;
  const subject = { metadata: o.metadata, spec: o["spec"] ?? {} };
  const enforce = policyOf(labels, "enforce");
  const bad = violations(enforce.level, subject);
  if (bad.length > 0) throw forbiddenBy(a, `violates PodSecurity "${enforce.level}:${enforce.version}": ${violationText(bad)}`);
  warn(labels, a, subject);
}

function controller(api: Api, a: Attributes, template: any): void {
  const labels = labelsOf(api, a);
  if (labels) warn(labels, a, { metadata: template.metadata ?? {}, spec: template.spec });
}

function warn(labels: Record<string, string>, a: Attributes, subject: { metadata: any; spec: any }): void {
  const policy = policyOf(labels, "warn");
  const bad = violations(policy.level, subject);
  if (bad.length > 0) a.warnings.push(`would violate PodSecurity "${policy.level}:${policy.version}": ${violationText(bad)}`);
}

/** Updates that leave containers' images alone cannot change what a pod may do. */
function significant(o: KubeObject, old: KubeObject): boolean {
  const shape = (p: KubeObject) => {
    const s = p["spec"] ?? {};
    const images = [...(s.initContainers ?? []), ...(s.containers ?? [])].map((c: any) => [c.image, c.securityContext]);
    return JSON.stringify([images, s.ephemeralContainers ?? [], s.securityContext]);
  };
  return shape(o) !== shape(old);
}

function namespace(api: Api, a: Attributes): void {
  const o = a.object as KubeObject;
  const errors: FieldError[] = [];
  for (const mode of ["enforce", "audit", "warn"]) {
    const level = o.metadata.labels?.[`${PREFIX}${mode}`];
    const version = o.metadata.labels?.[`${PREFIX}${mode}-version`];
    if (level !== undefined && !LEVELS.includes(level))
      errors.push(invalid(`metadata.labels[${PREFIX}${mode}]`, level, "must be one of privileged, baseline, restricted"));
    if (version !== undefined && version !== "latest" && !/^v1\.(0|[1-9]\d*)$/.test(version))
      errors.push(invalid(`metadata.labels[${PREFIX}${mode}-version]`, version, 'must be "latest" or "v1.x"'));
  }
  const old = a.oldObject?.metadata.labels;
  const before = policyOf(old, "enforce");
  const now = policyOf(o.metadata.labels, "enforce");
  if (errors.length > 0) {
    const unchanged =
      a.oldObject &&
      ["enforce", "audit", "warn"].every(
        (m) =>
          old?.[`${PREFIX}${m}`] === o.metadata.labels?.[`${PREFIX}${m}`] &&
          old?.[`${PREFIX}${m}-version`] === o.metadata.labels?.[`${PREFIX}${m}-version`],
      );
    if (unchanged) return;
    throw statusErrors.invalid({ group: "", kind: "Namespace" }, o.metadata.name ?? "", errors);
  }
  if (a.operation !== "UPDATE" || LEVELS.indexOf(now.level) <= LEVELS.indexOf(before.level)) return;
  const byReason = new Map<string, string[]>();
  let checked = 0;
  for (const p of api.cache.of("", "pods").values(o.metadata.name)) {
    if (checked++ >= MAX_PODS_CHECKED) break;
    const bad = violations(now.level, { metadata: p.object.metadata, spec: p.object["spec"] ?? {} });
    if (bad.length === 0) continue;
    const reasons = bad.map((v) => v.reason).join(", ");
    byReason.set(reasons, [...(byReason.get(reasons) ?? []), p.key.name]);
  }
  if (byReason.size === 0) return;
  a.warnings.push(
    `existing pods in namespace ${JSON.stringify(o.metadata.name)} violate the new PodSecurity enforce level "${now.level}:${now.version}"`,
  );
  const lines = [...byReason].map(
    ([reasons, names]) =>
      `${names[0]}${names.length > 1 ? ` (and ${names.length - 1} other ${names.length > 2 ? "pods" : "pod"})` : ""}: ${reasons}`,
  );
  a.warnings.push(...lines.sort());
}
