import { seededRandom } from "@podwire/base";
import { expect, test } from "vitest";
import { checksum, fold, sumBytes } from "./checksum.ts";
import { Packet } from "./packet.ts";
import { copyBytes, giveBackBytes, heldSlots, LARGE_SLOT_BYTES, slotBuffer, takeBytes } from "./packet-memory.ts";

test("slots are WebAssembly memory here", () => {
  expect(slotBuffer).not.toBeNull();
  expect(takeBytes(100).buffer).toBe(slotBuffer);
});

test("the SIMD sum equals the plain one for every offset and length, and reads no byte outside", () => {
  const slot = takeBytes(4000);
  const random = seededRandom(1);
  for (let round = 0; round < 2000; round++) {
    const from = random.below(70);
    const to = from + random.below(round % 10 === 0 ? 3900 : 300);
    slot.fill(round % 3 === 0 ? 0xff : 0x5a);
    slot.set(round % 3 === 0 ? new Uint8Array(to - from).fill(0xff) : random.bytes(to - from), from);
    const plain = Uint8Array.from(slot.subarray(from, to));
    expect(fold(sumBytes(slot, from, to, 77))).toBe(fold(sumBytes(plain, 0, plain.length, 77)));
    expect(checksum(slot, from, to)).toBe(checksum(plain, 0, plain.length));
  }
  giveBackBytes(slot);
});

test("the largest packet of ones does not overflow the lanes", () => {
  const slot = takeBytes(LARGE_SLOT_BYTES).fill(0xff);
  expect(fold(sumBytes(slot, 0, slot.length))).toBe(0xffff);
  giveBackBytes(slot);
});

test("copies between slots and arrays, any offset", () => {
  const [slot, other, array] = [takeBytes(2000), takeBytes(2000), new Uint8Array(2000)];
  const data = seededRandom(2).bytes(1000);
  copyBytes(slot, 3, data, 0, 1000);
  copyBytes(other, 7, slot, 3, 1000);
  copyBytes(array, 11, other, 7, 1000);
  expect(array.subarray(11, 1011)).toEqual(data);
  giveBackBytes(slot);
  giveBackBytes(other);
});

test("a released packet gives its slot back once, and reads as empty", () => {
  const before = heldSlots().small;
  const p = Packet.alloc(1000);
  expect(heldSlots().small).toBe(before + 1);
  p.release();
  p.release();
  expect([heldSlots().small, p.length, p.data.length]).toEqual([before, 0, 0]);
});

test("past the slots come ordinary arrays", () => {
  const held: Uint8Array[] = [];
  for (let i = 0; i < 1100; i++) held.push(takeBytes(30_000));
  expect(held.at(-1)!.buffer).not.toBe(slotBuffer);
  for (const h of held) giveBackBytes(h);
  expect(heldSlots().large).toBe(0);
});
