// Whether this process is the only one that writes into the store: then what it wrote itself is the store's last revision, and reads need not ask the leader.
//
// Stores of a cluster tell each other on one subject: `hello` when a connection begins, answered by `here`; `bye` when a store closes. One nats-server delivers in the
// order in which it received, so whoever gets an answer to something sent after a hello has the hello too. From that follows the invariant, as for the lease of a
// Raft leader (Ongaro's dissertation, 6.4.1): a store that knows of no other answers from its own knowledge for at most LEASE_MS after it SENT the last message
// that was answered; a store that begins writes nothing for QUIET_MS, more than the lease, after the server had its hello. Only durations of monotonic clocks count.
import type { Clock } from "@podwire/base";
import type { Bus, Subscription } from "@podwire/bus";
import { StoreUnavailableError } from "./errors.ts";

/** How long an answer proves that no hello was missed. */
export const LEASE_MS = 100;
/** How long a new store waits before its first write. */
export const QUIET_MS = 250;

export interface SoleWriterDeps {
  bus: Bus;
  /** Subject of hello, here and bye. */
  subject: string;
  id: string;
  clock: Clock;
  /** Resolves when the server has everything that was sent before. */
  roundTrip(): Promise<void>;
}

export class SoleWriter {
  private readonly d: SoleWriterDeps;
  private readonly others = new Set<string>();
  private readonly subscriptions: Subscription[];
  /** Monotonic time of sending of the newest message that was answered. */
  private answeredMs = Number.NEGATIVE_INFINITY;
  private announcing: Promise<void> | undefined;
  /** Counts connections: an announcement of an earlier one is void. */
  private connection = 0;
  announced = false;
  private closed = false;

  constructor(d: SoleWriterDeps) {
    this.d = d;
    this.subscriptions = [
      d.bus.subscribe(d.subject, (m) => this.hear(Buffer.from(m.data).toString("utf8"))),
      d.bus.onStatus((s) => {
        if (s === "disconnected") this.lose();
        else if (s === "connected") this.announce();
      }),
    ];
  }

  /** Resolves when writes may go out: the others know of this store, or their leases are over. Throws StoreUnavailableError when the connection is lost meanwhile. */
  async quiet(): Promise<void> {
    if (this.announced) return;
    await this.announce();
    if (!this.announced) throw new StoreUnavailableError("the other writers could not be told");
  }

  /** Whether nobody else can have written what was acknowledged: a read may rest on this process's own writes. */
  get current(): boolean {
    return this.announced && this.others.size === 0 && this.d.clock.monotonicMs() - this.answeredMs <= LEASE_MS;
  }

  /** Whether a round trip would make `current` true. */
  get sole(): boolean {
    return this.announced && this.others.size === 0;
  }

  /** An answer came to what was sent at this monotonic time. */
  answered(sentMs: number): void {
    if (sentMs > this.answeredMs) this.answeredMs = sentMs;
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    try {
      this.say("bye");
    } catch {
      // The connection is gone: the others keep asking the leader.
    }
    for (const s of this.subscriptions) s.unsubscribe();
  }

  private announce(): Promise<void> {
    this.announcing ??= this.sayHello(this.connection).finally(() => {
      this.announcing = undefined;
    });
    return this.announcing;
  }

  private async sayHello(connection: number): Promise<void> {
    const valid = () => connection === this.connection && !this.closed;
    try {
      this.say("hello");
      await this.d.roundTrip();
      if (valid()) await this.d.clock.sleep(QUIET_MS);
      if (valid()) this.announced = true;
    } catch {
      await this.d.clock.sleep(LEASE_MS); // Disconnected: the next connection begins again.
    }
  }

  private lose(): void {
    this.connection++;
    this.announced = false;
    this.answeredMs = Number.NEGATIVE_INFINITY;
    this.others.clear();
  }

  private hear(text: string): void {
    const [what, id] = text.split(" ");
    if (id === undefined || id === "" || id === this.d.id || this.closed) return;
    if (what === "bye") this.others.delete(id);
    else if (what === "hello" || what === "here") this.others.add(id);
    if (what === "hello") this.say("here");
  }

  private say(what: "hello" | "here" | "bye"): void {
    this.d.bus.publish(this.d.subject, Buffer.from(`${what} ${this.d.id}`));
  }
}
