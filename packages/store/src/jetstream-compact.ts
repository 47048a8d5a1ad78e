// Compaction: forgets superseded versions and old deletion markers, subject by subject. (Purging the stream up to a
// sequence would take live objects with it.)
// Invariants: the newest version of a live key is never purged; neither is the stream's last message, because a server
// that recovers from an emptied tail could hand out its sequence again.
import type { Clock } from "@podwire/base";
import { StoreUnavailableError } from "./errors.ts";
import type { JetStreamApi } from "./jetstream-api.ts";
import { OrderedConsumer } from "./jetstream-consumer.ts";
import { DEL, OP } from "./version-headers.ts";

/** Purges under way at a time. */
const PURGES_IN_FLIGHT = 16;

export interface Newest {
  sequence: number;
  deleted: boolean;
}

/** What to purge: of `subject`, everything below `below`. */
export interface Purge {
  subject: string;
  below: number;
}

/** The purges that compaction to `revision` needs; `counts` is the number of messages by subject. */
export function planCompaction(
  newest: ReadonlyMap<string, Newest>,
  counts: Readonly<Record<string, number>>,
  revision: number,
  lastSequence: number,
): Purge[] {
  const plan: Purge[] = [];
  for (const [subject, n] of newest) {
    const markerGoes = n.deleted && n.sequence <= revision && n.sequence < lastSequence;
    if (markerGoes) plan.push({ subject, below: n.sequence + 1 });
    else if ((counts[subject] ?? 0) > 1) plan.push({ subject, below: Math.min(n.sequence, revision + 1) });
  }
  return plan;
}

export async function compactStream(api: JetStreamApi, clock: Clock, filter: string, revision: number): Promise<void> {
  const { newest, lastSequence } = await newestOfEach(api, clock, filter);
  const counts = await countsBySubject(api, filter);
  const plan = planCompaction(newest, counts, revision, lastSequence);
  let next = 0;
  const worker = async () => {
    while (next < plan.length) {
      const { subject, below } = plan[next++] as Purge;
      await api.call(`STREAM.PURGE.${api.stream}`, { filter: subject, seq: below });
    }
  };
  await Promise.all(Array.from({ length: PURGES_IN_FLIGHT }, worker));
}

async function newestOfEach(
  api: JetStreamApi,
  clock: Clock,
  filter: string,
): Promise<{ newest: Map<string, Newest>; lastSequence: number }> {
  const newest = new Map<string, Newest>();
  const lost = { why: "" };
  const consumer = new OrderedConsumer(
    api,
    clock,
    (d) => void newest.set(d.subject, { sequence: d.sequence, deleted: d.message.header(OP) === DEL }),
    (why) => {
      lost.why = why;
    },
  );
  try {
    await consumer.start({ lastPerSubject: true }, filter, { headersOnly: true });
    const lastSequence = await consumer.caughtUp();
    return { newest, lastSequence };
  } catch (cause) {
    throw lost.why === "" ? cause : new StoreUnavailableError(`compaction: ${lost.why}`, { cause });
  } finally {
    consumer.stop();
  }
}

async function countsBySubject(api: JetStreamApi, filter: string): Promise<Record<string, number>> {
  const all: Record<string, number> = {};
  for (let offset = 0; ; ) {
    const { state } = await api.streamInfo({ subjects_filter: filter, offset });
    const page = state.subjects ?? {};
    const size = Object.keys(page).length;
    Object.assign(all, page);
    offset += size;
    if (size === 0 || offset >= (state.num_subjects ?? 0)) return all;
  }
}
