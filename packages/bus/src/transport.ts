// The one small interface that a message system must offer. NATS implements it, and so does memory (for a whole cluster
// in one process); both pass `contract.suite.ts`. Requests and streams (`request.ts`, `stream.ts`) are written once, on top.

export interface BusMessage {
  readonly subject: string;
  /** Valid only during the callback: copy what must outlive it. */
  readonly data: Uint8Array;
  readonly reply: string | undefined;
  /** A header's first value; names are case sensitive. "Status" is the status of the NATS header line: "503" when a
   *  message with a reply subject found no subscriber. */
  header(name: string): string | undefined;
}

export interface Subscription {
  unsubscribe(): void;
}

export interface Refusal {
  operation: "publish" | "subscribe";
  subject: string;
}

export type BusStatus = "connected" | "disconnected" | "slow-consumer" | "closed";

export interface Transport {
  /** Who this connection is; NATS permissions pin it to the credential. */
  readonly identity: string;
  readonly cluster: string;
  /** Fire and forget. While disconnected, messages are buffered up to a named limit, then dropped and counted. `data` must
   *  not change before the next turn of the event loop. Throws PayloadTooLargeError. When `reply` is given and nobody
   *  subscribes to `subject`, an empty message with the header Status 503 comes back on `reply`. */
  publish(subject: string, data: Uint8Array, opts?: { reply?: string; headers?: Readonly<Record<string, string>> }): void;
  /** Callback subscription. A callback that throws is logged and counted, never ends the subscription. */
  subscribe(subject: string, onMessage: (m: BusMessage) => void, opts?: { queue?: string }): Subscription;
  /** Resolves when the server has processed everything published and subscribed before. */
  flush(): Promise<void>;
  /** Calls back on every change; the current status at once. After "disconnected" a "connected" means a new session:
   *  messages in between are lost and whoever needs them lists again. */
  onStatus(cb: (s: BusStatus) => void): Subscription;
  /** Calls back when the server refused a publication or subscription of this connection (its credential does not allow it). */
  onRefused(cb: (r: Refusal) => void): Subscription;
  /** A fresh subject below this identity's inbox prefix. */
  newInbox(): string;
  readonly maxPayload: number;
  stats(): Readonly<Record<string, number>>;
  close(): Promise<void>;
}
