// Strategic merge patch: merge patch that knows from the type registry which lists merge by key, with the directives
// $patch (replace, delete), $retainKeys, $setElementOrder/<list> and $deleteFromPrimitiveList/<list>.
// Specification: apimachinery util/strategicpatch. Invariant: neither the document nor the patch given is changed.

import { StatusError, statusErrors } from "../errors/status-error.ts";
import { cloneJson } from "../schema/clone.ts";
import { type Field, type StructType, structOf, type TypeRef } from "../schema/registry.ts";

const DIRECTIVE = "$patch";
const RETAIN_KEYS = "$retainKeys";
const SET_ORDER = "$setElementOrder/";
const DELETE_FROM = "$deleteFromPrimitiveList/";

type Obj = Record<string, any>;
/** What the schema says about the values of a map: a struct's fields, or one type for every key. */
type Schema = { struct: StructType } | { element: TypeRef } | undefined;

const isObj = (v: unknown): v is Obj => v !== null && typeof v === "object" && !Array.isArray(v);

/** A failure that kube-apiserver answers with 500 and the bare message. */
const plain = (message: string): StatusError => new StatusError(500, "", message);

export function applyStrategicMergePatch(type: StructType, doc: any, patch: any): any {
  if (!isObj(patch))
    throw statusErrors.badRequest(
      `json: cannot unmarshal ${Array.isArray(patch) ? "array" : typeof patch} into Go value of type map[string]interface {}`,
    );
  return mergeMap(cloneJson(doc) as Obj, cloneJson(patch), { struct: type });
}

function fieldOf(schema: Schema, key: string): Field | undefined {
  return schema !== undefined && "struct" in schema ? schema.struct.byName.get(key) : undefined;
}

function schemaOf(t: TypeRef | undefined): Schema {
  if (t === undefined) return undefined;
  if (t.shape === "struct") return { struct: structOf(t) };
  if (t.shape === "map") return { element: t.element! };
  return undefined;
}

/** The schema below a key of a map. */
function childSchema(schema: Schema, key: string): Schema {
  if (schema === undefined) return undefined;
  return "struct" in schema ? schemaOf(schema.struct.byName.get(key)?.type) : schemaOf(schema.element);
}

function itemSchema(f: Field | undefined): Schema {
  return f?.type.shape === "list" ? schemaOf(f.type.element) : undefined;
}

function mergeMap(original: Obj, patch: Obj, schema: Schema): Obj {
  if (Object.hasOwn(patch, DIRECTIVE)) {
    const directive = patch[DIRECTIVE];
    if (directive === "replace") {
      delete patch[DIRECTIVE];
      return dropDirectives(patch) as Obj;
    }
    if (directive === "delete") return {};
    throw plain(`unknown patch type: ${directive} in map: ${goMap(patch)}`);
  }
  retainKeys(original, patch);
  mergeOrderedLists(original, patch, schema);
  for (const key of Object.keys(patch)) {
    if (key.startsWith(SET_ORDER)) continue;
    const deleteList = key.startsWith(DELETE_FROM);
    const name = deleteList ? key.slice(DELETE_FROM.length) : key;
    const v = patch[key];
    if (v === null) {
      delete original[name];
      continue;
    }
    const old = Object.hasOwn(original, name) ? original[name] : undefined;
    if (old === undefined || old === null || shapeOf(old) !== shapeOf(v)) {
      if (!deleteList) setMember(original, name, dropDirectives(discardNulls(v)));
    } else if (Array.isArray(v)) {
      original[name] = mergeListField(old, v, fieldOf(schema, name), name, deleteList);
    } else if (isObj(v)) {
      const f = fieldOf(schema, name);
      original[name] = f?.patchStrategy.includes("replace") ? v : mergeMap(old, v, childSchema(schema, name));
    } else setMember(original, name, v);
  }
  return original;
}

function shapeOf(v: unknown): string {
  return Array.isArray(v) ? "list" : typeof v;
}

function setMember(o: Obj, key: string, value: unknown): void {
  if (key === "__proto__") Object.defineProperty(o, key, { value, enumerable: true, configurable: true, writable: true });
  else o[key] = value;
}

