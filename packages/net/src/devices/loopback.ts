// lo: what is sent comes back in a later turn, tracked as it was.
import type { Clock } from "@podwire/base";
import type { Packet } from "../packet.ts";
import { type Backlog, type BacklogReceiver, backlogOf } from "./backlog.ts";
import { Device } from "./device.ts";

export class Loopback extends Device implements BacklogReceiver {
  private readonly backlog: Backlog;
  override readonly pointless = true;

  constructor(clock: Clock, name = "lo") {
    super(name, 0, 65_536);
    this.backlog = backlogOf(clock);
  }

  protected override send(p: Packet): void {
    if (!this.backlog.push(this, p)) this.drop(p, "backlogFull");
  }

  fromBacklog(p: Packet): void {
    this.arrive(p);
  }
}
