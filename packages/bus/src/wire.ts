// The wire: frames between the network cards of processes. A NIC batches the frames of one tick by destination and
// publishes one message a destination on `wire.<destination>.<source>`; the NATS server enforces the source.
// Message: msgpackr of WireBatch. Faults (delay, loss, ...) act here, seeded, on the sending side.

/** One Ethernet frame under way; `gsoSize` > 0 says that the TCP payload is to be seen as segments of that size. */
export interface WireFrame {
  bytes: Uint8Array;
  gsoSize: number;
  /** 0, or the number of the trace that follows this packet. */
  traceId: number;
  /** 0, or the bits of the packet's trace context that must survive the crossing (hop counter). */
  traceHop: number;
}

export interface WireCounters {
  txFrames: number;
  txBytes: number;
  txMessages: number;
  txDropped: number;
  rxFrames: number;
  rxBytes: number;
  rxMessages: number;
  /** Messages or frames that could not be understood. */
  rxMalformed: number;
}

/** A process's port on the wire. */
export interface WirePort {
  /** Underlay IPv4 address of this process, dotted. */
  readonly address: string;
  /** Queues a frame for the process that owns `destination` (dotted underlay address). Copies the bytes. Never throws. */
  send(destination: string, frame: WireFrame): void;
  /** One receiver. `source` is the sender's underlay address as the server enforced it. The frame's bytes are valid only
   *  during the callback: copy what must outlive it. */
  onFrame(cb: (source: string, frame: WireFrame) => void): void;
  /** One callback, after the frames of each message. */
  onMessageEnd(cb: () => void): void;
  counters(): Readonly<WireCounters>;
  close(): void;
}

/** Faults of one port, applied to what it sends; all off by default. */
export interface WireFaults {
  /** Peers (underlay addresses) that cannot be reached. "*" is all. */
  partitionedFrom: readonly string[];
  lossPercent: number;
  duplicatePercent: number;
  corruptPercent: number;
  delayMs: number;
  jitterMs: number;
  reorderPercent: number;
  /** 0 is unlimited. */
  bandwidthBitsPerSecond: number;
}
