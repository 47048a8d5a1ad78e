// Kubernetes' CEL library (apiserver/pkg/cel/library, 1.34): lists, regex, URLs, quantities, addresses, formats, strings,
// sets, optionals, versions, base64, math.
import { cidrContains, parseCidr, parseIp } from "../meta/addresses.ts";
import { isCIdentifier, isDns1035Label, isDns1123Label, isDns1123Subdomain, isLabelValue, isQualifiedName } from "../meta/names.ts";
import { parseQuantity, Quantity } from "../meta/quantity.ts";
import type { FunctionContext, FunctionRow } from "./functions.ts";
import { compileRegex, traverse } from "./functions-standard.ts";
import { noOverload } from "./overload.ts";
import {
  adapt,
  CelRuntimeError,
  compare,
  Duration,
  equal,
  int,
  isMap,
  itemsOf,
  mapSize,
  NONE,
  nativeList,
  Opaque,
  Optional,
  Timestamp,
  Uint,
} from "./values.ts";

type Call = FunctionRow["call"];
const row = (name: string, signatures: string | string[], call: Call): FunctionRow => ({
  name,
  signatures: typeof signatures === "string" ? [signatures] : signatures,
  call,
});
const fail = (message: string): never => {
  throw new CelRuntimeError(message);
};

const values = (l: any): unknown[] => (Array.isArray(l) ? itemsOf(l) : fail("no such overload"));
const spendList = (l: any, c: FunctionContext): void => c.spend(Array.isArray(l) ? l.length : 1);

function extreme(l: any, want: number, name: string): unknown {
  const v = values(l);
  if (v.length === 0) return fail(`${name} called on empty list`);
  return v.reduce((a, b) => (Math.sign(compare(b, a) ?? fail("no such overload")) === want ? b : a));
}

function sum(l: any): unknown {
  const v = values(l);
  if (v.length === 0) return 0n;
  return v.reduce((a: any, b: any) => {
    if (typeof a === "bigint" && typeof b === "bigint") return int(a + b);
    if (typeof a === "number" && typeof b === "number") return a + b;
    if (a instanceof Uint && b instanceof Uint) return new Uint(a.value + b.value);
    if (a instanceof Duration && b instanceof Duration) return new Duration(a.nanos + b.nanos);
    throw noOverload();
  });
}

const LISTS: FunctionRow[] = [
  row("isSorted", "list($T).()->bool", ([l], c) => {
    spendList(l, c);
    return values(l).every((x, i, a) => i === 0 || (compare(a[i - 1], x) ?? fail("no such overload")) <= 0);
  }),
  row("sum", "list($T).()->$T", ([l], c) => {
    spendList(l, c);
    return sum(l);
  }),
  row("min", "list($T).()->$T", ([l], c) => {
    spendList(l, c);
    return extreme(l, -1, "min");
  }),
  row("max", "list($T).()->$T", ([l], c) => {
    spendList(l, c);
    return extreme(l, 1, "max");
  }),
  row("indexOf", ["list($T).($T)->int", "string.(string)->int", "string.(string,int)->int"], ([l, x, from], c) => {
    if (typeof l === "string") return BigInt([...l].join("\0") === "" && x === "" ? 0 : charIndex(l, x, Number(from ?? 0n)));
    spendList(l, c);
    return BigInt(values(l).findIndex((y) => equal(x, y)));
  }),
  row("lastIndexOf", ["list($T).($T)->int", "string.(string)->int", "string.(string,int)->int"], ([l, x, from], c) => {
    if (typeof l === "string") return BigInt(charLastIndex(l, x, from === undefined ? undefined : Number(from)));
    spendList(l, c);
    return BigInt(values(l).findLastIndex((y) => equal(x, y)));
  }),
  row("flatten", ["list($T).()->list(dyn)", "list($T).(int)->list(dyn)"], ([l, depth], c) => {
    spendList(l, c);
    return nativeList([...itemsOf(l)].flat(Number(depth ?? 1n)));
  }),
  row("distinct", "list($T).()->list($T)", ([l], c) => {
    c.spend((l as unknown[]).length ** 2);
    return nativeList([...values(l)].filter((x, i, a) => a.findIndex((y) => equal(x, y)) === i));
  }),
  row("slice", "list($T).(int,int)->list($T)", ([l, a, b]) => nativeList([...values(l)].slice(Number(a), Number(b)))),
  row("sort", "list($T).()->list($T)", ([l], c) => {
    spendList(l, c);
    return nativeList([...values(l)].sort((a, b) => compare(a, b) ?? fail("no such overload")));
  }),
  row("reverse", ["list($T).()->list($T)", "string.()->string"], ([l]) =>
    typeof l === "string" ? [...l].reverse().join("") : [...l].reverse(),
  ),
  row("first", "list($T).()->optional_type($T)", ([l]) => (l.length > 0 ? new Optional(true, adapt(l[0])) : NONE)),
  row("last", "list($T).()->optional_type($T)", ([l]) => (l.length > 0 ? new Optional(true, adapt(l.at(-1))) : NONE)),
];

