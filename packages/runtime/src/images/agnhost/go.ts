// What a Go program shows of itself: pflag's flags and errors, klog's lines, durations, strconv's complaints, JSON with HTML escaped,
// url.Values. agnhost is such a program, and its output is compared byte for byte.
import { parseJson } from "@podwire/api";
import { PodwireError } from "@podwire/base";
import type { Process } from "../../kernel/process.ts";

export type FlagKind = "string" | "int" | "bool" | "duration" | "stringSlice";

export interface FlagSpec {
  kind: FlagKind;
  short?: string;
  default?: string | number | boolean | readonly string[];
}

export type FlagValues = { [name: string]: string | number | boolean | string[] };

/** cobra prints "Error: <message>" and exits 1. */
export class UsageError extends PodwireError {}
/** `--help`: exit 0. */
export class HelpRequest extends PodwireError {}

/** Flags of the root command: klog's. */
const GLOBAL_FLAGS: { [name: string]: FlagSpec } = {
  v: { kind: "int", short: "v", default: 0 },
  vmodule: { kind: "string", default: "" },
  "log-flush-frequency": { kind: "duration", default: 5_000 },
};

/** pflag.Parse. Underscores in names count as dashes. Throws UsageError and HelpRequest. */
export function parseFlags(argv: readonly string[], own: { [name: string]: FlagSpec }): { flags: FlagValues; args: string[] } {
  const specs: { [name: string]: FlagSpec } = { ...GLOBAL_FLAGS, ...own };
  const flags: FlagValues = {};
  for (const [name, s] of Object.entries(specs)) flags[name] = (s.default as string) ?? ZERO[s.kind];
  const args: string[] = [];
  for (let i = 0; i < argv.length; i++) {
    const arg = argv[i] as string;
    if (arg === "--") {
      args.push(...argv.slice(i + 1));
      break;
    }
    if (!arg.startsWith("-") || arg === "-") {
      args.push(arg);
      continue;
    }
    const long = /^--([^=]+)(?:=(.*))?$/s.exec(arg);
    const name = long ? (long[1] as string).replaceAll("_", "-") : Object.keys(specs).find((n) => specs[n]?.short === arg[1]);
    if (name === "help" || arg === "-h") throw new HelpRequest("help");
    const spec = name === undefined ? undefined : specs[name];
    if (!spec || name === undefined)
      throw new UsageError(long ? `unknown flag: --${long[1]}` : `unknown shorthand flag: '${arg[1]}' in ${arg}`);
    const attached = long ? long[2] : arg.length > 2 ? arg.slice(2).replace(/^=/, "") : undefined;
    if (spec.kind === "bool") {
      flags[name] = attached === undefined ? true : /^(1|t|T|true|TRUE|True)$/.test(attached);
      continue;
    }
    const text = attached ?? argv[++i];
    if (text === undefined) throw new UsageError(`flag needs an argument: --${name}`);
    flags[name] = parseValue(name, spec, text);
  }
  return { flags, args };
}

const ZERO: { [K in FlagKind]: string | number | boolean | string[] } = { string: "", int: 0, bool: false, duration: 0, stringSlice: [] };

function parseValue(name: string, spec: FlagSpec, text: string): string | number | string[] {
  const shown = spec.short ? `-${spec.short}, --${name}` : `--${name}`;
  const bad = (why: string) => new UsageError(`invalid argument ${quote(text)} for ${quote(shown)} flag: ${why}`);
  switch (spec.kind) {
    case "int":
      if (!/^[+-]?\d+$/.test(text)) throw bad(`strconv.ParseInt: parsing ${quote(text)}: invalid syntax`);
      return Number(text);
    case "duration": {
      const d = parseDuration(text);
      if (typeof d === "string") throw bad(d);
      return d;
    }
    case "stringSlice":
      return text === "" ? [] : text.split(",");
    default:
      return text;
  }
}

/** cobra.ExactArgs and friends. */
export function checkArgs(args: readonly string[], least: number, most: number): void {
  const n = args.length;
  if (n >= least && n <= most) return;
  throw new UsageError(
    least === most && most > 0 ? `accepts ${most} arg(s), received ${n}` : `accepts at most ${most} arg(s), received ${n}`,
  );
}

