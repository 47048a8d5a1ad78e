// Writes packages/api/src/generated from a folder of specification tables.
//   npm run generate [-- <folder>] [--check]
// The folder is the argument, else PODWIRE_SPEC, else ../shared/spec. With --check nothing is written, and stale
// files are listed with exit code 1.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { writeFields } from "./generate/fields.ts";
import { writeResources } from "./generate/resources.ts";
import { readSpec } from "./generate/spec.ts";
import { writeTypes } from "./generate/types.ts";

const root = resolve(dirname(fileURLToPath(import.meta.url)), "..");
const args = process.argv.slice(2);
const check = args.includes("--check");
const dir = args.find((a) => !a.startsWith("-")) ?? process.env.PODWIRE_SPEC ?? join(root, "..", "shared", "spec");
const out = join(root, "packages/api/src/generated");
const BANNER = "// Generated from the Kubernetes 1.34 field and resource tables by `npm run generate`; do not edit.\n";

if (!existsSync(join(dir, "k8s-api-1.34.json"))) {
  process.stderr.write(`no specification tables in ${dir}; name the folder: npm run generate -- <folder>\n`);
  process.exit(2);
}
const spec = readSpec(dir);
const files = { ...writeTypes(spec, BANNER), ...writeFields(spec, BANNER), ...writeResources(spec, BANNER) };
let stale = 0;
for (const [name, text] of Object.entries(files)) {
  const path = join(out, name);
  if (existsSync(path) && readFileSync(path, "utf8") === text) continue;
  stale++;
  if (check) process.stderr.write(`stale: ${path}\n`);
  else {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
  }
}
process.stderr.write(
  check
    ? `${stale} of ${Object.keys(files).length} generated files are stale\n`
    : `${stale} of ${Object.keys(files).length} files written\n`,
);
if (check && stale) process.exit(1);
