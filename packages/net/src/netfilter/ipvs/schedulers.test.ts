// Schedulers as functions: who is picked, in which order, with which share.
import { expect, test } from "vitest";
import { SCHEDULERS, type Scheduler, schedule } from "./schedulers.ts";

const pool = (...weights: number[]) => weights.map((weight, i) => ({ endpoint: String.fromCharCode(97 + i), weight, active: 0 }));

function picks(scheduler: Scheduler, weights: number[], n: number, hash: (i: number) => number = () => 1, keep = true): string {
  const servers = pool(...weights);
  const state = { at: -1, currentWeight: 0 };
  let out = "";
  for (let i = 0; i < n; i++) {
    const s = schedule(scheduler, servers, state, hash(i), hash(i));
    if (s === undefined) return `${out}!`;
    if (keep) s.active++;
    out += s.endpoint;
  }
  return out;
}

const count = (text: string, letter: string) => text.split(letter).length - 1;

test("rr goes round, wrr by weight and interleaved", () => {
  expect(picks("rr", [1, 1, 1], 7)).toBe("abcabca");
  expect(picks("rr", [1, 0, 1], 5)).toBe("acaca");
  const w = picks("wrr", [4, 3, 2], 9);
  expect([count(w, "a"), count(w, "b"), count(w, "c")]).toEqual([4, 3, 2]);
  expect(w).toBe("aababcabc");
});

test("lc and its kin go where least is going on", () => {
  expect(picks("lc", [1, 1, 1], 6)).toBe("abcabc");
  const w = picks("wlc", [3, 1], 40);
  expect(count(w, "a")).toBe(30);
  const s = picks("sed", [2, 1], 30);
  expect(count(s, "a")).toBe(20);
  expect(picks("nq", [5, 1], 2)).toBe("ab");
});

test("sh and dh keep a source or destination where it was, and spread many", () => {
  for (const scheduler of ["sh", "dh"] as const) {
    expect(new Set(picks(scheduler, [1, 1, 1], 20, () => 0x0a000001)).size).toBe(1);
    const spread = picks(scheduler, [1, 1, 1], 300, (i) => 0x0a000000 + i);
    for (const l of "abc") expect(count(spread, l)).toBeGreaterThan(60);
  }
});

test("a server of weight 0 is never picked; without a usable one there is none", () => {
  for (const scheduler of SCHEDULERS) {
    // ovf alone has enough of a server that has as many connections as its weight.
    const n = scheduler === "ovf" ? 2 : 10;
    expect(picks(scheduler, [0, 2, 0], n, (i) => i)).toBe("b".repeat(n));
    expect(picks(scheduler, [0, 0], 1)).toBe("!");
    expect(picks(scheduler, [], 1)).toBe("!");
  }
});

test("mh spreads by weight, and one server less moves few of the others' sources", () => {
  const all = (weights: number[]) => picks("mh", weights, 2000, (i) => Math.imul(i + 1, 0x85ebca6b) >>> 0, false);
  const even = all([1, 1, 1, 1]);
  for (const l of "abcd") expect(count(even, l)).toBeGreaterThan(380);
  expect(count(all([3, 1]), "a") / 2000).toBeCloseTo(0.75, 1);
  const less = all([1, 1, 1, 0]);
  const moved = [...even].filter((l, i) => l !== "d" && l !== less[i]).length;
  expect(moved).toBeLessThan(300);
});

test("fo takes the heaviest, ovf the heaviest that has room", () => {
  expect(picks("fo", [1, 3, 2], 3)).toBe("bbb");
  expect(picks("fo", [1, 0, 2], 2)).toBe("cc");
  expect(picks("ovf", [1, 3, 2], 6)).toBe("bbbcca");
  expect(picks("ovf", [1, 1], 3)).toBe("ab!");
});
