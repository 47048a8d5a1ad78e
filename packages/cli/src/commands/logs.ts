// podwire logs: the components' logs, merged by time; also of a cluster that is down. -f follows.
import { closeSync, existsSync, openSync, readSync, statSync } from "node:fs";
import { join } from "node:path";
import { parseDurationMs } from "@podwire/base";
import { type Context, folderOf, type GlobalOptions } from "../context.ts";
import { UsageError } from "../errors.ts";
import { componentsWithLogs, type LogLine, parseLines, readLog } from "../supervisor/log-files.ts";
import { renderLogLine } from "../terminal/log-lines.ts";

const POLL_MS = 150;

export interface LogsOptions extends GlobalOptions {
  follow: boolean;
  since: string | undefined;
  tail: number | undefined;
  output: string | undefined;
}

export async function logs(c: Context, o: LogsOptions, pattern: string | undefined): Promise<void> {
  const folder = folderOf(c, o);
  if (!existsSync(folder.logs)) throw new UsageError(`there is no cluster named ${JSON.stringify(o.name)}`, { next: "podwire up -d" });
  const wanted = regexOf(pattern);
  const sinceMs = o.since === undefined ? undefined : parseDurationMs(o.since);
  if (o.since !== undefined && sinceMs === undefined) throw new UsageError(`--since ${JSON.stringify(o.since)}: write 30s, 5m or 1h`);
  const fromMs = sinceMs === undefined ? 0 : c.clock.nowMs() - sinceMs;
  const components = componentsWithLogs(folder.logs).filter((name) => wanted.test(name));
  if (components.length === 0 && !o.follow)
    throw new UsageError(`no component matches ${JSON.stringify(pattern)} (there are ${componentsWithLogs(folder.logs).join(", ")})`);
  const width = Math.max(4, ...components.map((n) => n.length));
  const print = (line: LogLine) =>
    c.terminal.out(o.output === "json" ? JSON.stringify(line) : renderLogLine(line, c.terminal.outColour, width));

  // Positions are taken first: a line that is written meanwhile is printed twice rather than lost.
  const positions = new Map(components.map((name) => [name, sizeOf(join(folder.logs, `${name}.log`))]));
  const kept = select(
    components.map((name) => readLog(folder.logs, name)),
    fromMs,
    o.tail,
  );
  for (const line of kept) print(line);
  if (!o.follow) return;
  while (!c.signal.aborted) {
    for (const name of componentsWithLogs(folder.logs).filter((n) => wanted.test(n)))
      for (const line of newLines(join(folder.logs, `${name}.log`), name, positions)) print(line);
    await c.clock.sleep(POLL_MS, c.signal).catch(() => undefined);
  }
}

/** Lines of all components in order of time, from `fromMs` on, the last `tail` of them. */
export function select(logs: readonly LogLine[][], fromMs: number, tail: number | undefined): LogLine[] {
  const all = logs
    .flat()
    .filter((l) => l.time >= fromMs)
    .sort((a, b) => a.time - b.time);
  return tail === undefined ? all : tail === 0 ? [] : all.slice(-tail);
}

function regexOf(pattern: string | undefined): RegExp {
  try {
    return new RegExp(pattern ?? "");
  } catch (cause) {
    throw new UsageError(`${JSON.stringify(pattern)} is not a regular expression`, { cause });
  }
}

const sizeOf = (path: string) => statSync(path, { throwIfNoEntry: false })?.size ?? 0;

function newLines(path: string, name: string, positions: Map<string, number>): LogLine[] {
  const size = sizeOf(path);
  let from = positions.get(name) ?? 0;
  if (size < from) from = 0; // Turned over.
  if (size === from) return [];
  const bytes = Buffer.alloc(size - from);
  const fd = openSync(path, "r");
  const read = readSync(fd, bytes, 0, bytes.length, from);
  closeSync(fd);
  const end = bytes.subarray(0, read).lastIndexOf(10) + 1; // Whole lines only.
  positions.set(name, from + end);
  return parseLines(bytes.toString("utf8", 0, end));
}
