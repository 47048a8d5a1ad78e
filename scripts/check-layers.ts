// The rules of the house that a formatter cannot see, as pure checks over source text, and a thin shell that reads the tree:
//   - imports point down the layers of docs/architecture.md, and only through a package's door (its bare name);
//   - the clock, timers and randomness come from `base`; process.env is read only in config.ts and main.ts;
//   - every file starts with a comment that says what it is, and ends before line 601;
//   - generated files are what their generator would write now.
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { root } from "./node.mjs";

const LAYERS: Record<string, number> = {
  base: 0,
  api: 1,
  net: 1,
  bus: 1,
  store: 2,
  client: 2,
  runtime: 2,
  apiserver: 3,
  "controller-manager": 3,
  scheduler: 3,
  "node-agent": 3,
  edge: 3,
  dashboard: 3,
  cli: 4,
  testkit: 4,
};
/** Within a layer: who may use whom (a package without I/O may not reach one that has it). */
const SIDEWAYS: Record<string, readonly string[]> = { runtime: ["net", "api"] };
const MAX_LINES = 600;

const CLOCK = [
  [/\bDate\.now\s*\(/, "Date.now"],
  [/\bnew Date\(\s*\)/, "new Date()"],
  // A call, not a method of that name as node:net sockets have one.
  [/(?<![.\w])set(Timeout|Interval|Immediate)\s*\((?!\w+\??: )/, "setTimeout, setInterval or setImmediate"],
  [/\bMath\.random\s*\(/, "Math.random"],
  [/\bperformance\.now\s*\(/, "performance.now"],
] as const;

export interface Source {
  /** Path from the root, with "/". */
  path: string;
  text: string;
}

/** Every broken rule of one file, as "path:line: what is wrong". */
export function checkSource({ path, text }: Source): string[] {
  const problems: string[] = [];
  const lines = text.split("\n");
  const say = (line: number, what: string) => problems.push(`${path}:${line}: ${what}`);
  const generated = path.includes("/generated/");
  const test = /\.(test|suite)\.ts$/.test(path) || path.startsWith("test/") || path.startsWith("bench/");
  const room = roomOf(path);

  if (!generated && lines.length > MAX_LINES + 1)
    say(MAX_LINES + 1, `${lines.length} lines; look for the second concept in it (limit ${MAX_LINES})`);
  // A test is named after what it tests and says the rest in its titles.
  if (!generated && !path.endsWith(".test.ts") && !/^(#!.*\n)?(\/\/|\/\*)/.test(text))
    say(1, "the first line must be a comment that says what the file is");
  for (const { specifier, line } of importsOf(text)) {
    const problem = room && importProblem(room, path, specifier, test);
    if (problem) say(line, problem);
  }
  if (!room || room === "base" || room === "testkit" || test || generated) return problems;
  const mayReadEnv = ["main.ts", "config.ts"].includes(basename(path));
  lines.forEach((raw, i) => {
    const code = withoutComment(raw);
    for (const [pattern, name] of CLOCK) if (pattern.test(code)) say(i + 1, `${name}: take a Clock or Random from @podwire/base instead`);
    if (!mayReadEnv && /\bprocess\.env\b/.test(code)) say(i + 1, "process.env is read only in config.ts and main.ts");
  });
  return problems;
}

function importProblem(room: string, path: string, specifier: string, test: boolean): string | undefined {
  if (specifier.startsWith(".")) {
    const target = roomOf(join(path, "..", specifier).replaceAll("\\", "/"));
    return target === room ? undefined : `import of ${specifier} leaves the package: use its door`;
  }
  const m = /^@podwire\/([^/]+)(\/.*)?$/.exec(specifier);
  if (!m) return undefined;
  const [, target, deep] = m as unknown as [string, string, string | undefined];
  if (deep === "/testing" && test) return undefined; // Fixtures that a package offers to the tests of others.
  if (deep) return `import of ${specifier} goes past the door of @podwire/${target}`;
  if (target === "testkit") return test ? undefined : "@podwire/testkit is for tests only";
  const [mine, theirs] = [LAYERS[room] ?? 9, LAYERS[target]];
  if (theirs === undefined) return `@podwire/${target} has no layer`;
  if (theirs < mine || target === room || SIDEWAYS[room]?.includes(target)) return undefined;
  return `@podwire/${room} (layer ${mine}) may not import @podwire/${target} (layer ${theirs})`;
}

/** "packages/net/src/x.ts" -> "net"; undefined outside packages/ and services/. */
function roomOf(path: string): string | undefined {
  return /^(?:packages|services)\/([^/]+)\//.exec(path)?.[1];
}

/** Static, type-only, re-exporting and dynamic imports with their 1-based lines. */
export function importsOf(text: string): { specifier: string; line: number }[] {
  const found: { specifier: string; line: number }[] = [];
  const pattern = /(?:^\s*(?:import|export)\b[^;"'`]*?\bfrom\s*|^\s*import\s*|\bimport\s*\(\s*)["']([^"']+)["']/gm;
  for (const m of text.matchAll(pattern)) {
    const end = (m.index ?? 0) + m[0].length;
    found.push({ specifier: m[1] as string, line: text.slice(0, end).split("\n").length });
  }
  return found;
}

/** A line without its // comment, as far as one can tell without parsing: a // inside quotes stays. */
function withoutComment(line: string): string {
  if (/^\s*(\*|\/\*)/.test(line)) return "";
  const at = line.search(/(?<![:"'`\\/])\/\/(?!["'`])/);
  return at < 0 ? line : line.slice(0, at);
}

function sourcesBelow(dir: string): Source[] {
  if (!existsSync(dir)) return [];
  return readdirSync(dir, { withFileTypes: true }).flatMap((e) => {
    const path = join(dir, e.name);
    if (e.isDirectory()) return ["node_modules", "dist", "vectors"].includes(e.name) ? [] : sourcesBelow(path);
    return /\.(ts|mjs)$/.test(e.name) ? [{ path: relative(root, path), text: readFileSync(path, "utf8") }] : [];
  });
}

/** Asks the generator, when there is one, whether its files are fresh. */
function staleGenerated(): string[] {
  const script = join(root, "scripts", "generate.ts");
  if (!existsSync(script)) return [];
  const tables = process.env["PODWIRE_SPEC"] ?? join(root, "..", "shared", "spec");
  if (!existsSync(tables)) {
    console.log(`generated files: not compared, because their source (${tables}) is not here`);
    return [];
  }
  const run = spawnSync(process.execPath, [script, "--check"], { cwd: root, encoding: "utf8" });
  return run.status === 0 ? [] : [`generated files are stale (npm run generate): ${`${run.stdout}${run.stderr}`.trim()}`];
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const sources = ["packages", "services", "test", "bench", "scripts", "bin", "examples"].flatMap((d) => sourcesBelow(join(root, d)));
  const problems = [...sources.flatMap(checkSource), ...staleGenerated()];
  for (const p of problems) console.log(p);
  console.log(problems.length === 0 ? `layers: ${sources.length} files keep the rules` : `layers: ${problems.length} problems`);
  process.exitCode = problems.length === 0 ? 0 : 1;
}
