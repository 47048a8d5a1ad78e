// The Transport over a nats-server, by the official client. Subscriptions take callbacks (iterators cost 40-50% more
// CPU); the connection is retried for ever with back-off; the inbox prefix is this identity's own.
// Invariant: a callback that throws never reaches the client's parser, which would stop reading.
import { randomBytes } from "node:crypto";
import type { Socket } from "node:net";
import { connect, type Msg, type MsgHdrs, type NatsConnection, PermissionViolationError, type Status } from "@nats-io/transport-node";
import { type Clock, type Complaints, type Logger, oncePerMinute, PodwireError, type Random } from "@podwire/base";
import type { Bus } from "./bus.ts";
import { busOn } from "./endpoint.ts";
import { BusClosedError, DisconnectedError, PayloadTooLargeError } from "./errors.ts";
import { userKey } from "./nkey.ts";
import { subjectsOf } from "./subjects.ts";
import type { BusMessage, BusStatus, Refusal, Subscription, Transport } from "./transport.ts";

export interface NatsConnectOptions {
  /** "nats://host:port", or several, comma separated. */
  url: string;
  cluster: string;
  identity: string;
  /** nkey seed of the identity; none for a server without credentials. */
  seed?: string;
  clock: Clock;
  random: Random;
  log: Logger;
}

/** While disconnected, publications up to this much are kept for the next session; further ones are dropped and counted. */
export const MAX_OFFLINE_BYTES = 8 * 1024 * 1024;
const RECONNECT_MIN_MS = 50;
const RECONNECT_MAX_MS = 2_000;
/** A server that leaves two of these unanswered is taken for dead. */
const PING_INTERVAL_MS = 10_000;
const HANDSHAKE_TIMEOUT_MS = 5_000;

const connections = new WeakMap<Bus, NatsConnection>();

/** The client's own connection behind a bus of `connectNats`: for the JetStream driver. Undefined for other buses. */
export function natsConnectionOf(bus: Bus): NatsConnection | undefined {
  return connections.get(bus);
}

const settings = new WeakMap<Bus, NatsConnectOptions>();

/** How a bus of `connectNats` was connected: for the wire's own connection. */
export function natsSettingsOf(bus: Bus): NatsConnectOptions | undefined {
  return settings.get(bus);
}

/** Connects, however long it takes; later losses of the connection are repaired in the background. */
export async function connectNats(opts: NatsConnectOptions): Promise<Bus> {
  const complaints = oncePerMinute(opts.log, opts.clock);
  const inboxBase = subjectsOf(opts.cluster).inbox(opts.identity);
  const key = opts.seed === undefined ? undefined : userKey(opts.seed);
  let attempts = 0;
  const nc = await connect({
    servers: opts.url.split(",").map((s) => s.trim()),
    name: opts.identity,
    inboxPrefix: inboxBase,
    ...(key === undefined ? {} : { authenticator: (nonce?: string) => ({ nkey: key.publicKey, sig: key.sign(nonce ?? "") }) }),
    reconnect: true,
    maxReconnectAttempts: -1,
    waitOnFirstConnect: true,
    ignoreAuthErrorAbort: true,
    ignoreClusterUpdates: true,
    noAsyncTraces: true,
    timeout: HANDSHAKE_TIMEOUT_MS,
    pingInterval: PING_INTERVAL_MS,
    maxPingOut: 2,
    reconnectDelayHandler: () =>
      Math.min(RECONNECT_MAX_MS, RECONNECT_MIN_MS * 2 ** Math.min(attempts, 10)) + opts.random.below(RECONNECT_MIN_MS),
    reconnectToServer: () => {
      if (attempts++ > 3)
        complaints.complain("cannot connect to NATS", { url: opts.url, attempts }, "cannot connect: server down, or credential unknown");
      return null;
    },
  });
  const transport = new NatsTransport(nc, opts, inboxBase, complaints, () => {
    attempts = 0;
  });
  attempts = 0;
  const bus = busOn(transport, opts);
  connections.set(bus, nc);
  settings.set(bus, opts);
  return bus;
}

