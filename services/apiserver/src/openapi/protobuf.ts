// OpenAPI documents in protobuf: a walk over the JSON document by the message tables of gnostic.ts. Members that a message has no field for
// are left out, as gnostic's compiler does. Specification: kube-openapi's handler and handler3 (media types com.github.proto-openapi.spec.*).
import { BytesWriter } from "@podwire/api";
import { AssertionError } from "@podwire/base";
import type { MessageTable } from "./gnostic.ts";

/** The bytes of a Document. */
export function encodeOpenApi(table: MessageTable, document: Record<string, unknown>): Uint8Array {
  const w = new BytesWriter();
  message(w, table, "Document", document);
  return w.finish();
}

function message(w: BytesWriter, t: MessageTable, name: string, v: unknown): void {
  const fields = t[name];
  if (!fields) throw new AssertionError(`the OpenAPI tables have no message ${name}`);
  const one = alternative(fields, v);
  if (one !== undefined) field(w, t, one, v);
  if (one !== undefined || typeof v !== "object" || v === null) return;
  const rest = fields["*"];
  const extensions = fields["x-"];
  for (const [key, value] of Object.entries(v)) {
    const known = Object.hasOwn(fields, key) ? fields[key] : undefined;
    if (known) field(w, t, known, value);
    else if (key.startsWith("x-")) {
      if (extensions) named(w, Number.parseInt(extensions, 10), key, () => w.nested(2, () => yaml(w, value)));
    } else if (rest) {
      const { number, kind } = split(rest);
      named(w, number, key, () => w.nested(2, () => message(w, t, kind, value)));
    }
  }
}

/** Of a message that is one of several: the field that fits the value. */
function alternative(fields: Readonly<Record<string, string>>, v: unknown): string | undefined {
  for (const [when, spec] of Object.entries(fields)) {
    if (when === "=bool" && typeof v === "boolean") return spec;
    if (when === "=number" && typeof v === "number") return spec;
    if (when === "=string" && typeof v === "string") return spec;
    if (when === "=$ref" && typeof v === "object" && v !== null && "$ref" in v) return spec;
    if (when.startsWith("in=") && (v as { in?: string }).in === when.slice(3)) return spec;
  }
  return fields[""];
}

function field(w: BytesWriter, t: MessageTable, spec: string, v: unknown): unknown {
  const { number, kind } = split(spec);
  if (v === undefined || v === null) return;
  switch (kind) {
    case "string":
      return w.string(number, String(v));
    case "bool":
      w.tag(number, 0);
      w.varint(v ? 1 : 0);
      return;
    case "int":
      w.tag(number, 0);
      w.varint(Number(v));
      return;
    case "double":
      w.tag(number, 1);
      return w.double(Number(v));
    case "strings":
      for (const s of v as string[]) w.string(number, s);
      return;
    case "any":
      return w.nested(number, () => yaml(w, v));
    case "anys":
      for (const x of v as unknown[]) w.nested(number, () => yaml(w, x));
      return;
  }
  if (kind.startsWith("[]")) {
    for (const x of v as unknown[]) w.nested(number, () => message(w, t, kind.slice(2), x));
  } else if (kind.startsWith("{")) {
    const of = kind.slice(1, -1);
    w.nested(number, () => {
      for (const [key, value] of Object.entries(v as object)) named(w, 1, key, () => w.nested(2, () => message(w, t, of, value)));
    });
  } else w.nested(number, () => message(w, t, kind, v));
}

function named(w: BytesWriter, number: number, name: string, value: () => void): void {
  w.nested(number, () => {
    w.string(1, name);
    value();
  });
}

/** gnostic's Any holds YAML; JSON is YAML. */
function yaml(w: BytesWriter, v: unknown): void {
  w.string(2, `${JSON.stringify(v)}\n`);
}

function split(spec: string): { number: number; kind: string } {
  const space = spec.indexOf(" ");
  return { number: Number(spec.slice(0, space)), kind: spec.slice(space + 1) };
}
