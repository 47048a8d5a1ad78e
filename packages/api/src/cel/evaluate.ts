// Evaluates a checked CEL expression with a cost budget. && and || absorb errors of one side when the other decides, as
// cel-spec wants. Invariant: no loop runs without spending; recursion is bounded by the parser.
import { type FunctionContext, implementationOf } from "./functions.ts";
import { noOverload } from "./overload.ts";
import type { Expr } from "./parser.ts";
import {
  adapt,
  CelCostError,
  CelRuntimeError,
  isHost,
  isMap,
  itemAt,
  keyOf,
  mapGet,
  mapKeys,
  NativeList,
  NONE,
  Optional,
  StructValue,
  TypeValue,
  Uint,
} from "./values.ts";

/** What cel-go charges for making an object. */
const STRUCT_COST = 40;

export type Variables = ReadonlyMap<string, unknown>;

const TYPE_NAMES = new Set(["int", "uint", "double", "bool", "string", "bytes", "list", "map", "null_type", "type"]);

const ESCAPED: Record<string, string> = { __underscores__: "__", __dot__: ".", __dash__: "-", __slash__: "/" };

/** Names that are no CEL identifiers are written escaped: "__dash__", "__namespace__". */
export function unescapeName(name: string): string {
  const keyword = /^__(true|false|null|in|as|break|const|continue|else|for|function|if|import|let|loop|package|namespace|return)__$/.exec(
    name,
  );
  return keyword ? keyword[1]! : name.replace(/__(?:underscores|dot|dash|slash)__/g, (m) => ESCAPED[m]!);
}

export class Evaluation implements FunctionContext {
  cost = 0;
  private readonly budget: number;
  private readonly scopes: Map<string, unknown>[] = [];
  private readonly variables: Variables;

  constructor(variables: Variables, budget: number) {
    this.variables = variables;
    this.budget = budget;
  }

  spend(cost: number): void {
    this.cost += cost;
    if (this.cost > this.budget) throw new CelCostError("operation cancelled: actual cost limit exceeded");
  }

  run(e: Expr): unknown {
    switch (e.op) {
      case "const":
        return e.type === "uint" ? new Uint(e.value as bigint) : e.value;
      case "ident":
        this.spend(1);
        return this.lookup(e.name);
      case "select":
        this.spend(1);
        return this.select(e);
      case "index":
        this.spend(1);
        return this.index(e);
      case "and":
        return this.logic(e.left, e.right, false);
      case "or":
        return this.logic(e.left, e.right, true);
      case "cond": {
        const t = this.run(e.test);
        if (typeof t !== "boolean") throw noOverload();
        return this.run(t ? e.then : e.else);
      }
      case "list":
        this.spend(10);
        return this.list(e);
      case "map":
        this.spend(30);
        return this.map(e);
      case "struct":
        this.spend(STRUCT_COST);
        return this.struct(e);
      case "loop":
        return this.loop(e);
      case "bind":
        return this.scoped([[e.name, this.run(e.init)]], e.body);
      case "optmap": {
        const o = this.run(e.target);
        if (!(o instanceof Optional)) throw noOverload();
        if (!o.present) return NONE;
        const v = this.scoped([[e.name, o.value]], e.body);
        return e.flat ? v : new Optional(true, v);
      }
      case "call":
        return this.call(e);
    }
  }

  private lookup(name: string): unknown {
    for (let i = this.scopes.length - 1; i >= 0; i--) {
      const s = this.scopes[i]!;
      if (s.has(name)) return s.get(name);
    }
    if (this.variables.has(name)) return adapt(this.variables.get(name));
    if (TYPE_NAMES.has(name)) return new TypeValue(name);
    throw new CelRuntimeError(`no such attribute(s): ${name}`);
  }

  private scoped(vars: [string, unknown][], body: Expr): unknown {
    this.scopes.push(new Map(vars));
    try {
      return this.run(body);
    } finally {
      this.scopes.pop();
    }
  }

  private select(e: Extract<Expr, { op: "select" }>): unknown {
    let target = this.run(e.target);
    const wasOptional = target instanceof Optional;
    if (target instanceof Optional) {
      if (!target.present) return e.test ? false : NONE;
      target = target.value;
    }
    const got = this.member(target, e.field);
    if (e.test) return got.found;
    if (e.optional || wasOptional) return got.found ? new Optional(true, got.value) : NONE;
    if (!got.found) throw new CelRuntimeError(`no such key: ${e.field}`);
    return got.value;
  }

  private member(target: unknown, field: string): { found: boolean; value: unknown } {
    if (isHost(target)) {
      if (target.celHas && !target.celHas(field)) return { found: false, value: undefined };
      if (!target.celGet) throw noOverload();
      return { found: true, value: adapt(target.celGet(field)) };
    }
    if (target instanceof StructValue) return { found: target.fields.has(field), value: target.fields.get(field) };
    if (isMap(target)) {
      const got = mapGet(target, field);
      return got.found || !field.includes("__") ? got : mapGet(target, unescapeName(field));
    }
    throw noOverload();
  }

