// TCP of one namespace: finds the connection of a segment, runs the pure core (../tcp) on it, sends what the core wants sent, and
// tells the sockets. Segments that arrive in one turn are answered together at its end, as one acknowledgement (Linux: NAPI, GRO).
// Invariant: every endpoint in the table is live or in TIME-WAIT; every change of an endpoint is followed by a flush of it.

import { checksum, pseudoSum, pseudoSumAt } from "../checksum.ts";
import type { IpAddress } from "../codec/address.ts";
import { formatEndpoint } from "../codec/address.ts";
import { IpProtocol, putU16 } from "../codec/numbers.ts";
import { Tcp, TcpFlag } from "../codec/tcp.ts";
import type { Packet } from "../packet.ts";
import {
  abort,
  answerWithCookie,
  type Connection,
  close,
  consumed,
  fireTimers,
  flagNames,
  headerLength,
  icmpError,
  nextTimer,
  type OutSegment,
  openActive,
  openByCookie,
  openPassive,
  pathMtu,
  readSegment,
  receive,
  resetFor,
  Segment,
  SynCookies,
  setKeepAlive,
  shutdown,
  stampWithOptions,
  synOfCookie,
  type TcpError,
  TcpEvent,
  transmit,
  write,
  writeHeader,
} from "../tcp/index.ts";
import type { SocketContext } from "./context.ts";
import { type ErrnoName, SocketError } from "./errors.ts";
import { FlowTable } from "./flow-table.ts";
import { type IpFields, type IpView, ipHeaderLength, ipPacket } from "./ip-packet.ts";
import { NetSocket, type TcpCalls } from "./net-socket.ts";
import { type BindAddress, ephemeralPort, PortTable } from "./ports.ts";
import { TcpEndpoint } from "./tcp-endpoint.ts";
import { TcpServer } from "./tcp-server.ts";
import { TimerQueue } from "./timer-queue.ts";

/** A connection in TIME-WAIT for this long gives its port to a new one (Linux's tcp_tw_reuse; safe because of timestamps). */
const TIME_WAIT_REUSE_MS = 1000;
/** Acknowledgements are tried as cookies this long after the last one was sent. */
const COOKIE_LIFE_MS = 130_000;
const TCP_FIELDS: IpFields = { protocol: IpProtocol.TCP, ttl: 64, identification: 0, dontFragment: true };

/** A socket as `ss` lists it; queues in bytes, those of a listener in connections: half-open ones, and how many there may be. */
export interface TcpRow {
  state: Connection["state"] | "listen";
  localAddress: BindAddress;
  localPort: number;
  remoteAddress: BindAddress;
  remotePort: number;
  receiveQueue: number;
  sendQueue: number;
}

export class TcpLayer implements TcpCalls {
  readonly clock;
  readonly #ctx: SocketContext;
  readonly #table = new FlowTable<TcpEndpoint>();
  readonly #listeners = new PortTable<TcpServer>();
  readonly #timers: TimerQueue<TcpEndpoint>;
  readonly #segment = new Segment();
  readonly #tsOffset: number;
  readonly #cookies: SynCookies;
  #lastCookieMs = Number.NEGATIVE_INFINITY;
  #dirty: TcpEndpoint[] = [];
  #flushing = false;
  #scheduled = false;
  #turnMs = 0;
  #timeWaits = 0;
  /** The endpoint that `#emit` sends for, and the error its output met. */
  #sending: TcpEndpoint | null = null;

