// Audit policy: which requests are recorded, at which level and in which stages (audit.k8s.io/v1, apiserver/pkg/audit/policy). Pure.
// Invariant: the first rule that matches decides; a request that no rule matches is not recorded.
import { PodwireError, reasonOf, z } from "@podwire/base";
import { parse } from "yaml";

export type Level = "None" | "Metadata" | "Request" | "RequestResponse";
export type Stage = "RequestReceived" | "ResponseStarted" | "ResponseComplete" | "Panic";

const LEVELS: readonly string[] = ["None", "Metadata", "Request", "RequestResponse"];
const STAGES: readonly string[] = ["RequestReceived", "ResponseStarted", "ResponseComplete", "Panic"];

/** Why a policy file cannot be used. */
export class AuditPolicyError extends PodwireError {}

interface GroupResources {
  group?: string;
  resources?: string[];
  resourceNames?: string[];
}

interface Rule {
  level: Level;
  users?: string[];
  userGroups?: string[];
  verbs?: string[];
  resources?: GroupResources[];
  namespaces?: string[];
  nonResourceURLs?: string[];
  omitStages?: Stage[];
  omitManagedFields?: boolean;
}

export interface AuditedRequest {
  user: { name: string; groups: readonly string[] };
  verb: string;
  isResource: boolean;
  group: string;
  resource: string;
  subresource: string;
  namespace: string;
  name: string;
  path: string;
}

export interface AuditDecision {
  level: Level;
  omitStages: ReadonlySet<Stage>;
  omitManagedFields: boolean;
}

const texts = z.array(z.string()).nullish();
/** Types of the file's fields; what they say is judged afterwards, in Kubernetes' words. */
const POLICY_SHAPE = z.object({
  omitStages: texts,
  omitManagedFields: z.boolean().nullish(),
  rules: z
    .array(
      z.object({
        level: z.unknown(),
        users: texts,
        userGroups: texts,
        verbs: texts,
        resources: z.array(z.object({ group: z.string().nullish(), resources: texts, resourceNames: texts })).nullish(),
        namespaces: texts,
        nonResourceURLs: texts,
        omitStages: texts,
        omitManagedFields: z.boolean().nullish(),
      }),
    )
    .nullish(),
});

const NOTHING: AuditDecision = { level: "None", omitStages: new Set(), omitManagedFields: false };

export class AuditPolicy {
  readonly #rules: { rule: Rule; decision: AuditDecision }[];

  /** From a policy file's text. Throws AuditPolicyError. */
  constructor(text: string) {
    let policy: any;
    try {
      policy = parse(text, { logLevel: "error" });
    } catch (e) {
      throw new AuditPolicyError(`failed decoding: ${reasonOf(e)}`, { cause: e });
    }
    if (policy?.kind !== "Policy" || policy.apiVersion !== "audit.k8s.io/v1")
      throw new AuditPolicyError(
        `no kind ${JSON.stringify(policy?.kind ?? "")} is registered for version ${JSON.stringify(policy?.apiVersion ?? "")}: want Policy of audit.k8s.io/v1`,
      );
    const shape = POLICY_SHAPE.safeParse(policy);
    if (!shape.success) throw new AuditPolicyError(`failed decoding: ${z.prettifyError(shape.error)}`);
    const rules: Rule[] = policy.rules ?? [];
    if (rules.length === 0) throw new AuditPolicyError("loaded illegal policy with 0 rules");
    const problems = [...stageErrors(policy.omitStages, "omitStages"), ...rules.flatMap((r, i) => ruleErrors(r, `rules[${i}]`))];
    if (problems.length > 0) throw new AuditPolicyError(problems.join("; "));
    this.#rules = rules.map((rule) => ({
      rule,
      decision: {
        level: rule.level,
        omitStages: new Set([...(policy.omitStages ?? []), ...(rule.omitStages ?? [])]),
        omitManagedFields: rule.omitManagedFields ?? policy.omitManagedFields === true,
      },
    }));
  }

  decide(r: AuditedRequest): AuditDecision {
    return this.#rules.find(({ rule }) => matches(rule, r))?.decision ?? NOTHING;
  }
}

function matches(rule: Rule, r: AuditedRequest): boolean {
  if (rule.users?.length && !rule.users.includes(r.user.name)) return false;
  if (rule.userGroups?.length && !rule.userGroups.some((g) => r.user.groups.includes(g))) return false;
  if (rule.verbs?.length && !rule.verbs.includes(r.verb)) return false;
  if (rule.namespaces?.length || rule.resources?.length) return r.isResource && matchesResource(rule, r);
  if (rule.nonResourceURLs?.length) return !r.isResource && rule.nonResourceURLs.some((spec) => matchesPath(spec, r.path));
  return true;
}

function matchesResource(rule: Rule, r: AuditedRequest): boolean {
  if (rule.namespaces?.length && !rule.namespaces.includes(r.namespace)) return false;
  if (!rule.resources?.length) return true;
  const whole = r.subresource === "" ? r.resource : `${r.resource}/${r.subresource}`;
  return rule.resources.some((g) => {
    if ((g.group ?? "") !== r.group) return false;
    if (!g.resources?.length) return true;
    if (g.resourceNames?.length && !g.resourceNames.includes(r.name)) return false;
    return g.resources.some(
      (p) =>
        p === whole ||
        p === "*" ||
        (p.startsWith("*/") && r.subresource === p.slice(2)) ||
        (p.endsWith("/*") && r.resource === p.slice(0, -2)),
    );
  });
}

function matchesPath(spec: string, path: string): boolean {
  if (spec === "*" || spec === path) return true;
  return spec.endsWith("*") && path.startsWith(spec.slice(0, -1));
}

function ruleErrors(r: Rule, at: string): string[] {
  const out = stageErrors(r.omitStages, `${at}.omitStages`);
  if (!LEVELS.includes(r.level))
    out.push(`${at}.level: Unsupported value: ${JSON.stringify(r.level ?? "")}: supported values: ${LEVELS.join(", ")}`);
  const paths = r.nonResourceURLs ?? [];
  if (paths.length > 0 && (r.resources?.length || r.namespaces?.length))
    out.push(`${at}.nonResourceURLs: Invalid value: rules cannot apply to both regular resources and non-resource URLs`);
  for (const [i, p] of paths.entries()) {
    if (p !== "*" && !p.startsWith("/"))
      out.push(`${at}.nonResourceURLs[${i}]: Invalid value: ${JSON.stringify(p)}: non-resource URL rules must begin with a '/' character`);
    if (p !== "*" && p.slice(0, -1).includes("*"))
      out.push(
        `${at}.nonResourceURLs[${i}]: Invalid value: ${JSON.stringify(p)}: non-resource URL wildcards '*' must be the final character of the rule`,
      );
  }
  for (const [i, g] of (r.resources ?? []).entries()) {
    if ((g.group ?? "").includes("/"))
      out.push(`${at}.resources[${i}].group: Invalid value: ${JSON.stringify(g.group)}: group must not contain '/'`);
    if (g.resourceNames?.length && !g.resources?.length)
      out.push(`${at}.resources[${i}].resourceNames: Invalid value: using resourceNames requires at least one resource`);
  }
  return out;
}

function stageErrors(stages: unknown, at: string): string[] {
  return ((stages ?? []) as unknown[]).flatMap((s, i) =>
    STAGES.includes(s as string) ? [] : [`${at}[${i}]: Unsupported value: ${JSON.stringify(s)}: supported values: ${STAGES.join(", ")}`],
  );
}
