// Is what the clients of a store saw possible? Operations are recorded with the times of their call and return, and checked
// against the store's own log of versions. Because every version has a revision from one counter, linearizability needs no
// search: revisions are the order, and real time must agree with it (Herlihy & Wing 1990; the store's contract.ts).
// Invariant: the checker knows nothing of a driver but its contract, and reports every violation, not the first.
import type { Entry, Key } from "@podwire/store";

interface Call {
  /** Who called; only for the report. */
  client: string;
  key: Key;
  /** On one clock for all clients. */
  calledMs: number;
  returnedMs: number;
}

export type StoreOperation = Call &
  (
    | {
        kind: "create" | "update" | "delete";
        /** Unique to this operation. */
        value: string;
        /** 0 for create. */
        expected: number;
        outcome: { kind: "done"; revision: number } | { kind: "refused"; current: number } | { kind: "unknown" };
      }
    | { kind: "get"; found: { revision: number; value: string } | undefined }
  );

const idOf = (k: Key) => `${k.group}/${k.resource}/${k.namespace}/${k.name}`;

/** Everything that cannot be, in words; empty when the history is linearizable and nothing acknowledged was lost. */
export function checkStoreHistory(operations: readonly StoreOperation[], log: readonly Entry[]): string[] {
  const bad: string[] = [];
  const decoder = new TextDecoder();
  const versions = log.map((e) => ({ ...e, id: idOf(e.key), text: decoder.decode(e.value) }));

  // The log itself: revisions grow, each version replaces the one before it of its key, no write happened twice.
  const byRevision = new Map<number, (typeof versions)[number]>();
  const newest = new Map<string, (typeof versions)[number]>();
  const byValue = new Map<string, number>();
  const successor = new Map<number, number>();
  let last = 0;
  for (const v of versions) {
    if (v.revision <= last) bad.push(`log: revision ${v.revision} after ${last}`);
    last = v.revision;
    const before = newest.get(v.id);
    if ((before?.revision ?? 0) !== v.previousRevision)
      bad.push(`log: ${v.id}@${v.revision} says it replaced ${v.previousRevision}, but ${before?.revision ?? 0} was there`);
    if (before) successor.set(before.revision, v.revision);
    const twin = byValue.get(`${v.id} ${v.text} ${v.deleted}`);
    if (twin !== undefined) bad.push(`log: the write ${v.text} of ${v.id} happened twice, at ${twin} and ${v.revision}`);
    byValue.set(`${v.id} ${v.text} ${v.deleted}`, v.revision);
    byRevision.set(v.revision, v);
    newest.set(v.id, v);
  }

  // When each revision became possible (its write was called) and certain (its write had returned).
  const called = new Map<number, number>();
  const certain = new Map<number, number>();
  for (const o of operations) {
    if (o.kind === "get") continue;
    const revision = byValue.get(`${idOf(o.key)} ${o.value} ${o.kind === "delete"}`);
    const what = `${o.client}: ${o.kind} ${o.value} of ${idOf(o.key)} expecting ${o.expected}`;
    if (revision !== undefined) called.set(revision, o.calledMs);
    switch (o.outcome.kind) {
      case "done": {
        if (revision !== o.outcome.revision)
          bad.push(`${what}: acknowledged at ${o.outcome.revision}, the log has it at ${revision ?? "no revision"}`);
        const v = byRevision.get(o.outcome.revision);
        const replaced =
          o.kind === "create" ? (byRevision.get(v?.previousRevision ?? 0)?.deleted ?? true) : v?.previousRevision === o.expected;
        if (v && !replaced) bad.push(`${what}: replaced ${v.previousRevision}`);
        certain.set(o.outcome.revision, o.returnedMs);
        break;
      }
      case "refused":
        if (revision !== undefined) bad.push(`${what}: refused, but it happened at ${revision}`);
        if (o.outcome.current !== 0 && o.outcome.current === o.expected) bad.push(`${what}: refused although it expected what was there`);
        break;
      case "unknown":
        break;
    }
  }

  // Real time: what was certain before a call began is below what that call wrote, and visible to what it read.
  const certainByTime = [...certain].sort((a, b) => a[1] - b[1]);
  const highest: number[] = [];
  for (const [i, [revision]] of certainByTime.entries()) highest.push(Math.max(revision, highest[i - 1] ?? 0));
  const certainBefore = (t: number) => {
    let low = 0;
    let high = certainByTime.length;
    while (low < high) {
      const mid = (low + high) >> 1;
      if ((certainByTime[mid] as [number, number])[1] < t) low = mid + 1;
      else high = mid;
    }
    return low === 0 ? 0 : (highest[low - 1] as number);
  };
  for (const o of operations) {
    if (o.kind !== "get") {
      if (o.outcome.kind === "done" && certainBefore(o.calledMs) >= o.outcome.revision)
        bad.push(
          `${o.client}: ${o.value} got revision ${o.outcome.revision}, but ${certainBefore(o.calledMs)} was certain before it was called`,
        );
      continue;
    }
    checkRead(o, byRevision, newest, successor, called, certain, bad);
  }
  return bad;
}

type Version = Entry & { id: string; text: string };

function checkRead(
  o: Extract<StoreOperation, { kind: "get" }>,
  byRevision: ReadonlyMap<number, Version>,
  newest: ReadonlyMap<string, Version>,
  successor: ReadonlyMap<number, number>,
  called: ReadonlyMap<number, number>,
  certain: ReadonlyMap<number, number>,
  bad: string[],
): void {
  const id = idOf(o.key);
  const what = `${o.client}: get of ${id}`;
  const over = (revision: number | undefined) => revision !== undefined && (certain.get(revision) ?? Number.POSITIVE_INFINITY) < o.calledMs;
  if (o.found) {
    const v = byRevision.get(o.found.revision);
    if (!v || v.id !== id || v.text !== o.found.value || v.deleted) {
      bad.push(`${what} found ${o.found.value}@${o.found.revision}, which the log does not have`);
      return;
    }
    if ((called.get(v.revision) ?? 0) > o.returnedMs) bad.push(`${what} found ${v.revision} before it was written`);
    if (over(successor.get(v.revision)))
      bad.push(`${what} found ${v.revision}, although ${successor.get(v.revision)} had replaced it before`);
    return;
  }
  // Absent: possible before the first version, or at a deletion that no certain successor had replaced.
  const chain: Version[] = [];
  for (let v = newest.get(id); v; v = byRevision.get(v.previousRevision)) chain.unshift(v);
  const possible =
    !over(chain[0]?.revision) ||
    chain.some((v) => v.deleted && (called.get(v.revision) ?? 0) <= o.returnedMs && !over(successor.get(v.revision)));
  if (!possible) bad.push(`${what} found nothing, although a version was certain before and no deletion explains it`);
}
