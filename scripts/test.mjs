// npm test: lint, layers, types, then vitest: unit tests beside the code and the suites of test/ that start real processes.
//   npm test                      everything
//   npm test -- --unit [filter]   only the unit tests; --system [filter] only test/
// Invariant: the last line is "N passed, N failed", and the exit code is 0 exactly when nothing failed.
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { ensureInstalled } from "./install.mjs";
import { pinnedNode, root } from "./node.mjs";

const args = process.argv.slice(2);
const only = args.find((a) => a === "--unit" || a === "--system");
const filters = args.filter((a) => a !== only);
const total = { passed: 0, failed: 0, skipped: 0 };
const secondAttempts = [];

/** Runs a command of the work tree with the pinned Node; resolves with its exit code. */
function run(argv) {
  return new Promise((resolve) => {
    const child = spawn(pinnedNode, argv, { cwd: root, stdio: "inherit" });
    for (const s of ["SIGINT", "SIGTERM"]) process.once(s, () => child.kill(s));
    child.on("error", (e) => {
      console.error(String(e));
      resolve(1);
    });
    child.on("exit", (code) => resolve(code ?? 1));
  });
}

async function check(name, argv) {
  const startedMs = Date.now();
  const code = await run(argv);
  total[code === 0 ? "passed" : "failed"]++;
  console.log(`${code === 0 ? "✓" : "✗"} ${name} (${((Date.now() - startedMs) / 1000).toFixed(1)} s)`);
}

/** Suites of real processes get a second attempt at a test that failed; which tests needed it is said at the end. */
const SECOND_ATTEMPT = ["--retry=1", `--reporter=${join(root, "scripts", "second-attempts.mjs")}`];

async function vitest(project) {
  const dir = mkdtempSync(join(tmpdir(), "podwire-test-"));
  const report = join(dir, "report.json");
  const vitestMain = join(root, "node_modules", "vitest", "vitest.mjs");
  const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${report}`];
  const again = join(dir, "second-attempts");
  process.env.PODWIRE_SECOND_ATTEMPTS = again;
  if (project !== "unit") reporters.push(...SECOND_ATTEMPT);
  const code = await run([vitestMain, "run", "--project", project, "--passWithNoTests", ...reporters, ...filters]);
  if (existsSync(again)) secondAttempts.push(...readFileSync(again, "utf8").trim().split("\n"));
  try {
    const r = JSON.parse(readFileSync(report, "utf8"));
    total.passed += r.numPassedTests;
    total.skipped += r.numPendingTests + (r.numTodoTests ?? 0);
    // A suite that could not even be loaded has no tests of its own to count.
    const unloaded = r.testResults.filter((s) => s.status === "failed" && s.assertionResults.length === 0).length;
    const failed = r.numFailedTests + unloaded;
    total.failed += code !== 0 && failed === 0 ? 1 : failed;
  } catch (e) {
    console.error(`no report of ${project}: ${e.message}`);
    total.failed++;
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

/** Tests of the bus and the store need a nats-server: without one on PATH the launcher's own way gets it. */
function provideNats() {
  const r = spawnSync(pinnedNode, [join(root, "scripts", "obtain-nats.ts")], { cwd: root, encoding: "utf8" });
  if (r.status === 0) process.env.PATH = `${process.env.PATH}${delimiter}${r.stdout.trim()}`;
  else console.error(`no nats-server, tests that need one are skipped: ${r.stderr.trim().split("\n").at(-1)}`);
}

try {
  ensureInstalled();
  provideNats();
  if (!only) {
    await check("lint", [join(root, "node_modules", "@biomejs", "biome", "bin", "biome"), "check", "."]);
    await check("layers", [join(root, "scripts", "check-layers.ts")]);
    await check("types", [join(root, "node_modules", "typescript", "bin", "tsc"), "-p", "tsconfig.json", "--noEmit"]);
  }
  if (only !== "--system") await vitest("unit");
  if (only !== "--unit") await vitest("conformance");
  if (only !== "--unit") await vitest("system");
  if (only !== "--unit") await vitest("alone");
} catch (e) {
  console.error(e.message);
  total.failed++;
}
if (secondAttempts.length > 0) console.log(`passed at the second attempt only:\n  ${secondAttempts.join("\n  ")}`);
if (total.skipped > 0) console.log(`${total.skipped} skipped, each with its reason above`);
console.log(`${total.passed} passed, ${total.failed} failed`);
process.exitCode = total.failed === 0 ? 0 : 1;