  constructor(ctx: SocketContext) {
    this.#ctx = ctx;
    this.clock = ctx.clock;
    this.#tsOffset = ctx.random.uint32() | 0;
    this.#cookies = new SynCookies([ctx.random.uint32() | 0, ctx.random.uint32() | 0]);
    this.#timers = new TimerQueue(ctx.clock, (e, now) => {
      fireTimers(e.connection, now);
      this.#touch(e);
    });
  }

  // ---- What applications ask.

  connect(remote: IpAddress, port: number, local: IpAddress | undefined, localPort: number, allowHalfOpen: boolean): NetSocket {
    const socket = new NetSocket(this, { allowHalfOpen });
    const source = local ?? this.#ctx.ip.sourceFor(remote);
    const failed = (code: ErrnoName): NetSocket => {
      socket.connecting = true;
      queueMicrotask(() => socket.destroy(new SocketError(code, "connect", formatEndpoint(remote, port).replace(/:\d+$/, ""), port)));
      return socket;
    };
    if (source === undefined) return failed("ENETUNREACH");
    if (local !== undefined && !this.#ctx.ip.isLocal(local)) return failed("EADDRNOTAVAIL");
    if (this.#table.size >= this.#ctx.limits.maxConnections) return failed("ENOBUFS");
    const chosen =
      localPort !== 0 ? (this.#tupleFree(source, localPort, remote, port) ? localPort : undefined) : this.#choosePort(source, remote, port);
    if (chosen === undefined) return failed(localPort !== 0 ? "EADDRINUSE" : "EADDRNOTAVAIL");
    const c = openActive(this.#ctx.tcp, this.#mssFor(remote), this.#ctx.random.uint32(), this.#tsOffset);
    const e = this.#add(new TcpEndpoint(source, chosen, remote, port, c));
    socket.attach(e, true);
    this.#ctx.count("tcpActiveOpens");
    this.#touch(e);
    return socket;
  }

  /** Throws SocketError EADDRINUSE. */
  listen(address: BindAddress, port: number, backlog: number, allowHalfOpen: boolean): TcpServer {
    const chosen = port !== 0 ? port : ephemeralPort(this.#ctx.random, (p) => this.#listeners.free(address, p));
    if (chosen === undefined || !this.#listeners.free(address, chosen))
      throw new SocketError("EADDRINUSE", "listen", address === null ? "::" : formatEndpoint(address, 0).slice(0, -2), port);
    const server = new TcpServer(address, chosen, backlog, allowHalfOpen, (s) => this.#unlisten(s));
    this.#listeners.add(server);
    return server;
  }

  #unlisten(server: TcpServer): void {
    this.#listeners.delete(server);
    for (const e of [...this.#table])
      if (e.server === server) {
        abort(e.connection);
        this.#touch(e);
      }
  }

  write(e: TcpEndpoint, bytes: Uint8Array): number {
    const n = write(e.connection, bytes);
    if (n > 0) this.#touch(e);
    return n;
  }

  consumed(e: TcpEndpoint): void {
    consumed(e.connection);
    if (e.connection.ackNow) this.#touch(e);
  }

  shutdown(e: TcpEndpoint): void {
    shutdown(e.connection);
    this.#touch(e);
  }

  close(e: TcpEndpoint): void {
    if (e.connection.state === "synSent") abort(e.connection);
    else close(e.connection, this.clock.monotonicMs());
    this.#touch(e);
  }

  abort(e: TcpEndpoint): void {
    abort(e.connection);
    this.#touch(e);
  }

  setKeepAlive(e: TcpEndpoint, on: boolean, idleMs: number): void {
    setKeepAlive(e.connection, on, idleMs, this.clock.monotonicMs());
    this.#timers.set(e, nextTimer(e.connection));
  }

  // ---- What arrives.

  /** A TCP packet for this namespace. */
  receive(p: Packet, v: IpView): void {
    const b = p.data;
    const why = Tcp.problem(b, v.at, v.end, pseudoSumAt(b, p.start, IpProtocol.TCP));
    if (why !== "") {
      this.#ctx.count(why === "bad checksum" ? "tcpBadChecksum" : "tcpMalformed");
      this.#ctx.trace(p, "tcp", "drop", why);
      return;
    }
    const s = this.#segment;
    readSegment(s, b, v.at, v.end);
    if ((s.flags & 3) === 3 && this.#ctx.tcp.dropSynFin) {
      this.#ctx.count("tcpSynFin");
      return;
    }
    const sport = (b[v.at]! << 8) | b[v.at + 1]!;
    const dport = (b[v.at + 2]! << 8) | b[v.at + 3]!;
    let e = this.#table.get(v.dst, dport, v.src, sport);
    if (e !== null && e.connection.state === "timeWait" && this.#startsAnew(e, s)) {
      this.#remove(e);
      e = null;
    }
    if (e === null) {
      this.#receiveUnmatched(p, v, s, sport, dport);
      return;
    }
    if (p.traceId !== 0) {
      e.traceId = p.traceId;
      e.traceHop = p.traceHop;
      this.#ctx.trace(p, `tcp ${formatEndpoint(v.dst, dport)}`, "deliver", `${flagNames(s.flags)} ${e.connection.state}`);
      e.traceHop = p.traceHop;
    } else if (s.from < s.to) e.traceId = 0;
    receive(e.connection, s, this.#arrivalMs());
    this.#touch(e);
  }

  /** A SYN that TIME-WAIT must let through (RFC 9293 3.10.7.4, RFC 6191). */
  #startsAnew(e: TcpEndpoint, s: Segment): boolean {
    if ((s.flags & (TcpFlag.SYN | TcpFlag.RST | TcpFlag.ACK)) !== TcpFlag.SYN) return false;
    const c = e.connection;
    return ((s.seq - c.rcvNxt) | 0) > 0 || (s.hasTimestamp && c.timestampsOk && ((s.tsValue - c.tsRecent) | 0) > 0);
  }

  #receiveUnmatched(p: Packet, v: IpView, s: Segment, sport: number, dport: number): void {
    if (s.flags & TcpFlag.RST) return;
    const server = this.#listeners.lookup(v.dst, dport);
    if (server !== undefined && s.flags & TcpFlag.ACK && this.#openByCookie(p, v, s, sport, dport, server)) return;
    if (server === undefined || s.flags & TcpFlag.ACK || !(s.flags & TcpFlag.SYN)) {
      if (server !== undefined && !(s.flags & (TcpFlag.ACK | TcpFlag.SYN))) return;
      this.#ctx.trace(p, `tcp ${formatEndpoint(v.dst, dport)}`, "reject", server === undefined ? "no listener" : "no connection");
      this.#sendReset(p, v, s, sport, dport);
      return;
    }
    if (this.#table.size >= this.#ctx.limits.maxConnections) {
      this.#ctx.count("tcpListenOverflows");
      this.#ctx.trace(p, `tcp ${formatEndpoint(v.dst, dport)}`, "drop", "too many connections");
      return;
    }
    if (server.halfOpen >= server.backlog) {
      this.#sendCookie(p, v, s, sport, dport);
      return;
    }
    const c = openPassive(this.#ctx.tcp, this.#mssFor(v.src), this.#ctx.random.uint32(), this.#tsOffset, s, this.#arrivalMs());
    const e = this.#add(new TcpEndpoint(v.dst, dport, v.src, sport, c));
    e.server = server;
    server.halfOpen++;
    e.traceId = p.traceId;
    this.#ctx.trace(p, `tcp ${formatEndpoint(v.dst, dport)}`, "deliver", "S listen");
    e.traceHop = p.traceHop;
    this.#touch(e);
  }

  /** The backlog is full: answer without remembering. */
  #sendCookie(p: Packet, v: IpView, s: Segment, sport: number, dport: number): void {
    this.#ctx.count("tcpCookiesSent");
    const now = this.clock.monotonicMs();
    this.#lastCookieMs = now;
    const peer = { local: v.dst, localPort: dport, remote: v.src, remotePort: sport };
    const stamp = stampWithOptions((Math.floor(now) + this.#tsOffset) | 0, s);
    const out = answerWithCookie(this.#ctx.tcp, this.#mssFor(v.src), this.#cookies.make(peer, s, now), stamp, s);
    const reply = this.#build(v.dst, dport, v.src, sport, out, null);
    reply.traceId = p.traceId;
    reply.traceHop = p.traceHop;
    this.#ctx.ip.output(reply);
  }

  /** True when the segment acknowledges a cookie of ours and a connection came of it. */
  #openByCookie(p: Packet, v: IpView, s: Segment, sport: number, dport: number, server: TcpServer): boolean {
    const now = this.clock.monotonicMs();
    if (s.flags & TcpFlag.SYN || now - this.#lastCookieMs > COOKIE_LIFE_MS || this.#table.size >= this.#ctx.limits.maxConnections)
      return false;
    const mss = this.#cookies.check({ local: v.dst, localPort: dport, remote: v.src, remotePort: sport }, s, now);
    if (mss < 0) return false;
    const syn = new Segment();
    synOfCookie(syn, s, mss);
    const c = openByCookie(this.#ctx.tcp, this.#mssFor(v.src), (s.ack - 1) | 0, this.#tsOffset, syn, now);
    const e = this.#add(new TcpEndpoint(v.dst, dport, v.src, sport, c));
    e.server = server;
    server.halfOpen++;
    e.traceId = p.traceId;
    e.traceHop = p.traceHop;
    this.#ctx.count("tcpCookiesReceived");
    receive(c, s, now);
    this.#touch(e);
    return true;
  }

  #sendReset(p: Packet, v: IpView, s: Segment, sport: number, dport: number): void {
    const out = resetFor(s);
    if (out === null) return;
    this.#ctx.count("tcpResetsSent");
    const reply = this.#build(v.dst, dport, v.src, sport, out, null);
    reply.traceId = p.traceId;
    reply.traceHop = p.traceHop;
    this.#ctx.ip.output(reply);
  }

  /** An ICMP error quotes the TCP header at b[at] that we sent from `local` to `remote`. `mtu` > 0: it did not fit. */
  icmpError(local: IpAddress, remote: IpAddress, b: Uint8Array, at: number, error: TcpError, mtu: number): void {
    const e = this.#table.get(local, Tcp.sport(b, at), remote, Tcp.dport(b, at));
    if (e === null) return;
    const seq = Tcp.seq(b, at) | 0;
    if (mtu > 0) pathMtu(e.connection, seq, mtu - ipHeaderLength(local) - Tcp.HEADER);
    else icmpError(e.connection, seq, error);
    this.#touch(e);
  }

  /** Packets that come in one turn came at one time: the clock is asked once. */
  #arrivalMs(): number {
    if (!this.#scheduled) this.#turnMs = this.clock.monotonicMs();
    return this.#turnMs;
  }

  // ---- The turn of an endpoint.

  #touch(e: TcpEndpoint): void {
    if (e.dirty) return;
    e.dirty = true;
    this.#dirty.push(e);
    if (this.#scheduled || this.#flushing) return;
    this.#scheduled = true;
    this.#turnMs = this.clock.monotonicMs();
    queueMicrotask(this.#flushLater);
  }

  readonly #flushLater = (): void => this.#flush();

  #flush(): void {
    this.#scheduled = false;
    this.#flushing = true;
    const now = this.clock.monotonicMs();
    let next = 0;
    try {
      while (next < this.#dirty.length) {
        const e = this.#dirty[next++]!;
        e.dirty = false;
        this.#service(e, now);
      }
    } finally {
      this.#flushing = false;
      // An application's callback threw: the others still get their turn.
      this.#dirty = next < this.#dirty.length ? this.#dirty.slice(next) : [];
      if (this.#dirty.length > 0) {
        this.#scheduled = true;
        queueMicrotask(() => this.#flush());
      }
    }
  }

  /** The application first, so that its answer carries the acknowledgement; then what is to be sent. */
  #service(e: TcpEndpoint, now: number): void {
    const c = e.connection;
    const events = c.events;
    if (events !== 0) {
      c.events = 0;
      // What the application does now is served below, not by another turn.
      e.dirty = true;
      if (events & TcpEvent.CONNECTED && e.server !== null) this.#accept(e);
      if (events & TcpEvent.CLOSED) this.#ended(e, now);
      e.owner?.onTcpEvents(events);
      e.dirty = false;
    }
    this.#send(e, now);
    if (c.events !== 0) this.#touch(e);
    else if (e.inTable) this.#timers.set(e, nextTimer(c));
  }

  #send(e: TcpEndpoint, now: number): void {
    this.#sending = e;
    transmit(e.connection, now, this.#emit);
    this.#sending = null;
  }

  readonly #emit = (c: Connection, out: OutSegment): void => {
    const e = this.#sending!;
    const p = this.#build(e.localAddress, e.localPort, e.remoteAddress, e.remotePort, out, c);
    if (e.traceId !== 0) {
      p.traceId = e.traceId;
      p.traceHop = e.traceHop;
      this.#ctx.trace(p, `tcp ${formatEndpoint(e.localAddress, e.localPort)}`, "send", `${flagNames(out.flags)} ${c.state}`);
      e.traceHop = p.traceHop;
    }
    const failed = this.#ctx.ip.output(p);
    if ((failed === "ENETUNREACH" || failed === "EHOSTUNREACH") && c.state === "synSent") icmpError(c, c.iss, failed);
  };

  #build(src: IpAddress, sport: number, dst: IpAddress, dport: number, out: OutSegment, c: Connection | null): Packet {
    const length = headerLength(out) + out.payloadLength;
    const p = ipPacket(src, dst, length, TCP_FIELDS);
    const at = p.start + ipHeaderLength(src);
    const header = writeHeader(out, p.data, at, sport, dport);
    if (c !== null && out.payloadLength > 0) c.sendBuffer.copy(out.payloadAt, out.payloadLength, p.data, at + header);
    putU16(p.data, at + Tcp.CHECKSUM, checksum(p.data, at, at + length, pseudoSum(src, dst, IpProtocol.TCP) + length));
    p.gsoSize = out.gsoSize;
    return p;
  }

  #accept(e: TcpEndpoint): void {
    const server = e.server!;
    this.#leaveBacklog(e);
    const socket = new NetSocket(this, { allowHalfOpen: server.allowHalfOpen });
    socket.attach(e, false);
    this.#ctx.count("tcpPassiveOpens");
    server.accept(socket);
  }

  #leaveBacklog(e: TcpEndpoint): void {
    if (e.server === null) return;
    e.server.halfOpen--;
    e.server = null;
  }

  #ended(e: TcpEndpoint, now: number): void {
    const c = e.connection;
    this.#leaveBacklog(e);
    if (c.state === "timeWait") {
      e.timeWaitSinceMs = now;
      if (++this.#timeWaits <= this.#ctx.limits.maxTimeWait) return;
      this.#ctx.count("tcpTimeWaitOverflows");
    }
    if (c.error !== "") this.#ctx.count(`tcp${c.error}`);
    this.#remove(e);
  }

  // ---- Tables.

  #add(e: TcpEndpoint): TcpEndpoint {
    this.#table.add(e);
    e.inTable = true;
    return e;
  }

  #remove(e: TcpEndpoint): void {
    if (!e.inTable) return;
    e.inTable = false;
    if (e.timeWaitSinceMs >= 0) this.#timeWaits--;
    this.#table.delete(e);
    this.#timers.remove(e);
  }

  #mssFor(remote: IpAddress): number {
    return Math.min(this.#ctx.ip.mtuFor(remote), 65_535) - ipHeaderLength(remote) - Tcp.HEADER;
  }

  #tupleFree(local: IpAddress, localPort: number, remote: IpAddress, port: number): boolean {
    const e = this.#table.get(local, localPort, remote, port);
    if (e === null) return true;
    if (e.connection.state !== "timeWait" || this.clock.monotonicMs() - e.timeWaitSinceMs < TIME_WAIT_REUSE_MS) return false;
    this.#remove(e);
    return true;
  }

  #choosePort(local: IpAddress, remote: IpAddress, port: number): number | undefined {
    return ephemeralPort(this.#ctx.random, (p) => !this.#listeners.holds(p) && this.#tupleFree(local, p, remote, port));
  }

  /** Connections and listeners, as `ss -t` lists them. */
  list(): TcpRow[] {
    const rows: TcpRow[] = [...this.#listeners].map((l) => ({
      state: "listen",
      localAddress: l.boundAddress,
      localPort: l.boundPort,
      remoteAddress: null,
      remotePort: 0,
      receiveQueue: l.halfOpen,
      sendQueue: l.backlog,
    }));
    for (const { connection: c, localAddress, localPort, remoteAddress, remotePort } of this.#table)
      rows.push({
        state: c.state,
        localAddress,
        localPort,
        remoteAddress,
        remotePort,
        receiveQueue: c.received.length,
        sendQueue: c.sendBuffer.length,
      });
    return rows;
  }

  /** The namespace goes away: every connection is dropped without a word, every socket closed. */
  shutDown(): void {
    for (const l of [...this.#listeners]) l.close();
    for (const e of [...this.#table]) {
      abort(e.connection);
      e.connection.resetDue = false;
      this.#remove(e);
      e.owner?.onLayerClosed();
    }
    this.#timers.close();
  }
}
