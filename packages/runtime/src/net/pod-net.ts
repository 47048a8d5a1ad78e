// The network as a program sees it: sockets of the pod's namespace, names by /etc/hosts and /etc/resolv.conf of its container.
// Invariant: a socket or listener that a process opened closes when the process ends; a closed one is remembered nowhere.
import http from "node:http";
import tls from "node:tls";
import type { Clock, Random } from "@podwire/base";
import type { DatagramSocket, NetStack, StreamServer, StreamSocket } from "./net-stack.ts";
import { candidateNames, type DnsAnswer, dnsQuery, LookupError, lookupHosts, parseResolvConf, type ResolvConf } from "./resolver.ts";

/** Reads /etc/hosts and /etc/resolv.conf of the container; "" when absent. */
export type ReadEtc = (path: "/etc/hosts" | "/etc/resolv.conf") => string;

/** What holds sockets open: a process. */
export interface Owner {
  /** Answers what takes the callback back. */
  onExit(cb: () => void): () => void;
}

export interface Connection {
  host: string;
  port: number;
  localAddress?: string;
  localPort?: number;
  timeoutMs?: number;
  allowHalfOpen?: boolean;
}

const IP = /^(\d{1,3}(\.\d{1,3}){3}|[0-9a-fA-F:]*:[0-9a-fA-F:.]*)$/;

export class PodNet {
  readonly stack: NetStack;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #etc: ReadEtc;
  /** Sockets and listeners that programs of this container have open, and whose they are. */
  #heldIfAny: Map<StreamSocket | StreamServer | DatagramSocket, Owner> | undefined;
  constructor(o: { stack: NetStack; clock: Clock; random: Random; etc: ReadEtc }) {
    this.stack = o.stack;
    this.#clock = o.clock;
    this.#random = o.random;
    this.#etc = o.etc;
  }

  /** Open sockets of this container's programs: for `ss -p`. */
  held(): ReadonlyMap<StreamSocket | StreamServer | DatagramSocket, Owner> {
    return this.#held;
  }

