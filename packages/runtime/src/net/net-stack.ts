// What a pod needs of its network namespace: the surface of @podwire/net's NetNamespace that programs use. A structural
// interface, so that a program runs the same over the packet stack and over any other that offers net.Socket's surface.
import type { Duplex } from "node:stream";

export interface StreamSocket extends Duplex {
  remoteAddress?: string;
  remotePort?: number;
  localAddress?: string;
  localPort?: number;
  setNoDelay(on?: boolean): this;
  setKeepAlive(on?: boolean, initialDelayMs?: number): this;
  setTimeout(ms: number, cb?: () => void): this;
  ref(): this;
  unref(): this;
}

export interface StreamServer {
  address(): { address: string; port: number };
  close(): void;
}

export interface DatagramSocket {
  send(bytes: Uint8Array, port: number, host: string): void;
  onMessage(cb: (bytes: Uint8Array, from: { address: string; port: number }) => void): void;
  /** Fixes the peer: only it is heard, and ICMP errors about it arrive. */
  connect?(port: number, host: string): unknown;
  /** Errors that ICMP reported for what was sent on a connected socket (ECONNREFUSED). */
  onError?(cb: (e: Error) => void): void;
  address(): { address: string; port: number };
  close(): void;
}

export interface PingAnswer {
  rttMs: number;
  ttl: number;
  from: string;
  type: string;
}

export interface NetStack {
  tcpConnect(o: {
    host: string;
    port: number;
    localAddress?: string;
    localPort?: number;
    timeoutMs?: number;
    allowHalfOpen?: boolean;
  }): StreamSocket;
  /** `allowHalfOpen` as in net.createServer: servers of node:http need it. */
  tcpListen(
    o: { host?: string; port: number; backlog?: number; allowHalfOpen?: boolean },
    onConnection: (s: StreamSocket) => void,
  ): StreamServer;
  udpBind(o: { host?: string; port?: number }): DatagramSocket;
  ping(address: string, o?: { timeoutMs?: number; ttl?: number; size?: number }): Promise<PingAnswer>;
}
