// The API over the bus: the same handler for components, who they are taken from the subject that NATS pins to their credential.

import type { Logger } from "@podwire/base";
import { type Bus, type BusStream, RemoteError, type Subscription, subjectsOf } from "@podwire/bus";
import type { ApiRequest, ApiResponse, Duplexed, ResponseSink, User } from "../call.ts";
import { bytesOf } from "../response.ts";

export interface BusTransportOptions {
  bus: Bus;
  handle: (request: ApiRequest, user: User) => Promise<ApiResponse>;
  log: Logger;
}

/** A watcher of the bus may have this much unsent before it counts as not reading. */
const MAX_UNSENT_BYTES = 32 * 1024 * 1024;

/** Serves requests and streams; several apiservers share the work by a queue group. */
export function serveBus(o: BusTransportOptions): Subscription {
  const subjects = subjectsOf(o.bus.cluster);
  const queue = "apiserver";
  const requests = o.bus.serve(
    subjects.apiAny,
    async (body, message) => {
      const r = await o.handle(requestOf(body), userOf(subjects.identityOf(message.subject)));
      if (r.stream || r.connection || r.portForward) {
        return {
          status: 400,
          headers: { "content-type": "text/plain" },
          body: new TextEncoder().encode("this request streams: open it on apistream"),
        };
      }
      return { status: r.status, headers: flat(r.headers), body: bytesOf(r.body) };
    },
    { queue },
  );
  const streams = o.bus.serveStreams(
    subjects.apiStreamAny,
    (open, stream, message) => {
      void serveStream(o, requestOf(open), userOf(subjects.identityOf(message.subject)), stream);
    },
    { queue },
  );
  return {
    unsubscribe() {
      requests.unsubscribe();
      streams.unsubscribe();
    },
  };
}

async function serveStream(o: BusTransportOptions, request: ApiRequest, user: User, stream: BusStream): Promise<void> {
  const gone = new AbortController();
  stream.onClose(() => gone.abort());
  request.signal = gone.signal;
  try {
    const r = await o.handle(request, user);
    await stream.send({ status: r.connection || r.portForward ? 200 : r.status, headers: flat(r.headers) });
    if (r.stream) return r.stream(sinkOf(stream));
    if (r.connection) return bridge(await r.connection(), stream);
    if (r.portForward) {
      const port = Number(new URLSearchParams(request.path.split("?")[1] ?? "").get("ports") ?? 0);
      return splice(await r.portForward(port), stream);
    }
    const body = bytesOf(r.body);
    if (body.length > 0) await stream.send(body);
    stream.end();
  } catch (e) {
    if (!stream.closed) stream.abort({ code: "internal", message: e instanceof Error ? e.message : String(e) });
  }
}

/** Users of the components' identities. */
export function userOf(identity: string | undefined): User {
  const user = (name: string, ...groups: string[]): User => ({ name, groups: [...groups, "system:authenticated"] });
  if (identity === undefined) return { name: "system:anonymous", groups: ["system:unauthenticated"] };
  if (identity.startsWith("node:")) return user(`system:node:${identity.slice(5)}`, "system:nodes");
  if (identity === "controller-manager") return user("system:kube-controller-manager");
  if (identity === "scheduler") return user("system:kube-scheduler");
  if (identity === "apiserver") return user("system:apiserver", "system:masters");
  if (identity === "edge") return user("system:cloud-controller-manager");
  return user("kubernetes-admin", "system:masters");
}

function requestOf(body: unknown): ApiRequest {
  const b = (body ?? {}) as { method?: unknown; path?: unknown; headers?: unknown; body?: unknown };
  if (typeof b.method !== "string" || typeof b.path !== "string" || !b.path.startsWith("/"))
    throw new RemoteError("malformed", "not an API request: method and path are needed");
  const headers: Record<string, string> = {};
  for (const [k, v] of Object.entries((b.headers ?? {}) as object)) if (typeof v === "string") headers[k.toLowerCase()] = v;
  const request: ApiRequest = { method: b.method, path: b.path, headers };
  if (b.body instanceof Uint8Array && b.body.length > 0) request.body = b.body;
  return request;
}

function sinkOf(stream: BusStream): ResponseSink {
  let unsent = 0;
  let ended = false;
  let closed = stream.closed;
  let chain: Promise<void> = Promise.resolve();
  const drained: (() => void)[] = [];
  stream.onClose(() => {
    closed = true;
    for (const d of drained.splice(0)) d();
  });
  return {
    write(bytes) {
      if (closed || ended) return false;
      unsent += bytes.length;
      chain = chain
        .then(() => (closed ? undefined : stream.send(bytes)))
        .catch(() => {
          closed = true;
        })
        .then(() => {
          unsent -= bytes.length;
          if (unsent === 0) for (const d of drained.splice(0)) d();
        });
      return unsent < MAX_UNSENT_BYTES / 32;
    },
    end() {
      if (ended) return;
      ended = true;
      void chain.then(() => closed || stream.end());
    },
    get closed() {
      return closed || ended;
    },
    get backlog() {
      return unsent;
    },
    onClose: (cb) => stream.onClose(() => cb()),
    onDrain: (cb) => void drained.push(cb),
  };
}

function bridge(d: Duplexed, stream: BusStream): void {
  d.onFrame((channel, data) => (stream.closed ? undefined : stream.send({ channel, data })));
  d.onClose(() => stream.end());
  stream.onFrame((frame) => {
    const { channel, data } = (frame ?? {}) as { channel?: unknown; data?: unknown };
    if (typeof channel === "number" && data instanceof Uint8Array) return d.send(channel, data);
    return undefined;
  });
  stream.onEnd(() => d.end(0));
  stream.onClose(() => d.end());
}

/** Joins two byte streams. */
function splice(a: BusStream, b: BusStream): void {
  for (const [from, to] of [
    [a, b],
    [b, a],
  ] as const) {
    from.onFrame((f) => (to.closed ? undefined : to.send(f)));
    from.onEnd(() => to.closed || to.end());
    from.onClose((e) => {
      if (!to.closed && e) to.abort(e);
    });
  }
}

function flat(headers: ApiResponse["headers"]): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([k, v]) => [k, Array.isArray(v) ? v.join(", ") : v]));
}
