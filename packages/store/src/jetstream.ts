// The store on JetStream: one stream a cluster, subject = key, revision = sequence (DESIGN.md, "JetStream is the etcd").
// Works on nats-server 2.9.10 and later. Invariants: a write is a compare-and-set on its subject, decided by the stream's
// leader; a write whose acknowledgement was lost is looked up by its id, so it is neither lost nor done twice.
import { type Clock, type Logger, oncePerMinute, PodwireError, type Random, systemRandom } from "@podwire/base";
import { type Bus, DisconnectedError, DURABLE_VERSION, natsConnectionOf, parseVersion, subjectsOf, versionAtLeast } from "@podwire/bus";
import { DEFAULT_COMPACTION_PERIOD_MS, startCompaction } from "./compaction.ts";
import type { Entry, Feed, FeedHandlers, Key, Store } from "./contract.ts";
import {
  KeyExistsError,
  KeyNotFoundError,
  RevisionConflictError,
  StoreClosedError,
  StoreRefusedError,
  StoreUnavailableError,
} from "./errors.ts";
import { type Ack, JetStreamApi, JsError, type StoredMessage, type StreamInfo } from "./jetstream-api.ts";
import { compactStream } from "./jetstream-compact.ts";
import { JetStreamFeed } from "./jetstream-feed.ts";
import { SoleWriter } from "./sole-writer.ts";
import { ADD, DEL, EXPECTED, OP, WRITE_ID } from "./version-headers.ts";

export interface JetStreamStoreOptions {
  clock: Clock;
  log: Logger;
  random?: Random;
  /** Refuses to open on a server that cannot keep the `durable` promise (fsync before each acknowledgement). */
  durable?: boolean;
  /** Copies of the stream in a nats cluster. Default 1. */
  replicas?: number;
  /** How often history is compacted (compaction.ts); 0 is never. Default DEFAULT_COMPACTION_PERIOD_MS. */
  compactionPeriodMs?: number;
}

/** Writes under way at a time; further ones wait. Newer servers refuse to queue more than 10,000 for a stream. */
export const MAX_WRITES_IN_FLIGHT = 2_048;
export const MAX_WRITE_BYTES_IN_FLIGHT = 32 * 1024 * 1024;
/** How long a call waits for a server that is gone or recovering. */
export const UNAVAILABLE_AFTER_MS = 30_000;
const RETRY_MS = 25;
/** Deletion revisions that are remembered, so that nobody updates a marker as if it were the object. */
const MAX_MARKERS = 65_536;

/** Opens (and on first use creates) the cluster's stream. Waits for a server that is not ready yet. */
export async function openJetStreamStore(bus: Bus, opts: JetStreamStoreOptions): Promise<JetStreamStore> {
  if (opts.durable) requireDurableServer(bus);
  const store = new JetStreamStore(bus, opts);
  try {
    await store.ensureStream();
  } catch (e) {
    await store.close();
    throw e;
  }
  const periodMs = opts.compactionPeriodMs ?? DEFAULT_COMPACTION_PERIOD_MS;
  if (periodMs > 0) store.compaction = startCompaction(store, { clock: opts.clock, log: opts.log, periodMs });
  return store;
}

function requireDurableServer(bus: Bus): void {
  const version = parseVersion(natsConnectionOf(bus)?.info?.version ?? "");
  if (version && !versionAtLeast(version, DURABLE_VERSION))
    throw new PodwireError(
      `nats-server ${version.join(".")} cannot keep the durable profile: sync_interval "always" needs ${DURABLE_VERSION.join(".")}`,
      {
        next: "install a newer nats-server, or run with the fast profile",
      },
    );
}

export class JetStreamStore implements Store {
  /** Stopped when the store is closed. */
  compaction: { stop(): void } | undefined;
  private readonly api: JetStreamApi;
  private readonly clock: Clock;
  private readonly opts: JetStreamStoreOptions;
  private readonly subjects;
  private readonly complaints;
  private readonly idPrefix: string;
  private nextId = 0;
  private readonly writers: SoleWriter;
  /** The store's last revision as long as nobody else writes; undefined until the leader said it once. */
  private lastRevision: number | undefined;
  /** Counts what the leader was asked. */
  revisionQuestions = 0;
  private readonly feeds = new Set<JetStreamFeed>();
  private readonly statusSubscription;
  private readonly markers = new Set<number>();
  private inFlight = 0;
  private inFlightBytes = 0;
  /** Who waits for a place, first come first served; an array's shift is slow when it is long. */
  private readonly queue = new Set<() => void>();
  private closed = false;

