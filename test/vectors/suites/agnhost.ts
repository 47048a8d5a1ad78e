// Suite `agnhost`: each record starts the image's program in a sandbox of its own, talks to it as the recorder did, and compares what
// it printed and answered, with times, names and ports as placeholders.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { seededRandom, silentLogger, systemClock } from "@podwire/base";
import { NetNamespace } from "@podwire/net";
import { type Container, createPodSandbox, FileSystem, ImageCatalogue } from "@podwire/runtime";
import { type Answer, ask, type Request } from "./agnhost-client.ts";
import { type SuiteResult, Tally } from "./suite.ts";

interface Step {
  kind: "sleep" | "signal" | "writefile" | "http";
  seconds?: number;
  signal?: string;
  path?: string;
  content?: string;
  [more: string]: unknown;
}

type FileSpec = string | null | { content?: string; mode?: string; uid?: number; gid?: number; dir?: boolean; symlink?: string };

interface Case {
  name: string;
  subcommand: string;
  args: string[];
  argv0?: string;
  env?: Record<string, string>;
  files?: Record<string, FileSpec>;
  uid?: number;
  kind: "cli" | "http" | "udp" | "tcp" | "grpc";
  helpers?: { args: string[]; waitFor: { proto: string; port: number }[] }[];
  waitFor?: { proto: string; port: number }[];
  before?: Step[];
  during?: Step[];
  request?: Request;
  observedSeconds?: number;
  expect: Record<string, unknown> & { stdout: string; stderr?: string; exitCode?: number | null };
}

const SILENT = "127.0.0.1:7778";
const HOSTNAME = "oracle-host-7f";
const SIGNALS: Record<string, number> = { HUP: 1, INT: 2, KILL: 9, USR1: 10, TERM: 15 };
/** Cases under way at a time: most wait for a clock. */
const JOBS = 24;

export async function run(dir: string): Promise<SuiteResult> {
  const result = new Tally();
  const cases = readdirSync(dir)
    .filter((f) => f.endsWith(".json"))
    .flatMap((f) => JSON.parse(readFileSync(join(dir, f), "utf8")) as Case[]);
  const skip = new Set(readdirSync(dir).includes("exceptions.txt") ? exceptions(readFileSync(join(dir, "exceptions.txt"), "utf8")) : []);
  const queue = cases.filter((c) => !skip.has(c.name));
  await Promise.all(
    Array.from({ length: JOBS }, async () => {
      for (let c = queue.shift(); c; c = queue.shift()) {
        const problems = await check(c).catch((e: unknown) => [`threw ${e instanceof Error ? (e.stack ?? e.message) : String(e)}`]);
        result.note(c.name, problems);
      }
    }),
  );
  return result;
}

/** Lines "name  # reason". */
function exceptions(text: string): string[] {
  return text
    .split("\n")
    .map((l) => l.replace(/\s+#.*$/, "").trim())
    .filter((l) => l !== "");
}

class Sandbox {
  readonly ns: NetNamespace;
  readonly #pod: ReturnType<typeof createPodSandbox>;
  constructor() {
    this.ns = new NetNamespace({ name: "oracle", process: "test", clock: systemClock, random: seededRandom(1), log: silentLogger });
    this.#pod = createPodSandbox({
      name: "oracle",
      namespace: "default",
      uid: "1",
      hostname: HOSTNAME,
      // As PID 1 a program would not die of signals that it does not handle; the recorder ran it below another.
      shareProcessNamespace: true,
      netns: this.ns,
      clock: systemClock,
      random: seededRandom(2),
      log: silentLogger,
    });
  }
  start(argv: string[], c: Pick<Case, "env" | "files" | "uid">): Running {
    const found = new ImageCatalogue({ strict: true }).resolve("registry.k8s.io/e2e-test-images/agnhost:2.56");
    if (found.kind !== "image") throw new Error("no agnhost image");
    const container = this.#pod.createContainer({
      name: "c",
      image: found.image,
      command: argv,
      env: c.env ?? {},
      mounts: [tmpfs("/tmpfs", 0o755), tmpfs("/tmpfs1777", 0o1777)],
      ...(c.uid === undefined ? {} : { user: { uid: c.uid } as never }),
    });
    prepare(container, c.files ?? {});
    return new Running(container);
  }
  stop(): void {
    this.#pod.stop();
    this.ns.close();
  }
}

