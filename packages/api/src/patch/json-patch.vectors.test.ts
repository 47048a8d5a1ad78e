// RFC 6902 vectors, read where they lie (PODWIRE_ORACLE, else ../shared/oracle beside the repository) and skipped when absent.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { applyJsonPatch, type JsonPatchOperation } from "./json-patch.ts";

const folder = join(process.env["PODWIRE_ORACLE"] ?? join(import.meta.dirname, "../../../../../shared/oracle"), "jsonpatch");

interface Vector {
  comment?: string;
  doc: unknown;
  patch: JsonPatchOperation[];
  expected?: unknown;
  error?: string;
  disabled?: boolean;
}

for (const file of ["tests.json", "spec_tests.json"]) {
  describe.skipIf(!existsSync(join(folder, file)))(`JSON patch vectors: ${file} (skipped when ${folder} is absent)`, () => {
    if (!existsSync(join(folder, file))) return;
    const vectors = JSON.parse(readFileSync(join(folder, file), "utf8")) as Vector[];
    vectors.forEach((v, i) => {
      if (v.disabled || v.patch === undefined) return;
      const name = `${i} ${v.comment ?? v.error ?? JSON.stringify(v.patch).slice(0, 60)}`;
      test(name, () => {
        const apply = () => applyJsonPatch(v.doc, v.patch);
        if (v.error !== undefined) expect(apply).toThrow();
        else if ("expected" in v) expect(apply()).toEqual(v.expected);
        else expect(apply).not.toThrow(); // The vector says no more than that it applies.
      });
    });
  });
}