  constructor(bus: Bus, opts: JetStreamStoreOptions) {
    this.opts = opts;
    this.clock = opts.clock;
    this.subjects = subjectsOf(bus.cluster);
    this.complaints = oncePerMinute(opts.log, opts.clock);
    this.api = new JetStreamApi(bus, this.subjects.storeStream, opts.clock);
    const random = opts.random ?? systemRandom();
    this.idPrefix = `${random.uint32().toString(36)}${random.uint32().toString(36)}-`;
    this.writers = new SoleWriter({
      bus,
      subject: this.subjects.storeWriters,
      id: this.idPrefix.slice(0, -1),
      clock: opts.clock,
      roundTrip: () => this.api.roundTrip(),
    });
    this.api.onAnswer = (sentMs) => this.writers.answered(sentMs);
    this.statusSubscription = bus.onStatus((s) => {
      if (s !== "disconnected") return;
      this.lastRevision = undefined;
      for (const f of this.feeds) f.disconnected();
    });
  }

  async create(key: Key, value: Uint8Array): Promise<number> {
    let expected = 0;
    while (true) {
      const r = await this.write(this.subjects.store(key), value, expected, ADD);
      if (r.revision !== undefined) return r.revision;
      const last = await this.last(key);
      if (last && last.headers[OP] !== DEL) throw new KeyExistsError(key, last.seq);
      expected = last?.seq ?? 0; // a deletion marker, or compacted meanwhile
    }
  }

  update(key: Key, value: Uint8Array, expectedRevision: number): Promise<number> {
    return this.replace(key, value, expectedRevision, undefined);
  }

  async delete(key: Key, lastState: Uint8Array, expectedRevision: number): Promise<number> {
    const revision = await this.replace(key, lastState, expectedRevision, DEL);
    this.addMarker(revision);
    return revision;
  }

  async get(key: Key): Promise<Entry | undefined> {
    const last = await this.last(key);
    if (!last || last.headers[OP] === DEL) return undefined;
    return { key: { ...key }, value: last.data, revision: last.seq, deleted: false, previousRevision: Number(last.headers[EXPECTED] ?? 0) };
  }

  knownRevision(): number | undefined {
    return this.closed || !this.writers.current ? undefined : this.lastRevision;
  }

  async currentRevision(): Promise<number> {
    if (this.lastRevision !== undefined && this.writers.sole) {
      if (this.writers.current) return this.lastRevision;
      await this.patient(() => this.api.roundTrip());
      if (this.lastRevision !== undefined && this.writers.current) return this.lastRevision;
    }
    const sole = this.writers.sole;
    this.revisionQuestions++;
    const revision = (await this.patient(() => this.api.streamInfo())).state.last_seq;
    // Known only when nobody else could write from before the question until now.
    this.lastRevision = sole && this.writers.sole ? Math.max(revision, this.lastRevision ?? 0) : undefined;
    return revision;
  }

  async feed(handlers: FeedHandlers): Promise<Feed> {
    if (this.closed) throw new StoreClosedError();
    const feed = new JetStreamFeed(
      {
        api: this.api,
        clock: this.clock,
        complaints: this.complaints,
        filter: this.subjects.storeAll,
        keyOf: (subject) => this.subjects.keyOf(subject),
        onMarker: (revision) => this.addMarker(revision),
        released: () => this.feeds.delete(feed),
      },
      handlers,
    );
    this.feeds.add(feed);
    feed.run();
    return feed;
  }

  compact(revision: number): Promise<void> {
    return this.patient(() => compactStream(this.api, this.clock, this.subjects.storeAll, revision));
  }