function retainKeys(original: Obj, patch: Obj): void {
  if (!Object.hasOwn(patch, RETAIN_KEYS)) return;
  const keep = patch[RETAIN_KEYS];
  if (!Array.isArray(keep)) throw statusErrors.badRequest("invalid patch format of retainKeys");
  delete patch[RETAIN_KEYS];
  for (const key of Object.keys(patch)) {
    if (patch[key] !== null && !key.startsWith("$") && !keep.includes(key))
      throw statusErrors.badRequest("invalid patch format of retainKeys");
  }
  for (const key of Object.keys(original)) if (!keep.includes(key)) delete original[key];
}

/** Lists with a $setElementOrder directive: merged with their patch, then put in the order wanted. */
function mergeOrderedLists(original: Obj, patch: Obj, schema: Schema): void {
  for (const key of Object.keys(patch)) {
    if (!key.startsWith(SET_ORDER)) continue;
    const order = patch[key];
    delete patch[key];
    const name = key.slice(SET_ORDER.length);
    if (!Array.isArray(order)) throw statusErrors.badRequest("invalid patch format of setElementOrder list");
    const f = fieldOf(schema, name);
    const old = original[name];
    const change = patch[name];
    let merged: any[];
    if (Array.isArray(old) && change === undefined) merged = old;
    else if (!Array.isArray(old) && Array.isArray(change)) merged = dropDirectives(discardNulls(change)) as any[];
    else if (Array.isArray(old) && Array.isArray(change)) merged = mergeListField(old, change, f, name, false);
    else continue;
    const mergeKey = f?.patchMergeKey;
    checkOrder(order, change, mergeKey);
    original[name] = orderList(merged, order, Array.isArray(old) ? old : [], mergeKey);
    delete patch[name];
  }
}

/** The patch's items must stand in the order list. */
function checkOrder(order: any[], change: unknown, mergeKey: string | undefined): void {
  if (!Array.isArray(change)) return;
  const known = positions(order, mergeKey);
  for (const item of change) {
    if (isObj(item) && item[DIRECTIVE] !== undefined) continue;
    if (!known.has(identity(mergeKey === undefined ? item : item?.[mergeKey]))) {
      throw plain(`The order in patch list:\n${goValue(change)}\n doesn't match $setElementOrder list:\n${goValue(order)}\n`);
    }
  }
}

function mergeListField(old: any[], change: any[], f: Field | undefined, name: string, deleteList: boolean): any[] {
  if (!f?.patchStrategy.includes("merge")) return deleteList ? old : change;
  if (old.length === 0 && change.length === 0) return old;
  const mergeKey = f.patchMergeKey;
  const sample = change[0] ?? old[0];
  if (!isObj(sample)) {
    const gone = deleteList ? positions(change, undefined) : undefined;
    if (gone) return old.filter((x) => !gone.has(identity(x)));
    const merged = new Map<string, any>();
    for (const x of [...old, ...change]) if (!merged.has(identity(x))) merged.set(identity(x), x);
    return orderList([...merged.values()], change, old, undefined);
  }
  if (mergeKey === undefined) throw plain(`cannot merge lists without merge key for ${f.type.element?.goName ?? name}`);
  const special = applySpecialItems(old, change, mergeKey);
  const merged = [...special.old];
  const known = positions(merged, mergeKey);
  for (const item of special.change) {
    const at = known.get(identity(item[mergeKey]));
    if (at !== undefined) merged[at] = mergeMap(merged[at], item, itemSchema(f));
    else {
      known.set(identity(item[mergeKey]), merged.length);
      merged.push(dropDirectives(discardNulls(item)));
    }
  }
  return orderList(merged, special.change, special.old, mergeKey);
}

/** Items that carry $patch: delete removes its match, replace takes the rest of the patch as the whole list. */
function applySpecialItems(old: any[], change: any[], mergeKey: string): { old: any[]; change: any[] } {
  const deleted = new Set<string>();
  let replace = false;
  const rest: any[] = [];
  for (const item of change) {
    if (!isObj(item)) throw plain("lists of lists are not supported");
    const directive = item[DIRECTIVE];
    if (directive === undefined) {
      if (!Object.hasOwn(item, mergeKey)) throw plain(`map: ${goMap(item)} does not contain declared merge key: ${mergeKey}`);
      rest.push(item);
    } else if (directive === "delete") {
      if (!Object.hasOwn(item, mergeKey)) throw plain(`map: ${goMap(item)} does not contain declared merge key: ${mergeKey}`);
      deleted.add(identity(item[mergeKey]));
    } else if (directive === "replace") replace = true;
    else if (directive === "merge") throw plain("merging lists cannot yet be specified in the patch");
    else throw plain(`unknown patch type: ${directive} in map: ${goMap(item)}`);
  }
  if (replace) return { old: rest, change: [] };
  return { old: deleted.size === 0 ? old : old.filter((x) => !deleted.has(identity(x[mergeKey]))), change: rest };
}

