// application/vnd.kubernetes.protobuf -> objects in the form that JSON would give: "k8s\0", runtime.Unknown, then the
// message of the kind, driven by the type registry.
// Invariant: the result is what conform() makes of the same object sent as JSON, so that both formats store the same.

import { canonicalQuantity } from "../meta/quantity.ts";
import { formatDuration, formatMicro, formatSeconds } from "../meta/time.ts";
import { parseApiVersion } from "../resources.ts";
import { conform } from "../schema/conform.ts";
import { kindType, type StructType, structOf, structType, type TypeRef } from "../schema/registry.ts";
import { BYTES, BytesReader, FIXED64, ProtobufError, VARINT } from "./bytes-reader.ts";

const MAGIC = [0x6b, 0x38, 0x73, 0x00];
const DEPTH_MAX = 100;

export function isProtobuf(b: Uint8Array): boolean {
  return b.length >= 4 && b[0] === MAGIC[0] && b[1] === MAGIC[1] && b[2] === MAGIC[2] && b[3] === MAGIC[3];
}

export interface ProtobufEnvelope {
  apiVersion: string;
  kind: string;
  raw: Uint8Array;
  contentType: string;
}

export function decodeEnvelope(bytes: Uint8Array): ProtobufEnvelope {
  if (!isProtobuf(bytes)) {
    throw new ProtobufError(
      bytes.length === 0 ? "empty data" : "provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]",
    );
  }
  const out: ProtobufEnvelope = { apiVersion: "", kind: "", raw: new Uint8Array(0), contentType: "" };
  const r = new BytesReader(bytes, 4);
  while (r.at < r.end) {
    const tag = r.varint();
    if (tag === 0x0a) {
      const inner = new BytesReader(bytes, 0, r.length());
      inner.at = r.at;
      while (inner.at < inner.end) {
        const t = inner.varint();
        if (t === 0x0a) out.apiVersion = inner.string();
        else if (t === 0x12) out.kind = inner.string();
        else inner.skip(t & 7);
      }
      r.at = inner.end;
    } else if (tag === 0x12) out.raw = r.bytes();
    else if (tag === 0x22) out.contentType = r.string();
    else r.skip(tag & 7);
  }
  return out;
}

/** Decodes an enveloped object; throws ProtobufError for bytes that are none, or of a kind that is not registered. */
export function decodeProtobuf(bytes: Uint8Array): { apiVersion: string; kind: string; object: any } {
  const env = decodeEnvelope(bytes);
  const { group, version } = parseApiVersion(env.apiVersion);
  const type = kindType(group, version, env.kind);
  if (type === undefined) throw new ProtobufError(`no kind "${env.kind}" is registered for version "${env.apiVersion}"`);
  const object = decodeMessage(type, env.raw);
  object.kind = env.kind;
  object.apiVersion = env.apiVersion;
  return { apiVersion: env.apiVersion, kind: env.kind, object };
}

/** Decodes a bare message of a type. */
export function decodeMessage(type: StructType, bytes: Uint8Array): any {
  const out: Record<string, any> = {};
  message(type, new BytesReader(bytes), out, 0);
  return conform(type, out);
}

function message(type: StructType, r: BytesReader, out: Record<string, any>, depth: number): void {
  if (depth > DEPTH_MAX) throw new ProtobufError("proto: message nested too deeply");
  while (r.at < r.end) {
    const tag = r.varint();
    const number = Math.floor(tag / 8);
    const wireType = tag & 7;
    const f = type.byNumber[number];
    if (number === 0) throw new ProtobufError(`proto: ${type.name}: illegal tag ${number} (wire type ${wireType})`);
    if (f === undefined) {
      r.skip(wireType);
      continue;
    }
    const t = f.type;
    if (f.inline && t.shape === "struct") {
      expectWire(wireType, BYTES, f.name);
      const end = r.length();
      message(structOf(t), new BytesReader(r.b, r.at, end), out, depth + 1);
      r.at = end;
    } else if (t.shape === "list") {
      const list = (out[f.name] ??= []);
      if (wireType === BYTES && isVarint(t.element!)) {
        const end = r.length();
        const packed = new BytesReader(r.b, r.at, end);
        while (packed.at < end) list.push(value(t.element!, packed, VARINT, f.name, depth));
        r.at = end;
      } else if (t.ref !== undefined && NAMED_LISTS.has(t.ref)) {
        out[f.name] = listMessage(t, r, depth);
      } else list.push(value(t.element!, r, wireType, f.name, depth));
    } else if (t.shape === "map") {
      mapEntry(t, (out[f.name] ??= {}), r, wireType, f.name, depth);
    } else {
      out[f.name] = t.shape === "struct" ? mergeStruct(t, out[f.name], r, wireType, f.name, depth) : value(t, r, wireType, f.name, depth);
    }
  }
}

