// The README's commands, run as printed: the block under "Use" from top to bottom in one shell.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { forgetHome, makeHome, missing, processesOf, root, run } from "./cluster.ts";

const skip = missing("kubectl", "npx");
const readme = readFileSync(join(root, "README.md"), "utf8");

it("is short", () => {
  expect(readme.split("\n").length).toBeLessThan(120);
});

it.skipIf(skip)(
  `commands under "Use" work as printed${skip ? ` (skipped: ${skip})` : ""}`,
  async () => {
    const block = /^## Use\n+```sh\n([\s\S]*?)```/m.exec(readme)?.[1] ?? "";
    expect(block).toContain("npx podwire up -d");
    const home = makeHome();
    try {
      // -e: the first command that fails ends the shell; -x: and the output says which it was.
      const r = await run("bash", ["-exo", "pipefail", "-c", block], { cwd: root, env: { PODWIRE_HOME: home } });
      expect(r, r.stderr.slice(-3000)).toMatchObject({ code: 0 });
      expect(r.stdout).toContain("deployment.apps/hello created");
      expect(r.stdout).toMatch(/^default\/hello\s+10\./m);
      expect(r.stdout).toMatch(/dnat/);
      expect(r.stdout).toContain("node-4");
      expect(processesOf(home)).toEqual([]);
    } finally {
      await run("npx", ["podwire", "down"], { cwd: root, env: { PODWIRE_HOME: home } });
      forgetHome(home);
    }
  },
  180_000,
);
