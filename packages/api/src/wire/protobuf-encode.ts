// Objects -> application/vnd.kubernetes.protobuf, as the generated Go marshallers do: non-pointer fields always, pointers
// when set, map entries as messages with key = 1 and value = 2 in key order.
import { AssertionError } from "@podwire/base";
import { parseDuration, parseTime } from "../meta/time.ts";
import { parseApiVersion } from "../resources.ts";
import { type Field, kindType, type StructType, structOf, structType, type TypeRef } from "../schema/registry.ts";
import { BytesWriter } from "./bytes-writer.ts";

/** The struct that a kind is written as. Throws AssertionError for one that is not registered. */
function registered(apiVersion: string, kind: string): StructType {
  const { group, version } = parseApiVersion(apiVersion);
  const type = kindType(group, version, kind);
  if (type === undefined) throw new AssertionError(`no kind ${kind} is registered for ${apiVersion}`);
  return type;
}

/** The enveloped bytes of an object of a registered kind. */
export function encodeProtobuf(apiVersion: string, kind: string, object: any): Uint8Array {
  return envelopeProtobuf(apiVersion, kind, [encodeMessage(registered(apiVersion, kind), object)]);
}

/** The bare message of an object of a registered kind, as items of lists hold it. */
export function encodeProtobufItem(apiVersion: string, kind: string, object: any): Uint8Array {
  return encodeMessage(registered(apiVersion, kind), object);
}

/** The envelope around the bytes of one message that comes in parts: magic, then runtime.Unknown. */
export function envelopeProtobuf(apiVersion: string, kind: string, parts: readonly Uint8Array[]): Uint8Array {
  const w = new BytesWriter();
  w.raw(MAGIC);
  w.nested(1, () => {
    w.string(1, apiVersion);
    w.string(2, kind);
  });
  w.tag(2, 2);
  w.varint(parts.reduce((n, p) => n + p.length, 0));
  for (const p of parts) w.raw(p);
  w.string(3, "");
  w.string(4, "");
  return w.finish();
}

/** A list's message in parts: its metadata, then items that are encoded already. */
export function listParts(meta: unknown, items: readonly Uint8Array[]): Uint8Array[] {
  const head = new BytesWriter();
  head.nested(1, () => message(head, structType("meta/v1.ListMeta"), meta));
  const parts = [head.finish()];
  for (const item of items) {
    const w = new BytesWriter(INITIAL_HEADER_BYTES);
    w.tag(2, 2);
    w.varint(item.length);
    parts.push(w.finish(), item);
  }
  return parts;
}

/** One event of a watch as a frame: four bytes of length, then metav1.WatchEvent with the enveloped object in its RawExtension. */
export function watchFrame(type: string, enveloped: Uint8Array): Uint8Array {
  const w = new BytesWriter();
  w.string(1, type);
  w.nested(2, () => w.bytes(1, enveloped));
  const body = w.finish();
  const frame = Buffer.allocUnsafeSlow(4 + body.length);
  frame.writeUInt32BE(body.length, 0);
  frame.set(body, 4);
  return frame;
}

const MAGIC = Uint8Array.of(0x6b, 0x38, 0x73, 0x00);
/** A tag and a length take less. */
const INITIAL_HEADER_BYTES = 16;

/** The bare message of a type. */
export function encodeMessage(type: StructType, object: any): Uint8Array {
  const w = new BytesWriter();
  message(w, type, object);
  return w.finish();
}

function message(w: BytesWriter, type: StructType, o: any): void {
  for (const f of type.wire) {
    if (f.inline) {
      if (f.type.shape === "struct" && (!f.type.pointer || hasAny(structOf(f.type), o)))
        w.nested(f.pb, () => message(w, structOf(f.type), o));
      continue;
    }
    const v = o?.[f.name];
    if (v === undefined || v === null) absent(w, f);
    else field(w, f.pb, f.type, v);
  }
}

