// One probe, once (pkg/probe): exec in the container, HTTP, TCP or gRPC from the node to the pod through its network.
// Invariant: an outcome is success, failure with the kubelet's text, or unknown when the probe itself could not run.
// Redirects to the same host are followed; what redirects elsewhere is alive.
import http from "node:http";
import type { Container as ContainerSpec, Probe } from "@podwire/api";
import type { Clock } from "@podwire/base";
import type { Container, NetStack } from "@podwire/runtime";
import { checkGrpc } from "./grpc.ts";

export interface ProbeOutcome {
  /** `warning` counts as success and is told; `unknown` is no result. */
  result: "success" | "warning" | "failure" | "unknown";
  output: string;
}

export interface ProbeTarget {
  spec: ContainerSpec;
  container: Container;
  podIP: string;
  /** The node's network, from which a kubelet probes. */
  stack: NetStack;
  clock: Clock;
}

/** Bytes of a response body that are kept for the message. */
const MAX_BODY_BYTES = 10 * 1024;

export function runProbe(p: Probe, t: ProbeTarget): Promise<ProbeOutcome> {
  const timeoutMs = (p.timeoutSeconds ?? 1) * 1000;
  if (p.exec) return execProbe(p.exec.command ?? [], t, timeoutMs);
  if (p.httpGet) return httpProbe(p.httpGet, t, timeoutMs);
  if (p.tcpSocket) {
    const port = portOf(p.tcpSocket.port, t.spec);
    if (typeof port === "string") return Promise.resolve({ result: "unknown", output: port });
    return tcpProbe(p.tcpSocket.host || t.podIP, port, t, timeoutMs);
  }
  if (p.grpc) return checkGrpc({ host: t.podIP, port: Number(p.grpc.port), service: p.grpc.service ?? "", timeoutMs }, t.stack, t.clock);
  return Promise.resolve({ result: "unknown", output: "missing probe handler" });
}

/** The number of a port, or why there is none. */
export function portOf(port: unknown, spec: ContainerSpec): number | string {
  const named = (spec.ports ?? []).find((x) => x.name === port);
  const text = String(port);
  if (!named && !/^[+-]?\d+$/.test(text)) return `strconv.Atoi: parsing ${JSON.stringify(text)}: invalid syntax`;
  const n = named ? Number(named.containerPort) : Number(text);
  return n > 0 && n < 65536 ? n : `invalid port number: ${n}`;
}

async function execProbe(command: string[], t: ProbeTarget, timeoutMs: number): Promise<ProbeOutcome> {
  let session: ReturnType<Container["execute"]>;
  try {
    session = t.container.execute(command);
  } catch (e) {
    const reason = e instanceof Error ? e.message : String(e);
    return { result: "unknown", output: `rpc error: code = Unknown desc = ${reason}` };
  }
  const out: Buffer[] = [];
  let size = 0;
  session.onOutput((_s, bytes) => {
    if (size < MAX_BODY_BYTES) out.push(Buffer.from(bytes));
    size += bytes.length;
  });
  let timedOut = false;
  const timer = t.clock.after(timeoutMs, () => {
    timedOut = true;
    session.kill(9);
    if (!session.process.ended) session.process.terminate({ code: 0, signal: 9 });
  });
  const status = await session.wait();
  timer.cancel();
  const output = Buffer.concat(out).toString("utf8");
  if (timedOut) return { result: "failure", output: `command timed out: "${command.join(" ")}" timed out after ${timeoutMs / 1000}s` };
  return status.code === 0 && status.signal === 0 ? { result: "success", output } : { result: "failure", output };
}

function tcpProbe(host: string, port: number, t: ProbeTarget, timeoutMs: number): Promise<ProbeOutcome> {
  const address = `${host.includes(":") ? `[${host}]` : host}:${port}`;
  return new Promise((resolve) => {
    try {
      const s = t.stack.tcpConnect({ host, port, timeoutMs });
      const timer = t.clock.after(timeoutMs, () => {
        s.destroy();
        resolve({ result: "failure", output: `dial tcp ${address}: i/o timeout` });
      });
      s.once("connect", () => {
        timer.cancel();
        s.destroy();
        resolve({ result: "success", output: "" });
      });
      s.once("error", (e) => {
        timer.cancel();
        resolve({ result: "failure", output: `dial tcp ${address}: ${goDialText(e)}` });
      });
    } catch (e) {
      resolve({ result: "failure", output: `dial tcp ${address}: ${goDialText(e)}` });
    }
  });
}

/** What Go's net package says of a failed connect. */
export function goDialText(e: unknown): string {
  switch ((e as { code?: string }).code) {
    case "ECONNREFUSED":
      return "connect: connection refused";
    case "ECONNRESET":
      return "connect: connection reset by peer";
    case "EHOSTUNREACH":
      return "connect: no route to host";
    case "ENETUNREACH":
      return "connect: network is unreachable";
    case "ETIMEDOUT":
      return "i/o timeout";
    default:
      return e instanceof Error ? e.message : String(e);
  }
}

/** Redirects that are followed (net/http's limit). */
const MAX_REDIRECTS = 10;

