// cel-spec's standard functions: arithmetic with overflow checks, comparison, conversion, strings, times; RE2 for matches().
import { RE2JS } from "re2js";
import { formatDuration, parseDuration, parseTime } from "../meta/time.ts";
import type { FunctionContext, FunctionRow } from "./functions.ts";
import { NO_OVERLOAD, noOverload } from "./overload.ts";
import {
  CelRuntimeError,
  compare,
  Duration,
  equal,
  int,
  isMap,
  itemsOf,
  mapGet,
  mapSize,
  nativeList,
  Opaque,
  Timestamp,
  TypeValue,
  typeName,
  Uint,
} from "./values.ts";

/** Strings cost by length: a tenth per character, as cel-go counts traversals. */
const TRAVERSAL = 0.1;
const REGEX_CACHE_MAX = 256;
const regexes = new Map<string, RE2JS>();

export function compileRegex(pattern: string): RE2JS {
  let re = regexes.get(pattern);
  if (re === undefined) {
    try {
      re = RE2JS.compile(pattern);
    } catch (e) {
      throw new CelRuntimeError(`error parsing regexp: ${(e as Error).message}`);
    }
    if (regexes.size >= REGEX_CACHE_MAX) regexes.clear();
    regexes.set(pattern, re);
  }
  return re;
}

export function traverse(c: FunctionContext, ...texts: string[]): void {
  let n = 0;
  for (const t of texts) n += t.length;
  c.spend(Math.ceil(n * TRAVERSAL));
}

type Arithmetic = { int: (a: bigint, b: bigint) => bigint; double: ((a: number, b: number) => number) | undefined };

function arithmetic(op: Arithmetic, other?: (a: any, b: any, c: FunctionContext) => unknown): FunctionRow["call"] {
  return ([a, b], c) => {
    if (typeof a === "bigint" && typeof b === "bigint") return int(op.int(a, b));
    if (typeof a === "number" && typeof b === "number" && op.double) return op.double(a, b);
    if (a instanceof Uint && b instanceof Uint) return new Uint(op.int(a.value, b.value));
    const r = other?.(a, b, c);
    if (r === undefined) throw noOverload();
    return r;
  };
}

function divide(a: bigint, b: bigint): bigint {
  if (b === 0n) throw new CelRuntimeError("division by zero");
  return a / b;
}

function modulus(a: bigint, b: bigint): bigint {
  if (b === 0n) throw new CelRuntimeError("modulus by zero");
  return a % b;
}

const timestampOf = (nanos: bigint): Timestamp => {
  const seconds = nanos >= 0n ? nanos / 1_000_000_000n : (nanos - 999_999_999n) / 1_000_000_000n;
  if (seconds < -62135596800n || seconds > 253402300799n) throw new CelRuntimeError("timestamp overflow");
  return new Timestamp(Number(seconds), Number(nanos - seconds * 1_000_000_000n));
};
const nanosOf = (t: Timestamp): bigint => BigInt(t.seconds) * 1_000_000_000n + BigInt(t.nanos);

function plus(a: any, b: any, c: FunctionContext): unknown {
  if (typeof a === "string" && typeof b === "string") {
    traverse(c, a, b);
    return a + b;
  }
  if (Array.isArray(a) && Array.isArray(b)) {
    c.spend(Math.ceil((a.length + b.length) * TRAVERSAL));
    return nativeList([...itemsOf(a), ...itemsOf(b)]);
  }
  if (a instanceof Uint8Array && b instanceof Uint8Array) return Buffer.concat([a, b]);
  if (a instanceof Timestamp && b instanceof Duration) return timestampOf(nanosOf(a) + b.nanos);
  if (a instanceof Duration && b instanceof Timestamp) return timestampOf(nanosOf(b) + a.nanos);
  if (a instanceof Duration && b instanceof Duration) return new Duration(int(a.nanos + b.nanos));
  return undefined;
}

function minus(a: any, b: any): unknown {
  if (a instanceof Timestamp && b instanceof Timestamp) return new Duration(nanosOf(a) - nanosOf(b));
  if (a instanceof Timestamp && b instanceof Duration) return timestampOf(nanosOf(a) - b.nanos);
  if (a instanceof Duration && b instanceof Duration) return new Duration(int(a.nanos - b.nanos));
  return undefined;
}

