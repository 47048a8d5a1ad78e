// Every suite of truth tables that is in the repository, a case for each row; suite `api` has its cases in api-scenarios.test.ts.
// A suite runs its rows as it likes (in parallel, on shared objects) before its cases say what came of them. `npm run test:vectors` prints the same.
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { runSuite, suiteFolders } from "./run.ts";

for (const name of suiteFolders(import.meta.dirname).filter((n) => n !== "api")) {
  const { rows = [], failures } = await runSuite(name, join(import.meta.dirname, name));
  describe(name, () => {
    test("has rows, and ran to its end", () => {
      expect(rows.length).toBeGreaterThan(0);
      expect(failures).toHaveLength(rows.filter((r) => r.problem !== "").length);
    });
    for (const row of rows) test(row.name, () => expect(row.problem).toBe(""));
  });
}
