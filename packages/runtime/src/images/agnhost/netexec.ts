// agnhost netexec: an HTTP and a UDP server that tell who they are, who asks, and that ask others on request.

import { FdTable } from "../../kernel/open-file.ts";
import type { Process } from "../../kernel/process.ts";
import { type Address, DialError, httpGet, resolve, udpExchange } from "./dial.ts";
import { atoi, checkArgs, fatal, formatDuration, goJson, log, parseDuration, parseFlags, quote, sysText } from "./go.ts";
import { type GoRequest, type GoResponse, type GoServer, type Handler, serve, serveMux } from "./http-server.ts";

const DIAL_TIMEOUT_MS = 5_000;
const UPLOADS = "/uploads";

interface State {
  p: Process;
  httpPort: number;
  /** UDP servers are up. */
  ready: boolean;
  stopping: boolean;
  server: GoServer | undefined;
}

export async function netexec(p: Process, argv: readonly string[]): Promise<number> {
  const { flags, args } = parseFlags(argv, {
    "http-port": { kind: "int", default: 8080 },
    "udp-port": { kind: "int", default: 8081 },
    "sctp-port": { kind: "int", default: -1 },
    "udp-listen-addresses": { kind: "string", default: "" },
    "tls-cert-file": { kind: "string", default: "" },
    "tls-private-key-file": { kind: "string", default: "" },
    "http-override": { kind: "string", default: "" },
    "delay-shutdown": { kind: "int", default: 0 },
  });
  checkArgs(args, 0, 0);
  const state: State = { p, httpPort: flags["http-port"] as number, ready: false, stopping: false, server: undefined };
  p.onSignal(15, () => {
    state.stopping = true;
    const delay = flags["delay-shutdown"] as number;
    if (delay > 0) log(p, `Sleeping ${delay} seconds before terminating...`);
    p.clock.after(delay * 1000, () => p.terminate({ code: 0, signal: 0 }), { unref: true });
  });
  log(p, `Started HTTP server on port ${state.httpPort}`);
  const udpPort = flags["udp-port"] as number;
  const startUdp = () => {
    if (udpPort < 0) return;
    const addresses = flags["udp-listen-addresses"] === "" ? [""] : (flags["udp-listen-addresses"] as string).split(",");
    for (const a of addresses) serveUdp(state, a, udpPort);
    state.ready = true;
  };
  const cert = flags["tls-cert-file"] as string;
  let tls: { cert: string; key: string } | undefined;
  try {
    if (cert !== "") {
      const certText = readOrFail(p, cert);
      tls = { cert: certText, key: readOrFail(p, flags["tls-private-key-file"] as string) };
    }
  } catch (e) {
    if (p.exe !== "" && p.fs.exists(cert)) startUdp();
    fatal(p, (e as Error).message);
  }
  if (state.httpPort > 65_535) fatal(p, `listen tcp: address ${state.httpPort}: invalid port`);
  const routes = routesOf(state);
  const override = flags["http-override"] as string;
  if (override !== "") routes["/"] = routes[override] ?? (routes["/"] as Handler);
  try {
    state.server = serve(p, state.httpPort, serveMux(routes), tls);
  } catch (e) {
    fatal(p, `listen tcp :${state.httpPort}: bind: ${sysText(e)}`);
  }
  startUdp();
  await p.block(() => () => undefined);
  return 0;
}

function readOrFail(p: Process, path: string): string {
  try {
    return p.fs.readText(path);
  } catch (e) {
    throw new Error(`open ${path}: ${sysText(e)}`);
  }
}

function routesOf(s: State): { [pattern: string]: Handler } {
  const { p } = s;
  return {
    "/": (w) => {
      log(p, "GET /");
      w.write(`NOW: ${goTime(p)}`);
    },
    "/clientip": (w, r) => {
      log(p, "GET /clientip");
      w.write(r.remoteAddr);
    },
    "/serverport": (w) => {
      log(p, "GET /serverport");
      w.write(String(s.httpPort));
    },
    "/hostname": hostname(p, "hostname"),
    "/hostName": hostname(p, "hostName"),
    "/echo": (w, r) => echo(p, w, r),
    "/header": (w, r) => header(p, w, r),
    "/redirect": (w, r) => redirect(p, w, r),
    "/healthz": (w) => {
      log(p, "GET /healthz");
      w.writeHeader(s.ready ? 200 : 412);
    },
    "/readyz": (w) => {
      log(p, "GET /readyz");
      if (s.stopping) {
        w.writeHeader(503);
        w.write("shutting down");
      } else if (s.ready) w.write("ok");
      else w.writeHeader(412);
    },
    "/dial": (w, r) => dial(p, w, r),
    "/shell": (w, r) => shell(p, w, r),
    "/exit": (w, r) => exit(s, w, r),
    "/shutdown": () => {
      log(p, "GET /shutdown");
      p.terminate({ code: 0, signal: 0 });
    },
    "/upload": (w, r) => upload(p, w, r),
  };
}

const hostname =
  (p: Process, name: string): Handler =>
  (w) => {
    log(p, `GET /${name}`);
    w.write(p.hostname);
  };

