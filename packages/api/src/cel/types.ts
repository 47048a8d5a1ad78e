// Types of CEL expressions. dyn fits everything; a "param" is a type variable of an overload.
// Specification: cel-spec, and the Kubernetes library's opaque types.

export interface CelType {
  readonly kind: string;
  /** Element of a list or optional, value of a map. */
  readonly element?: CelType | undefined;
  /** Key of a map. */
  readonly key?: CelType | undefined;
  /** Fields of an object type. */
  readonly fields?: ReadonlyMap<string, CelType> | undefined;
  /** Name of an object type. */
  readonly name?: string | undefined;
  /** Methods of a host type, by name; their results by name of another host type or a type's text. */
  readonly methods?: ReadonlyMap<string, HostMethod> | undefined;
}

export interface HostMethod {
  readonly args: readonly CelType[];
  readonly result: () => CelType;
}

const make = (kind: string): CelType => ({ kind });
export const DYN = make("dyn");
export const BOOL = make("bool");
export const INT = make("int");
export const UINT = make("uint");
export const DOUBLE = make("double");
export const STRING = make("string");
export const BYTES = make("bytes");
export const NULL = make("null_type");
export const TIMESTAMP = make("timestamp");
export const DURATION = make("duration");
export const TYPE = make("type");

export const listOf = (element: CelType): CelType => ({ kind: "list", element });
export const mapOf = (key: CelType, element: CelType): CelType => ({ kind: "map", key, element });
export const optionalOf = (element: CelType): CelType => ({ kind: "optional_type", element });
/** An object outside CEL, with methods. */
export const hostOf = (name: string, methods: ReadonlyMap<string, HostMethod>, fields?: ReadonlyMap<string, CelType>): CelType => ({
  kind: "host",
  name,
  methods,
  fields,
});
export const objectOf = (name: string, fields: ReadonlyMap<string, CelType>): CelType => ({ kind: "object", name, fields });

const PROTO: Record<string, string> = { timestamp: "google.protobuf.Timestamp", duration: "google.protobuf.Duration", null_type: "null" };

/** As error messages print it. */
export function printType(t: CelType): string {
  switch (t.kind) {
    case "list":
      return `list(${printType(t.element!)})`;
    case "map":
      return `map(${printType(t.key!)}, ${printType(t.element!)})`;
    case "optional_type":
      return `optional_type(${printType(t.element!)})`;
    case "object":
    case "host":
      return t.name ?? "dyn";
    default:
      return PROTO[t.kind] ?? t.kind;
  }
}

/** What may be null although its type is known: messages, and those that are messages in protobuf. */
const NULLABLE = new Set(["object", "host", "timestamp", "duration"]);

/** True when a value of type `t` can stand where `want` is asked for; binds the variables of `want`. */
export function assignable(want: CelType, t: CelType, bound: Map<string, CelType>): boolean {
  if (want.kind.startsWith("$")) {
    const b = bound.get(want.kind);
    if (b === undefined || b.kind === "dyn") {
      bound.set(want.kind, t);
      return true;
    }
    return assignable(b, t, bound);
  }
  if (want.kind === "dyn" || t.kind === "dyn") return true;
  if ((t.kind === "null_type" && NULLABLE.has(want.kind)) || (want.kind === "null_type" && NULLABLE.has(t.kind))) return true;
  if (want.kind !== t.kind) return false;
  if (want.kind === "object" || want.kind === "host") return want.name === t.name;
  if (want.key && !assignable(want.key, t.key!, bound)) return false;
  return want.element === undefined || assignable(want.element, t.element!, bound);
}

export function substitute(t: CelType, bound: Map<string, CelType>): CelType {
  if (t.kind.startsWith("$")) return bound.get(t.kind) ?? DYN;
  if (t.element === undefined) return t;
  return { ...t, element: substitute(t.element, bound), ...(t.key ? { key: substitute(t.key, bound) } : {}) };
}

/** "list($T)" and the like -> CelType, for the function table. */
export function parseTypeText(text: string): CelType {
  const m = /^(\w+|\$\w+)(?:\((.*)\))?$/.exec(text.trim());
  if (m === null) return DYN;
  if (m[2] === undefined) return { kind: m[1]! };
  const args = splitArgs(m[2]).map(parseTypeText);
  return m[1] === "map" ? mapOf(args[0]!, args[1]!) : { kind: m[1]!, element: args[0] };
}

export function splitArgs(text: string): string[] {
  const out: string[] = [];
  let depth = 0;
  let start = 0;
  for (let i = 0; i <= text.length; i++) {
    const c = text[i];
    if (c === "(") depth++;
    else if (c === ")") depth--;
    else if ((c === "," || c === undefined) && depth === 0) {
      if (text.slice(start, i).trim() !== "") out.push(text.slice(start, i));
      start = i + 1;
    }
  }
  return out;
}
