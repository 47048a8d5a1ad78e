// npm run test:vectors: runs every suite of truth tables under test/vectors/<suite>/, or under the folder that PODWIRE_VECTORS names,
// and prints per suite passed and failed. Exit code 1 when a row failed, or a folder has no suite that can read it.
import { existsSync, readdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { reasonOf } from "@podwire/base";
import type { RunSuite, SuiteResult } from "./suites/suite.ts";

export const suitesFolder = join(import.meta.dirname, "suites");

/** Folders of tables below `root`, by suite name. */
export function suiteFolders(root: string): string[] {
  return readdirSync(root, { withFileTypes: true })
    .filter((d) => d.isDirectory() && d.name !== "suites")
    .map((d) => d.name)
    .sort();
}

/** Runs the suite `name` over the tables in `dir`; a suite that throws has failed as a whole. */
export async function runSuite(name: string, dir: string): Promise<SuiteResult> {
  const file = join(suitesFolder, `${name}.ts`);
  if (!existsSync(file)) return { passed: 0, failed: 1, failures: [`no suite reads ${dir}: test/vectors/suites/${name}.ts is missing`] };
  try {
    const { run } = (await import(file)) as { run: RunSuite };
    return await run(dir);
  } catch (e) {
    return { passed: 0, failed: 1, failures: [`the suite ended: ${reasonOf(e)}`] };
  }
}

if (import.meta.main) {
  const root = resolve(process.env["PODWIRE_VECTORS"] ?? import.meta.dirname);
  const wanted = process.argv.slice(2);
  let failed = 0;
  for (const name of suiteFolders(root)) {
    if (wanted.length > 0 && !wanted.includes(name)) continue;
    const r = await runSuite(name, join(root, name));
    failed += r.failed;
    for (const f of r.failures) console.log(`  ${name}: ${f}`);
    console.log(`${name}: ${r.passed} passed, ${r.failed} failed`);
  }
  process.exit(failed === 0 ? 0 : 1);
}
