// The audit trail: one event for each stage of a request that the policy asks for (audit.k8s.io/v1 Event, apiserver/pkg/audit).
// Invariant: what the level does not cover is never put into an event, so that nothing secret can slip out through a sink.

import { decodeProtobuf, isProtobuf, mediaType, parseYaml } from "@podwire/api";
import type { Clock, Random } from "@podwire/base";
import type { ApiRequest, ApiResponse, User } from "../call.ts";
import type { RequestInfo } from "../request/request-info.ts";
import { bytesOf } from "../response.ts";
import { userInfo } from "../subresources/user-info.ts";
import type { AuditDecision, AuditPolicy, Stage } from "./policy.ts";

export interface AuditSink {
  /** Takes one event; must not throw. */
  write(event: Record<string, unknown>): void;
  close(): Promise<void>;
}

/** What the parts of a request may add to its event. */
export interface AuditNotes {
  annotate(key: string, value: string): void;
}

/** Annotations of one event; more are dropped. */
const MAX_ANNOTATIONS = 256;

export class Auditor {
  readonly #policy: AuditPolicy;
  readonly #sinks: readonly AuditSink[];
  readonly #clock: Clock;
  readonly #random: Random;

  constructor(o: { policy: AuditPolicy; sinks: readonly AuditSink[]; clock: Clock; random: Random }) {
    this.#policy = o.policy;
    this.#sinks = o.sinks;
    this.#clock = o.clock;
    this.#random = o.random;
  }

  /** Begins the record of a request, with its first stage; undefined: not to be recorded. */
  begin(request: ApiRequest, info: RequestInfo, user: User): AuditRecord | undefined {
    const decision = this.#policy.decide({
      user,
      verb: info.verb,
      isResource: info.isResource,
      group: info.group,
      resource: info.resource,
      subresource: info.subresource,
      namespace: info.namespace,
      name: info.name,
      path: info.path,
    });
    if (decision.level === "None") return undefined;
    const record = new AuditRecord({
      decision,
      request,
      info,
      user,
      id: one(request.headers["audit-id"]) || this.#random.uuid(),
      nowMs: () => this.#clock.nowMs(),
      send: (event) => {
        for (const s of this.#sinks) s.write(event);
      },
    });
    record.stage("RequestReceived");
    return record;
  }

  async close(): Promise<void> {
    await Promise.all(this.#sinks.map((s) => s.close()));
  }
}

interface RecordOptions {
  decision: AuditDecision;
  request: ApiRequest;
  info: RequestInfo;
  user: User;
  id: string;
  nowMs(): number;
  send(event: Record<string, unknown>): void;
}

export class AuditRecord implements AuditNotes {
  readonly id: string;
  readonly #o: RecordOptions;
  readonly #receivedMs: number;
  readonly #annotations: Record<string, string> = {};
  readonly #objectRef: Record<string, unknown> | undefined;
  #impersonated: User | undefined;
  #requestObject: unknown;

