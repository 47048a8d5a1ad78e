// A listening TCP socket. Invariant: at most `backlog` half-open connections; further SYNs are answered by cookies (tcp/syn-cookie.ts),
// so that a flood costs bounded memory and honest peers still get in.
import { EventEmitter } from "node:events";
import { formatAddress } from "../codec/address.ts";
import type { NetSocket } from "./net-socket.ts";
import type { BindAddress } from "./ports.ts";

export interface BoundAddress {
  address: string;
  family: "IPv4" | "IPv6";
  port: number;
}

export function describeBound(a: BindAddress, port: number): BoundAddress {
  if (a === null) return { address: "::", family: "IPv6", port };
  return { address: formatAddress(a), family: typeof a === "number" ? "IPv4" : "IPv6", port };
}

/** Emits "connection" (NetSocket) and "close". */
export class TcpServer extends EventEmitter {
  readonly boundAddress: BindAddress;
  readonly boundPort: number;
  readonly backlog: number;
  readonly allowHalfOpen: boolean;
  readonly #unbind: (server: TcpServer) => void;
  halfOpen = 0;
  listening = true;

  constructor(boundAddress: BindAddress, boundPort: number, backlog: number, allowHalfOpen: boolean, unbind: (server: TcpServer) => void) {
    super();
    this.boundAddress = boundAddress;
    this.boundPort = boundPort;
    this.backlog = backlog;
    this.allowHalfOpen = allowHalfOpen;
    this.#unbind = unbind;
  }

  address(): BoundAddress {
    return describeBound(this.boundAddress, this.boundPort);
  }

  /** Stops listening: half-open connections are reset, accepted ones live on. `done` is called in a later turn. */
  close(done?: () => void): this {
    if (done !== undefined) this.once("close", done);
    if (this.listening) {
      this.listening = false;
      this.#unbind(this);
    }
    queueMicrotask(() => this.emit("close"));
    return this;
  }

  accept(socket: NetSocket): void {
    this.emit("connection", socket);
  }

  ref(): this {
    return this;
  }

  unref(): this {
    return this;
  }
}
