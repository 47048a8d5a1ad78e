// A TCP connection with its addresses: what the tables and timers of the socket layer hold.
// Invariant: it is in the flow table from creation until `closed` was dispatched.
import type { IpAddress } from "../codec/address.ts";
import type { Connection } from "../tcp/index.ts";
import type { FlowNode } from "./flow-table.ts";
import type { TcpServer } from "./tcp-server.ts";
import type { Sleeper } from "./timer-queue.ts";

/** Who hears of a connection's events (bits of TcpEvent): a NetSocket. */
export interface TcpOwner {
  onTcpEvents(events: number): void;
  /** The namespace went away. */
  onLayerClosed(): void;
}

export class TcpEndpoint implements FlowNode, Sleeper {
  readonly localAddress: IpAddress;
  readonly localPort: number;
  readonly remoteAddress: IpAddress;
  readonly remotePort: number;
  readonly connection: Connection;
  owner: TcpOwner | null = null;
  /** The listener whose backlog a half-open connection fills. */
  server: TcpServer | null = null;
  flowNext: this | null = null;
  wakeIndex = -1;
  wakeAtMs = 0;
  /** Waits in the layer's list of connections to flush. */
  dirty = false;
  inTable = false;
  /** -1 before TIME-WAIT. */
  timeWaitSinceMs = -1;
  /** The trace that the last traced packet in belonged to; answers carry it. */
  traceId = 0;
  traceHop = 0;

  constructor(localAddress: IpAddress, localPort: number, remoteAddress: IpAddress, remotePort: number, connection: Connection) {
    this.localAddress = localAddress;
    this.localPort = localPort;
    this.remoteAddress = remoteAddress;
    this.remotePort = remotePort;
    this.connection = connection;
  }
}
