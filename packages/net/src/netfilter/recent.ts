// Lists of sources seen lately, the `recent` match: kube-proxy's session affinity by client address.
// Invariant: a list holds at most RECENT_LIMIT addresses, the longest unseen goes first; there are at most LIST_LIMIT lists.
import type { IpAddress } from "../codec/address.ts";

export const RECENT_LIMIT = 65_536;
export const LIST_LIMIT = 65_536;

export class RecentLists {
  /** Insertion order is order of last sight. */
  private readonly lists = new Map<string, Map<IpAddress, number>>();

  /** `op`: 0 rcheck, 1 set, 2 update, 3 remove. `seconds` 0 is any age. */
  test(name: string, op: number, seconds: number, source: IpAddress, nowMs: number): boolean {
    const list = this.lists.get(name);
    if (op === 1) {
      this.see(name, list, source, nowMs);
      return true;
    }
    const seen = list?.get(source);
    if (list === undefined || seen === undefined) return false;
    if (op === 3) return list.delete(source);
    if (seconds > 0 && nowMs - seen > seconds * 1000) {
      list.delete(source);
      return false;
    }
    if (op === 2) this.see(name, list, source, nowMs);
    return true;
  }

  forget(name: string): void {
    this.lists.delete(name);
  }

  size(name: string): number {
    return this.lists.get(name)?.size ?? 0;
  }

  private see(name: string, list: Map<IpAddress, number> | undefined, source: IpAddress, nowMs: number): void {
    let l = list;
    if (l === undefined) {
      if (this.lists.size >= LIST_LIMIT) return;
      l = new Map();
      this.lists.set(name, l);
    }
    l.delete(source);
    if (l.size >= RECENT_LIMIT) l.delete(l.keys().next().value as IpAddress);
    l.set(source, nowMs);
  }
}
