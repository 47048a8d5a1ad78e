// A process's port on the wire: batches what is sent in one tick by destination, takes apart what arrives.
// Invariant: without faults, frames to one destination leave in the order they were sent; nothing a peer sends can throw.
import { type Clock, type Complaints, type Logger, oncePerMinute, type Random } from "@podwire/base";
import type { Bus } from "./bus.ts";
import { subjectsOf, tokenAddress } from "./subjects.ts";
import type { Subscription } from "./transport.ts";
import type { WireCounters, WireFaults, WireFrame, WirePort } from "./wire.ts";
import { BatchWriter, MAX_FRAME_BYTES, readBatch } from "./wire-batch.ts";
import { departures, hasFaults, type LinkState, NO_FAULTS } from "./wire-faults.ts";

export interface OpenWireOptions {
  /** This process's underlay address, dotted. */
  address: string;
  clock: Clock;
  random: Random;
  log: Logger;
  faults?: Partial<WireFaults>;
}

export interface FaultyWirePort extends WirePort {
  /** Changes some faults; frames that are already delayed keep their delay. */
  setFaults(f: Partial<WireFaults>): void;
  faults(): Readonly<WireFaults>;
}

/** A batch that has grown to this leaves before the tick ends. */
export const FLUSH_BYTES = 64 * 1024;
/** Peers that are remembered; past this, the table starts again. */
const MAX_PEERS = 4096;
/** Frames that delays hold back; further ones are dropped. */
const MAX_DELAYED_FRAMES = 16_384;

export function openWire(bus: Bus, opts: OpenWireOptions): FaultyWirePort {
  return new Port(bus, opts);
}

interface Peer {
  destination: string;
  subject: string;
  batch: BatchWriter;
}

class Port implements FaultyWirePort {
  readonly address: string;
  private readonly bus: Bus;
  private readonly clock: Clock;
  private readonly random: Random;
  private readonly complaints: Complaints;
  private readonly subjects;
  private readonly peers = new Map<string, Peer>();
  private readonly sources = new Map<string, string>();
  private readonly subscriptions: Subscription[];
  private dirty: Peer[] = [];
  private scheduled = false;
  private receiver: ((source: string, frame: WireFrame) => void) | undefined;
  private currentFaults: WireFaults = NO_FAULTS;
  private faulty = false;
  private readonly link: LinkState = { freeAtMs: 0 };
  private delayed = 0;
  private connected = true;
  private closed = false;
  private readonly c: WireCounters = {
    txFrames: 0,
    txBytes: 0,
    txMessages: 0,
    txDropped: 0,
    rxFrames: 0,
    rxBytes: 0,
    rxMessages: 0,
    rxMalformed: 0,
  };

  constructor(bus: Bus, opts: OpenWireOptions) {
    this.bus = bus;
    this.address = opts.address;
    this.clock = opts.clock;
    this.random = opts.random;
    this.complaints = oncePerMinute(opts.log, opts.clock);
    this.subjects = subjectsOf(bus.cluster);
    if (opts.faults) this.setFaults(opts.faults);
    this.subscriptions = [
      bus.subscribe(this.subjects.wireTo(opts.address), (m) => this.onMessage(m.subject, m.data)),
      bus.onStatus((s) => {
        this.connected = s !== "disconnected";
      }),
    ];
  }

  send(destination: string, frame: WireFrame): void {
    if (frame.bytes.length > MAX_FRAME_BYTES || this.closed) {
      this.c.txDropped++;
      return;
    }
    if (this.faulty) this.sendFaulty(destination, frame);
    else this.queue(destination, frame);
  }

  onFrame(cb: (source: string, frame: WireFrame) => void): void {
    this.receiver = cb;
  }

  counters(): Readonly<WireCounters> {
    return { ...this.c };
  }

  setFaults(f: Partial<WireFaults>): void {
    this.currentFaults = { ...this.currentFaults, ...f };
    this.faulty = hasFaults(this.currentFaults);
  }

