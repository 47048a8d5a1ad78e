// No object that decodes can make defaulting, preparing, validating or warning throw, whatever its kind lacks.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import {
  applyDefaults,
  decodeBody,
  objectWarnings,
  parseApiVersion,
  prepareForCreate,
  prepareForUpdate,
  printTable,
  type ResourceInfo,
  registry,
  updateManaged,
  validateCreate,
  validateUpdate,
} from "../index.ts";

function walk(info: ResourceInfo, body: unknown): void {
  const { object } = decodeBody(info, Buffer.from(JSON.stringify(body)), "application/json", { fieldValidation: "Ignore" });
  applyDefaults(info, object);
  const next = updateManaged(info, undefined, object, { manager: "m", time: "2024-01-01T00:00:00Z" });
  prepareForCreate(info, next, { nowMs: 0 });
  validateCreate(info, next);
  objectWarnings(info, next);
  printTable(info, [next], { nowMs: 0 });
  for (const sub of ["", "status", ...info.subresources.map((s) => s.name)]) {
    const other = structuredClone(next);
    prepareForUpdate(info, other, next, sub, { nowMs: 0 });
    validateUpdate(info, other, next, sub);
    objectWarnings(info, other, next);
  }
}

describe("every kind", () => {
  for (const info of registry.resources()) {
    test(info.groupResource, () => {
      for (const body of [{}, { metadata: { name: "x", namespace: "n" } }, { metadata: { name: "x" }, spec: {}, status: {} }]) {
        expect(() => walk(info, body)).not.toThrow();
      }
    });
  }

  test("bodies of the recorded transcripts with any one part removed", () => {
    const folder = join(import.meta.dirname, "../../../../test/vectors/api");
    let walked = 0;
    for (const file of readdirSync(folder)) {
      if (!/^(crud|validate)-.*\.json$/.test(file)) continue;
      for (const step of JSON.parse(readFileSync(join(folder, file), "utf8")).steps) {
        const body = step.request.body;
        if (step.request.method !== "POST" || !body?.kind || !body.apiVersion) continue;
        const { group, version } = parseApiVersion(body.apiVersion);
        const info = registry.byKind(group, version, body.kind);
        if (info === undefined) continue;
        for (const variant of without(body)) {
          try {
            walk(info, variant);
          } catch (e) {
            expect(e, `${file} ${step.id} ${JSON.stringify(variant).slice(0, 300)}`).toHaveProperty("status");
          }
          walked++;
        }
      }
    }
    expect(walked).toBeGreaterThan(1000);
  });
});

/** Copies of a value, each lacking one member or with one list emptied. */
function* without(v: any, depth = 0): Generator<any> {
  if (v === null || typeof v !== "object" || depth > 4) return;
  if (Array.isArray(v)) {
    if (v.length > 0) yield [];
    for (const [i, x] of v.entries()) for (const y of without(x, depth + 1)) yield v.with(i, y);
    return;
  }
  for (const k of Object.keys(v)) {
    const { [k]: gone, ...rest } = v;
    if (depth > 0 || (k !== "kind" && k !== "apiVersion")) yield rest;
    for (const y of without(gone, depth + 1)) yield { ...v, [k]: y };
  }
}
