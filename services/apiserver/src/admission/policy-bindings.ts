// What validating and mutating admission policies have in common: which bindings concern a request, and with which parameters
// (apiserver/pkg/admission/plugin/policy/generic).
import { type KubeObject, labelSelector } from "@podwire/api";
import { PodwireError, reasonOf } from "@podwire/base";
import type { CachedObject } from "../cache/cached-object.ts";
import type { Api } from "../call.ts";
import type { Attributes } from "./chain.ts";
import { type Matched, matchedBy } from "./equivalents.ts";
import { namespaceMatches, objectMatches, type Rule } from "./matching.ts";

/** A policy or binding that cannot be put into force; the failure policy decides. */
export class PolicyConfigurationError extends PodwireError {
  /** False when the policy itself is at fault, whatever binds it. */
  readonly ofBinding: boolean;
  constructor(message: string, ofBinding: boolean) {
    super(message);
    this.ofBinding = ofBinding;
  }
}

export interface Matching {
  matchPolicy?: string;
  resourceRules?: Rule[];
  excludeResourceRules?: Rule[];
  namespaceSelector?: object;
  objectSelector?: object;
}

export interface Bound {
  policy: CachedObject;
  binding: CachedObject;
  /** The version in which the policy sees the request. */
  matched: Matched;
}

export const POLICY_GROUP = "admissionregistration.k8s.io";
const POLICIES = new Set([
  "validatingadmissionpolicies",
  "validatingadmissionpolicybindings",
  "mutatingadmissionpolicies",
  "mutatingadmissionpolicybindings",
  "validatingwebhookconfigurations",
  "mutatingwebhookconfigurations",
]);

/** Every binding that concerns the request, by policy, in order of names. Policies do not judge policies. */
export function* boundTo(api: Api, a: Attributes, policies: string, bindings: string): IterableIterator<Bound> {
  const all = api.cache.of(POLICY_GROUP, bindings);
  if (all.size === 0 || (a.info.group === POLICY_GROUP && POLICIES.has(a.info.resource))) return;
  for (const policy of api.cache.of(POLICY_GROUP, policies).values()) {
    const matched = matches(api, a, policy.object["spec"]?.matchConstraints, undefined);
    if (!matched) continue;
    for (const binding of all.values()) {
      const spec = binding.object["spec"] ?? {};
      if (spec.policyName === policy.key.name && matches(api, a, spec.matchResources, "own")) yield { policy, binding, matched };
    }
  }
}

function matches(api: Api, a: Attributes, m: Matching | undefined, whenAbsent: Matched | undefined): Matched | undefined {
  if (!m) return whenAbsent;
  if (!namespaceMatches(api.cache, m.namespaceSelector, a) || !objectMatches(m.objectSelector, a)) return undefined;
  if (matchedBy(api, m.excludeResourceRules ?? [], m.matchPolicy, a)) return undefined;
  const rules = m.resourceRules ?? [];
  return rules.length === 0 ? whenAbsent : matchedBy(api, rules, m.matchPolicy, a);
}

/** The parameter objects of a binding; [undefined] for a policy without parameters, [null] for a binding that names none. */
export async function paramsOf(api: Api, a: Attributes, bound: Bound): Promise<(KubeObject | null | undefined)[]> {
  const kind = bound.policy.object["spec"]?.paramKind;
  if (!kind) return [undefined];
  const ref = bound.binding.object["spec"]?.paramRef;
  if (!ref) return [null];
  const slash = String(kind.apiVersion).indexOf("/");
  const group = slash < 0 ? "" : kind.apiVersion.slice(0, slash);
  const version = kind.apiVersion.slice(slash + 1);
  const served = api.catalogue.byKind(group, version, kind.kind);
  if (!served)
    throw new PolicyConfigurationError(`failed to find resource referenced by paramKind: '${group}/${version}, Kind=${kind.kind}'`, false);
  let namespace = "";
  if (served.info.namespaced) {
    namespace = ref.namespace || a.namespace;
    if (namespace === "")
      throw new PolicyConfigurationError("cannot use namespaced paramRef in policy binding that matches cluster-scoped resources", true);
  } else if (ref.namespace) {
    throw new PolicyConfigurationError("paramRef.namespace must not be provided for a cluster-scoped `paramKind`", true);
  }
  const objects = api.cache.of(served.storage.group, served.storage.resource);
  const found: CachedObject[] = [];
  if (ref.name) {
    const o = objects.get(namespace, ref.name);
    if (o) found.push(o);
  } else if (ref.selector) {
    const s = labelSelector(ref.selector);
    for (const o of objects.values(namespace || undefined)) if (s.matches(o.object.metadata.labels ?? {})) found.push(o);
  }
  if (found.length === 0 && ref.parameterNotFoundAction !== "Allow")
    throw new PolicyConfigurationError("no params found for policy binding with `Deny` parameterNotFoundAction", true);
  try {
    await served.prepare?.(found);
  } catch (e) {
    throw new PolicyConfigurationError(reasonOf(e), true);
  }
  return found.map((o) => served.decoded(o));
}
