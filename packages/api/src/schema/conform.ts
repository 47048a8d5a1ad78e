// Turns parsed JSON into the form that a Go server would store and print: unknown fields dropped, empty omitempty
// fields left out, required ones present, quantities, times and durations canonical; and reports what encoding/json
// would report, in its words.
// Invariant: conform(conform(x)) = conform(x). The input tree is consumed: it is changed in place where possible.
import { PodwireError } from "@podwire/base";
import { canonicalQuantity } from "../meta/quantity.ts";
import { canonicalDuration, canonicalMicroTime, canonicalTime } from "../meta/time.ts";
import { type Field, type StructType, structOf, type TypeRef } from "./registry.ts";

/** A value of the wrong JSON type, or one that its type refuses. */
export class DecodeError extends PodwireError {}

/** A number whose text matters ("1.0", "1e3", more digits than a double holds). */
export class RawNumber {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

/** Kubernetes stops listing strict errors here. */
export const STRICT_ERRORS_MAX = 100;

const REMOVE = Symbol("remove");
const always = new WeakMap<StructType, readonly Field[]>();

/** Fields that Go prints even when nothing was given. */
function alwaysFields(s: StructType): readonly Field[] {
  let list = always.get(s);
  if (list === undefined) {
    list = s.fields.filter((f) => !f.omitEmpty || (!f.type.pointer && ALWAYS_SHAPES.has(f.type.shape))).filter((f) => !isOmitZero(s, f));
    always.set(s, list);
  }
  return list;
}

const ALWAYS_SHAPES = new Set(["struct", "Time", "MicroTime", "Quantity", "IntOrString", "Duration", "RawExtension"]);

/** The few struct fields that carry omitzero in 1.34. */
function isOmitZero(s: StructType, f: Field): boolean {
  return s.ref === "meta/v1.ObjectMeta" && f.name === "creationTimestamp";
}

export class Conformer {
  /** Unknown and duplicate fields, in the order met. */
  readonly strict: string[] = [];
  /** Keys visited; compared with the keys of the text to find duplicates. */
  keys = 0;
  private readonly stack: (string | number)[] = [];
  /** 1 where the entry of `stack` is a struct field, which is all that Go's type errors name. */
  private readonly isField: number[] = [];
  private readonly duplicates: Map<object, string[]> | undefined;
  private readonly seen = new Set<string>();

  constructor(duplicates?: Map<object, string[]>) {
    this.duplicates = duplicates;
  }

  /** The conformed struct; `value` must be an object. */
  struct(s: StructType, value: any): any {
    if (value === null || typeof value !== "object" || Array.isArray(value) || value instanceof RawNumber) {
      throw new DecodeError(`json: cannot unmarshal ${kindOf(value)} into Go value of type ${s.goName}`);
    }
    return this.object(s, value, undefined);
  }

  private object(s: StructType, value: Record<string, any>, owner: StructType | undefined): any {
    if (typeof value !== "object" || Array.isArray(value) || value instanceof RawNumber) throw this.mismatch(value, s.goName, owner);
    let out = value;
    let removed = false;
    const dups = this.duplicates?.get(value);
    for (const key in value) {
      this.keys++;
      const f = s.byName.get(key);
      if (f === undefined) {
        this.note("unknown", key);
        this.countKeys(value[key]);
        if (!removed) {
          out = copyBefore(value, key);
          removed = true;
        }
        continue;
      }
      const v = this.field(s, f, value[key]);
      if (dups?.includes(key)) this.note("duplicate", key);
      if (v === REMOVE) {
        if (!removed) {
          out = copyBefore(value, key);
          removed = true;
        }
      } else if (removed || v !== value[key]) out[key] = v;
    }
    for (const f of alwaysFields(s)) if (out[f.name] === undefined) out[f.name] = this.zero(f);
    return out;
  }

  private field(s: StructType, f: Field, v: any): any {
    const t = f.type;
    if (v === null || v === undefined) return t.pointer || !f.omitEmpty ? this.nil(f) : REMOVE;
    switch (t.shape) {
      case "string":
        if (typeof v !== "string") throw this.mismatch(v, t.goName, s, f.name);
        return v === "" && f.omitEmpty && !t.pointer ? REMOVE : v;
      case "bool":
        if (typeof v !== "boolean") throw this.mismatch(v, t.goName, s, f.name);
        return v === false && f.omitEmpty && !t.pointer ? REMOVE : v;
      case "int32":
      case "int64":
      case "float64": {
        const n = this.number(t, v, s, f.name);
        return n === 0 && f.omitEmpty && !t.pointer ? REMOVE : n;
      }
    }
    this.stack.push(f.name);
    this.isField.push(1);
    const out = this.value(t, v, s);
    this.stack.pop();
    this.isField.pop();
    if (f.omitEmpty && !t.pointer) {
      if (t.shape === "list" || t.shape === "bytes" ? out.length === 0 : t.shape === "map" && isEmpty(out)) return REMOVE;
      if (out === null && isOmitZero(s, f)) return REMOVE;
    }
    return out;
  }

