// GET of one object that can be answered before the call returns: the cache is known to be as fresh as the store, and nothing has to be
// waited for. Half of what a cluster asks for is this, and the promises of the long way cost more than the answer.
// Invariant: what is answered here is what the long way would answer; `undefined` (anything unusual, any refusal) means: take that one.
import type { Aggregator } from "../aggregation/aggregator.ts";
import { impersonates } from "../authentication/impersonation.ts";
import type { Api, ApiRequest, ApiResponse, User } from "../call.ts";
import { type FlowControl, markFlow } from "../flowcontrol/flow-control.ts";
import type { MaxInFlight } from "../flowcontrol/max-in-flight.ts";
import { negotiate } from "../request/accept.ts";
import { parseRequest, type RequestInfo } from "../request/request-info.ts";
import type { Served } from "../resources/catalogue.ts";
import { objectResponse } from "../response.ts";
import { type Route, route } from "../routing.ts";

/** Limits of who is served at once. */
export interface Turns {
  flowControl?: FlowControl;
  maxInFlight?: MaxInFlight;
}

export interface AnsweredNow {
  info: RequestInfo;
  response: ApiResponse;
}

export function readNow(api: Api, turns: Turns, aggregator: Aggregator | undefined, request: ApiRequest, user: User) {
  const { path, headers } = request;
  if (request.method !== "GET" || path.includes("?") || !api.cache.isFresh || impersonates(headers)) return undefined;
  const info = parseRequest("GET", path);
  if (info.verb !== "get" || !info.isResource || info.subresource !== "" || aggregator?.serves(path)) return undefined;
  if (!isAllowed(api, info, user)) return undefined;
  const r = routed(api, info);
  if (r?.verb !== "get" || !isPlain(api, r.served)) return undefined;
  const accept = headers["accept"];
  if (accept !== undefined && accept !== "application/json" && accept !== "*/*") return undefined;
  const o = api.cache.of(r.served.storage.group, r.served.storage.resource).get(r.namespace, r.name);
  if (!o) return undefined;
  const flow = turns.flowControl?.classify(info, user);
  if (flow ? !turns.flowControl?.pass(flow) : turns.maxInFlight && !passes(turns.maxInFlight, info, user)) return undefined;
  const response = objectResponse(200, o, r.served, negotiate(undefined), 0);
  if (flow) markFlow(response, flow);
  return { info, response } satisfies AnsweredNow;
}

function isAllowed(api: Api, info: RequestInfo, user: User): boolean {
  const { verb, isResource, group, version, resource, subresource, namespace, name, path } = info;
  return api.authorizer.authorize({ user, verb, isResource, group, version, resource, subresource, namespace, name, path }).allowed;
}

function routed(api: Api, info: RequestInfo): Route | undefined {
  try {
    return route("GET", info, api.catalogue);
  } catch {
    return undefined; // A refusal: the long way says which.
  }
}

/** Whether objects are answered as they lie in the cache, without a warning. */
function isPlain(api: Api, served: Served): boolean {
  if (served.prepare || served.custom?.warning) return false;
  const { group, resource, groupResource } = served.info;
  return !(group === "" && (resource === "endpoints" || resource === "componentstatuses")) && !api.virtual.has(groupResource);
}

function passes(limit: MaxInFlight, info: RequestInfo, user: User): boolean {
  const leave = limit.enter(info, user);
  leave?.();
  return leave !== undefined;
}
