// A capture of devices: every packet that passes one becomes a packet of a pcapng file, with what was decided about it since the
// last device as its comment ("dnat -A KUBE-SEP-... ; forward ..."). The comments come from trace points, so they are there for
// packets that a trace follows.
// Invariant: `stop` leaves no tap behind. Limit: MAX_TRACES packets' notes are kept, and `maxBytes` of file; past them notes, or
// packets, are left out and counted.
import type { Device } from "./devices/device.ts";
import type { Packet } from "./packet.ts";
import { LinkType, PcapngWriter } from "./pcapng.ts";
import type { TracePoint, TraceSink } from "./trace.ts";

const MAX_TRACES = 4096;
const MAX_COMMENT = 1000;

export interface CaptureOptions {
  /** Wall time in milliseconds, of the Clock. */
  nowMs: () => number;
  /** Gets the bytes of the file, block by block. */
  write: (block: Uint8Array) => void;
  /** The file does not grow past this. */
  maxBytes: number;
  /** Gets the trace points that pass through. */
  next?: TraceSink;
}

export class Capture implements TraceSink {
  readonly #o: CaptureOptions;
  readonly #writer = new PcapngWriter();
  readonly #notes = new Map<number, string[]>();
  readonly #untap: (() => void)[] = [];
  #bytes = 0;
  packets = 0;
  /** Packets left out because the file is full. */
  omitted = 0;

  constructor(o: CaptureOptions) {
    this.#o = o;
    this.#put(this.#writer.header());
  }

  /** Captures what passes `device`; `netns` and the device's name are the interface's name ("default/web:eth0"). */
  attach(device: Device, netns: string): void {
    const link = device.pointless ? LinkType.RAW_IP : LinkType.ETHERNET;
    const { id, block } = this.#writer.addInterface(`${netns}:${device.name}`, link);
    this.#put(block);
    this.#untap.push(device.addTap((p, direction) => this.#seen(id, p, direction)));
  }

  stop(): void {
    for (const untap of this.#untap.splice(0)) untap();
    this.#notes.clear();
  }

  /** A decision about a traced packet: the comment of its next appearance. */
  point(t: TracePoint): void {
    this.#o.next?.point(t);
    if (t.place === "device") return;
    let notes = this.#notes.get(t.traceId);
    if (notes === undefined) {
      if (this.#notes.size >= MAX_TRACES) return;
      notes = [];
      this.#notes.set(t.traceId, notes);
    }
    notes.push([t.verdict, t.name, t.rule].filter((w) => w !== "").join(" "));
  }

  #seen(interfaceId: number, p: Packet, direction: "in" | "out"): void {
    let comment = "";
    if (p.traceId !== 0) {
      comment = (this.#notes.get(p.traceId) ?? []).join("; ").slice(0, MAX_COMMENT);
      this.#notes.delete(p.traceId);
    }
    if (this.#bytes >= this.#o.maxBytes) {
      this.omitted++;
      return;
    }
    this.packets++;
    const bytes = p.bytes();
    for (const block of this.#writer.packet({ interfaceId, timeMs: this.#o.nowMs(), bytes, gsoSize: p.gsoSize, direction, comment }))
      this.#put(block);
  }

  #put(block: Uint8Array): void {
    this.#bytes += block.length;
    this.#o.write(block);
  }
}
