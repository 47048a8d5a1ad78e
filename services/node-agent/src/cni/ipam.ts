// host-local IPAM: addresses of one of the node's podCIDRs, leased round robin and kept on the node's disk (one small file a range).
// Invariant: an address is leased to at most one container at a time; the network's own address, the first (the bridge) and IPv4's
// broadcast address never are. Leases of one turn of the event loop are written together: a power cut ends their containers anyway.
import fs from "node:fs";
import path from "node:path";
import { type Clock, PodwireError } from "@podwire/base";
import { formatAddress, networkOf, parsePrefix } from "@podwire/net";

export class NoAddressError extends PodwireError {}

interface Leases {
  /** Number of the address last given out, from the range's start. */
  last: number;
  /** Address -> "container id/interface". */
  leases: Record<string, string>;
}

/** Of a larger range the first so many addresses are used. */
const MAX_ADDRESSES = 65_536;

export class HostLocalIpam {
  readonly gateway: string;
  readonly prefix: number;
  readonly subnet: string;
  readonly #base: bigint;
  readonly #six: boolean;
  /** Numbers from 2 below this are leased. */
  readonly #end: number;
  readonly #file: string;
  readonly #clock: Clock;
  #state: Leases;
  #saving = false;

  /** `subnet` is "10.244.1.0/24" or "fd00:10:244:1::/64". */
  constructor(subnet: string, file: string, clock: Clock) {
    const parsed = parsePrefix(subnet);
    if (parsed === undefined) throw new RangeError(`not a subnet: ${subnet}`);
    this.subnet = subnet;
    this.prefix = parsed.length;
    this.#six = typeof parsed.address === "bigint";
    this.#base = BigInt(networkOf(parsed.address, parsed.length));
    const size = 2 ** ((this.#six ? 128 : 32) - this.prefix);
    this.#end = Math.min(MAX_ADDRESSES, this.#six ? size : size - 1);
    this.gateway = this.#text(1);
    this.#file = file;
    this.#clock = clock;
    this.#state = readLeases(file);
  }

  allocate(owner: string): string {
    for (let i = 0; i < this.#end; i++) {
      const n = ((this.#state.last + i) % this.#end) + 1;
      if (n < 2 || n >= this.#end) continue;
      const address = this.#text(n);
      if (this.#state.leases[address] !== undefined) continue;
      this.#state.leases[address] = owner;
      this.#state.last = n;
      this.#save();
      return address;
    }
    throw new NoAddressError(`no IP addresses available in range set: ${this.#text(1)}-${this.#text(this.#end - 1)}`);
  }

  release(owner: string): void {
    let changed = false;
    for (const [address, o] of Object.entries(this.#state.leases)) {
      if (o !== owner) continue;
      delete this.#state.leases[address];
      changed = true;
    }
    if (changed) this.#save();
  }

  /** Forgets leases of owners that are gone (GC, a reboot). */
  retain(owners: ReadonlySet<string>): void {
    for (const [address, o] of Object.entries(this.#state.leases)) if (!owners.has(o)) delete this.#state.leases[address];
    this.#save();
  }

  leaseOf(owner: string): string | undefined {
    return Object.entries(this.#state.leases).find(([, o]) => o === owner)?.[0];
  }

  get used(): number {
    return Object.keys(this.#state.leases).length;
  }

  #text(n: number): string {
    const value = this.#base + BigInt(n);
    return formatAddress(this.#six ? value : Number(value));
  }

  #save(): void {
    if (this.#saving) return;
    this.#saving = true;
    this.#clock.soon(() => this.flush());
  }

  /** Writes what has changed now. */
  flush(): void {
    if (!this.#saving) return;
    this.#saving = false;
    fs.mkdirSync(path.dirname(this.#file), { recursive: true });
    fs.writeFileSync(`${this.#file}.new`, JSON.stringify(this.#state));
    fs.renameSync(`${this.#file}.new`, this.#file);
  }
}

function readLeases(file: string): Leases {
  try {
    const s = JSON.parse(fs.readFileSync(file, "utf8")) as Leases;
    if (typeof s.last === "number" && typeof s.leases === "object" && s.leases !== null) return s;
  } catch {
    // No file yet, or one that a power cut broke: start anew, the pods of before are gone.
  }
  return { last: 0, leases: {} };
}
