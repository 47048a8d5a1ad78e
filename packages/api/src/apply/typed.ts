// Typed values of server-side apply: check against the schema, list owned paths, compare, merge, remove.
// undefined is "absent", null is an explicit null; the difference matters to ownership.
// Specification: structured-merge-diff typed (v6, as in Kubernetes 1.34). Invariant: inputs are never changed.
import { PodwireError } from "@podwire/base";
import { deepEqual } from "../patch/json-patch.ts";
import { FieldSet } from "./field-set.ts";
import { childType, itemElement, SCALAR, type SmdType, UNTYPED } from "./schema.ts";

export class TypedError extends PodwireError {}

const isMap = (v: any): v is Record<string, any> => v !== null && typeof v === "object" && !Array.isArray(v);
const isEmpty = (v: any): boolean =>
  v === null || v === undefined || (Array.isArray(v) ? v.length === 0 : typeof v === "object" && Object.keys(v).length === 0);

/** How the value is treated: untyped values take the form that they have. */
function form(t: SmdType, l: any, r: any): "map" | "list" | "scalar" {
  if (t.shape !== "untyped") return t.shape;
  const v = r === undefined || r === null ? l : r;
  return isMap(v) ? "map" : Array.isArray(v) ? "list" : "scalar";
}

const atomicOf = (t: SmdType, f: "map" | "list" | "scalar"): boolean => (t.shape === "untyped" ? f === "list" : t.atomic);

/** Throws unless the value fits the schema; `errors` collects every violation. */
export function checkTyped(t: SmdType, value: any): void {
  const errors: string[] = [];
  check(t, value, "", errors);
  if (errors.length > 0) throw new TypedError(errors.length === 1 ? errors[0]! : `errors:\n  ${errors.join("\n  ")}`);
}

function check(t: SmdType, v: any, path: string, errors: string[]): void {
  if (v === null || v === undefined || t.shape === "untyped") return;
  if (t.shape === "scalar") {
    const got = typeof v === "number" ? "numeric" : typeof v;
    if (t.scalar !== undefined && got !== t.scalar)
      errors.push(`${path}: expected ${t.scalar}, got &value.valueUnstructured{Value:${goSyntax(v)}}`);
    return;
  }
  if (t.shape === "list") {
    if (!Array.isArray(v)) {
      errors.push(`${path}: expected list, got &value.valueUnstructured{Value:${goSyntax(v)}}`);
      return;
    }
    const seen = new Set<string>();
    v.forEach((item, i) => {
      let at = `${path}[${i}]`;
      if (!t.atomic) {
        const e = elementOf(t, item, i, path);
        at = `${path}${e.startsWith("k:") ? `[${describeKey(e)}]` : `[=${e.slice(2)}]`}`;
        if (seen.has(e))
          errors.push(`${path}: duplicate entries for key ${e.startsWith("k:") ? `[${describeKey(e)}]` : `[=${e.slice(2)}]`}`);
        seen.add(e);
      }
      check(t.element ?? UNTYPED, item, at, errors);
    });
    return;
  }
  if (!isMap(v)) {
    errors.push(`${path}: expected map, got &value.valueUnstructured{Value:${goSyntax(v)}}`);
    return;
  }
  for (const key of Object.keys(v)) {
    const c = childType(t, key);
    if (c === undefined) errors.push(`${path}.${key}: field not declared in schema`);
    else check(c, v[key], `${path}.${key}`, errors);
  }
}

function describeKey(e: string): string {
  return Object.entries(JSON.parse(e.slice(2)))
    .map(([k, v]) => `${k}=${JSON.stringify(v)}`)
    .join(",");
}

/** Go's %#v of plain JSON. */
function goSyntax(v: any): string {
  if (typeof v === "string") return JSON.stringify(v);
  if (Array.isArray(v)) return `[]interface {}{${v.map(goSyntax).join(", ")}}`;
  if (isMap(v)) {
    return `map[string]interface {}{${Object.keys(v)
      .sort()
      .map((k) => `${JSON.stringify(k)}:${goSyntax(v[k])}`)
      .join(", ")}}`;
  }
  return v === null ? "interface {}(nil)" : String(v);
}

function elementOf(t: SmdType, item: any, index: number, path = ""): string {
  const e = itemElement(t, item);
  if (e === undefined) {
    throw new TypedError(
      `${path}: element ${index}: associative list with keys has an element that omits key field ${JSON.stringify(t.keys![0])} (and doesn't have default value)`,
    );
  }
  return e;
}

