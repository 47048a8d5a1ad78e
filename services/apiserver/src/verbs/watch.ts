// Watches: a stream of events from a revision on, from the watch cache (apiserver/pkg/storage/cacher, endpoints/handlers/watch.go).
// Invariants: a client sees each change of what it selects once and in order, never a change older than its start; an event's bytes are
// encoded once for all watchers of a format; a client that does not read is cut off, not waited for.
import { statusErrors, watchFrame } from "@podwire/api";
import { CachedObject } from "../cache/cached-object.ts";
import type { CacheEvent, ResourceCache } from "../cache/resource-cache.ts";
import type { Api, ApiResponse, Call, ResponseSink } from "../call.ts";
import { type ListOptions, listOptions } from "../request/options.ts";
import { encode, includeObjectOf, protobufObject, shaped, statusOf } from "../response.ts";
import { awaitRevision, parseRevision } from "./get.ts";
import { selection } from "./list.ts";

/** A watcher with more than this queued and unread is cut off. */
const MAX_BACKLOG_BYTES = 32 * 1024 * 1024;
const BOOKMARK_PERIOD_MS = 60_000;
/** Events that may wait for a conversion webhook, and how many are converted in one call; a watcher with more waiting is cut off. */
const MAX_UNCONVERTED = 16_384;
const MAX_CONVERTED_AT_ONCE = 256;
/** A last bookmark goes out this long before the timeout. */
const BOOKMARK_BEFORE_END_MS = 2_000;

export async function watch(api: Api, call: Call): Promise<ApiResponse> {
  const options = listOptions(call.info.query, call.served.info, true, call.served.custom?.selectableFields);
  if (call.output.encoding === "yaml")
    throw statusErrors.notAcceptable([
      "application/json",
      "application/json;stream=watch",
      "application/vnd.kubernetes.protobuf",
      "application/vnd.kubernetes.protobuf;stream=watch",
    ]);
  const from = options.resourceVersion;
  const initial = options.sendInitialEvents ?? (from === "" || from === "0");
  if (from === "" || (options.sendInitialEvents && from !== "0")) await awaitRevision(api, from, call.request);
  const start = initial ? -1 : from === "" || from === "0" ? api.cache.revision : parseRevision(from);
  return {
    status: 200,
    headers: { "content-type": streamType(call), "cache-control": "no-cache, private" },
    stream: (sink) => new Watch(api, call, options, sink).begin(start),
  };
}

function streamType(call: Call): string {
  return call.output.encoding === "protobuf" ? `${call.output.contentType};stream=watch` : call.output.contentType;
}

class Watch {
  readonly #api: Api;
  readonly #call: Call;
  readonly #options: ListOptions;
  readonly #sink: ResponseSink;
  readonly #resources: ResourceCache;
  readonly #accept: ((c: CachedObject) => boolean) | undefined;
  readonly #idPrefix: string;
  readonly #format: string;
  /** Whole objects are the same for every watcher; the first row of a table carries the columns. */
  readonly #sharesLines: boolean;
  readonly #listener: (e: CacheEvent) => void;
  /** Events that wait for a conversion webhook, in order. */
  #unconverted: CacheEvent[] = [];
  #converting = false;
  /** What a client last saw of objects that leave its selection, where that had to be converted first. */
  readonly #left = new WeakMap<CacheEvent, CachedObject>();
  #pending: Buffer[] = [];
  #flushing = false;
  readonly #flushed = () => this.#flush();
  #ended = false;
  #first = true;
  #sentRevision = 0;
  #startRevision = 0;
  #cancel: (() => void)[] = [];

  constructor(api: Api, call: Call, options: ListOptions, sink: ResponseSink) {
    this.#api = api;
    this.#call = call;
    this.#options = options;
    this.#sink = sink;
    this.#resources = api.cache.of(call.served.storage.group, call.served.storage.resource);
    this.#accept = selection(call, options);
    this.#listener = call.served.prepare ? (e) => this.#onUnconverted(e) : (e) => this.#onEvent(e);
    this.#idPrefix = call.namespace === "" ? "" : `${call.namespace}/`;
    const { shape, metaVersion, encoding } = call.output;
    const version = encoding === "protobuf" ? `${encoding} ${call.served.apiVersion}` : call.served.apiVersion;
    this.#sharesLines = shape === "object";
    this.#format = this.#sharesLines ? version : `${version} ${shape} ${metaVersion} ${call.info.query.get("includeObject") ?? ""}`;
    if (shape === "Table") includeObjectOf(call.info.query.get("includeObject"));
  }