function charIndex(s: string, x: string, from: number): number {
  const chars = [...s];
  const sub = [...x];
  for (let i = from; i + sub.length <= chars.length; i++) if (sub.every((ch, j) => chars[i + j] === ch)) return i;
  return -1;
}

function charLastIndex(s: string, x: string, from: number | undefined): number {
  const chars = [...s];
  const sub = [...x];
  for (let i = Math.min(from ?? chars.length, chars.length - sub.length); i >= 0; i--)
    if (sub.every((ch, j) => chars[i + j] === ch)) return i;
  return -1;
}

const REGEX: FunctionRow[] = [
  row("find", "string.(string)->string", ([s, p], c) => {
    traverse(c, s, p);
    const m = compileRegex(p).matcher(s);
    return m.find() ? m.group() : "";
  }),
  row("findAll", ["string.(string)->list(string)", "string.(string,int)->list(string)"], ([s, p, limit], c) => {
    traverse(c, s, p);
    const m = compileRegex(p).matcher(s);
    const out: string[] = [];
    const max = limit === undefined || limit < 0n ? Number.POSITIVE_INFINITY : Number(limit);
    while (out.length < max && m.find()) out.push(m.group() as string);
    return out;
  }),
];

function parseUrl(text: string): URL | undefined {
  if (!/^([a-zA-Z][a-zA-Z0-9+.-]*:|\/)/.test(text) || /[\s\\]/.test(text)) return undefined;
  try {
    return text.startsWith("/") ? new URL(text, "http://localhost") : new URL(text);
  } catch {
    return undefined;
  }
}

const urlOf = (v: any): { text: string; url: URL } =>
  v instanceof Opaque && v.kind === "URL" ? (v.value as any) : fail("no such overload");
