// An ordered push consumer: messages of the stream in order of sequence, by callback, with flow control and heartbeats.
// Invariants: no message is skipped or repeated (consumer sequences are consecutive, or `onLost` is called once and the
// consumer is over); `caughtUp` resolves only after every message that the stream had when it was asked for.
import type { Clock, Timer } from "@podwire/base";
import type { BusMessage, Subscription } from "@podwire/bus";
import type { JetStreamApi } from "./jetstream-api.ts";

export const HEARTBEAT_MS = 2_000;
/** A consumer that is silent for so many heartbeats is gone. */
const MISSED_HEARTBEATS = 3;

export type StartAt = { lastPerSubject: true } | { sequence: number };

export interface Delivery {
  subject: string;
  sequence: number;
  /** Nanoseconds since 1970, as text: they do not fit a number. */
  timeNs: string;
  message: BusMessage;
}

interface ConsumerInfo {
  name: string;
  num_pending: number;
  delivered: { consumer_seq: number; stream_seq: number };
}

export class OrderedConsumer {
  private readonly api: JetStreamApi;
  private readonly clock: Clock;
  private readonly onMessage: (d: Delivery) => void;
  private readonly onLost: (why: string) => void;
  private subscription: Subscription | undefined;
  private watchdog: Timer | undefined;
  private name = "";
  private lastHeardMs = 0;
  private received = 0;
  private lastSequence = 0;
  private over = false;
  private waiting: { count: number; sequence: number; resolve(): void; reject(e: Error): void }[] = [];

  constructor(api: JetStreamApi, clock: Clock, onMessage: (d: Delivery) => void, onLost: (why: string) => void) {
    this.api = api;
    this.clock = clock;
    this.onMessage = onMessage;
    this.onLost = onLost;
  }

  async start(at: StartAt, filter: string, opts: { headersOnly?: boolean } = {}): Promise<void> {
    const inbox = this.api.bus.newInbox();
    this.subscription = this.api.bus.subscribe(inbox, (m) => this.receive(m));
    this.lastHeardMs = this.clock.monotonicMs();
    try {
      const info = await this.api.call<ConsumerInfo>(`CONSUMER.CREATE.${this.api.stream}`, {
        stream_name: this.api.stream,
        config: {
          deliver_subject: inbox,
          ...("sequence" in at
            ? { deliver_policy: "by_start_sequence", opt_start_seq: at.sequence }
            : { deliver_policy: "last_per_subject" }),
          filter_subject: filter,
          ack_policy: "none",
          max_deliver: 1,
          replay_policy: "instant",
          flow_control: true,
          idle_heartbeat: HEARTBEAT_MS * 1_000_000,
          mem_storage: true,
          num_replicas: 1,
          ...(opts.headersOnly ? { headers_only: true } : {}),
        },
      });
      this.name = info.name;
    } catch (e) {
      this.stop();
      throw e;
    }
    if (this.over) {
      this.stop(); // stopped while it was being created
      return;
    }
    this.watchdog = this.clock.every(
      HEARTBEAT_MS,
      () => {
        if (this.clock.monotonicMs() - this.lastHeardMs > HEARTBEAT_MS * MISSED_HEARTBEATS) this.lose("no heartbeat");
      },
      { unref: true },
    );
  }

  /** Resolves with a revision R when every message up to R has been handed over; R is the stream's last at the call or later. */
  async caughtUp(): Promise<number> {
    const { state } = await this.api.streamInfo();
    const info = await this.api.call<ConsumerInfo>(`CONSUMER.INFO.${this.api.stream}.${this.name}`);
    const count = info.delivered.consumer_seq + info.num_pending;
    await new Promise<void>((resolve, reject) => {
      if (this.over) return reject(new Error("the consumer is over"));
      this.waiting.push({ count, sequence: state.last_seq, resolve, reject });
      this.release(false);
    });
    return state.last_seq;
  }

  stop(): void {
    this.over = true;
    this.subscription?.unsubscribe();
    this.subscription = undefined;
    this.watchdog?.cancel();
    for (const w of this.waiting.splice(0)) w.reject(new Error("the consumer is over"));
    if (this.name !== "" && this.api.isConnected) {
      // Best effort: without a subscriber the server removes it by itself.
      this.api.call(`CONSUMER.DELETE.${this.api.stream}.${this.name}`).catch(() => {});
      this.name = "";
    }
  }

  private lose(why: string): void {
    if (this.over) return;
    this.stop();
    this.onLost(why);
  }

  private receive(m: BusMessage): void {
    if (this.over) return;
    this.lastHeardMs = this.clock.monotonicMs();
    const { reply } = m;
    if (reply?.startsWith("$JS.ACK.")) {
      const t = reply.split(".");
      // $JS.ACK.<stream>.<consumer>.<delivered>.<stream seq>.<consumer seq>.<time>.<pending>; newer servers may put a
      // domain and an account hash behind ACK.
      const at = t.length > 9 ? 7 : 5;
      const sequence = Number(t[at]);
      if (Number(t[at + 1]) !== this.received + 1) {
        this.lose("a message was lost");
        return;
      }
      this.received++;
      this.lastSequence = sequence;
      this.onMessage({ subject: m.subject, sequence, timeNs: t[at + 2] as string, message: m });
      if (this.waiting.length > 0) this.release(false);
      return;
    }
    if (m.header("Status") !== "100") {
      this.lose(`status ${m.header("Status")}`);
      return;
    }
    if (reply) {
      this.api.bus.publish(reply, EMPTY); // flow control: what came before has been handled
      return;
    }
    const stalled = m.header("Nats-Consumer-Stalled");
    if (stalled) this.api.bus.publish(stalled, EMPTY);
    const last = Number(m.header("Nats-Last-Consumer") ?? Number.NaN);
    if (last !== this.received) this.lose("a message was lost before a heartbeat");
    else if (this.waiting.length > 0 && !stalled) this.release(true);
  }

  /** `idle`: the server has nothing more to deliver (messages that were pending may have been compacted away). */
  private release(idle: boolean): void {
    this.waiting = this.waiting.filter((w) => {
      if (!idle && this.received < w.count && this.lastSequence < w.sequence) return true;
      w.resolve();
      return false;
    });
  }
}

const EMPTY = new Uint8Array(0);
