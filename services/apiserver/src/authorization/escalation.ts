// Nobody grants what they do not have (pkg/registry/rbac/{role,rolebinding}/policybased, pkg/apis/.../policy_comparator.go):
// writing a role needs its rules or the verb escalate; binding one needs its rules or the verb bind.
import { goQuote, type KubeObject, statusErrors } from "@podwire/api";
import type { AdmissionPlugin, Attributes } from "../admission/chain.ts";
import type { Api, User } from "../call.ts";
import { may } from "./may.ts";
import type { PolicyRule, RbacAuthorizer } from "./rbac.ts";

const GROUP = "rbac.authorization.k8s.io";

export function escalationCheck(api: Api, rbac: RbacAuthorizer): AdmissionPlugin {
  return {
    name: "RBACEscalation",
    operations: ["CREATE", "UPDATE"],
    validate(a) {
      if (a.info.group !== GROUP || !a.object || a.user.groups.includes("system:masters")) return;
      const { resource } = a.info;
      if (resource === "roles" || resource === "clusterroles") checkRole(api, rbac, a);
      if (resource === "rolebindings" || resource === "clusterrolebindings") checkBinding(api, rbac, a);
    },
  };
}

function checkRole(api: Api, rbac: RbacAuthorizer, a: Attributes): void {
  const o = a.object as KubeObject;
  if (
    a.oldObject &&
    JSON.stringify(a.oldObject["rules"] ?? []) === JSON.stringify(o["rules"] ?? []) &&
    JSON.stringify(a.oldObject["aggregationRule"]) === JSON.stringify(o["aggregationRule"])
  )
    return;
  const here = { group: GROUP, namespace: a.namespace };
  if (may(api, a, { verb: "escalate", ...here, resource: a.info.resource, name: o.metadata.name ?? "" })) return;
  if (o["aggregationRule"] && !may(api, a, { verb: "*", group: "*", resource: "*", namespace: a.namespace, name: "" }))
    throw statusErrors.forbidden(a.info, o.metadata.name ?? "", "must have cluster-admin privileges to use an aggregationRule");
  refuseExcess(rbac, a, o["rules"] ?? []);
}

function checkBinding(api: Api, rbac: RbacAuthorizer, a: Attributes): void {
  const o = a.object as KubeObject;
  const same = (x: unknown, y: unknown) => JSON.stringify(x ?? null) === JSON.stringify(y ?? null);
  if (a.oldObject && same(a.oldObject["roleRef"], o["roleRef"]) && same(a.oldObject["subjects"], o["subjects"])) return;
  const ref = o["roleRef"] ?? {};
  const resource = ref.kind === "ClusterRole" ? "clusterroles" : "roles";
  if (may(api, a, { verb: "bind", group: GROUP, resource, namespace: a.namespace, name: ref.name ?? "" })) return;
  const rules = rbac.rulesOfRef(ref, a.namespace);
  if (!rules) throw statusErrors.notFound(a.info, ref.name ?? "");
  refuseExcess(rbac, a, rules);
}

function refuseExcess(rbac: RbacAuthorizer, a: Attributes, wanted: readonly PolicyRule[]): void {
  const held = rbac.rulesOf(a.user, a.namespace);
  const missing = wanted.flatMap(breakdown).filter((r) => !held.some((h) => covers(h, r)));
  if (missing.length === 0) return;
  const lines = compacted(missing).map(describe).sort();
  throw statusErrors.forbidden(
    a.info,
    a.object?.metadata.name ?? "",
    `user ${goQuote(a.user.name)} (groups=${groupsText(a.user)}) is attempting to grant RBAC permissions not currently held:\n${lines.join("\n")}`,
  );
}

function groupsText(u: User): string {
  return `[${u.groups.map(goQuote).join(" ")}]`;
}

/** One verb, one group, one resource (and name) at a time. */
export function breakdown(r: PolicyRule): PolicyRule[] {
  const out: PolicyRule[] = [];
  for (const group of r.apiGroups ?? []) {
    for (const resource of r.resources ?? []) {
      for (const verb of r.verbs ?? []) {
        const one = { apiGroups: [group], resources: [resource], verbs: [verb] };
        if (r.resourceNames?.length) for (const n of r.resourceNames) out.push({ ...one, resourceNames: [n] });
        else out.push(one);
      }
    }
  }
  for (const url of r.nonResourceURLs ?? []) for (const verb of r.verbs ?? []) out.push({ nonResourceURLs: [url], verbs: [verb] });
  return out;
}

/** Whether a held rule covers a rule of one verb and one resource or URL. */
function covers(held: PolicyRule, r: PolicyRule): boolean {
  const has = (list: readonly string[] | undefined, v: string) => list !== undefined && (list.includes("*") || list.includes(v));
  if (!has(held.verbs, r.verbs?.[0] as string)) return false;
  const url = r.nonResourceURLs?.[0];
  if (url !== undefined)
    return (held.nonResourceURLs ?? []).some((h) => h === "*" || h === url || (h.endsWith("*") && url.startsWith(h.slice(0, -1))));
  if (!has(held.apiGroups, r.apiGroups?.[0] as string)) return false;
  const resource = r.resources?.[0] as string;
  const sub = resource.includes("/") ? resource.slice(resource.indexOf("/") + 1) : undefined;
  if (!(held.resources ?? []).some((h) => h === "*" || h === resource || (sub !== undefined && h === `*/${sub}`))) return false;
  const names = held.resourceNames ?? [];
  if (names.length === 0) return true;
  const name = r.resourceNames?.[0];
  return name !== undefined && names.includes(name);
}

/** Verbs of the same resource (or URL) together again, for the message. */
function compacted(rules: readonly PolicyRule[]): PolicyRule[] {
  const byTarget = new Map<string, PolicyRule>();
  for (const r of rules) {
    const { verbs, ...target } = r;
    const id = JSON.stringify(target);
    const there = byTarget.get(id);
    if (!there) byTarget.set(id, { ...target, verbs: [...(verbs ?? [])] });
    else for (const v of verbs ?? []) if (!there.verbs?.includes(v)) there.verbs?.push(v);
  }
  return [...byTarget.values()];
}

function describe(r: PolicyRule): string {
  const list = (v: readonly string[]) => `[${v.map(goQuote).join(" ")}]`;
  const parts: string[] = [];
  if (r.apiGroups?.length) parts.push(`APIGroups:${list(r.apiGroups)}`);
  if (r.resources?.length) parts.push(`Resources:${list(r.resources)}`);
  if (r.nonResourceURLs?.length) parts.push(`NonResourceURLs:${list(r.nonResourceURLs)}`);
  if (r.resourceNames?.length) parts.push(`ResourceNames:${list(r.resourceNames)}`);
  if (r.verbs?.length) parts.push(`Verbs:${list(r.verbs)}`);
  return `{${parts.join(", ")}}`;
}
