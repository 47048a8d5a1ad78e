// Every served kind with every field set survives the protobuf wire: generated objects, encoded and decoded again.
import { seededRandom } from "@podwire/base";
import { describe, expect, test } from "vitest";
import { registry } from "../resources.ts";
import { conform } from "../schema/conform.ts";
import { kindType, type StructType, structOf, type TypeRef } from "../schema/registry.ts";
import { decodeProtobuf } from "./protobuf-decode.ts";
import { encodeProtobuf, encodeProtobufItem, envelopeProtobuf, listParts } from "./protobuf-encode.ts";

/** Recursive types (JSONSchemaProps) end here. */
const MAX_DEPTH = 7;
const random = seededRandom(7);

function sample(t: TypeRef, depth: number): unknown {
  // Go leaves zeros of fields without a pointer out of JSON: only pointers keep them.
  const n = t.pointer && random.below(2) === 0 ? 0 : 1 + random.below(1_000_000);
  switch (t.shape) {
    case "string":
      return n === 0 ? "" : `s${n} é`;
    case "bytes":
      return Buffer.from(`b${n}`).toString("base64");
    case "bool":
      return n > 0;
    case "int32":
    case "int64":
      return random.below(4) === 0 ? 0 - n : n;
    case "float64":
      return n / 8;
    case "list":
      return [sample(t.element as TypeRef, depth + 1), sample(t.element as TypeRef, depth + 1)];
    case "map":
      return { a: sample(t.element as TypeRef, depth + 1), "b.c/d": sample(t.element as TypeRef, depth + 1) };
    case "struct":
      return objectOf(structOf(t), depth + 1);
    case "Time":
      return "2024-01-02T03:04:05Z";
    case "MicroTime":
      return "2024-01-02T03:04:05.123456Z";
    case "Quantity":
      return "1500m";
    case "IntOrString":
      return n > 0 ? n : "25%";
    case "Duration":
      return "1h2m3s";
    case "RawExtension":
    case "FieldsV1":
    case "JSON":
      return { kind: "X", apiVersion: "g/v1", a: [1, "x", null] };
    case "schemaUnion":
      return { type: "string" };
  }
}

function objectOf(t: StructType, depth: number): Record<string, unknown> {
  const o: Record<string, unknown> = {};
  if (depth > MAX_DEPTH) return o;
  for (const f of t.fields) if (f.name !== "apiVersion" && f.name !== "kind") o[f.name] = sample(f.type, depth);
  return o;
}

describe("protobuf of every kind", () => {
  for (const info of registry.resources()) {
    const apiVersion = info.group === "" ? info.version : `${info.group}/${info.version}`;
    test(`${apiVersion} ${info.kind}`, () => {
      const type = kindType(info.group, info.version, info.kind) as StructType;
      for (let i = 0; i < 3; i++) {
        const canonical = conform(type, objectOf(type, 0));
        const bytes = encodeProtobuf(apiVersion, info.kind, structuredClone(canonical));
        expect(conform(type, decodeProtobuf(bytes).object)).toEqual({ ...canonical, apiVersion, kind: info.kind });
        if (!kindType(info.group, info.version, info.listKind)) continue;
        const item = encodeProtobufItem(apiVersion, info.kind, canonical);
        const list = envelopeProtobuf(apiVersion, info.listKind, listParts({ resourceVersion: "7", continue: "c" }, [item, item]));
        const { apiVersion: _, kind: __, ...bare } = decodeProtobuf(bytes).object;
        expect(decodeProtobuf(list).object).toEqual({
          apiVersion,
          kind: info.listKind,
          metadata: { resourceVersion: "7", continue: "c" },
          items: [bare, bare],
        });
      }
    });
  }
});
