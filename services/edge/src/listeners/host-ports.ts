// The real listeners that are open now, brought in line with what Services want. Invariant: changes for one Service happen one after
// the other; a listener that is still wanted is never closed, so its connections live on.
import { type Clock, type Logger, reasonOf } from "@podwire/base";
import type { Internet } from "../internet/internet.ts";
import { openTcp } from "./tcp.ts";
import { openUdp } from "./udp.ts";
import type { WantedListener } from "./wanted.ts";

/** Where a connection from `remote` goes; undefined when nobody can take it. */
export type Reach = (remote: string | undefined) => { address: string; port: number } | undefined;

export interface OpenListener {
  port: number;
  connections(): number;
  close(): void;
}

interface Entry {
  wanted: WantedListener;
  open: OpenListener;
}

/** Listeners of all Services together; further ones are refused and logged. */
export const MAX_LISTENERS = 2_000;

export interface HostPortsOptions {
  host: string;
  internet: Internet;
  clock: Clock;
  log: Logger;
  reach(wanted: WantedListener): Reach;
}

export class HostPorts {
  private readonly entries = new Map<string, Entry>();
  private readonly o: HostPortsOptions;
  /** Ids whose port was taken: said once. */
  private readonly refused = new Set<string>();

  constructor(o: HostPortsOptions) {
    this.o = o;
  }

  /** Opens and closes until exactly `wanted` is open for `service`; returns what is open. Ports that are taken are left out. */
  async ensure(service: string, wanted: readonly WantedListener[]): Promise<{ wanted: WantedListener; port: number }[]> {
    const ids = new Set(wanted.map((w) => w.id));
    for (const [id, e] of this.entries)
      if (e.wanted.service === service && !ids.has(id)) {
        e.open.close();
        this.entries.delete(id);
        this.o.log.info({ service, port: e.open.port }, "listener closed");
      }
    for (const w of wanted) if (!this.entries.has(w.id)) await this.open(w);
    return wanted.flatMap((w) => {
      const e = this.entries.get(w.id);
      return e ? [{ wanted: w, port: e.open.port }] : [];
    });
  }

  private async open(w: WantedListener): Promise<void> {
    const { host, internet, clock, log } = this.o;
    if (this.entries.size >= MAX_LISTENERS) return log.warn({ service: w.service, limit: MAX_LISTENERS }, "too many listeners");
    let problem: unknown;
    for (const port of w.ports) {
      try {
        const reach = this.o.reach(w);
        const open = w.protocol === "tcp" ? await openTcp(host, port, internet, reach) : await openUdp(host, port, internet, reach, clock);
        this.entries.set(w.id, { wanted: w, open });
        this.refused.delete(w.id);
        log.info({ service: w.service, protocol: w.protocol, listen: `${host}:${open.port}`, target: w.target }, "listening");
        return;
      } catch (e) {
        problem = e;
      }
    }
    if (this.refused.has(w.id)) return;
    this.refused.add(w.id);
    log.warn({ service: w.service, ports: w.ports, reason: reasonOf(problem) }, "no host port for this listener");
  }

  counters(): Record<string, number> {
    let connections = 0;
    for (const e of this.entries.values()) connections += e.open.connections();
    return { listeners: this.entries.size, connections };
  }

  close(): void {
    for (const e of this.entries.values()) e.open.close();
    this.entries.clear();
  }
}
