// JSON Patch (RFC 6902) as kube-apiserver applies it: all or nothing, on a copy; paths are JSON Pointers (RFC 6901).
// Invariant: the document given is never changed, and no path reaches a prototype.

import { PodwireError } from "@podwire/base";
import { cloneJson } from "../schema/clone.ts";

export class JsonPatchError extends PodwireError {}

/** A test operation that did not hold. */
export class JsonPatchTestError extends JsonPatchError {}

export interface JsonPatchOperation {
  op: string;
  path: string;
  from?: string;
  value?: unknown;
}

/** Operations that one patch may hold. */
export const JSON_PATCH_OPERATIONS_MAX = 10_000;
/** Copies may not grow a document past this (evanphx's accumulated copy limit in kube-apiserver). */
const COPIED_BYTES_MAX = 3 * 1024 * 1024;

/** RFC 6902. Returns the patched document and leaves `doc` as it is; throws when an operation does not apply. */
export function applyJsonPatch(doc: unknown, operations: readonly JsonPatchOperation[]): any {
  const root = { "": cloneJson(doc) };
  let copied = 0;
  for (const [i, o] of operations.entries()) {
    if (typeof o !== "object" || o === null || typeof o.path !== "string")
      throw new JsonPatchError(`operation ${i}: missing or invalid path`);
    switch (o.op) {
      case "add":
        if (!("value" in o)) throw new JsonPatchError(`add operation does not apply: no value for ${o.path}`);
        add(root, o.path, cloneJson(o.value));
        break;
      case "remove":
        remove(root, o.path);
        break;
      case "replace":
        if (!("value" in o)) throw new JsonPatchError(`replace operation does not apply: no value for ${o.path}`);
        get(root, o.path);
        set(root, o.path, cloneJson(o.value));
        break;
      case "move": {
        const from = pointerOf(o);
        if (o.path === from) {
          get(root, from);
          break;
        }
        if (o.path.startsWith(`${from}/`)) throw new JsonPatchError(`move operation does not apply: ${o.path} lies inside ${from}`);
        add(root, o.path, remove(root, from));
        break;
      }
      case "copy": {
        const v = cloneJson(get(root, pointerOf(o)));
        copied += JSON.stringify(v)?.length ?? 0;
        if (copied > COPIED_BYTES_MAX) {
          throw new JsonPatchError(
            `Unable to complete the copy, the accumulated size increase of copy is ${copied}, exceeding the limit ${COPIED_BYTES_MAX}`,
          );
        }
        add(root, o.path, v);
        break;
      }
      case "test":
        if (!deepEqual(tryGet(root, o.path), o.value === undefined ? null : o.value)) {
          throw new JsonPatchTestError(`testing value ${o.path} failed: test failed`);
        }
        break;
      default:
        throw new JsonPatchError(`Unexpected kind: ${o.op}`);
    }
  }
  return root[""];
}

function pointerOf(o: JsonPatchOperation): string {
  if (typeof o.from !== "string") throw new JsonPatchError(`${o.op} operation does not apply: missing from`);
  return o.from;
}

function tokens(pointer: string): string[] {
  if (pointer !== "" && pointer[0] !== "/") throw new JsonPatchError(`invalid path ${JSON.stringify(pointer)}: must start with /`);
  return pointer.split("/").map((t) => {
    if (/~(?![01])/.test(t)) throw new JsonPatchError(`invalid path ${JSON.stringify(pointer)}: bad escape`);
    return t.replaceAll("~1", "/").replaceAll("~0", "~");
  });
}

function child(parent: any, key: string, pointer: string): any {
  if (Array.isArray(parent)) {
    const i = index(key, parent.length - 1, pointer);
    return parent[i];
  }
  if (parent === null || typeof parent !== "object" || !Object.hasOwn(parent, key)) throw missing(pointer);
  return parent[key];
}

function missing(pointer: string): JsonPatchError {
  return new JsonPatchError(`doc is missing path: ${JSON.stringify(pointer)}: missing value`);
}

function index(key: string, max: number, pointer: string): number {
  if (!/^(0|[1-9]\d*)$/.test(key)) throw new JsonPatchError(`invalid array index ${JSON.stringify(key)} in ${JSON.stringify(pointer)}`);
  const i = Number(key);
  if (i > max) throw new JsonPatchError(`Unable to access invalid index: ${key}: invalid index referenced`);
  return i;
}

function parentOf(root: any, pointer: string): { parent: any; key: string } {
  const path = tokens(pointer);
  const key = path.pop()!;
  let parent = root;
  for (const t of path) parent = child(parent, t, pointer);
  if (parent === null || typeof parent !== "object") throw missing(pointer);
  return { parent, key };
}

function get(root: any, pointer: string): any {
  const { parent, key } = parentOf(root, pointer);
  return child(parent, key, pointer);
}

/** For `test`: a missing member reads as null. */
function tryGet(root: any, pointer: string): any {
  const { parent, key } = parentOf(root, pointer);
  if (!Array.isArray(parent) && !Object.hasOwn(parent, key)) return null;
  return child(parent, key, pointer);
}

function setMember(parent: any, key: string, value: any): void {
  if (key === "__proto__") Object.defineProperty(parent, key, { value, enumerable: true, configurable: true, writable: true });
  else parent[key] = value;
}

function set(root: any, pointer: string, value: any): void {
  const { parent, key } = parentOf(root, pointer);
  if (Array.isArray(parent)) parent[index(key, parent.length - 1, pointer)] = value;
  else setMember(parent, key, value);
}

function add(root: any, pointer: string, value: any): void {
  const { parent, key } = parentOf(root, pointer);
  if (!Array.isArray(parent)) setMember(parent, key, value);
  else if (key === "-") parent.push(value);
  else parent.splice(index(key, parent.length, pointer), 0, value);
}

function remove(root: any, pointer: string): any {
  const { parent, key } = parentOf(root, pointer);
  const old = child(parent, key, pointer);
  if (Array.isArray(parent)) parent.splice(index(key, parent.length - 1, pointer), 1);
  else delete parent[key];
  return old;
}

/** Equality of JSON values. */
export function deepEqual(a: any, b: any): boolean {
  if (a === b) return true;
  if (a === null || b === null || typeof a !== "object" || typeof b !== "object") return false;
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  if (Array.isArray(a)) return a.length === b.length && a.every((x, i) => deepEqual(x, b[i]));
  let n = 0;
  for (const k in a) {
    if (a[k] === undefined) continue;
    n++;
    if (!Object.hasOwn(b, k) || !deepEqual(a[k], b[k])) return false;
  }
  for (const k in b) if (b[k] !== undefined) n--;
  return n === 0;
}