class NatsTransport implements Transport {
  readonly identity: string;
  readonly cluster: string;
  private readonly nc: NatsConnection;
  private readonly inboxBase: string;
  private readonly complaints: Complaints;
  private readonly listeners = new Set<(s: BusStatus) => void>();
  private readonly refusalListeners = new Set<(r: Refusal) => void>();
  private readonly clock: Clock;
  private gathering = false;
  private status: BusStatus = "connected";
  private offline: { subject: string; data: Uint8Array; opts: PublishExtras | undefined }[] = [];
  private offlineBytes = 0;
  private readonly counts = { dropped: 0, refused: 0, callbackErrors: 0, reconnects: 0 };
  private entropy = Buffer.alloc(0);
  private entropyAt = 0;

  constructor(nc: NatsConnection, opts: NatsConnectOptions, inboxBase: string, complaints: Complaints, onReconnected: () => void) {
    this.nc = nc;
    this.clock = opts.clock;
    this.identity = opts.identity;
    this.cluster = opts.cluster;
    this.inboxBase = inboxBase;
    this.complaints = complaints;
    void this.followStatus(onReconnected);
  }

  get maxPayload(): number {
    return this.nc.info?.max_payload ?? 1024 * 1024;
  }

  publish(subject: string, data: Uint8Array, opts?: PublishExtras): void {
    if (this.status === "closed") throw new BusClosedError();
    if (data.length > this.maxPayload) throw new PayloadTooLargeError(`a message on ${subject}`, data.length, this.maxPayload);
    if (this.status === "disconnected") {
      this.keep(subject, data, opts);
      return;
    }
    this.gather();
    if (opts === undefined) {
      this.nc.publish(subject, data);
      return;
    }
    this.nc.publish(subject, data, publishOptions(opts));
  }

  /**
   * What is published in one turn of the event loop leaves in one write: the client library writes after each microtask, and a
   * write into a socket costs more than everything else about a small message.
   */
  private gather(): void {
    if (this.gathering) return;
    const socket = (this.nc as unknown as { protocol?: { transport?: { socket?: Socket } } }).protocol?.transport?.socket;
    if (typeof socket?.cork !== "function") return; // Another transport (WebSocket): as the library does it.
    this.gathering = true;
    socket.cork();
    this.clock.soon(() => {
      this.gathering = false;
      socket.uncork();
    });
  }

  subscribe(subject: string, onMessage: (m: BusMessage) => void, opts: { queue?: string } = {}): Subscription {
    if (this.status === "closed") throw new BusClosedError();
    const sub = this.nc.subscribe(subject, {
      ...(opts.queue === undefined ? {} : { queue: opts.queue }),
      callback: (err, m) => {
        if (err) return; // a refused subscription: told by followStatus
        try {
          onMessage(new NatsMessage(m));
        } catch (e) {
          this.counts.callbackErrors++;
          this.complaints.complain("subscriber failed", { subject, err: e });
        }
      },
    });
    return { unsubscribe: () => sub.unsubscribe() };
  }

  async flush(): Promise<void> {
    if (this.status === "closed") throw new BusClosedError();
    try {
      await this.nc.flush();
    } catch (cause) {
      throw this.nc.isClosed() ? new BusClosedError() : Object.assign(new DisconnectedError(), { cause });
    }
  }

  onStatus(cb: (s: BusStatus) => void): Subscription {
    this.listeners.add(cb);
    cb(this.status);
    return { unsubscribe: () => void this.listeners.delete(cb) };
  }

  onRefused(cb: (r: Refusal) => void): Subscription {
    this.refusalListeners.add(cb);
    return { unsubscribe: () => void this.refusalListeners.delete(cb) };
  }

  newInbox(): string {
    if (this.entropyAt + INBOX_BYTES > this.entropy.length) {
      this.entropy = randomBytes(INBOX_BYTES * 256);
      this.entropyAt = 0;
    }
    const at = this.entropyAt;
    this.entropyAt += INBOX_BYTES;
    return `${this.inboxBase}.${this.entropy.toString("hex", at, at + INBOX_BYTES)}`;
  }

  stats() {
    const s = this.nc.stats();
    return {
      inMessages: s.inMsgs,
      outMessages: s.outMsgs,
      inBytes: s.inBytes,
      outBytes: s.outBytes,
      offlineBytes: this.offlineBytes,
      ...this.counts,
    };
  }

  async close(): Promise<void> {
    if (this.status === "closed") return;
    const connected = this.status === "connected";
    this.status = "closed";
    if (connected) await this.nc.flush().catch(() => {}); // the server may be going too: nothing left to do for it
    await this.nc.close();
    this.tell("closed");
  }

