import { virtualClock } from "@podwire/testkit";
import { describe, expect, test } from "vitest";
import { tryConvergence } from "./convergence.ts";

const SEEDS = 12;

describe("under faults", () => {
  for (let seed = 1; seed <= SEEDS; seed++)
    test(`seed ${seed} converges and then is quiet`, async () => {
      const result = await tryConvergence({ seed, clock: virtualClock() });
      expect(result.failure).toBeUndefined();
    });
});
