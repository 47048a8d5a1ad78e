// The encoded items of whole lists, kept while nothing of the resource changes: clients that list the same thing (kubectl get, controllers that start)
// share one buffer. Invariant: a buffer is handed out only for the state of the resource that it was made from; all of them together take at most MAX_BYTES.
import type { ResourceCache } from "./resource-cache.ts";

/** All buffers together; the one that was used longest ago goes first. */
const MAX_BYTES = 16 * 1024 * 1024;
/** Lists below this are put together each time: the copy costs less than the bookkeeping. */
const MIN_BYTES = 16 * 1024;

interface Kept {
  resources: ResourceCache;
  changes: number;
  bytes: Buffer;
}

export class ListBytes {
  readonly #kept = new Map<string, Kept>();
  #total = 0;
  hits = 0;

  /** The items with commas between them, and the list's end. Each comes without its opening brace. `id` names the list (resource, namespace, API version). */
  items(id: string, resources: ResourceCache, make: () => readonly Uint8Array[]): Buffer {
    return this.bytes(id, resources, () => joined(make()));
  }

  /** Anything that is made of a resource's whole state. */
  bytes(id: string, resources: ResourceCache, make: () => Buffer): Buffer {
    const kept = this.#kept.get(id);
    if (kept && kept.resources === resources && kept.changes === resources.changes) {
      this.#kept.delete(id); // to the end: used last
      this.#kept.set(id, kept);
      this.hits++;
      return kept.bytes;
    }
    if (kept) this.#drop(id, kept);
    const bytes = make();
    if (bytes.length < MIN_BYTES || bytes.length > MAX_BYTES / 2) return bytes;
    this.#kept.set(id, { resources, changes: resources.changes, bytes });
    this.#total += bytes.length;
    for (const [oldest, k] of this.#kept) {
      if (this.#total <= MAX_BYTES) break;
      this.#drop(oldest, k);
    }
    return bytes;
  }

  #drop(id: string, kept: Kept): void {
    this.#kept.delete(id);
    this.#total -= kept.bytes.length;
  }
}

const COMMA = 0x2c;
const BRACE = 0x7b;
const END = "]}";

function joined(items: readonly Uint8Array[]): Buffer {
  let length = Math.max(0, 2 * items.length - 1) + END.length;
  for (const i of items) length += i.length;
  const out = Buffer.allocUnsafeSlow(length);
  let at = 0;
  for (let i = 0; i < items.length; i++) {
    if (i > 0) out[at++] = COMMA;
    out[at++] = BRACE;
    out.set(items[i] as Uint8Array, at);
    at += (items[i] as Uint8Array).length;
  }
  out.write(END, at, "latin1");
  return out;
}
