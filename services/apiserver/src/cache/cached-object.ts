// One version of one object as the cache keeps it: its bytes with the resourceVersion inside, and the decoded form when asked for.
// Invariant: bytes and decoded form never change after construction (whoever wants to change an object takes `copy`).
import type { KubeObject } from "@podwire/api";
import type { Key } from "@podwire/store";

const METADATA = Buffer.from('"metadata":{');
const encoder = new TextEncoder();

export class CachedObject {
  readonly key: Key;
  readonly revision: number;
  /** `{"metadata":{"resourceVersion":"7",...},...}`: the object without kind and apiVersion, as lists carry it. */
  readonly item: Buffer;
  /** kind and apiVersion as stored, JSON members with a trailing comma: `"kind":"Pod","apiVersion":"v1",`. */
  readonly typeMembers: string;
  #decoded: KubeObject | undefined;
  #full: Buffer | undefined;
  /** Other encodings by format name (other API versions, tables); few. */
  #formats: Map<string, Buffer> | undefined;

  constructor(key: Key, revision: number, item: Buffer, typeMembers: string, decoded?: KubeObject) {
    this.key = key;
    this.revision = revision;
    this.item = item;
    this.typeMembers = typeMembers;
    this.#decoded = decoded;
  }

  /** From a store value: JSON without resourceVersion. Throws SyntaxError when the value is not an object with metadata. */
  static fromValue(key: Key, revision: number, value: Uint8Array): CachedObject {
    const b = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
    const at = b.indexOf(METADATA);
    // kind and apiVersion come first in everything that `encodeValue` wrote; anything else takes the slow way.
    if (at < 1 || at > 512 || b[0] !== 0x7b) return CachedObject.fromValue(key, revision, encodeValue(JSON.parse(b.toString("utf8"))));
    const typeMembers = b.toString("latin1", 1, at);
    const comma = b[at + METADATA.length] === 0x7d ? "" : ",";
    // Revision 0 is an object that was never written (a dry run): it has no resourceVersion.
    const insert = revision === 0 ? `{"metadata":{` : `{"metadata":{"resourceVersion":"${revision}"${comma}`;
    const tail = b.length - at - METADATA.length;
    const item = Buffer.allocUnsafeSlow(insert.length + tail);
    item.write(insert, 0, "latin1");
    b.copy(item, insert.length, at + METADATA.length);
    return new CachedObject(key, revision, item, typeMembers);
  }

  /** The decoded object, shared: read only. */
  get object(): KubeObject {
    this.#decoded ??= this.copy();
    return this.#decoded;
  }

  /** A fresh decoded object, free to change. */
  copy(): KubeObject {
    return JSON.parse(`{${this.typeMembers}${this.item.toString("utf8", 1)}`);
  }

  /** The whole object as JSON: `{"kind":...,"apiVersion":...,"metadata":...}`. */
  get full(): Buffer {
    if (!this.#full) {
      const head = Buffer.from(`{${this.typeMembers}`, "latin1");
      this.#full = Buffer.concat([head, this.item.subarray(1)], head.length + this.item.length - 1);
    }
    return this.#full;
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
