// The seats of one priority level, and the queues before them: shuffle sharding keeps a flow that floods from filling every queue, and
// queues take turns by virtual time, so that a seat's worth of work costs every flow the same (KEP-1040, in a simpler form).
// Invariants: seats in use exceed the limit only while the limit has just been lowered; a queue is never longer than its limit; whoever
// waits is answered once.
import { createHash } from "node:crypto";
import type { Clock, Timer } from "@podwire/base";

export interface QueueSettings {
  /** 0: nobody waits, what finds no seat is refused. */
  queues: number;
  handSize: number;
  queueLengthLimit: number;
}

export interface Waiting {
  seats: number;
  flow: string;
  schema: string;
  arrivedMs: number;
  /** For the dump of requests. */
  about: unknown;
  resolve: (seated: boolean) => void;
  timer: Timer;
}

interface Queue {
  waiting: Waiting[];
  executing: number;
  seatsInUse: number;
  /** Virtual time at which its next request's turn comes. */
  nextR: number;
}

/** A seat that was given: what has to be given back. */
export interface Seat {
  seats: number;
  queue: Queue | undefined;
}

export class QueueSet {
  readonly #clock: Clock;
  #settings: QueueSettings;
  #queues: Queue[] = [];
  /** Virtual time: the turn of what was seated last. */
  #r = 0;
  #limit: number;
  seatsInUse = 0;
  executing = 0;
  waiting = 0;
  rejected = 0;
  dispatched = 0;
  /** Most seats that were wanted at once since `takePeak`. */
  #peak = 0;
  #seatsWaiting = 0;

  constructor(clock: Clock, limit: number, settings: QueueSettings) {
    this.#clock = clock;
    this.#limit = limit;
    this.#settings = settings;
    this.#makeQueues();
  }

  get limit(): number {
    return this.#limit;
  }

  get queues(): readonly Readonly<Queue>[] {
    return this.#queues;
  }

  /** Other limits; those who wait keep their places where there are as many queues as before. */
  configure(limit: number, settings: QueueSettings): void {
    const others = settings.queues !== this.#settings.queues;
    this.#settings = settings;
    if (others) {
      const waiting = this.#queues.flatMap((q) => q.waiting);
      this.#makeQueues();
      if (this.#queues.length === 0) for (const w of waiting) this.#refuse(w);
      else for (const w of waiting) this.#choose(w.schema, w.flow).waiting.push(w);
    }
    this.setLimit(limit);
  }

  setLimit(limit: number): void {
    this.#limit = limit;
    this.#dispatch();
  }

  /** A seat at once, when there are enough and nobody waits. */
  trySeat(seats: number): Seat | undefined {
    if (this.waiting > 0 || this.seatsInUse + seats > this.#limit) {
      // Whoever wants more than there will ever be gets all there is.
      if (this.waiting > 0 || this.seatsInUse > 0 || seats <= this.#limit) return undefined;
    }
    this.seatsInUse += seats;
    this.executing++;
    this.dispatched++;
    if (this.seatsInUse > this.#peak) this.#peak = this.seatsInUse;
    return { seats, queue: undefined };
  }

  /** Waits in a queue for at most `waitMs`; undefined: refused. */
  async wait(o: { seats: number; schema: string; flow: string; about: unknown; waitMs: number }): Promise<Seat | undefined> {
    if (this.#queues.length === 0) {
      this.rejected++;
      return undefined;
    }
    const queue = this.#choose(o.schema, o.flow);
    if (queue.waiting.length >= this.#settings.queueLengthLimit) {
      this.rejected++;
      return undefined;
    }
    const seated = await new Promise<boolean>((resolve) => {
      const w: Waiting = {
        seats: o.seats,
        flow: o.flow,
        schema: o.schema,
        about: o.about,
        arrivedMs: this.#clock.nowMs(),
        resolve,
        timer: this.#clock.after(o.waitMs, () => this.#giveUp(w), { unref: true }),
      };
      if (queue.waiting.length === 0) queue.nextR = Math.max(queue.nextR, this.#r);
      queue.waiting.push(w);
      this.waiting++;
      this.#seatsWaiting += o.seats;
      this.#peak = Math.max(this.#peak, this.seatsInUse + this.#seatsWaiting);
      this.#dispatch();
    });
    if (!seated) return undefined;
    const at = this.#queues.find((q) => q === queue);
    return { seats: o.seats, queue: at };
  }

  leave(s: Seat): void {
    this.seatsInUse -= s.seats;
    this.executing--;
    if (s.queue) {
      s.queue.executing--;
      s.queue.seatsInUse -= s.seats;
    }
    if (this.waiting > 0) this.#dispatch();
  }

  /** Most seats wanted at once since the last call. */
  takePeak(): number {
    const peak = this.#peak;
    this.#peak = this.seatsInUse + this.#seatsWaiting;
    return peak;
  }

  #dispatch(): void {
    while (this.waiting > 0) {
      let best: Queue | undefined;
      for (const q of this.#queues) if (q.waiting.length > 0 && (!best || q.nextR < best.nextR)) best = q;
      const w = best?.waiting[0];
      if (!best || !w) return;
      if (this.seatsInUse + w.seats > this.#limit && this.seatsInUse > 0) return;
      best.waiting.shift();
      this.#r = best.nextR;
      best.nextR += w.seats;
      best.executing++;
      best.seatsInUse += w.seats;
      this.waiting--;
      this.#seatsWaiting -= w.seats;
      this.seatsInUse += w.seats;
      this.executing++;
      this.dispatched++;
      w.timer.cancel();
      w.resolve(true);
    }
  }

  #giveUp(w: Waiting): void {
    for (const q of this.#queues) {
      const i = q.waiting.indexOf(w);
      if (i < 0) continue;
      q.waiting.splice(i, 1);
      this.#refuse(w);
      return;
    }
  }

  #refuse(w: Waiting): void {
    this.waiting--;
    this.#seatsWaiting -= w.seats;
    this.rejected++;
    w.timer.cancel();
    w.resolve(false);
  }

  #choose(schema: string, flow: string): Queue {
    const hand = dealHand(schema, flow, this.#queues.length, this.#settings.handSize);
    let best = this.#queues[hand[0] as number] as Queue;
    for (const i of hand) {
      const q = this.#queues[i] as Queue;
      if (q.waiting.length + q.executing < best.waiting.length + best.executing) best = q;
    }
    return best;
  }

  #makeQueues(): void {
    this.#queues = Array.from({ length: this.#settings.queues }, () => ({ waiting: [], executing: 0, seatsInUse: 0, nextR: this.#r }));
  }
}

/** Distinct queue numbers of a flow: the same for the same flow (util/shufflesharding). */
export function dealHand(schema: string, flow: string, queues: number, handSize: number): number[] {
  let value = createHash("sha256").update(`${schema},${flow}`).digest().readBigUInt64LE(0);
  const hand: number[] = [];
  for (let i = 0; i < Math.min(handSize, queues); i++) {
    const left = BigInt(queues - i);
    let card = Number(value % left);
    value /= left;
    for (const earlier of [...hand].sort((a, b) => a - b)) if (card >= earlier) card++;
    hand.push(card);
  }
  return hand;
}
