// A short run of random scripts beside the machine's busybox; bench/fuzz/shell.ts runs long ones.
import { spawnSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { firstDifference } from "./differential.ts";

const found = spawnSync("busybox", ["sh", "-c", "echo ok"], { encoding: "utf8" });
const skip = found.stdout === "ok\n" ? undefined : "busybox not on PATH";

describe.skipIf(skip)(`random scripts${skip ? ` (skipped: ${skip})` : ""}`, () => {
  it("do the same in busybox's sh", async () => {
    expect(await firstDifference("busybox", 1, 150)).toBeUndefined();
  }, 120_000);
});
