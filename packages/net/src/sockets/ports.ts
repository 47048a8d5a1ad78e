// Who holds which local port, for one protocol of one namespace, and the choice of ephemeral ports (RFC 6056 algorithm 1).
// Invariant: two bindings of one port never overlap in address; an address of null is every address of both families.
import type { Random } from "@podwire/base";
import type { IpAddress } from "../codec/address.ts";

/** Linux's net.ipv4.ip_local_port_range. */
export const EPHEMERAL_FIRST = 32_768;
export const EPHEMERAL_LAST = 60_999;

/** null: any address of both families; 0: any IPv4 address. */
export type BindAddress = IpAddress | null;

/** What a user's host text binds: "" and "::" are both families, "0.0.0.0" is IPv4. */
export function bindAddress(a: IpAddress | undefined): BindAddress {
  return a === undefined || a === 0n ? null : a;
}

function overlap(a: BindAddress, b: BindAddress): boolean {
  if (a === null || b === null || a === b) return true;
  return typeof a === "number" && typeof b === "number" && (a === 0 || b === 0);
}

function covers(bound: BindAddress, a: IpAddress): boolean {
  return bound === null || bound === a || (bound === 0 && typeof a === "number");
}

export class PortTable<T extends { readonly boundAddress: BindAddress; readonly boundPort: number }> {
  readonly #byPort = new Map<number, T[]>();

  /** True when `address`:`port` can be bound. */
  free(address: BindAddress, port: number): boolean {
    const held = this.#byPort.get(port);
    return held === undefined || !held.some((h) => overlap(h.boundAddress, address));
  }

  /** True when anyone holds the port, at whatever address. */
  holds(port: number): boolean {
    return this.#byPort.has(port);
  }

  add(holder: T): void {
    const held = this.#byPort.get(holder.boundPort);
    if (held === undefined) this.#byPort.set(holder.boundPort, [holder]);
    else held.push(holder);
  }

  delete(holder: T): void {
    const held = this.#byPort.get(holder.boundPort);
    const at = held?.indexOf(holder) ?? -1;
    if (held === undefined || at < 0) return;
    held.splice(at, 1);
    if (held.length === 0) this.#byPort.delete(holder.boundPort);
  }

  /** The holder that gets what comes to `address`:`port`: an exact address before a wildcard. */
  lookup(address: IpAddress, port: number): T | undefined {
    const held = this.#byPort.get(port);
    if (held === undefined) return undefined;
    let found: T | undefined;
    for (const h of held) {
      if (h.boundAddress === address) return h;
      if (covers(h.boundAddress, address)) found = h;
    }
    return found;
  }

  *[Symbol.iterator](): Generator<T> {
    for (const held of this.#byPort.values()) yield* held;
  }
}

/** A port of the ephemeral range that `usable` accepts, from a random start; undefined when none is. */
export function ephemeralPort(random: Random, usable: (port: number) => boolean): number | undefined {
  const count = EPHEMERAL_LAST - EPHEMERAL_FIRST + 1;
  const start = random.below(count);
  for (let i = 0; i < count; i++) {
    const port = EPHEMERAL_FIRST + ((start + i) % count);
    if (usable(port)) return port;
  }
  return undefined;
}