function tmpfs(mountPath: string, mode: number) {
  const fs = new FileSystem({ type: "tmpfs", now: () => systemClock.nowMs() });
  fs.root.mode = mode;
  return { mountPath, root: fs.root, readOnly: false, source: "tmpfs" };
}

class Running {
  out = { stdout: "", stderr: "" };
  readonly container: Container;
  readonly startedMs = systemClock.monotonicMs();
  endedMs = 0;
  exitCode: number | null = null;
  readonly ended: Promise<void>;
  constructor(container: Container) {
    this.container = container;
    container.onOutput((stream, bytes) => {
      this.out[stream] += Buffer.from(bytes).toString("utf8");
    });
    container.start();
    this.ended = container.wait().then((s) => {
      this.exitCode = s.signal > 0 ? 128 + s.signal : s.code;
      this.endedMs = systemClock.monotonicMs();
    });
  }
  take(): { stdout: string; stderr: string } {
    const taken = this.out;
    this.out = { stdout: "", stderr: "" };
    return taken;
  }
}

/** The recorder's root: what is always there, then the record's own files. */
function prepare(container: Container, files: Record<string, FileSpec>): void {
  const { mounts } = container;
  const root = { uid: 0, gid: 0, groups: [], override: true, pid: 0 } as never;
  const at = mounts.root;
  const dir = (path: string, mode = 0o755) => {
    try {
      mounts.mkdir(at, path, root, mode);
    } catch {
      // It is there.
    }
    mounts.chmod(at, path, root, mode);
  };
  const file = (path: string, content: string, mode: number) => {
    const f = mounts.open(at, path, root, { read: true, write: true, create: true, truncate: true, mode } as never) as never as {
      ref(): void;
      writeNow(b: Uint8Array): number;
      unref(): void;
    };
    f.ref();
    if (content !== "") f.writeNow(Buffer.from(content));
    f.unref();
    mounts.chmod(at, path, root, mode);
    mounts.utimes(at, path, root, 1_700_000_000_000, 1_700_000_000_000);
  };
  for (const d of ["/uploads", "/w", "/tmp", "/etc"]) dir(d);
  file("/etc/hosts", `127.0.0.1\tlocalhost\n10.1.2.3\t${HOSTNAME}\n`, 0o644);
  const search = "search default.svc.cluster.local svc.cluster.local cluster.local";
  file("/etc/resolv.conf", `${search}\nnameserver 127.0.0.1\noptions ndots:5\n`, 0o644);
  for (const [path, spec] of Object.entries(files)) {
    if (spec === null) {
      mounts.unlink(at, path, root);
      continue;
    }
    const parts = path.split("/").slice(1, -1);
    parts.forEach((_, i) => {
      const parent = `/${parts.slice(0, i + 1).join("/")}`;
      try {
        mounts.mkdir(at, parent, root, 0o755);
      } catch {
        // It is there.
      }
    });
    if (typeof spec === "string") file(path, spec, 0o644);
    else if (spec.dir) dir(path, Number.parseInt(spec.mode ?? "755", 8));
    else if (spec.symlink !== undefined) mounts.symlink(at, spec.symlink, path, root);
    else file(path, spec.content ?? "", Number.parseInt(spec.mode ?? "644", 8));
    if (typeof spec === "object" && spec.uid !== undefined) mounts.chown(at, path, root, spec.uid, spec.gid ?? 0);
  }
}

