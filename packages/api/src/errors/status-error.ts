// Status: the answer of the API to anything that fails. Reasons, codes and sentences are those of apimachinery's
// api/errors package and of the apiserver's response writers (Kubernetes 1.34).
import { PodwireError } from "@podwire/base";
import type { Status, StatusCause, StatusDetails } from "../generated/types/index.ts";
import { groupResourceOf } from "../resources.ts";
import { errorBody, errorText, type FieldError } from "./field-error.ts";

export class StatusError extends PodwireError {
  readonly status: Status & { code: number };
  readonly code: number;
  constructor(code: number, reason: string, message: string, details?: StatusDetails, cause?: unknown) {
    super(message, { cause });
    this.code = code;
    this.status = { kind: "Status", apiVersion: "v1", metadata: {}, status: "Failure", message, code } as Status & { code: number };
    if (reason !== "") this.status.reason = reason;
    if (details !== undefined) this.status.details = details;
  }

  get reason(): string {
    return this.status.reason ?? "";
  }

  static is(e: unknown, reason: string): e is StatusError {
    return e instanceof StatusError && e.status.reason === reason;
  }
}

export interface GroupResource {
  readonly group: string;
  readonly resource: string;
}

export interface GroupKind {
  readonly group: string;
  readonly kind: string;
}

export const OBJECT_WAS_MODIFIED = "the object has been modified; please apply your changes to the latest version and try again";

const text = (gr: GroupResource): string => groupResourceOf(gr.group, gr.resource);

function details(group: string, kind: string, name: string, rest: Partial<StatusDetails> = {}): StatusDetails {
  const d: StatusDetails = {};
  if (name !== "") d.name = name;
  if (group !== "") d.group = group;
  if (kind !== "") d.kind = kind;
  return Object.assign(d, rest);
}

/** One message of many errors: the message itself, or "[a, b]" without repetitions. */
export function aggregate(messages: readonly string[]): string {
  const unique = [...new Set(messages)];
  return unique.length === 1 ? unique[0]! : `[${unique.join(", ")}]`;
}

