// curl, as the images of the e2e suite and people use it: HTTP and HTTPS through the pod's network, curl's exit codes and messages.
import type http from "node:http";
import httpModule from "node:http";
import type { Duplex } from "node:stream";
import tls from "node:tls";
import { options } from "../applets/options.ts";
import { readAll } from "../applets/streams.ts";
import { strerror } from "../kernel/errno.ts";
import { ExitRequest, type Process } from "../kernel/process.ts";
import { connectUnix, UnixStream } from "../kernel/unix-socket.ts";
import { LookupError } from "../net/resolver.ts";

const LONG: Record<string, string> = {
  silent: "s",
  "show-error": "S",
  output: "o",
  "remote-name": "O",
  request: "X",
  header: "H",
  data: "d",
  "data-binary": "d",
  "data-raw": "d",
  include: "i",
  head: "I",
  location: "L",
  insecure: "k",
  "max-time": "m",
  "connect-timeout": "1",
  fail: "f",
  verbose: "v",
  globoff: "g",
  user: "u",
  "user-agent": "A",
  "write-out": "w",
  "dump-header": "D",
  "unix-socket": "U",
  interface: "2",
  cacert: "3",
  retry: "4",
  "retry-connrefused": "5",
  "retry-delay": "6",
  resolve: "7",
  disable: "q",
  noproxy: "8",
  ipv4: "9",
  form: "F",
  "http1.1": "0",
  compressed: "b",
  "no-progress-meter": "s",
  "retry-all-errors": "5",
};