async function check(c: Case): Promise<string[]> {
  const sandbox = new Sandbox();
  try {
    for (const h of c.helpers ?? []) {
      sandbox.start(["/agnhost", ...h.args], {});
      await listening(sandbox, h.waitFor);
    }
    // The recorder had a socket there that receives and never answers.
    if (c.kind === "cli" && c.args[0] === SILENT) sandbox.ns.udpBind({ host: "127.0.0.1", port: 7778 });
    const r = sandbox.start([c.argv0 ?? "/agnhost", ...(c.subcommand === "" ? [] : [c.subcommand]), ...c.args], c);
    return c.kind === "cli" ? await checkCli(c, r) : await checkServer(c, r, sandbox);
  } finally {
    sandbox.stop();
  }
}

async function checkCli(c: Case, r: Running): Promise<string[]> {
  for (const s of c.during ?? []) await step(s, r, undefined);
  const limitMs = c.expect["stillRunning"] ? (c.observedSeconds ?? 1) * 1000 : 40_000;
  await Promise.race([r.ended, systemClock.sleep(limitMs)]);
  const got = { ...r.out, exitCode: r.exitCode };
  if (c.expect["stillRunning"]) {
    return [
      ...(r.exitCode === null ? [] : [`ended with ${r.exitCode}`]),
      ...same("stdout", got.stdout, c.expect.stdout),
      ...same("stderr", got.stderr, c.expect.stderr),
    ];
  }
  return [
    ...same("exitCode", got.exitCode, c.expect.exitCode),
    ...same("stdout", got.stdout, c.expect.stdout),
    ...same("stderr", got.stderr, c.expect.stderr),
    ...lineChecks(c, got.stderr),
    ...elapsed(c, r),
  ];
}

function lineChecks(c: Case, stderr: string): string[] {
  const count = c.expect["stderrLineCount"] as number | undefined;
  if (count === undefined) return [];
  const lines = stderr.split("\n").filter((l) => l !== "");
  const pattern = new RegExp(c.expect["stderrLineRegex"] as string);
  return [...same("lines", lines.length, count), ...lines.filter((l, i) => Number(pattern.exec(l)?.[1]) !== i).map((l) => `line ${l}`)];
}

function elapsed(c: Case, r: Running): string[] {
  const wanted = c.expect["elapsedSeconds"] as number | undefined;
  if (wanted === undefined || r.endedMs === 0) return [];
  const got = Math.floor((r.endedMs - r.startedMs) / 1000 + 0.05);
  return Math.abs(got - wanted) <= 1 ? [] : [`took ${got} s, wanted ${wanted}`];
}

async function checkServer(c: Case, r: Running, sandbox: Sandbox): Promise<string[]> {
  await listening(sandbox, c.waitFor ?? [], r);
  for (const s of c.before ?? []) await step(s, r, { sandbox, port: c.request?.port ?? 8080 });
  await systemClock.sleep(c.expect["error"] === "ECONNREFUSED" ? 200 : 40);
  const started = r.take();
  const answer = await ask(sandbox.ns, c.kind as "http", c.request as Request);
  if (c.expect.exitCode !== undefined && c.expect.exitCode !== null) await Promise.race([r.ended, systemClock.sleep(10_000)]);
  await systemClock.sleep(30);
  const after = r.take();
  return [
    ...compareAnswer(c, answer),
    ...same("startStdout", started.stdout, c.expect["startStdout"]),
    ...sameLines("startStderr", started.stderr, c.expect["startStderr"] as string | undefined),
    ...same("stdout", after.stdout, c.expect.stdout),
    ...same("stderr", after.stderr, c.expect.stderr),
    ...(c.expect.exitCode === undefined ? [] : same("exitCode", r.exitCode, c.expect.exitCode)),
  ];
}

function compareAnswer(c: Case, a: Answer): string[] {
  const problems: string[] = [];
  for (const key of ["status", "error", "body", "reply", "bodyHex"])
    if (key in c.expect) problems.push(...same(key, a[key as keyof Answer] ?? null, c.expect[key]));
  for (const key of ["headers", "trailers"] as const) {
    const wanted = c.expect[key] as Record<string, string> | null | undefined;
    if (!wanted) continue;
    const got = a[key] ?? {};
    for (const [k, v] of Object.entries(wanted))
      if (!headerMatches(got[k], v)) problems.push(`${key} ${k}: ${JSON.stringify(got[k])}, wanted ${JSON.stringify(v)}`);
    for (const k of Object.keys(got))
      if (!(k in wanted) && !(k === "content-length" && !("body" in c.expect)))
        problems.push(`${key} ${k}: ${JSON.stringify(got[k])}, wanted none`);
  }
  return problems;
}

