// Values of CEL at run time. int is a BigInt, double a number, uint its own class; lists are arrays; maps are plain
// objects (from JSON) or Maps (from literals). JSON numbers become int or double when they are read.
import { PodwireError } from "@podwire/base";
import type { ParsedCidr, ParsedIp } from "../meta/addresses.ts";
import type { Quantity } from "../meta/quantity.ts";

/** A failure while an expression runs: no such key, division by zero, overflow. */
export class CelRuntimeError extends PodwireError {}

/** The expression cost more than it may. */
export class CelCostError extends CelRuntimeError {}

export class Uint {
  readonly value: bigint;
  constructor(value: bigint) {
    if (value < 0n || value > 18446744073709551615n) throw new CelRuntimeError("unsigned integer overflow");
    this.value = value;
  }
}

export class Optional {
  readonly value: unknown;
  readonly present: boolean;
  constructor(present: boolean, value?: unknown) {
    this.present = present;
    this.value = value;
  }
}
export const NONE = new Optional(false);

export class Timestamp {
  readonly seconds: number;
  readonly nanos: number;
  constructor(seconds: number, nanos: number) {
    this.seconds = seconds;
    this.nanos = nanos;
  }
}

export class Duration {
  readonly nanos: bigint;
  constructor(nanos: bigint) {
    this.nanos = nanos;
  }
}

export class TypeValue {
  readonly name: string;
  constructor(name: string) {
    this.name = name;
  }
}

/** Values of the Kubernetes library: quantities, URLs, addresses, formats, versions. */
export class Opaque<T = unknown> {
  readonly kind: string;
  readonly value: T;
  constructor(kind: string, value: T) {
    this.kind = kind;
    this.value = value;
  }
}
export type QuantityValue = Opaque<Quantity>;
export type IpValue = Opaque<{ text: string; ip: ParsedIp }>;
export type CidrValue = Opaque<{ text: string; cidr: ParsedCidr }>;

/** An object that lives outside: an authorizer, lazily computed variables. */
export interface HostObject {
  celGet?(field: string): unknown;
  celHas?(field: string): boolean;
  /** `spend` adds to the cost of the evaluation. */
  celCall?(method: string, args: unknown[], spend: (cost: number) => void): unknown;
}
export const HOST = Symbol("CEL host object");
export const isHost = (v: unknown): v is HostObject => typeof v === "object" && v !== null && HOST in v;

/** A value made by a type's literal, "Object.spec{replicas: 3}". */
export class StructValue {
  readonly name: string;
  readonly fields: ReadonlyMap<string, unknown>;
  constructor(name: string, fields: ReadonlyMap<string, unknown>) {
    this.name = name;
    this.fields = fields;
  }
}

const INT_MIN = -9223372036854775808n;
const INT_MAX = 9223372036854775807n;

export function int(v: bigint): bigint {
  if (v < INT_MIN || v > INT_MAX) throw new CelRuntimeError("integer overflow");
  return v;
}

/** A JSON value as CEL sees it. */
export function adapt(v: unknown): unknown {
  if (typeof v === "number" && Number.isInteger(v)) return BigInt(v);
  return v === undefined ? null : v;
}

/** A list made by CEL, whose numbers are CEL's already; lists from JSON are plain arrays. */
export class NativeList extends Array<unknown> {}

export function nativeList(items: Iterable<unknown>): NativeList {
  const out = new NativeList();
  for (const x of items) out.push(x);
  return out;
}

/** The items of a list as CEL values. */
export function itemsOf(l: readonly unknown[]): unknown[] {
  return l instanceof NativeList ? l : Array.prototype.map.call(l, adapt);
}

export function itemAt(l: readonly unknown[], i: number): unknown {
  return l instanceof NativeList ? l[i] : adapt(l[i]);
}

export const isMap = (v: unknown): v is Record<string, unknown> | Map<unknown, unknown> => {
  if (typeof v !== "object" || v === null || Array.isArray(v)) return false;
  if (v instanceof Map) return true;
  const p = Object.getPrototypeOf(v);
  return p === Object.prototype || p === null;
};

export function mapGet(m: Record<string, unknown> | Map<unknown, unknown>, key: unknown): { found: boolean; value: unknown } {
  if (m instanceof Map) {
    const k = keyOf(key);
    return m.has(k) ? { found: true, value: m.get(k) } : { found: false, value: undefined };
  }
  if (typeof key === "string" && Object.hasOwn(m, key) && m[key] !== undefined) return { found: true, value: adapt(m[key]) };
  return { found: false, value: undefined };
}

