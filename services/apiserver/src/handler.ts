// The request pipeline, free of transports: route, authorize, admit, store, answer. `handle` never throws: everything that goes wrong
// becomes a Status. Invariant: what is not authorized is not read, not even to find out whether it exists.
import { forbiddenReason, StatusError, statusErrors } from "@podwire/api";
import type { Aggregator } from "./aggregation/aggregator.ts";
import type { Auditor, AuditRecord } from "./audit/audit.ts";
import { ImpersonationError, impersonated } from "./authentication/impersonation.ts";
import type { Api, ApiRequest, ApiResponse, Call, User } from "./call.ts";
import type { Discovery } from "./discovery/discovery.ts";
import type { Health } from "./discovery/health.ts";
import { type FlowControl, markFlow, tooManyRequests } from "./flowcontrol/flow-control.ts";
import type { MaxInFlight } from "./flowcontrol/max-in-flight.ts";
import { negotiate, type Output } from "./request/accept.ts";
import { type Deadlines, isLongRunning } from "./request/deadlines.ts";
import { nameInFieldSelector, parseRequest, type RequestInfo } from "./request/request-info.ts";
import { errorResponse, textResponse } from "./response.ts";
import { type Route, route } from "./routing.ts";
import { subresource } from "./subresources/subresources.ts";
import { virtualResource } from "./subresources/virtual.ts";
import { create } from "./verbs/create.ts";
import { remove, removeCollection } from "./verbs/delete.ts";
import { get } from "./verbs/get.ts";
import { list } from "./verbs/list.ts";
import { patch } from "./verbs/patch.ts";
import { readNow, type Turns } from "./verbs/read-now.ts";
import { update } from "./verbs/update.ts";
import { watch } from "./verbs/watch.ts";

/** Bodies beyond this are refused with 413 (the transports stop reading there). */
export const MAX_BODY_BYTES = 3 * 1024 * 1024;

export interface RequestCounters {
  requests: Map<string, number>;
  inFlight: number;
  watches: number;
}

/** Answers paths outside the API groups' resources; undefined: not mine. */
export type PathHandler = (info: RequestInfo, request: ApiRequest, user: User) => ApiResponse | Promise<ApiResponse> | undefined;

export class Handler {
  readonly #api: Api;
  readonly #discovery: Discovery;
  readonly #health: Health;
  readonly #paths: readonly PathHandler[];
  readonly #aggregator: Aggregator | undefined;
  readonly #auditor: Auditor | undefined;
  readonly #flowControl: FlowControl | undefined;
  readonly #maxInFlight: MaxInFlight | undefined;
  readonly #deadlines: Deadlines;
  readonly #turns: Turns;
  readonly counters: RequestCounters = { requests: new Map(), inFlight: 0, watches: 0 };

  constructor(
    api: Api,
    parts: {
      discovery: Discovery;
      health: Health;
      paths?: readonly PathHandler[];
      aggregator?: Aggregator;
      auditor?: Auditor | undefined;
      deadlines: Deadlines;
      /** One of them limits who is served at once; with neither nobody waits. */
      flowControl?: FlowControl;
      maxInFlight?: MaxInFlight;
    },
  ) {
    this.#api = api;
    this.#aggregator = parts.aggregator;
    this.#discovery = parts.discovery;
    this.#health = parts.health;
    this.#paths = parts.paths ?? [];
    this.#auditor = parts.auditor;
    this.#deadlines = parts.deadlines;
    this.#turns = parts;
    this.#flowControl = parts.flowControl;
    this.#maxInFlight = parts.maxInFlight;
  }