  constructor(o: RecordOptions) {
    this.#o = o;
    this.id = o.id;
    this.#receivedMs = o.nowMs();
    const { info } = o;
    if (!info.isResource) return;
    this.#objectRef = {
      ...(info.resource ? { resource: info.resource } : {}),
      ...(info.namespace ? { namespace: info.namespace } : {}),
      ...(info.name ? { name: info.name } : {}),
      ...(info.group ? { apiGroup: info.group } : {}),
      apiVersion: info.version,
      ...(info.subresource ? { subresource: info.subresource } : {}),
    };
  }

  annotate(key: string, value: string): void {
    if (key in this.#annotations || Object.keys(this.#annotations).length >= MAX_ANNOTATIONS) return;
    this.#annotations[key] = value;
  }

  impersonated(user: User): void {
    this.#impersonated = user;
  }

  /** Reads the body, for what the event tells of the object. */
  received(): void {
    const { request, decision } = this.#o;
    if (!request.body || !this.#objectRef) return;
    const object = bodyOf(request);
    if (typeof object !== "object" || object === null) return;
    const meta = (object as { metadata?: Record<string, unknown> }).metadata ?? {};
    for (const k of ["namespace", "name", "uid", "resourceVersion"]) if (!this.#objectRef[k] && meta[k]) this.#objectRef[k] = meta[k];
    if (decision.level === "Request" || decision.level === "RequestResponse") this.#requestObject = this.#shown(object);
  }

  stage(stage: Stage, response?: ApiResponse, status?: Record<string, unknown>): void {
    const { decision, request, info, user } = this.#o;
    if (decision.omitStages.has(stage)) return;
    const answered = response ? (status ?? this.#status(response)) : undefined;
    const responseObject =
      stage !== "ResponseComplete" || decision.level !== "RequestResponse" || !response ? undefined : jsonBody(response);
    this.#o.send({
      kind: "Event",
      apiVersion: "audit.k8s.io/v1",
      level: decision.level,
      auditID: this.id,
      stage,
      requestURI: request.path,
      verb: info.verb,
      user: userInfo(user),
      ...(this.#impersonated ? { impersonatedUser: userInfo(this.#impersonated) } : {}),
      sourceIPs: sourceAddresses(request),
      ...(request.headers["user-agent"] ? { userAgent: one(request.headers["user-agent"]) } : {}),
      ...(this.#objectRef ? { objectRef: { ...this.#objectRef } } : {}),
      ...(answered ? { responseStatus: answered } : {}),
      ...(this.#requestObject === undefined || stage === "RequestReceived" ? {} : { requestObject: this.#requestObject }),
      ...(responseObject === undefined ? {} : { responseObject: this.#shown(responseObject) }),
      requestReceivedTimestamp: microTime(this.#receivedMs),
      stageTimestamp: microTime(this.#o.nowMs()),
      ...(Object.keys(this.#annotations).length > 0 ? { annotations: { ...this.#annotations } } : {}),
    });
  }

  /** The last stages of an answer; a stream is complete when it ends. */
  answered(response: ApiResponse): void {
    const streams = response.stream ?? response.connection ?? response.portForward;
    this.stage(streams ? "ResponseStarted" : "ResponseComplete", response);
    const { stream } = response;
    if (stream) {
      response.stream = (sink) => {
        sink.onClose(() => this.stage("ResponseComplete", response));
        stream(sink);
      };
    }
  }

  #status(response: ApiResponse): Record<string, unknown> {
    const body = response.status >= 400 || this.#o.info.verb === "delete" ? jsonBody(response) : undefined;
    if (body?.["kind"] !== "Status") return { metadata: {}, code: response.status };
    const { status, message, reason, details } = body;
    return {
      metadata: {},
      ...(status ? { status } : {}),
      ...(message ? { message } : {}),
      ...(reason ? { reason } : {}),
      ...(details ? { details } : {}),
      code: response.status,
    };
  }

  #shown(object: unknown): unknown {
    if (!this.#o.decision.omitManagedFields) return object;
    const without = (o: any) => {
      if (!o?.metadata?.managedFields) return o;
      const { managedFields: _, ...metadata } = o.metadata;
      return { ...o, metadata };
    };
    const o = object as { items?: unknown[] };
    return Array.isArray(o.items) ? { ...o, items: o.items.map(without) } : without(o);
  }
}

function bodyOf(request: ApiRequest): unknown {
  const body = request.body as Uint8Array;
  try {
    if (isProtobuf(body)) return decodeProtobuf(body).object;
    if (/yaml/.test(mediaType(one(request.headers["content-type"])))) return parseYaml(body).value;
    return JSON.parse(Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString("utf8"));
  } catch {
    // What cannot be read is refused later; the event goes without it.
    return undefined;
  }
}

function jsonBody(response: ApiResponse): Record<string, unknown> | undefined {
  if (response.body === undefined) return undefined;
  try {
    const bytes = bytesOf(response.body);
    if (isProtobuf(bytes)) return decodeProtobuf(bytes).object;
    const value = JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8"));
    return typeof value === "object" && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}

/** The hops that the request names, and the peer. */
function sourceAddresses(request: ApiRequest): string[] {
  const out = many(request.headers["x-forwarded-for"]);
  const real = one(request.headers["x-real-ip"]);
  const peer = (request.sourceAddress ?? "").replace(/^::ffff:/, "");
  for (const a of [real, peer]) if (a && out.at(-1) !== a) out.push(a);
  return out;
}

function many(v: string | string[] | undefined): string[] {
  return (Array.isArray(v) ? v.join(",") : (v ?? ""))
    .split(",")
    .map((s) => s.trim())
    .filter((s) => s !== "");
}

function one(v: string | string[] | undefined): string {
  return (Array.isArray(v) ? v[0] : v) ?? "";
}

function microTime(ms: number): string {
  const text = new Date(ms).toISOString();
  return `${text.slice(0, 23)}000Z`;
}