const ORDERED = ["int", "uint", "double", "string", "bytes", "bool", "timestamp", "duration"];
const MIXED = [
  "(int,double)->bool",
  "(double,int)->bool",
  "(int,uint)->bool",
  "(uint,int)->bool",
  "(uint,double)->bool",
  "(double,uint)->bool",
];
const order = (name: string, test: (n: number) => boolean): FunctionRow => ({
  name,
  signatures: [...ORDERED.map((t) => `(${t},${t})->bool`), ...MIXED],
  call: ([a, b], c) => {
    if (typeof a === "string" && typeof b === "string") traverse(c, a.length < b.length ? a : b);
    const n = compare(a, b);
    if (n === undefined) throw noOverload();
    return test(n);
  },
});

function size(v: any): bigint {
  if (typeof v === "string") return BigInt([...v].length);
  if (Array.isArray(v) || v instanceof Uint8Array) return BigInt(v.length);
  if (isMap(v)) return BigInt(mapSize(v));
  throw noOverload();
}

/** "1h", RFC 3339, numbers: conversions refuse what does not fit. */
function toInt(v: any): bigint {
  if (typeof v === "bigint") return v;
  if (v instanceof Uint) return int(v.value);
  if (typeof v === "number") {
    if (!Number.isFinite(v) || Math.abs(v) >= 2 ** 63) throw new CelRuntimeError("integer overflow");
    return BigInt(Math.trunc(v));
  }
  if (typeof v === "string") {
    if (!/^[+-]?\d+$/.test(v)) throw new CelRuntimeError(`strconv.ParseInt: parsing ${JSON.stringify(v)}: invalid syntax`);
    return int(BigInt(v));
  }
  if (v instanceof Timestamp) return BigInt(v.seconds);
  if (v instanceof Duration) return v.nanos;
  throw noOverload();
}

function toText(v: any): string {
  if (typeof v === "string") return v;
  if (typeof v === "bigint" || typeof v === "boolean") return String(v);
  if (typeof v === "number") return Number.isFinite(v) ? String(v) : v > 0 ? "+Inf" : v < 0 ? "-Inf" : "NaN";
  if (v instanceof Uint) return String(v.value);
  if (v instanceof Uint8Array) return Buffer.from(v).toString("utf8");
  if (v instanceof Timestamp) return printTimestamp(v);
  if (v instanceof Duration) return v.nanos % 1_000_000_000n === 0n ? `${v.nanos / 1_000_000_000n}s` : formatDuration(v.nanos);
  if (v instanceof Opaque) return String((v.value as any).text ?? v.value);
  throw noOverload();
}

function printTimestamp(t: Timestamp): string {
  const base = new Date(t.seconds * 1000).toISOString().slice(0, 19);
  return t.nanos === 0 ? `${base}Z` : `${base}.${String(t.nanos).padStart(9, "0").replace(/0+$/, "")}Z`;
}

function fields(t: Timestamp, zone: string | undefined): { date: Date; parts: Record<string, number> } {
  let offsetMinutes = 0;
  if (zone !== undefined && zone !== "UTC") {
    const m = /^([+-]?)(\d\d):(\d\d)$/.exec(zone);
    if (m) offsetMinutes = (m[1] === "-" ? -1 : 1) * (Number(m[2]) * 60 + Number(m[3]));
    else offsetMinutes = zoneOffset(t, zone);
  }
  const date = new Date((t.seconds + offsetMinutes * 60) * 1000);
  return { date, parts: {} };
}

function zoneOffset(t: Timestamp, zone: string): number {
  let text: string;
  try {
    text = new Intl.DateTimeFormat("en-US", { timeZone: zone, timeZoneName: "longOffset" }).format(new Date(t.seconds * 1000));
  } catch {
    throw new CelRuntimeError(`unknown time zone ${zone}`);
  }
  const m = /GMT(?:([+-])(\d\d):(\d\d))?/.exec(text);
  return m?.[1] === undefined ? 0 : (m[1] === "-" ? -1 : 1) * (Number(m[2]) * 60 + Number(m[3]));
}

