// Restart delays: doubling, limit, and the reset after a healthy life.
import { expect, it } from "vitest";
import { afterDeath, FIRST_DELAY_MS, HEALTHY_LIFE_MS, MAX_DELAY_MS } from "./back-off.ts";

it("doubles the delay up to its limit and forgets after a healthy life", () => {
  let lives = { quickDeaths: 0 };
  const delays: number[] = [];
  for (let i = 0; i < 12; i++) {
    const next = afterDeath(lives, 10);
    lives = next.lives;
    delays.push(next.delayMs);
  }
  expect(delays.slice(0, 4)).toEqual([FIRST_DELAY_MS, 2 * FIRST_DELAY_MS, 4 * FIRST_DELAY_MS, 8 * FIRST_DELAY_MS]);
  expect(delays.at(-1)).toBe(MAX_DELAY_MS);
  expect(afterDeath(lives, HEALTHY_LIFE_MS).delayMs).toBe(FIRST_DELAY_MS);
});
