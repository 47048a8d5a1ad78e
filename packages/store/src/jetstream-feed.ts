// A feed from JetStream: the newest version of each key as the snapshot, then every change. Losing the connection resumes
// behind the last delivered revision; when that is not possible without a gap (the server lost data, or versions that we
// had not seen were compacted) the feed begins again.
// Invariant: each version names the one it replaced, so a version that never reached us is noticed by the next of its key.
import type { Clock, Complaints } from "@podwire/base";
import type { Entry, Feed, FeedHandlers, Key } from "./contract.ts";
import { StoreClosedError } from "./errors.ts";
import { FeedProgress } from "./feed-progress.ts";
import type { JetStreamApi } from "./jetstream-api.ts";
import { type Delivery, OrderedConsumer } from "./jetstream-consumer.ts";
import { ADD, DEL, EXPECTED, OP } from "./version-headers.ts";

const RETRY_MS = 50;

export interface FeedDeps {
  api: JetStreamApi;
  clock: Clock;
  complaints: Complaints;
  filter: string;
  keyOf(subject: string): Key | undefined;
  /** Told of every deletion that is seen. */
  onMarker(revision: number): void;
  released(feed: Feed): void;
}

export class JetStreamFeed implements Feed {
  private readonly d: FeedDeps;
  private readonly handlers: FeedHandlers;
  private readonly progress = new FeedProgress();
  private consumer: OrderedConsumer | undefined;
  /** What arrived since the consumer began, until the snapshot is complete. */
  private arriving: { subject: string; entry: Entry }[] | undefined;
  /** Newest revision of each live key that was delivered. */
  private readonly live = new Map<string, number>();
  private lastSequence = 0;
  private lastTimeNs = "";
  private begun = false;
  private closed = false;
  private running = false;
  private wanted = false;

  constructor(d: FeedDeps, handlers: FeedHandlers) {
    this.d = d;
    this.handlers = handlers;
  }

  get revision(): number {
    return this.progress.revision;
  }

  reached(atLeast: number, signal?: AbortSignal): Promise<void> {
    return this.progress.reached(atLeast, signal);
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.consumer?.stop();
    this.progress.close();
    this.d.released(this);
  }

  /** Begins, or begins again, and keeps trying until the feed is closed. */
  run(): void {
    this.wanted = true;
    if (this.running) return;
    this.running = true;
    void this.keepTrying().finally(() => {
      this.running = false;
    });
  }

  private async keepTrying(): Promise<void> {
    while (this.wanted && !this.closed) {
      this.wanted = false;
      try {
        await this.d.api.whenConnected();
        if (this.closed) return;
        if (this.begun) await this.resume();
        else await this.begin();
      } catch (err) {
        if (this.closed || err instanceof StoreClosedError) return;
        this.d.complaints.complain("feed not started", { err });
        this.wanted = true;
        await this.d.clock.sleep(RETRY_MS);
      }
    }
  }

  private async begin(): Promise<void> {
    this.arriving = [];
    this.live.clear();
    const consumer = this.consume();
    await consumer.start({ lastPerSubject: true }, this.d.filter);
    const revision = await consumer.caughtUp();
    const arrived = this.arriving;
    this.arriving = undefined;
    this.begun = true;
    const snapshot = new Map<string, Entry>();
    let i = 0;
    for (; i < arrived.length && (arrived[i] as { entry: Entry }).entry.revision <= revision; i++) {
      const { subject, entry } = arrived[i] as { subject: string; entry: Entry };
      snapshot.delete(subject); // so that insertion order stays revision order
      if (!entry.deleted) snapshot.set(subject, entry);
    }
    for (const [subject, entry] of snapshot) {
      this.live.set(subject, entry.revision);
      this.guard(() => this.handlers.onSnapshot(entry));
    }
    this.guard(() => this.handlers.onSynced(revision));
    this.progress.advance(revision);
    this.lastSequence = Math.max(this.lastSequence, revision);
    for (; i < arrived.length; i++) {
      const { subject, entry } = arrived[i] as { subject: string; entry: Entry };
      this.change(subject, entry);
    }
  }

  private async resume(): Promise<void> {
    const { api } = this.d;
    const { state } = await api.streamInfo();
    let lost: string | undefined;
    if (state.last_seq < this.lastSequence) lost = `the server is at revision ${state.last_seq}, we had seen ${this.lastSequence}`;
    else if (this.lastTimeNs !== "") {
      const m = await api.message({ seq: this.lastSequence });
      if (m && timeNs(m.time) !== this.lastTimeNs) lost = `revision ${this.lastSequence} is another than the one we had seen`;
    }
    if (lost !== undefined) {
      this.startAgain(lost);
      await this.begin();
      return;
    }
    await this.consume().start({ sequence: this.lastSequence + 1 }, this.d.filter);
  }

  private startAgain(reason: string): void {
    this.begun = false;
    this.lastSequence = 0;
    this.lastTimeNs = "";
    this.progress.reset();
    this.guard(() => this.handlers.onRestart(reason));
  }

  private consume(): OrderedConsumer {
    this.consumer?.stop();
    const consumer: OrderedConsumer = new OrderedConsumer(
      this.d.api,
      this.d.clock,
      (m) => {
        if (consumer === this.consumer) this.receive(m);
      },
      (why) => {
        if (consumer !== this.consumer || this.closed) return;
        this.d.complaints.complain("feed interrupted", { why });
        this.run();
      },
    );
    this.consumer = consumer;
    return consumer;
  }

  /** The connection was lost: what the consumer has not delivered by now it never will. */
  disconnected(): void {
    this.consumer?.stop();
    this.consumer = undefined;
    this.run();
  }

  private receive(m: Delivery): void {
    const key = this.d.keyOf(m.subject);
    if (!key) {
      this.d.complaints.complain("not a key", { subject: m.subject });
      return;
    }
    const deleted = m.message.header(OP) === DEL;
    const entry: Entry = {
      key,
      value: m.message.data.slice(),
      revision: m.sequence,
      deleted,
      previousRevision: Number(m.message.header(EXPECTED) ?? 0),
    };
    if (deleted) this.d.onMarker(m.sequence);
    this.lastTimeNs = m.timeNs;
    this.lastSequence = m.sequence;
    if (this.arriving) {
      this.arriving.push({ subject: m.subject, entry });
      return;
    }
    const known = this.live.get(m.subject);
    const added = m.message.header(OP) === ADD;
    if (added ? known !== undefined : known !== entry.previousRevision) {
      this.startAgain(`versions before revision ${entry.revision} of ${m.subject} were compacted before we saw them`);
      this.consumer?.stop();
      this.consumer = undefined;
      this.run();
      return;
    }
    this.change(m.subject, entry);
  }

  private change(subject: string, entry: Entry): void {
    if (entry.deleted) this.live.delete(subject);
    else this.live.set(subject, entry.revision);
    this.guard(() => this.handlers.onChange(entry));
    this.progress.advance(entry.revision);
  }

  private guard(fn: () => void): void {
    try {
      fn();
    } catch (err) {
      this.d.complaints.complain("feed handler failed", { err });
    }
  }
}

/** "2026-01-02T03:04:05.123456789Z" to nanoseconds since 1970, as text. */
export function timeNs(rfc3339: string): string {
  const m = /^(.*?)(?:\.(\d{1,9}))?Z$/.exec(rfc3339);
  if (!m) return rfc3339;
  const seconds = Math.round(Date.parse(`${m[1]}Z`) / 1000);
  return `${seconds}${(m[2] ?? "").padEnd(9, "0")}`;
}