/** Named list types are messages on the wire: ExtraValue and Verbs hold their strings as `items`. */
const NAMED_LISTS = new Set(["meta/v1.Verbs", "authentication/v1.ExtraValue", "authorization/v1.ExtraValue", "certificates/v1.ExtraValue"]);

function listMessage(t: TypeRef, r: BytesReader, depth: number): any[] {
  const end = r.length();
  const inner = new BytesReader(r.b, r.at, end);
  const list: any[] = [];
  while (inner.at < end) {
    const tag = inner.varint();
    if (tag >> 3 === 1) list.push(value(t.element!, inner, tag & 7, "items", depth + 1));
    else inner.skip(tag & 7);
  }
  r.at = end;
  return list;
}

function mergeStruct(t: TypeRef, into: any, r: BytesReader, wireType: number, name: string, depth: number): any {
  expectWire(wireType, BYTES, name);
  const end = r.length();
  const out = into ?? {};
  message(structOf(t), new BytesReader(r.b, r.at, end), out, depth + 1);
  r.at = end;
  return out;
}

function mapEntry(t: TypeRef, into: Record<string, any>, r: BytesReader, wireType: number, name: string, depth: number): void {
  expectWire(wireType, BYTES, name);
  const end = r.length();
  const e = new BytesReader(r.b, r.at, end);
  let key = "";
  let v: any;
  while (e.at < end) {
    const tag = e.varint();
    if (tag === 0x0a) key = e.string();
    else if (tag >> 3 === 2) {
      v =
        t.element!.ref !== undefined && NAMED_LISTS.has(t.element!.ref)
          ? listMessage(t.element!, e, depth)
          : value(t.element!, e, tag & 7, name, depth);
    } else e.skip(tag & 7);
  }
  r.at = end;
  if (v === undefined) v = emptyOf(t.element!);
  if (key === "__proto__") Object.defineProperty(into, key, { value: v, enumerable: true, configurable: true, writable: true });
  else into[key] = v;
}

function emptyOf(t: TypeRef): any {
  switch (t.shape) {
    case "string":
    case "bytes":
      return "";
    case "list":
      return [];
    case "struct":
    case "schemaUnion":
      return {};
    case "bool":
      return false;
    case "Quantity":
      return "0";
    case "Time":
    case "MicroTime":
      return null;
    default:
      return 0;
  }
}

function isVarint(t: TypeRef): boolean {
  return t.shape === "int32" || t.shape === "int64" || t.shape === "bool";
}

function expectWire(got: number, want: number, name: string): void {
  if (got !== want) throw new ProtobufError(`proto: wrong wireType = ${got} for field ${name.charAt(0).toUpperCase()}${name.slice(1)}`);
}

function value(t: TypeRef, r: BytesReader, wireType: number, name: string, depth: number): any {
  switch (t.shape) {
    case "string":
      expectWire(wireType, BYTES, name);
      return r.string();
    case "bytes":
      expectWire(wireType, BYTES, name);
      return Buffer.from(r.bytes()).toString("base64");
    case "bool":
      expectWire(wireType, VARINT, name);
      return r.varint64() !== 0n;
    case "int32":
    case "int64":
      expectWire(wireType, VARINT, name);
      return t.shape === "int32" ? r.int() | 0 : r.int();
    case "float64":
      expectWire(wireType, FIXED64, name);
      return r.double();
    case "struct":
      return mergeStruct(t, undefined, r, wireType, name, depth);
    case "list":
      return listMessage(t, r, depth);
    case "map":
      throw new ProtobufError(`proto: a map cannot stand in ${name}`);
    default:
      expectWire(wireType, BYTES, name);
      return special(t, r, name, depth);
  }
}

