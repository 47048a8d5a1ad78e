// One version of one object as the cache keeps it: its bytes with the resourceVersion inside, and the decoded form when asked for.
// Invariant: bytes and decoded form never change after construction (whoever wants to change an object takes `copy`).
import type { KubeObject } from "@podwire/api";
import type { Key } from "@podwire/store";

const METADATA = Buffer.from('"metadata":{');
const encoder = new TextEncoder();

export class CachedObject {
  readonly key: Key;
  readonly revision: number;
  /** The whole object as JSON: `{"kind":...,"apiVersion":...,"metadata":{"resourceVersion":"7",...},...}`. */
  readonly full: Buffer;
  /** Where `full` goes on with the metadata, behind kind and apiVersion. */
  readonly #membersAt: number;
  #decoded: KubeObject | undefined;
  /** Other encodings by format name (other API versions, tables); few. */
  #formats: Map<string, Buffer> | undefined;

  private constructor(key: Key, revision: number, full: Buffer, membersAt: number) {
    this.key = key;
    this.revision = revision;
    this.full = full;
    this.#membersAt = membersAt;
  }

  /** From a store value: JSON without resourceVersion. Throws SyntaxError when the value is not an object with metadata. */
  static fromValue(key: Key, revision: number, value: Uint8Array): CachedObject {
    const b = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
    const at = b.indexOf(METADATA);
    // kind and apiVersion come first in everything that `encodeValue` wrote; anything else takes the slow way.
    if (at < 1 || at > 512 || b[0] !== 0x7b) return CachedObject.fromValue(key, revision, encodeValue(JSON.parse(b.toString("utf8"))));
    const metadata = at + METADATA.length;
    // Revision 0 is an object that was never written (a dry run): it has no resourceVersion.
    const insert = revision === 0 ? "" : `"resourceVersion":"${revision}"${b[metadata] === 0x7d ? "" : ","}`;
    const full = Buffer.allocUnsafeSlow(b.length + insert.length);
    b.copy(full, 0, 0, metadata);
    full.write(insert, metadata, "latin1");
    b.copy(full, metadata + insert.length, metadata);
    return new CachedObject(key, revision, full, at);
  }

  /** The object as lists carry it, without its opening brace: `"metadata":{...},...}`. */
  get members(): Buffer {
    return this.full.subarray(this.#membersAt);
  }

  /** The decoded object, shared: read only. */
  get object(): KubeObject {
    this.#decoded ??= this.copy();
    return this.#decoded;
  }

  /** A fresh decoded object, free to change. */
  copy(): KubeObject {
    return JSON.parse(this.full.toString("utf8"));
  }

  /** Forgets the decoded form: nobody asks much for a version that is history. */
  retire(): void {
    this.#decoded = undefined;
  }

  hasFormat(name: string): boolean {
    return this.#formats?.has(name) === true;
  }

  /** An encoding by name, made at most once. */
  format(name: string, make: (o: CachedObject) => Buffer): Buffer {
    this.#formats ??= new Map();
    let bytes = this.#formats.get(name);
    if (!bytes) {
      bytes = make(this);
      this.#formats.set(name, bytes);
    }
    return bytes;
  }
}

/** The store's form of an object: kind and apiVersion first, then metadata without resourceVersion, then the rest. */
export function encodeValue(object: KubeObject): Uint8Array {
  return encoder.encode(encodeText(object));
}

export function encodeText(object: KubeObject): string {
  const { kind, apiVersion, metadata, ...rest } = object;
  const { resourceVersion: _, ...meta } = metadata as Record<string, unknown>;
  return JSON.stringify({ kind: kind ?? "", apiVersion: apiVersion ?? "", metadata: meta, ...rest });
}
