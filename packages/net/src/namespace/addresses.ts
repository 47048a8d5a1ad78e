// The addresses of a namespace's devices, and what they make local.
// Invariant: `local` holds exactly the addresses of `list` (the loopback networks are local without being listed).
import { type IpAddress, inPrefix, isLoopback, maskV4, networkOf, type Prefix } from "../codec/address.ts";

export interface DeviceAddress {
  device: string;
  address: IpAddress;
  length: number;
}

export class Addresses {
  private readonly list: DeviceAddress[] = [];
  private readonly local = new Map<IpAddress, string>();
  private readonly broadcasts = new Set<IpAddress>([0xffffffff]);

  add(device: string, address: IpAddress, length: number): void {
    this.remove(device, address);
    this.list.push({ device, address, length });
    this.refresh();
  }

  /** Removes one address of a device, or all of them; returns what was removed. */
  remove(device: string, address?: IpAddress): DeviceAddress[] {
    const gone = this.list.filter((a) => a.device === device && (address === undefined || a.address === address));
    for (const a of gone) this.list.splice(this.list.indexOf(a), 1);
    if (gone.length > 0) this.refresh();
    return gone;
  }

  isLocal(a: IpAddress): boolean {
    return this.local.has(a) || isLoopback(a);
  }

  isBroadcast(a: IpAddress): boolean {
    return this.broadcasts.has(a);
  }

  /** All-nodes and the solicited-node addresses of our own (RFC 4291 2.7.1). */
  isJoined(a: IpAddress): boolean {
    if (typeof a === "number") return a === 0xe0000001;
    if (a === 0xff020000000000000000000000000001n) return true;
    if (a >> 24n !== 0xff0200000000000000000001ffn) return false;
    return this.list.some((x) => typeof x.address === "bigint" && (x.address & 0xffffffn) === (a & 0xffffffn));
  }

  /** The first address of a device in a family. */
  primary(device: string, family: 4 | 6): IpAddress | undefined {
    return this.list.find((a) => a.device === device && (typeof a.address === "number") === (family === 4))?.address;
  }

  /** The address of `device` to talk to `peer` from: one in the same network, else the first of the family. */
  sourceOn(device: string, peer: IpAddress): IpAddress | undefined {
    const family = typeof peer === "number" ? 4 : 6;
    const near = this.list.find((a) => a.device === device && typeof a.address === typeof peer && inPrefix(peer, a.address, a.length));
    return near?.address ?? this.primary(device, family);
  }

  /** Any address of a family that is not loopback. */
  any(family: 4 | 6): IpAddress | undefined {
    return this.list.find((a) => (typeof a.address === "number") === (family === 4) && !isLoopback(a.address))?.address;
  }

  all(): readonly Readonly<DeviceAddress>[] {
    return this.list;
  }

  private refresh(): void {
    this.local.clear();
    this.broadcasts.clear();
    this.broadcasts.add(0xffffffff);
    for (const a of this.list) {
      this.local.set(a.address, a.device);
      if (typeof a.address === "number" && a.length < 31) this.broadcasts.add((a.address | ~maskV4(a.length)) >>> 0);
    }
  }
}

export function networkPrefix(address: IpAddress, length: number): Prefix {
  return { address: networkOf(address, length), length };
}