  /** The answer where it is there at once; undefined: `handle`. */
  handleNow(request: ApiRequest, user: User): ApiResponse | undefined {
    if (this.#auditor) return undefined;
    try {
      const now = readNow(this.#api, this.#turns, this.#aggregator, request, user);
      if (now) this.#count(now.info, now.response);
      return now?.response;
    } catch (err) {
      this.#api.log.error({ err, path: request.path }, "an object could not be read at once");
      return undefined;
    }
  }

  /** Answers one request of an authenticated (or anonymous) user. */
  async handle(request: ApiRequest, user: User): Promise<ApiResponse> {
    const info = parseRequest(request.method, request.path);
    const warnings: string[] = [];
    const record = this.#auditor?.begin(request, info, user);
    record?.received();
    this.counters.inFlight++;
    let response: ApiResponse;
    try {
      response = await this.#deadlines.guard(info, () => this.#inTurn(request, info, user, warnings, record));
    } catch (e) {
      response = this.#failure(e, request, info);
    } finally {
      this.counters.inFlight--;
    }
    this.#count(info, response);
    if (warnings.length > 0) response.headers["warning"] = warnings.map((w) => `299 - ${quoted(w)}`);
    if (record) {
      response.headers["audit-id"] = record.id;
      record.answered(response);
    }
    return response;
  }

  #count(info: RequestInfo, response: ApiResponse): void {
    const key = `${info.verb} ${info.resource || "-"} ${response.status}`;
    this.counters.requests.set(key, (this.counters.requests.get(key) ?? 0) + 1);
  }

  /** A request whose credentials were refused, for the audit trail. */
  refused(request: ApiRequest, response: ApiResponse): void {
    this.#auditor?.begin(request, parseRequest(request.method, request.path), NOBODY)?.answered(response);
  }

  #failure(e: unknown, request: ApiRequest, info: RequestInfo): ApiResponse {
    if (!(e instanceof StatusError))
      this.#api.log.error({ err: e, method: request.method, path: info.path }, "a request failed inside the server");
    if (e instanceof ImpersonationError) return textResponse(500, `Internal Server Error: ${JSON.stringify(request.path)}: ${e.message}\n`);
    return errorResponse(e);
  }

  /** Serves the request when its user's turn has come; who cannot wait any longer gets 429. */
  async #inTurn(
    request: ApiRequest,
    info: RequestInfo,
    authenticated: User,
    warnings: string[],
    record: AuditRecord | undefined,
  ): Promise<ApiResponse> {
    const user = impersonated(this.#api, request, authenticated);
    if (user !== authenticated) record?.impersonated(user);
    // What goes on for long holds no seat; a watch holds one until it has begun.
    if (isLongRunning(info) && info.verb !== "watch") return this.#answer(request, info, user, warnings, record);
    const control = this.#flowControl;
    if (!control) {
      const leave = this.#maxInFlight?.enter(info, user);
      if (this.#maxInFlight && !leave) return tooManyRequests();
      try {
        return await this.#answer(request, info, user, warnings, record);
      } finally {
        leave?.();
      }
    }
    const flow = control.classify(info, user);
    const entered = control.enter(flow, info);
    let response: ApiResponse;
    if (entered === true || (await entered)) {
      try {
        response = await this.#answer(request, info, user, warnings, record);
      } catch (e) {
        response = this.#failure(e, request, info);
      } finally {
        control.leave(flow);
      }
    } else response = tooManyRequests();
    markFlow(response, flow);
    return response;
  }

  async #answer(
    request: ApiRequest,
    info: RequestInfo,
    user: User,
    warnings: string[],
    record: AuditRecord | undefined,
  ): Promise<ApiResponse> {
    this.#authorize(info, user, record);
    const forwarded = this.#aggregator?.forward(request, info.path, user);
    if (forwarded) return forwarded;
    if (!info.isResource) return this.#nonResource(request, info, user);
    if (!METHODS.has(request.method) && !(info.subresource === "proxy" && PROXY_METHODS.has(request.method)))
      throw statusErrors.methodNotAllowed();
    const r = route(request.method, info, this.#api.catalogue);
    if (!r) return textResponse(404, "404 page not found\n");
    if (r.served.custom?.warning) warnings.push(r.served.custom.warning);
    const output = outputOf(request, info, r);
    const call: Call = {
      request,
      info,
      user,
      served: r.served,
      namespace: r.namespace,
      name: r.name,
      subresource: r.subresource,
      output,
      warnings,
      userAgent: text(request.headers["user-agent"]),
      ...(record ? { notes: record } : {}),
    };
    if (r.served.info.group === "" && r.served.info.resource === "endpoints")
      warnings.push("v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice");
    try {
      return await this.#verb(call, r);
    } catch (e) {
      if (e instanceof StatusError && output.encoding !== "json") return errorResponse(e, output);
      throw e;
    }
  }

  #verb(call: Call, r: Route): Promise<ApiResponse> {
    const api = this.#api;
    if (r.subresource !== "") return subresource(api, call, r);
    const virtual = virtualResource(api, call, r);
    if (virtual) return virtual;
    switch (r.verb) {
      case "get":
        return get(api, call);
      case "list":
        return list(api, call);
      case "watch":
        return watch(api, call);
      case "create":
        return create(api, call);
      case "update":
        return update(api, call);
      case "patch":
        return patch(api, call);
      case "delete":
        return remove(api, call);
      case "deletecollection":
        return removeCollection(api, call);
      default:
        throw statusErrors.methodNotAllowed();
    }
  }

  #authorize(info: RequestInfo, user: User, record: AuditRecord | undefined): void {
    const verb = info.verb;
    const decision = this.#api.authorizer.authorize({
      user,
      verb,
      isResource: info.isResource,
      group: info.group,
      version: info.version,
      resource: info.resource,
      subresource: info.subresource,
      namespace: info.namespace,
      name:
        info.name ||
        (info.isResource && (verb === "list" || verb === "watch" || verb === "deletecollection")
          ? (nameInFieldSelector(info.query.get("fieldSelector")) ?? "")
          : ""),
      path: info.path,
      ...selectorsOf(info),
    });
    record?.annotate("authorization.k8s.io/decision", decision.allowed ? "allow" : "forbid");
    record?.annotate("authorization.k8s.io/reason", decision.reason);
    if (decision.allowed) return;
    const why = forbiddenReason(
      info.isResource
        ? { user: user.name, verb, group: info.group, resource: info.resource, subresource: info.subresource, namespace: info.namespace }
        : { user: user.name, verb, path: info.path },
    );
    throw statusErrors.forbidden(
      { group: info.group, resource: info.resource },
      info.name,
      decision.reason ? `${why}: ${decision.reason}` : why,
    );
  }

  async #nonResource(request: ApiRequest, info: RequestInfo, user: User): Promise<ApiResponse> {
    for (const h of this.#paths) {
      const r = h(info, request, user);
      if (r) return r;
    }
    return (
      (await this.#health.answer(info)) ??
      this.#discovery.answer(info, text(request.headers["accept"]), request.method) ??
      textResponse(404, "404 page not found\n")
    );
  }
}