async function httpProbe(h: NonNullable<Probe["httpGet"]>, t: ProbeTarget, timeoutMs: number): Promise<ProbeOutcome> {
  const port = portOf(h.port, t.spec);
  if (typeof port === "string") return { result: "unknown", output: port };
  const host = h.host || t.podIP;
  const scheme = (h.scheme ?? "HTTP").toLowerCase();
  const path = (h.path ?? "/").startsWith("/") ? (h.path ?? "/") : `/${h.path}`;
  const headers: Record<string, string> = { "User-Agent": "kube-probe/1.34", Accept: "*/*", Connection: "close" };
  for (const { name, value } of h.httpHeaders ?? []) {
    if (value === "" && (name === "User-Agent" || name === "Accept")) delete headers[name];
    else headers[Object.keys(headers).find((k) => k.toLowerCase() === name!.toLowerCase()) ?? name!] = value!;
  }
  const named = Object.keys(headers).find((k) => k.toLowerCase() === "host");
  const deadlineMs = t.clock.monotonicMs() + timeoutMs;
  let at = `${scheme}://${host.includes(":") ? `[${host}]` : host}:${port}${path}`;
  for (let redirects = 0; ; redirects++) {
    // A header of the manifest names the host for the first request only.
    const { host: authority, hostname } = urlOf(at);
    const own = redirects === 0 && named ? headers : { ...headers, [named ?? "Host"]: redirects === 0 ? `${hostname}:${port}` : authority };
    const answer = await httpGet(at, own, t, deadlineMs);
    if ("failed" in answer) return { result: "failure", output: `Get ${JSON.stringify(at)}: ${answer.failed}` };
    const { status, body, location } = answer;
    if (status < 200 || status >= 400) return { result: "failure", output: `HTTP probe failed with statuscode: ${status}` };
    if (status < 300) return { result: "success", output: body };
    const next = FOLLOWED.has(status) && location !== undefined ? resolved(location, at) : undefined;
    if (next === undefined || urlOf(next).hostname !== hostname)
      return { result: "warning", output: `Probe terminated redirects, Response body: ${body}` };
    if (redirects + 1 >= MAX_REDIRECTS)
      return { result: "failure", output: `Get ${JSON.stringify(location)}: stopped after ${MAX_REDIRECTS} redirects` };
    at = next;
  }
}

const FOLLOWED = new Set([301, 302, 303, 307, 308]);

function resolved(location: string, base: string): string | undefined {
  const u = URL.parse(location, base);
  return u && (u.protocol === "http:" || u.protocol === "https:") ? u.href : undefined;
}

/** As the kubelet writes it: what the pod's manifest says need not be what a URL allows. */
function urlOf(text: string): { scheme: string; host: string; hostname: string; port: number; path: string } {
  const [, scheme = "http", host = "", path = ""] = /^(\w+):\/\/([^/?#]*)([^#]*)/.exec(text) ?? [];
  const [, bracketed, bare = "", port] = /^(?:\[(.*)\]|([^:]*))(?::(\d+))?$/.exec(host) ?? [];
  return { scheme, host, hostname: bracketed ?? bare, port: Number(port ?? (scheme === "https" ? 443 : 80)), path: path || "/" };
}

type HttpAnswer = { status: number; body: string; location: string | undefined } | { failed: string };

/** One GET through the node's network. */
function httpGet(url: string, headers: Record<string, string>, t: ProbeTarget, deadlineMs: number): Promise<HttpAnswer> {
  const { scheme, hostname: host, port, path } = urlOf(url);
  const timeoutMs = Math.max(1, deadlineMs - t.clock.monotonicMs());
  return new Promise((resolve) => {
    let done = false;
    const finish = (o: HttpAnswer) => {
      if (done) return;
      done = true;
      timer.cancel();
      socket?.destroy();
      resolve(o);
    };
    const failed = (text: string) => finish({ failed: text });
    let connected = false;
    const timer = t.clock.after(timeoutMs, () =>
      failed(
        connected
          ? "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
          : `dial tcp ${host}:${port}: i/o timeout (Client.Timeout exceeded while awaiting headers)`,
      ),
    );
    let socket: ReturnType<NetStack["tcpConnect"]> | undefined;
    const onError = (e: unknown) => {
      const code = (e as { code?: string }).code;
      if (!connected) failed(`dial tcp ${host}:${port}: ${goDialText(e)}`);
      else
        failed(
          code === "ECONNRESET"
            ? `read tcp ${socket?.localAddress ?? ""}:${socket?.localPort ?? 0}->${host}:${port}: read: connection reset by peer`
            : code === "HPE_INVALID_CONSTANT"
              ? "net/http: HTTP/1.x transport connection broken: malformed HTTP response"
              : (e as Error).message === "socket hang up"
                ? "EOF"
                : String((e as Error).message),
        );
    };
    try {
      socket = t.stack.tcpConnect({ host, port, timeoutMs });
    } catch (e) {
      return onError(e);
    }
    socket.on("error", onError);
    socket.once("connect", () => {
      connected = true;
      void secured(socket as never, scheme, host).then((stream) => {
        const req = http.request({ createConnection: () => stream as never, path, method: "GET", headers, setHost: false }, (res) => {
          const parts: Buffer[] = [];
          let size = 0;
          res.on("data", (d: Buffer) => {
            if (size < MAX_BODY_BYTES) parts.push(d);
            size += d.length;
          });
          res.on("end", () => {
            const body = Buffer.concat(parts).subarray(0, MAX_BODY_BYTES).toString("utf8");
            finish({ status: res.statusCode ?? 0, body, location: res.headers.location });
          });
          res.on("error", onError);
        });
        req.on("error", onError);
        req.end();
      }, onError);
    });
  });
}

async function secured(socket: unknown, scheme: string, host: string): Promise<unknown> {
  if (scheme !== "https") return socket;
  const tls = await import("node:tls");
  return new Promise((resolve, reject) => {
    const s = tls.connect(
      { socket: socket as never, rejectUnauthorized: false, ...(/[a-z]/i.test(host) ? { servername: host } : {}) },
      () => resolve(s),
    );
    s.on("error", reject);
  });
}
