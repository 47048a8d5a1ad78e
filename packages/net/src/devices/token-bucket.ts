// A token bucket that shapes what a device sends (Linux's tbf): packets leave while there are tokens, wait while there are not, and
// are dropped when too much waits.
// Invariant: over any time t at most burstBytes + bytesPerSecond * t leave, but for one packet's length; packets keep their order; at
// most limitBytes wait (one packet always may).
import type { Clock, Timer } from "@podwire/base";
import type { Packet } from "../packet.ts";
import type { Shaper } from "./device.ts";

export interface TokenBucketOptions {
  bytesPerSecond: number;
  burstBytes: number;
  /** Bytes that may wait. */
  limitBytes: number;
}

export class TokenBucket implements Shaper {
  private readonly clock: Clock;
  private readonly o: TokenBucketOptions;
  private tokens: number;
  private atMs: number;
  private queue: Packet[] = [];
  private queuedBytes = 0;
  private timer: Timer | undefined;
  /** Packets that had to wait, and that were dropped. */
  readonly counters = { delayed: 0, dropped: 0 };

  constructor(clock: Clock, o: TokenBucketOptions) {
    this.clock = clock;
    this.o = o;
    this.tokens = o.burstBytes;
    this.atMs = clock.monotonicMs();
  }

  /** Sends p now or later; false when it cannot wait either (the packet is the caller's to drop). */
  offer(p: Packet, send: (p: Packet) => void): boolean {
    const length = p.end - p.start;
    if (this.queue.length === 0) {
      this.refill();
      if (this.take(length)) {
        send(p);
        return true;
      }
    }
    if (this.queue.length > 0 && this.queuedBytes + length > this.o.limitBytes) {
      this.counters.dropped++;
      return false;
    }
    this.counters.delayed++;
    this.queue.push(p);
    this.queuedBytes += length;
    this.schedule(send);
    return true;
  }

  close(): void {
    this.timer?.cancel();
    this.timer = undefined;
    for (const p of this.queue) p.release();
    this.queue = [];
    this.queuedBytes = 0;
  }

  /** A packet that stands for many (GSO) may be larger than the burst: it goes when the bucket is full, and leaves a debt. */
  private take(length: number): boolean {
    if (this.tokens < Math.min(length, this.o.burstBytes)) return false;
    this.tokens -= length;
    return true;
  }

  private refill(): void {
    const now = this.clock.monotonicMs();
    this.tokens = Math.min(this.o.burstBytes, this.tokens + ((now - this.atMs) * this.o.bytesPerSecond) / 1000);
    this.atMs = now;
  }

  private schedule(send: (p: Packet) => void): void {
    const first = this.queue[0];
    if (this.timer !== undefined || first === undefined) return;
    const missing = Math.min(first.end - first.start, this.o.burstBytes) - this.tokens;
    const waitMs = Math.max(1, Math.ceil((missing * 1000) / this.o.bytesPerSecond));
    this.timer = this.clock.after(waitMs, () => this.drain(send), { unref: true });
  }

  private drain(send: (p: Packet) => void): void {
    this.timer = undefined;
    this.refill();
    let sent = 0;
    for (const p of this.queue) {
      const length = p.end - p.start;
      if (!this.take(length)) break;
      this.queuedBytes -= length;
      sent++;
      send(p);
    }
    this.queue.splice(0, sent);
    this.schedule(send);
  }
}
