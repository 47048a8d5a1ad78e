// A short run of random scripts beside the machine's busybox; bench/fuzz/shell.ts runs long ones.
import { spawnSync } from "node:child_process";
import { delimiter, join } from "node:path";
import { describe, expect, it } from "vitest";
import { firstDifference } from "./differential.ts";

const program = (process.env["PATH"] ?? "")
  .split(delimiter)
  .map((dir) => join(dir, "busybox"))
  .find((file) => spawnSync(file, ["sh", "-c", "echo ok"], { encoding: "utf8" }).stdout === "ok\n");
const skip = program === undefined ? "busybox not on PATH" : undefined;

describe.skipIf(skip)(`random scripts${skip ? ` (skipped: ${skip})` : ""}`, () => {
  it("do the same in busybox's sh", async () => {
    expect(await firstDifference(program as string, 1, 150)).toBeUndefined();
  }, 120_000);
});
