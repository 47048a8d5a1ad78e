// The function table of CEL: cel-spec's standard functions and the extensions of Kubernetes 1.34. Signatures serve the
// checker; one implementation per name dispatches on run-time types.
import { EXTENSIONS } from "./functions-kubernetes.ts";
import { STANDARD } from "./functions-standard.ts";
import { NO_OVERLOAD } from "./overload.ts";
import { splitArgs } from "./types.ts";

export interface Overload {
  readonly target: string | undefined;
  readonly args: readonly string[];
  readonly result: string;
}

export interface FunctionContext {
  /** Adds to the cost of the evaluation; throws CelCostError when the budget is spent. */
  spend(cost: number): void;
}

/** Arguments with the target first, when there is one. */
export type Implementation = (args: any[], c: FunctionContext) => unknown;

/** "string.(string)->bool" or "(int,int)->int". */
export interface FunctionRow {
  readonly name: string;
  readonly signatures: readonly string[];
  readonly call: Implementation;
}

interface Entry {
  readonly overloads: readonly Overload[];
  readonly call: Implementation;
}

const table = new Map<string, Entry>();

function parseSignature(s: string): Overload {
  const m = /^(?:(.*)\.)?\((.*)\)->(.+)$/.exec(s)!;
  return { target: m[1] === undefined || m[1] === "" ? undefined : m[1], args: splitArgs(m[2]!), result: m[3]! };
}

for (const row of [...STANDARD, ...EXTENSIONS]) {
  const known = table.get(row.name);
  const overloads = row.signatures.map(parseSignature);
  if (known === undefined) table.set(row.name, { overloads, call: row.call });
  else {
    // The same name in two libraries: the first that knows the receiver answers.
    const first = known.call;
    const second = row.call;
    table.set(row.name, {
      overloads: [...known.overloads, ...overloads],
      call: (args, c) => {
        const r = first(args, c);
        return r === NO_OVERLOAD ? second(args, c) : r;
      },
    });
  }
}

export function overloadsOf(name: string): readonly Overload[] | undefined {
  return table.get(name)?.overloads;
}

export function implementationOf(name: string): Implementation | undefined {
  return table.get(name)?.call;
}