/** Equal values have equal texts: members in order of their names. */
function identity(v: any): string {
  if (Array.isArray(v)) return `[${v.map(identity).join(",")}]`;
  if (!isObj(v)) return v === undefined ? "" : JSON.stringify(v);
  return `{${Object.keys(v)
    .sort()
    .map((k) => `${JSON.stringify(k)}:${identity(v[k])}`)
    .join(",")}}`;
}

/** Where each item stands first, by its merge key or, without one, by itself. */
function positions(list: readonly any[], mergeKey: string | undefined): Map<string, number> {
  const out = new Map<string, number>();
  for (const [i, x] of list.entries()) {
    const id = identity(mergeKey === undefined ? x : x?.[mergeKey]);
    if (!out.has(id)) out.set(id, i);
  }
  return out;
}

/** Items of the patch in the patch's order, the server's own in theirs, woven so that the server's order holds where both are known. */
function orderList(merged: any[], order: any[], serverOrder: any[], mergeKey: string | undefined): any[] {
  const inOrder = positions(order, mergeKey);
  const inServer = positions(serverOrder, mergeKey);
  const indexIn = (by: Map<string, number>, x: any) => by.get(identity(mergeKey === undefined ? x : x?.[mergeKey])) ?? -1;
  const fromPatch: any[] = [];
  const serverOnly: any[] = [];
  for (const x of merged) (indexIn(inOrder, x) >= 0 ? fromPatch : serverOnly).push(x);
  const byOrder = (list: any[], by: Map<string, number>) =>
    list
      .map((x) => ({ x, at: indexIn(by, x) }))
      .sort((a, b) => (a.at >= 0 && b.at >= 0 ? a.at - b.at : 0))
      .map((e) => e.x);
  const left = byOrder(serverOnly, inServer);
  const right = byOrder(fromPatch, inOrder);
  const out: any[] = [];
  let i = 0;
  let j = 0;
  while (i < left.length || j < right.length) {
    if (i >= left.length) out.push(right[j++]);
    else if (j >= right.length) out.push(left[i++]);
    else {
      const l = indexIn(inServer, left[i]);
      const r = indexIn(inServer, right[j]);
      out.push(l >= 0 && r >= 0 && l < r ? left[i++] : right[j++]);
    }
  }
  return out;
}

function discardNulls(v: any): any {
  if (isObj(v)) {
    for (const k of Object.keys(v)) {
      if (v[k] === null) delete v[k];
      else discardNulls(v[k]);
    }
  } else if (Array.isArray(v)) for (const x of v) discardNulls(x);
  return v;
}

/** Removes directives from values that are taken over whole. */
function dropDirectives(v: any): any {
  if (Array.isArray(v)) return v.filter((x) => !(isObj(x) && x[DIRECTIVE] !== undefined)).map(dropDirectives);
  if (!isObj(v)) return v;
  if (Object.hasOwn(v, DIRECTIVE)) return {};
  for (const k of Object.keys(v)) {
    if (k === DIRECTIVE || k === RETAIN_KEYS || k.startsWith(SET_ORDER) || k.startsWith(DELETE_FROM)) delete v[k];
    else setMember(v, k, dropDirectives(v[k]));
  }
  return v;
}

/** Go's %v of a map, keys sorted: "map[a:1 b:map[c:d]]". */
export function goMap(o: Obj): string {
  return `map[${Object.keys(o)
    .sort()
    .map((k) => `${k}:${goValue(o[k])}`)
    .join(" ")}]`;
}

export function goValue(v: unknown): string {
  if (v === null || v === undefined) return "<nil>";
  if (Array.isArray(v)) return `[${v.map(goValue).join(" ")}]`;
  return isObj(v) ? goMap(v) : String(v);
}