  private value(t: TypeRef, v: any, owner: StructType): any {
    switch (t.shape) {
      case "string":
        if (v === null) return "";
        if (typeof v !== "string") throw this.mismatch(v, t.goName, owner);
        return v;
      case "bool":
        if (v === null) return false;
        if (typeof v !== "boolean") throw this.mismatch(v, t.goName, owner);
        return v;
      case "int32":
      case "int64":
      case "float64":
        return v === null ? 0 : this.number(t, v, owner, undefined);
      case "bytes":
        if (v === null) return "";
        if (typeof v !== "string") throw this.mismatch(v, "[]uint8", owner);
        return canonicalBase64(v);
      case "list":
        return this.list(t.element!, t, v, owner);
      case "map":
        return this.map(t.element!, t, v, owner);
      case "struct":
        return v === null ? (t.pointer ? null : this.object(structOf(t), {}, owner)) : this.object(structOf(t), v, owner);
      case "Quantity":
        if (v === null) return "0";
        return canonicalQuantity(typeof v === "string" ? v.trim() : v instanceof RawNumber ? v.text : JSON.stringify(v));
      case "Time":
        if (v === null) return null;
        if (typeof v !== "string") throw this.mismatch(v, "string", owner);
        return canonicalTime(v);
      case "MicroTime":
        if (v === null) return null;
        if (typeof v !== "string") throw this.mismatch(v, "string", owner);
        return canonicalMicroTime(v);
      case "Duration":
        if (v === null) return "0s";
        if (typeof v !== "string") throw this.mismatch(v, "string", owner);
        return canonicalDuration(v);
      case "IntOrString":
        if (v === null) return 0;
        return typeof v === "string" ? v : this.number(INT32, v, owner, undefined);
      case "RawExtension":
      case "JSON":
        return this.any(v);
      case "FieldsV1":
        return this.any(v);
      case "schemaUnion":
        return this.schemaUnion(t, v, owner);
    }
  }

  private list(element: TypeRef, t: TypeRef, v: any, owner: StructType): any {
    if (!Array.isArray(v)) throw this.mismatch(v, t.goName, owner);
    for (let i = 0; i < v.length; i++) {
      const x = v[i];
      if (element.shape === "string" && typeof x === "string") continue;
      this.stack.push(i);
      this.isField.push(0);
      const y = this.value(element, x, owner);
      if (y !== x) v[i] = y;
      this.stack.pop();
      this.isField.pop();
    }
    return v;
  }

  private map(element: TypeRef, t: TypeRef, v: any, owner: StructType): any {
    if (v === null || typeof v !== "object" || Array.isArray(v) || v instanceof RawNumber) throw this.mismatch(v, t.goName, owner);
    const dups = this.duplicates?.get(v);
    for (const key in v) {
      this.keys++;
      const x = v[key];
      if (dups?.includes(key)) this.note("duplicate", key);
      if (element.shape === "string" && typeof x === "string") continue;
      this.stack.push(key);
      this.isField.push(0);
      const y = this.value(element, x, owner);
      if (y !== x) setOwn(v, key, y);
      this.stack.pop();
      this.isField.pop();
    }
    return v;
  }

  private number(t: TypeRef, v: any, owner: StructType, field: string | undefined): number {
    if (typeof v === "number") {
      if (t.shape === "float64") return v;
      if (Number.isInteger(v) && (t.shape === "int64" || (v >= -2147483648 && v <= 2147483647))) return v;
      throw this.mismatch(v, t.goName, owner, field, `number ${v}`);
    }
    if (v instanceof RawNumber) {
      if (t.shape === "float64") return Number(v.text);
      const ok = /^-?\d{1,20}$/.test(v.text) && inRange(BigInt(v.text), t.shape);
      if (ok) return Number(v.text);
      throw this.mismatch(v, t.goName, owner, field, `number ${v.text}`);
    }
    throw this.mismatch(v, t.goName, owner, field);
  }

  private schemaUnion(t: TypeRef, v: any, owner: StructType): any {
    const props = JSON_SCHEMA_PROPS();
    if (t.ref!.endsWith("OrBool") && typeof v === "boolean") return v;
    if (t.ref!.endsWith("OrArray") && Array.isArray(v)) return v.map((x) => this.object(props, x, owner));
    if (t.ref!.endsWith("OrStringArray") && Array.isArray(v)) return v;
    if (v === null) return null;
    if (typeof v !== "object") {
      if (t.ref!.endsWith("OrBool")) throw new DecodeError("boolean or JSON schema expected");
      throw this.mismatch(v, props.goName, owner);
    }
    return this.object(props, v, owner);
  }

  /** Free-form JSON keeps its shape; only numbers lose their text form. */
  private any(v: any): any {
    this.countKeys(v);
    return unwrapNumbers(v);
  }

  private nil(f: Field): any {
    if (f.type.pointer) return f.omitEmpty ? REMOVE : null;
    return this.zero(f);
  }

