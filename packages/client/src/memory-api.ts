// A small API in memory, for simulations and unit tests of controllers on a virtual clock: the verbs, revisions, finalizers,
// graceful deletion of pods, status and binding subresources, watches and broadcast events of the real one, without its
// validation, defaulting, admission and authorization (those are the apiserver's, and multi-process tests use that).
// Invariants: revisions only grow, one counter for everything; every commit is broadcast once, in order.
import type { Clock, Random } from "@podwire/base";
import { type Bus, subjectsOf } from "@podwire/bus";
import { type ApiClient, apiClient } from "./api-client.ts";
import type { ApiRequest, ApiResponse, ApiStream, ApiTransport } from "./api-transport.ts";
import { type KubeObject, keyOf, type ResourceRef } from "./object.ts";
import { Resources } from "./resources.ts";
import { time } from "./timestamps.ts";

export interface MemoryApi {
  readonly transport: ApiTransport;
  client(): ApiClient;
  /** Live objects of a resource (shared: do not change). */
  objects(ref: ResourceRef): KubeObject[];
  readonly revision: number;
  /** Successful writes so far, by "VERB resource". */
  readonly writes: Map<string, number>;
  /** Called before each request; throw or return a response to inject a fault. */
  intercept: ((r: ApiRequest) => ApiResponse | undefined) | undefined;
  /** Called after each commit, before it is broadcast. */
  onCommit: ((resource: string, object: KubeObject, deleted: boolean) => void) | undefined;
}

class Refusal extends Error {
  readonly code: number;
  readonly reason: string;
  constructor(code: number, reason: string, message: string) {
    super(message);
    this.code = code;
    this.reason = reason;
  }
}