function hasAny(type: StructType, o: any): boolean {
  return type.fields.some((f) => o?.[f.name] !== undefined);
}

/** Go's generated code writes every non-pointer field, zero or not. */
function absent(w: BytesWriter, f: Field): unknown {
  if (f.type.pointer) return;
  switch (f.type.shape) {
    case "string":
      return w.string(f.pb, "");
    case "bool":
    case "int32":
    case "int64":
      w.tag(f.pb, 0);
      return w.varint(0);
    case "float64":
      w.tag(f.pb, 1);
      return w.double(0);
    case "Time":
    case "MicroTime":
    case "RawExtension":
      return w.nested(f.pb, () => undefined);
    case "Duration":
      return w.nested(f.pb, () => {
        w.tag(1, 0);
        w.varint(0);
      });
    case "Quantity":
      return w.nested(f.pb, () => w.string(1, "0"));
    case "IntOrString":
      return field(w, f.pb, f.type, 0);
    case "struct":
      return w.nested(f.pb, () => message(w, structOf(f.type), undefined));
  }
}

const NAMED_LISTS = new Set(["meta/v1.Verbs", "authentication/v1.ExtraValue", "authorization/v1.ExtraValue", "certificates/v1.ExtraValue"]);

function field(w: BytesWriter, number: number, t: TypeRef, v: any): unknown {
  switch (t.shape) {
    case "string":
      return w.string(number, v);
    case "bytes":
      return w.bytes(number, Buffer.from(v, "base64"));
    case "bool":
      w.tag(number, 0);
      return w.varint(v ? 1 : 0);
    case "int32":
    case "int64":
      w.tag(number, 0);
      return w.varint(v);
    case "float64":
      w.tag(number, 1);
      return w.double(v);
    case "list":
      if (t.ref !== undefined && NAMED_LISTS.has(t.ref)) {
        return w.nested(number, () => {
          for (const x of v) field(w, 1, t.element!, x);
        });
      }
      for (const x of v) field(w, number, t.element!, x ?? {});
      return;
    case "map":
      for (const key of Object.keys(v).sort()) {
        w.nested(number, () => {
          w.string(1, key);
          field(w, 2, t.element!, v[key]);
        });
      }
      return;
    case "struct":
      return w.nested(number, () => message(w, structOf(t), v));
    default:
      return w.nested(number, () => special(w, t, v));
  }
}

function special(w: BytesWriter, t: TypeRef, v: any): unknown {
  switch (t.shape) {
    case "Quantity":
      return w.string(1, String(v));
    case "Time":
    case "MicroTime": {
      if (v === null) return;
      const at = parseTime(v);
      w.tag(1, 0);
      w.varint(at.seconds);
      w.tag(2, 0);
      return w.varint(t.shape === "Time" ? 0 : at.nanos);
    }
    case "Duration":
      w.tag(1, 0);
      return w.varint64(parseDuration(v));
    case "IntOrString": {
      const isString = typeof v === "string";
      w.tag(1, 0);
      w.varint(isString ? 1 : 0);
      w.tag(2, 0);
      w.varint(isString ? 0 : v);
      return w.string(3, isString ? v : "");
    }
    case "schemaUnion":
      return schemaUnion(w, t, v);
    default:
      return w.bytes(1, Buffer.from(JSON.stringify(v)));
  }
}

function schemaUnion(w: BytesWriter, t: TypeRef, v: any): void {
  const props = structType("apiextensions/v1.JSONSchemaProps");
  if (t.ref!.endsWith("OrBool")) {
    w.tag(1, 0);
    w.varint(v === false ? 0 : 1);
    if (typeof v === "object") w.nested(2, () => message(w, props, v));
  } else if (Array.isArray(v)) {
    for (const x of v) {
      if (typeof x === "string") w.string(2, x);
      else w.nested(2, () => message(w, props, x));
    }
  } else w.nested(1, () => message(w, props, v));
}