/** time.Now() as %v prints it. */
function goTime(p: Process): string {
  const t = new Date(p.clock.nowMs()).toISOString();
  return `${t.slice(0, 10)} ${t.slice(11, 23)} +0000 UTC m=+${((p.clock.nowMs() - p.startMs) / 1000).toFixed(9)}`;
}

function echo(p: Process, w: GoResponse, r: GoRequest) {
  const [msg, code] = [r.form("msg"), r.form("code")];
  log(p, `GET /echo?msg=${msg}&code=${code}`);
  if (code !== "") {
    const n = atoi(code);
    if (typeof n === "string") return w.write(`argument 'code' must be an integer or empty, got ${quote(code)}\n`);
    w.writeHeader(n);
  }
  w.write(msg);
}

function header(p: Process, w: GoResponse, r: GoRequest) {
  const key = r.form("key");
  if (key !== "") {
    log(p, `GET /header?key=${key}`);
    return w.write(String(r.message.headers[key.toLowerCase()] ?? ""));
  }
  log(p, "GET /header");
  const all: { [name: string]: string[] } = {};
  for (let i = 0; i < r.message.rawHeaders.length; i += 2) {
    const name = canonical(r.message.rawHeaders[i] as string);
    // Go's server takes these out of the header map.
    if (name === "Host" || name === "Connection" || (name === "Content-Length" && r.method === "GET")) continue;
    (all[name] ??= []).push(r.message.rawHeaders[i + 1] as string);
  }
  w.write(goJson(Object.fromEntries(Object.entries(all).sort(([a], [b]) => (a < b ? -1 : 1)))));
}

function canonical(name: string): string {
  return name.toLowerCase().replace(/(^|-)([a-z])/g, (_, dash: string, c: string) => dash + c.toUpperCase());
}

function redirect(p: Process, w: GoResponse, r: GoRequest) {
  const [to, code] = [r.form("location"), r.form("code")];
  log(p, `GET /redirect?msg=${to}&code=${code}`);
  const n = code === "" ? 302 : atoi(code);
  if (typeof n === "string") return w.write(`argument 'code' must be an integer or empty, got ${quote(code)}\n`);
  w.redirect(r, to, n);
}

async function dial(p: Process, w: GoResponse, r: GoRequest) {
  const [host, port, request, protocol, tries] = ["host", "port", "request", "protocol", "tries"].map((k) => r.query(k)) as [
    string,
    string,
    string,
    string,
    string,
  ];
  log(p, `GET /dial?host=${host}&protocol=${protocol}&port=${port}&request=${request}&tries=${tries}`);
  if (request === "") return w.error("request parameter not specified. <nil>", 400);
  const kind = protocol === "" ? "http" : protocol.toLowerCase();
  if (kind !== "http" && kind !== "udp" && kind !== "sctp") return w.error(`unsupported protocol. ${protocol}`, 400);
  const count = tries === "" ? 1 : atoi(tries);
  if (typeof count === "string") return w.error(`tries parameter is invalid. ${count}`, 400);
  let at: Address;
  try {
    at = await resolve(p, kind === "udp" ? "udp" : "tcp", host, port);
  } catch (e) {
    return w.error(`host and/or port param are invalid. ${(e as Error).message}`, 400);
  }
  const responses: string[] = [];
  const errors: string[] = [];
  for (let i = 0; i < count; i++)
    try {
      if (kind === "sctp") throw new DialError("protocol not supported");
      responses.push(
        kind === "udp"
          ? await udpExchange(p, at, request, DIAL_TIMEOUT_MS)
          : (await httpGet(p, `http://${at.text}/${request}`, at, DIAL_TIMEOUT_MS)).body,
      );
    } catch (e) {
      errors.push(kind === "udp" ? `reading from udp connection failed. err:'${(e as Error).message}'` : (e as Error).message);
    }
  w.write(goJson({ ...(errors.length > 0 ? { errors } : {}), ...(responses.length > 0 ? { responses } : {}) }));
}

async function shell(p: Process, w: GoResponse, r: GoRequest) {
  const command = r.query("shellCommand") || r.query("cmd");
  log(p, `GET /shell?cmd=${command}`);
  const { output, error } = await runShell(p, command);
  const answer: { error?: string; output?: string } = { ...(error === "" ? {} : { error }), ...(output === "" ? {} : { output }) };
  log(
    p,
    `Output: map[${Object.entries(answer)
      .map(([k, v]) => `${k}:${v}`)
      .join(" ")}]`,
  );
  w.write(goJson(answer));
}

