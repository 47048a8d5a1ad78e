// Objects -> application/vnd.kubernetes.protobuf, as the generated Go marshallers do: non-pointer fields always, pointers
// when set, map entries as messages with key = 1 and value = 2 in key order.
import { AssertionError } from "@podwire/base";
import { parseDuration, parseTime } from "../meta/time.ts";
import { parseApiVersion } from "../resources.ts";
import { type Field, kindType, type StructType, structOf, structType, type TypeRef } from "../schema/registry.ts";

const INITIAL_BYTES = 1024;

class BytesWriter {
  private b = Buffer.allocUnsafe(INITIAL_BYTES);
  private at = 0;

  private room(n: number): void {
    if (this.at + n <= this.b.length) return;
    const bigger = Buffer.allocUnsafe(Math.max(this.b.length * 2, this.at + n));
    this.b.copy(bigger, 0, 0, this.at);
    this.b = bigger;
  }

  varint(v: number): unknown {
    this.room(10);
    if (v < 0 || v > Number.MAX_SAFE_INTEGER) return this.varint64(BigInt(v));
    while (v >= 128) {
      this.b[this.at++] = (v % 128) | 0x80;
      v = Math.floor(v / 128);
    }
    this.b[this.at++] = v;
  }

  varint64(v: bigint): void {
    this.room(10);
    let u = BigInt.asUintN(64, v);
    while (u >= 128n) {
      this.b[this.at++] = Number(u & 127n) | 0x80;
      u >>= 7n;
    }
    this.b[this.at++] = Number(u);
  }

  tag(number: number, wireType: number): void {
    this.varint(number * 8 + wireType);
  }

  double(v: number): void {
    this.room(8);
    this.at = this.b.writeDoubleLE(v, this.at);
  }

  string(number: number, s: string): void {
    this.tag(number, 2);
    const n = Buffer.byteLength(s);
    this.varint(n);
    this.room(n);
    this.at += this.b.write(s, this.at);
  }

  bytes(number: number, data: Uint8Array): void {
    this.tag(number, 2);
    this.varint(data.length);
    this.raw(data);
  }

  raw(data: Uint8Array): void {
    this.room(data.length);
    this.b.set(data, this.at);
    this.at += data.length;
  }

  /** Writes a message whose length is known only afterwards. */
  nested(number: number, write: () => void): void {
    this.tag(number, 2);
    const start = this.at;
    this.room(1);
    this.at++;
    write();
    const length = this.at - start - 1;
    if (length < 128) {
      this.b[start] = length;
      return;
    }
    let extra = 0;
    for (let n = length; n >= 128; n = Math.floor(n / 128)) extra++;
    this.room(extra);
    this.b.copy(this.b, start + 1 + extra, start + 1, this.at);
    const end = this.at + extra;
    this.at = start;
    this.varint(length);
    this.at = end;
  }

  finish(): Uint8Array {
    return this.b.subarray(0, this.at);
  }
}

/** The enveloped bytes of an object of a registered kind. */
export function encodeProtobuf(apiVersion: string, kind: string, object: any): Uint8Array {
  const { group, version } = parseApiVersion(apiVersion);
  const type = kindType(group, version, kind);
  if (type === undefined) throw new AssertionError(`no kind ${kind} is registered for ${apiVersion}`);
  const w = new BytesWriter();
  w.raw(Uint8Array.of(0x6b, 0x38, 0x73, 0x00));
  w.nested(1, () => {
    w.string(1, apiVersion);
    w.string(2, kind);
  });
  w.nested(2, () => message(w, type, object));
  w.string(3, "");
  w.string(4, "");
  return w.finish();
}

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
