// Who is at which MAC address on a device: ARP (RFC 826) and Neighbour Discovery (RFC 4861 7.2), one state machine.
// Invariant: at most QUEUE_LIMIT packets wait for one address and at most NEIGHBOUR_LIMIT addresses are known per device; a packet
// that waits is sent, or given back as unreachable, after PROBES unanswered requests.
import type { Clock, Timer } from "@podwire/base";
import type { IpAddress, Mac } from "../codec/address.ts";
import type { Device } from "../devices/device.ts";
import type { Packet } from "../packet.ts";

export const QUEUE_LIMIT = 64;
export const NEIGHBOUR_LIMIT = 8192;
/** Time between requests, and how many (mcast_solicit). */
const RETRANSMIT_MS = 1000;
const PROBES = 3;
/** After this an answer is asked for again while the entry is used on. */
const REACHABLE_MS = 30_000;
/** How long a failure is remembered. */
const FAILED_MS = 1000;

export interface Neighbour {
  mac: Mac;
  state: "permanent" | "reachable" | "incomplete" | "probe" | "failed";
  updatedMs: number;
}

interface Entry extends Neighbour {
  queue: Packet[];
  probes: number;
  timer: Timer | undefined;
}

export interface NeighbourActions {
  /** Asks who has `target`: broadcast when `mac` is undefined, else to it alone. */
  ask(device: Device, target: IpAddress, mac: Mac | undefined): void;
  /** The address is known now: sends a packet that waited. */
  send(device: Device, p: Packet, mac: Mac): void;
  unreachable(device: Device, p: Packet): void;
  /** A queue or table was full. */
  overflow(device: Device, p: Packet): void;
}

export class Neighbours {
  private readonly clock: Clock;
  private readonly actions: NeighbourActions;
  private readonly byDevice = new Map<string, Map<IpAddress, Entry>>();

  constructor(clock: Clock, actions: NeighbourActions) {
    this.clock = clock;
    this.actions = actions;
  }

  /** ip neigh replace <address> lladdr <mac> dev <device> nud permanent */
  setPermanent(device: Device, address: IpAddress, mac: Mac): void {
    const e = this.entry(device, address);
    if (e === undefined) return;
    this.resolved(device, e, mac, "permanent");
  }

  remove(device: Device, address: IpAddress): void {
    const table = this.byDevice.get(device.name);
    const e = table?.get(address);
    e?.timer?.cancel();
    table?.delete(address);
    for (const p of e?.queue ?? []) this.actions.unreachable(device, p);
  }

  removeDevice(name: string): void {
    for (const e of this.byDevice.get(name)?.values() ?? []) e.timer?.cancel();
    this.byDevice.delete(name);
  }

  list(): { device: string; address: IpAddress; mac: Mac; state: Neighbour["state"] }[] {
    return [...this.byDevice].flatMap(([device, t]) => [...t].map(([address, e]) => ({ device, address, mac: e.mac, state: e.state })));
  }

  /** Sends `p` to `address`, now or when it is known. */
  output(device: Device, address: IpAddress, p: Packet): void {
    const known = this.byDevice.get(device.name)?.get(address);
    if (known?.state === "permanent") {
      this.actions.send(device, p, known.mac);
      return;
    }
    const now = this.clock.monotonicMs();
    if (known !== undefined && (known.state === "reachable" || known.state === "probe")) {
      if (known.state === "reachable" && now - known.updatedMs > REACHABLE_MS) this.begin(device, address, known, "probe");
      this.actions.send(device, p, known.mac);
      return;
    }
    if (known?.state === "failed" && now - known.updatedMs < FAILED_MS) {
      this.actions.unreachable(device, p);
      return;
    }
    const e = this.entry(device, address);
    if (e === undefined || e.queue.length >= QUEUE_LIMIT) {
      this.actions.overflow(device, p);
      return;
    }
    e.queue.push(p);
    if (e.timer === undefined) this.begin(device, address, e, "incomplete");
  }

  /** An answer, or a request that tells who asks. Unasked answers only refresh what is known. */
  learn(device: Device, address: IpAddress, mac: Mac, create: boolean): void {
    const known = this.byDevice.get(device.name)?.get(address);
    const e = known ?? (create ? this.entry(device, address) : undefined);
    if (e !== undefined && e.state !== "permanent") this.resolved(device, e, mac, "reachable");
  }

  close(): void {
    for (const name of [...this.byDevice.keys()]) this.removeDevice(name);
  }

  private entry(device: Device, address: IpAddress): Entry | undefined {
    let table = this.byDevice.get(device.name);
    if (table === undefined) {
      table = new Map();
      this.byDevice.set(device.name, table);
    }
    let e = table.get(address);
    if (e === undefined) {
      if (table.size >= NEIGHBOUR_LIMIT && !evictFailed(table)) return undefined;
      e = { mac: 0, state: "incomplete", updatedMs: 0, queue: [], probes: 0, timer: undefined };
      table.set(address, e);
    }
    return e;
  }

  private resolved(device: Device, e: Entry, mac: Mac, state: "permanent" | "reachable"): void {
    e.timer?.cancel();
    e.timer = undefined;
    e.mac = mac;
    e.state = state;
    e.updatedMs = this.clock.monotonicMs();
    const waiting = e.queue;
    e.queue = [];
    for (const p of waiting) this.actions.send(device, p, mac);
  }

  private begin(device: Device, address: IpAddress, e: Entry, state: "incomplete" | "probe"): void {
    e.state = state;
    e.probes = 0;
    e.timer?.cancel();
    this.probe(device, address, e);
  }

  private probe(device: Device, address: IpAddress, e: Entry): void {
    if (e.probes++ >= PROBES) {
      e.timer = undefined;
      e.state = "failed";
      e.updatedMs = this.clock.monotonicMs();
      const waiting = e.queue;
      e.queue = [];
      for (const p of waiting) this.actions.unreachable(device, p);
      return;
    }
    e.timer = this.clock.after(RETRANSMIT_MS, () => this.probe(device, address, e), { unref: true });
    this.actions.ask(device, address, e.state === "probe" ? e.mac : undefined);
  }
}

function evictFailed(table: Map<IpAddress, Entry>): boolean {
  for (const [a, e] of table)
    if (e.state === "failed") {
      table.delete(a);
      return true;
    }
  return false;
}
