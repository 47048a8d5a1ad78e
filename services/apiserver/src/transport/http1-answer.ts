// Answers of HTTP/1.1 as bytes (RFC 9112): the head, and a body's chunks. Pure.
// Invariant: no field value holds a line break or anything else that RFC 9110 does not allow in one.
import { STATUS_CODES } from "node:http";
import { PodwireError } from "@podwire/base";
import type { ApiResponse } from "../call.ts";

export class MalformedHeaderError extends PodwireError {}

export const LAST_CHUNK = Buffer.from("0\r\n\r\n");
const FORBIDDEN = /[^\t\x20-\x7e\x80-\xff]/;

/** How a body is delimited: a length, chunks, or no body at all. */
export type Framing = number | "chunked" | "none";

/** What an answer without a body is by its status (RFC 9110, section 6.4.1). */
export function isBodiless(status: number): boolean {
  return status === 204 || status === 304 || status < 200;
}

/** `persist` is the text of the fields about the connection. Throws MalformedHeaderError. */
export function headText(status: number, headers: ApiResponse["headers"], framing: Framing, date: string, persist: string): string {
  let text = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? "Unknown"}\r\n`;
  for (const name in headers) {
    const value = headers[name] as string | string[];
    if (name === "content-length") continue;
    if (Array.isArray(value)) for (const v of value) text += field(name, v);
    else text += field(name, value);
  }
  if (typeof framing === "number") text += `content-length: ${framing}\r\n`;
  else if (framing === "chunked") text += "transfer-encoding: chunked\r\n";
  if (headers["date"] === undefined) text += `date: ${date}\r\n`;
  return `${text}${persist}\r\n`;
}

/** Values that were looked at: nearly all are the same few. Past this many it begins anew. */
const MAX_CHECKED = 512;
const checked = new Set<string>();

function field(name: string, value: string): string {
  if (!checked.has(value)) {
    if (FORBIDDEN.test(value)) throw new MalformedHeaderError(`the header ${name} cannot be ${JSON.stringify(value)}`);
    if (checked.size >= MAX_CHECKED) checked.clear();
    checked.add(value);
  }
  return `${name}: ${value}\r\n`;
}

/** Chunks up to this size are remembered. */
const MAX_REMEMBERED_BYTES = 256 * 1024;
let framed: { bytes: Uint8Array; chunk: Buffer } | undefined;

/** One chunk (not empty) with its frame. The last one is remembered: a watch's events go to many connections one after the other. */
export function chunkOf(bytes: Uint8Array): Buffer {
  if (framed?.bytes === bytes) return framed.chunk;
  const size = `${bytes.length.toString(16)}\r\n`;
  const chunk = Buffer.allocUnsafe(size.length + bytes.length + 2);
  chunk.write(size, 0, "latin1");
  chunk.set(bytes, size.length);
  chunk.write("\r\n", size.length + bytes.length, "latin1");
  if (bytes.length <= MAX_REMEMBERED_BYTES) framed = { bytes, chunk };
  return chunk;
}
