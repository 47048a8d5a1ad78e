// Applets on the network: nc, wget, nslookup, ping, sysctl, getent.

import type http from "node:http";
import type { Duplex } from "node:stream";
import { SysError, strerror } from "../kernel/errno.ts";
import type { Process } from "../kernel/process.ts";
import { connectUnix, listenUnix, UnixStream } from "../kernel/unix-socket.ts";
import { LookupError } from "../net/resolver.ts";
import { reverseName } from "../net/reverse-name.ts";
import { complain, die, options, usage } from "./options.ts";

/** A network error in the words of strerror. */
export function netError(e: unknown): string {
  if (e instanceof LookupError) return e.code === "EAI_AGAIN" ? "Try again" : "Name or service not known";
  return strerror(e);
}

export async function nc(p: Process): Promise<number> {
  const o = await options(p, "lp:w:i:ukvzne:s:tqNU", "[-iN] [-wN] [-l] [-p PORT] [-U PATH] [-f FILE|IPADDR PORT] [-e PROG]");
  const timeoutMs = o.values.has("w") ? Number(o.values.get("w")) * 1000 : undefined;
  if (o.flags.has("U")) return unixNc(p, o.args[0] ?? "", o.flags.has("l"), timeoutMs);
  if (o.flags.has("l")) {
    const port = Number(o.values.get("p") ?? o.args.at(-1) ?? 0);
    return o.flags.has("u") ? udpServer(p, port) : tcpServer(p, port);
  }
  const host = o.args[0];
  const port = Number(o.args[1]);
  if (host === undefined || !port) return usage(p, "[OPTIONS] HOST PORT");
  if (o.flags.has("u")) return udpClient(p, host, port, timeoutMs);
  let socket: Awaited<ReturnType<Process["net"]["connect"]>>;
  try {
    socket = await p.until(p.net.connect(p, { host, port, allowHalfOpen: true, ...(timeoutMs === undefined ? {} : { timeoutMs }) }));
  } catch (e) {
    p.check();
    if (e instanceof LookupError) return die(p, `bad address '${host}'`);
    return die(p, `${o.flags.has("v") ? `${host} (${host}:${port}): ` : `can't connect to remote host (${host}): `}${netError(e)}`);
  }
  if (o.flags.has("v")) await p.printError(`${host} (${host}:${port}) open\n`);
  if (o.flags.has("z")) {
    socket.destroy();
    return 0;
  }
  return relay(p, socket, timeoutMs);
}

/** nc -U, as OpenBSD's nc has it. */
async function unixNc(p: Process, path: string, listening: boolean, timeoutMs: number | undefined): Promise<number> {
  try {
    if (!listening) return await relay(p, new UnixStream(p, connectUnix(p, path)), timeoutMs);
    const accepted = new Promise<UnixStream>((resolve) => {
      const server = listenUnix(p, path, (s) => {
        server.close();
        resolve(new UnixStream(p, s));
      });
    });
    return await relay(p, await p.until(accepted), timeoutMs);
  } catch (e) {
    if (!(e instanceof SysError)) throw e;
    return die(p, `unix connect failed: ${strerror(e)}`);
  }
}

/** Standard input to the socket, the socket to standard output; ends when the peer has, or after `idleMs` of silence. */
async function relay(p: Process, socket: Duplex, idleMs: number | undefined): Promise<number> {
  let finish: () => void = () => undefined;
  const over = new Promise<void>((resolve) => {
    finish = resolve;
  });
  let writing = Promise.resolve();
  let timer = idleMs === undefined ? undefined : p.clock.after(idleMs, finish);
  socket.on("data", (d: Buffer) => {
    timer?.cancel();
    if (idleMs !== undefined) timer = p.clock.after(idleMs, finish);
    socket.pause();
    writing = writing.then(async () => {
      await p.write(1, Uint8Array.from(d));
      socket.resume();
    });
    writing.catch(finish);
  });
  socket.on("end", finish);
  socket.on("error", finish);
  socket.on("close", finish);
  const input = (async () => {
    for (;;) {
      const b = await p.read(0);
      if (b.length === 0) break;
      if (!socket.write(b)) await new Promise<void>((resolve) => socket.once("drain", resolve));
    }
    socket.end();
  })();
  input.catch(finish);
  await p.until(over);
  timer?.cancel();
  await writing.catch(() => undefined);
  socket.destroy();
  return 0;
}

async function tcpServer(p: Process, port: number): Promise<number> {
  let accept: (s: Awaited<ReturnType<Process["net"]["connect"]>>) => void = () => undefined;
  const accepted = new Promise<Awaited<ReturnType<Process["net"]["connect"]>>>((resolve) => {
    accept = resolve;
  });
  let server: ReturnType<Process["net"]["listen"]>;
  try {
    server = p.net.listen(p, { port, allowHalfOpen: true }, (s) => accept(s));
  } catch (e) {
    return die(p, `bind: ${netError(e)}`);
  }
  const socket = await p.until(accepted);
  server.close();
  return relay(p, socket, undefined);
}

async function udpServer(p: Process, port: number): Promise<number> {
  const u = p.net.udp(p, { port });
  let peer: { address: string; port: number } | undefined;
  u.onMessage((bytes, from) => {
    const first = peer === undefined;
    peer = from;
    void p.write(1, Uint8Array.from(bytes));
    if (!first) return;
    void (async () => {
      for (;;) {
        const b = await p.read(0);
        if (b.length === 0) return;
        u.send(b, from.port, from.address);
      }
    })().catch(() => undefined);
  });
  await p.block(() => () => undefined);
  return 0;
}

async function udpClient(p: Process, host: string, port: number, timeoutMs: number | undefined): Promise<number> {
  let address: string;
  try {
    address = (await p.until(p.net.lookup(host)))[0] as string;
  } catch {
    p.check();
    return die(p, `bad address '${host}'`);
  }
  const u = p.net.udp(p);
  let failed: Error | undefined;
  let heard = 0;
  u.onError?.((e) => {
    failed = e;
  });
  u.onMessage((bytes) => {
    heard++;
    void p.write(1, Uint8Array.from(bytes));
  });
  for (;;) {
    const b = await p.read(0);
    if (b.length === 0) break;
    u.send(b, port, address);
  }
  const until = p.clock.monotonicMs() + (timeoutMs ?? 10_000);
  while (p.clock.monotonicMs() < until && failed === undefined) await p.sleep(20);
  if (failed) return die(p, `read: ${netError(failed)}`);
  return heard > 0 || timeoutMs !== undefined ? 0 : 1;
}

export async function wget(p: Process): Promise<number> {
  const text =
    "[-cqS] [--spider] [-O FILE] [-o LOGFILE] [--header STR] [--post-data STR | --post-file FILE] [-P DIR] [-U AGENT] [-T SEC] URL...";
  const o = await options(p, "cqSO:o:P:U:T:H:D:F:st:Y", text, {
    long: {
      header: "H",
      "post-data": "D",
      "post-file": "F",
      spider: "s",
      quiet: "q",
      "output-document": "O",
      timeout: "T",
      "user-agent": "U",
      tries: "t",
      "no-check-certificate": "Y",
      "server-response": "S",
    },
  });
  if (o.args.length === 0) return usage(p, text);
  for (const given of o.args) {
    let url: URL;
    try {
      url = new URL(given.includes("://") ? given : `http://${given}`);
    } catch {
      return die(p, `bad address '${given}'`);
    }
    const code = await fetchOne(p, url, o);
    if (code !== 0) return code;
  }
  return 0;
}

const MAX_REDIRECTS = 5;

async function fetchOne(p: Process, start: URL, o: Awaited<ReturnType<typeof options>>): Promise<number> {
  let url = start;
  const quiet = o.flags.has("q");
  for (let hops = 0; hops <= MAX_REDIRECTS; hops++) {
    if (url.protocol !== "http:" && url.protocol !== "https:") return die(p, `not an http or ftp url: ${url.href}`);
    const tls = url.protocol === "https:";
    const host = url.hostname.replace(/^\[|\]$/g, "");
    const port = url.port === "" ? (tls ? 443 : 80) : Number(url.port);
    let address: string;
    try {
      address = (await p.until(p.net.lookup(host)))[0] as string;
    } catch {
      p.check();
      return die(p, `bad address '${host}'`);
    }
    if (!quiet) await p.printError(`Connecting to ${url.host} (${address}:${port})\n`);
    if (!quiet && tls) await p.printError(`${p.name}: note: TLS certificate validation not implemented\n`);
    const body = o.values.has("F")
      ? Buffer.from(p.fs.readFile(o.values.get("F") as string))
      : o.values.has("D")
        ? Buffer.from(o.values.get("D") as string)
        : undefined;
    const headers: Record<string, string> = { Host: url.host, "User-Agent": o.values.get("U") ?? "Wget", Connection: "close" };
    if (body) {
      headers["Content-Type"] = "application/x-www-form-urlencoded";
      headers["Content-Length"] = String(body.length);
    }
    for (const h of o.all.get("H") ?? []) headers[h.slice(0, h.indexOf(":"))] = h.slice(h.indexOf(":") + 1).trim();
    const timeoutMs = Number(o.values.get("T") ?? 900) * 1000;
    let answer: { res: http.IncomingMessage; body: Buffer };
    try {
      answer = await p.until(
        exchange(p, {
          host: address,
          port,
          path: `${url.pathname}${url.search}`,
          method: body ? "POST" : "GET",
          headers,
          timeoutMs,
          ...(tls ? { tlsName: host } : {}),
          ...(body ? { body } : {}),
        }),
      );
    } catch (e) {
      p.check();
      const code = (e as { code?: string }).code;
      if (code === "ETIMEDOUT_DOWNLOAD") return die(p, "download timed out");
      if (code === "ECONNRESET" || (e as Error).message === "socket hang up") return die(p, "error getting response");
      return die(p, `can't connect to remote host (${address}): ${netError(e)}`);
    }
    const status = answer.res.statusCode ?? 0;
    if (o.flags.has("S")) await p.printError(`  HTTP/${answer.res.httpVersion} ${status} ${answer.res.statusMessage ?? ""}\n`);
    if (status >= 300 && status < 400 && answer.res.headers.location) {
      url = new URL(answer.res.headers.location, url);
      continue;
    }
    if (status < 200 || status > 299)
      return die(p, `server returned error: HTTP/${answer.res.httpVersion} ${status} ${answer.res.statusMessage ?? ""}`);
    if (o.flags.has("s")) return 0;
    const name = o.values.get("O") ?? `${o.values.has("P") ? `${o.values.get("P")}/` : ""}${url.pathname.split("/").pop() || "index.html"}`;
    if (name === "-") {
      if (!quiet) await p.printError(`writing to stdout\n`);
      await p.write(1, answer.body);
      if (!quiet)
        await p.printError(
          `-                    100% |********************************| ${String(answer.body.length).padStart(5)}  0:00:00 ETA\nwritten to stdout\n`,
        );
    } else {
      if (!o.values.has("O") && p.fs.exists(name)) return die(p, `can't open '${name}': File exists`);
      try {
        p.fs.writeFile(name, answer.body);
      } catch (e) {
        return die(p, `can't open '${name}': ${strerror(e)}`);
      }
      if (!quiet)
        await p.printError(
          `saving to '${name}'\n${name.padEnd(20)} 100% |********************************| ${String(answer.body.length).padStart(5)}  0:00:00 ETA\n'${name}' saved\n`,
        );
    }
    return 0;
  }
  return die(p, "too many redirections");
}

interface Exchange {
  host: string;
  port: number;
  path: string;
  method: string;
  headers: Record<string, string>;
  timeoutMs: number;
  body?: Buffer;
  /** HTTPS, with this server name. The certificate is not checked, as busybox's own TLS does not. */
  tlsName?: string;
}

export async function exchange(p: Process, x: Exchange): Promise<{ res: http.IncomingMessage; body: Buffer }> {
  const req = await p.net.request(p, {
    host: x.host,
    port: x.port,
    path: x.path,
    method: x.method,
    headers: x.headers,
    connectTimeoutMs: x.timeoutMs,
    ...(x.tlsName === undefined ? {} : { tls: { host: x.tlsName, insecure: true } }),
  });
  return new Promise((resolve, reject) => {
    const timer = p.clock.after(x.timeoutMs, () =>
      req.destroy(Object.assign(new Error("download timed out"), { code: "ETIMEDOUT_DOWNLOAD" })),
    );
    const finish = (f: () => void) => {
      timer.cancel();
      f();
    };
    req.on("error", (e) => finish(() => reject(e)));
    req.on("response", (res) => {
      const parts: Buffer[] = [];
      res.on("data", (d: Buffer) => void parts.push(d));
      res.on("error", (e) => finish(() => reject(e)));
      res.on("end", () => finish(() => resolve({ res, body: Buffer.concat(parts) })));
    });
    req.end(x.body);
  });
}

export async function nslookup(p: Process): Promise<number> {
  const o = await options(p, "t:", "[-type=QUERY_TYPE] [-debug] HOST [DNS_SERVER]", {
    argv: p.argv.slice(1).map((a) => a.replace(/^-(?:query)?type=/, "-t").replace(/^-debug$/, "-tA")),
  });
  const name = o.args[0];
  if (name === undefined) return usage(p, "[-type=QUERY_TYPE] [-debug] HOST [DNS_SERVER]");
  const conf = p.net.resolvConf();
  const server = o.args[1] ?? conf.nameservers[0] ?? "127.0.0.1";
  let address = server;
  try {
    address = (await p.net.lookup(server))[0] as string;
  } catch {
    return die(p, `bad address '${server}'`);
  }
  await p.print(`Server:\t\t${server}\nAddress:\t${address}:53\n\n`);
  const reverse = reverseName(name);
  const types = o.values.has("t") ? [(o.values.get("t") as string).toUpperCase()] : reverse !== undefined ? ["PTR"] : ["A", "AAAA"];
  const names =
    reverse !== undefined
      ? [reverse]
      : name.endsWith(".") || name.split(".").length - 1 >= conf.ndots || name.split(".").length > 4
        ? [name.replace(/\.$/, "")]
        : [...conf.search.map((s) => `${name}.${s}`), name];
  let problem = "";
  for (const candidate of names) {
    let any = false;
    for (const type of types) {
      try {
        const a = await p.until(p.net.query(address, candidate, type, { timeoutMs: conf.timeoutMs }));
        if (a.rcode !== "NOERROR") {
          problem = `** server can't find ${candidate}: ${a.rcode}\n\n`;
          continue;
        }
        any = true;
        for (const r of a.answers) {
          const d = r.data as any;
          if (r.type === "A" || r.type === "AAAA") await p.print(`Name:\t${r.name}\nAddress: ${d}\n`);
          else if (r.type === "CNAME") await p.print(`${r.name}\tcanonical name = ${d}\n`);
          else if (r.type === "PTR") await p.print(`${r.name}\tname = ${d}\n`);
          else if (r.type === "SRV") await p.print(`${r.name}\tservice = ${d.priority} ${d.weight} ${d.port} ${d.target}\n`);
          else await p.print(`${r.name}\t${r.type.toLowerCase()} = ${typeof d === "string" ? d : JSON.stringify(d)}\n`);
        }
        if (a.answers.length === 0 && type !== "AAAA") await p.print(`*** Can't find ${candidate}: No answer\n`);
        await p.print("\n");
      } catch {
        p.check();
        await p.print(`;; connection timed out; no servers could be reached\n\n`);
        return 1;
      }
    }
    if (any) return 0;
  }
  await p.print(problem);
  return 1;
}

export async function ping(p: Process): Promise<number> {
  const o = await options(p, "c:W:w:i:s:I:t:q46", "[OPTIONS] HOST");
  const host = o.args[0];
  if (host === undefined) return usage(p, "[OPTIONS] HOST");
  let address: string;
  try {
    address = (await p.until(p.net.lookup(host)))[0] as string;
  } catch {
    p.check();
    return die(p, `bad address '${host}'`);
  }
  const size = Number(o.values.get("s") ?? 56);
  const count = o.values.has("c") ? Number(o.values.get("c")) : Number.POSITIVE_INFINITY;
  const waitMs = Number(o.values.get("W") ?? 10) * 1000;
  await p.print(`PING ${host} (${address}): ${size} data bytes\n`);
  let sent = 0;
  let received = 0;
  const times: number[] = [];
  const summary = async () => {
    const loss = sent === 0 ? 0 : Math.round(((sent - received) / sent) * 100);
    await p.print(`\n--- ${host} ping statistics ---\n${sent} packets transmitted, ${received} packets received, ${loss}% packet loss\n`);
    if (times.length > 0)
      await p.print(
        `round-trip min/avg/max = ${Math.min(...times).toFixed(3)}/${(times.reduce((a, b) => a + b, 0) / times.length).toFixed(3)}/${Math.max(...times).toFixed(3)} ms\n`,
      );
  };
  p.onSignal(2, () => void summary().then(() => p.terminate({ code: received > 0 ? 0 : 1, signal: 0 })));
  for (let n = 0; n < count; n++) {
    sent++;
    try {
      const a = await p.until(
        p.net.stack.ping(address, { timeoutMs: waitMs, size, ...(o.values.has("t") ? { ttl: Number(o.values.get("t")) } : {}) }),
      );
      received++;
      times.push(a.rttMs);
      if (!o.flags.has("q")) await p.print(`${size + 8} bytes from ${a.from}: seq=${n} ttl=${a.ttl} time=${a.rttMs.toFixed(3)} ms\n`);
    } catch (e) {
      p.check();
      if ((e as { code?: string }).code === "ENETUNREACH") return die(p, "sendto: Network is unreachable");
    }
    if (n + 1 < count) await p.sleep(Number(o.values.get("i") ?? 1) * 1000);
  }
  await summary();
  return received > 0 ? 0 : 1;
}

export async function sysctl(p: Process): Promise<number> {
  const o = await options(p, "neaqwp", "[-enq] { -a | -p [FILE]... | [-w] [KEY[=VALUE]]... }");
  let status = 0;
  for (const a of o.args) {
    const [key = "", value] = a.split("=");
    const path = `/proc/sys/${key.replaceAll(".", "/")}`;
    if (value !== undefined) {
      await complain(p, `error setting key '${key.replaceAll(".", "/")}': Read-only file system`);
      status = 1;
      continue;
    }
    try {
      const text = p.fs.readText(path).trimEnd();
      await p.print(o.flags.has("n") ? `${text}\n` : `${key} = ${text}\n`);
    } catch (e) {
      if (!(e instanceof SysError)) throw e;
      await complain(p, `error: '${key.replaceAll(".", "/")}' is an unknown key`);
      status = 1;
    }
  }
  return status;
}

/** getent hosts|ahosts|passwd|group NAME */
export async function getent(p: Process): Promise<number> {
  const [database, ...names] = p.argv.slice(1);
  if (database === "passwd" || database === "group") {
    const rows = (p.fs.exists(`/etc/${database}`) ? p.fs.readText(`/etc/${database}`) : "").split("\n").filter((l) => l !== "");
    const found = names.length === 0 ? rows : rows.filter((r) => names.some((n) => r.split(":")[0] === n || r.split(":")[2] === n));
    for (const r of found) await p.print(`${r}\n`);
    return found.length > 0 ? 0 : 2;
  }
  if (database !== "hosts" && database !== "ahosts" && database !== "ahostsv4") {
    await p.printError(`Unknown database: ${database}\n`);
    return 1;
  }
  for (const n of names) {
    try {
      for (const a of await p.until(p.net.lookup(n, database === "hosts" ? 0 : 4))) await p.print(`${a.padEnd(15)} ${n}\n`);
    } catch {
      p.check();
      return 2;
    }
  }
  return 0;
}
