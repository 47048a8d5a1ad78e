// How a server's seats are shared among priority levels: each has a nominal number by its shares, lends some of it and may borrow
// (KEP-1040, "borrowing"; apiserver/pkg/util/flowcontrol/max_seats, conc_alloc). Pure.
// Invariant: no level falls below what it does not lend; the sum of what is given out is about the total.
import type { KubeObject } from "@podwire/api";
import type { QueueSettings } from "./queue-set.ts";

export interface LevelConfig {
  name: string;
  uid: string;
  exempt: boolean;
  shares: number;
  lendablePercent: number;
  borrowingLimitPercent: number | undefined;
  queuing: QueueSettings;
}

export interface Bounds {
  nominal: number;
  min: number;
  max: number;
}

const NO_QUEUES: QueueSettings = { queues: 0, handSize: 0, queueLengthLimit: 0 };

export function levelOf(o: KubeObject): LevelConfig {
  const { type, limited = {}, exempt = {} } = o["spec"] ?? {};
  const isExempt = type === "Exempt";
  const own = isExempt ? exempt : limited;
  const q = limited.limitResponse?.type === "Queue" ? limited.limitResponse.queuing : undefined;
  return {
    name: o.metadata.name as string,
    uid: o.metadata.uid ?? "",
    exempt: isExempt,
    shares: own.nominalConcurrencyShares ?? (isExempt ? 0 : 30),
    lendablePercent: own.lendablePercent ?? 0,
    borrowingLimitPercent: limited.borrowingLimitPercent ?? undefined,
    queuing: q ? { queues: q.queues ?? 64, handSize: q.handSize ?? 8, queueLengthLimit: q.queueLengthLimit ?? 50 } : NO_QUEUES,
  };
}

/** What every level may have at least, at most and by itself. */
export function boundsOf(levels: readonly LevelConfig[], total: number): Map<string, Bounds> {
  const sum = levels.reduce((n, l) => n + l.shares, 0);
  return new Map(
    levels.map((l) => {
      const nominal = sum === 0 ? 0 : Math.ceil((total * l.shares) / sum);
      const min = nominal - Math.round((nominal * l.lendablePercent) / 100);
      const max = l.borrowingLimitPercent === undefined ? nominal + total : nominal + Math.round((nominal * l.borrowingLimitPercent) / 100);
      return [l.name, { nominal, min, max }];
    }),
  );
}

/** Seats of each level by what they wanted lately: min(max, max(min, f x want)) with one f for all, so that the sum is the total. */
export function shared(levels: readonly { bounds: Bounds; want: number }[], total: number): number[] {
  const give = (f: number) =>
    levels.map(({ bounds, want }) => Math.min(bounds.max, Math.max(bounds.min, f * Math.max(want, bounds.min, 1))));
  const sum = (xs: readonly number[]) => xs.reduce((a, b) => a + b, 0);
  let low = 0;
  let high = 1;
  while (sum(give(high)) < total && high < 1e6) high *= 2;
  for (let i = 0; i < 40; i++) {
    const middle = (low + high) / 2;
    if (sum(give(middle)) > total) high = middle;
    else low = middle;
  }
  return give(low).map((x) => Math.max(1, Math.round(x)));
}
