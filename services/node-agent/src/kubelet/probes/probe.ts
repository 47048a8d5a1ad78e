// One probe, once (pkg/probe): exec in the container, HTTP, TCP or gRPC from the node to the pod through its network.
// Invariant: an outcome is success, failure with the kubelet's text, or unknown when the probe itself could not run.
import http from "node:http";
import type { Container as ContainerSpec, Probe } from "@podwire/api";
import type { Clock } from "@podwire/base";
import type { Container, NetStack } from "@podwire/runtime";
import { checkGrpc } from "./grpc.ts";

export interface ProbeOutcome {
  result: "success" | "failure" | "unknown";
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
    if (port === undefined) return Promise.resolve({ result: "unknown", output: `couldn't find port: ${p.tcpSocket.port}` });
    return tcpProbe(p.tcpSocket.host || t.podIP, port, t, timeoutMs);
  }
  if (p.grpc) return checkGrpc({ host: t.podIP, port: Number(p.grpc.port), service: p.grpc.service ?? "", timeoutMs }, t.stack, t.clock);
  return Promise.resolve({ result: "unknown", output: "missing probe handler" });
}

export function portOf(port: unknown, spec: ContainerSpec): number | undefined {
  if (typeof port === "number") return port;
  const byName = (spec.ports ?? []).find((x) => x.name === port);
  if (byName) return Number(byName.containerPort);
  return /^\d+$/.test(String(port)) ? Number(port) : undefined;
}

async function execProbe(command: string[], t: ProbeTarget, timeoutMs: number): Promise<ProbeOutcome> {
  let session: ReturnType<Container["execute"]>;
  try {
    session = t.container.execute(command);
  } catch (e) {
    return { result: "failure", output: e instanceof Error ? e.message : String(e) };
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

function httpProbe(h: NonNullable<Probe["httpGet"]>, t: ProbeTarget, timeoutMs: number): Promise<ProbeOutcome> {
  const port = portOf(h.port, t.spec);
  if (port === undefined) return Promise.resolve({ result: "unknown", output: `couldn't find port: ${h.port}` });
  const host = h.host || t.podIP;
  const scheme = (h.scheme ?? "HTTP").toLowerCase();
  const path = (h.path ?? "/").startsWith("/") ? (h.path ?? "/") : `/${h.path}`;
  const url = `${scheme}://${host.includes(":") ? `[${host}]` : host}:${port}${path}`;
  const headers: Record<string, string> = { "User-Agent": "kube-probe/1.34", Accept: "*/*", Connection: "close", Host: `${host}:${port}` };
  for (const { name, value } of h.httpHeaders ?? []) {
    if (value === "" && (name === "User-Agent" || name === "Accept")) delete headers[name];
    else headers[Object.keys(headers).find((k) => k.toLowerCase() === name!.toLowerCase()) ?? name!] = value!;
  }
  return new Promise((resolve) => {
    let done = false;
    const finish = (o: ProbeOutcome) => {
      if (done) return;
      done = true;
      timer.cancel();
      socket?.destroy();
      resolve(o);
    };
    const failed = (text: string) => finish({ result: "failure", output: `Get "${url}": ${text}` });
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
            const code = res.statusCode ?? 0;
            if (code >= 200 && code < 400) finish({ result: "success", output: Buffer.concat(parts).toString("utf8") });
            else finish({ result: "failure", output: `HTTP probe failed with statuscode: ${code}` });
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
