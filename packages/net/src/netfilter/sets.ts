// Sets of addresses and ports that one rule can match (ipset(8)): what kube-proxy's ipvs mode keeps its Services in.
// Invariant: an entry is the text ipset prints ("10.96.0.1,tcp:80"); membership is one hash lookup for hash:ip types and a walk over
// prefix lengths for types with a net.
import { formatAddress, inPrefix, type Prefix, parsePrefix } from "../codec/address.ts";
import { protocolName } from "../codec/numbers.ts";
import type { Flow } from "../namespace/flow.ts";

export type SetType = "hash:ip" | "hash:net" | "hash:ip,port" | "hash:ip,port,ip" | "hash:ip,port,net" | "bitmap:port";

/** Entries of one set; more are refused, as ipset's maxelem does. */
export const SET_LIMIT = 65_536;

interface IpSet {
  type: SetType;
  entries: Set<string>;
  /** Of hash:net, and of hash:ip,port,net by "ip,proto:port". */
  nets: Map<string, Prefix[]>;
}

export class IpSets {
  private readonly sets = new Map<string, IpSet>();

  /** Makes a set or replaces its entries. */
  replace(name: string, type: SetType, entries: Iterable<string>): void {
    const set: IpSet = { type, entries: new Set(entries), nets: new Map() };
    if (set.entries.size > SET_LIMIT) throw new RangeError(`set ${name} would have more than ${SET_LIMIT} entries`);
    if (type.endsWith("net"))
      for (const e of set.entries) {
        const comma = e.lastIndexOf(",");
        const key = comma < 0 ? "" : e.slice(0, comma);
        const p = parsePrefix(comma < 0 ? e : e.slice(comma + 1));
        if (p !== undefined) set.nets.set(key, [...(set.nets.get(key) ?? []), p]);
      }
    this.sets.set(name, set);
  }

  destroy(name: string): void {
    this.sets.delete(name);
  }

  names(): string[] {
    return [...this.sets.keys()].sort();
  }

  /** Whether the packet is in the set, its parts taken as `flags` says ("dst,dst,src"). */
  test(name: string, flags: string, f: Flow): boolean {
    const set = this.sets.get(name);
    if (set === undefined) return false;
    const sides = flags.split(",");
    const address = (i: number) => formatAddress(sides[i] === "src" ? f.src : f.dst);
    const port = (i: number) => (sides[i] === "src" ? f.sport : f.dport);
    switch (set.type) {
      case "hash:ip":
        return set.entries.has(address(0));
      case "hash:net":
        return inNets(set.nets.get(""), f, sides[0]);
      case "bitmap:port":
        return set.entries.has(String(port(0)));
      case "hash:ip,port":
        return set.entries.has(`${address(0)},${protocolName(f.protocol)}:${port(1)}`);
      case "hash:ip,port,ip":
        return set.entries.has(`${address(0)},${protocolName(f.protocol)}:${port(1)},${address(2)}`);
      case "hash:ip,port,net":
        return inNets(set.nets.get(`${address(0)},${protocolName(f.protocol)}:${port(1)}`), f, sides[2]);
    }
  }

  /** As `ipset save` prints it. */
  save(): string {
    const lines: string[] = [];
    for (const name of this.names()) {
      const set = this.sets.get(name)!;
      lines.push(
        set.type === "bitmap:port"
          ? `create ${name} bitmap:port range 0-65535`
          : `create ${name} ${set.type} family inet hashsize 1024 maxelem ${SET_LIMIT}`,
      );
      for (const e of [...set.entries].sort()) lines.push(`add ${name} ${e}`);
    }
    return lines.length === 0 ? "" : `${lines.join("\n")}\n`;
  }
}

function inNets(nets: readonly Prefix[] | undefined, f: Flow, side: string | undefined): boolean {
  const a = side === "src" ? f.src : f.dst;
  return nets?.some((n) => inPrefix(a, n.address, n.length)) ?? false;
}
