// How far a feed has come, and who waits for it to come further. Invariant: a waiter is released exactly once.
import { StoreClosedError } from "./errors.ts";

interface Waiter {
  atLeast: number;
  resolve(): void;
  reject(e: unknown): void;
}

export class FeedProgress {
  private at = 0;
  private closed = false;
  private waiters: Waiter[] = [];

  get revision(): number {
    return this.at;
  }

  /** Only forward, but for `reset`. */
  advance(revision: number): void {
    if (revision > this.at) this.at = revision;
    if (this.waiters.length === 0) return;
    const still: Waiter[] = [];
    for (const w of this.waiters) {
      if (w.atLeast <= this.at) w.resolve();
      else still.push(w);
    }
    this.waiters = still;
  }

  /** The feed begins again: nothing is delivered until its next snapshot. */
  reset(): void {
    this.at = 0;
  }

  reached(atLeast: number, signal?: AbortSignal): Promise<void> {
    if (this.closed) return Promise.reject(new StoreClosedError());
    if (signal?.aborted) return Promise.reject(signal.reason);
    if (atLeast <= this.at) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const onAbort = () => {
        this.waiters = this.waiters.filter((w) => w !== waiter);
        reject(signal?.reason);
      };
      const waiter: Waiter = {
        atLeast,
        resolve: () => {
          signal?.removeEventListener("abort", onAbort);
          resolve();
        },
        reject: (e) => {
          signal?.removeEventListener("abort", onAbort);
          reject(e);
        },
      };
      signal?.addEventListener("abort", onAbort, { once: true });
      this.waiters.push(waiter);
    });
  }

  close(): void {
    this.closed = true;
    for (const w of this.waiters.splice(0)) w.reject(new StoreClosedError());
  }
}