  private index(e: Extract<Expr, { op: "index" }>): unknown {
    let target = this.run(e.target);
    const key = this.run(e.index);
    const wasOptional = target instanceof Optional;
    if (target instanceof Optional) {
      if (!target.present) return NONE;
      target = target.value;
    }
    const soft = e.optional || wasOptional;
    let found: { found: boolean; value: unknown };
    if (Array.isArray(target)) {
      const n = keyOf(key);
      if (typeof n !== "bigint") throw noOverload();
      const i = Number(n);
      found = i >= 0 && i < target.length ? { found: true, value: itemAt(target, i) } : { found: false, value: undefined };
      if (!found.found && !soft) throw new CelRuntimeError(`index out of bounds: ${i}`);
    } else if (isMap(target)) {
      found = mapGet(target, key);
      if (!found.found && !soft) throw new CelRuntimeError(`no such key: ${String(key instanceof Uint ? key.value : key)}`);
    } else throw noOverload();
    return soft ? (found.found ? new Optional(true, found.value) : NONE) : found.value;
  }

  /** `decides` is the value of one side that settles the matter, whatever the other is. */
  private logic(left: Expr, right: Expr, decides: boolean): boolean {
    let failure: unknown;
    try {
      const l = this.run(left);
      if (l === decides) return decides;
      if (typeof l !== "boolean") failure = noOverload();
    } catch (e) {
      if (e instanceof CelCostError) throw e;
      failure = e;
    }
    const r = this.run(right);
    if (r === decides) return decides;
    if (failure !== undefined) throw failure;
    if (typeof r !== "boolean") throw noOverload();
    return r;
  }

  private list(e: Extract<Expr, { op: "list" }>): unknown[] {
    const out = new NativeList();
    e.items.forEach((x, i) => {
      const v = this.run(x);
      if (!e.optional[i]) out.push(v);
      else if (v instanceof Optional && v.present) out.push(v.value);
    });
    return out;
  }

  private map(e: Extract<Expr, { op: "map" }>): Map<unknown, unknown> {
    const out = new Map<unknown, unknown>();
    for (const x of e.entries) {
      const k = keyOf(this.run(x.key));
      const v = this.run(x.value);
      if (x.optional) {
        if (v instanceof Optional && v.present) out.set(k, v.value);
      } else out.set(k, v);
    }
    return out;
  }

  private struct(e: Extract<Expr, { op: "struct" }>): StructValue {
    const fields = new Map<string, unknown>();
    for (const f of e.fields) {
      const v = this.run(f.value);
      if (!f.optional) fields.set(unescapeName(f.name), v);
      else if (v instanceof Optional && v.present) fields.set(unescapeName(f.name), v.value);
    }
    return new StructValue(e.name, fields);
  }

  private loop(e: Extract<Expr, { op: "loop" }>): unknown {
    const range = this.run(e.range);
    let items: [unknown, unknown][];
    if (Array.isArray(range))
      items = Array.prototype.map.call(range, (_, i) =>
        e.vars.length === 2 ? [BigInt(i), itemAt(range, i)] : [itemAt(range, i), undefined],
      ) as [unknown, unknown][];
    else if (isMap(range)) items = mapKeys(range).map((k) => [k, e.vars.length === 2 ? mapGet(range, k).value : undefined]);
    else throw noOverload();
    const bind = ([a, b]: [unknown, unknown]): [string, unknown][] =>
      e.vars.length === 2
        ? [
            [e.vars[0]!, a],
            [e.vars[1]!, b],
          ]
        : [[e.vars[0]!, a]];
    const test = (x: Expr, item: [unknown, unknown]): boolean => {
      const v = this.scoped(bind(item), x);
      if (typeof v !== "boolean") throw noOverload();
      return v;
    };
    switch (e.kind) {
      case "all":
      case "exists":
        return this.quantify(items, (item) => test(e.body, item), e.kind === "exists");
      case "exists_one": {
        let n = 0;
        for (const item of items) {
          this.spend(1);
          if (test(e.body, item)) n++;
        }
        return n === 1;
      }
      case "filter": {
        const out = new NativeList();
        for (const item of items) {
          this.spend(1);
          if (test(e.body, item)) out.push(item[0]);
        }
        return out;
      }
      case "map":
      case "transformList": {
        const out = new NativeList();
        for (const item of items) {
          this.spend(1);
          if (e.filter === undefined || test(e.filter, item)) out.push(this.scoped(bind(item), e.body));
        }
        return out;
      }
      case "transformMap": {
        const out = new Map<unknown, unknown>();
        for (const item of items) {
          this.spend(1);
          if (e.filter === undefined || test(e.filter, item)) out.set(keyOf(item[0]), this.scoped(bind(item), e.body));
        }
        return out;
      }
    }
  }

  private quantify(items: [unknown, unknown][], test: (item: [unknown, unknown]) => boolean, decides: boolean): boolean {
    let failure: unknown;
    for (const item of items) {
      this.spend(1);
      try {
        if (test(item) === decides) return decides;
      } catch (e) {
        if (e instanceof CelCostError) throw e;
        failure = e;
      }
    }
    if (failure !== undefined) throw failure;
    return !decides;
  }

  private call(e: Extract<Expr, { op: "call" }>): unknown {
    this.spend(1);
    const target = e.target === undefined ? undefined : this.run(e.target);
    const args = e.args.map((a) => this.run(a));
    if (isHost(target)) {
      if (!target.celCall) throw noOverload();
      return adapt(target.celCall(e.name, args, (cost) => this.spend(cost)));
    }
    const f = implementationOf(e.name);
    if (f === undefined) throw noOverload();
    try {
      const r = f(e.target === undefined ? args : [target, ...args], this);
      if (typeof r === "symbol") throw noOverload();
      return r;
    } catch (x) {
      // A wrong type met inside an implementation is an overload that does not exist.
      if (x instanceof TypeError || x instanceof RangeError || x instanceof SyntaxError)
        throw new CelRuntimeError("no such overload", { cause: x });
      throw x;
    }
  }
}
