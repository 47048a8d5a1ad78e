// Subject patterns by the rules of NATS; the table agrees with the plain matcher.
import fc from "fast-check";
import { expect, test } from "vitest";
import { covers, isSubject, matches, PatternTable } from "./matching.ts";

test("tokens, * and >", () => {
  for (const [pattern, subject, expected] of [
    ["a.b", "a.b", true],
    ["a.b", "a.c", false],
    ["a.*", "a.b", true],
    ["a.*", "a", false],
    ["a.*", "a.b.c", false],
    ["a.>", "a.b.c", true],
    ["a.>", "a", false],
    [">", "a.b", true],
    ["*.b.>", "a.b.c.d", true],
    ["*.b.>", "a.b", false],
  ] as const)
    expect(matches(pattern, subject), `${pattern} ${subject}`).toBe(expected);
  for (const bad of ["", "a..b", ".a", "a.", "a b", "a.*", "a.>"]) expect(isSubject(bad)).toBe(false);
});

const part = fc.constantFrom("a", "b", "c");
const subject = fc.array(part, { minLength: 1, maxLength: 4 }).map((p) => p.join("."));
const pattern = fc
  .tuple(fc.array(fc.oneof(part, fc.constant("*")), { minLength: 1, maxLength: 4 }), fc.boolean())
  .map(([p, rest]) => [...p, ...(rest ? [">"] : [])].join("."));

test("what covers a pattern matches whatever it matches", () => {
  fc.assert(
    fc.property(pattern, pattern, subject, (outer, inner, s) => {
      if (covers(outer, inner) && matches(inner, s)) expect(matches(outer, s)).toBe(true);
    }),
    { numRuns: 2_000 },
  );
});

test("the table finds each match once, also after removals", () => {
  fc.assert(
    fc.property(fc.array(pattern, { maxLength: 12 }), fc.array(subject, { maxLength: 6 }), fc.nat(), (patterns, subjects, gone) => {
      const table = new PatternTable<{ pattern: string }>();
      const all = patterns.map((p) => ({ pattern: p }));
      for (const v of all) table.add(v.pattern, v);
      const check = (live: typeof all) => {
        for (const s of subjects) {
          const found = table.find(s);
          expect(found.length).toBe(new Set(found).size);
          expect(new Set(found)).toEqual(new Set(live.filter((v) => matches(v.pattern, s))));
        }
      };
      check(all);
      const removed = all[gone % Math.max(1, all.length)];
      if (!removed) return;
      table.remove(removed.pattern, removed);
      table.remove(removed.pattern, removed);
      check(all.filter((v) => v !== removed));
    }),
    { numRuns: 500 },
  );
});