export const statusErrors = {
  notFound: (gr: GroupResource, name: string) =>
    new StatusError(404, "NotFound", `${text(gr)} "${name}" not found`, details(gr.group, gr.resource, name)),

  genericNotFound: () => new StatusError(404, "NotFound", "the server could not find the requested resource", {}),

  alreadyExists: (gr: GroupResource, name: string) =>
    new StatusError(409, "AlreadyExists", `${text(gr)} "${name}" already exists`, details(gr.group, gr.resource, name)),

  /** 409 that tells the client to try another generated name. */
  generateNameConflict: (gr: GroupResource, name: string, retryAfterSeconds: number) =>
    new StatusError(
      409,
      "AlreadyExists",
      `${text(gr)} "${name}" already exists, the server was not able to generate a unique name for the object`,
      details(gr.group, gr.resource, name, { retryAfterSeconds }),
    ),

  conflict: (gr: GroupResource, name: string, why: string = OBJECT_WAS_MODIFIED) =>
    new StatusError(
      409,
      "Conflict",
      `Operation cannot be fulfilled on ${text(gr)} "${name}": ${why}`,
      details(gr.group, gr.resource, name),
    ),

  applyConflict: (message: string, causes: StatusCause[]) => new StatusError(409, "Conflict", message, { causes }),

  invalid: (gk: GroupKind, name: string, errors: readonly FieldError[]) => {
    const causes: StatusCause[] = errors.map((e) => ({ reason: e.type, message: errorBody(e), field: e.field === "" ? "<nil>" : e.field }));
    const what = gk.group === "" ? gk.kind : `${gk.kind}.${gk.group}`;
    const why = errors.length === 0 ? "" : `: ${aggregate(errors.map(errorText))}`;
    return new StatusError(
      422,
      "Invalid",
      `${what} ${JSON.stringify(name)} is invalid${why}`,
      details(gk.group, gk.kind, name, causes.length ? { causes } : {}),
    );
  },

  badRequest: (message: string) => new StatusError(400, "BadRequest", message),

  unauthorized: (message = "Unauthorized") => new StatusError(401, "Unauthorized", message),

  forbidden: (gr: GroupResource, name: string, why: string) => {
    let message = `forbidden: ${why}`;
    if (gr.resource !== "") message = name === "" ? `${text(gr)} is forbidden: ${why}` : `${text(gr)} "${name}" is forbidden: ${why}`;
    return new StatusError(403, "Forbidden", message, details(gr.group, gr.resource, name));
  },

  methodNotSupported: (gr: GroupResource, action: string) =>
    new StatusError(
      405,
      "MethodNotAllowed",
      `${action} is not supported on resources of kind "${text(gr)}"`,
      details(gr.group, gr.resource, ""),
    ),

  methodNotAllowed: () => new StatusError(405, "MethodNotAllowed", "the server does not allow this method on the requested resource", {}),

  unsupportedMediaType: (accepted: readonly string[]) =>
    new StatusError(
      415,
      "UnsupportedMediaType",
      `the body of the request was in an unknown format - accepted media types include: ${accepted.join(", ")}`,
    ),

  notAcceptable: (accepted: readonly string[]) =>
    new StatusError(406, "NotAcceptable", `only the following media types are accepted: ${accepted.join(", ")}`),

  /** A list or watch that starts before the history that is kept. */
  expired: (message: string) => new StatusError(410, "Expired", message),

  gone: (message: string) => new StatusError(410, "Gone", message),

  tooLargeResourceVersion: (requested: number | bigint, current: number | bigint, retryAfterSeconds = 1) =>
    new StatusError(504, "Timeout", `Timeout: Too large resource version: ${requested}, current: ${current}`, {
      causes: [{ reason: "ResourceVersionTooLarge", message: "Too large resource version" }],
      retryAfterSeconds,
    }),

  timeout: (message: string, retryAfterSeconds = 0) =>
    new StatusError(504, "Timeout", `Timeout: ${message}`, retryAfterSeconds > 0 ? { retryAfterSeconds } : {}),

  serverTimeout: (gr: GroupResource, operation: string, retryAfterSeconds: number) =>
    new StatusError(
      500,
      "ServerTimeout",
      `The ${operation} operation against ${text(gr)} could not be completed at this time, please try again.`,
      details(gr.group, gr.resource, operation, { retryAfterSeconds }),
    ),

  tooManyRequests: (message: string, retryAfterSeconds: number, causes?: StatusCause[]) =>
    new StatusError(429, "TooManyRequests", message, {
      ...(causes ? { causes } : {}),
      ...(retryAfterSeconds > 0 ? { retryAfterSeconds } : {}),
    }),

  internal: (message: string, cause?: unknown) =>
    new StatusError(500, "InternalError", `Internal error occurred: ${message}`, { causes: [{ message }] }, cause),

  serviceUnavailable: (message: string) => new StatusError(503, "ServiceUnavailable", message),

  requestEntityTooLarge: (message: string) => new StatusError(413, "RequestEntityTooLarge", `Request entity too large: ${message}`),
};

/** The sentence that the authorizer's refusal puts after "is forbidden: ". `path` is for requests outside resources. */
export function forbiddenReason(r: {
  user: string;
  verb: string;
  group?: string;
  resource?: string;
  subresource?: string;
  namespace?: string;
  path?: string;
}): string {
  const user = JSON.stringify(r.user);
  if (r.path !== undefined) return `User ${user} cannot ${r.verb} path ${JSON.stringify(r.path)}`;
  const resource = r.subresource ? `${r.resource}/${r.subresource}` : r.resource;
  const where = r.namespace ? ` in the namespace ${JSON.stringify(r.namespace)}` : " at the cluster scope";
  return `User ${user} cannot ${r.verb} resource ${JSON.stringify(resource)} in API group ${JSON.stringify(r.group ?? "")}${where}`;
}
