// Prints the titles of every test under test/conformance and test/serial as JSON, a list of [title, file].
//   node scripts/node.mjs scripts/conformance-titles.ts
// The files are run with a vitest that only takes names down: titles are often composed, so reading the text would not find them.
// Invariant: no test body runs and nothing is started.
import { readdirSync, statSync } from "node:fs";
import { registerHooks } from "node:module";
import { join, relative } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const FOLDERS = ["test/conformance", "test/serial"];

/** Stands in for the module "vitest". */
const RECORDER = `
const found = (globalThis.__titles ??= []);
const known = { concurrent: 1, sequential: 1, skip: 1, only: 1, todo: 1, fails: 1 };
const each = (take) => (cases) => (name, body) => { for (const c of cases) take(String(name).replace("%s", [c].flat()[0]), body, [c].flat()); };
const wrap = (take) => new Proxy(take, { get: (t, key) => {
  if (key in known) return wrap(take);
  if (key === "skipIf" || key === "runIf") return () => wrap(take);
  if (key === "each" || key === "for") return each(take);
  return t[key];
} });
export const it = wrap((name) => void found.push(String(name)));
export const test = it;
export const describe = wrap((name, body, args = []) => void (typeof body === "function" && body(...args)));
export const suite = describe;
export const beforeAll = () => {}, afterAll = () => {}, beforeEach = () => {}, afterEach = () => {}, onTestFinished = () => {};
const any = new Proxy(() => any, { get: () => any });
export const expect = any, vi = any;
export const inject = () => "";
`;

registerHooks({
  resolve: (specifier, context, next) =>
    specifier === "vitest" ? { url: `data:text/javascript,${encodeURIComponent(RECORDER)}`, shortCircuit: true } : next(specifier, context),
});

function testsBelow(folder: string): string[] {
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name);
    if (statSync(path).isDirectory()) return testsBelow(path);
    return name.endsWith(".test.ts") ? [path] : [];
  });
}

const taken = (): string[] => ((globalThis as { __titles?: string[] }).__titles ??= []);
const titles: [string, string][] = [];
for (const folder of FOLDERS)
  for (const file of testsBelow(join(root, folder)).sort()) {
    const before = taken().length;
    await import(pathToFileURL(file).href);
    for (const title of taken().slice(before)) titles.push([title.replace(/ \(skipped: .*\)$/s, ""), relative(root, file)]);
  }
process.stdout.write(JSON.stringify(titles), () => process.exit(0));
