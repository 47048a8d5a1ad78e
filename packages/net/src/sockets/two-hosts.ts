// Two socket layers joined by a link in memory, for tests and benchmarks: seeded loss, duplication, reordering, delay, on the real
// clock or on a virtual one. The link hands packets over in a later turn, as a namespace does.
// Invariant: a packet is copied when it is duplicated, else handed over itself.
import { type Clock, type Random, seededRandom, sleepOn, systemClock, type Timer } from "@podwire/base";
import { address, type IpAddress, ipv4At, ipv6At } from "../codec/address.ts";
import type { Packet } from "../packet.ts";
import type { IpLayer, OutputResult } from "./ip-layer.ts";
import { SocketLayer, type SocketLayerOptions } from "./socket-layer.ts";

export interface PacketFaults {
  /** Chances in [0, 1). */
  loss: number;
  duplicate: number;
  reorder: number;
  /** 0 hands over in the next turn. */
  delayMs: number;
  mtu: number;
  /** Sees every packet; true drops it. */
  tap?: (p: Packet, from: "a" | "b") => boolean;
}

class LinkEnd implements IpLayer {
  readonly own: IpAddress[];
  peer: SocketLayer | null = null;
  readonly #faults: PacketFaults;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #name: "a" | "b";
  #queue: Packet[] = [];
  #self: SocketLayer | null = null;

  constructor(name: "a" | "b", own: string[], faults: PacketFaults, clock: Clock, random: Random) {
    this.#name = name;
    this.own = own.map(address);
    this.#faults = faults;
    this.#clock = clock;
    this.#random = random;
  }

  join(self: SocketLayer, peer: SocketLayer): void {
    this.#self = self;
    this.peer = peer;
  }

  output(p: Packet): OutputResult {
    const f = this.#faults;
    if (f.tap?.(p, this.#name)) return "";
    if (f.loss > 0 && this.#random.float() < f.loss) return "";
    if (f.duplicate > 0 && this.#random.float() < f.duplicate) this.#later(p.clone(), f.delayMs * this.#random.float());
    let delayMs = f.delayMs;
    if (f.reorder > 0 && this.#random.float() < f.reorder) delayMs += Math.max(f.delayMs, 1) * 3 * this.#random.float();
    this.#later(p, delayMs);
    return "";
  }

  #later(p: Packet, delayMs: number): void {
    if (delayMs > 0) {
      this.#clock.after(delayMs, () => this.#deliver(p), { unref: true });
      return;
    }
    this.#queue.push(p);
    if (this.#queue.length === 1)
      this.#clock.soon(() => {
        const batch = this.#queue;
        this.#queue = [];
        for (const q of batch) this.#deliver(q);
      });
  }

  #deliver(p: Packet): void {
    const dst: IpAddress = p.data[p.start]! >>> 4 === 4 ? ipv4At(p.data, p.start + 16) : ipv6At(p.data, p.start + 24);
    (this.own.includes(dst) ? this.#self : this.peer)?.receive(p);
  }

  sourceFor(dst: IpAddress): IpAddress | undefined {
    return this.own.find((a) => typeof a === typeof dst);
  }

  mtuFor(): number {
    return this.#faults.mtu;
  }

  isLocal(a: IpAddress): boolean {
    return this.own.includes(a);
  }
}

/** Hosts a (10.0.0.1, fd00::1) and b (10.0.0.2, fd00::2). */
export function twoHosts(
  faults: Partial<PacketFaults> = {},
  clock: Clock = systemClock,
  seed = 1,
  options: Partial<SocketLayerOptions> = {},
) {
  const f: PacketFaults = { loss: 0, duplicate: 0, reorder: 0, delayMs: 0, mtu: 1450, ...faults };
  const random = seededRandom(seed);
  const ends = [
    new LinkEnd("a", ["10.0.0.1", "fd00::1"], f, clock, random),
    new LinkEnd("b", ["10.0.0.2", "fd00::2"], f, clock, random),
  ] as const;
  const [a, b] = [seed + 1, seed + 2].map((s, i) => new SocketLayer({ ip: ends[i]!, clock, random: seededRandom(s), ...options })) as [
    SocketLayer,
    SocketLayer,
  ];
  ends[0].join(a, b);
  ends[1].join(b, a);
  return {
    a,
    b,
    faults: f,
    [Symbol.dispose]: () => {
      a.close();
      b.close();
    },
  };
}

/** A clock that jumps to the next timer whenever the process has nothing else to do. */
export class JumpingClock implements Clock {
  #nowMs = 1_000_000;
  #timers: { atMs: number; n: number; fn: () => void }[] = [];
  #n = 0;
  #running = true;

  constructor() {
    const turn = () => {
      if (!this.#running) return;
      // A few idle turns first: streams and promises may still be at work.
      let idle = 0;
      const wait = () => {
        if (++idle < 4) systemClock.soon(wait);
        else {
          this.#jump();
          turn();
        }
      };
      systemClock.soon(wait);
    };
    turn();
  }

  #jump(): void {
    let first = this.#timers[0];
    for (const t of this.#timers) if (first === undefined || t.atMs < first.atMs || (t.atMs === first.atMs && t.n < first.n)) first = t;
    if (first === undefined) return;
    this.#timers.splice(this.#timers.indexOf(first), 1);
    this.#nowMs = Math.max(this.#nowMs, first.atMs);
    first.fn();
  }

  stop(): void {
    this.#running = false;
  }

  nowMs = () => this.#nowMs;
  monotonicMs = () => this.#nowMs;
  after(delayMs: number, fn: () => void): Timer {
    const t = { atMs: this.#nowMs + delayMs, n: this.#n++, fn };
    this.#timers.push(t);
    return {
      cancel: () => {
        const at = this.#timers.indexOf(t);
        if (at >= 0) this.#timers.splice(at, 1);
      },
    };
  }
  every(): Timer {
    throw new RangeError("not needed by sockets");
  }
  soon = (fn: () => void) => systemClock.soon(fn);
  sleep = (delayMs: number, signal?: AbortSignal) => sleepOn(this, delayMs, signal);
}
