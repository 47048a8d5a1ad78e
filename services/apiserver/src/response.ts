// Answers: objects, lists and Status as bytes in the form the client asked for.
// Invariant: an object that lies in the cache is never encoded again for JSON; its bytes are copied into the answer.
import {
  encodeProtobuf,
  encodeProtobufItem,
  envelopeProtobuf,
  type KubeObject,
  kindType,
  listParts,
  parseApiVersion,
  StatusError,
  statusErrors,
} from "@podwire/api";
import { reasonOf } from "@podwire/base";
import { stringify as yamlStringify } from "yaml";
import type { CachedObject } from "./cache/cached-object.ts";
import type { ApiResponse } from "./call.ts";
import { ACCEPTED, type Output } from "./request/accept.ts";
import type { Served } from "./resources/catalogue.ts";

const JSON_HEADERS: Record<string, string> = { "content-type": "application/json", "cache-control": "no-cache, private" };
const FIRST_ITEM = Buffer.from("{");
const NEXT_ITEM = Buffer.from(",{");

export function jsonResponse(status: number, value: unknown): ApiResponse {
  return { status, headers: { ...JSON_HEADERS }, body: JSON.stringify(value) };
}

export function textResponse(status: number, text: string): ApiResponse {
  return { status, headers: { "content-type": "text/plain; charset=utf-8", "x-content-type-options": "nosniff" }, body: text };
}

/** A generated value in JSON, YAML or protobuf; a kind that has no protobuf form is JSON. */
export function valueResponse(status: number, value: unknown, output: Output): ApiResponse {
  if (output.encoding === "protobuf" && !hasProtobuf(value)) return jsonResponse(status, value);
  return { status, headers: { ...JSON_HEADERS, "content-type": output.contentType }, body: encode(value, output) };
}

export function encode(value: unknown, output: Output): string | Uint8Array {
  if (output.encoding === "protobuf") {
    const { apiVersion, kind } = value as KubeObject;
    return encodeProtobuf(apiVersion as string, kind as string, value);
  }
  return output.encoding === "yaml" ? yamlStringify(value, { aliasDuplicateObjects: false, lineWidth: 0 }) : JSON.stringify(value);
}

function hasProtobuf(value: unknown): boolean {
  const { apiVersion, kind } = value as Partial<KubeObject>;
  if (typeof apiVersion !== "string" || typeof kind !== "string") return false;
  const { group, version } = parseApiVersion(apiVersion);
  return kindType(group, version, kind) !== undefined;
}

/** An object's message without its envelope, encoded once. */
function protobufItem(o: CachedObject, served: Served): Buffer {
  return o.format(`protobuf ${served.apiVersion}`, () =>
    asBuffer(encodeProtobufItem(served.apiVersion, served.info.kind, JSON.parse(`{${served.members(o).toString("utf8")}`))),
  );
}

/** An object in its protobuf envelope. */
export function protobufObject(o: CachedObject, served: Served): Buffer {
  return asBuffer(envelopeProtobuf(served.apiVersion, served.info.kind, [protobufItem(o, served)]));
}

function asBuffer(b: Uint8Array): Buffer {
  return Buffer.from(b.buffer, b.byteOffset, b.byteLength);
}

/** Any thrown thing as the Status that Kubernetes would answer; what is not a StatusError is an internal error. */
export function statusOf(e: unknown): Record<string, any> & { code: number } {
  if (e instanceof StatusError) return e.status as never;
  return statusErrors.internal(reasonOf(e)).status as never;
}

export function errorResponse(e: unknown, output?: Output): ApiResponse {
  const status = statusOf(e);
  const r = output ? valueResponse(status.code, status, output) : jsonResponse(status.code, status);
  const retry = status["details"]?.retryAfterSeconds;
  if (retry > 0) r.headers["retry-after"] = String(retry);
  return r;
}

export function success(code: number, details?: Record<string, unknown>): Record<string, unknown> {
  return { kind: "Status", apiVersion: "v1", metadata: {}, status: "Success", ...(details ? { details } : {}), code };
}

/** One object in the shape that was asked for. */
export function objectResponse(
  status: number,
  o: CachedObject,
  served: Served,
  output: Output,
  nowMs: number,
  includeObject: string | null = null,
): ApiResponse {
  if (output.shape === "object") {
    if (output.encoding === "json") return { status, headers: { ...JSON_HEADERS }, body: served.full(o) };
    if (output.encoding === "protobuf")
      return { status, headers: { ...JSON_HEADERS, "content-type": output.contentType }, body: protobufObject(o, served) };
    return valueResponse(status, JSON.parse(served.full(o).toString("utf8")), output);
  }
  if (output.shape === "PartialObjectMetadataList") throw notConvertible();
  return valueResponse(status, shaped(o, served, output, nowMs, includeObject), output);
}

