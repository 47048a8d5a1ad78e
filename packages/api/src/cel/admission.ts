// CEL at admission: match conditions, ValidatingAdmissionPolicies and MutatingAdmissionPolicies' expressions, with the
// variables that they may use (apiserver/pkg/admission/plugin/policy of Kubernetes 1.34). Pure: the caller supplies objects.
import {
  CEL_CALL_COST_MAX,
  CEL_CONDITIONS_COST_MAX,
  CEL_REQUEST_COST_MAX,
  CelCompileError,
  CelCostError,
  type CelProgram,
  compileCel,
} from "./index.ts";
import { mutationTypes } from "./mutation.ts";
import { BOOL, type CelType, DYN, hostOf, INT, listOf, mapOf, objectOf, printType, STRING } from "./types.ts";
import { CelRuntimeError, HOST, type HostObject, typeName } from "./values.ts";

const GVK = objectOf(
  "kubernetes.GroupVersionKind",
  new Map([
    ["group", STRING],
    ["version", STRING],
    ["kind", STRING],
  ]),
);
const GVR = objectOf(
  "kubernetes.GroupVersionResource",
  new Map([
    ["group", STRING],
    ["version", STRING],
    ["resource", STRING],
  ]),
);
const USER = objectOf(
  "kubernetes.UserInfo",
  new Map<string, CelType>([
    ["username", STRING],
    ["uid", STRING],
    ["groups", listOf(STRING)],
    ["extra", mapOf(STRING, listOf(STRING))],
  ]),
);
const REQUEST = objectOf(
  "kubernetes.AdmissionRequest",
  new Map<string, CelType>([
    ["kind", GVK],
    ["resource", GVR],
    ["subResource", STRING],
    ["requestKind", GVK],
    ["requestResource", GVR],
    ["requestSubResource", STRING],
    ["name", STRING],
    ["namespace", STRING],
    ["operation", STRING],
    ["userInfo", USER],
    ["dryRun", BOOL],
    ["options", DYN],
  ]),
);

const timesAndTexts = (texts: readonly string[], rest: readonly [string, CelType][]) =>
  new Map<string, CelType>([...texts.map((t): [string, CelType] => [t, STRING]), ...rest]);

/** What expressions see of a Namespace. */
const NAMESPACE = objectOf(
  "kubernetes.Namespace",
  new Map<string, CelType>([
    [
      "metadata",
      objectOf(
        "kubernetes.NamespaceMetadata",
        timesAndTexts(
          ["name", "generateName", "namespace", "UID", "creationTimestamp", "deletionTimestamp", "resourceVersion"],
          [
            ["labels", mapOf(STRING, STRING)],
            ["annotations", mapOf(STRING, STRING)],
            ["deletionGracePeriodSeconds", INT],
            ["generation", INT],
            ["finalizers", listOf(STRING)],
          ],
        ),
      ),
    ],
    ["spec", objectOf("kubernetes.NamespaceSpec", new Map([["finalizers", listOf(STRING)]]))],
    ["status", objectOf("kubernetes.NamespaceStatus", new Map([["phase", STRING]]))],
  ]),
);

const method = (args: readonly CelType[], result: () => CelType) => ({ args, result });
const DECISION = hostOf(
  "kubernetes.authorization.Decision",
  new Map([
    ["allowed", method([], () => BOOL)],
    ["reason", method([], () => STRING)],
    ["errored", method([], () => BOOL)],
    ["error", method([], () => STRING)],
  ]),
);
const check = method([STRING], () => DECISION);
const PATH_CHECK = hostOf("kubernetes.authorization.PathCheck", new Map([["check", check]]));
const RESOURCE_CHECK: CelType = hostOf(
  "kubernetes.authorization.ResourceCheck",
  new Map([
    ...["subresource", "namespace", "name", "fieldSelector", "labelSelector"].map(
      (n) => [n, method([STRING], () => RESOURCE_CHECK)] as const,
    ),
    ["check", check] as const,
  ]),
);
const GROUP_CHECK = hostOf("kubernetes.authorization.GroupCheck", new Map([["resource", method([STRING], () => RESOURCE_CHECK)]]));
const AUTHORIZER: CelType = hostOf(
  "kubernetes.authorization.Authorizer",
  new Map([
    ["path", method([STRING], () => PATH_CHECK)],
    ["group", method([STRING], () => GROUP_CHECK)],
    ["serviceAccount", method([STRING, STRING], () => AUTHORIZER)],
  ]),
  new Map([["requestResource", RESOURCE_CHECK]]),
);

