// Every suite of truth tables that is in the repository, as one test each; suite `api` has a case per scenario in
// api-scenarios.test.ts. `npm run test:vectors` prints the same with all failures.
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { runSuite, suiteFolders } from "./run.ts";

describe("truth tables", () => {
  for (const name of suiteFolders(import.meta.dirname).filter((n) => n !== "api"))
    test(name, { timeout: 300_000 }, async () => {
      const result = await runSuite(name, join(import.meta.dirname, name));
      expect(result.failures).toEqual([]);
      expect(result.passed).toBeGreaterThan(0);
    });
});
