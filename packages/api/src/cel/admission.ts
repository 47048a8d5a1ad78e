// CEL at admission: match conditions, ValidatingAdmissionPolicies and MutatingAdmissionPolicies' expressions, with the
// variables that they may use (apiserver/pkg/admission/plugin/policy of Kubernetes 1.34). Pure: the caller supplies objects.
import { CEL_CALL_COST_MAX, CEL_REQUEST_COST_MAX, CelCompileError, type CelProgram, compileCel } from "./index.ts";
import { BOOL, type CelType, DYN, listOf, mapOf, objectOf, printType, STRING } from "./types.ts";
import { CelRuntimeError, HOST, type HostObject } from "./values.ts";

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

export interface PolicyEnvironment {
  params?: boolean;
  /** Types of the composed variables, by name. */
  variables?: ReadonlyMap<string, CelType>;
}

export function admissionVariables(env: PolicyEnvironment = {}): Map<string, CelType> {
  const out = new Map<string, CelType>([
    ["object", DYN],
    ["oldObject", DYN],
    ["request", REQUEST],
    ["namespaceObject", DYN],
    ["authorizer", DYN],
  ]);
  if (env.params) out.set("params", DYN);
  if (env.variables && env.variables.size > 0) out.set("variables", objectOf("kubernetes.variables", env.variables));
  return out;
}

/** Why an expression cannot stand where `want` is needed; undefined when it can. */
export function expressionError(expression: string, want: readonly string[], env: PolicyEnvironment = {}): string | undefined {
  try {
    const t = compileCel(expression, admissionVariables(env)).type;
    if (t.kind === "dyn" || want.includes(t.kind)) return undefined;
    return `must evaluate to ${want[0]} but got ${printType(t)}`;
  } catch (e) {
    if (!(e instanceof CelCompileError)) throw e;
    return `compilation failed: ${e.message}`;
  }
}

/** The type of a variable's expression; dyn when it does not compile. */
export function expressionType(expression: string, env: PolicyEnvironment): CelType {
  try {
    return compileCel(expression, admissionVariables(env)).type;
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

export interface CompiledPolicy {
  /** False or an error message when a match condition says so. */
  matches(input: AdmissionInput): { matched: boolean; error?: string };
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

/** Compiles a policy once; expressions that do not compile report their error when they are reached. */
export function compilePolicy(spec: PolicySpec): CompiledPolicy {
  const params = spec.paramKind !== undefined;
  const types = new Map<string, CelType>();
  const variables = new Map<string, CelProgram>();
  for (const v of spec.variables ?? []) {
    const env = { params, variables: new Map(types) };
    types.set(v.name, expressionType(v.expression, env));
    variables.set(v.name, lazily(v.expression, env));
  }
  const env: PolicyEnvironment = { params, variables: types };
  const conditions = (spec.matchConditions ?? []).map((c) => ({ name: c.name, program: lazily(c.expression, { params }) }));
  const validations = (spec.validations ?? []).map((v) => ({
    ...v,
    program: lazily(v.expression, env),
    text: v.messageExpression ? lazily(v.messageExpression, env) : undefined,
  }));
  const annotations = (spec.auditAnnotations ?? []).map((a) => ({ key: a.key, program: lazily(a.valueExpression, env) }));

  const activation = (input: AdmissionInput): { run(p: CelProgram): unknown } => {
    let budget = CEL_REQUEST_COST_MAX;
    const values: Record<string, unknown> = { ...input };
    const run = (p: CelProgram): unknown => {
      const r = p.run(values, Math.min(budget, CEL_CALL_COST_MAX));
      budget -= r.cost;
      return r.value;
    };
    values["variables"] = new LazyVariables(variables, run);
    return { run };
  };

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
          return { ok: false, message: `expression '${v.expression}' resulted in error: ${e.message}`, reason, error: e.message };
        }
        return { ok: false, message: v.text ? (textOf(() => run(v.text!)) ?? fallback) : fallback, reason };
      });
    },
    auditAnnotations(input) {
      const { run } = activation(input);
      return annotations.map((a) => {
        try {
          const v = run(a.program);
          return v === null ? { key: a.key } : { key: a.key, value: String(v) };
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
    return compileCel(expression, admissionVariables(env));
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

function textOf(run: () => unknown): string | undefined {
  try {
    const v = run();
    return typeof v === "string" && v.trim() !== "" && !v.includes("\n") ? v.trim() : undefined;
  } catch (e) {
    if (!(e instanceof CelRuntimeError || e instanceof CelCompileError)) throw e;
    return undefined;
  }
}

function matchConditions(
  conditions: readonly { name: string; program: CelProgram }[],
  run: (p: CelProgram) => unknown,
): { matched: boolean; error?: string } {
  let error: string | undefined;
  for (const c of conditions) {
    try {
      // One condition that says no settles it, whatever the others make of it.
      if (run(c.program) === false) return { matched: false };
    } catch (e) {
      if (!(e instanceof CelRuntimeError || e instanceof CelCompileError)) throw e;
      error ??= e.message;
    }
  }
  return error === undefined ? { matched: true } : { matched: false, error };
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
  return matchConditions(programs, (p) => p.run({ ...input } as Record<string, unknown>).value);
}