  private keep(subject: string, data: Uint8Array, opts: PublishExtras | undefined): void {
    if (this.offlineBytes + data.length > MAX_OFFLINE_BYTES) {
      this.counts.dropped++;
      this.complaints.complain("publication dropped while disconnected", { subject });
      return;
    }
    this.offlineBytes += data.length + subject.length;
    this.offline.push({ subject, data: data.slice(), opts });
  }

  private async followStatus(onReconnected: () => void): Promise<void> {
    for await (const s of this.nc.status()) {
      if (this.status === "closed") continue;
      try {
        this.onClientStatus(s, onReconnected);
      } catch (err) {
        this.counts.callbackErrors++;
        this.complaints.complain("status listener failed", { err });
      }
    }
  }

  private onClientStatus(s: Status, onReconnected: () => void): void {
    switch (s.type) {
      case "disconnect":
        this.status = "disconnected";
        this.complaints.complain("disconnected from NATS", { server: s.server });
        this.tell("disconnected");
        break;
      case "reconnect": {
        onReconnected();
        this.status = "connected";
        this.counts.reconnects++;
        const kept = this.offline;
        this.offline = [];
        this.offlineBytes = 0;
        for (const k of kept) this.publish(k.subject, k.data, k.opts);
        this.tell("connected");
        break;
      }
      case "error":
        if (s.error instanceof PermissionViolationError) {
          const r: Refusal = { operation: s.error.operation === "publish" ? "publish" : "subscribe", subject: s.error.subject };
          this.counts.refused++;
          this.complaints.complain("refused by the server", r);
          for (const cb of [...this.refusalListeners]) cb(r);
        } else if (/slow consumer/i.test(s.error.message)) this.tell("slow-consumer");
        else this.complaints.complain("NATS error", { err: s.error });
        break;
    }
  }

  private tell(s: BusStatus): void {
    for (const cb of [...this.listeners]) {
      try {
        cb(s);
      } catch (err) {
        this.counts.callbackErrors++;
        this.complaints.complain("status listener failed", { err });
      }
    }
  }
}

/** 96 bits: reply subjects are capabilities, a peer must not guess another's. */
const INBOX_BYTES = 12;

interface PublishExtras {
  reply?: string;
  headers?: Readonly<Record<string, string>>;
}

function publishOptions(opts: PublishExtras) {
  return opts.headers === undefined ? { reply: opts.reply } : { reply: opts.reply, headers: encodedHeaders(opts.headers) };
}

/** The client calls nothing but `encode` on the headers of a publication; its own class costs more than the rest of a put. */
function encodedHeaders(h: Readonly<Record<string, string>>): MsgHdrs {
  let block = "NATS/1.0\r\n";
  for (const name in h) {
    const value = h[name] as string;
    if (!/^[\x21-\x39\x3b-\x7e]+$/.test(name) || /[\r\n]/.test(value))
      throw new PodwireError(`header ${JSON.stringify(name)} cannot be sent`);
    block += `${name}: ${value}\r\n`;
  }
  const bytes = Buffer.from(`${block}\r\n`, "utf8");
  return { encode: () => bytes } as unknown as MsgHdrs;
}

/** What the client's message class keeps: all bytes, and how many of them are the header block. */
interface RawMessage {
  _rdata?: Uint8Array;
  _msg?: { hdr?: number };
}

class NatsMessage implements BusMessage {
  private readonly m: Msg;
  private block: string | undefined;
  constructor(m: Msg) {
    this.m = m;
  }
  get subject(): string {
    return this.m.subject;
  }
  get data(): Uint8Array {
    return this.m.data;
  }
  get reply(): string | undefined {
    return this.m.reply || undefined;
  }
  /** Looks into the header block itself: the client's own headers parse all of it into a map, for every message. */
  header(name: string): string | undefined {
    let { block } = this;
    if (block === undefined) {
      const { _rdata, _msg } = this.m as unknown as RawMessage;
      const length = _msg?.hdr ?? -1;
      block = this.block = length > 0 && _rdata ? Buffer.from(_rdata.buffer, _rdata.byteOffset, length).toString("utf8") : "";
    }
    if (block === "") return undefined;
    if (name === "Status") return /^NATS\/1\.0 (\d{3})/.exec(block)?.[1];
    const at = block.indexOf(`\r\n${name}:`);
    if (at < 0) return undefined;
    const from = at + name.length + 3;
    return block.slice(from, block.indexOf("\r\n", from)).trim() || undefined;
  }
}
