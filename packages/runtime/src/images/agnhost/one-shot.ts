// agnhost's programs that say something and are done (or wait): pause, entrypoint-tester, the resolver's facts, logs-generator.
import type { Process } from "../../kernel/process.ts";
import { checkArgs, formatDuration, GoPanic, klogLine, mustRead, parseFlags } from "./go.ts";

export async function pause(p: Process, argv: readonly string[]): Promise<number> {
  checkArgs(parseFlags(argv, {}).args, 0, 0);
  await p.print("Paused\nSignals registered\n");
  const stop = (name: string, code: number) => async () => {
    await p.print(`exiting because of signal "${name}"\n`);
    if (p.fs.exists("/dev/termination-log")) p.fs.writeFile("/dev/termination-log", `exiting because of signal "${name}"`);
    p.terminate({ code, signal: 0 });
  };
  p.onSignal(15, () => void stop("terminated", 2)());
  p.onSignal(2, () => void stop("interrupt", 1)());
  p.onSignal(10, "ignore");
  await p.block(() => () => undefined);
  return 0;
}

export async function entrypointTester(p: Process, argv: readonly string[]): Promise<number> {
  parseFlags(argv, {});
  await p.print(`[${p.argv.join(" ")}]\n`);
  return 0;
}

/** resolv.conf as agnhost reads it: words separated by single spaces; the last `search` wins; the first name server counts. */
function resolvConf(p: Process): { search: string[]; servers: string[] } {
  const search: string[] = [];
  const servers: string[] = [];
  const lines = mustRead(p, "/etc/resolv.conf").split("\n");
  if (!lines.some((l) => /^(search|nameserver|domain)\s/.test(l))) throw new GoPanic("Could not find DNS search list!");
  for (const line of lines) {
    const [key, ...rest] = line.split(/\s+/);
    if (key === "nameserver" && rest[0]) servers.push(rest[0]);
    if (/^search /.test(line)) search.splice(0, search.length, ...rest.filter((w) => w !== ""));
  }
  return { search, servers };
}

export async function dnsSuffix(p: Process, argv: readonly string[]): Promise<number> {
  checkArgs(parseFlags(argv, {}).args, 0, 0);
  const found = resolvConf(p).search.join(",");
  // Podwire's pods have one search line; of several the real program prints none.
  const lines = mustRead(p, "/etc/resolv.conf").match(/^search\s.*$/gm) ?? [];
  await p.print(`${lines.length > 1 ? "" : found}\n`);
  return 0;
}

export async function dnsServerList(p: Process, argv: readonly string[]): Promise<number> {
  checkArgs(parseFlags(argv, {}).args, 0, 0);
  await p.print(`${resolvConf(p).servers[0] ?? ""}\n`);
  return 0;
}

export async function etcHosts(p: Process, argv: readonly string[]): Promise<number> {
  checkArgs(parseFlags(argv, {}).args, 0, 0);
  await p.print(`${mustRead(p, "/etc/hosts")}\n`);
  return 0;
}

const METHODS = ["POST", "GET", "PUT"] as const;
const NAMESPACES = ["kube-system", "default", "ns"] as const;

export async function logsGenerator(p: Process, argv: readonly string[]): Promise<number> {
  const { flags } = parseFlags(argv, {
    "log-lines-total": { kind: "int", short: "t", default: 0 },
    "run-duration": { kind: "duration", short: "d", default: 0 },
  });
  const total = flags["log-lines-total"] as number;
  const durationMs = flags["run-duration"] as number;
  const fatal = async (line: number, text: string) => {
    await p.printError(klogLine(p, "F", `logs_generator.go:${line}`, text));
    return 255;
  };
  if (total <= 0) return fatal(64, `Invalid total number of lines: ${total}`);
  if (durationMs <= 0) return fatal(68, `Invalid duration: ${formatDuration(durationMs)}`);
  const startMs = p.clock.monotonicMs();
  for (let id = 0; id < total; id++) {
    const pod = [...p.random.bytes(3 + p.random.below(3))].map((b) => "abcdefghijklmnopqrstuvwxyz0123456789"[b % 36]).join("");
    const line = `${id} ${p.random.pick(METHODS)} /api/v1/namespaces/${p.random.pick(NAMESPACES)}/pods/${pod} ${200 + p.random.below(400)}`;
    await p.printError(klogLine(p, "I", "logs_generator.go:76", line));
    const dueMs = startMs + ((id + 1) * durationMs) / total;
    await p.sleep(Math.max(0, dueMs - p.clock.monotonicMs()));
  }
  return 0;
}
