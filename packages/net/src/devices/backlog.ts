// The queue between devices of one process: what a device hands over is taken up in a later turn (Linux's softirq backlog), so that
// sending never calls back into the sender and long paths do not nest.
// Invariant: packets leave in the order they came; at most BACKLOG_LIMIT wait, more are dropped by the caller; one turn handles at
// most TURN_BUDGET before it lets the event loop breathe.
import type { Clock } from "@podwire/base";
import type { Packet } from "../packet.ts";

export const BACKLOG_LIMIT = 16_384;
const TURN_BUDGET = 2048;

/** Takes a packet up on the far side. */
export interface BacklogReceiver {
  fromBacklog(p: Packet): void;
}

export class Backlog {
  private readonly clock: Clock;
  private receivers: BacklogReceiver[] = [];
  private packets: Packet[] = [];
  private head = 0;
  private scheduled = false;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  /** False when the queue is full (the packet is the caller's to drop). */
  push(to: BacklogReceiver, p: Packet): boolean {
    if (this.packets.length - this.head >= BACKLOG_LIMIT) return false;
    this.packets.push(p);
    this.receivers.push(to);
    if (!this.scheduled) {
      this.scheduled = true;
      this.clock.soon(() => this.drain());
    }
    return true;
  }

  private drain(): void {
    let budget = TURN_BUDGET;
    try {
      while (this.head < this.packets.length && budget-- > 0) {
        const at = this.head++;
        this.receivers[at]!.fromBacklog(this.packets[at]!);
      }
    } finally {
      if (this.head >= this.packets.length) {
        this.packets = [];
        this.receivers = [];
        this.head = 0;
        this.scheduled = false;
      } else {
        if (this.head > TURN_BUDGET) {
          this.packets = this.packets.slice(this.head);
          this.receivers = this.receivers.slice(this.head);
          this.head = 0;
        }
        this.clock.soon(() => this.drain());
      }
    }
  }
}

const BY_CLOCK = new WeakMap<Clock, Backlog>();

/** The one backlog of everything that runs on this clock. */
export function backlogOf(clock: Clock): Backlog {
  let b = BY_CLOCK.get(clock);
  if (b === undefined) {
    b = new Backlog(clock);
    BY_CLOCK.set(clock, b);
  }
  return b;
}