/** Paths that a configuration owns. */
export function fieldSetOf(t: SmdType, value: any): FieldSet {
  const out = new FieldSet();
  collect(t, value, out, undefined, "");
  return out;
}

/** Adds the paths of `v`; `parent`/`pe` name the node itself, for leaves. */
function collect(t: SmdType, v: any, into: FieldSet, parent: FieldSet | undefined, pe: string): void {
  const f = form(t, undefined, v);
  const self = (): void => {
    if (parent) parent.add(pe);
  };
  if (f === "scalar" || atomicOf(t, f)) {
    self();
    return;
  }
  if (v === null || v === undefined) return;
  if (f === "list") {
    v.forEach((item: any, i: number) => {
      const e = elementOf(t, item, i);
      const sub = new FieldSet();
      if (t.keys!.length > 0) into.add(e);
      collect(t.element ?? UNTYPED, item, sub, into, e);
      into.attach(e, sub);
    });
    return;
  }
  for (const key of Object.keys(v)) {
    const e = `f:${key}`;
    const sub = new FieldSet();
    const c = childType(t, key) ?? UNTYPED;
    collect(c, v[key], sub, into, e);
    if (v[key] === null || (isMap(v[key]) && isEmpty(v[key])) || t.fields?.get(key) === undefined) into.add(e);
    into.attach(e, sub);
  }
}

export interface Comparison {
  added: FieldSet;
  modified: FieldSet;
  removed: FieldSet;
}

export function compareTyped(t: SmdType, l: any, r: any): Comparison {
  const out: Comparison = { added: new FieldSet(), modified: new FieldSet(), removed: new FieldSet() };
  compareBody(t, l, r, out);
  return out;
}

/** Compares one node; returns true when it was a leaf. */
function compareNode(t: SmdType, l: any, r: any, parent: Comparison, pe: string): void {
  const f = form(t, l, r);
  const leaf =
    f === "scalar" ||
    atomicOf(t, f) ||
    (isEmpty(l) && isEmpty(r)) ||
    (f === "map" ? !(isMap(l) || isMap(r)) : !(Array.isArray(l) || Array.isArray(r)));
  if (leaf) {
    if (l === undefined) parent.added.add(pe);
    else if (r === undefined) parent.removed.add(pe);
    else if (!deepEqual(l, r)) parent.modified.add(pe);
    return;
  }
  const sub: Comparison = { added: new FieldSet(), modified: new FieldSet(), removed: new FieldSet() };
  compareBody(t, l, r, sub);
  parent.added.attach(pe, sub.added);
  parent.modified.attach(pe, sub.modified);
  parent.removed.attach(pe, sub.removed);
  if (l === undefined) parent.added.add(pe);
  else if (r === undefined) parent.removed.add(pe);
}

function compareBody(t: SmdType, l: any, r: any, out: Comparison): void {
  if (form(t, l, r) === "list") {
    const left = byElement(t, l);
    const right = byElement(t, r);
    const twice = new Set([...repeated(t, l), ...repeated(t, r)]);
    // Items that share a key cannot be told apart: they are one leaf.
    const type = (e: string): SmdType => (twice.has(e) ? SCALAR : (t.element ?? UNTYPED));
    for (const [e, lv] of left)
      compareNode(type(e), twice.has(e) ? itemsOf(t, l, e) : lv, twice.has(e) ? itemsOf(t, r, e) : right.get(e), out, e);
    for (const [e, rv] of right) if (!left.has(e)) compareNode(type(e), undefined, rv, out, e);
    return;
  }
  const lm = isMap(l) ? l : {};
  const rm = isMap(r) ? r : {};
  for (const key in lm) compareNode(childType(t, key) ?? UNTYPED, lm[key], rm[key], out, `f:${key}`);
  for (const key in rm) if (!(key in lm)) compareNode(childType(t, key) ?? UNTYPED, undefined, rm[key], out, `f:${key}`);
}

function repeated(t: SmdType, list: any): string[] {
  if (!Array.isArray(list) || list.length < 2) return [];
  const seen = new Set<string>();
  return list.map((x, i) => elementOf(t, x, i)).filter((e) => seen.size === seen.add(e).size);
}

function itemsOf(t: SmdType, list: any, element: string): any[] | undefined {
  const out = Array.isArray(list) ? list.filter((x, i) => elementOf(t, x, i) === element) : [];
  return out.length > 0 ? out : undefined;
}

function byElement(t: SmdType, list: any): Map<string, any> {
  const out = new Map<string, any>();
  if (!Array.isArray(list)) return out;
  list.forEach((item, i) => {
    const e = elementOf(t, item, i);
    if (!out.has(e)) out.set(e, item);
  });
  return out;
}

