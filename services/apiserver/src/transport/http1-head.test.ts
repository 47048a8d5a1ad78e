// What of a request's head is taken, and what is left to Node's parser.
import { describe, expect, it } from "vitest";
import { parseHeaderBlock, parseRequestLine } from "./http1-head.ts";

describe("request line", () => {
  it("takes a method, an origin-form target and HTTP/1.1", () => {
    expect(parseRequestLine("GET /api/v1/pods?limit=5 HTTP/1.1")).toEqual({ method: "GET", target: "/api/v1/pods?limit=5" });
  });

  it.each([
    "GET /api HTTP/1.0",
    "GET http://host/api HTTP/1.1",
    "OPTIONS * HTTP/1.1",
    "HEAD / HTTP/1.1",
    "get / HTTP/1.1",
    "GET  / HTTP/1.1",
    "GET /a b HTTP/1.1",
    "GET /\u00e9 HTTP/1.1",
    "GET / HTTP/1.1\n",
    "",
  ])("leaves %j", (line) => {
    expect(parseRequestLine(line)).toBeUndefined();
  });
});

describe("header fields", () => {
  const host = "Host: a\r\n";

  it("lowers names, trims values and reads the length", () => {
    const block = parseHeaderBlock(`${host}Content-Type:\tapplication/json \r\ncontent-length: 12\r\nX-Empty:\r\n`);
    expect(block).toEqual({
      headers: { host: "a", "content-type": "application/json", "content-length": "12", "x-empty": "" },
      contentLength: 12,
      close: false,
    });
  });

  it("sees that the connection is to end", () => {
    expect(parseHeaderBlock(`${host}Connection: Close\r\n`)?.close).toBe(true);
    expect(parseHeaderBlock(`${host}Connection: keep-alive\r\n`)?.close).toBe(false);
  });

  it.each([
    "Accept: */*\r\n", // no host
    `${host}Transfer-Encoding: chunked\r\n`,
    `${host}Content-Length: 1\r\nContent-Length: 2\r\n`,
    `${host}Content-Length: 1, 1\r\n`,
    `${host}Content-Length: +1\r\n`,
    `${host}Content-Length: 0x10\r\n`,
    `${host}Content-Length: 12345678901\r\n`,
    `${host}Expect: 100-continue\r\n`,
    `${host}Connection: Upgrade\r\nUpgrade: websocket\r\n`,
    `${host}Connection: keep-alive, X\r\n`,
    `${host}A: 1\r\na: 2\r\n`,
    `${host}constructor: 1\r\n`,
    `${host}__proto__: 1\r\n`,
    `${host}A : 1\r\n`,
    `${host}A: 1\r\n folded\r\n`,
    `${host}A: b\nC: d\r\n`,
    `${host}A: b\rC\r\n`,
    `${host}A: \u00e9\r\n`,
    `${host}A: \u0000\r\n`,
    `${host}no colon\r\n`,
    `: empty\r\n${host}`,
    "",
  ])("leaves %j", (text) => {
    expect(parseHeaderBlock(text)).toBeUndefined();
  });
});
