// A broker in memory: a whole cluster in one process, on one clock. Same rules as NATS: wildcards, queue groups, headers,
// Status 503 when nobody subscribes. Invariant: messages of one publisher reach one subscriber in order, and never within
// the publisher's own turn of the event loop.
import { type Clock, type Logger, oncePerMinute, PodwireError, type Random } from "@podwire/base";
import type { Bus } from "./bus.ts";
import { busOn } from "./endpoint.ts";
import { BusClosedError, PayloadTooLargeError } from "./errors.ts";
import { isSubject, matches, PatternTable } from "./matching.ts";
import type { Permissions } from "./permissions.ts";
import { subjectsOf } from "./subjects.ts";
import type { BusMessage, BusStatus, Refusal, Subscription, Transport } from "./transport.ts";

/** Messages that one connection may have waiting; further ones are dropped, counted, and reported as "slow-consumer". */
export const MAX_PENDING_MESSAGES = 262_144;
const MEMORY_MAX_PAYLOAD = 4 * 1024 * 1024;

export interface MemoryConnectOptions {
  cluster: string;
  identity: string;
  clock: Clock;
  random: Random;
  log: Logger;
  /** When given, publications and subscriptions outside of them are refused, as a nats-server would. */
  permissions?: Permissions;
}

export interface MemoryBus {
  connect(opts: MemoryConnectOptions): Bus;
  /** As if the server went away and came back: everybody is disconnected, messages under way are lost. */
  restart(): void;
}

interface Route {
  pattern: string;
  queue: string | undefined;
  connection: Connection;
  onMessage: (m: BusMessage) => void;
  active: boolean;
}

/** A broker inside this process: `connect` gives each identity its connection. */
export function memoryBus(): MemoryBus {
  const table = new PatternTable<Route>();
  const connections = new Set<Connection>();
  return {
    connect(opts) {
      const c = new Connection(table, connections, opts);
      return busOn(c, opts);
    },
    restart() {
      for (const c of [...connections]) c.drop();
      for (const c of [...connections]) c.announce("connected");
    },
  };
}

class Connection implements Transport {
  readonly identity: string;
  readonly cluster: string;
  readonly maxPayload = MEMORY_MAX_PAYLOAD;
  private readonly table: PatternTable<Route>;
  private readonly all: Set<Connection>;
  private readonly opts: MemoryConnectOptions;
  private readonly complaints;
  private readonly inboxBase: string;
  private readonly routes = new Set<Route>();
  private readonly listeners = new Set<(s: BusStatus) => void>();
  private readonly refusalListeners = new Set<(r: Refusal) => void>();
  private pending: { route: Route; message: BusMessage }[] = [];
  private scheduled = false;
  private status: BusStatus = "connected";
  private readonly counts = { inMessages: 0, outMessages: 0, inBytes: 0, outBytes: 0, dropped: 0, refused: 0, callbackErrors: 0 };

  constructor(table: PatternTable<Route>, all: Set<Connection>, opts: MemoryConnectOptions) {
    this.table = table;
    this.all = all;
    this.opts = opts;
    this.identity = opts.identity;
    this.cluster = opts.cluster;
    this.complaints = oncePerMinute(opts.log, opts.clock);
    this.inboxBase = subjectsOf(opts.cluster).inbox(opts.identity);
    all.add(this);
  }

  publish(subject: string, data: Uint8Array, opts: { reply?: string; headers?: Readonly<Record<string, string>> } = {}): void {
    if (this.status === "closed") throw new BusClosedError();
    if (!isSubject(subject)) throw new PodwireError(`${JSON.stringify(subject)} is not a subject`);
    if (data.length > this.maxPayload) throw new PayloadTooLargeError(`a message on ${subject}`, data.length, this.maxPayload);
    if (!this.allowed("publish", subject)) return;
    this.counts.outMessages++;
    this.counts.outBytes += data.length;
    const message = new MemoryMessage(subject, data.slice(), opts.reply, opts.headers);
    let delivered = false;
    let groups: Map<string, Route[]> | undefined;
    for (const route of this.table.find(subject)) {
      delivered = true;
      if (route.queue === undefined) route.connection.enqueue(route, message);
      else {
        groups ??= new Map();
        const group = groups.get(route.queue);
        if (group) group.push(route);
        else groups.set(route.queue, [route]);
      }
    }
    if (groups)
      for (const group of groups.values()) {
        const route = this.opts.random.pick(group);
        route.connection.enqueue(route, message);
      }
    if (!delivered && opts.reply !== undefined) {
      const none = new MemoryMessage(opts.reply, new Uint8Array(0), undefined, { Status: "503" });
      for (const route of this.table.find(opts.reply)) if (route.connection === this) this.enqueue(route, none);
    }
  }