export interface PolicyEnvironment {
  params?: boolean;
  /** False where an expression may not ask who may do what (messages). */
  authorizer?: boolean;
  /** True where an expression makes mutations: Object and JSONPatch. */
  mutation?: boolean;
  /** Types of the composed variables, by name. */
  variables?: ReadonlyMap<string, CelType>;
}

export function admissionVariables(env: PolicyEnvironment = {}): Map<string, CelType> {
  const out = new Map<string, CelType>([
    ["object", DYN],
    ["oldObject", DYN],
    ["request", REQUEST],
    ["namespaceObject", NAMESPACE],
  ]);
  if (env.authorizer !== false) out.set("authorizer", AUTHORIZER);
  if (env.params) out.set("params", DYN);
  if (env.variables && env.variables.size > 0) out.set("variables", objectOf("kubernetes.variables", env.variables));
  return out;
}

/** Why an expression cannot stand where `want` is needed; undefined when it can. */
export function expressionError(expression: string, want: readonly string[], env: PolicyEnvironment = {}): string | undefined {
  try {
    const t = compileCel(expression, admissionVariables(env), env.mutation ? mutationTypes : undefined).type;
    if (t.kind === "dyn" || want.includes(t.kind) || want.includes(printType(t))) return undefined;
    if (t.kind === "list" && t.element?.kind === "dyn" && want.some((w) => w.startsWith("list("))) return undefined;
    return `must evaluate to ${want[0]} but got ${printType(t)}`;
  } catch (e) {
    if (!(e instanceof CelCompileError)) throw e;
    return `compilation failed: ${e.message}`;
  }
}

/** The type of a variable's expression; dyn when it does not compile. */
export function expressionType(expression: string, env: PolicyEnvironment): CelType {
  try {
    return compileCel(expression, admissionVariables(env), env.mutation ? mutationTypes : undefined).type;
  } catch (e) {
    if (!(e instanceof CelCompileError)) throw e;
    return DYN;
  }
}

export interface AdmissionInput {
  object: unknown;
  oldObject: unknown;
  request: unknown;
  params?: unknown;
  namespaceObject?: unknown;
  authorizer?: HostObject;
}

/** Values of composed variables, computed when first read. */
class LazyVariables implements HostObject {
  readonly [HOST] = true;
  private readonly values = new Map<string, unknown>();
  private readonly programs: ReadonlyMap<string, CelProgram>;
  private readonly run: (p: CelProgram) => unknown;
  constructor(programs: ReadonlyMap<string, CelProgram>, run: (p: CelProgram) => unknown) {
    this.programs = programs;
    this.run = run;
  }
  celHas(name: string): boolean {
    return this.programs.has(name);
  }
  celGet(name: string): unknown {
    if (!this.values.has(name)) this.values.set(name, this.run(this.programs.get(name)!));
    return this.values.get(name);
  }
}

export interface PolicyDecision {
  /** False = the request must be refused (or warned about, or audited). */
  ok: boolean;
  message: string;
  reason: string;
  /** Set when the expression could not be evaluated: the failure policy decides. */
  error?: string;
}

/** A policy's head, the same for validating and mutating ones. */
export interface PolicyHead {
  /** False or an error message when a match condition says so. */
  matches(input: AdmissionInput): { matched: boolean; error?: string };
}

export interface CompiledMutations extends PolicyHead {
  /** What the expression of each mutation answers about the object as it is by then. Throws CelRuntimeError or CelCompileError. */
  readonly mutations: readonly { patchType: string; answer(input: AdmissionInput): unknown }[];
}

