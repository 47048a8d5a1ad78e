// host-local IPAM: addresses of the node's podCIDR, leased round robin and kept on the node's disk (one small file).
// Invariant: an address is leased to at most one container at a time; .0, .1 (the bridge) and the broadcast address never are.
import fs from "node:fs";
import path from "node:path";
import { PodwireError } from "@podwire/base";

export class NoAddressError extends PodwireError {}

interface Leases {
  /** Address number last given out. */
  last: number;
  /** Address -> "container id/interface". */
  leases: Record<string, string>;
}

export class HostLocalIpam {
  readonly gateway: string;
  readonly prefix: number;
  readonly #base: number;
  readonly #size: number;
  readonly #file: string;
  #state: Leases;

  /** `subnet` is "10.244.1.0/24". */
  constructor(subnet: string, file: string) {
    const [network, bits] = subnet.split("/");
    this.prefix = Number(bits);
    this.#base = toNumber(network as string);
    this.#size = 2 ** (32 - this.prefix);
    this.gateway = toText(this.#base + 1);
    this.#file = file;
    this.#state = readLeases(file);
  }

  allocate(owner: string): string {
    for (let i = 0; i < this.#size; i++) {
      const n = ((this.#state.last + i) % this.#size) + 1;
      if (n < 2 || n >= this.#size - 1) continue;
      const address = toText(this.#base + n);
      if (this.#state.leases[address] !== undefined) continue;
      this.#state.leases[address] = owner;
      this.#state.last = n;
      this.#save();
      return address;
    }
    throw new NoAddressError(`no IP addresses available in range set: ${toText(this.#base + 1)}-${toText(this.#base + this.#size - 2)}`);
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

  /** Forgets leases of owners that are gone (after a reboot). */
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

  #save(): void {
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

export function toNumber(address: string): number {
  return address.split(".").reduce((n, part) => n * 256 + Number(part), 0);
}

export function toText(n: number): string {
  return [n >>> 24, (n >>> 16) & 255, (n >>> 8) & 255, n & 255].join(".");
}