interface Collection {
  ref: ResourceRef;
  objects: Map<string, KubeObject>;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const DELETE_FROM_LIST = "$deleteFromPrimitiveList/";
const MERGE_KEYS: Record<string, string> = {
  ownerReferences: "uid",
  conditions: "type",
  taints: "key",
  containers: "name",
  addresses: "type",
};

/** Pods without a node go at once; bound ones after this grace unless the request says otherwise. */
const DEFAULT_GRACE_SECONDS = 30;

/** An empty API; with `bus` its commits are broadcast as the real one does it, `resources` are kinds beside the built-in ones. */
export function memoryApi(o: { clock: Clock; random: Random; bus?: Bus; resources?: readonly ResourceRef[] }): MemoryApi {
  const collections = new Map<string, Collection>();
  for (const ref of [...Object.values(Resources), ...(o.resources ?? [])])
    collections.set(`${ref.group}/${ref.resource}`, { ref, objects: new Map() });
  const lastRevision = new Map<string, number>();
  const watchers = new Set<{
    c: Collection;
    namespace: string | undefined;
    matches: (x: KubeObject) => boolean;
    send(line: string): void;
  }>();
  const writes = new Map<string, number>();
  const subjects = o.bus ? subjectsOf(o.bus.cluster) : undefined;
  let revision = 100;

  function commit(c: Collection, object: KubeObject, deleted: boolean, isNew: boolean): KubeObject {
    const { namespace = "", name } = object.metadata;
    const id = `${c.ref.group}/${c.ref.resource}/${namespace}/${name}`;
    const previous = lastRevision.get(id) ?? 0;
    revision++;
    lastRevision.set(id, revision);
    const stored = { ...object, metadata: { ...object.metadata, resourceVersion: String(revision) } };
    if (deleted) c.objects.delete(keyOf(namespace, name));
    else c.objects.set(keyOf(namespace, name), stored);
    api.onCommit?.(c.ref.resource, stored, deleted);
    if (o.bus && subjects) {
      const { resourceVersion: _, ...metadata } = stored.metadata;
      o.bus.publish(
        subjects.event({ group: c.ref.group, resource: c.ref.resource, namespace, name }),
        encoder.encode(JSON.stringify({ ...stored, metadata })),
        {
          headers: {
            "Nats-Sequence": String(revision),
            "Nats-Last-Sequence": String(previous),
            ...(deleted ? { "Pw-Op": "DEL" } : {}),
          },
        },
      );
    }
    for (const w of watchers)
      if (w.c === c && (w.namespace === undefined || w.namespace === namespace) && w.matches(stored))
        w.send(`${JSON.stringify({ type: deleted ? "DELETED" : isNew ? "ADDED" : "MODIFIED", object: stored })}\n`);
    return stored;
  }

  function find(c: Collection, namespace: string, name: string): KubeObject {
    const object = c.objects.get(keyOf(namespace, name));
    if (!object) throw new Refusal(404, "NotFound", `${c.ref.resource} "${name}" not found`);
    return object;
  }

  function create(c: Collection, namespace: string, body: KubeObject): KubeObject {
    const name = body.metadata?.name || `${body.metadata?.generateName ?? ""}${o.random.suffix(5)}`;
    if (c.objects.has(keyOf(namespace, name))) throw new Refusal(409, "AlreadyExists", `${c.ref.resource} "${name}" already exists`);
    const metadata = {
      ...body.metadata,
      name,
      ...(c.ref.namespaced ? { namespace } : {}),
      uid: o.random.uuid(),
      creationTimestamp: time(o.clock.nowMs()),
      generation: 1,
    };
    delete (metadata as Record<string, unknown>)["resourceVersion"];
    const object: KubeObject = { ...body, metadata };
    if (c.ref.kind === "Pod") object["status"] ??= { phase: "Pending" };
    return commit(c, object, false, true);
  }

  function write(c: Collection, old: KubeObject, next: KubeObject, subresource: string | undefined): KubeObject {
    const wanted = next.metadata.resourceVersion;
    if (wanted !== undefined && wanted !== "" && wanted !== old.metadata.resourceVersion)
      throw new Refusal(
        409,
        "Conflict",
        `Operation cannot be fulfilled on ${c.ref.resource} "${old.metadata.name}": the object has been modified`,
      );
    if (next.metadata.uid !== undefined && next.metadata.uid !== "" && next.metadata.uid !== old.metadata.uid)
      throw new Refusal(409, "Conflict", "Precondition failed: UID in precondition does not match");
    const kept = {
      uid: old.metadata.uid,
      creationTimestamp: old.metadata.creationTimestamp,
      deletionTimestamp: old.metadata.deletionTimestamp,
      deletionGracePeriodSeconds: old.metadata.deletionGracePeriodSeconds,
      name: old.metadata.name,
      namespace: old.metadata.namespace,
      generation: old.metadata.generation,
      resourceVersion: old.metadata.resourceVersion,
    };
    let object: KubeObject;
    if (subresource === "status") {
      // Annotations and labels may come with a status, as in Kubernetes.
      const { annotations, labels } = next.metadata;
      object = { ...old, metadata: { ...old.metadata, ...(annotations ? { annotations } : {}), ...(labels ? { labels } : {}) } };
      object["status"] = next["status"];
    } else {
      object = { ...next, metadata: { ...next.metadata, ...kept } };
      if (c.ref.kind !== "Event" && "status" in old) object["status"] = old["status"];
      if (!same(old["spec"], object["spec"])) object.metadata.generation = (old.metadata.generation ?? 0) + 1;
    }
    for (const k of Object.keys(object.metadata)) if (object.metadata[k] === undefined) delete object.metadata[k];
    if (same(old, object)) return old;
    if (object.metadata.deletionTimestamp !== undefined && (object.metadata.finalizers ?? []).length === 0 && finished(object))
      return commit(c, object, true, false);
    return commit(c, object, false, false);
  }

  /** A terminating object without finalizers goes, but for pods that still have grace. */
  const finished = (x: KubeObject) => (x.metadata.deletionGracePeriodSeconds ?? 0) === 0;

  function remove(c: Collection, object: KubeObject, options: any): KubeObject {
    const pre = options?.preconditions;
    if (pre?.uid !== undefined && pre.uid !== object.metadata.uid)
      throw new Refusal(409, "Conflict", "the UID in the precondition does not match");
    if (pre?.resourceVersion !== undefined && pre.resourceVersion !== object.metadata.resourceVersion)
      throw new Refusal(409, "Conflict", "the ResourceVersion in the precondition does not match");
    const finalizers = new Set(object.metadata.finalizers ?? []);
    const policy = options?.propagationPolicy;
    if (policy !== undefined) {
      finalizers.delete("orphan");
      finalizers.delete("foregroundDeletion");
      if (policy === "Orphan") finalizers.add("orphan");
      if (policy === "Foreground") finalizers.add("foregroundDeletion");
    }
    let grace = 0;
    const status = object["status"] ?? {};
    if (c.ref.kind === "Pod" && object["spec"]?.nodeName && status.phase !== "Succeeded" && status.phase !== "Failed")
      grace = options?.gracePeriodSeconds ?? object["spec"]?.terminationGracePeriodSeconds ?? DEFAULT_GRACE_SECONDS;
    const before = object.metadata.deletionGracePeriodSeconds;
    if (object.metadata.deletionTimestamp !== undefined && before !== undefined) grace = Math.min(grace, before);
    if (finalizers.size === 0 && grace === 0) return commit(c, object, true, false);
    const metadata = {
      ...object.metadata,
      deletionTimestamp: object.metadata.deletionTimestamp ?? time(o.clock.nowMs() + grace * 1000),
      deletionGracePeriodSeconds: grace,
      ...(finalizers.size > 0 ? { finalizers: [...finalizers] } : {}),
    };
    if (same(metadata, object.metadata)) return object;
    return commit(c, { ...object, metadata: { ...metadata, generation: (metadata.generation ?? 0) + 1 } }, false, false);
  }

  function bind(c: Collection, namespace: string, name: string, body: any): KubeObject {
    const pod = find(c, namespace, name);
    if (pod["spec"]?.nodeName) throw new Refusal(409, "Conflict", `pod ${name} is already assigned to node "${pod["spec"].nodeName}"`);
    const conditions = (pod["status"]?.conditions ?? []).filter((x: any) => x.type !== "PodScheduled");
    commit(
      c,
      {
        ...pod,
        spec: { ...pod["spec"], nodeName: body.target?.name },
        status: {
          ...pod["status"],
          conditions: [...conditions, { type: "PodScheduled", status: "True", lastTransitionTime: time(o.clock.nowMs()) }],
        },
      },
      false,
      false,
    );
    return { kind: "Status", apiVersion: "v1", status: "Success", metadata: {} as never };
  }

  function handle(r: ApiRequest): unknown {
    const t = parsePath(r.path, collections);
    const body = r.body && r.body.length > 0 ? JSON.parse(decoder.decode(r.body)) : undefined;
    const { c, namespace = "", name, subresource } = t;
    if (r.method !== "GET") writes.set(`${r.method} ${c.ref.resource}`, (writes.get(`${r.method} ${c.ref.resource}`) ?? 0) + 1);
    switch (r.method) {
      case "GET": {
        if (name !== undefined) return find(c, namespace, name);
        const matches = selection(t.query);
        const items = [...c.objects.values()].filter(
          (x) => (t.namespace === undefined || x.metadata.namespace === t.namespace) && matches(x),
        );
        return { metadata: { resourceVersion: String(revision) }, items };
      }
      case "POST":
        if (subresource === "binding") return bind(c, namespace, name ?? "", body);
        if (subresource === "eviction") return remove(c, find(c, namespace, name ?? ""), body?.deleteOptions);
        return create(c, namespace, body);
      case "PUT":
        if (subresource === "finalize") return write(c, find(c, namespace, name ?? ""), body, undefined);
        return write(c, find(c, namespace, name ?? ""), body, subresource);
      case "PATCH": {
        const old = find(c, namespace, name ?? "");
        return write(c, old, mergePatch(old, body, (r.headers["content-type"] ?? "").includes("strategic")) as KubeObject, subresource);
      }
      case "DELETE": {
        if (name !== undefined) return remove(c, find(c, namespace, name), body);
        const matches = selection(t.query);
        for (const x of [...c.objects.values()])
          if ((t.namespace === undefined || x.metadata.namespace === t.namespace) && matches(x)) remove(c, x, body);
        return { kind: "Status", status: "Success" };
      }
    }
  }

  const transport: ApiTransport = {
    async request(r) {
      try {
        const injected = api.intercept?.(r);
        if (injected) return injected;
        return { status: r.method === "POST" ? 201 : 200, headers: {}, body: encoder.encode(JSON.stringify(handle(r))) };
      } catch (e) {
        if (!(e instanceof Refusal)) throw e;
        const status = { kind: "Status", apiVersion: "v1", status: "Failure", message: e.message, reason: e.reason, code: e.code };
        return { status: e.code, headers: {}, body: encoder.encode(JSON.stringify(status)) };
      }
    },
    async stream(r) {
      const t = parsePath(r.path, collections);
      const from = Number(t.query.get("resourceVersion") ?? "0");
      const early: string[] = [];
      let onChunk: ((c: Uint8Array) => void) | undefined;
      let onClose: ((e?: Error) => void) | undefined;
      const send = (line: string) => (onChunk ? void onChunk(encoder.encode(line)) : void early.push(line));
      const watcher = { c: t.c, namespace: t.namespace, matches: selection(t.query), send };
      watchers.add(watcher);
      if (from < revision)
        for (const x of t.c.objects.values())
          if (Number(x.metadata.resourceVersion) > from && watcher.matches(x)) send(`${JSON.stringify({ type: "MODIFIED", object: x })}\n`);
      const stream: ApiStream = {
        status: 200,
        headers: {},
        onChunk(cb) {
          onChunk = cb;
          for (const line of early.splice(0)) cb(encoder.encode(line));
        },
        onClose: (cb) => void (onClose = cb),
        close() {
          watchers.delete(watcher);
          onClose?.();
          onClose = undefined;
        },
      };
      return stream;
    },
    close: async () => {},
  };

  const api: MemoryApi = {
    transport,
    client: () => apiClient(transport, { clock: o.clock }),
    objects: (ref) => [...(collections.get(`${ref.group}/${ref.resource}`)?.objects.values() ?? [])],
    get revision() {
      return revision;
    },
    writes,
    intercept: undefined,
    onCommit: undefined,
  };
  return api;
}

function parsePath(path: string, collections: Map<string, Collection>) {
  const url = new URL(path, "http://api");
  const parts = url.pathname
    .split("/")
    .filter((p) => p !== "")
    .map(decodeURIComponent);
  const group = parts[0] === "api" ? "" : (parts[1] ?? "");
  let rest = parts[0] === "api" ? parts.slice(2) : parts.slice(3);
  let namespace: string | undefined;
  if (rest[0] === "namespaces" && rest.length > 2 && !["finalize", "status"].includes(rest[2] as string)) {
    namespace = rest[1];
    rest = rest.slice(2);
  }
  const c = collections.get(`${group}/${rest[0]}`);
  if (!c) throw new Refusal(404, "NotFound", "the server could not find the requested resource");
  return { c, namespace, name: rest[1], subresource: rest[2], query: url.searchParams };
}

/** Equality label selectors, and field selectors over dotted paths. */
function selection(query: URLSearchParams): (x: KubeObject) => boolean {
  const labels = (query.get("labelSelector") ?? "").split(",").filter((s) => s !== "");
  const fields = (query.get("fieldSelector") ?? "").split(",").filter((s) => s !== "");
  return (x) =>
    labels.every((s) => {
      const [k, v] = s.split("=") as [string, string | undefined];
      return v === undefined ? x.metadata.labels?.[k] !== undefined : x.metadata.labels?.[k] === v;
    }) &&
    fields.every((s) => {
      const [k, v] = s.split("=") as [string, string | undefined];
      const found = k.split(".").reduce<any>((at, part) => at?.[part], x);
      return String(found ?? "") === (v ?? "");
    });
}

/** JSON merge patch (RFC 7396); when `strategic`, lists with a known merge key are merged by it. */
export function mergePatch(target: unknown, patch: unknown, strategic: boolean, field = ""): unknown {
  if (Array.isArray(patch) && strategic && MERGE_KEYS[field] !== undefined) {
    const by = MERGE_KEYS[field];
    const list = Array.isArray(target) ? [...target] : [];
    for (const p of patch) {
      const at = list.findIndex((x) => x[by] === p[by]);
      if (p.$patch === "delete") {
        if (at >= 0) list.splice(at, 1);
      } else if (at >= 0) list[at] = mergePatch(list[at], p, strategic);
      else list.push(p);
    }
    return list;
  }
  if (patch === null || typeof patch !== "object" || Array.isArray(patch)) return patch;
  const out: Record<string, unknown> = target !== null && typeof target === "object" && !Array.isArray(target) ? { ...target } : {};
  for (const [k, v] of Object.entries(patch)) {
    const removed = strategic && k.startsWith(DELETE_FROM_LIST) ? k.slice(DELETE_FROM_LIST.length) : undefined;
    if (removed !== undefined) {
      const left = ((out[removed] as unknown[]) ?? []).filter((x) => !(v as unknown[]).includes(x));
      if (left.length > 0) out[removed] = left;
      else delete out[removed];
    } else if (v === null) delete out[k];
    else out[k] = mergePatch(out[k], v, strategic, k);
  }
  return out;
}

/** Equal as JSON, whatever the order of fields. */
function same(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (a === null || b === null || typeof a !== "object" || typeof b !== "object" || Array.isArray(a) !== Array.isArray(b)) return false;
  const x = a as Record<string, unknown>;
  const y = b as Record<string, unknown>;
  const keys = new Set([...Object.keys(x), ...Object.keys(y)]);
  for (const k of keys) if (!same(x[k], y[k])) return false;
  return true;
}