export interface CompiledPolicy extends PolicyHead {
  decide(input: AdmissionInput): PolicyDecision[];
  auditAnnotations(input: AdmissionInput): { key: string; value?: string; error?: string }[];
}

interface PolicySpec {
  paramKind?: unknown;
  matchConditions?: { name: string; expression: string }[];
  variables?: { name: string; expression: string }[];
  validations?: { expression: string; message?: string; messageExpression?: string; reason?: string }[];
  auditAnnotations?: { key: string; valueExpression: string }[];
}

interface CompiledHead {
  env: PolicyEnvironment;
  conditions: { name: string; program: CelProgram }[];
  /** A budget and lazily computed variables for one round of expressions. */
  activation(input: AdmissionInput): { run(p: CelProgram): unknown };
}

const OUT_OF_BUDGET = "validation failed due to running out of cost budget, no further validation rules will be run";

function compileHead(spec: PolicySpec, mutation: boolean): CompiledHead {
  const params = spec.paramKind !== undefined;
  const types = new Map<string, CelType>();
  const variables = new Map<string, CelProgram>();
  for (const v of spec.variables ?? []) {
    const env = { params, mutation, variables: new Map(types) };
    types.set(v.name, expressionType(v.expression, env));
    variables.set(v.name, lazily(v.expression, env));
  }
  return {
    env: { params, mutation, variables: types },
    conditions: (spec.matchConditions ?? []).map((c) => ({ name: c.name, program: lazily(c.expression, { params }) })),
    activation(input) {
      let budget = CEL_REQUEST_COST_MAX;
      const values: Record<string, unknown> = { ...input };
      const run = (p: CelProgram): unknown => {
        const r = p.run(values, Math.min(budget, CEL_CALL_COST_MAX));
        budget -= r.cost;
        if (budget < 0) throw new CelCostError(OUT_OF_BUDGET);
        return r.value;
      };
      values["variables"] = new LazyVariables(variables, run);
      return { run };
    },
  };
}

/** Compiles a MutatingAdmissionPolicy once; expressions that do not compile report their error when they are reached. */
export function compileMutations(spec: PolicySpec & { mutations?: MutationSpec[] }): CompiledMutations {
  const { env, conditions, activation } = compileHead(spec, true);
  return {
    matches: (input) => matchConditions(conditions, activation(input).run),
    mutations: (spec.mutations ?? []).map((m) => {
      const program = lazily((m.patchType === "JSONPatch" ? m.jsonPatch : m.applyConfiguration)?.expression ?? "", env);
      return { patchType: m.patchType, answer: (input) => activation(input).run(program) };
    }),
  };
}

interface MutationSpec {
  patchType: string;
  applyConfiguration?: { expression?: string };
  jsonPatch?: { expression?: string };
}

/** Compiles a ValidatingAdmissionPolicy once; expressions that do not compile report their error when they are reached. */
export function compilePolicy(spec: PolicySpec): CompiledPolicy {
  const { env, conditions, activation } = compileHead(spec, false);
  const validations = (spec.validations ?? []).map((v) => ({
    ...v,
    program: lazily(v.expression, env),
    text: v.messageExpression ? lazily(v.messageExpression, { ...env, authorizer: false }) : undefined,
  }));
  const annotations = (spec.auditAnnotations ?? []).map((a) => ({
    key: a.key,
    expression: a.valueExpression,
    program: lazily(a.valueExpression, env),
  }));

  return {
    matches: (input) => matchConditions(conditions, activation(input).run),
    decide(input) {
      const { run } = activation(input);
      return validations.map((v) => {
        const reason = v.reason ?? "Invalid";
        const fallback = v.message?.trim() || `failed expression: ${v.expression.trim()}`;
        try {
          if (run(v.program) === true) return { ok: true, message: "", reason };
        } catch (e) {
          if (!(e instanceof CelRuntimeError || e instanceof CelCompileError)) throw e;
          const message = evaluationError(v.expression, e);
          return { ok: false, message, reason, error: message };
        }
        return { ok: false, message: v.text ? (textOf(() => run(v.text!)) ?? fallback) : fallback, reason };
      });
    },
    auditAnnotations(input) {
      const { run } = activation(input);
      return annotations.map((a) => {
        try {
          const v = run(a.program);
          if (v === null || (typeof v === "string" && v.trim() === "")) return { key: a.key };
          if (typeof v === "string") return { key: a.key, value: v.trim() };
          return {
            key: a.key,
            error: `valueExpression '${a.expression}' resulted in unsupported return type: ${typeName(v)}. Return type must be either string or null.`,
          };
        } catch (e) {
          if (!(e instanceof CelRuntimeError || e instanceof CelCompileError)) throw e;
          return { key: a.key, error: e.message };
        }
      });
    },
  };
}

