// How agnhost's programs call others: net.Resolve*Addr, http.Get with a time-out, a UDP exchange, with Go's error texts.
import type http from "node:http";
import type { Process } from "../../kernel/process.ts";
import { atoi, sysText } from "./go.ts";

export class DialError extends Error {}

export interface Address {
  ip: string;
  port: number;
  /** "127.0.0.1:80" or "[::1]:80". */
  text: string;
}

/** net.ResolveTCPAddr and ResolveUDPAddr. Rejects with DialError. */
export async function resolve(p: Process, network: "tcp" | "udp", host: string, port: string): Promise<Address> {
  let n = 0;
  if (port !== "") {
    const parsed = atoi(port);
    if (typeof parsed === "string") throw new DialError(`lookup ${network}/${port}: unknown port`);
    if (parsed < 0 || parsed > 65_535) throw new DialError(`address ${port}: invalid port`);
    n = parsed;
  }
  if (host.includes("..")) throw new DialError(`lookup ${host}: no such host`);
  let ip: string | undefined;
  try {
    [ip] = host === "" ? ["127.0.0.1"] : await p.net.lookup(host, 0);
  } catch (e) {
    const [server = "127.0.0.1"] = p.net.resolvConf().nameservers;
    const again = (e as { code?: string }).code === "EAI_AGAIN";
    const why = again ? `read udp 127.0.0.1:${ephemeral(p)}->${server}:53: read: connection refused` : "no such host";
    throw new DialError(`lookup ${host} on ${server}:53: ${why}`);
  }
  return { ip: ip as string, port: n, text: join(ip as string, n) };
}

export function join(host: string, port: number | string): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

function ephemeral(p: Process): number {
  return 32_768 + p.random.below(28_232);
}

export interface HttpAnswer {
  status: number;
  body: string;
}

const MAX_REDIRECTS = 10;

/** http.Get: follows redirects. Rejects with DialError in Go's words: `Get "URL": dial tcp ADDR: connect: connection refused`. */
export async function httpGet(p: Process, url: string, at: Address, timeoutMs: number, hops = 0): Promise<HttpAnswer> {
  const path = url.replace(/^http:\/\/[^/]*/, "") || "/";
  const failed = (why: string) => new DialError(`Get "${url}": ${why}`);
  if (hops > MAX_REDIRECTS) throw failed("stopped after 10 redirects");
  if (at.port === 0) throw failed(`dial tcp ${at.text}: connect: connection refused`);
  let req: http.ClientRequest;
  try {
    req = await p.net.request(p, {
      host: at.ip,
      port: at.port,
      path,
      connectTimeoutMs: timeoutMs,
      headers: { "user-agent": "Go-http-client/1.1" },
    });
  } catch (e) {
    const text = sysText(e);
    throw failed(text === "i/o timeout" ? `dial tcp ${at.text}: i/o timeout` : `dial tcp ${at.text}: connect: ${text}`);
  }
  const answer = await new Promise<HttpAnswer & { location?: string }>((resolve, reject) => {
    const limit = p.clock.after(timeoutMs, () => {
      req.destroy();
      reject(failed("context deadline exceeded (Client.Timeout exceeded while awaiting headers)"));
    });
    req.on("error", (e) => reject(failed(`read tcp ->${at.text}: read: ${sysText(e)}`)));
    req.on("response", (res) => {
      const chunks: Buffer[] = [];
      res.on("data", (c: Buffer) => chunks.push(c));
      res.on("end", () => {
        limit.cancel();
        const location = res.headers.location;
        resolve({
          status: res.statusCode ?? 0,
          body: Buffer.concat(chunks).toString("utf8"),
          ...(location === undefined ? {} : { location }),
        });
      });
    });
    req.end();
  });
  if (answer.location !== undefined && answer.status >= 300 && answer.status < 400) {
    const next = new URL(answer.location, `http://${at.text}`);
    return httpGet(p, next.href, at, timeoutMs, hops + 1);
  }
  return answer;
}

/** Sends one datagram and waits for one. Rejects with DialError. */
export function udpExchange(p: Process, at: Address, data: string, timeoutMs: number): Promise<string> {
  const u = p.net.udp(p);
  // A connected socket hears of ICMP errors.
  u.connect?.(at.port, at.ip);
  return new Promise<string>((resolve, reject) => {
    const done = (settle: () => void) => {
      limit.cancel();
      u.close();
      settle();
    };
    const local = () => `127.0.0.1:${u.address().port}`;
    const limit = p.clock.after(timeoutMs, () => done(() => reject(new DialError(`read udp ${local()}->${at.text}: i/o timeout`))));
    u.onError?.((e) => done(() => reject(new DialError(`read udp ${local()}->${at.text}: read: ${sysText(e)}`))));
    u.onMessage((bytes) => done(() => resolve(Buffer.from(bytes).toString("utf8"))));
    u.send(Buffer.from(data), at.port, at.ip);
  });
}
