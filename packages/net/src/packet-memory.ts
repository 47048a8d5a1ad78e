// Memory that packets live in: slots inside one WebAssembly.Memory, so that their checksums are summed by SIMD in place, and a slot
// is taken and given back without the garbage collector. Where WebAssembly or its SIMD is missing, ordinary arrays and a plain loop.
// Invariant: a slot has one holder; `giveBack` ends the holder's right to it. A slot whose view is dropped instead is found by the
// garbage collector and comes back later. Limit: SMALL_SLOTS and LARGE_SLOTS; past them, ordinary arrays.
import { assembleSums } from "./checksum-simd.ts";

/** Headroom and a packet of MTU 1500 to 1900. */
const SMALL_BYTES = 2048;
const SMALL_SLOTS = 8192;
/** Headroom and a packet that stands for several (GSO, 32 KB); also what a send buffer holds its bytes in. */
const LARGE_BYTES = 36_864;
const LARGE_SLOTS = 1024;
const PAGE = 65_536;
/** In front of the slots, so that address 0 is nobody's. */
const RESERVED = 4096;
const TOTAL = RESERVED + SMALL_BYTES * SMALL_SLOTS + LARGE_BYTES * LARGE_SLOTS;

/** Below this the call costs more than the loop. */
const MIN_SIMD_BYTES = 48;

interface Sums {
  /** Folded big-endian sum of bytes [at, end). */
  sum(at: number, end: number): number;
  /** Copies n bytes. */
  copy(to: number, from: number, n: number): void;
}

class SlotClass {
  readonly bytes: number;
  readonly #first: number;
  readonly #count: number;
  #fresh = 0;
  readonly #free: Uint8Array[] = [];
  readonly #lost: FinalizationRegistry<number>;
  readonly #buffer: ArrayBuffer;
  #lostAddresses: number[] = [];

  constructor(buffer: ArrayBuffer, first: number, bytes: number, count: number) {
    this.#buffer = buffer;
    this.#first = first;
    this.bytes = bytes;
    this.#count = count;
    this.#lost = new FinalizationRegistry((at) => this.#lostAddresses.push(at));
  }

  take(): Uint8Array | null {
    return this.#free.pop() ?? this.#make();
  }

  #make(): Uint8Array | null {
    const again = this.#lostAddresses.pop();
    if (again === undefined && this.#fresh >= this.#count) return null;
    const at = again ?? this.#first + this.bytes * this.#fresh++;
    const view = new Uint8Array(this.#buffer, at, this.bytes);
    this.#lost.register(view, at);
    return view;
  }

  giveBack(view: Uint8Array): void {
    this.#free.push(view);
  }

  /** Slots that were ever used and are not free now. */
  get held(): number {
    return this.#fresh - this.#free.length - this.#lostAddresses.length;
  }
}

interface Arena {
  buffer: ArrayBuffer;
  sums: Sums;
  small: SlotClass;
  large: SlotClass;
}

/** The part of the WebAssembly JavaScript interface used here; neither lib.es nor @types/node declares its values. */
interface WasmApi {
  Memory: new (o: { initial: number; maximum: number }) => { buffer: ArrayBuffer };
  Module: new (bytes: Uint8Array<ArrayBuffer>) => object;
  Instance: new (module: object, imports: object) => { exports: object };
}

/** Undefined where the platform cannot. Pages are touched, and so cost memory, only when their slot is first used. */
function openArena(): Arena | undefined {
  try {
    const wasm = (globalThis as unknown as { WebAssembly: WasmApi }).WebAssembly;
    const pages = Math.ceil(TOTAL / PAGE);
    const memory = new wasm.Memory({ initial: pages, maximum: pages });
    const module = new wasm.Module(assembleSums());
    const { exports } = new wasm.Instance(module, { net: { memory } });
    const { buffer } = memory;
    return {
      buffer,
      sums: exports as unknown as Sums,
      small: new SlotClass(buffer, RESERVED, SMALL_BYTES, SMALL_SLOTS),
      large: new SlotClass(buffer, RESERVED + SMALL_BYTES * SMALL_SLOTS, LARGE_BYTES, LARGE_SLOTS),
    };
  } catch {
    return undefined;
  }
}

const arena = openArena();
/** The buffer that slots are views of; null without WebAssembly. Compare with `array.buffer`. */
export const slotBuffer: ArrayBuffer | null = arena?.buffer ?? null;
export const LARGE_SLOT_BYTES = LARGE_BYTES;

/** An array of at least `bytes`: a slot when one is free and large enough, else a new array of exactly that size. Not zeroed. */
export function takeBytes(bytes: number): Uint8Array {
  if (arena !== undefined) {
    const view = bytes <= SMALL_BYTES ? arena.small.take() : bytes <= LARGE_BYTES ? arena.large.take() : null;
    if (view !== null) return view;
  }
  return new Uint8Array(bytes);
}

/** Ends the holder's right to what takeBytes gave. Other arrays are ignored. */
export function giveBackBytes(view: Uint8Array): void {
  if (arena === undefined || view.buffer !== arena.buffer) return;
  if (view.length === SMALL_BYTES) arena.small.giveBack(view);
  else if (view.length === LARGE_BYTES) arena.large.giveBack(view);
}

/** Sum by SIMD of b[from, to) when b lies in a slot and it pays; -1 when the caller must loop. Folded to 16 bits. */
export function slotSum(b: Uint8Array, from: number, to: number): number {
  if (to - from < MIN_SIMD_BYTES || b.buffer !== slotBuffer) return -1;
  const base = b.byteOffset;
  return arena!.sums.sum(base + from, base + to);
}

/** Copies `n` bytes between arrays; inside the slots without making views. */
export function copyBytes(to: Uint8Array, toAt: number, from: Uint8Array, fromAt: number, n: number): void {
  if (from.buffer === slotBuffer && to.buffer === slotBuffer) arena!.sums.copy(to.byteOffset + toAt, from.byteOffset + fromAt, n);
  else Buffer.prototype.copy.call(from, to, toAt, fromAt, fromAt + n);
}

/** Slots in use, for counters and leak tests. */
export function heldSlots(): { small: number; large: number } {
  return { small: arena?.small.held ?? 0, large: arena?.large.held ?? 0 };
}
