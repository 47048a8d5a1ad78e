// Static types of CEL expressions: every identifier declared, every field known, an overload for every call; errors in
// cel-go's words with a pointer into the text. Invariant: an expression that passes has a type for its result.
import { type Overload, overloadsOf } from "./functions.ts";
import type { Expr } from "./parser.ts";
import {
  assignable,
  BOOL,
  type CelType,
  DYN,
  INT,
  listOf,
  mapOf,
  objectOf,
  optionalOf,
  parseTypeText,
  printType,
  STRING,
  substitute,
  TYPE,
} from "./types.ts";

export interface CheckError {
  message: string;
  at: number;
}

const TYPE_NAMES = new Set([
  "int",
  "uint",
  "double",
  "bool",
  "string",
  "bytes",
  "list",
  "map",
  "null_type",
  "type",
  "dyn",
  "timestamp",
  "duration",
]);

/** Types that may be made by a literal, by name: what each of their fields takes, undefined for a field that there is not. */
export type StructTypes = (name: string) => { field(name: string): CelType | undefined } | undefined;

export class Checker {
  readonly errors: CheckError[] = [];
  private readonly scopes: Map<string, CelType>[];
  private readonly structOf: StructTypes;

  constructor(variables: ReadonlyMap<string, CelType>, structOf: StructTypes = () => undefined) {
    this.scopes = [new Map(variables)];
    this.structOf = structOf;
  }

  private lookup(name: string): CelType | undefined {
    for (let i = this.scopes.length - 1; i >= 0; i--) {
      const t = this.scopes[i]!.get(name);
      if (t) return t;
    }
    return TYPE_NAMES.has(name) ? TYPE : undefined;
  }

  private fail(e: Expr, message: string): CelType {
    this.errors.push({ message, at: e.at });
    return DYN;
  }

  private within(vars: [string, CelType][], body: Expr): CelType {
    this.scopes.push(new Map(vars));
    const t = this.check(body);
    this.scopes.pop();
    return t;
  }

  check(e: Expr): CelType {
    switch (e.op) {
      case "const":
        return { kind: e.type };
      case "ident":
        return this.lookup(e.name) ?? this.fail(e, `undeclared reference to '${e.name}' (in container '')`);
      case "select":
        return this.select(e);
      case "index": {
        const target = this.check(e.target);
        const index = this.check(e.index);
        const out = this.element(e, target, index);
        return e.optional ? optionalOf(out) : out;
      }
      case "and":
      case "or": {
        for (const side of [e.left, e.right]) {
          const t = this.check(side);
          if (t.kind !== "bool" && t.kind !== "dyn") this.fail(side, `expected type 'bool' but found '${printType(t)}'`);
        }
        return BOOL;
      }
      case "cond": {
        const test = this.check(e.test);
        const a = this.check(e.then);
        const b = this.check(e.else);
        if (test.kind !== "bool" && test.kind !== "dyn")
          return this.fail(e, `found no matching overload for '_?_:_' applied to '(${[test, a, b].map(printType).join(", ")})'`);
        return (
          this.join(a, b) ?? this.fail(e, `found no matching overload for '_?_:_' applied to '(${[test, a, b].map(printType).join(", ")})'`)
        );
      }
      case "list": {
        let t: CelType | undefined;
        e.items.forEach((x, i) => {
          let got = this.check(x);
          if (e.optional[i]) got = got.element ?? DYN;
          t = t === undefined ? got : (this.join(t, got) ?? DYN);
        });
        return listOf(t ?? DYN);
      }
      case "map": {
        let k: CelType | undefined;
        let v: CelType | undefined;
        for (const x of e.entries) {
          const kt = this.check(x.key);
          let vt = this.check(x.value);
          if (x.optional) vt = vt.element ?? DYN;
          k = k === undefined ? kt : (this.join(k, kt) ?? DYN);
          v = v === undefined ? vt : (this.join(v, vt) ?? DYN);
        }
        return mapOf(k ?? DYN, v ?? DYN);
      }
      case "struct":
        return this.struct(e);
      case "loop":
        return this.loop(e);
      case "bind":
        return this.within([[e.name, this.check(e.init)]], e.body);
      case "optmap": {
        const target = this.check(e.target);
        const body = this.within([[e.name, target.element ?? DYN]], e.body);
        return e.flat ? body : optionalOf(body);
      }
      case "call":
        return this.call(e);
    }
  }

  private struct(e: Extract<Expr, { op: "struct" }>): CelType {
    const type = this.structOf(e.name);
    if (type === undefined) {
      for (const f of e.fields) this.check(f.value);
      return this.fail(e, `undeclared reference to '${e.name}' (in container '')`);
    }
    for (const f of e.fields) {
      let got = this.check(f.value);
      if (f.optional) got = got.element ?? DYN;
      const want = type.field(f.name);
      if (want === undefined) this.errors.push({ message: `undefined field '${f.name}'`, at: f.at });
      else if (!assignable(want, got, new Map()))
        this.errors.push({
          message: `expected type of field '${f.name}' is '${printType(want)}' but provided type is '${printType(got)}'`,
          at: f.at,
        });
    }
    return objectOf(e.name, new Map());
  }

  private join(a: CelType, b: CelType): CelType | undefined {
    if (a.kind === "dyn" || b.kind === "dyn") return DYN;
    if (a.kind === "null_type" && (b.kind === "object" || b.kind === "map")) return b;
    if (assignable(a, b, new Map())) return a;
    return assignable(b, a, new Map()) ? b : undefined;
  }

