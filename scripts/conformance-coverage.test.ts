// Every behaviour of Kubernetes' conformance suite has exactly one test of its name. What is not covered stands in
// test/conformance/uncovered.txt, "title | reason" a line. Skipped where ../shared/spec (or PODWIRE_SPEC) is absent.
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));
const list = join(process.env["PODWIRE_SPEC"] ?? join(root, "../shared/spec"), "conformance-1.34.txt");
const skip = existsSync(list) ? undefined : `${list} is absent`;

describe.skipIf(skip)(`conformance coverage${skip ? ` (skipped: ${skip})` : ""}`, () => {
  const wanted = skip ? [] : lines(list).filter((l) => l.startsWith("[sig-"));
  const uncovered = lines(join(root, "test/conformance/uncovered.txt")).map((l) => l.split(" | ", 2) as [string, string | undefined]);

  it("every behaviour has one test, or a reason why not", { timeout: 60_000 }, () => {
    const out = execFileSync(process.execPath, [join(root, "scripts/conformance-titles.ts")], { encoding: "utf8", maxBuffer: 1 << 24 });
    const tests = new Map<string, string[]>();
    for (const [title, file] of JSON.parse(out) as [string, string][]) tests.set(title, [...(tests.get(title) ?? []), file]);
    const excused = new Set(uncovered.map(([title]) => title));
    expect(
      [...excused].filter((t) => tests.has(t)),
      "exceptions that have a test",
    ).toEqual([]);
    expect(
      wanted.filter((t) => !tests.has(t) && !excused.has(t)),
      "behaviours without a test",
    ).toEqual([]);
    expect(
      wanted.filter((t) => (tests.get(t)?.length ?? 0) > 1).map((t) => `${t}: ${tests.get(t)?.join(", ")}`),
      "more than one test",
    ).toEqual([]);
    expect(
      [...tests.keys()].filter((t) => t.endsWith("[Conformance]") && !wanted.includes(t)),
      "names that are no behaviour's",
    ).toEqual([]);
  });

  it("every exception names a behaviour and a reason", () => {
    for (const [title, reason] of uncovered) {
      expect(wanted).toContain(title);
      expect(reason ?? "", title).toMatch(/\S/);
    }
  });
});

function lines(file: string): string[] {
  return readFileSync(file, "utf8")
    .split("\n")
    .filter((l) => l.trim() !== "" && !l.startsWith("#"));
}
