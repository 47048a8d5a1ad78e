// Few watchers are written to at once, many together: on the virtual clock, so that the times are exact.
import { virtualClock } from "@podwire/testkit";
import { expect, it } from "vitest";
import { GATHER_MS, MANY, WatchFlusher } from "./watch-flusher.ts";

it("writes to a few in the next turn, every time", async () => {
  const clock = virtualClock();
  const flusher = new WatchFlusher(clock);
  let writes = 0;
  const flush = () => void writes++;
  for (let i = 1; i <= 5; i++) {
    flusher.add(flush);
    flusher.add(flush);
    await clock.advance(0);
    expect(writes).toBe(i);
  }
});

it("gathers what many get, and writes to each once within the time", async () => {
  const clock = virtualClock();
  const flusher = new WatchFlusher(clock);
  const writes = new Map<number, number>();
  const watchers = Array.from({ length: MANY }, (_, i) => () => void writes.set(i, (writes.get(i) ?? 0) + 1));
  const event = () => {
    for (const w of watchers) flusher.add(w);
  };
  event();
  await clock.advance(0);
  expect([...writes.values()]).toEqual(watchers.map(() => 1));
  event();
  await clock.advance(0);
  event();
  expect([...writes.values()]).toEqual(watchers.map(() => 1));
  await clock.advance(GATHER_MS);
  expect([...writes.values()]).toEqual(watchers.map(() => 2));
});
