// The verbs of the Kubernetes API over any ApiTransport. Bodies are JSON both ways. Nothing is retried here but 429 with
// Retry-After (as client-go does, at most MAX_RETRIES times): what to do about other failures is the caller's decision.
import type { Clock } from "@podwire/base";
import { reasonOf } from "@podwire/base";
import type { ApiRequest, ApiResponse, ApiTransport } from "./api-transport.ts";
import { ApiError, ApiProtocolError, type StatusBody } from "./errors.ts";
import { apiVersionOf, type KubeObject, pathOf, type ResourceRef } from "./object.ts";
import { openWatch, type Watch, type WatchHandlers } from "./watch.ts";

export type PatchType = "merge" | "strategic" | "json" | "apply";

const PATCH_CONTENT_TYPE: Record<PatchType, string> = {
  merge: "application/merge-patch+json",
  strategic: "application/strategic-merge-patch+json",
  json: "application/json-patch+json",
  apply: "application/apply-patch+yaml",
};

export interface ListOptions {
  namespace?: string;
  labelSelector?: string;
  fieldSelector?: string;
  limit?: number;
  continue?: string;
  resourceVersion?: string;
  resourceVersionMatch?: "Exact" | "NotOlderThan";
  signal?: AbortSignal;
}

export interface WriteOptions {
  dryRun?: boolean;
  fieldManager?: string;
  fieldValidation?: "Ignore" | "Warn" | "Strict";
}

export interface DeleteOptions {
  gracePeriodSeconds?: number;
  propagationPolicy?: "Orphan" | "Background" | "Foreground";
  preconditions?: { uid?: string; resourceVersion?: string };
  dryRun?: string[];
}

export interface ObjectList<T extends KubeObject = KubeObject> {
  items: T[];
  resourceVersion: string;
  /** "" on the last page. */
  continue: string;
}

export interface ApiClient {
  get<T extends KubeObject = KubeObject>(ref: ResourceRef, namespace: string, name: string, opts?: { subresource?: string }): Promise<T>;
  /** One page when `limit` is given, else everything in one answer. */
  list<T extends KubeObject = KubeObject>(ref: ResourceRef, opts?: ListOptions): Promise<ObjectList<T>>;
  create<T extends KubeObject = KubeObject>(ref: ResourceRef, object: T, opts?: WriteOptions): Promise<T>;
  /** POST to a subresource: binding, eviction, token. */
  createSubresource(
    ref: ResourceRef,
    namespace: string,
    name: string,
    subresource: string,
    body: object,
    opts?: WriteOptions,
  ): Promise<KubeObject>;
  update<T extends KubeObject = KubeObject>(ref: ResourceRef, object: T, opts?: WriteOptions & { subresource?: string }): Promise<T>;
  updateStatus<T extends KubeObject = KubeObject>(ref: ResourceRef, object: T, opts?: WriteOptions): Promise<T>;
  patch<T extends KubeObject = KubeObject>(
    ref: ResourceRef,
    namespace: string,
    name: string,
    type: PatchType,
    patch: unknown,
    opts?: WriteOptions & { subresource?: string; force?: boolean },
  ): Promise<T>;
  delete(ref: ResourceRef, namespace: string, name: string, opts?: DeleteOptions): Promise<KubeObject>;
  deleteCollection(ref: ResourceRef, selection: ListOptions, opts?: DeleteOptions): Promise<void>;
  /** A watch from `resourceVersion`; it ends by itself after the server's timeout and the caller watches again. */
  watch(
    ref: ResourceRef,
    opts: ListOptions & { timeoutSeconds?: number; allowWatchBookmarks?: boolean },
    handlers: WatchHandlers,
  ): Promise<Watch>;
  /** Anything else; the status is not judged. */
  raw(r: ApiRequest, opts?: { timeoutMs?: number; signal?: AbortSignal }): Promise<ApiResponse>;
  readonly transport: ApiTransport;
  close(): Promise<void>;
}

/** How often a request is sent again because the server answered 429 with Retry-After. */
const MAX_RETRIES = 10;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export interface ApiClientOptions {
  clock: Clock;
  userAgent?: string;
  /** The fieldManager of every write that names none. */
  fieldManager?: string;
}