/** exec.Command("/bin/sh", "-c", cmd).CombinedOutput(). */
async function runShell(p: Process, command: string): Promise<{ output: string; error: string }> {
  let found: ReturnType<typeof p.container.resolveProgram>;
  try {
    found = p.container.resolveProgram(p, "/bin/sh");
  } catch (e) {
    return { output: "", error: `fork/exec /bin/sh: ${sysText(e)}` };
  }
  const [reader, writer] = p.pipe();
  const fds = new FdTable();
  fds.set(0, await p.openFile("/dev/null", { read: true }));
  fds.set(1, writer);
  fds.set(2, writer);
  const fd = p.fds.add(reader);
  const argv = found.argvPrefix.length > 0 ? [...found.argvPrefix, "-c", command] : ["/bin/sh", "-c", command];
  const child = p.spawn({ argv, program: found.program, exe: found.path, fds });
  const chunks: Uint8Array[] = [];
  for (;;) {
    const bytes = await p.read(fd);
    if (bytes.length === 0) break;
    chunks.push(Uint8Array.from(bytes));
  }
  p.fds.close(fd);
  const { code, signal } = (await p.waitpid(child.pid))?.status ?? { code: 0, signal: 0 };
  const error = signal === 9 ? "signal: killed" : signal > 0 ? "signal: terminated" : code === 0 ? "" : `exit status ${code}`;
  return { output: Buffer.concat(chunks).toString("utf8"), error };
}

async function exit(s: State, w: GoResponse, r: GoRequest) {
  const { p } = s;
  const [code, timeout, wait] = [r.query("code"), r.query("timeout"), r.query("wait")];
  log(p, `GET /exit?code=${code}&timeout=${timeout}&wait=${wait}`);
  const duration = (name: string, text: string): number | undefined => {
    const d = text === "" ? 0 : parseDuration(text);
    if (typeof d === "number") return d;
    w.write(`argument '${name}' must be a valid golang duration or empty, got ${quote(text)}\n`);
    return undefined;
  };
  const timeoutMs = duration("timeout", timeout);
  if (timeoutMs === undefined) return;
  const waitMs = duration("wait", wait);
  if (waitMs === undefined) return;
  const n = code === "" ? 0 : atoi(code);
  if (typeof n === "string") return w.write(`argument 'code' must be an integer [0-127] or empty, got ${quote(code)}\n`);
  log(
    p,
    `Will begin shutdown in ${formatDuration(waitMs)}, allowing ${formatDuration(timeoutMs)} for connections to close, then will exit with ${n}`,
  );
  const end = () => p.terminate({ code: n & 0xff, signal: 0 });
  if (timeoutMs === 0) {
    await p.clock.sleep(waitMs);
    end();
    return;
  }
  p.clock.after(waitMs, () => {
    void s.server?.shutdown().then(() => {
      log(p, "Graceful shutdown completed with: <nil>");
      end();
    });
  });
}

function upload(p: Process, w: GoResponse, r: GoRequest) {
  log(p, "GET /upload");
  const file = multipartFile(r);
  if (file === undefined) {
    log(p, "Unable to upload file: %!s(<nil>)");
    return w.write(goJson({ error: "Unable to upload file." }));
  }
  const name = `${UPLOADS}/upload${p.random.uint32()}`;
  try {
    p.fs.writeFile(name, file);
  } catch {
    log(p, "Unable to open file for write: %!s(<nil>)");
    return w.write(goJson({ error: "Unable to open file for write" }));
  }
  log(p, `Wrote upload to ${name}`);
  w.writeHeader(201);
  w.write(goJson({ output: name }));
}

/** The part named "file" of a multipart/form-data body. */
function multipartFile(r: GoRequest): Uint8Array | undefined {
  const boundary = /^multipart\/form-data;.*boundary="?([^";]+)"?/.exec(r.message.headers["content-type"] ?? "")?.[1];
  if (boundary === undefined) return undefined;
  for (const part of r.body.toString("latin1").split(`--${boundary}`)) {
    const at = part.indexOf("\r\n\r\n");
    if (at < 0 || !/\bname="file"/.test(part.slice(0, at)) || !/\bfilename="/.test(part.slice(0, at))) continue;
    return Buffer.from(part.slice(at + 4).replace(/\r\n$/, ""), "latin1");
  }
  return undefined;
}

function serveUdp(s: State, address: string, port: number): void {
  const { p } = s;
  log(p, `Started UDP server on port ${address} ${port}`);
  const u = p.net.udp(p, { port, ...(address === "" ? {} : { host: address }) });
  u.onMessage((bytes, from) => {
    const text = Buffer.from(bytes)
      .toString("utf8")
      .replace(/^[ \n]+|[ \n]+$/g, "");
    const client = from.address.includes(":") ? `[${from.address}]:${from.port}` : `${from.address}:${from.port}`;
    const reply = (answer: string, message: string) => {
      log(p, message);
      u.send(Buffer.from(answer), from.port, from.address);
    };
    const lower = text.toLowerCase();
    if (text === "") return;
    if (lower === "hostname") reply(p.hostname, "Sending udp hostName response");
    else if (lower === "serverport") reply(String(port), `Sending server port to UDP client ${port}`);
    else if (lower === "clientip") reply(client, `Sending clientip back to UDP client ${client}`);
    else if (lower.startsWith("echo ")) reply(text.slice(5), `Echoing ${text.slice(5)} to UDP client ${client}`);
    else log(p, `Unknown UDP command received from ${client}: ${text}`);
  });
}
