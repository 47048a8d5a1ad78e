import { expect, test } from "vitest";
import { Buffered } from "./buffered.ts";

function source() {
  const calls: string[] = [];
  return { calls, pause: () => void calls.push("pause"), resume: () => void calls.push("resume") };
}

test("messages are consumed one at a time, in order, whenever they came", async () => {
  const s = source();
  const b = new Buffered(s);
  const seen: string[] = [];
  b.push(Buffer.from("early"));
  b.drain(async (m) => {
    await Promise.resolve();
    seen.push(String(m));
  });
  b.push(Buffer.from("late"));
  await expect.poll(() => seen).toEqual(["early", "late"]);
  expect(s.calls).toEqual([]);
});

test("what waits pauses the source until it is consumed", async () => {
  const s = source();
  const b = new Buffered(s);
  for (let i = 0; i < 40; i++) b.push(Buffer.alloc(64 * 1024));
  expect(s.calls).toEqual(["pause"]);
  let bytes = 0;
  b.drain((m) => {
    bytes += m.length;
  });
  await expect.poll(() => s.calls).toEqual(["pause", "resume"]);
  expect(bytes).toBe(40 * 64 * 1024);
});

test("a consumer that fails gets no more, and nothing is thrown at the source", async () => {
  const s = source();
  const b = new Buffered(s);
  let consumed = 0;
  b.drain(() => {
    consumed++;
    return Promise.reject(new Error("gone"));
  });
  b.push(Buffer.from("a"));
  await expect.poll(() => s.calls).toEqual(["resume"]);
  b.push(Buffer.from("b"));
  expect(consumed).toBe(1);
});