const DAY_MS = 86_400_000;
function timeField(name: string, of: (d: Date, t: Timestamp) => number, duration?: (n: bigint) => bigint): FunctionRow {
  return {
    name,
    signatures: ["timestamp.()->int", "timestamp.(string)->int", ...(duration ? ["duration.()->int"] : [])],
    call: ([v, zone]) => {
      if (v instanceof Timestamp) return BigInt(of(fields(v, zone).date, v));
      if (v instanceof Duration && duration) return duration(v.nanos);
      throw noOverload();
    },
  };
}

function dayOfYear(d: Date): number {
  return Math.floor((d.getTime() - Date.UTC(d.getUTCFullYear(), 0, 1)) / DAY_MS);
}

export const STANDARD: readonly FunctionRow[] = [
  {
    name: "_+_",
    signatures: [
      "(int,int)->int",
      "(uint,uint)->uint",
      "(double,double)->double",
      "(string,string)->string",
      "(bytes,bytes)->bytes",
      "(list($A),list($A))->list($A)",
      "(timestamp,duration)->timestamp",
      "(duration,timestamp)->timestamp",
      "(duration,duration)->duration",
    ],
    call: arithmetic({ int: (a, b) => a + b, double: (a, b) => a + b }, plus),
  },
  {
    name: "_-_",
    signatures: [
      "(int,int)->int",
      "(uint,uint)->uint",
      "(double,double)->double",
      "(timestamp,timestamp)->duration",
      "(timestamp,duration)->timestamp",
      "(duration,duration)->duration",
    ],
    call: arithmetic({ int: (a, b) => a - b, double: (a, b) => a - b }, minus),
  },
  {
    name: "_*_",
    signatures: ["(int,int)->int", "(uint,uint)->uint", "(double,double)->double"],
    call: arithmetic({ int: (a, b) => a * b, double: (a, b) => a * b }),
  },
  {
    name: "_/_",
    signatures: ["(int,int)->int", "(uint,uint)->uint", "(double,double)->double"],
    call: arithmetic({ int: divide, double: (a, b) => a / b }),
  },
  { name: "_%_", signatures: ["(int,int)->int", "(uint,uint)->uint"], call: arithmetic({ int: modulus, double: undefined }) },
  {
    name: "-_",
    signatures: ["(int)->int", "(double)->double"],
    call: ([a]) => {
      if (typeof a === "bigint") return int(-a);
      if (typeof a === "number") return -a;
      throw noOverload();
    },
  },
  {
    name: "!_",
    signatures: ["(bool)->bool"],
    call: ([a]) => {
      if (typeof a !== "boolean") throw noOverload();
      return !a;
    },
  },
  { name: "_==_", signatures: ["($A,$A)->bool"], call: ([a, b]) => equal(a, b) },
  { name: "_!=_", signatures: ["($A,$A)->bool"], call: ([a, b]) => !equal(a, b) },
  order("_<_", (n) => n < 0),
  order("_<=_", (n) => n <= 0),
  order("_>_", (n) => n > 0),
  order("_>=_", (n) => n >= 0),
  {
    name: "@in",
    signatures: ["($A,list($A))->bool", "($A,map($A,$B))->bool"],
    call: ([x, set], c) => {
      if (Array.isArray(set)) {
        c.spend(set.length);
        return itemsOf(set).some((y) => equal(x, y));
      }
      if (isMap(set)) return mapGet(set, x).found;
      throw noOverload();
    },
  },
  {
    name: "size",
    signatures: [
      "(string)->int",
      "(bytes)->int",
      "(list($A))->int",
      "(map($A,$B))->int",
      "string.()->int",
      "bytes.()->int",
      "list($A).()->int",
      "map($A,$B).()->int",
    ],
    call: ([v]) => size(v),
  },
  text2("contains", (s, t) => s.includes(t)),
  text2("startsWith", (s, t) => s.startsWith(t)),
  text2("endsWith", (s, t) => s.endsWith(t)),
  {
    name: "matches",
    signatures: ["string.(string)->bool", "(string,string)->bool"],
    call: ([s, pattern], c) => {
      if (typeof s !== "string" || typeof pattern !== "string") throw noOverload();
      c.spend(Math.ceil((s.length + 1) * TRAVERSAL) * Math.ceil(pattern.length / 4));
      return compileRegex(pattern).matcher(s).find();
    },
  },
  {
    name: "int",
    signatures: ["(int)->int", "(uint)->int", "(double)->int", "(string)->int", "(timestamp)->int", "(duration)->int"],
    call: ([v]) => toInt(v),
  },
  {
    name: "uint",
    signatures: ["(int)->uint", "(uint)->uint", "(double)->uint", "(string)->uint"],
    call: ([v]) => (v instanceof Uint ? v : new Uint(typeof v === "string" ? BigInt(/^\d+$/.test(v) ? v : "-1") : toInt(v))),
  },
  {
    name: "double",
    signatures: ["(int)->double", "(uint)->double", "(double)->double", "(string)->double"],
    call: ([v]) => {
      if (typeof v === "string") {
        const n = Number(v);
        if (v.trim() === "" || Number.isNaN(n))
          throw new CelRuntimeError(`strconv.ParseFloat: parsing ${JSON.stringify(v)}: invalid syntax`);
        return n;
      }
      return typeof v === "number" ? v : Number(toInt(v));
    },
  },
  {
    name: "string",
    signatures: [
      "(string)->string",
      "(int)->string",
      "(uint)->string",
      "(double)->string",
      "(bool)->string",
      "(bytes)->string",
      "(timestamp)->string",
      "(duration)->string",
      "(ip)->string",
      "(cidr)->string",
    ],
    call: ([v]) => toText(v),
  },
  {
    name: "bytes",
    signatures: ["(string)->bytes", "(bytes)->bytes"],
    call: ([v]) => (v instanceof Uint8Array ? v : Buffer.from(toText(v), "utf8")),
  },
  {
    name: "bool",
    signatures: ["(bool)->bool", "(string)->bool"],
    call: ([v]) => {
      if (typeof v === "boolean") return v;
      if (["1", "t", "T", "true", "TRUE", "True"].includes(v)) return true;
      if (["0", "f", "F", "false", "FALSE", "False"].includes(v)) return false;
      throw new CelRuntimeError(`strconv.ParseBool: parsing ${JSON.stringify(v)}: invalid syntax`);
    },
  },
  { name: "dyn", signatures: ["($A)->dyn"], call: ([v]) => v },
  { name: "type", signatures: ["($A)->type"], call: ([v]) => new TypeValue(typeName(v)) },
  {
    name: "timestamp",
    signatures: ["(string)->timestamp", "(int)->timestamp", "(timestamp)->timestamp"],
    call: ([v]) => {
      if (v instanceof Timestamp) return v;
      if (typeof v === "bigint") return new Timestamp(Number(v), 0);
      try {
        const t = parseTime(v);
        return new Timestamp(t.seconds, t.nanos);
      } catch (e) {
        throw new CelRuntimeError((e as Error).message, { cause: e });
      }
    },
  },
  {
    name: "duration",
    signatures: ["(string)->duration", "(int)->duration", "(duration)->duration"],
    call: ([v]) => {
      if (v instanceof Duration) return v;
      if (typeof v === "bigint") return new Duration(v);
      try {
        return new Duration(parseDuration(v));
      } catch (e) {
        throw new CelRuntimeError((e as Error).message, { cause: e });
      }
    },
  },
  timeField("getFullYear", (d) => d.getUTCFullYear()),
  timeField("getMonth", (d) => d.getUTCMonth()),
  timeField("getDate", (d) => d.getUTCDate()),
  timeField("getDayOfMonth", (d) => d.getUTCDate() - 1),
  timeField("getDayOfWeek", (d) => d.getUTCDay()),
  timeField("getDayOfYear", dayOfYear),
  timeField(
    "getHours",
    (d) => d.getUTCHours(),
    (n) => n / 3_600_000_000_000n,
  ),
  timeField(
    "getMinutes",
    (d) => d.getUTCMinutes(),
    (n) => n / 60_000_000_000n,
  ),
  timeField(
    "getSeconds",
    (d) => d.getUTCSeconds(),
    (n) => n / 1_000_000_000n,
  ),
  timeField(
    "getMilliseconds",
    (_, t) => Math.floor(t.nanos / 1e6),
    (n) => (n % 1_000_000_000n) / 1_000_000n,
  ),
];

function text2(name: string, test: (s: string, t: string) => boolean): FunctionRow {
  return {
    name,
    signatures: ["string.(string)->bool"],
    call: ([s, t], c) => {
      if (typeof s !== "string" || typeof t !== "string") return NO_OVERLOAD;
      traverse(c, s);
      return test(s, t);
    },
  };
}
