// Rendering: tables, ages, log lines and progress with and without a terminal.
import { systemClock } from "@podwire/base";
import { describe, expect, it } from "vitest";
import { renderLogLine } from "./log-lines.ts";
import { progressOn } from "./progress.ts";
import { age, type Terminal, table } from "./terminal.ts";

function recorder(live: boolean): Terminal & { written: string[] } {
  const written: string[] = [];
  return {
    written,
    out: (l) => void written.push(`out:${l}`),
    err: (l) => void written.push(l),
    raw: (t) => void written.push(t),
    live,
    outColour: false,
    errColour: false,
    columns: 80,
  };
}

it("aligns columns and leaves no spaces at the end", () => {
  expect(
    table(
      ["NAME", "PID"],
      [
        ["apiserver", "1"],
        ["x", ""],
      ],
    ),
  ).toEqual(["NAME        PID", "apiserver   1", "x"]);
});

it("writes ages as kubectl does", () => {
  expect([5_000, 119_000, 185_000, 600_000, 3 * 3_600_000, 50 * 3_600_000].map(age)).toEqual(["5s", "119s", "3m5s", "10m", "3h", "2d"]);
});

it("renders a log line with its fields, without colour codes", () => {
  const line = { time: 0, component: "edge", level: 40, msg: "slow", ms: 12, err: { message: "x y" } };
  expect(renderLogLine(line, false, 6)).toBe('00:00:00.000 edge   WARN slow ms=12 err="x y"');
});

describe("progress", () => {
  it("rewrites the line on a terminal", async () => {
    const t = recorder(true);
    await progressOn(t, systemClock).phase("Nodes", async (rename) => rename("Nodes 1/2"));
    expect(t.written).toEqual(["\r\x1b[2K • Nodes ...", "\r\x1b[2K • Nodes 1/2 ...", "\r\x1b[2K ✓ Nodes 1/2", "\n"]);
  });

  it("prints one line without a terminal, and a cross for a failure", async () => {
    const t = recorder(false);
    await expect(
      progressOn(t, systemClock).phase("Nodes", async () => {
        throw new Error("no");
      }),
    ).rejects.toThrow("no");
    expect(t.written).toEqual([" ✗ Nodes"]);
  });
});
