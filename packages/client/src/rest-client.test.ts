// The client over HTTP/2 against Node's own server: bodies both ways, many requests at once, a connection that goes away.
import { createServer, type Http2Server, type ServerHttp2Session } from "node:http2";
import type { AddressInfo } from "node:net";
import { systemClock } from "@podwire/base";
import { afterEach, beforeEach, expect, it } from "vitest";
import { ApiUnreachableError } from "./errors.ts";
import { Resources } from "./resources.ts";
import { restClient } from "./rest-client.ts";

let server: Http2Server;
let sessions: ServerHttp2Session[];
let seen: { method: string; body: string; authorization: string | undefined }[];
let silent: boolean;

beforeEach(async () => {
  sessions = [];
  seen = [];
  silent = false;
  server = createServer();
  server.on("session", (s) => sessions.push(s));
  server.on("stream", (stream, headers) => {
    const parts: Buffer[] = [];
    stream.on("data", (c: Buffer) => parts.push(c));
    stream.on("error", () => {});
    stream.on("end", () => {
      const body = Buffer.concat(parts).toString();
      seen.push({ method: String(headers[":method"]), body, authorization: headers["authorization"] });
      if (silent) return;
      stream.respond({ ":status": 200, "content-type": "application/json" });
      stream.end(JSON.stringify({ kind: "Pod", metadata: { name: "p" }, padding: "x".repeat(2_000) }));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
});
afterEach(() => {
  for (const s of sessions) s.destroy();
  server.close();
});

const client = (token?: () => string) =>
  restClient({ server: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, clock: systemClock, ...(token ? { token } : {}) });

it("sends a body with every method, DELETE included", async () => {
  const c = client();
  await c.delete(Resources.pods, "default", "p", { gracePeriodSeconds: 7 });
  await c.update(Resources.pods, { metadata: { namespace: "default", name: "p" } });
  await c.get(Resources.pods, "default", "p");
  expect(seen.map((s) => s.method)).toEqual(["DELETE", "PUT", "GET"]);
  expect(JSON.parse(seen[0]?.body ?? "")).toMatchObject({ gracePeriodSeconds: 7 });
  expect(seen[2]?.body).toBe("");
  await c.close();
});

it("reads whole answers however many come at once", async () => {
  const c = client();
  const answers = await Promise.all(Array.from({ length: 400 }, () => c.get(Resources.pods, "default", "p")));
  expect(answers.every((a) => a["padding"].length === 2_000)).toBe(true);
  await c.close();
});

it("asks for its token before every request", async () => {
  let n = 0;
  const c = client(() => `t${++n}`);
  await c.get(Resources.pods, "default", "p");
  await c.get(Resources.pods, "default", "p");
  expect(seen.map((s) => s.authorization)).toEqual(["Bearer t1", "Bearer t2"]);
  await c.close();
});

it("fails by name when the connection goes, and opens another for the next request", async () => {
  const c = client();
  silent = true;
  const failed = c.get(Resources.pods, "default", "p").catch((e) => e);
  while (seen.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  for (const s of sessions) s.destroy();
  expect(await failed).toBeInstanceOf(ApiUnreachableError);
  silent = false;
  expect((await c.get(Resources.pods, "default", "p")).metadata.name).toBe("p");
  await c.close();
});
