// The API as plain JSON over HTTPS with the client certificate of a kubeconfig: nothing is typed, hidden or repaired on the way.
// Errors are the server's Status. Paths of kinds come from discovery, so that custom resources work as built-in ones do.
import { Agent, request } from "node:https";
import { KubeConfig } from "@kubernetes/client-node";

/** Any object of the API, read as the JSON it is. */
export type Json = any;

export class ApiError extends Error {
  readonly code: number;
  readonly status: Json;
  readonly headers: Record<string, string | string[] | undefined>;
  constructor(what: string, code: number, status: Json, headers: Record<string, string | string[] | undefined>) {
    super(`${what}: ${code} ${status?.message ?? JSON.stringify(status)}`);
    this.code = code;
    this.status = status;
    this.headers = headers;
  }
}

export interface Answer {
  code: number;
  headers: Record<string, string | string[] | undefined>;
  text: string;
}

export interface CallOptions {
  query?: Record<string, string | number | boolean>;
  body?: unknown;
  contentType?: string;
  accept?: string;
  headers?: Record<string, string>;
  timeoutMs?: number;
}

export interface WatchEvent {
  type: "ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK" | "ERROR";
  object: Json;
}

const PATCH_TYPES = {
  json: "application/json-patch+json",
  merge: "application/merge-patch+json",
  strategic: "application/strategic-merge-patch+json",
  apply: "application/apply-patch+yaml",
} as const;

const REQUEST_TIMEOUT_MS = 60_000;

export type RestApi = ReturnType<typeof restApi>;

