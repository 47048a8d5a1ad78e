// A binary heap with removal by key. Invariant: `before(parent, child)` or equal for every pair; a key is in it at most once.

export class Heap<T> {
  readonly #items: T[] = [];
  readonly #at = new Map<string, number>();
  readonly #key: (x: T) => string;
  readonly #before: (a: T, b: T) => boolean;

  constructor(key: (x: T) => string, before: (a: T, b: T) => boolean) {
    this.#key = key;
    this.#before = before;
  }

  get size(): number {
    return this.#items.length;
  }

  peek(): T | undefined {
    return this.#items[0];
  }

  get(key: string): T | undefined {
    const i = this.#at.get(key);
    return i === undefined ? undefined : this.#items[i];
  }

  /** Adds, or replaces what has the same key. */
  push(x: T): void {
    const key = this.#key(x);
    const i = this.#at.get(key);
    if (i !== undefined) {
      this.#items[i] = x;
      this.#down(this.#up(i));
      return;
    }
    this.#items.push(x);
    this.#at.set(key, this.#items.length - 1);
    this.#up(this.#items.length - 1);
  }

  pop(): T | undefined {
    const first = this.#items[0];
    if (first !== undefined) this.remove(this.#key(first));
    return first;
  }

  remove(key: string): T | undefined {
    const i = this.#at.get(key);
    if (i === undefined) return undefined;
    const x = this.#items[i] as T;
    const last = this.#items.pop() as T;
    this.#at.delete(key);
    if (i < this.#items.length) {
      this.#items[i] = last;
      this.#at.set(this.#key(last), i);
      this.#down(this.#up(i));
    }
    return x;
  }

  values(): readonly T[] {
    return this.#items;
  }

  #up(from: number): number {
    let i = from;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (!this.#before(this.#items[i] as T, this.#items[parent] as T)) break;
      this.#swap(i, parent);
      i = parent;
    }
    return i;
  }

  #down(from: number): void {
    let i = from;
    for (;;) {
      const left = 2 * i + 1;
      if (left >= this.#items.length) return;
      const right = left + 1;
      const child = right < this.#items.length && this.#before(this.#items[right] as T, this.#items[left] as T) ? right : left;
      if (!this.#before(this.#items[child] as T, this.#items[i] as T)) return;
      this.#swap(i, child);
      i = child;
    }
  }

  #swap(i: number, j: number): void {
    const a = this.#items[i] as T;
    const b = this.#items[j] as T;
    this.#items[i] = b;
    this.#items[j] = a;
    this.#at.set(this.#key(a), j);
    this.#at.set(this.#key(b), i);
  }
}