/** Table or PartialObjectMetadata of one object. */
export function shaped(
  o: CachedObject,
  served: Served,
  output: Output,
  nowMs: number,
  includeObject: string | null,
  columns = true,
): unknown {
  if (output.shape === "Table") {
    const table = served.table([served.decoded(o)], { nowMs, includeObject: includeObjectOf(includeObject) }) as Record<string, any>;
    table["apiVersion"] = `meta.k8s.io/${output.metaVersion}`;
    table["metadata"] = { resourceVersion: String(o.revision) };
    if (!columns) table["columnDefinitions"] = null;
    return table;
  }
  return partial(o.object, output.metaVersion);
}

export function partial(o: KubeObject, version: string): Record<string, unknown> {
  return { kind: "PartialObjectMetadata", apiVersion: `meta.k8s.io/${version}`, metadata: o.metadata };
}

export function includeObjectOf(v: string | null): "None" | "Metadata" | "Object" {
  if (v === null || v === "" || v === "Metadata") return "Metadata";
  if (v === "None" || v === "Object") return v;
  throw statusErrors.badRequest(
    `Unable to convert to Table as requested: includeObject: Invalid value: ${JSON.stringify(v)}: must be 'Metadata', 'Object', 'None', or empty`,
  );
}

export interface ListMeta {
  resourceVersion: string;
  continue?: string;
  remainingItemCount?: number;
}

/** A list in the shape that was asked for. */
export function listResponse(
  objects: readonly CachedObject[],
  meta: ListMeta,
  served: Served,
  output: Output,
  nowMs: number,
  includeObject: string | null,
): ApiResponse {
  if (output.shape === "object" && output.encoding === "json") {
    if (served.custom && meta.continue === undefined) meta.continue = "";
    const parts: Uint8Array[] = [listHead(served, meta)];
    for (let i = 0; i < objects.length; i++) {
      parts.push(i === 0 ? FIRST_ITEM : NEXT_ITEM, served.members(objects[i] as CachedObject));
    }
    parts.push(LIST_END);
    return { status: 200, headers: { ...JSON_HEADERS }, body: Buffer.concat(parts) };
  }
  if (output.shape === "object" && output.encoding === "protobuf") {
    const parts = listParts(
      meta,
      objects.map((o) => protobufItem(o, served)),
    );
    const body = envelopeProtobuf(served.apiVersion, served.info.listKind, parts);
    return { status: 200, headers: { ...JSON_HEADERS, "content-type": output.contentType }, body };
  }
  if (output.shape === "object") {
    const items = objects.map((o) => JSON.parse(`{${served.members(o).toString("utf8")}`));
    return valueResponse(200, { kind: served.info.listKind, apiVersion: served.apiVersion, metadata: meta, items }, output);
  }
  if (output.shape === "Table") {
    const table = served.table(
      objects.map((o) => served.decoded(o)),
      { nowMs, includeObject: includeObjectOf(includeObject) },
    ) as Record<string, any>;
    table["apiVersion"] = `meta.k8s.io/${output.metaVersion}`;
    table["metadata"] = meta;
    return valueResponse(200, table, output);
  }
  if (output.shape === "PartialObjectMetadata") throw notConvertible();
  const items = objects.map((o) => partial(o.object, output.metaVersion));
  return valueResponse(
    200,
    {
      kind: "PartialObjectMetadataList",
      apiVersion: `meta.k8s.io/${output.metaVersion}`,
      metadata: meta,
      items: items.length > 0 ? items : null,
    },
    output,
  );
}

/** A whole list from its encoded items and end. */
export function wholeListResponse(rest: Uint8Array, meta: ListMeta, served: Served): ApiResponse {
  if (served.custom) meta.continue = "";
  return { status: 200, headers: { ...JSON_HEADERS }, body: [listHead(served, meta), rest] };
}

const LIST_END = Buffer.from("]}");

function listHead(served: Served, meta: ListMeta): Buffer {
  return Buffer.from(`{"kind":"${served.info.listKind}","apiVersion":"${served.apiVersion}","metadata":${JSON.stringify(meta)},"items":[`);
}

/** A body in one piece. */
export function bytesOf(body: ApiResponse["body"]): Uint8Array {
  if (body === undefined) return NO_BYTES;
  if (typeof body === "string") return Buffer.from(body);
  return body instanceof Uint8Array ? body : Buffer.concat(body);
}

const NO_BYTES = new Uint8Array(0);

function notConvertible(): StatusError {
  return statusErrors.notAcceptable(ACCEPTED);
}
