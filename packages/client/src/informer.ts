// An informer keeps a cache of one resource equal to the API's state: list, then follow changes, list again when in doubt.
// Two sources of changes: "events" (the broker's broadcast of committed writes; costs the apiserver nothing) and "watch" (a
// stream through the apiserver, which filters). Invariants: handlers see each object's versions in order, may skip versions,
// never go back; after `synced` the cache was exact for some revision, and a lost change leads to a new list.
import { type Clock, type Logger, type Random, reasonOf } from "@podwire/base";
import type { Bus } from "@podwire/bus";
import type { ApiClient } from "./api-client.ts";
import { isExpired, isNotFound } from "./errors.ts";
import { type EventFeed, followEvents, forgetManagers } from "./event-source.ts";
import type { KubeObject, ResourceRef } from "./object.ts";
import { type IndexFunction, type Lister, ObjectCache } from "./object-cache.ts";

export interface InformerOptions<T extends KubeObject> {
  client: ApiClient;
  ref: ResourceRef;
  clock: Clock;
  random: Random;
  log: Logger;
  /** With a bus changes come from the broadcast events, without from a watch. */
  bus?: Bus | undefined;
  namespace?: string;
  /** Applied by the server in lists and watches. With a bus give `keep` too, because events are not filtered. */
  labelSelector?: string;
  fieldSelector?: string;
  /** Which objects the cache holds; one that stops matching is reported as deleted. */
  keep?: (object: T) => boolean;
  indexes?: Record<string, IndexFunction<T>>;
}

export interface InformerHandlers<T extends KubeObject> {
  onAdd?(object: T): void;
  onUpdate?(object: T, old: T): void;
  /** The last known state. */
  onDelete?(object: T): void;
}

export interface Informer<T extends KubeObject = KubeObject> {
  readonly ref: ResourceRef;
  readonly lister: Lister<T>;
  readonly synced: boolean;
  /** Adds handlers; what is cached already is handed to onAdd at once. */
  handle(handlers: InformerHandlers<T>): void;
  addIndex(name: string, fn: IndexFunction<T>): void;
  /** Starts following (idempotent); resolves at the first sync. */
  start(): Promise<void>;
  /** Resolves at the first sync; rejects when stopped before. */
  whenSynced(): Promise<void>;
  stop(): void;
  /** Lists so far, changes applied, gaps found. */
  counters(): Readonly<Record<string, number>>;
}

const PAGE_SIZE = 500;
/** Back-off between failed lists: doubled from the first to the second, with jitter. */
const FIRST_RETRY_MS = 100;
const MAX_RETRY_MS = 30_000;
/** Between two lists that were caused by gaps, so that a broken feed is no storm of lists. */
const MIN_RELIST_GAP_MS = 250;
/** Changes that arrive while a list is under way; past it the list starts again. */
const MAX_BUFFERED_CHANGES = 100_000;
/** A watch is asked to end after 5 to 10 minutes, as client-go does. */
const WATCH_SECONDS = 300;