  subscribe(subject: string, onMessage: (m: BusMessage) => void, opts: { queue?: string } = {}): Subscription {
    if (this.status === "closed") throw new BusClosedError();
    const route: Route = { pattern: subject, queue: opts.queue, connection: this, onMessage, active: true };
    if (!this.allowed("subscribe", subject)) return { unsubscribe() {} };
    this.table.add(subject, route);
    this.routes.add(route);
    return { unsubscribe: () => this.removeRoute(route) };
  }

  /** Resolves once everything that was sent to this connection before has been handed over. */
  flush(): Promise<void> {
    if (this.status === "closed") return Promise.reject(new BusClosedError());
    return new Promise((resolve) => this.opts.clock.soon(resolve));
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
    const { random } = this.opts;
    return `${this.inboxBase}.${random.uint32().toString(36)}${random.uint32().toString(36)}${random.uint32().toString(36)}`;
  }

  stats() {
    return { ...this.counts, subscriptions: this.routes.size, pendingMessages: this.pending.length };
  }

  async close(): Promise<void> {
    if (this.status === "closed") return;
    for (const r of [...this.routes]) this.removeRoute(r);
    this.all.delete(this);
    this.announce("closed");
  }

  drop(): void {
    this.counts.dropped += this.pending.length;
    this.pending = [];
    this.announce("disconnected");
  }

  announce(s: BusStatus): void {
    if (this.status === "closed") return;
    this.status = s === "slow-consumer" ? this.status : s;
    for (const cb of [...this.listeners]) cb(s);
  }

  private removeRoute(route: Route): void {
    if (!route.active) return;
    route.active = false;
    this.routes.delete(route);
    this.table.remove(route.pattern, route);
  }

  private enqueue(route: Route, message: BusMessage): void {
    if (this.pending.length >= MAX_PENDING_MESSAGES) {
      if (this.counts.dropped++ === 0 || this.counts.dropped % MAX_PENDING_MESSAGES === 0) this.announce("slow-consumer");
      return;
    }
    this.pending.push({ route, message });
    if (this.scheduled) return;
    this.scheduled = true;
    this.opts.clock.soon(() => this.deliver());
  }

  private deliver(): void {
    this.scheduled = false;
    const batch = this.pending;
    this.pending = [];
    for (const { route, message } of batch) {
      if (!route.active) continue;
      this.counts.inMessages++;
      this.counts.inBytes += message.data.length;
      try {
        route.onMessage(message);
      } catch (err) {
        this.counts.callbackErrors++;
        this.complaints.complain("subscriber failed", { subject: message.subject, err });
      }
    }
  }

  private allowed(operation: "publish" | "subscribe", subject: string): boolean {
    const p = this.opts.permissions;
    if (!p || isAllowed(p, operation, subject)) return true;
    this.counts.refused++;
    this.complaints.complain("refused by the server", { operation, subject });
    this.opts.clock.soon(() => {
      for (const cb of [...this.refusalListeners]) cb({ operation, subject });
    });
    return false;
  }
}

function isAllowed(p: Permissions, operation: "publish" | "subscribe", subject: string): boolean {
  const rule = p[operation];
  const tokens = subject.replaceAll("*", "_").replaceAll(">", "_");
  return rule.allow.some((a) => matches(a, tokens)) && !(rule.deny ?? []).some((d) => matches(d, tokens));
}

class MemoryMessage implements BusMessage {
  readonly subject: string;
  readonly data: Uint8Array;
  readonly reply: string | undefined;
  private readonly headers: Readonly<Record<string, string>> | undefined;
  constructor(subject: string, data: Uint8Array, reply?: string, headers?: Readonly<Record<string, string>>) {
    this.subject = subject;
    this.data = data;
    this.reply = reply;
    this.headers = headers;
  }
  header(name: string): string | undefined {
    return this.headers?.[name];
  }
}