function lazily(expression: string, env: PolicyEnvironment): CelProgram {
  try {
    return compileCel(expression, admissionVariables(env), env.mutation ? mutationTypes : undefined);
  } catch (e) {
    if (!(e instanceof CelCompileError)) throw e;
    return {
      type: DYN,
      expression,
      run() {
        throw e;
      },
    };
  }
}

/** Bytes of a message that an expression made; a longer one is not used. */
const MESSAGE_MAX = 5 * 1024;

function textOf(run: () => unknown): string | undefined {
  try {
    const v = run();
    return typeof v === "string" && v.trim() !== "" && !v.trim().includes("\n") && v.length <= MESSAGE_MAX ? v.trim() : undefined;
  } catch (e) {
    if (!(e instanceof CelRuntimeError || e instanceof CelCompileError)) throw e;
    return undefined;
  }
}

function matchConditions(
  conditions: readonly { name: string; program: CelProgram }[],
  run: (p: CelProgram) => unknown,
): { matched: boolean; error?: string } {
  const errors = new Set<string>();
  for (const c of conditions) {
    try {
      // One condition that says no settles it, whatever the others make of it.
      if (run(c.program) === false) return { matched: false };
    } catch (e) {
      if (e instanceof CelCostError) return { matched: false, error: e.message };
      if (!(e instanceof CelRuntimeError || e instanceof CelCompileError)) throw e;
      errors.add(evaluationError(c.program.expression, e));
    }
  }
  if (errors.size === 0) return { matched: true };
  const texts = [...errors];
  return { matched: false, error: texts.length === 1 ? texts[0]! : `[${texts.join(", ")}]` };
}

/** Why an expression gave no answer, as Kubernetes words it (apiserver/pkg/admission/plugin/cel/activation.go). */
function evaluationError(expression: string, e: CelRuntimeError | CelCompileError): string {
  if (e instanceof CelCostError) return e.message;
  if (e instanceof CelCompileError) return `compilation error: compilation failed: ${e.message}`;
  return `expression '${expression}' resulted in error: ${e.message}`;
}

const conditionCache = new Map<string, CelProgram>();
const CONDITION_CACHE_MAX = 1024;

/** matchConditions of a webhook. */
export function evaluateMatchConditions(
  conditions: readonly { name: string; expression: string }[],
  input: AdmissionInput,
): { matched: boolean; error?: string } {
  const programs = conditions.map((c) => {
    let program = conditionCache.get(c.expression);
    if (program === undefined) {
      program = lazily(c.expression, {});
      if (conditionCache.size >= CONDITION_CACHE_MAX) conditionCache.clear();
      conditionCache.set(c.expression, program);
    }
    return { name: c.name, program };
  });
  let budget = CEL_CONDITIONS_COST_MAX;
  return matchConditions(programs, (p) => {
    const r = p.run({ ...input } as Record<string, unknown>, Math.min(budget, CEL_CALL_COST_MAX));
    budget -= r.cost;
    if (budget < 0) throw new CelCostError(OUT_OF_BUDGET);
    return r.value;
  });
}