/** @param as a bearer token in place of the kubeconfig's client certificate. */
export function restApi(kubeconfig: string, as: { token?: string } = {}) {
  const config = new KubeConfig();
  config.loadFromFile(kubeconfig);
  const cluster = config.getCurrentCluster();
  const user = config.getCurrentUser();
  if (!cluster || !user) throw new Error(`${kubeconfig} has no current context`);
  const pem = (data: string | undefined) => (data === undefined ? undefined : Buffer.from(data, "base64"));
  const identity = as.token === undefined && user.certData ? { cert: pem(user.certData), key: pem(user.keyData) } : {};
  const token = as.token ?? user.token;
  const agent = new Agent({ keepAlive: true, maxSockets: 32, ca: pem(cluster.caData), ...identity });
  const kinds = new Map<string, { resource: string; namespaced: boolean }>();

  function open(method: string, path: string, o: CallOptions) {
    const query = new URLSearchParams(Object.entries(o.query ?? {}).map(([k, v]): [string, string] => [k, String(v)])).toString();
    const url = `${cluster?.server}${path}${query ? (path.includes("?") ? "&" : "?") + query : ""}`;
    const body = o.body === undefined ? undefined : typeof o.body === "string" ? o.body : JSON.stringify(o.body);
    const headers: Record<string, string> = { accept: o.accept ?? "application/json", ...o.headers };
    if (token !== undefined) headers["authorization"] = `Bearer ${token}`;
    if (body !== undefined) {
      headers["content-type"] = o.contentType ?? "application/json";
      headers["content-length"] = String(Buffer.byteLength(body)); // Node says no length of a DELETE's body by itself.
    }
    const req = request(url, { method, agent, headers });
    req.end(body);
    return req;
  }

  /** One exchange, whatever the status code. */
  function call(method: string, path: string, o: CallOptions = {}): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const req = open(method, path, o);
      req.setTimeout(o.timeoutMs ?? REQUEST_TIMEOUT_MS, () => req.destroy(new Error(`${method} ${path}: no answer in time`)));
      req.on("error", reject);
      req.on("response", (res) => {
        const chunks: Buffer[] = [];
        res.on("data", (d) => chunks.push(d));
        res.on("error", reject);
        res.on("end", () => resolve({ code: res.statusCode ?? 0, headers: res.headers, text: Buffer.concat(chunks).toString() }));
      });
    });
  }

  /** The answer's JSON; throws ApiError for a status code of 400 and more. */
  async function ask(method: string, path: string, o: CallOptions = {}): Promise<Json> {
    const a = await call(method, path, o);
    let json: Json = a.text;
    if (String(a.headers["content-type"]).includes("json")) json = JSON.parse(a.text);
    if (a.code >= 400) throw new ApiError(`${method} ${path}`, a.code, json, a.headers);
    return json;
  }

  const groupPath = (apiVersion: string) => (apiVersion.includes("/") ? `/apis/${apiVersion}` : `/api/${apiVersion}`);

  async function kindOf(apiVersion: string, kind: string) {
    const known = kinds.get(`${apiVersion}/${kind}`);
    if (known) return known;
    const { resources } = await ask("GET", groupPath(apiVersion));
    for (const r of resources as { name: string; kind: string; namespaced: boolean }[])
      if (!r.name.includes("/")) kinds.set(`${apiVersion}/${r.kind}`, { resource: r.name, namespaced: r.namespaced });
    const found = kinds.get(`${apiVersion}/${kind}`);
    if (!found) throw new Error(`${apiVersion} serves no ${kind}`);
    return found;
  }

  /** The path of an object as it says itself, or of its collection (`collection`: for create). */
  async function pathOf(object: Json, collection = false): Promise<string> {
    const { resource, namespaced } = await kindOf(object.apiVersion, object.kind);
    const space = namespaced ? `/namespaces/${object.metadata.namespace}` : "";
    return `${groupPath(object.apiVersion)}${space}/${resource}${collection ? "" : `/${object.metadata.name}`}`;
  }

  return {
    call,
    ask,
    pathOf,
    get: (path: string, o?: CallOptions) => ask("GET", path, o),
    /** POST to the collection of the object's kind. */
    create: async (object: Json, o?: CallOptions) => ask("POST", await pathOf(object, true), { ...o, body: object }),
    /** PUT; `sub` is a subresource. */
    update: async (object: Json, sub = "", o?: CallOptions) =>
      ask("PUT", `${await pathOf(object)}${sub && `/${sub}`}`, { ...o, body: object }),
    patch: (path: string, patch: unknown, type: keyof typeof PATCH_TYPES = "merge", o?: CallOptions) =>
      ask("PATCH", path, { ...o, body: patch, contentType: PATCH_TYPES[type] }),
    /** DELETE with DeleteOptions as body. */
    delete: (path: string, options: Json = {}, o?: CallOptions) => ask("DELETE", path, { ...o, body: { ...options } }),
    /** The object, or undefined when there is none. */
    find: async (path: string): Promise<Json | undefined> => {
      try {
        return await ask("GET", path);
      } catch (e) {
        if (e instanceof ApiError && e.code === 404) return undefined;
        throw e;
      }
    },
    /** Events of a watch of a collection as they come; break out of the loop, or `signal`, ends it. */
    async *watch(path: string, o: CallOptions & { signal?: AbortSignal } = {}): AsyncGenerator<WatchEvent> {
      const req = open("GET", path, { ...o, query: { ...o.query, watch: true } });
      o.signal?.addEventListener("abort", () => req.destroy());
      try {
        const res = await new Promise<import("node:http").IncomingMessage>((resolve, reject) =>
          req.on("response", resolve).on("error", reject),
        );
        let rest = "";
        for await (const chunk of res.setEncoding("utf8")) {
          const lines = (rest + chunk).split("\n");
          rest = lines.pop() as string;
          if ((res.statusCode ?? 0) >= 400) continue;
          for (const line of lines) if (line) yield JSON.parse(line);
        }
        if ((res.statusCode ?? 0) >= 400) throw new ApiError(`watch ${path}`, res.statusCode ?? 0, JSON.parse(rest), res.headers);
      } catch (e) {
        if (!o.signal?.aborted) throw e;
      } finally {
        req.destroy();
      }
    },
    close: () => agent.destroy(),
  };
}