/** The verbs of the API over any transport. What the server refuses is thrown as ApiError; no usable answer as ApiUnreachableError. */
export function apiClient(transport: ApiTransport, options: ApiClientOptions): ApiClient {
  const agent = options.userAgent ?? "podwire";

  async function send(
    r: Omit<ApiRequest, "headers" | "body"> & { body?: unknown; contentType?: string; signal?: AbortSignal },
  ): Promise<any> {
    const request: ApiRequest = { method: r.method, path: r.path, headers: { accept: "application/json", "user-agent": agent } };
    if (r.body !== undefined) {
      request.headers["content-type"] = r.contentType ?? "application/json";
      request.body = encoder.encode(JSON.stringify(r.body));
    }
    for (let attempt = 0; ; attempt++) {
      const response = await transport.request(request, r.signal ? { signal: r.signal } : {});
      if (response.status >= 200 && response.status < 300) return parseBody(response, request);
      const retryAfter = Number(response.headers["retry-after"] ?? "");
      const retryAfterMs = response.headers["retry-after"] !== undefined && Number.isFinite(retryAfter) ? retryAfter * 1000 : undefined;
      if (response.status === 429 && retryAfterMs !== undefined && attempt < MAX_RETRIES) {
        await options.clock.sleep(retryAfterMs, r.signal);
        continue;
      }
      throw new ApiError(response.status, statusBody(response), `${request.method} ${request.path}`, retryAfterMs);
    }
  }

  const writeQuery = (o: (WriteOptions & { force?: boolean }) | undefined) =>
    query({
      dryRun: o?.dryRun ? "All" : undefined,
      fieldManager: o?.fieldManager ?? options.fieldManager,
      fieldValidation: o?.fieldValidation,
      force: o?.force ? "true" : undefined,
    });

  const client: ApiClient = {
    transport,
    get: (ref, namespace, name, opts) => send({ method: "GET", path: pathOf(ref, namespace, name, opts?.subresource) }),
    async list(ref, opts = {}) {
      const { namespace, signal, ...rest } = opts;
      const body = await send({ method: "GET", path: pathOf(ref, namespace) + query(rest), ...(signal ? { signal } : {}) });
      return {
        items: named(body.items ?? [], ref),
        resourceVersion: body.metadata?.resourceVersion ?? "",
        continue: body.metadata?.continue ?? "",
      };
    },
    create: (ref, object, opts) =>
      send({ method: "POST", path: pathOf(ref, object.metadata.namespace) + writeQuery(opts), body: typed(object, ref) }),
    createSubresource: (ref, namespace, name, subresource, body, opts) =>
      send({ method: "POST", path: pathOf(ref, namespace, name, subresource) + writeQuery(opts), body }),
    update: (ref, object, opts) =>
      send({
        method: "PUT",
        path: pathOf(ref, object.metadata.namespace, object.metadata.name, opts?.subresource) + writeQuery(opts),
        body: typed(object, ref),
      }),
    updateStatus: (ref, object, opts) => client.update(ref, object, { ...opts, subresource: "status" }),
    patch: (ref, namespace, name, type, patch, opts) =>
      send({
        method: "PATCH",
        path: pathOf(ref, namespace, name, opts?.subresource) + writeQuery(opts),
        body: patch,
        contentType: PATCH_CONTENT_TYPE[type],
      }),
    delete: (ref, namespace, name, opts) =>
      send({
        method: "DELETE",
        path: pathOf(ref, namespace, name),
        ...(opts ? { body: { kind: "DeleteOptions", apiVersion: "v1", ...opts } } : {}),
      }),
    async deleteCollection(ref, selection, opts) {
      const { namespace, signal: _, ...rest } = selection;
      await send({
        method: "DELETE",
        path: pathOf(ref, namespace) + query(rest),
        ...(opts ? { body: { kind: "DeleteOptions", apiVersion: "v1", ...opts } } : {}),
      });
    },
    watch(ref, opts, handlers) {
      const { namespace, signal, timeoutSeconds, allowWatchBookmarks, ...rest } = opts;
      const path =
        pathOf(ref, namespace) + query({ ...rest, watch: "true", timeoutSeconds, allowWatchBookmarks: allowWatchBookmarks ?? true });
      return openWatch(
        transport,
        { method: "GET", path, headers: { accept: "application/json", "user-agent": agent } },
        ref,
        handlers,
        signal,
      );
    },
    raw: (r, opts) => transport.request(r, opts),
    close: () => transport.close(),
  };
  return client;
}

function typed<T extends KubeObject>(object: T, ref: ResourceRef): T {
  return object.apiVersion !== undefined && object.kind !== undefined
    ? object
    : { apiVersion: apiVersionOf(ref), kind: ref.kind, ...object };
}

function named<T extends KubeObject>(items: T[], ref: ResourceRef): T[] {
  const apiVersion = apiVersionOf(ref);
  for (const item of items) {
    item.apiVersion ??= apiVersion;
    item.kind ??= ref.kind;
  }
  return items;
}

/** "?a=b&c=d", or "" when every value is undefined. */
export function query(values: Record<string, string | number | boolean | undefined>): string {
  const parts: string[] = [];
  for (const [k, v] of Object.entries(values)) if (v !== undefined && v !== "") parts.push(`${k}=${encodeURIComponent(String(v))}`);
  return parts.length === 0 ? "" : `?${parts.join("&")}`;
}

function parseBody(response: ApiResponse, request: ApiRequest): any {
  if (response.body.length === 0) return {};
  try {
    return JSON.parse(decoder.decode(response.body));
  } catch (e) {
    throw new ApiProtocolError(`${request.method} ${request.path}: the answer is not JSON`, { cause: e });
  }
}

/** The Status in a failed response; a plain text body becomes its message. */
export function statusBody(response: ApiResponse): StatusBody {
  const text = decoder.decode(response.body);
  try {
    const parsed = JSON.parse(text);
    if (parsed !== null && typeof parsed === "object") return parsed;
    return { message: text, code: response.status };
  } catch (e) {
    return { message: text.trim() === "" ? reasonOf(e) : text.trim(), code: response.status };
  }
}