/** Lists, then watches, for as long as it runs; a gap or an expired revision makes it list again. Objects of its cache must not be changed. */
export function informer<T extends KubeObject = KubeObject>(o: InformerOptions<T>): Informer<T> {
  const handlers: InformerHandlers<T>[] = [];
  const counters = { lists: 0, changes: 0, old: 0, gaps: 0, handlerErrors: 0 };
  const abort = new AbortController();
  let synced = false;
  let started = false;
  let resolveSynced!: () => void;
  let rejectSynced!: (e: Error) => void;
  const syncedPromise = new Promise<void>((resolve, reject) => {
    resolveSynced = resolve;
    rejectSynced = reject;
  });
  syncedPromise.catch(() => {});

  const guarded = (call: () => void) => {
    try {
      call();
    } catch (e) {
      counters.handlerErrors++;
      o.log.error({ resource: o.ref.resource, reason: reasonOf(e) }, "an informer handler threw");
    }
  };
  const each = (call: (h: InformerHandlers<T>) => void) => {
    for (const h of handlers) guarded(() => call(h));
  };
  const cache = new ObjectCache<T>(
    {
      onAdd: (x) => each((h) => h.onAdd?.(x)),
      onUpdate: (x, old) => each((h) => h.onUpdate?.(x, old)),
      onDelete: (x) => each((h) => h.onDelete?.(x)),
    },
    o.indexes,
  );

  function markSynced(): void {
    if (synced) return;
    synced = true;
    resolveSynced();
  }

  async function listAll(): Promise<{ items: T[]; revision: number }> {
    counters.lists++;
    const items: T[] = [];
    let token = "";
    let revision = "";
    do {
      const page = await o.client.list<T>(o.ref, {
        ...(o.namespace === undefined ? {} : { namespace: o.namespace }),
        ...(o.labelSelector ? { labelSelector: o.labelSelector } : {}),
        ...(o.fieldSelector ? { fieldSelector: o.fieldSelector } : {}),
        limit: PAGE_SIZE,
        continue: token,
        signal: abort.signal,
      });
      revision = page.resourceVersion;
      for (const item of page.items) {
        forgetManagers(item);
        if (!o.keep || o.keep(item)) items.push(item);
      }
      token = page.continue;
    } while (token !== "");
    return { items, revision: Number(revision) };
  }

  /** A change of the broadcast. False when a version was missed. */
  function applyEvent(e: {
    namespace: string;
    name: string;
    revision: number;
    previousRevision: number;
    deleted: boolean;
    object: T;
  }): boolean {
    const deleted = e.deleted || (o.keep !== undefined && !o.keep(e.object));
    // With a filter the cache does not know the revisions of what it dropped, so only held objects can show a gap.
    const known = o.keep === undefined || cache.get(e.namespace, e.name) !== undefined;
    const result = cache.apply(
      { namespace: e.namespace, name: e.name, revision: e.revision, previousRevision: known ? e.previousRevision : undefined, deleted },
      e.object,
    );
    if (result === "gap") {
      counters.gaps++;
      return false;
    }
    counters[result === "applied" ? "changes" : "old"]++;
    return true;
  }

  /** Follows broadcast events until something was lost, then resolves. */
  async function runEvents(bus: Bus): Promise<void> {
    let buffered: Parameters<typeof applyEvent>[0][] | undefined = [];
    let lost: ((reason: string) => void) | undefined;
    let lostReason: string | undefined;
    const lose = (reason: string) => {
      lostReason ??= reason;
      lost?.(reason);
    };
    const feed: EventFeed = followEvents<T>(bus, o.ref, o.namespace, {
      onEvent(e) {
        if (!buffered) {
          if (!applyEvent(e)) lose(`missed a version of ${e.namespace}/${e.name}`);
        } else if (buffered.length < MAX_BUFFERED_CHANGES) buffered.push(e);
        else lose("too many changes during a list");
      },
      onLost: lose,
    });
    const onAbort = () => lose("stopped");
    abort.signal.addEventListener("abort", onAbort);
    try {
      // The subscription must be at the server before the list is read, or a change in between is lost.
      await bus.flush();
      const { items, revision } = await listAll();
      if (lostReason !== undefined) return;
      cache.replace(items, revision);
      const early = buffered;
      buffered = undefined;
      for (const e of early) if (!applyEvent(e)) lose(`missed a version of ${e.namespace}/${e.name}`);
      markSynced();
      if (lostReason === undefined) await new Promise<void>((resolve) => (lost = () => resolve()));
      if (!abort.signal.aborted) o.log.debug({ resource: o.ref.resource, reason: lostReason }, "informer lists again");
    } finally {
      feed.close();
      abort.signal.removeEventListener("abort", onAbort);
    }
  }

  let watchFrom: number | undefined;
  /** Lists when there is no revision to go on from, then follows one watch to its end. */
  async function runWatch(): Promise<void> {
    if (watchFrom === undefined) {
      const { items, revision } = await listAll();
      cache.replace(items, revision);
      watchFrom = revision;
      markSynced();
    }
    const from = watchFrom;
    await new Promise<void>((resolve, reject) => {
      o.client
        .watch(
          o.ref,
          {
            ...(o.namespace === undefined ? {} : { namespace: o.namespace }),
            ...(o.labelSelector ? { labelSelector: o.labelSelector } : {}),
            ...(o.fieldSelector ? { fieldSelector: o.fieldSelector } : {}),
            resourceVersion: String(from),
            timeoutSeconds: WATCH_SECONDS + o.random.below(WATCH_SECONDS),
            signal: abort.signal,
          },
          {
            onEvent(type, object) {
              watchFrom = Math.max(watchFrom ?? 0, Number(object.metadata.resourceVersion));
              if (type === "BOOKMARK") return;
              const x = object as T;
              forgetManagers(x);
              const { namespace = "", name } = x.metadata;
              const deleted = type === "DELETED" || (o.keep !== undefined && !o.keep(x));
              const result = cache.apply(
                { namespace, name, revision: Number(x.metadata.resourceVersion), previousRevision: undefined, deleted },
                x,
              );
              counters[result === "applied" ? "changes" : "old"]++;
            },
            onEnd: (error) => (error ? reject(error) : resolve()),
          },
        )
        .catch(reject);
    });
  }

  async function run(): Promise<void> {
    let failures = 0;
    let lastListMs = Number.NEGATIVE_INFINITY;
    while (!abort.signal.aborted) {
      try {
        const wait = lastListMs + MIN_RELIST_GAP_MS - o.clock.monotonicMs();
        if (wait > 0) await o.clock.sleep(wait, abort.signal);
        lastListMs = o.clock.monotonicMs();
        if (o.bus) await runEvents(o.bus);
        else await runWatch();
        failures = 0;
      } catch (e) {
        if (abort.signal.aborted) return;
        if (isExpired(e)) {
          watchFrom = undefined;
          continue;
        }
        if (isNotFound(e) && !synced) {
          // The server does not have this resource (yet): it is empty, and asked for again from time to time.
          cache.replace([], 0);
          markSynced();
          failures = 8;
        }
        const backOff = Math.min(MAX_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(failures++, 12));
        const delay = backOff * (0.5 + o.random.float() / 2);
        o.log.debug({ resource: o.ref.resource, reason: reasonOf(e), delayMs: Math.round(delay) }, "informer tries again");
        await o.clock.sleep(delay, abort.signal).catch(() => {});
      }
    }
  }

  return {
    ref: o.ref,
    lister: cache,
    get synced() {
      return synced;
    },
    handle(h) {
      handlers.push(h);
      if (h.onAdd) for (const x of cache.list()) guarded(() => h.onAdd?.(x));
    },
    addIndex: (name, fn) => cache.addIndex(name, fn),
    start() {
      if (!started) void run();
      started = true;
      return syncedPromise;
    },
    whenSynced: () => syncedPromise,
    stop() {
      abort.abort();
      rejectSynced(new Error("the informer was stopped"));
    },
    counters: () => ({ ...counters, size: cache.size }),
  };
}

/** One informer a resource, shared by all controllers of a process. */
export class InformerSet {
  readonly #informers = new Map<string, Informer<any>>();
  readonly #base: Omit<InformerOptions<KubeObject>, "ref">;

  constructor(base: Pick<InformerOptions<KubeObject>, "client" | "clock" | "random" | "log" | "bus">) {
    this.#base = base;
  }

  of<T extends KubeObject = KubeObject>(ref: ResourceRef): Informer<T> {
    const key = `${ref.group}/${ref.resource}`;
    let i = this.#informers.get(key);
    if (!i) this.#informers.set(key, (i = informer<T>({ ...(this.#base as InformerOptions<T>), ref })));
    return i;
  }

  /** Starts all that were asked for; resolves when all are synced. */
  async start(): Promise<void> {
    await Promise.all([...this.#informers.values()].map((i) => i.start()));
  }

  stop(): void {
    for (const i of this.#informers.values()) i.stop();
  }

  counters(): Record<string, Readonly<Record<string, number>>> {
    return Object.fromEntries([...this.#informers].map(([k, i]) => [k, i.counters()]));
  }
}
