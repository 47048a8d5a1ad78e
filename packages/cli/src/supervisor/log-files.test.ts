// Log files on a real disk: wrapping of foreign lines, lines split over chunks, turning over at the limit.
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "@podwire/base";
import { afterEach, beforeEach, expect, it } from "vitest";
import { componentsWithLogs, LogFile, MAX_LOG_BYTES, parseLogLine, readLog } from "./log-files.ts";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "podwire-log-"));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

it("keeps JSON lines and wraps others", () => {
  expect(parseLogLine('{"level":40,"time":5,"msg":"x"}', "edge", 9)).toEqual({ level: 40, time: 5, component: "edge", msg: "x" });
  expect(parseLogLine("[12] 2026/01/01 10:00:00.000000 [ERR] no disk", "nats", 9)).toEqual({
    level: 50,
    time: 9,
    component: "nats",
    msg: "no disk",
  });
  expect(parseLogLine("{ broken", "edge", 9)).toEqual({ level: 30, time: 9, component: "edge", msg: "{ broken" });
});

it("joins lines that came in pieces and reads them back", () => {
  const log = new LogFile(dir, "edge", systemClock);
  expect(log.write('{"time":1,"ms')).toEqual([]);
  expect(log.write('g":"a"}\nplain\nrest').map((l) => l.msg)).toEqual(["a", "plain"]);
  log.close();
  expect(readLog(dir, "edge").map((l) => l.msg)).toEqual(["a", "plain", "rest"]);
  expect(componentsWithLogs(dir)).toEqual(["edge"]);
});

it("turns over at the limit and keeps one older file", () => {
  const log = new LogFile(dir, "big", systemClock);
  const line = JSON.stringify({ time: 1, msg: "x".repeat(60_000) });
  const lines = Math.ceil((2.5 * MAX_LOG_BYTES) / line.length);
  for (let i = 0; i < lines; i++) log.line(line);
  log.close();
  expect(statSync(join(dir, "big.log")).size).toBeLessThan(MAX_LOG_BYTES + 70_000);
  expect(readFileSync(join(dir, "big.log.1"), "utf8").length).toBeGreaterThan(MAX_LOG_BYTES);
});