  /** What Go prints for a field that was not given. */
  private zero(f: Field): any {
    if (f.type.pointer) return null;
    switch (f.type.shape) {
      case "string":
        return "";
      case "bool":
        return false;
      case "int32":
      case "int64":
      case "float64":
      case "IntOrString":
        return 0;
      case "Quantity":
        return "0";
      case "Duration":
        return "0s";
      case "struct":
        return this.object(structOf(f.type), {}, undefined);
      default:
        return null;
    }
  }

  private note(what: "unknown" | "duplicate", key: string): void {
    if (this.strict.length >= STRICT_ERRORS_MAX) return;
    let path = "";
    for (const k of this.stack) path += typeof k === "number" ? `[${k}]` : path === "" ? k : `.${k}`;
    const text = `${what} field ${JSON.stringify(path === "" ? key : `${path}.${key}`)}`;
    if (this.seen.has(text)) return;
    this.seen.add(text);
    this.strict.push(text);
  }

  private mismatch(v: any, goType: string, owner: StructType | undefined, field?: string, what: string = kindOf(v)): DecodeError {
    const path = this.stack.filter((_, i) => this.isField[i] === 1);
    if (field !== undefined) path.push(field);
    if (owner === undefined || path.length === 0) return new DecodeError(`json: cannot unmarshal ${what} into Go value of type ${goType}`);
    return new DecodeError(`json: cannot unmarshal ${what} into Go struct field ${owner.name}.${path.join(".")} of type ${goType}`);
  }

  /** Keys of a subtree that is not walked by type. */
  private countKeys(root: any): void {
    if (root === null || typeof root !== "object") return;
    const todo: any[] = [root];
    while (todo.length > 0) {
      const v = todo.pop();
      if (Array.isArray(v)) {
        for (const x of v) if (x !== null && typeof x === "object") todo.push(x);
      } else {
        for (const k in v) {
          this.keys++;
          const x = v[k];
          if (x !== null && typeof x === "object" && !(x instanceof RawNumber)) todo.push(x);
        }
        if (v instanceof RawNumber) this.keys--;
      }
    }
  }
}

const INT32: TypeRef = { shape: "int32", pointer: false, element: undefined, goName: "int32", ref: undefined, struct: undefined };
let schemaProps: StructType | undefined;
function JSON_SCHEMA_PROPS(): StructType {
  schemaProps ??= structOf({
    shape: "struct",
    pointer: false,
    element: undefined,
    goName: "v1.JSONSchemaProps",
    ref: "apiextensions/v1.JSONSchemaProps",
    struct: undefined,
  });
  return schemaProps;
}

function inRange(n: bigint, shape: string): boolean {
  return shape === "int32" ? n >= -2147483648n && n <= 2147483647n : n >= -9223372036854775808n && n <= 9223372036854775807n;
}

/** JSON's name of a value's type, as Go prints it. */
function kindOf(v: any): string {
  if (v === null) return "null";
  if (Array.isArray(v)) return "array";
  if (v instanceof RawNumber) return "number";
  if (typeof v === "boolean") return "bool";
  return typeof v;
}

function isEmpty(o: object): boolean {
  for (const _ in o) return false;
  return true;
}

/** The keys before `key`, in order, with the values they have now. */
function copyBefore(o: Record<string, any>, key: string): Record<string, any> {
  const out: Record<string, any> = {};
  for (const k in o) {
    if (k === key) break;
    setOwn(out, k, o[k]);
  }
  return out;
}

/** "__proto__" is a key like any other. */
function setOwn(o: Record<string, any>, key: string, value: any): void {
  if (key === "__proto__") Object.defineProperty(o, key, { value, enumerable: true, configurable: true, writable: true });
  else o[key] = value;
}

export function unwrapNumbers(v: any): any {
  if (v === null || typeof v !== "object") return v;
  if (v instanceof RawNumber) return Number(v.text);
  if (Array.isArray(v)) {
    for (let i = 0; i < v.length; i++) if (typeof v[i] === "object") v[i] = unwrapNumbers(v[i]);
  } else {
    for (const k in v) if (typeof v[k] === "object") setOwn(v, k, unwrapNumbers(v[k]));
  }
  return v;
}

/** Checks base64 as Go does, and prints it in its one form. Line breaks inside are allowed. */
function canonicalBase64(text: string): string {
  const clean = text.includes("\n") || text.includes("\r") ? text.replace(/[\r\n]/g, "") : text;
  const m = /^[A-Za-z0-9+/]*/.exec(clean)![0].length;
  const padding = clean.length - m;
  if (clean.length % 4 !== 0 || padding > 2 || (padding > 0 && clean.slice(m) !== "=".repeat(padding))) {
    throw new DecodeError(`illegal base64 data at input byte ${badByte(clean, m)}`);
  }
  return clean;
}

function badByte(clean: string, valid: number): number {
  if (valid === clean.length) return valid - (valid % 4);
  return valid;
}

/** Conforms a value that does not come from a client's bytes: unknown fields are dropped silently. */
export function conform<T = any>(s: StructType, value: unknown): T {
  return new Conformer().struct(s, value) as T;
}