class CurlError extends Error {
  readonly code: number;
  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

export async function curl(p: Process): Promise<number> {
  const o = await options(p, "sSo:OX:H:d:iILkm:1:fvgu:A:w:2:3:4:56:7:q8:90F:b4D:U:", "[options...] <url>", { long: LONG, code: 2 });
  const quiet = o.flags.has("s") && !o.flags.has("S");
  let status = 0;
  if (o.args.length === 0) {
    await p.printError("curl: (2) no URL specified\n");
    return 2;
  }
  const retries = Number(o.values.get("4") ?? 0);
  for (const given of o.args) {
    for (let attempt = 0; ; attempt++) {
      try {
        await transfer(p, given, o);
        status = 0;
        break;
      } catch (e) {
        if (e instanceof ExitRequest) throw e;
        p.check();
        if (!(e instanceof CurlError)) throw e;
        status = e.code;
        if (attempt < retries && (e.code !== 7 || o.flags.has("5"))) {
          await p.sleep(Number(o.values.get("6") ?? 1) * 1000);
          continue;
        }
        if (!quiet) await p.printError(`curl: (${e.code}) ${e.message}\n`);
        break;
      }
    }
  }
  return status;
}

const MAX_REDIRECTS = 50;

async function transfer(p: Process, given: string, o: Awaited<ReturnType<typeof options>>): Promise<void> {
  let url: URL;
  try {
    url = new URL(given.includes("://") ? given : `http://${given}`);
  } catch {
    throw new CurlError(3, "URL using bad/illegal format or missing URL");
  }
  const started = p.clock.monotonicMs();
  const limitMs = o.values.has("m") ? Number(o.values.get("m")) * 1000 : undefined;
  let method = o.values.get("X") ?? (o.flags.has("I") ? "HEAD" : o.flags.has("d") ? "POST" : "GET");
  let body: Buffer | undefined;
  if (o.flags.has("d")) {
    const parts: string[] = [];
    for (const d of o.all.get("d") ?? [])
      parts.push(
        d.startsWith("@")
          ? d === "@-"
            ? (await readAll(p, 0)).toString("latin1")
            : Buffer.from(p.fs.readFile(d.slice(1))).toString("latin1")
          : Buffer.from(d).toString("latin1"),
      );
    body = Buffer.from(parts.join("&"), "latin1");
  }
  for (let hops = 0; ; hops++) {
    if (url.protocol !== "http:" && url.protocol !== "https:")
      throw new CurlError(1, `Protocol "${url.protocol.slice(0, -1)}" not supported`);
    const headers: Record<string, string> = { Host: url.host, "User-Agent": o.values.get("A") ?? "curl/8.14.1", Accept: "*/*" };
    if (o.values.has("u")) headers["Authorization"] = `Basic ${Buffer.from(o.values.get("u") as string).toString("base64")}`;
    if (body) {
      headers["Content-Length"] = String(body.length);
      headers["Content-Type"] = "application/x-www-form-urlencoded";
    }
    for (const h of o.all.get("H") ?? []) {
      const name = h.slice(0, h.indexOf(":"));
      const existing = Object.keys(headers).find((k) => k.toLowerCase() === name.toLowerCase());
      if (existing) delete headers[existing];
      const value = h.slice(h.indexOf(":") + 1).trim();
      if (value !== "") headers[name] = value;
    }
    const answer = await exchange(
      p,
      url,
      method,
      headers,
      body,
      o,
      limitMs === undefined ? undefined : limitMs - (p.clock.monotonicMs() - started),
    );
    const code = answer.res.statusCode ?? 0;
    const location = answer.res.headers.location;
    const dump = o.values.get("D");
    if (o.flags.has("i") || o.flags.has("I") || dump !== undefined) {
      let head = `HTTP/${answer.res.httpVersion} ${code} ${answer.res.statusMessage ?? ""}\r\n`;
      for (let i = 0; i < answer.res.rawHeaders.length; i += 2) head += `${answer.res.rawHeaders[i]}: ${answer.res.rawHeaders[i + 1]}\r\n`;
      if (o.flags.has("i") || o.flags.has("I") || dump === "-") await p.print(`${head}\r\n`);
      if (dump !== undefined && dump !== "-") p.fs.writeFile(dump, `${head}\r\n`);
    }
    if (o.flags.has("L") && location && code >= 300 && code < 400 && hops < MAX_REDIRECTS) {
      url = new URL(location, url);
      if (code === 303 || ((code === 301 || code === 302) && method === "POST")) {
        method = "GET";
        body = undefined;
      }
      continue;
    }
    if (o.flags.has("f") && code >= 400) throw new CurlError(22, `The requested URL returned error: ${code}`);
    const out = o.values.get("o") ?? (o.flags.has("O") ? url.pathname.split("/").pop() : undefined);
    if (out !== undefined && out !== "-") p.fs.writeFile(out, answer.body);
    else if (answer.body.length > 0) await p.write(1, answer.body);
    const format = o.values.get("w");
    if (format !== undefined) {
      const seconds = ((p.clock.monotonicMs() - started) / 1000).toFixed(6);
      await p.print(
        format.replace(/%\{(\w+)\}|\\([nrt])/g, (_, name: string | undefined, e: string | undefined) =>
          e !== undefined
            ? ({ n: "\n", r: "\r", t: "\t" }[e] as string)
            : name === "http_code" || name === "response_code"
              ? String(code).padStart(3, "0")
              : name === "time_total"
                ? seconds
                : name === "size_download"
                  ? String(answer.body.length)
                  : name === "remote_ip"
                    ? answer.remote
                    : "",
        ),
      );
    }
    return;
  }
}

async function exchange(
  p: Process,
  url: URL,
  method: string,
  headers: Record<string, string>,
  body: Buffer | undefined,
  o: Awaited<ReturnType<typeof options>>,
  leftMs: number | undefined,
): Promise<{ res: http.IncomingMessage; body: Buffer; remote: string }> {
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const port = Number(url.port || (url.protocol === "https:" ? 443 : 80));
  const connectMs = Math.min(leftMs ?? Number.POSITIVE_INFINITY, o.values.has("1") ? Number(o.values.get("1")) * 1000 : 300_000);
  const began = p.clock.monotonicMs();
  const after = () => Math.round(p.clock.monotonicMs() - began);
  let address = host;
  const fixed = (o.all.get("7") ?? []).map((r) => r.split(":")).find((r) => r[0] === host && Number(r[1]) === port);
  const path = o.values.get("U");
  try {
    address = path !== undefined ? "" : (fixed?.[2] ?? ((await p.until(p.net.lookup(host)))[0] as string));
  } catch (e) {
    p.check();
    if (e instanceof LookupError) throw new CurlError(6, `Could not resolve host: ${host}`);
    throw e;
  }
  const local = o.values.get("2");
  let socket: Duplex;
  try {
    socket =
      path !== undefined
        ? new UnixStream(p, connectUnix(p, path))
        : await p.until(
            p.net.connect(p, {
              host: address,
              port,
              timeoutMs: connectMs,
              allowHalfOpen: true,
              ...(local !== undefined && /^[\d.:a-f]+$/.test(local) ? { localAddress: local } : {}),
            }),
          );
  } catch (e) {
    p.check();
    const code = (e as { code?: string }).code;
    if (code === "ETIMEDOUT")
      throw new CurlError(
        28,
        leftMs !== undefined && leftMs <= connectMs
          ? `Connection timed out after ${after()} milliseconds`
          : `Failed to connect to ${host} port ${port} after ${after()} ms: Timeout was reached`,
      );
    throw new CurlError(
      7,
      `Failed to connect to ${host} port ${port} after ${after()} ms: ${code === "ECONNREFUSED" || code === "EHOSTUNREACH" ? "Could not connect to server" : strerror(e)}`,
    );
  }
  const stream = url.protocol === "https:" ? await secure(p, socket, host, o) : socket;
  return p.until(
    new Promise((resolve, reject) => {
      const timer =
        leftMs === undefined
          ? undefined
          : p.clock.after(Math.max(1, leftMs - after()), () =>
              fail(new CurlError(28, `Operation timed out after ${after()} milliseconds with ${received} bytes received`)),
            );
      let received = 0;
      const fail = (e: Error) => {
        timer?.cancel();
        socket.destroy();
        reject(e);
      };
      const req = httpModule.request({
        createConnection: () => stream as never,
        path: `${url.pathname}${url.search}`,
        method,
        headers,
        setHost: false,
      });
      req.on("error", (e) =>
        fail(
          e instanceof CurlError
            ? e
            : (e as { code?: string }).code === "ECONNRESET" && e.message === "socket hang up"
              ? new CurlError(52, "Empty reply from server")
              : new CurlError(56, `Recv failure: ${strerror(e)}`),
        ),
      );
      req.on("response", (res) => {
        const parts: Buffer[] = [];
        res.on("data", (d: Buffer) => {
          received += d.length;
          parts.push(d);
        });
        res.on("error", () => fail(new CurlError(18, "end of response with bytes missing")));
        res.on("end", () => {
          timer?.cancel();
          socket.destroy();
          resolve({ res, body: Buffer.concat(parts), remote: address });
        });
      });
      req.end(body);
    }),
  );
}

function secure(p: Process, socket: unknown, host: string, o: Awaited<ReturnType<typeof options>>): Promise<unknown> {
  const ca = o.values.get("3");
  return new Promise((resolve, reject) => {
    const s = tls.connect(
      {
        socket: socket as never,
        rejectUnauthorized: !o.flags.has("k"),
        ...(/[a-z]/i.test(host) ? { servername: host } : {}),
        ...(ca === undefined ? {} : { ca: Buffer.from(p.fs.readFile(ca)) }),
      },
      () => resolve(s),
    );
    s.once("error", (e) => reject(new CurlError(60, `SSL certificate problem: ${e.message}`)));
  });
}
