// Records what happened to an object as Events, so that repetition costs little (client-go's EventCorrelator): the same event
// again raises a count; more than MAX_SIMILAR that differ only in message become one "combined" event; a source that talks
// too much about one object is silenced by a token bucket. Recording never fails the caller: events are best effort.
import { type Clock, type Logger, type Random, reasonOf } from "@podwire/base";
import type { ApiClient } from "./api-client.ts";
import { isNotFound } from "./errors.ts";
import type { KubeObject } from "./object.ts";
import { tokenBucket } from "./rate-limiter.ts";
import { Resources } from "./resources.ts";
import { microTime, time } from "./timestamps.ts";

export interface EventRecorder {
  /** `object` must carry apiVersion and kind. */
  event(
    object: KubeObject,
    type: "Normal" | "Warning",
    reason: string,
    message: string,
    opts?: { action?: string; related?: KubeObject; fieldPath?: string; annotations?: Record<string, string> },
  ): void;
  /** Resolves when what was recorded so far was sent (or given up). */
  flush(): Promise<void>;
  counters(): Readonly<Record<string, number>>;
}

export interface EventRecorderOptions {
  client: ApiClient;
  clock: Clock;
  random: Random;
  log: Logger;
  /** "deployment-controller", "kubelet", "default-scheduler". */
  component: string;
  /** The node, for a kubelet's events. */
  host?: string;
  /** Writes the fields of events.k8s.io/v1 (eventTime, action, reportingController): the scheduler does. */
  newStyle?: { instance: string };
}

const MAX_SIMILAR = 10;
const SIMILAR_WINDOW_MS = 10 * 60_000;
const SPAM_BURST = 25;
const SPAM_PER_SECOND = 1 / 300;
/** Correlations that are remembered; past it the oldest is forgotten (then a repetition starts a new Event). */
const MAX_REMEMBERED = 4096;
/** Events that wait to be sent; past it new ones are dropped and counted. */
const MAX_WAITING = 5000;
/** Events that are sent at the same time. */
const PARALLEL = 8;
/** The API's limit on a message. */
const MAX_MESSAGE_LENGTH = 1024;

interface Seen {
  name: string;
  namespace: string;
  count: number;
  first: string;
  /** Resolves when the Event is there, or could not be made: a repetition waits for it. */
  made: Promise<void>;
}

/** The recorder of one component. It never throws and never waits for the API; `flush` does. */
export function eventRecorder(o: EventRecorderOptions): EventRecorder {
  const seen = new Map<string, Seen>();
  const similar = new Map<string, { messages: Set<string>; lastMs: number }>();
  const buckets = new Map<string, ReturnType<typeof tokenBucket>>();
  const counters = { recorded: 0, created: 0, patched: 0, spam: 0, dropped: 0, failed: 0 };
  const waiting: (() => Promise<void>)[] = [];
  let running = 0;
  let idle: (() => void)[] = [];

  const remember = <V>(map: Map<string, V>, key: string, value: V) => {
    map.delete(key);
    map.set(key, value);
    if (map.size > MAX_REMEMBERED) map.delete(map.keys().next().value as string);
  };

  function pump(): void {
    while (running < PARALLEL && waiting.length > 0) {
      running++;
      const job = waiting.shift() as () => Promise<void>;
      job()
        .catch((e) => {
          counters.failed++;
          o.log.debug({ reason: reasonOf(e) }, "an event was not recorded");
        })
        .finally(() => {
          running--;
          if (waiting.length > 0) pump();
          else if (running === 0) {
            for (const f of idle) f();
            idle = [];
          }
        });
    }
  }

  return {
    event(object, type, reason, message, opts = {}) {
      counters.recorded++;
      const now = o.clock.nowMs();
      const involved = {
        apiVersion: object.apiVersion ?? "",
        kind: object.kind ?? "",
        name: object.metadata.name,
        ...(object.metadata.namespace ? { namespace: object.metadata.namespace } : {}),
        uid: object.metadata.uid ?? "",
        ...(object.metadata.resourceVersion ? { resourceVersion: object.metadata.resourceVersion } : {}),
        ...(opts.fieldPath ? { fieldPath: opts.fieldPath } : {}),
      };
      const about = `${involved.kind}/${involved.namespace ?? ""}/${involved.name}/${involved.uid}/${involved.fieldPath ?? ""}`;

      let bucket = buckets.get(about);
      if (!bucket) remember(buckets, about, (bucket = tokenBucket(o.clock, SPAM_PER_SECOND, SPAM_BURST)));
      if (!bucket.tryTake()) {
        counters.spam++;
        return;
      }
      const group = `${about}/${type}/${reason}`;
      let like = similar.get(group);
      if (!like || now - like.lastMs > SIMILAR_WINDOW_MS) like = { messages: new Set(), lastMs: now };
      like.lastMs = now;
      remember(similar, group, like);
      if (like.messages.size < MAX_SIMILAR) like.messages.add(message);
      const combined = like.messages.size >= MAX_SIMILAR && !like.messages.has(message);
      const text = (combined ? `(combined from similar events): ${message}` : message).slice(0, MAX_MESSAGE_LENGTH);
      const key = combined ? group : `${group}/${message}`;

      if (waiting.length >= MAX_WAITING) {
        counters.dropped++;
        return;
      }
      waiting.push(async () => {
        const last = time(now);
        const before = seen.get(key);
        if (before) {
          before.count++;
          await before.made;
          try {
            await o.client.patch(Resources.events, before.namespace, before.name, "strategic", {
              count: before.count,
              lastTimestamp: last,
              message: text,
            });
            counters.patched++;
            return;
          } catch (e) {
            if (!isNotFound(e)) throw e;
          }
        }
        const namespace = involved.namespace ?? "default";
        const name = `${involved.name}.${nanoHex(now, o.random)}`;
        const entry: Seen = { name, namespace, count: before?.count ?? 1, first: before?.first ?? last, made: Promise.resolve() };
        remember(seen, key, entry);
        const creation = o.client.create(Resources.events, {
          metadata: { namespace, name, ...(opts.annotations ? { annotations: opts.annotations } : {}) },
          involvedObject: involved,
          reason,
          message: text,
          type,
          ...(o.newStyle
            ? {
                eventTime: microTime(now),
                action: opts.action ?? reason,
                reportingComponent: o.component,
                reportingInstance: o.newStyle.instance,
                source: {},
                firstTimestamp: null,
                lastTimestamp: null,
              }
            : {
                source: { component: o.component, ...(o.host ? { host: o.host } : {}) },
                firstTimestamp: entry.first,
                lastTimestamp: last,
                count: entry.count,
                reportingComponent: o.component,
                reportingInstance: o.host ?? "",
              }),
          ...(opts.related
            ? { related: { kind: opts.related.kind, name: opts.related.metadata.name, namespace: opts.related.metadata.namespace } }
            : {}),
        });
        entry.made = creation.then(
          () => undefined,
          () => undefined,
        );
        await creation;
        counters.created++;
      });
      pump();
    },
    flush() {
      if (running === 0 && waiting.length === 0) return Promise.resolve();
      return new Promise((resolve) => idle.push(resolve));
    },
    counters: () => ({ ...counters, waiting: waiting.length }),
  };
}

/** The hexadecimal nanosecond time that names an event, with random nanoseconds so that names differ within a millisecond. */
function nanoHex(nowMs: number, random: Random): string {
  return (BigInt(Math.floor(nowMs)) * 1_000_000n + BigInt(random.below(1_000_000))).toString(16);
}
