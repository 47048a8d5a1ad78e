// Bytes that the application wrote and the peer has not acknowledged. Written once (copied in, so that the writer may reuse its
// buffer), read for each transmission, released from the front.
// Invariant: `length` bytes are held in `blocks` in order; offsets count from the oldest unacknowledged byte.
// Limit: the connection refuses writes past its sendLimit. Blocks are packet memory (packet-memory.ts), so that a payload is copied
// into its packet without a view.
import { copyBytes, giveBackBytes, LARGE_SLOT_BYTES, takeBytes } from "../packet-memory.ts";

const SMALL_BLOCK = 2048;
/** What an empty buffer holds; never written to. */
const NO_BLOCKS: Block[] = [];

interface Block {
  bytes: Uint8Array;
  from: number;
  to: number;
}

export class SendBuffer {
  length = 0;
  #blocks: Block[] = NO_BLOCKS;
  /** Where the last copy ended, so that sequential sends do not walk: block index and stream offset of its first byte. */
  #cursorBlock = 0;
  #cursorAt = 0;

  /** Copies `bytes` in. The caller has checked the limit. */
  append(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    if (this.#blocks === NO_BLOCKS) this.#blocks = [];
    let from = 0;
    const tail = this.#blocks[this.#blocks.length - 1];
    if (tail !== undefined) from = fill(tail, bytes, 0);
    while (from < bytes.length) {
      const size = bytes.length - from <= SMALL_BLOCK && this.length === 0 ? SMALL_BLOCK : LARGE_SLOT_BYTES;
      const block = { bytes: takeBytes(size), from: 0, to: 0 };
      from = fill(block, bytes, from);
      this.#blocks.push(block);
    }
    this.length += bytes.length;
  }

  /** Copies `length` bytes at stream offset `offset` to into[at]. The range must be held. */
  copy(offset: number, length: number, into: Uint8Array, at: number): void {
    if (offset < this.#cursorAt || this.#cursorBlock >= this.#blocks.length) {
      this.#cursorBlock = 0;
      this.#cursorAt = 0;
    }
    let block = this.#blocks[this.#cursorBlock]!;
    while (offset >= this.#cursorAt + block.to - block.from) {
      this.#cursorAt += block.to - block.from;
      block = this.#blocks[++this.#cursorBlock]!;
    }
    let skip = offset - this.#cursorAt;
    for (let i = this.#cursorBlock; length > 0; block = this.#blocks[++i]!) {
      const n = Math.min(length, block.to - block.from - skip);
      copyBytes(into, at, block.bytes, block.from + skip, n);
      at += n;
      length -= n;
      skip = 0;
      if (length === 0) break;
    }
  }

  /** Forgets the first `n` bytes. */
  release(n: number): void {
    this.length -= n;
    let gone = 0;
    for (const block of this.#blocks) {
      const held = block.to - block.from;
      if (n < held) {
        block.from += n;
        break;
      }
      n -= held;
      giveBackBytes(block.bytes);
      gone++;
    }
    if (gone === this.#blocks.length) this.#blocks = NO_BLOCKS;
    else if (gone > 0) this.#blocks.splice(0, gone);
    this.#cursorBlock = 0;
    this.#cursorAt = 0;
  }

  clear(): void {
    for (const block of this.#blocks) giveBackBytes(block.bytes);
    this.#blocks = NO_BLOCKS;
    this.length = 0;
    this.#cursorBlock = 0;
    this.#cursorAt = 0;
  }
}

function fill(block: Block, bytes: Uint8Array, from: number): number {
  const n = Math.min(block.bytes.length - block.to, bytes.length - from);
  if (n > 0) copyBytes(block.bytes, block.to, bytes, from, n);
  block.to += n;
  return from + n;
}