  private select(e: Extract<Expr, { op: "select" }>): CelType {
    let t = this.check(e.target);
    const wasOptional = t.kind === "optional_type";
    if (wasOptional) t = t.element ?? DYN;
    let out: CelType = DYN;
    if (t.kind === "host" && t.methods) out = t.fields?.get(e.field) ?? this.fail(e, `undefined field '${e.field}'`);
    else if (t.kind === "object") out = t.fields!.get(e.field) ?? this.fail(e, `undefined field '${e.field}'`);
    else if (t.kind === "map") out = t.element!;
    else if (t.kind !== "dyn" && t.kind !== "host") return this.fail(e, `type '${printType(t)}' does not support field selection`);
    if (e.test) return BOOL;
    return e.optional || wasOptional ? optionalOf(out.kind === "optional_type" ? out.element! : out) : out;
  }

  private element(e: Expr, t: CelType, index: CelType): CelType {
    if (t.kind === "optional_type") return optionalOf(this.element(e, t.element ?? DYN, index));
    if (t.kind === "list" && ["int", "uint", "double", "dyn"].includes(index.kind)) return t.element!;
    if (t.kind === "map" && assignable(t.key!, index, new Map())) return t.element!;
    if (t.kind === "dyn") return DYN;
    return this.fail(e, `found no matching overload for '_[_]' applied to '(${printType(t)}, ${printType(index)})'`);
  }

  private loop(e: Extract<Expr, { op: "loop" }>): CelType {
    const range = this.check(e.range);
    let vars: [string, CelType][];
    if (range.kind === "list")
      vars =
        e.vars.length === 2
          ? [
              [e.vars[0]!, INT],
              [e.vars[1]!, range.element!],
            ]
          : [[e.vars[0]!, range.element!]];
    else if (range.kind === "map")
      vars =
        e.vars.length === 2
          ? [
              [e.vars[0]!, range.key!],
              [e.vars[1]!, range.element!],
            ]
          : [[e.vars[0]!, range.key!]];
    else if (range.kind === "object") vars = e.vars.map((v, i) => [v, i === 0 ? STRING : DYN]);
    else {
      if (range.kind !== "dyn")
        this.fail(e.range, `expression of type '${printType(range)}' cannot be range of a comprehension (must be list, map, or dynamic)`);
      vars = e.vars.map((v) => [v, DYN]);
    }
    if (e.filter) this.within(vars, e.filter);
    const body = this.within(vars, e.body);
    switch (e.kind) {
      case "map":
      case "transformList":
        return listOf(body);
      case "transformMap":
        return mapOf(vars[0]![1], body);
      case "filter":
        if (body.kind !== "bool" && body.kind !== "dyn")
          this.fail(e.body, `found no matching overload for '_?_:_' applied to '(${printType(body)}, list(dyn), list(dyn))'`);
        return range.kind === "list" ? range : listOf(range.kind === "map" ? range.key! : DYN);
      default:
        if (body.kind !== "bool" && body.kind !== "dyn") this.fail(e.body, `expected type 'bool' but found '${printType(body)}'`);
        return BOOL;
    }
  }

  private call(e: Extract<Expr, { op: "call" }>): CelType {
    const target = e.target === undefined ? undefined : this.check(e.target);
    const args = e.args.map((a) => this.check(a));
    if (target?.kind === "host") {
      const method = target.methods?.get(e.name);
      const fits = method?.args.length === args.length && method.args.every((a, i) => assignable(a, args[i]!, new Map()));
      if (method && fits) return method.result();
      if (target.methods)
        return this.fail(
          e,
          method
            ? `found no matching overload for '${e.name}' applied to '${printType(target)}.(${args.map(printType).join(", ")})'`
            : `undeclared reference to '${e.name}' (in container '')`,
        );
      return DYN;
    }
    const overloads = overloadsOf(e.name);
    if (overloads === undefined) {
      if (target?.kind === "dyn") return DYN;
      return this.fail(e, `undeclared reference to '${e.name}' (in container '')`);
    }
    const found = overloads.filter((o) => fits(o, target, args));
    if (found.length === 0) {
      const shown =
        target === undefined ? `(${args.map(printType).join(", ")})` : `${printType(target)}.(${args.map(printType).join(", ")})`;
      return this.fail(e, `found no matching overload for '${e.name}' applied to '${shown}'`);
    }
    const results = found.map((o) => resultOf(o, target, args));
    return results.every((r) => printType(r) === printType(results[0]!)) ? results[0]! : DYN;
  }
}

interface ParsedOverload {
  target: CelType | undefined;
  args: CelType[];
  result: CelType;
}
const parsed = new WeakMap<Overload, ParsedOverload>();

function parse(o: Overload): ParsedOverload {
  let p = parsed.get(o);
  if (p === undefined) {
    p = {
      target: o.target === undefined ? undefined : parseTypeText(o.target),
      args: o.args.map(parseTypeText),
      result: parseTypeText(o.result),
    };
    parsed.set(o, p);
  }
  return p;
}

function fits(o: Overload, target: CelType | undefined, args: CelType[]): boolean {
  const p = parse(o);
  if ((p.target === undefined) !== (target === undefined) || p.args.length !== args.length) return false;
  const bound = new Map<string, CelType>();
  if (p.target && !assignable(p.target, target!, bound)) return false;
  return p.args.every((a, i) => assignable(a, args[i]!, bound));
}

function resultOf(o: Overload, target: CelType | undefined, args: CelType[]): CelType {
  const p = parse(o);
  const bound = new Map<string, CelType>();
  if (p.target) assignable(p.target, target!, bound);
  for (const [i, a] of p.args.entries()) assignable(a, args[i]!, bound);
  return substitute(p.result, bound);
}
