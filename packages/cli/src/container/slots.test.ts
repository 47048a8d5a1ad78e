// Slots: the choice as a table, and many claims at once on a real folder.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "@podwire/base";
import { expect, it } from "vitest";
import { chooseSlot, claimSlot, NoSlotError, STALE_MS } from "./slots.ts";

it("prefers the host's own slot, then the lowest that is free, released or stale", () => {
  const now = 1_000_000;
  const claims = new Map([
    [1, { host: "a", seenMs: now, released: false }],
    [2, { host: "b", seenMs: now - STALE_MS - 1, released: false }],
    [3, { host: "c", seenMs: now, released: true }],
  ]);
  expect(chooseSlot(claims, "a", 4, now)).toBe(1);
  expect(chooseSlot(claims, "c", 4, now)).toBe(3);
  expect(chooseSlot(claims, "new", 4, now)).toBe(2);
  claims.delete(2);
  expect(chooseSlot(claims, "new", 4, now)).toBe(2);
  claims.set(2, { host: "x", seenMs: now, released: false });
  expect(chooseSlot(claims, "new", 4, now)).toBe(3);
  expect(chooseSlot(new Map([[1, { host: "a", seenMs: now, released: false }]]), "new", 1, now)).toBeUndefined();
});

it("gives every one of many claimants another slot", async () => {
  const dir = mkdtempSync(join(tmpdir(), "podwire-slots-"));
  try {
    const claims = await Promise.all(Array.from({ length: 8 }, (_, i) => claimSlot(dir, `host-${i}`, 8, systemClock)));
    expect(new Set(claims.map((c) => c.slot)).size).toBe(8);
    await expect(claimSlot(dir, "late", 8, systemClock)).rejects.toThrow(NoSlotError);
    claims[4]?.release();
    expect((await claimSlot(dir, "late", 8, systemClock)).slot).toBe(claims[4]?.slot);
    expect((await claimSlot(dir, "host-2", 8, systemClock)).slot).toBe(claims[2]?.slot);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});