/** `r` laid over `l`: what r says wins, what it does not mention stays. */
export function mergeTyped(t: SmdType, l: any, r: any): any {
  if (r === undefined) return l;
  if (l === undefined && form(t, l, r) === "scalar") return r;
  const f = form(t, l, r);
  if (f === "scalar" || atomicOf(t, f) || (isEmpty(l) && isEmpty(r))) return r;
  if (f === "map") {
    const lm = isMap(l) ? l : {};
    const rm = isMap(r) ? r : {};
    const out: Record<string, any> = {};
    for (const key of Object.keys(lm))
      setOwn(out, key, mergeTyped(childType(t, key) ?? UNTYPED, lm[key], Object.hasOwn(rm, key) ? rm[key] : undefined));
    for (const key of Object.keys(rm))
      if (!Object.hasOwn(lm, key)) setOwn(out, key, mergeTyped(childType(t, key) ?? UNTYPED, undefined, rm[key]));
    return out;
  }
  return mergeLists(t, Array.isArray(l) ? l : [], Array.isArray(r) ? r : []);
}

function setOwn(o: Record<string, any>, key: string, value: any): void {
  if (key === "__proto__") Object.defineProperty(o, key, { value, enumerable: true, configurable: true, writable: true });
  else o[key] = value;
}

/** Keeps the left order for what only the left has, the right order for what the right has, woven at the items that both share. */
function mergeLists(t: SmdType, l: any[], r: any[]): any[] {
  const le = l.map((x, i) => elementOf(t, x, i));
  const re = r.map((x, i) => elementOf(t, x, i));
  const left = byElement(t, l);
  const right = byElement(t, r);
  const shared = re.filter((e) => left.has(e));
  let next = 0;
  const done = new Set<string>();
  const out: any[] = [];
  const merge = (lv: any, rv: any): void => {
    out.push(mergeTyped(t.element ?? UNTYPED, lv, rv));
  };
  let i = 0;
  let j = 0;
  while (i < le.length || j < re.length) {
    if (i < le.length && j < re.length) {
      const e = le[i]!;
      if (e === re[j]) {
        done.add(e);
        merge(left.get(e), right.get(e));
        i++;
        j++;
        next++;
        continue;
      }
      if (right.has(e) && next < shared.length && shared[next] !== e) {
        i++;
        continue;
      }
    }
    if (i < le.length) {
      const e = le[i]!;
      if (!right.has(e)) {
        merge(l[i], undefined);
        i++;
        continue;
      }
      if (done.has(e)) i++;
    }
    if (j < re.length) {
      const e = re[j]!;
      done.add(e);
      merge(left.get(e), right.get(e));
      j++;
      if (shared[next] === e) next++;
    }
  }
  return out;
}

/** The value without the paths of the set; containers that become empty become null. */
export function removeTyped(t: SmdType, v: any, set: FieldSet): any {
  if (set.empty || v === null || v === undefined) return v;
  const f = form(t, undefined, v);
  if (f === "list" && Array.isArray(v) && !atomicOf(t, f)) {
    const out: any[] = [];
    v.forEach((item, i) => {
      const e = elementOf(t, item, i);
      if (set.members.has(e)) return;
      const sub = set.children.get(e);
      out.push(sub ? removeTyped(t.element ?? UNTYPED, item, sub) : item);
    });
    return out.length > 0 ? out : null;
  }
  if (f === "map" && isMap(v) && !atomicOf(t, f)) {
    const out: Record<string, any> = {};
    let n = 0;
    for (const key of Object.keys(v)) {
      const e = `f:${key}`;
      if (set.members.has(e)) continue;
      const sub = set.children.get(e);
      setOwn(out, key, sub ? removeTyped(childType(t, key) ?? UNTYPED, v[key], sub) : v[key]);
      n++;
    }
    return n > 0 ? out : null;
  }
  return v;
}

/** The set with every declared field on the way to a member made a member too. */
export function withNamedFields(t: SmdType, set: FieldSet): FieldSet {
  const out = new FieldSet();
  for (const m of set.members) out.add(m);
  for (const [e, child] of set.children) {
    let sub: SmdType = UNTYPED;
    if (e.startsWith("f:")) {
      const key = e.slice(2);
      sub = childType(t, key) ?? UNTYPED;
      if (t.fields?.has(key)) out.add(e);
    } else sub = t.element ?? UNTYPED;
    out.attach(e, withNamedFields(sub, child));
  }
  return out;
}