/** The selectors of a request for many objects, which authorizers may allow where they would not allow all. */
function selectorsOf(info: RequestInfo): { fieldSelector?: string; labelSelector?: string } {
  if (!info.isResource || !["list", "watch", "deletecollection"].includes(info.verb)) return {};
  const fieldSelector = info.query.get("fieldSelector");
  const labelSelector = info.query.get("labelSelector");
  return { ...(fieldSelector ? { fieldSelector } : {}), ...(labelSelector ? { labelSelector } : {}) };
}

const NOBODY: User = { name: "", groups: [] };
const METHODS = new Set(["GET", "POST", "PUT", "PATCH", "DELETE"]);
/** What a proxy passes on beside them. */
const PROXY_METHODS = new Set(["HEAD", "OPTIONS"]);

function outputOf(request: ApiRequest, info: RequestInfo, r: Route): Output {
  const accept = text(request.headers["accept"]);
  if (
    r.subresource === "log" ||
    r.subresource === "exec" ||
    r.subresource === "attach" ||
    r.subresource === "portforward" ||
    r.subresource === "proxy"
  )
    return negotiate(undefined);
  const output = negotiate(accept === "" ? undefined : accept, !r.served.custom);
  return info.query.get("pretty") === "true" ? { ...output, pretty: true } : output;
}

function text(v: string | string[] | undefined): string {
  return Array.isArray(v) ? v.join(",") : (v ?? "");
}

/** A warning as a quoted-string (RFC 9111) of UTF-8 bytes, one a character; control characters go. */
function quoted(w: string): string {
  const bytes = Buffer.from(w, "utf8").toString("latin1");
  return `"${bytes.replace(/[\u0000-\u001f\u007f]/g, " ").replace(/(["\\])/g, "\\$1")}"`;
}
