// Names as subject tokens: any string comes back, and none adds a level, a wildcard or a space.
import fc from "fast-check";
import { expect, test } from "vitest";
import { isSubject } from "./matching.ts";
import { addressToken, Identity, subjectsOf, token, tokenAddress, untoken } from "./subjects.ts";

const s = subjectsOf("demo");

test("any string is one token and comes back; different strings are different tokens", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme" }), fc.string({ unit: "grapheme" }), (a, b) => {
      expect(token(a)).toMatch(/^[A-Za-z0-9_=-]+$/);
      expect(untoken(token(a))).toBe(Buffer.from(a, "utf8").toString("utf8"));
      if (Buffer.compare(Buffer.from(a), Buffer.from(b)) !== 0) expect(token(a)).not.toBe(token(b));
    }),
    { numRuns: 500 },
  );
});

test("what token did not make is not read back", () => {
  for (const t of ["", "a.b", "*", ">", "a b", "=4", "=zz", "=4g", "ä", "a="]) expect(untoken(t)).toBeUndefined();
  expect(untoken("=")).toBe("");
});

test("keys survive the subject, in store and event subjects", () => {
  fc.assert(
    fc.property(fc.string(), fc.string({ minLength: 1 }), fc.string(), fc.string({ minLength: 1 }), (group, resource, namespace, name) => {
      const key = { group, resource, namespace, name };
      expect(isSubject(s.store(key))).toBe(true);
      expect(s.keyOf(s.store(key))).toEqual(key);
      expect(s.keyOf(s.event(key))).toEqual(key);
    }),
  );
  expect(s.keyOf("pw.demo.store.a.b.c")).toBeUndefined();
  expect(s.keyOf("pw.demo.store.a.b.c.d.e")).toBeUndefined();
});

test("addresses of both families, identities", () => {
  for (const a of ["172.30.1.2", "fd00::1"]) expect(tokenAddress(addressToken(a))).toBe(a);
  expect(s.wire("172.30.1.2", "172.30.0.2")).toBe("pw.demo.wire.172-30-1-2.172-30-0-2");
  expect(s.identityOf(s.api("node:a.b"))).toBe("node:a.b");
  expect(Identity.nodeOf("node:x")).toBe("x");
  expect(Identity.nodeOf("scheduler")).toBeUndefined();
});
