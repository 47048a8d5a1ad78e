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

/** Words behind the keyword of the first line that begins with it, split at single spaces as agnhost does (a tab is part of a word). */
function resolvConf(p: Process, keyword: "search" | "nameserver"): string[] {
  const lines = mustRead(p, "/etc/resolv.conf").split("\n");
  if (!lines.some((l) => /^(search|nameserver|domain)\s/.test(l))) throw new GoPanic("Could not find DNS search list!");
  const line = lines.find((l) => l.startsWith(keyword)) ?? "";
  return line.split(" ").slice(1);
}

export async function dnsSuffix(p: Process, argv: readonly string[]): Promise<number> {
  checkArgs(parseFlags(argv, {}).args, 0, 0);
  await p.print(`${resolvConf(p, "search").join(",")}\n`);
  return 0;
}

export async function dnsServerList(p: Process, argv: readonly string[]): Promise<number> {
  checkArgs(parseFlags(argv, {}).args, 0, 0);
  await p.print(`${resolvConf(p, "nameserver")[0] ?? ""}\n`);
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