  /** `revision` -1: the current state first; else events after it. */
  begin(revision: number): void {
    const { clock, cache } = this.#api;
    this.#sink.onClose(() => this.#end(false));
    this.#cancel.push(cache.onRestart(() => this.#end(true)));
    const { served } = this.#call;
    // Another definition would show the objects in another form.
    if (served.custom)
      this.#cancel.push(this.#api.catalogue.onCustomChange(served.storage.group, served.storage.resource, () => this.#end(true)));
    if (revision >= 0 && revision < this.#resources.windowStart) {
      const e = statusErrors.expired(`too old resource version: ${revision} (${this.#resources.windowStart})`);
      this.#line("ERROR", this.#encoded(statusOf(e)));
      this.#end(true);
      return;
    }
    if (revision < 0) {
      const at = cache.revision;
      const objects = this.#resources.values(this.#call.namespace || undefined);
      const { prepare } = this.#call.served;
      if (prepare) {
        const taken = [...objects];
        this.#convert(async () => {
          await prepare(taken);
          this.#initial(taken, at);
        });
      } else this.#initial(objects, at);
    } else {
      this.#startRevision = revision;
      this.#sentRevision = revision;
      for (const e of this.#resources.eventsAfter(revision)) this.#listener(e);
    }
    this.#resources.watchers.add(this.#listener);
    this.#cancel.push(() => this.#resources.watchers.delete(this.#listener));
    const timeoutMs = 1000 * (this.#options.timeoutSeconds ?? this.#api.minRequestTimeoutS * (1 + this.#api.random.float()));
    const over = clock.after(timeoutMs, () => this.#end(true), { unref: true });
    this.#cancel.push(() => over.cancel());
    if (this.#options.allowWatchBookmarks) {
      const every = clock.every(BOOKMARK_PERIOD_MS, () => this.#bookmark(cache.revision, false), { unref: true });
      const last = clock.after(Math.max(0, timeoutMs - BOOKMARK_BEFORE_END_MS), () => this.#bookmark(cache.revision, false), {
        unref: true,
      });
      this.#cancel.push(
        () => every.cancel(),
        () => last.cancel(),
      );
    }
  }

  #initial(objects: Iterable<CachedObject>, at: number): void {
    const lines = () => {
      const made: Buffer[] = [];
      for (const o of objects) if (!this.#accept || this.#accept(o)) made.push(this.#framed("ADDED", this.#object(o, undefined)));
      return made.length === 1 ? (made[0] as Buffer) : Buffer.concat(made);
    };
    // Who begins with everything there is begins with the same bytes as the others.
    const shares = this.#sharesLines && !this.#accept && !this.#call.served.custom;
    const id = `watch ${this.#format} ${this.#call.served.storage.resource} ${this.#call.namespace}`;
    const bytes = shares ? this.#api.lists.bytes(id, this.#resources, lines) : lines();
    if (bytes.length > 0) this.#write(bytes);
    this.#sentRevision = at;
    if (this.#options.sendInitialEvents) this.#bookmark(at, true);
  }

  #onUnconverted(e: CacheEvent): void {
    if (e.revision <= this.#startRevision || (this.#idPrefix !== "" && !e.id.startsWith(this.#idPrefix))) return;
    this.#unconverted.push(e);
    if (this.#unconverted.length > MAX_UNCONVERTED) this.#end(true);
    else if (!this.#converting) this.#convert(() => Promise.resolve());
  }

  /** Does `first`, then converts and sends what waits, until nothing does. What a webhook refuses ends the watch with an ERROR event. */
  #convert(first: () => Promise<void>): void {
    this.#converting = true;
    const run = async () => {
      await first();
      while (this.#unconverted.length > 0 && !this.#ended) {
        const events = this.#unconverted.splice(0, MAX_CONVERTED_AT_ONCE);
        await this.#prepare(events);
        for (const e of events) this.#onEvent(e);
      }
      this.#converting = false;
    };
    run().catch((e: unknown) => {
      this.#line("ERROR", Buffer.from(JSON.stringify(statusOf(e))));
      this.#end(true);
    });
  }

  async #prepare(events: readonly CacheEvent[]): Promise<void> {
    const prepare = this.#call.served.prepare as (o: readonly CachedObject[]) => Promise<void>;
    const accept = this.#accept;
    await prepare(events.flatMap((e) => (accept && e.previous ? [e.object, e.previous] : [e.object])));
    if (!accept) return;
    const leaving = events.filter((e) => !e.deleted && e.previous && accept(e.previous) && !accept(e.object));
    for (const e of leaving) this.#left.set(e, atRevision(e.previous as CachedObject, e.revision));
    if (leaving.length > 0) await prepare(leaving.map((e) => this.#left.get(e) as CachedObject));
  }

  #onEvent(e: CacheEvent): void {
    if (e.revision <= this.#startRevision) return;
    if (this.#idPrefix !== "" && !e.id.startsWith(this.#idPrefix)) return;
    this.#sentRevision = e.revision;
    let type = e.deleted ? "DELETED" : e.previous ? "MODIFIED" : "ADDED";
    if (this.#accept) {
      const now = !e.deleted && this.#accept(e.object);
      const before = e.previous !== undefined && this.#accept(e.previous);
      if (!now && !before) return;
      type = now ? (before ? "MODIFIED" : "ADDED") : "DELETED";
      if (!now && !e.deleted) {
        this.#line("DELETED", this.#object(this.#left.get(e) ?? atRevision(e.previous as CachedObject, e.revision), undefined));
        return;
      }
    }
    if (this.#sharesLines || !this.#first) {
      const id = `${type} ${this.#format}`;
      e.lines ??= new Map();
      let line = e.lines.get(id);
      if (!line) {
        line = this.#framed(type, this.#object(e.object, e));
        e.lines.set(id, line);
      }
      this.#write(line);
      return;
    }
    this.#line(type, this.#object(e.object, e));
  }

  #object(o: CachedObject, _event: CacheEvent | undefined): Buffer {
    const { output, served, info } = this.#call;
    if (output.shape === "object") return output.encoding === "protobuf" ? protobufObject(o, served) : served.full(o);
    const value = shaped(o, served, output, this.#api.clock.nowMs(), info.query.get("includeObject"), this.#first);
    this.#first = false;
    return this.#encoded(value);
  }

  #encoded(value: unknown): Buffer {
    return Buffer.from(encode(value, this.#call.output) as string);
  }

  #framed(type: string, object: Buffer): Buffer {
    return this.#call.output.encoding === "protobuf" ? (watchFrame(type, object) as Buffer) : lineOf(type, object);
  }

  #bookmark(revision: number, initialEnd: boolean): void {
    if (this.#ended) return;
    const { served, output } = this.#call;
    const metadata: Record<string, unknown> = { resourceVersion: String(Math.max(revision, this.#sentRevision)) };
    if (initialEnd) metadata["annotations"] = { "k8s.io/initial-events-end": "true" };
    let object: Record<string, unknown> = { kind: served.info.kind, apiVersion: served.apiVersion, metadata, ...served.emptyMembers };
    if (output.shape === "PartialObjectMetadata")
      object = { kind: "PartialObjectMetadata", apiVersion: `meta.k8s.io/${output.metaVersion}`, metadata };
    if (output.shape === "Table") {
      const row = { cells: [], object: { kind: "PartialObjectMetadata", apiVersion: `meta.k8s.io/${output.metaVersion}`, metadata } };
      object = {
        kind: "Table",
        apiVersion: `meta.k8s.io/${output.metaVersion}`,
        metadata: { resourceVersion: metadata["resourceVersion"] },
        columnDefinitions: null,
        rows: [row],
      };
    }
    this.#line("BOOKMARK", this.#encoded(object));
  }

  #line(type: string, object: Buffer): void {
    this.#write(this.#framed(type, object));
  }

  #write(line: Buffer): void {
    if (this.#ended) return;
    // An event is no list: kube-apiserver cannot convert it and closes the watch without a word.
    if (this.#call.output.shape === "PartialObjectMetadataList") {
      this.#end(false);
      return;
    }
    this.#pending.push(line);
    if (this.#flushing) return;
    this.#flushing = true;
    this.#api.flusher.add(this.#flushed);
  }

  #flush(): void {
    this.#flushing = false;
    if (this.#ended || this.#pending.length === 0) return;
    const bytes = this.#pending.length === 1 ? (this.#pending[0] as Buffer) : Buffer.concat(this.#pending);
    this.#pending = [];
    this.#sink.write(bytes);
    if (this.#sink.backlog > MAX_BACKLOG_BYTES) {
      this.#api.log.warn(
        { user: this.#call.user.name, path: this.#call.info.path, backlogBytes: this.#sink.backlog },
        "a watcher does not read; cut off",
      );
      this.#end(true);
    }
  }

  #end(flush: boolean): void {
    if (this.#ended) return;
    if (flush) this.#flush();
    this.#ended = true;
    this.#pending = [];
    for (const c of this.#cancel) c();
    this.#cancel = [];
    if (!this.#sink.closed) this.#sink.end();
  }
}

function lineOf(type: string, object: Buffer): Buffer {
  const head = `{"type":"${type}","object":`;
  const line = Buffer.allocUnsafe(head.length + object.length + 2);
  line.write(head, 0, "latin1");
  object.copy(line, head.length);
  line.write("}\n", head.length + object.length, "latin1");
  return line;
}

/** A version's content with another revision: what a client last saw, deleted now as far as its selector goes. */
function atRevision(o: CachedObject, revision: number): CachedObject {
  const copy = o.copy();
  const { resourceVersion: _, ...metadata } = copy.metadata;
  return CachedObject.fromValue(o.key, revision, Buffer.from(JSON.stringify({ ...copy, metadata })));
}