  get #held(): Map<StreamSocket | StreamServer | DatagramSocket, Owner> {
    this.#heldIfAny ??= new Map();
    return this.#heldIfAny;
  }

  #hold(owner: Owner, s: StreamSocket): void {
    this.#held.set(s, owner);
    const release = owner.onExit(() => s.destroy());
    s.once("close", () => {
      this.#held.delete(s);
      release();
    });
  }

  resolvConf(): ResolvConf {
    return parseResolvConf(this.#etc("/etc/resolv.conf"));
  }

  /** Addresses of a name, IPv4 first. Rejects with LookupError. */
  async lookup(name: string, family: 4 | 6 | 0 = 4): Promise<string[]> {
    if (IP.test(name)) return [name];
    const hosts = lookupHosts(this.#etc("/etc/hosts"), name.replace(/\.$/, ""), family);
    if (hosts.length > 0) return hosts;
    const conf = this.resolvConf();
    for (const candidate of candidateNames(name, conf)) {
      const out: string[] = [];
      for (const type of family === 0 ? ["A", "AAAA"] : [family === 6 ? "AAAA" : "A"]) {
        const a = await this.ask(candidate, type, conf);
        if (a === undefined) throw new LookupError("EAI_AGAIN", name);
        for (const r of a.answers) if (r.type === type) out.push((r as { data: string }).data);
      }
      if (out.length > 0) return out;
    }
    throw new LookupError("ENOTFOUND", name);
  }

  /** Asks the configured servers in turn; undefined when none answers. */
  async ask(name: string, type: string, conf: ResolvConf = this.resolvConf(), o: { tcp?: boolean } = {}): Promise<DnsAnswer | undefined> {
    for (let attempt = 0; attempt < conf.attempts; attempt++)
      for (const server of conf.nameservers) {
        try {
          const a = await dnsQuery(this.stack, this.#clock, this.#random, server, { name, type }, { timeoutMs: conf.timeoutMs, ...o });
          if (a.rcode === "NOERROR" || a.rcode === "NXDOMAIN") return a;
        } catch {
          // This server does not answer; the next may.
        }
      }
    return undefined;
  }

  /** One question to one server. */
  query(
    server: string,
    name: string,
    type: string,
    o: { timeoutMs: number; tcp?: boolean; port?: number; recursion?: boolean },
  ): Promise<DnsAnswer> {
    return dnsQuery(this.stack, this.#clock, this.#random, server, { name, type }, o);
  }

  /** Resolves the name and connects; resolves when connected, rejects with LookupError or the socket's error. */
  async connect(owner: Owner, o: Connection): Promise<StreamSocket> {
    const [host] = await this.lookup(o.host);
    return new Promise((resolve, reject) => {
      const s = this.stack.tcpConnect({ ...o, host: host as string });
      this.#hold(owner, s);
      s.once("error", reject);
      s.once("connect", () => {
        s.off("error", reject);
        resolve(s);
      });
    });
  }

  /** TLS over a connection; resolves after the handshake. A host that is an address sends no server name. */
  secure(socket: StreamSocket, o: { host: string; ca?: string | Buffer; insecure?: boolean }): Promise<tls.TLSSocket> {
    return new Promise((resolve, reject) => {
      const s = tls.connect(
        {
          socket: socket as never,
          rejectUnauthorized: !(o.insecure ?? false),
          host: o.host,
          ...(IP.test(o.host) ? {} : { servername: o.host }),
          ...(o.ca === undefined ? {} : { ca: o.ca }),
        },
        () => {
          s.off("error", reject);
          s.on("error", () => s.destroy());
          resolve(s);
        },
      );
      s.once("error", reject);
    });
  }

  listen(
    owner: Owner,
    o: { host?: string; port: number; backlog?: number; allowHalfOpen?: boolean },
    onConnection: (s: StreamSocket) => void,
  ): StreamServer {
    const server = this.stack.tcpListen(o, (s) => {
      this.#hold(owner, s);
      onConnection(s);
    });
    this.#held.set(server, owner);
    const end = () => {
      this.#held.delete(server);
      server.close();
    };
    const release = owner.onExit(end);
    return {
      address: () => server.address(),
      close: () => {
        release();
        end();
      },
    };
  }

  udp(owner: Owner, o: { host?: string; port?: number } = {}): DatagramSocket {
    const u = this.stack.udpBind(o);
    this.#held.set(u, owner);
    const close = u.close.bind(u);
    const release = owner.onExit(() => u.close());
    u.close = () => {
      this.#held.delete(u);
      release();
      close();
    };
    return u;
  }

  /** node:http on a port of the pod. */
  serveHttp(
    owner: Owner,
    o: { host?: string; port: number },
    handler: http.RequestListener,
  ): { server: http.Server; listener: StreamServer } {
    const server = http.createServer(handler);
    const listener = this.listen(owner, { ...o, allowHalfOpen: true }, (s) => void server.emit("connection", s));
    owner.onExit(() => server.closeAllConnections());
    return { server, listener };
  }

  /** A node:http agent-free request through the pod's network. The caller ends the request and handles "error". */
  async request(
    owner: Owner,
    o: {
      host: string;
      port: number;
      path: string;
      method?: string;
      headers?: Record<string, string>;
      connectTimeoutMs?: number;
      tls?: { host: string; ca?: string | Buffer; insecure?: boolean };
    },
  ): Promise<http.ClientRequest> {
    const socket = await this.connect(owner, {
      host: o.host,
      port: o.port,
      ...(o.connectTimeoutMs === undefined ? {} : { timeoutMs: o.connectTimeoutMs }),
    });
    const stream = o.tls === undefined ? socket : await this.secure(socket, o.tls);
    const bracketed = o.host.includes(":") ? `[${o.host}]` : o.host;
    return http.request({
      createConnection: () => stream as never,
      path: o.path,
      method: o.method ?? "GET",
      headers: Object.keys(o.headers ?? {}).some((h) => h.toLowerCase() === "host")
        ? { ...o.headers }
        : { host: o.port === 80 ? bracketed : `${bracketed}:${o.port}`, connection: "close", ...o.headers },
      setHost: false,
    });
  }
}
