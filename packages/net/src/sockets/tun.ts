// A TUN device of the Linux host, for tests: the packets of a SocketLayer meet the kernel's own TCP. Needs root, /dev/net/tun and the
// package koffi (for ioctl). Invariant: the device lives as long as the descriptor; `close` removes it with its addresses.
// Linux Documentation/networking/tuntap.rst.
import { execFileSync } from "node:child_process";
import { closeSync, constants, openSync, readSync, writeSync } from "node:fs";
import { createRequire } from "node:module";
import { type Random, systemClock } from "@podwire/base";
import { address, type IpAddress } from "../codec/address.ts";
import { Packet } from "../packet.ts";
import { segmentPacket } from "../tcp/segmentation.ts";
import type { IpLayer } from "./ip-layer.ts";
import type { SocketLayer } from "./socket-layer.ts";

const TUNSETIFF = 0x400454ca;
const IFF_TUN = 0x0001;
const IFF_NO_PI = 0x1000;
const MTU = 1500;
/** Packets taken from the kernel before the event loop goes on. */
const READ_BUDGET = 256;

/** Why there can be no TUN device here; "" when there can. */
export function tunMissing(): string {
  if (process.platform !== "linux") return "not Linux";
  if (process.getuid?.() !== 0) return "not root";
  try {
    closeSync(openSync("/dev/net/tun", constants.O_RDWR));
    execFileSync("ip", ["-V"], { stdio: "ignore" });
    createRequire(import.meta.url)("koffi");
    return "";
  } catch (e) {
    return (e as Error).message;
  }
}

export interface TunOptions {
  name: string;
  /** Addresses of the kernel's end with their prefix length. */
  kernel: string[];
  /** Addresses of our end. */
  own: string[];
  random: Random;
}

export class Tun implements IpLayer {
  readonly #fd: number;
  readonly #own: IpAddress[];
  readonly #random: Random;
  readonly #buffer = new Uint8Array(65_536);
  #layer: SocketLayer | null = null;
  #closed = false;
  /** Chance that a packet is lost, either way. */
  loss = 0;
  packetsIn = 0;
  packetsOut = 0;

  constructor(o: TunOptions) {
    this.#own = o.own.map(address);
    this.#random = o.random;
    this.#fd = openSync("/dev/net/tun", constants.O_RDWR | constants.O_NONBLOCK);
    const koffi = createRequire(import.meta.url)("koffi");
    const ioctl = koffi.load("libc.so.6").func("int ioctl(int fd, unsigned long request, void *argument)");
    const request = new Uint8Array(40);
    request.set(new TextEncoder().encode(o.name));
    new DataView(request.buffer).setUint16(16, IFF_TUN | IFF_NO_PI, true);
    if (ioctl(this.#fd, TUNSETIFF, request) !== 0) throw new RangeError(`TUNSETIFF failed for ${o.name}`);
    for (const a of o.kernel) execFileSync("ip", ["address", "add", a, "dev", o.name, ...(a.includes(":") ? ["nodad"] : [])]);
    execFileSync("ip", ["link", "set", o.name, "up", "mtu", String(MTU)]);
  }

  /** Starts to hand the kernel's packets to `layer`. */
  join(layer: SocketLayer): void {
    this.#layer = layer;
    this.#poll();
  }

  #poll(): void {
    if (this.#closed) return;
    let n = 0;
    for (; n < READ_BUDGET; n++) {
      const length = this.#read();
      if (length <= 0) break;
      this.packetsIn++;
      if (this.loss > 0 && this.#random.float() < this.loss) continue;
      const version = this.#buffer[0]! >>> 4;
      if (version === 4 || version === 6) this.#layer?.receive(Packet.from(this.#buffer.subarray(0, length)));
    }
    if (n > 0) systemClock.soon(() => this.#poll());
    else systemClock.after(1, () => this.#poll());
  }

  /** 0 when nothing waits. */
  #read(): number {
    try {
      return readSync(this.#fd, this.#buffer);
    } catch (e) {
      if ((e as NodeJS.ErrnoException).code === "EAGAIN") return 0;
      throw e;
    }
  }

  output(p: Packet): "" {
    segmentPacket(p.data, p.start, p.end, false, p.gsoSize, (piece) => {
      this.packetsOut++;
      if (this.#closed || (this.loss > 0 && this.#random.float() < this.loss)) return;
      try {
        writeSync(this.#fd, piece);
      } catch (e) {
        // The kernel's queue is full: a lost packet.
        if ((e as NodeJS.ErrnoException).code !== "EAGAIN") throw e;
      }
    });
    p.release();
    return "";
  }

  sourceFor(dst: IpAddress): IpAddress | undefined {
    return this.#own.find((a) => typeof a === typeof dst);
  }

  mtuFor(): number {
    return MTU;
  }

  isLocal(a: IpAddress): boolean {
    return this.#own.includes(a);
  }

  close(): void {
    this.#closed = true;
    closeSync(this.#fd);
  }
}