/** Numbers that are equal are the same key. */
export function keyOf(k: unknown): unknown {
  if (k instanceof Uint) return k.value;
  if (typeof k === "number" && Number.isInteger(k)) return BigInt(k);
  return k;
}

export const mapKeys = (m: Record<string, unknown> | Map<unknown, unknown>): unknown[] =>
  m instanceof Map ? [...m.keys()] : Object.keys(m);
export const mapSize = (m: Record<string, unknown> | Map<unknown, unknown>): number => (m instanceof Map ? m.size : Object.keys(m).length);

const isNumber = (v: unknown): boolean => typeof v === "bigint" || typeof v === "number" || v instanceof Uint;
const numeric = (v: unknown): bigint | number => (v instanceof Uint ? v.value : (v as bigint | number));

export function equal(a: unknown, b: unknown): boolean {
  if (isNumber(a) && isNumber(b)) {
    // biome-ignore lint/suspicious/noDoubleEquals: a BigInt and a number of the same value are equal in CEL
    return numeric(a) == numeric(b);
  }
  if (a === b) return true;
  if (a === null || b === null || typeof a !== "object" || typeof b !== "object") return false;
  if (Array.isArray(a)) return Array.isArray(b) && a.length === b.length && itemsOf(a).every((x, i) => equal(x, itemAt(b, i)));
  if (a instanceof Uint8Array) return b instanceof Uint8Array && Buffer.compare(a, b) === 0;
  if (a instanceof Timestamp) return b instanceof Timestamp && a.seconds === b.seconds && a.nanos === b.nanos;
  if (a instanceof Duration) return b instanceof Duration && a.nanos === b.nanos;
  if (a instanceof TypeValue) return b instanceof TypeValue && a.name === b.name;
  if (a instanceof Optional) return b instanceof Optional && a.present === b.present && (!a.present || equal(a.value, b.value));
  if (a instanceof StructValue)
    return (
      b instanceof StructValue &&
      a.name === b.name &&
      a.fields.size === b.fields.size &&
      [...a.fields].every(([k, v]) => b.fields.has(k) && equal(v, b.fields.get(k)))
    );
  if (a instanceof Opaque) return b instanceof Opaque && a.kind === b.kind && opaqueKey(a) === opaqueKey(b);
  if (isMap(a) && isMap(b)) {
    if (mapSize(a) !== mapSize(b)) return false;
    return mapKeys(a).every((k) => {
      const x = mapGet(a, k);
      const y = mapGet(b, k);
      return y.found && equal(x.value, y.value);
    });
  }
  return false;
}

function opaqueKey(o: Opaque): string {
  const v = o.value as any;
  if (o.kind === "quantity") return String(v.nano);
  return v.text ?? v.ip?.value?.toString() ?? String(v);
}

/** Order of two values of one type; undefined when they have none. */
export function compare(a: unknown, b: unknown): number | undefined {
  if (isNumber(a) && isNumber(b)) {
    const [x, y] = [numeric(a), numeric(b)];
    // biome-ignore lint/suspicious/noDoubleEquals: mixed numbers
    return x < y ? -1 : x > y ? 1 : x == y ? 0 : Number.NaN;
  }
  if (typeof a === "string" && typeof b === "string") return compareText(a, b);
  if (typeof a === "boolean" && typeof b === "boolean") return Number(a) - Number(b);
  if (a instanceof Uint8Array && b instanceof Uint8Array) return Buffer.compare(a, b);
  if (a instanceof Timestamp && b instanceof Timestamp) return a.seconds - b.seconds || a.nanos - b.nanos;
  if (a instanceof Duration && b instanceof Duration) return a.nanos < b.nanos ? -1 : a.nanos > b.nanos ? 1 : 0;
  return undefined;
}

/** By code point, as UTF-8 bytes order. */
function compareText(a: string, b: string): number {
  if (a === b) return 0;
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

/** The name that type() gives, and that messages print. */
export function typeName(v: unknown): string {
  if (v === null || v === undefined) return "null_type";
  if (typeof v === "boolean") return "bool";
  if (typeof v === "bigint") return "int";
  if (typeof v === "number") return "double";
  if (typeof v === "string") return "string";
  if (Array.isArray(v)) return "list";
  if (v instanceof Uint) return "uint";
  if (v instanceof Uint8Array) return "bytes";
  if (v instanceof Timestamp) return "google.protobuf.Timestamp";
  if (v instanceof Duration) return "google.protobuf.Duration";
  if (v instanceof TypeValue) return "type";
  if (v instanceof StructValue) return v.name;
  if (v instanceof Optional) return "optional_type";
  if (v instanceof Opaque) return `kubernetes.${v.kind}`;
  return "map";
}