function special(t: TypeRef, r: BytesReader, name: string, depth: number): any {
  if (t.shape === "schemaUnion") return schemaUnion(t, r, depth);
  const end = r.length();
  const m = new BytesReader(r.b, r.at, end);
  r.at = end;
  switch (t.shape) {
    case "Quantity": {
      let text = "";
      each(m, (n, wire) => (n === 1 ? (text = m.string()) : m.skip(wire)));
      return canonicalQuantity(text === "" ? "0" : text);
    }
    case "Time":
    case "MicroTime": {
      let seconds = 0;
      let nanos = 0;
      let any = false;
      each(m, (n, wire) => {
        any = true;
        if (n === 1) seconds = m.int();
        else if (n === 2) nanos = m.int();
        else m.skip(wire);
      });
      if (!any || seconds === GO_ZERO_TIME_SECONDS) return null;
      if (Math.abs(seconds) > MAX_TIME_SECONDS) throw new ProtobufError(`proto: time out of range in ${name}`);
      return t.shape === "Time" ? formatSeconds(seconds) : formatMicro(seconds, nanos);
    }
    case "Duration": {
      let nanos = 0n;
      each(m, (n, wire) => (n === 1 ? (nanos = m.varint64()) : m.skip(wire)));
      return formatDuration(nanos);
    }
    case "IntOrString": {
      let type = 0;
      let int = 0;
      let str = "";
      each(m, (n, wire) => {
        if (n === 1) type = m.int();
        else if (n === 2) int = m.int() | 0;
        else if (n === 3) str = m.string();
        else m.skip(wire);
      });
      return type === 0 ? int : str;
    }
    default: {
      // RawExtension, FieldsV1 and JSON carry raw bytes, JSON or (RawExtension) an enveloped message.
      let raw: Uint8Array = new Uint8Array(0);
      each(m, (n, wire) => (n === 1 ? (raw = m.bytes()) : m.skip(wire)));
      return rawValue(raw, name);
    }
  }
}

const GO_ZERO_TIME_SECONDS = -62135596800;
const MAX_TIME_SECONDS = 8.64e12;

function each(m: BytesReader, on: (number: number, wireType: number) => unknown): void {
  while (m.at < m.end) {
    const tag = m.varint();
    on(Math.floor(tag / 8), tag & 7);
  }
}

function rawValue(raw: Uint8Array, name: string): any {
  if (raw.length === 0) return null;
  if (isProtobuf(raw)) return decodeProtobuf(raw).object;
  try {
    return JSON.parse(Buffer.from(raw.buffer, raw.byteOffset, raw.byteLength).toString("utf8"));
  } catch (e) {
    throw new ProtobufError(`the raw value of ${name} is not JSON`, { cause: e });
  }
}

/** JSONSchemaPropsOr{Array,Bool,StringArray}. */
function schemaUnion(t: TypeRef, r: BytesReader, depth: number): any {
  const end = r.length();
  const m = new BytesReader(r.b, r.at, end);
  r.at = end;
  const props = structType("apiextensions/v1.JSONSchemaProps");
  let schema: any;
  let allows = false;
  const list: any[] = [];
  const isBool = t.ref!.endsWith("OrBool");
  each(m, (n, wire) => {
    if (n === (isBool ? 2 : 1)) {
      const stop = m.length();
      schema = {};
      message(props, new BytesReader(m.b, m.at, stop), schema, depth + 1);
      m.at = stop;
    } else if (isBool && n === 1) allows = m.varint64() !== 0n;
    else if (n === 2 && t.ref!.endsWith("OrStringArray")) list.push(m.string());
    else if (n === 2) {
      const stop = m.length();
      const item = {};
      message(props, new BytesReader(m.b, m.at, stop), item, depth + 1);
      list.push(item);
      m.at = stop;
    } else m.skip(wire);
  });
  if (schema !== undefined) return schema;
  return isBool ? allows : list;
}
