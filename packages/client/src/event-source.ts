// The broadcast of committed writes as objects: each message carries an object's JSON, its revision and the revision before
// it on the same key (see the store contract). Invariant: what cannot be understood or may have been lost is reported, never
// skipped in silence.
import { type Bus, type BusMessage, subjectsOf } from "@podwire/bus";
import { apiVersionOf, type KubeObject, type ResourceRef } from "./object.ts";

export interface StoreEvent<T extends KubeObject> {
  namespace: string;
  name: string;
  revision: number;
  previousRevision: number;
  deleted: boolean;
  object: T;
}

export interface EventFeed {
  close(): void;
}

const decoder = new TextDecoder();

/** Headers that JetStream sets on a republished message, and the store's mark of a deletion. */
const SEQUENCE = "Nats-Sequence";
const LAST_SEQUENCE = "Nats-Last-Sequence";
const OPERATION = "Pw-Op";

export function followEvents<T extends KubeObject>(
  bus: Bus,
  ref: ResourceRef,
  namespace: string | undefined,
  handlers: { onEvent(e: StoreEvent<T>): void; onLost(reason: string): void },
): EventFeed {
  const subjects = subjectsOf(bus.cluster);
  let connectedBefore = false;
  const status = bus.onStatus((s) => {
    if (s === "connected") {
      if (connectedBefore) handlers.onLost("reconnected");
      connectedBefore = true;
    } else if (s === "slow-consumer") handlers.onLost("slow consumer");
    else if (s === "disconnected" || s === "closed") handlers.onLost(s);
  });
  const subscription = bus.subscribe(subjects.eventPrefix(ref.group, ref.resource, namespace), (m) => {
    const e = parse<T>(m, subjects, ref);
    if (e) handlers.onEvent(e);
    else handlers.onLost(`malformed event on ${m.subject}`);
  });
  return {
    close() {
      status.unsubscribe();
      subscription.unsubscribe();
    },
  };
}

function parse<T extends KubeObject>(m: BusMessage, subjects: ReturnType<typeof subjectsOf>, ref: ResourceRef): StoreEvent<T> | undefined {
  const key = subjects.keyOf(m.subject);
  const revision = Number(m.header(SEQUENCE));
  const previousRevision = Number(m.header(LAST_SEQUENCE) ?? "0");
  if (!key || !Number.isSafeInteger(revision) || revision <= 0 || !Number.isSafeInteger(previousRevision)) return undefined;
  try {
    const object = JSON.parse(decoder.decode(m.data)) as T;
    object.metadata.resourceVersion = String(revision);
    forgetManagers(object);
    object.apiVersion ??= apiVersionOf(ref);
    object.kind ??= ref.kind;
    return { namespace: key.namespace, name: key.name, revision, previousRevision, deleted: m.header(OPERATION) === "DEL", object };
  } catch {
    return undefined;
  }
}

/** Who wrote which field is a third of an object and no reader of a cache asks for it; a write without it keeps the server's. */
export function forgetManagers(object: KubeObject): void {
  if (object.metadata["managedFields"] !== undefined) delete object.metadata["managedFields"];
}