/** time.ParseDuration to milliseconds, or Go's complaint. */
export function parseDuration(text: string): number | string {
  if (text === "0") return 0;
  const m = /^([+-]?)((?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|ms|s|m|h))+$/.exec(text);
  if (!m)
    return /^[+-]?\d+(\.\d*)?$/.test(text) ? `time: missing unit in duration ${quote(text)}` : `time: invalid duration ${quote(text)}`;
  const unit: { [u: string]: number } = { ns: 1e-6, us: 1e-3, µs: 1e-3, ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
  let total = 0;
  for (const [, n, u] of text.matchAll(/(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)/g)) total += Number(n) * (unit[u as string] as number);
  return m[1] === "-" ? -total : total;
}

/** time.Duration.String of milliseconds: "0s", "500ms", "1s", "1m30s". */
export function formatDuration(ms: number): string {
  if (ms === 0) return "0s";
  if (ms < 1000) return `${Number(ms.toFixed(6))}ms`;
  const h = Math.floor(ms / 3_600_000);
  const m = Math.floor((ms % 3_600_000) / 60_000);
  const s = `${Number(((ms % 60_000) / 1000).toFixed(9))}s`;
  return h > 0 ? `${h}h${m}m${s}` : m > 0 ? `${m}m${s}` : s;
}

/** A line of klog: "I1122 18:30:00.123456       7 log.go:245] message"; one line break at the end is the line's own. */
export function klogLine(p: Process, level: "I" | "W" | "E" | "F", where: string, message: string): string {
  const t = new Date(p.clock.nowMs());
  const two = (n: number) => String(n).padStart(2, "0");
  const micros = String(t.getUTCMilliseconds() * 1000).padStart(6, "0");
  const stamp = `${two(t.getUTCMonth() + 1)}${two(t.getUTCDate())} ${two(t.getUTCHours())}:${two(t.getUTCMinutes())}:${two(t.getUTCSeconds())}.${micros}`;
  return `${level}${stamp} ${String(p.pid).padStart(7)} ${where}] ${message.replace(/\n$/, "")}\n`;
}

/** The standard library's log, which agnhost sends through klog. */
export function log(p: Process, message: string): void {
  void p.printError(klogLine(p, "I", "log.go:245", message));
}

/** log.Fatal. */
export function fatal(p: Process, message: string): never {
  log(p, message);
  p.exit(1);
}

/** panic: the message, a stack and exit code 2. In a handler of a server the connection ends instead. */
export class GoPanic extends PodwireError {}

/** Stands where Go prints the goroutine's frames: there are none. */
export const GOROUTINE = "goroutine 1 [running]:";

/** A file that the program cannot do without. */
export function mustRead(p: Process, path: string): string {
  try {
    return p.fs.readText(path);
  } catch (e) {
    throw new GoPanic(`open ${path}: ${sysText(e)}`);
  }
}

/** %q of a plain string. */
export function quote(s: string): string {
  return JSON.stringify(s);
}

/** encoding/json: keys of maps sorted by the caller, <, > and & escaped. */
export function goJson(value: unknown, indent = ""): string {
  return JSON.stringify(value, null, indent)
    .replaceAll("<", "\\u003c")
    .replaceAll(">", "\\u003e")
    .replaceAll("&", "\\u0026")
    .replaceAll("\u2028", "\\u2028")
    .replaceAll("\u2029", "\\u2029");
}

/** url.ParseQuery: pairs that do not parse (bad escapes, semicolons) are left out. First value of each key. */
export function parseQuery(raw: string): Map<string, string> {
  const out = new Map<string, string>();
  for (const pair of raw.split("&")) {
    if (pair === "" || pair.includes(";")) continue;
    const [k = "", ...rest] = pair.split("=");
    try {
      const key = decodeURIComponent(k.replaceAll("+", " "));
      if (!out.has(key)) out.set(key, decodeURIComponent(rest.join("=").replaceAll("+", " ")));
    } catch {
      // url.EscapeError: this pair is dropped.
    }
  }
  return out;
}

/** strconv.Atoi, or its complaint. */
export function atoi(text: string): number | string {
  return /^[+-]?\d+$/.test(text) ? Number(text) : `strconv.Atoi: parsing ${quote(text)}: invalid syntax`;
}

/** What Go says of a socket's error: "connection refused". */
export function sysText(e: unknown): string {
  const code = (e as { code?: string } | null)?.code ?? "";
  return SYS[code] ?? (e instanceof Error ? e.message : String(e));
}

const SYS: { [code: string]: string } = {
  ECONNREFUSED: "connection refused",
  ECONNRESET: "connection reset by peer",
  EHOSTUNREACH: "no route to host",
  ENETUNREACH: "network is unreachable",
  ETIMEDOUT: "i/o timeout",
  EADDRINUSE: "address already in use",
  EACCES: "permission denied",
  ENOENT: "no such file or directory",
  EISDIR: "is a directory",
  ENOTDIR: "not a directory",
};

/** encoding/json's Unmarshal: plain values, or a JsonSyntaxError in Go's words. */
export function parseGoJson(body: Uint8Array): unknown {
  const text = Buffer.from(body).toString("utf8");
  try {
    return JSON.parse(text);
  } catch {
    return parseJson(body).value;
  }
}
