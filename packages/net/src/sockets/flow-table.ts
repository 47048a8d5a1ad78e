// TCP endpoints by local and remote address and port. Buckets of intrusive chains: a lookup makes no key and allocates nothing.
// Invariant: an endpoint is in the table at most once, under the addresses it had when it was added. Limit: grows with the
// connections, whose number the socket layer bounds.
import type { IpAddress } from "../codec/address.ts";

export interface FlowNode {
  readonly localAddress: IpAddress;
  readonly localPort: number;
  readonly remoteAddress: IpAddress;
  readonly remotePort: number;
  flowNext: this | null;
}

const FIRST_BUCKETS = 64;

function word(a: IpAddress): number {
  return typeof a === "number" ? a | 0 : Number(a & 0xffffffffn) ^ Number((a >> 32n) & 0xffffffffn);
}

function hash(local: IpAddress, localPort: number, remote: IpAddress, remotePort: number): number {
  let h = Math.imul(word(remote) ^ ((localPort << 16) | remotePort), 0x9e3779b1) ^ word(local);
  h = Math.imul(h ^ (h >>> 15), 0x85ebca6b);
  return h ^ (h >>> 13);
}

export class FlowTable<T extends FlowNode> {
  size = 0;
  #buckets: (T | null)[] = new Array(FIRST_BUCKETS).fill(null);

  get(local: IpAddress, localPort: number, remote: IpAddress, remotePort: number): T | null {
    let n = this.#buckets[hash(local, localPort, remote, remotePort) & (this.#buckets.length - 1)] as T | null;
    while (
      n !== null &&
      (n.remotePort !== remotePort || n.localPort !== localPort || n.remoteAddress !== remote || n.localAddress !== local)
    )
      n = n.flowNext as T | null;
    return n;
  }

  add(n: T): void {
    if (this.size >= this.#buckets.length) this.#grow();
    this.#link(n);
    this.size++;
  }

  delete(n: T): void {
    const at = hash(n.localAddress, n.localPort, n.remoteAddress, n.remotePort) & (this.#buckets.length - 1);
    let here = this.#buckets[at] as T | null;
    if (here === n) this.#buckets[at] = n.flowNext as T | null;
    else {
      while (here !== null && here.flowNext !== n) here = here.flowNext as T | null;
      if (here === null) return;
      here.flowNext = n.flowNext;
    }
    n.flowNext = null;
    this.size--;
  }

  /** Every endpoint. Do not change the table meanwhile. */
  *[Symbol.iterator](): Generator<T> {
    for (const first of this.#buckets) for (let n = first; n !== null; n = n.flowNext as T | null) yield n;
  }

  #link(n: T): void {
    const at = hash(n.localAddress, n.localPort, n.remoteAddress, n.remotePort) & (this.#buckets.length - 1);
    n.flowNext = this.#buckets[at] as T | null;
    this.#buckets[at] = n;
  }

  #grow(): void {
    const all = [...this];
    this.#buckets = new Array(this.#buckets.length * 2).fill(null);
    for (const n of all) this.#link(n);
  }
}