const isPath = (u: { text: string }): boolean => u.text.startsWith("/");
const URLS: FunctionRow[] = [
  row("url", "(string)->URL", ([s]) => {
    const u = parseUrl(s);
    return u === undefined
      ? fail(`URL parse error during conversion from string: parse ${JSON.stringify(s)}: invalid URI for request`)
      : new Opaque("URL", { text: s, url: u });
  }),
  row("isURL", "(string)->bool", ([s]) => parseUrl(s) !== undefined),
  row("getScheme", "URL.()->string", ([u]) => (isPath(urlOf(u)) ? "" : urlOf(u).url.protocol.slice(0, -1))),
  row("getHost", "URL.()->string", ([u]) => (isPath(urlOf(u)) ? "" : hostOf(urlOf(u).text))),
  row("getHostname", "URL.()->string", ([u]) =>
    isPath(urlOf(u))
      ? ""
      : hostOf(urlOf(u).text)
          .replace(/:\d+$/, "")
          .replace(/^\[|\]$/g, ""),
  ),
  row("getPort", "URL.()->string", ([u]) => /:(\d+)$/.exec(isPath(urlOf(u)) ? "" : hostOf(urlOf(u).text))?.[1] ?? ""),
  row("getEscapedPath", "URL.()->string", ([u]) => {
    const path = urlOf(u).url.pathname;
    return path === "/" && !/[^/]\/(\?|#|$)/.test(urlOf(u).text) ? "" : path;
  }),
  row("getQuery", "URL.()->map(string,list(string))", ([u]) => {
    const out: Record<string, string[]> = {};
    for (const [k, v] of urlOf(u).url.searchParams) (out[k] ??= []).push(v);
    return out;
  }),
];

function hostOf(text: string): string {
  const m = /^[a-zA-Z][a-zA-Z0-9+.-]*:\/\/(?:[^@/?#]*@)?([^/?#]*)/.exec(text);
  return m?.[1] ?? "";
}

const quantity = (v: any): Quantity => (v instanceof Opaque && v.kind === "quantity" ? (v.value as Quantity) : fail("no such overload"));
const wrap = (q: Quantity): Opaque => new Opaque("quantity", q);
const asQuantity = (v: any): Quantity => (typeof v === "bigint" ? Quantity.fromInt(v) : quantity(v));
function readQuantity(s: string): Quantity {
  try {
    return parseQuantity(s);
  } catch (e) {
    throw new CelRuntimeError((e as Error).message, { cause: e });
  }
}
const attempt = (f: () => unknown): boolean => {
  try {
    f();
    return true;
  } catch {
    return false;
  }
};
const NANO = 1_000_000_000n;

const QUANTITIES: FunctionRow[] = [
  row("quantity", "(string)->quantity", ([s]) => wrap(readQuantity(s))),
  row("isQuantity", "(string)->bool", ([s]) => attempt(() => parseQuantity(s))),
  row("sign", "quantity.()->int", ([q]) => BigInt(quantity(q).sign())),
  row("isInteger", "quantity.()->bool", ([q]) => quantity(q).nano % NANO === 0n && attempt(() => int(quantity(q).nano / NANO))),
  row("asInteger", "quantity.()->int", ([q]) =>
    quantity(q).nano % NANO === 0n ? int(quantity(q).nano / NANO) : fail("cannot convert value to integer"),
  ),
  row("asApproximateFloat", "quantity.()->double", ([q]) => quantity(q).toNumber()),
  row("add", ["quantity.(quantity)->quantity", "quantity.(int)->quantity"], ([a, b]) => wrap(quantity(a).add(asQuantity(b)))),
  row("sub", ["quantity.(quantity)->quantity", "quantity.(int)->quantity"], ([a, b]) => wrap(quantity(a).sub(asQuantity(b)))),
  row("isLessThan", ["quantity.(quantity)->bool", "semver.(semver)->bool"], ([a, b]) => comparable(a, b) < 0),
  row("isGreaterThan", ["quantity.(quantity)->bool", "semver.(semver)->bool"], ([a, b]) => comparable(a, b) > 0),
  row("compareTo", ["quantity.(quantity)->int", "semver.(semver)->int"], ([a, b]) => BigInt(comparable(a, b))),
];

function comparable(a: any, b: any): number {
  if (a instanceof Opaque && a.kind === "semver") return compareVersions(versionOf(a), versionOf(b));
  return quantity(a).cmp(quantity(b));
}

const ipOf = (v: any): { text: string; ip: NonNullable<ReturnType<typeof parseIp>> } =>
  v instanceof Opaque && v.kind === "ip" ? (v.value as any) : fail("no such overload");
const cidrOf = (v: any): { text: string; cidr: NonNullable<ReturnType<typeof parseCidr>> } =>
  v instanceof Opaque && v.kind === "cidr" ? (v.value as any) : fail("no such overload");
const makeIp = (s: string): Opaque => {
  const ip = parseIp(s);
  return ip === undefined
    ? fail(`IP Address ${JSON.stringify(s)} parse error during conversion from string: invalid`)
    : new Opaque("ip", { text: s, ip });
};
const makeCidr = (s: string): Opaque => {
  const cidr = parseCidr(s);
  return cidr === undefined
    ? fail(`CIDR ${JSON.stringify(s)} parse error during conversion from string: network address parse error`)
    : new Opaque("cidr", { text: s, cidr });
};
const within = (text: string): Call => {
  const ranges = text.split(" ").map((r) => parseCidr(r)!);
  return ([v]) => ranges.some((r) => cidrContains(r, ipOf(v).ip));
};
const canonicalIp = (s: string): string => {
  try {
    return s.includes(":") ? new URL(`http://[${s}]`).hostname.slice(1, -1) : s;
  } catch {
    return "";
  }
};

const ADDRESSES: FunctionRow[] = [
  row("ip", ["(string)->ip", "cidr.()->ip"], ([v]) => (v instanceof Opaque ? makeIp(cidrOf(v).text.split("/")[0]!) : makeIp(v))),
  row(
    "isIP",
    ["(string)->bool", "(string,int)->bool"],
    ([s, family]) => parseIp(s) !== undefined && (family === undefined || BigInt(parseIp(s)!.family) === family),
  ),
  row("ip.isCanonical", "(string)->bool", ([s]) =>
    parseIp(s) ? canonicalIp(s) === s : fail(`IP Address ${JSON.stringify(s)} parse error`),
  ),
  row("family", "ip.()->int", ([v]) => BigInt(ipOf(v).ip.family)),
  row("isUnspecified", "ip.()->bool", ([v]) => ipOf(v).ip.value === 0n),
  row("isLoopback", "ip.()->bool", within("127.0.0.0/8 ::1/128")),
  row("isLinkLocalMulticast", "ip.()->bool", within("224.0.0.0/24 ff02::/16")),
  row("isLinkLocalUnicast", "ip.()->bool", within("169.254.0.0/16 fe80::/10")),
  row(
    "isGlobalUnicast",
    "ip.()->bool",
    ([v], c) =>
      ipOf(v).ip.value !== 0n && !within("127.0.0.0/8 ::1/128 224.0.0.0/4 ff00::/8 169.254.0.0/16 fe80::/10 255.255.255.255/32")([v], c),
  ),
  row("cidr", "(string)->cidr", ([s]) => makeCidr(s)),
  row("isCIDR", "(string)->bool", ([s]) => parseCidr(s) !== undefined),
  row("containsIP", ["cidr.(ip)->bool", "cidr.(string)->bool"], ([c, v]) =>
    cidrContains(cidrOf(c).cidr, ipOf(typeof v === "string" ? makeIp(v) : v).ip),
  ),
  row("containsCIDR", ["cidr.(cidr)->bool", "cidr.(string)->bool"], ([c, v]) => {
    const inner = cidrOf(typeof v === "string" ? makeCidr(v) : v).cidr;
    return inner.bits >= cidrOf(c).cidr.bits && cidrContains(cidrOf(c).cidr, inner);
  }),
  row("masked", "cidr.()->cidr", ([c]) => {
    const { cidr } = cidrOf(c);
    return makeCidr(`${printIp(cidr.value, cidr.family)}/${cidr.bits}`);
  }),
  row("prefixLength", "cidr.()->int", ([c]) => BigInt(cidrOf(c).cidr.bits)),
];

function printIp(value: bigint, family: 4 | 6): string {
  if (family === 4) return [24n, 16n, 8n, 0n].map((s) => (value >> s) & 255n).join(".");
  const groups = Array.from({ length: 8 }, (_, i) => ((value >> BigInt(112 - i * 16)) & 0xffffn).toString(16));
  return canonicalIp(groups.join(":"));
}

const formats: Record<string, (s: string) => string[]> = {
  dns1123Label: isDns1123Label,
  dns1123Subdomain: isDns1123Subdomain,
  dns1035Label: isDns1035Label,
  qualifiedName: isQualifiedName,
  dns1123LabelPrefix: (s) => isDns1123Label(s.replace(/-$/, "a")),
  dns1123SubdomainPrefix: (s) => isDns1123Subdomain(s.replace(/-$/, "a")),
  dns1035LabelPrefix: (s) => isDns1035Label(s.replace(/-$/, "a")),
  labelValue: isLabelValue,
  cIdentifier: isCIdentifier,
  uri: (s) => (parseUrl(s) ? [] : ["invalid URI"]),
  uuid: (s) => (/^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i.test(s) ? [] : ["does not match the UUID format"]),
  byte: (s) => (/^[A-Za-z0-9+/]*={0,2}$/.test(s) && s.length % 4 === 0 ? [] : ["invalid base64"]),
  date: (s) => (/^\d{4}-\d\d-\d\d$/.test(s) && !Number.isNaN(Date.parse(s)) ? [] : ["invalid date"]),
  datetime: (s) => (/^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d/.test(s) && !Number.isNaN(Date.parse(s)) ? [] : ["invalid datetime"]),
};

const FORMATS: FunctionRow[] = [
  row("format.named", "(string)->optional_type(format)", ([n]) =>
    Object.hasOwn(formats, n) ? new Optional(true, new Opaque("format", n)) : NONE,
  ),
  row("validate", "format.(string)->optional_type(list(string))", ([f, s]) => {
    const errors = formats[(f as Opaque<string>).value]!(s);
    return errors.length === 0 ? NONE : new Optional(true, errors);
  }),
  ...Object.keys(formats).map((n) => row(`format.${n}`, "()->format", () => new Opaque("format", n))),
];

/** %s, %d, %f, %e, %x, %X, %b, %o of the strings extension. */
function format(text: string, args: unknown[]): string {
  let next = 0;
  return text.replace(/%(?:(%)|\.?(\d+)?([sdfexXbo]))/g, (_, percent, precision, verb) => {
    if (percent) return "%";
    if (next >= args.length) fail(`index ${next} out of range`);
    const v = adapt(args[next++]);
    const n = v instanceof Uint ? v.value : v;
    switch (verb) {
      case "d":
        return String(n);
      case "f":
        return Number(n).toFixed(precision === undefined ? 6 : Number(precision));
      case "e":
        return Number(n)
          .toExponential(precision === undefined ? 6 : Number(precision))
          .replace(/e([+-])(\d)$/, "e$10$2");
      case "x":
      case "X": {
        const h = typeof n === "bigint" ? n.toString(16) : Buffer.from(n as any).toString("hex");
        return verb === "X" ? h.toUpperCase() : h;
      }
      case "b":
        return typeof n === "boolean" ? (n ? "1" : "0") : BigInt(n as bigint).toString(2);
      case "o":
        return BigInt(n as bigint).toString(8);
      default:
        return printValue(v);
    }
  });
}

function printValue(v: unknown): string {
  if (v === null) return "null";
  if (Array.isArray(v)) return `[${v.map((x) => (typeof x === "string" ? JSON.stringify(x) : printValue(adapt(x)))).join(", ")}]`;
  if (v instanceof Uint) return String(v.value);
  if (v instanceof Timestamp) return new Date(v.seconds * 1000).toISOString().replace(".000", "");
  if (v instanceof Duration) return `${Number(v.nanos) / 1e9}s`;
  if (isMap(v)) {
    const entries = v instanceof Map ? [...v.entries()] : Object.entries(v);
    return `{${entries.map(([k, x]) => `${typeof k === "string" ? JSON.stringify(k) : String(k)}:${typeof x === "string" ? JSON.stringify(x) : printValue(adapt(x))}`).join(", ")}}`;
  }
  return String(v);
}

const chars = (s: any): string[] => (typeof s === "string" ? [...s] : fail("no such overload"));
const STRINGS: FunctionRow[] = [
  row("charAt", "string.(int)->string", ([s, i]) =>
    i < 0n || i > BigInt(chars(s).length) ? fail(`index out of range: ${i}`) : (chars(s)[Number(i)] ?? ""),
  ),
  row("join", ["list(string).()->string", "list(string).(string)->string"], ([l, sep], c) => {
    spendList(l, c);
    return l.join(sep ?? "");
  }),
  row("lowerAscii", "string.()->string", ([s]) => s.replace(/[A-Z]/g, (x: string) => x.toLowerCase())),
  row("upperAscii", "string.()->string", ([s]) => s.replace(/[a-z]/g, (x: string) => x.toUpperCase())),
  row("replace", ["string.(string,string)->string", "string.(string,string,int)->string"], ([s, a, b, n], c) => {
    traverse(c, s);
    if (n === undefined || n < 0n) return s.split(a).join(b);
    let out = s;
    let from = 0;
    for (let i = 0; i < Number(n); i++) {
      const at = out.indexOf(a, from);
      if (at < 0) break;
      out = out.slice(0, at) + b + out.slice(at + a.length);
      from = at + b.length;
    }
    return out;
  }),
  row("split", ["string.(string)->list(string)", "string.(string,int)->list(string)"], ([s, sep, n], c) => {
    traverse(c, s);
    const parts: string[] = sep === "" ? chars(s) : s.split(sep);
    if (n === undefined || n < 0n) return parts;
    if (n === 0n) return [];
    const max = Number(n);
    return parts.length <= max ? parts : [...parts.slice(0, max - 1), parts.slice(max - 1).join(sep)];
  }),
  row("substring", ["string.(int)->string", "string.(int,int)->string"], ([s, a, b]) => {
    const cs = chars(s);
    const end = b ?? BigInt(cs.length);
    if (a < 0n || end > BigInt(cs.length) || a > end) return fail(`index out of range: ${a}`);
    return cs.slice(Number(a), Number(end)).join("");
  }),
  row("trim", "string.()->string", ([s]) => s.trim()),
  row("format", "string.(list(dyn))->string", ([s, args], c) => {
    spendList(args, c);
    return format(s, args);
  }),
  row("strings.quote", "(string)->string", ([s]) => JSON.stringify(s)),
  row("base64.encode", "(bytes)->string", ([b]) => Buffer.from(b).toString("base64")),
  row("base64.decode", "(string)->bytes", ([s]) => Buffer.from(s, "base64")),
];

const pairCost = (a: any, b: any, c: FunctionContext): void => c.spend(Math.max(1, a.length * b.length));
const hasAll = (a: unknown[], b: unknown[]): boolean => b.every((x) => a.some((y) => equal(adapt(x), adapt(y))));
const SETS: FunctionRow[] = [
  row("jsonpatch.escapeKey", "(string)->string", ([s], c) => {
    traverse(c, s);
    return s.replaceAll("~", "~0").replaceAll("/", "~1");
  }),
  row("sets.contains", "(list($T),list($T))->bool", ([a, b], c) => {
    pairCost(a, b, c);
    return hasAll(a, b);
  }),
  row("sets.equivalent", "(list($T),list($T))->bool", ([a, b], c) => {
    pairCost(a, b, c);
    return hasAll(a, b) && hasAll(b, a);
  }),
  row("sets.intersects", "(list($T),list($T))->bool", ([a, b], c) => {
    pairCost(a, b, c);
    return (b as unknown[]).some((x) => (a as unknown[]).some((y) => equal(adapt(x), adapt(y))));
  }),
];

const isZero = (v: unknown): boolean =>
  v === null || v === false || v === 0n || v === 0 || v === "" || (Array.isArray(v) && v.length === 0) || (isMap(v) && mapSize(v) === 0);
const optional = (v: any): Optional => (v instanceof Optional ? v : fail("no such overload"));
const OPTIONALS: FunctionRow[] = [
  row("optional.of", "($T)->optional_type($T)", ([v]) => new Optional(true, v)),
  row("optional.none", "()->optional_type(dyn)", () => NONE),
  row("optional.ofNonZeroValue", "($T)->optional_type($T)", ([v]) => (isZero(v) ? NONE : new Optional(true, v))),
  row("hasValue", "optional_type($T).()->bool", ([o]) => optional(o).present),
  row("value", "optional_type($T).()->$T", ([o]) => (optional(o).present ? o.value : fail("optional.none() dereference"))),
  row("or", "optional_type($T).(optional_type($T))->optional_type($T)", ([a, b]) => (optional(a).present ? a : b)),
  row("orValue", "optional_type($T).($T)->$T", ([a, b]) => (optional(a).present ? a.value : b)),
];

interface Version {
  text: string;
  parts: [bigint, bigint, bigint];
  pre: string[];
}
const SEMVER = /^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?$/;
function parseVersion(s: string, normalize = false): Version | undefined {
  let text = s;
  if (normalize) {
    text = text.replace(/^v/, "").replace(/(^|\.)0+(\d)/g, "$1$2");
    while (/^\d+(\.\d+)?$/.test(text)) text += ".0";
  }
  const m = SEMVER.exec(text);
  return m === null ? undefined : { text, parts: [BigInt(m[1]!), BigInt(m[2]!), BigInt(m[3]!)], pre: m[4] ? m[4].split(".") : [] };
}
const versionOf = (v: any): Version => (v instanceof Opaque && v.kind === "semver" ? (v.value as Version) : fail("no such overload"));
function compareVersions(a: Version, b: Version): number {
  for (let i = 0; i < 3; i++) if (a.parts[i] !== b.parts[i]) return a.parts[i]! < b.parts[i]! ? -1 : 1;
  if (a.pre.length === 0 || b.pre.length === 0) return a.pre.length === b.pre.length ? 0 : a.pre.length === 0 ? 1 : -1;
  for (let i = 0; i < Math.max(a.pre.length, b.pre.length); i++) {
    const x = a.pre[i];
    const y = b.pre[i];
    if (x === undefined || y === undefined) return x === undefined ? -1 : 1;
    if (x === y) continue;
    const nx = /^\d+$/.test(x);
    const ny = /^\d+$/.test(y);
    if (nx && ny) return BigInt(x) < BigInt(y) ? -1 : 1;
    if (nx !== ny) return nx ? -1 : 1;
    return x < y ? -1 : 1;
  }
  return 0;
}
const VERSIONS: FunctionRow[] = [
  row("semver", ["(string)->semver", "(string,bool)->semver"], ([s, n]) => {
    const v = parseVersion(s, n === true);
    return v === undefined ? fail("No Major.Minor.Patch elements found") : new Opaque("semver", v);
  }),
  row("isSemver", ["(string)->bool", "(string,bool)->bool"], ([s, n]) => parseVersion(s, n === true) !== undefined),
  row("major", "semver.()->int", ([v]) => versionOf(v).parts[0]),
  row("minor", "semver.()->int", ([v]) => versionOf(v).parts[1]),
  row("patch", "semver.()->int", ([v]) => versionOf(v).parts[2]),
];

const NUMBERS = ["int", "double", "uint"];
const MATH: FunctionRow[] = [
  row("math.greatest", [...NUMBERS.map((t) => `(${t})->${t}`), "(dyn,dyn)->dyn", "(dyn,dyn,dyn)->dyn", "(list($T))->$T"], (args) =>
    extreme(Array.isArray(args[0]) ? args[0] : args, 1, "math.@max"),
  ),
  row("math.least", [...NUMBERS.map((t) => `(${t})->${t}`), "(dyn,dyn)->dyn", "(dyn,dyn,dyn)->dyn", "(list($T))->$T"], (args) =>
    extreme(Array.isArray(args[0]) ? args[0] : args, -1, "math.@min"),
  ),
  row(
    "math.abs",
    NUMBERS.map((t) => `(${t})->${t}`),
    ([v]) => (typeof v === "bigint" ? (v < 0n ? int(-v) : v) : typeof v === "number" ? Math.abs(v) : v),
  ),
  row("math.ceil", "(double)->double", ([v]) => Math.ceil(v)),
  row("math.floor", "(double)->double", ([v]) => Math.floor(v)),
  row("math.round", "(double)->double", ([v]) => Math.sign(v) * Math.round(Math.abs(v))),
];

export const EXTENSIONS: readonly FunctionRow[] = [
  ...LISTS,
  ...REGEX,
  ...URLS,
  ...QUANTITIES,
  ...ADDRESSES,
  ...FORMATS,
  ...STRINGS,
  ...SETS,
  ...OPTIONALS,
  ...VERSIONS,
  ...MATH,
];