const headerMatches = (got: string | undefined, wanted: string) =>
  wanted === "<len>" || wanted === "<date>" ? got !== undefined : got === wanted;

async function step(s: Step, r: Running, http: { sandbox: Sandbox; port: number } | undefined): Promise<void> {
  if (s.kind === "sleep") await systemClock.sleep((s.seconds ?? 0) * 1000);
  else if (s.kind === "signal") {
    r.container.kill(SIGNALS[s.signal ?? "TERM"] ?? 15);
    await systemClock.sleep(50);
  } else if (s.kind === "writefile") prepare(r.container, { [s.path ?? ""]: s.content ?? "" });
  else if (http) await ask(http.sandbox.ns, "http", { port: http.port, ...(s as object) } as Request);
}

/** Polls until something listens on every port, or the program has ended. */
async function listening(sandbox: Sandbox, ports: { proto: string; port: number }[], r?: Running): Promise<void> {
  for (const { proto, port } of ports) {
    // A probe would show in the log of a server that logs every connection.
    if (proto !== "tcp" || r?.container.argv().includes("--tcp")) continue;
    for (let i = 0; i < 100 && r?.exitCode == null; i++) {
      const ok = await new Promise<boolean>((resolve) => {
        const s = sandbox.ns.tcpConnect({ host: "127.0.0.1", port, timeoutMs: 500 });
        s.once("connect", () => {
          s.destroy();
          resolve(true);
        });
        s.once("error", () => resolve(false));
      });
      if (ok) break;
      await systemClock.sleep(10);
    }
  }
}

function same(what: string, got: unknown, wanted: unknown): string[] {
  if (wanted === undefined) return [];
  if (typeof got === "string" && typeof wanted === "string") {
    if (matches(got, wanted)) return [];
  } else if (got === wanted) return [];
  return [`${what}: ${JSON.stringify(got)}, wanted ${JSON.stringify(wanted)}`];
}

/** Start-up lines of two listeners may swap. */
function sameLines(what: string, got: string, wanted: string | undefined): string[] {
  if (wanted === undefined || matches(got, wanted)) return [];
  const sorted = (s: string) => normal(s).split("\n").sort().join("\n");
  return sorted(got) === sorted(wanted) ? [] : [`${what}: ${JSON.stringify(normal(got))}, wanted ${JSON.stringify(wanted)}`];
}

const PLACEHOLDERS: Record<string, string> = {
  "<hostname>": HOSTNAME,
  "<time>": ".+?",
  "<date>": ".+?",
  "<pid>": "\\d+",
  "<clientport>": "\\d+",
  "<duration>": "[0-9.]+(ns|µs|ms|s)",
  "<random>": "\\d+",
  "<len>": "\\d+",
  "<goroutine stack>": "goroutine .+?",
};

/** `wanted` with its placeholders as patterns. */
function matches(got: string, wanted: string): boolean {
  const pattern = wanted
    .split(/(<(?:hostname|time|date|pid|clientport|duration|random|len|goroutine stack)>)/)
    .map((part) => PLACEHOLDERS[part] ?? part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"))
    .join("");
  // "error: 11.154734682" is a duration without its placeholder.
  const loose = pattern.replace(/error: \d+\\\.\d{9}$/, "error: \\d+\\.\\d{9}");
  return new RegExp(`^${loose}$`, "s").test(normal(got));
}

function normal(s: string): string {
  return s
    .replace(/^([IWEF])\d{4} \d\d:\d\d:\d\d\.\d{6} +\d+ /gm, "$1<time> <pid> ")
    .replaceAll("<time> <pid> ", "<time> 1 ")
    .replace(/([IWEF])<time> 1 /g, "$1T 1 ");
}