  faults(): Readonly<WireFaults> {
    return this.currentFaults;
  }

  close(): void {
    if (this.closed) return;
    this.flush();
    this.closed = true;
    for (const s of this.subscriptions) s.unsubscribe();
  }

  private queue(destination: string, frame: WireFrame): void {
    const peer = this.peers.get(destination) ?? this.addPeer(destination);
    if (!peer) {
      this.c.txDropped++;
      return;
    }
    if (peer.batch.frames === 0) {
      this.dirty.push(peer);
      if (!this.scheduled) {
        this.scheduled = true;
        this.clock.soon(() => this.flush());
      }
    }
    peer.batch.add(frame);
    if (peer.batch.sizeBytes >= FLUSH_BYTES) this.publish(peer);
  }

  private sendFaulty(destination: string, frame: WireFrame): void {
    const now = this.clock.monotonicMs();
    const leaving = departures(this.currentFaults, this.link, this.random, destination, frame.bytes.length, now);
    if (leaving.length === 0) this.c.txDropped++;
    for (const d of leaving) {
      let copy = frame;
      if (d.corruptAt >= 0 || d.atMs > now) copy = { ...frame, bytes: frame.bytes.slice() };
      if (d.corruptAt >= 0) copy.bytes[d.corruptAt] = (copy.bytes[d.corruptAt] as number) ^ d.corruptXor;
      if (d.atMs <= now) {
        this.queue(destination, copy);
        continue;
      }
      if (this.delayed >= MAX_DELAYED_FRAMES) {
        this.c.txDropped++;
        continue;
      }
      this.delayed++;
      this.clock.after(
        d.atMs - now,
        () => {
          this.delayed--;
          if (!this.closed) this.queue(destination, copy);
        },
        { unref: true },
      );
    }
  }

  private addPeer(destination: string): Peer | undefined {
    if (!/^[0-9a-fA-F.:]{2,45}$/.test(destination)) {
      this.complaints.complain("not an underlay address", { destination });
      return undefined;
    }
    if (this.peers.size >= MAX_PEERS) {
      this.flush();
      this.peers.clear();
    }
    const subject = this.subjects.wire(destination, this.address);
    const peer: Peer = { destination, subject, batch: new BatchWriter() };
    this.peers.set(destination, peer);
    return peer;
  }

  private flush(): void {
    this.scheduled = false;
    const dirty = this.dirty;
    this.dirty = [];
    for (const peer of dirty) if (peer.batch.frames > 0) this.publish(peer);
  }

  private publish(peer: Peer): void {
    const { batch } = peer;
    if (!this.connected) {
      // Packets are not worth keeping: a cable was pulled.
      this.c.txDropped += batch.frames;
      batch.reset(true);
      return;
    }
    const message = batch.finish();
    this.c.txFrames += batch.frames;
    this.c.txBytes += message.length;
    this.c.txMessages++;
    this.bus.publish(peer.subject, message);
    // At the end of a tick what was published has left before the next frame is added; within a tick it has not.
    batch.reset(!this.scheduled);
  }

  private onMessage(subject: string, data: Uint8Array): void {
    const at = subject.lastIndexOf(".") + 1;
    const token = subject.slice(at);
    let source = this.sources.get(token);
    if (source === undefined) {
      if (this.sources.size >= MAX_PEERS) this.sources.clear();
      source = tokenAddress(token);
      this.sources.set(token, source);
    }
    this.c.rxMessages++;
    this.c.rxBytes += data.length;
    const { receiver } = this;
    const from = source;
    let frames = 0;
    const n = readBatch(data, (frame) => {
      frames++;
      if (!receiver) return;
      try {
        receiver(from, frame);
      } catch (err) {
        this.complaints.complain("frame receiver failed", { err });
      }
    });
    this.c.rxFrames += frames;
    if (n < 0) {
      this.c.rxMalformed++;
      this.complaints.complain("malformed wire message", { source: from });
    }
  }
}
