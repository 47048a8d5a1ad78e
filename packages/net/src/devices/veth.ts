// A veth pair: what one end sends, the other hears in a later turn.
// Invariant: marks and connection tracking do not cross (each namespace has its own); the trace does.
import type { Clock } from "@podwire/base";
import type { Mac } from "../codec/address.ts";
import type { Packet } from "../packet.ts";
import { type Backlog, type BacklogReceiver, backlogOf } from "./backlog.ts";
import { Device } from "./device.ts";

export class Veth extends Device implements BacklogReceiver {
  private other: Veth | undefined;
  private readonly backlog: Backlog;

  constructor(clock: Clock, name: string, mac: Mac, mtu: number) {
    super(name, mac, mtu);
    this.backlog = backlogOf(clock);
  }

  /** The other end, while both are there. */
  get peer(): Veth | undefined {
    return this.other;
  }

  /** Joins two ends. */
  static join(a: Veth, b: Veth): void {
    a.other = b;
    b.other = a;
  }

  protected override send(p: Packet): void {
    const peer = this.other;
    if (peer === undefined || !peer.up) {
      this.drop(p, "noCarrier");
      return;
    }
    p.ct = null;
    p.mark = 0;
    if (!this.backlog.push(peer, p)) this.drop(p, "backlogFull");
  }

  fromBacklog(p: Packet): void {
    this.arrive(p);
  }

  override close(): void {
    super.close();
    if (this.other !== undefined) {
      this.other.other = undefined;
      this.other = undefined;
    }
  }
}

export interface VethEnd {
  name: string;
  mac: Mac;
}

/** Two joined ends, to be added to a namespace each. */
export function vethPair(clock: Clock, a: VethEnd, b: VethEnd, mtu = 1500): [Veth, Veth] {
  const x = new Veth(clock, a.name, a.mac, mtu);
  const y = new Veth(clock, b.name, b.mac, mtu);
  Veth.join(x, y);
  return [x, y];
}