  /** How the stream stands: messages (every version that is kept), bytes, first and last sequence. */
  async state(): Promise<StreamInfo["state"]> {
    return (await this.patient(() => this.api.streamInfo())).state;
  }

  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    this.compaction?.stop();
    for (const f of [...this.feeds]) f.close();
    this.statusSubscription.unsubscribe();
    this.writers.close();
    this.api.close();
    for (const go of this.queue) go();
    this.queue.clear();
  }

  /** Creates the stream, or brings its configuration up to date. */
  async ensureStream(): Promise<void> {
    const wanted = {
      name: this.subjects.storeStream,
      subjects: [this.subjects.storeAll],
      retention: "limits",
      storage: "file",
      discard: "new",
      max_msgs: -1,
      max_bytes: -1,
      max_age: 0,
      max_msgs_per_subject: -1,
      num_replicas: this.opts.replicas ?? 1,
      duplicate_window: 1_000_000_000, // writes carry no Nats-Msg-Id
      republish: { src: this.subjects.storeAll, dest: this.subjects.eventAll },
      allow_direct: false,
      allow_rollup_hdrs: false,
      deny_delete: false,
      deny_purge: false,
    };
    await this.patient(async () => {
      try {
        await this.api.call(`STREAM.CREATE.${wanted.name}`, wanted);
      } catch (e) {
        if (!(e instanceof StoreRefusedError) || e.code !== JsError.streamNameInUse) throw e;
        await this.api.call(`STREAM.UPDATE.${wanted.name}`, wanted);
      }
    });
  }

  private async replace(key: Key, value: Uint8Array, expectedRevision: number, op: string | undefined): Promise<number> {
    if (!this.markers.has(expectedRevision) && expectedRevision > 0) {
      const r = await this.write(this.subjects.store(key), value, expectedRevision, op);
      if (r.revision !== undefined) return r.revision;
    }
    const last = await this.last(key);
    if (!last || last.headers[OP] === DEL) throw new KeyNotFoundError(key);
    throw new RevisionConflictError(key, expectedRevision, last.seq);
  }

  private last(key: Key): Promise<StoredMessage | undefined> {
    return this.patient(() => this.api.message({ last_by_subj: this.subjects.store(key) }));
  }

  /** One compare-and-set. `revision` is undefined when another write was there first. */
  private async write(
    subject: string,
    value: Uint8Array,
    expected: number,
    op: string | undefined,
  ): Promise<{ revision: number | undefined }> {
    if (this.closed) throw new StoreClosedError();
    while (this.inFlight >= MAX_WRITES_IN_FLIGHT || this.inFlightBytes >= MAX_WRITE_BYTES_IN_FLIGHT) {
      await new Promise<void>((resolve) => void this.queue.add(resolve));
      if (this.closed) throw new StoreClosedError();
    }
    this.inFlight++;
    this.inFlightBytes += value.length;
    try {
      return await this.writeOnce(subject, value, expected, op);
    } finally {
      this.inFlight--;
      this.inFlightBytes -= value.length;
      this.admit();
    }
  }

  private admit(): void {
    for (const go of this.queue) {
      this.queue.delete(go);
      go();
      return;
    }
  }

  private async writeOnce(
    subject: string,
    value: Uint8Array,
    expected: number,
    op: string | undefined,
  ): Promise<{ revision: number | undefined }> {
    const id = this.idPrefix + (this.nextId++).toString(36);
    const headers: Record<string, string> = { [EXPECTED]: String(expected), [WRITE_ID]: id };
    if (op !== undefined) headers[OP] = op;
    let doubtful = false;
    return this.patient(async () => {
      if (!this.writers.announced) await this.writers.quiet();
      if (doubtful) {
        // The message after `expected` on this subject is ours, another's, or does not exist.
        const next = await this.api.message({ seq: expected + 1, next_by_subj: subject });
        if (next) return { revision: next.headers[WRITE_ID] === id ? next.seq : undefined };
      }
      let ack: Ack;
      try {
        ack = await this.api.put(subject, value, headers);
      } catch (e) {
        doubtful = true;
        throw e;
      }
      if ("seq" in ack) {
        if (this.lastRevision !== undefined && ack.seq > this.lastRevision) this.lastRevision = ack.seq;
        return { revision: ack.seq };
      }
      const { errCode, description, code } = ack.error;
      if (errCode === JsError.wrongLastSequence || errCode === JsError.wrongLastSequenceConstant) {
        if (!doubtful) return { revision: undefined };
        const next = await this.api.message({ seq: expected + 1, next_by_subj: subject });
        return { revision: next?.headers[WRITE_ID] === id ? next.seq : undefined };
      }
      doubtful = true;
      if (code === 503 || code === 429) throw new StoreUnavailableError(`put: ${description}`);
      throw new StoreRefusedError("put", errCode || code, description);
    });
  }

  /** Repeats what fails because the server is away or still recovering, up to UNAVAILABLE_AFTER_MS. */
  private async patient<T>(attempt: () => Promise<T>): Promise<T> {
    if (this.closed) throw new StoreClosedError();
    const deadline = this.clock.monotonicMs() + UNAVAILABLE_AFTER_MS;
    while (true) {
      try {
        return await attempt();
      } catch (e) {
        const transient =
          e instanceof DisconnectedError || e instanceof StoreUnavailableError || (e instanceof StoreRefusedError && TRANSIENT.has(e.code));
        if (!transient || this.closed) throw this.closed ? new StoreClosedError() : e;
        if (this.clock.monotonicMs() > deadline) throw new StoreUnavailableError("no answer for too long", { cause: e });
        await this.clock.sleep(RETRY_MS);
        await this.connectedBy(deadline);
      }
    }
  }

  private async connectedBy(deadlineMs: number): Promise<void> {
    if (this.api.isConnected) return;
    const stop = new AbortController();
    const timeout = this.clock.sleep(Math.max(0, deadlineMs - this.clock.monotonicMs()), stop.signal).catch(() => {}); // aborted below
    await Promise.race([this.api.whenConnected(), timeout]);
    stop.abort();
  }

  private addMarker(revision: number): void {
    this.markers.add(revision);
    if (this.markers.size <= MAX_MARKERS) return;
    for (const oldest of this.markers) {
      this.markers.delete(oldest);
      break;
    }
  }
}

/** Not enough resources yet, no leader yet, stream offline while recovering. */
const TRANSIENT = new Set<number>([503, 10_008, 10_009, 10_023, 10_039, 10_076, 10_118]);
