// The RBAC authorizer over Role, ClusterRole and their bindings in the watch cache (plugin/pkg/auth/authorizer/rbac).
// Invariant: the index is rebuilt when, and only when, one of the four resources has changed.
import type { KubeObject } from "@podwire/api";
import type { ResourceCache } from "../cache/resource-cache.ts";
import type { WatchCache } from "../cache/watch-cache.ts";
import type { User } from "../call.ts";
import type { AccessAttributes, Authorizer, Decision } from "./authorizer.ts";

export interface PolicyRule {
  verbs?: string[];
  apiGroups?: string[];
  resources?: string[];
  resourceNames?: string[];
  nonResourceURLs?: string[];
}

interface Binding {
  rules: readonly PolicyRule[];
  /** For the reason of an allowed request. */
  why: string;
  /** Set when the role does not exist: the lookup's error. */
  missing?: string;
}

const GROUP = "rbac.authorization.k8s.io";

export class RbacAuthorizer implements Authorizer {
  readonly #caches: { roles: ResourceCache; clusterRoles: ResourceCache; bindings: ResourceCache; clusterBindings: ResourceCache };
  #stamp = "";
  /** Namespace ("" for the cluster) -> subject -> bindings. */
  #bySubject = new Map<string, Map<string, Binding[]>>();

  constructor(cache: WatchCache) {
    this.#caches = {
      roles: cache.of(GROUP, "roles"),
      clusterRoles: cache.of(GROUP, "clusterroles"),
      bindings: cache.of(GROUP, "rolebindings"),
      clusterBindings: cache.of(GROUP, "clusterrolebindings"),
    };
  }

  authorize(a: AccessAttributes): Decision {
    for (const b of this.#bindingsOf(a.user, a.namespace)) {
      for (const r of b.rules) if (ruleAllows(r, a)) return { allowed: true, reason: `RBAC: allowed by ${b.why}` };
    }
    return { allowed: false, reason: this.#missingText(a) };
  }

  /** Bindings of the user whose role does not exist are named in the refusal. */
  #missingText(a: AccessAttributes): string {
    const missing: string[] = [];
    for (const b of this.#bindingsOf(a.user, a.namespace)) if (b.missing && !missing.includes(b.missing)) missing.push(b.missing);
    if (missing.length === 0) return "";
    return `RBAC: ${missing.length === 1 ? missing[0] : `[${missing.join(", ")}]`}`;
  }

  /** Every rule that applies to a user in a namespace ("": cluster-wide rules only). */
  rulesOf(user: User, namespace: string): PolicyRule[] {
    const rules: PolicyRule[] = [];
    for (const b of this.#bindingsOf(user, namespace)) rules.push(...b.rules);
    return rules;
  }

  /** The rules of a role that a binding refers to; undefined when it does not exist. */
  rulesOfRef(ref: { kind?: string; name?: string }, namespace: string): readonly PolicyRule[] | undefined {
    const role =
      ref.kind === "ClusterRole" ? this.#caches.clusterRoles.get("", ref.name ?? "") : this.#caches.roles.get(namespace, ref.name ?? "");
    return role ? (role.object["rules"] ?? []) : undefined;
  }

  *#bindingsOf(user: User, namespace: string): Iterable<Binding> {
    this.#refresh();
    for (const scope of namespace === "" ? [""] : ["", namespace]) {
      const subjects = this.#bySubject.get(scope);
      if (!subjects) continue;
      yield* subjects.get(`User ${user.name}`) ?? [];
      for (const g of user.groups) yield* subjects.get(`Group ${g}`) ?? [];
    }
  }

  #refresh(): void {
    const { roles, clusterRoles, bindings, clusterBindings } = this.#caches;
    const stamp = `${roles.changes} ${clusterRoles.changes} ${bindings.changes} ${clusterBindings.changes}`;
    if (stamp === this.#stamp) return;
    this.#stamp = stamp;
    this.#bySubject = new Map();
    for (const b of clusterBindings.values()) this.#add("", "ClusterRoleBinding", b.object);
    for (const b of bindings.values()) this.#add(b.key.namespace, "RoleBinding", b.object);
  }

  #add(scope: string, kind: string, binding: KubeObject): void {
    const ref = binding["roleRef"] ?? {};
    const found = this.rulesOfRef(ref, scope);
    const missing = found ? undefined : `${String(ref.kind).toLowerCase()}.rbac.authorization.k8s.io ${JSON.stringify(ref.name)} not found`;
    const rules = found ?? [];
    let subjects = this.#bySubject.get(scope);
    if (!subjects) {
      subjects = new Map();
      this.#bySubject.set(scope, subjects);
    }
    const name = scope === "" ? binding.metadata.name : `${binding.metadata.name}/${scope}`;
    for (const s of binding["subjects"] ?? []) {
      const subject = s.kind === "ServiceAccount" ? `User system:serviceaccount:${s.namespace ?? scope}:${s.name}` : `${s.kind} ${s.name}`;
      const described = s.kind === "ServiceAccount" ? `ServiceAccount "${s.name}/${s.namespace ?? scope}"` : `${s.kind} "${s.name}"`;
      const why = `${kind} "${name}" of ${ref.kind} "${ref.name}" to ${described}`;
      const list = subjects.get(subject);
      const entry: Binding = missing ? { rules, why, missing } : { rules, why };
      if (list) list.push(entry);
      else subjects.set(subject, [entry]);
    }
  }
}

/** Whether one rule covers a request (pkg/apis/rbac/v1/evaluation_helpers.go). */
export function ruleAllows(r: PolicyRule, a: AccessAttributes): boolean {
  if (!matches(r.verbs, a.verb)) return false;
  if (!a.isResource)
    return (r.nonResourceURLs ?? []).some((u) => u === "*" || u === a.path || (u.endsWith("*") && a.path.startsWith(u.slice(0, -1))));
  if (!matches(r.apiGroups, a.group)) return false;
  const combined = a.subresource === "" ? a.resource : `${a.resource}/${a.subresource}`;
  const resource = (r.resources ?? []).some((x) => x === "*" || x === combined || (a.subresource !== "" && x === `*/${a.subresource}`));
  if (!resource) return false;
  const names = r.resourceNames ?? [];
  return names.length === 0 || names.includes(a.name);
}

function matches(list: readonly string[] | undefined, value: string): boolean {
  return list !== undefined && (list.includes("*") || list.includes(value));
}
