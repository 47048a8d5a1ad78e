// Suite `shell`: scripts through the shell and applets of the busybox image, against what BusyBox printed (test/vectors/shell).
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { seededRandom, silentLogger, systemClock } from "@podwire/base";
import { NetNamespace } from "@podwire/net";
import { createPodSandbox, ImageCatalogue, type NetStack } from "@podwire/runtime";
import { type SuiteResult, Tally } from "./suite.ts";

interface Row {
  name: string;
  script: string;
  stdin?: string;
  files?: Record<string, string | null>;
  args?: string[];
  shflags?: string[] | string;
  notes?: string;
  expect: { stdout: string; stderr: string; exitCode: number };
}

/** Rows about the recorded build, not about what images do. */
const EXCEPT: Record<string, string> = {
  "expansion-030": "a fault of the recorded build: the rest of the word after ~nosuchuser is lost",
  "jobs-023": "the image has nohup",
  "signal-008": "recorded with SIGQUIT ignored from outside",
  "test-028": "parentheses in [[ ]]: another message of the same refusal",
  "grep-006": "the recorded grep takes a lone [ for text",
  "builtin-004": "the recorded shell finds applets without PATH, the image's does not",
  "builtin-006": "the recorded shell finds applets without PATH, the image's does not",
  "awk-008": "the recorded awk has no mathematics",
  "awk-009": "the recorded awk cannot read a comparison in print",
  "misc-012": "a fault of the recorded build: paste leaves out the last newline",
  "misc-032": "bc, dc and vi are not built",
  "misc-034": "/etc/passwd and the links in /bin are the image's",
};

/** A script that takes longer has failed. */
const LIMIT_MS = 15_000;
const FOLDER = "/the-empty-folder";
/** Scripts that run at the same time: most of their life is sleep. */
const PARALLEL = 16;

export async function run(dir: string): Promise<SuiteResult> {
  const result = new Tally();
  const rows = readdirSync(dir)
    .filter((f) => f.endsWith(".json"))
    .flatMap((f) => JSON.parse(readFileSync(join(dir, f), "utf8")) as Row[])
    .filter((r) => r.notes === undefined && !(r.name in EXCEPT));
  const only = process.env["PODWIRE_VECTOR"];
  const queue = only === undefined ? rows : rows.filter((r) => r.name.startsWith(only));
  let next = 0;
  await Promise.all(
    Array.from({ length: PARALLEL }, async () => {
      for (let r = queue[next++]; r !== undefined; r = queue[next++]) {
        result.note(r.name, await check(r));
      }
    }),
  );
  return result;
}

async function check(r: Row): Promise<string | undefined> {
  const got = await execute(r);
  if (got === undefined) return `did not end: ${JSON.stringify(r.script).slice(0, 200)}`;
  for (const k of ["stdout", "stderr", "exitCode"] as const) {
    if (same(got[k], r.expect[k])) continue;
    return `${k} of ${JSON.stringify(r.script).slice(0, 160)}\n      got    ${JSON.stringify(got[k]).slice(0, 400)}\n      wanted ${JSON.stringify(r.expect[k]).slice(0, 400)}`;
  }
  return undefined;
}

function same(got: string | number, wanted: string | number): boolean {
  if (got === wanted) return true;
  if (typeof got !== "string" || typeof wanted !== "string") return false;
  const bare = (s: string) =>
    s.replaceAll(/BusyBox v[^\n]*\n\n(?:Usage:[\s\S]*?(?=\n(?!or: )[a-z]+: |$))/g, "<usage>").replace(/<usage>\n?/g, "<usage>\n");
  return wanted.includes("BusyBox v") && bare(got) === bare(wanted);
}

/** The folder by its placeholder. */
function placed(b: Buffer): string {
  return b.toString("utf8").replaceAll(FOLDER, "<tmp>");
}

async function execute(r: Row): Promise<Row["expect"] | undefined> {
  const clock = systemClock;
  const random = seededRandom(1);
  const log = silentLogger;
  const netns = new NetNamespace({ name: "vectors", process: "vectors", clock, random, log });
  const sandbox = createPodSandbox({
    name: "vectors",
    namespace: "vectors",
    uid: "0",
    hostname: "<hostname>",
    netns: netns as unknown as NetStack,
    clock,
    random,
    log,
  });
  const resolution = new ImageCatalogue({ strict: true }).resolve("busybox");
  if (resolution.kind !== "image") throw new Error("no busybox in the catalogue");
  const keep = sandbox.createContainer({
    name: "shell",
    image: resolution.image,
    command: ["sleep", "1000"],
    env: { HOME: "/root", PATH: "/bin:/sbin:/usr/bin:/usr/sbin" },
    mounts: [],
  });
  try {
    keep.start();
    const flags = typeof r.shflags === "string" ? r.shflags.split(" ") : (r.shflags ?? []);
    const prepare = keep.execute(["sh", "-c", `mkdir -p ${FOLDER}`]);
    await prepare.wait();
    for (const [path, text] of Object.entries(r.files ?? {})) {
      if (text === null) continue;
      const full = path.startsWith("/") ? path : `${FOLDER}/${path}`;
      const w = keep.execute(["sh", "-c", 'mkdir -p "$(dirname "$0")"; cat > "$0"', full], { stdin: true });
      await w.write(Buffer.from(text));
      w.endInput();
      await w.wait();
    }
    const session = keep.execute(
      ["env", "-i", "HOME=/root", "PATH=/bin:/sbin:/usr/bin:/usr/sbin", "sh", ...flags, "-c", r.script, ...(r.args ?? [])],
      { stdin: true, workingDir: FOLDER },
    );
    const out = { stdout: [] as Buffer[], stderr: [] as Buffer[] };
    session.onOutput((stream, bytes) => void out[stream].push(Buffer.from(bytes)));
    void session.write(Buffer.from(r.stdin ?? "")).then(() => session.endInput());
    const ended = await Promise.race([
      session.wait(),
      new Promise<undefined>((resolve) => setTimeout(() => resolve(undefined), LIMIT_MS).unref()),
    ]);
    if (ended === undefined) return undefined;
    // What background processes still write belongs to the record.
    await new Promise((resolve) => setImmediate(resolve));
    return {
      stdout: placed(Buffer.concat(out.stdout)),
      stderr: placed(Buffer.concat(out.stderr)),
      exitCode: ended.signal !== 0 ? 128 + ended.signal : ended.code,
    };
  } finally {
    sandbox.stop();
    netns.close();
  }
}
