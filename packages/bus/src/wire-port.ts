// A process's port on the wire: batches what is sent in one tick by destination, takes apart what arrives.
// Invariant: without faults, frames to one destination leave in the order they were sent; nothing a peer sends can throw.
import { type Clock, type Complaints, type Logger, oncePerMinute, type Random } from "@podwire/base";
import type { Bus } from "./bus.ts";
import { natsSettingsOf } from "./nats.ts";
import { fillLength, natsLink } from "./nats-link.ts";
import { subjectsOf, tokenAddress } from "./subjects.ts";
import type { WireCounters, WireFaults, WireFrame, WirePort } from "./wire.ts";
import { BatchBuffers, BatchWriter, MAX_FRAME_BYTES, readBatch } from "./wire-batch.ts";
import { departures, hasFaults, type LinkState, NO_FAULTS } from "./wire-faults.ts";
import { busLink, type WireLink } from "./wire-link.ts";

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
  /** Resolves when the port can be reached by others and can reach them. */
  readonly ready: Promise<void>;
}

/** Peers that are remembered; past this, the table starts again. */
const MAX_PEERS = 4096;
/** Frames that delays hold back; further ones are dropped. */
const MAX_DELAYED_FRAMES = 16_384;
/** Messages that wait for the port's first connection; further ones are dropped. */
const MAX_EARLY_MESSAGES = 64;

export function openWire(bus: Bus, opts: OpenWireOptions): FaultyWirePort {
  return new Port(bus, opts);
}

interface Peer {
  subject: string;
  preambleBytes: number;
  batch: BatchWriter;
}

class Port implements FaultyWirePort {
  readonly address: string;
  readonly ready: Promise<void>;
  private readonly link: WireLink;
  private readonly buffers = new BatchBuffers();
  private early: (() => void)[] | undefined = [];
  private readonly clock: Clock;
  private readonly random: Random;
  private readonly complaints: Complaints;
  private readonly subjects;
  private readonly peers = new Map<string, Peer>();
  private readonly sources = new Map<string, string>();
  private dirty: Peer[] = [];
  private scheduled = false;
  private receiver: ((source: string, frame: WireFrame) => void) | undefined;
  private messageEnd: (() => void) | undefined;
  private currentFaults: WireFaults = NO_FAULTS;
  private faulty = false;
  private readonly shaping: LinkState = { freeAtMs: 0 };
  private delayed = 0;
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
    this.address = opts.address;
    this.clock = opts.clock;
    this.random = opts.random;
    this.complaints = oncePerMinute(opts.log, opts.clock);
    this.subjects = subjectsOf(bus.cluster);
    if (opts.faults) this.setFaults(opts.faults);
    const handlers = {
      onMessage: (source: string, data: Uint8Array) => this.onMessage(source, data),
      onOversize: () => {
        this.c.rxMessages++;
        this.c.rxMalformed++;
      },
    };
    const subscribeTo = this.subjects.wireTo(opts.address);
    const settings = natsSettingsOf(bus);
    const lean = settings && natsLink(settings, subscribeTo, this.complaints, handlers);
    this.link = lean ?? busLink(bus, subscribeTo, opts.clock, handlers);
    this.ready = this.link.ready;
    bus.onStatus((status) => {
      if (status === "closed") this.close();
    });
    if (lean) void this.ready.then(() => this.sendEarly());
    else this.early = undefined;
  }

  send(destination: string, frame: WireFrame): void {
    if (frame.bytes.length > MAX_FRAME_BYTES || this.closed) {
      this.c.txDropped++;
      return;
    }
    if (this.faulty) this.sendFaulty(destination, frame);
    else this.queue(destination, frame);
  }

  onMessageEnd(cb: () => void): void {
    this.messageEnd = cb;
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
    this.link.close();
  }

  private queue(destination: string, frame: WireFrame): void {
    const peer = this.peers.get(destination) ?? this.addPeer(destination);
    if (!peer) {
      this.c.txDropped++;
      return;
    }
    if (!peer.batch.fits(frame.bytes.length)) this.publish(peer);
    if (peer.batch.frames === 0) {
      this.dirty.push(peer);
      if (!this.scheduled) {
        this.scheduled = true;
        this.clock.soon(() => this.flush());
      }
    }
    peer.batch.add(frame);
  }

  private sendFaulty(destination: string, frame: WireFrame): void {
    const now = this.clock.monotonicMs();
    const leaving = departures(this.currentFaults, this.shaping, this.random, destination, frame.bytes.length, now);
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
    const preamble = this.link.preamble(subject);
    const peer: Peer = { subject, preambleBytes: preamble.length, batch: new BatchWriter(this.buffers, preamble) };
    this.peers.set(destination, peer);
    return peer;
  }

  private flush(): void {
    this.scheduled = false;
    const dirty = this.dirty;
    this.dirty = [];
    if (dirty.length > 1) this.link.cork();
    for (const peer of dirty) if (peer.batch.frames > 0) this.publish(peer);
    if (dirty.length > 1) this.link.uncork();
  }

  private publish(peer: Peer): void {
    const { batch } = peer;
    const { frames } = batch;
    const { message, batchBytes, buffer } = batch.finish();
    if (peer.preambleBytes > 0) fillLength(message, peer.preambleBytes, batchBytes);
    const send = () => {
      if (this.link.send(peer.subject, message, () => this.buffers.give(buffer))) {
        this.c.txFrames += frames;
        this.c.txBytes += batchBytes;
        this.c.txMessages++;
        return;
      }
      // Packets are not worth keeping: the cable is pulled, or the queue of the card is full.
      this.c.txDropped += frames;
      this.buffers.give(buffer);
    };
    if (this.early === undefined) send();
    else if (this.early.length < MAX_EARLY_MESSAGES) this.early.push(send);
    else this.c.txDropped += frames;
  }

  private sendEarly(): void {
    const early = this.early ?? [];
    this.early = undefined;
    for (const send of early) send();
  }

  private onMessage(token: string, data: Uint8Array): void {
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
    this.messageEnd?.();
    if (n < 0) {
      this.c.rxMalformed++;
      this.complaints.complain("malformed wire message", { source: from });
    }
  }
}
