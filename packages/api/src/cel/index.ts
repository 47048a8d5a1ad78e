// CEL: compile once, evaluate often, with Kubernetes' library and cost limits.
// Specification: cel-spec; apiserver/pkg/cel of Kubernetes 1.34. Invariant: no input makes compile or run hang or crash.
import { PodwireError } from "@podwire/base";
import { type CheckError, Checker, type StructTypes } from "./checker.ts";
import { Evaluation } from "./evaluate.ts";
import { CelSyntaxError, type Expr, parseCel } from "./parser.ts";
import type { CelType } from "./types.ts";

/** Cost that one expression may run up, and all of one request together. */
export const CEL_CALL_COST_MAX = 1_000_000;
export const CEL_REQUEST_COST_MAX = 10_000_000;
/** All match conditions of one webhook together. */
export const CEL_CONDITIONS_COST_MAX = 2_500_000;

/** Why a text is no valid expression, as cel-go prints it: "ERROR: <input>:1:5: ...\n | text\n | ....^". */
export class CelCompileError extends PodwireError {}

export interface CelProgram {
  readonly type: CelType;
  readonly expression: string;
  /** Runs; throws CelRuntimeError. `cost` is what it spent. */
  run(variables: ReadonlyMap<string, unknown> | Record<string, unknown>, budget?: number): { value: unknown; cost: number };
}

/** `structs` are the types that literals of the expression may make; none by default. */
export function compileCel(
  expression: string,
  variables: ReadonlyMap<string, CelType> | Record<string, CelType>,
  structs?: StructTypes,
): CelProgram {
  let ast: Expr;
  try {
    ast = parseCel(expression);
  } catch (e) {
    if (!(e instanceof CelSyntaxError)) throw e;
    throw new CelCompileError(point(expression, [{ message: e.message, at: e.at }]), { cause: e });
  }
  const checker = new Checker(variables instanceof Map ? variables : new Map(Object.entries(variables)), structs);
  const type = checker.check(ast);
  if (checker.errors.length > 0) throw new CelCompileError(point(expression, checker.errors));
  return {
    type,
    expression,
    run(given, budget = CEL_CALL_COST_MAX) {
      const evaluation = new Evaluation(given instanceof Map ? given : new Map(Object.entries(given)), budget);
      const value = evaluation.run(ast);
      return { value, cost: evaluation.cost };
    },
  };
}

/** Each error with its place in the text. */
function point(text: string, errors: readonly CheckError[]): string {
  const lines = text.split("\n");
  return errors
    .map((e) => {
      const before = text.slice(0, e.at).split("\n");
      const line = before.length;
      const column = before.at(-1)!.length;
      return `ERROR: <input>:${line}:${column + 1}: ${e.message}\n | ${lines[line - 1]}\n | ${".".repeat(column)}^`;
    })
    .join("\n");
}

/** True when an expression of this type can be a condition. */
export const isBool = (t: CelType): boolean => t.kind === "bool" || t.kind === "dyn";

export {
  BOOL as CEL_BOOL,
  type CelType,
  DYN as CEL_DYN,
  INT as CEL_INT,
  listOf as celListOf,
  mapOf as celMapOf,
  objectOf as celObjectOf,
  printType as printCelType,
  STRING as CEL_STRING,
} from "./types.ts";
export { CelCostError, CelRuntimeError, HOST as CEL_HOST, type HostObject as CelHostObject } from "./values.ts";
