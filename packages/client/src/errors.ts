// Errors of the API as a client sees them: the Status that the server answered, or why there was no answer.
import { PodwireError } from "@podwire/base";

/** A Kubernetes Status object of kind Failure. */
export interface StatusBody {
  kind?: string;
  status?: string;
  message?: string;
  reason?: string;
  code?: number;
  details?: {
    name?: string;
    group?: string;
    kind?: string;
    causes?: { reason?: string; message?: string; field?: string }[];
    retryAfterSeconds?: number;
  };
}

/** The server answered with a failure. `reason` is Kubernetes' (NotFound, Conflict, AlreadyExists, Expired, ...). */
export class ApiError extends PodwireError {
  readonly code: number;
  readonly reason: string;
  readonly status: StatusBody;
  /** What the server asked to wait before trying again; undefined when it did not say. */
  readonly retryAfterMs: number | undefined;
  constructor(code: number, status: StatusBody, what: string, retryAfterMs?: number) {
    super(status.message ?? `${what}: HTTP ${code}`);
    this.code = code;
    this.reason = status.reason ?? "";
    this.status = status;
    this.retryAfterMs = retryAfterMs ?? (status.details?.retryAfterSeconds ? status.details.retryAfterSeconds * 1000 : undefined);
  }
}

/** No usable answer came: connection refused, broken or timed out. The request may or may not have taken effect. */
export class ApiUnreachableError extends PodwireError {}

/** The server answered something that is not the API's. */
export class ApiProtocolError extends PodwireError {}

const is = (e: unknown, code: number, reason?: string) =>
  e instanceof ApiError && e.code === code && (reason === undefined || e.reason === reason);

/** 404: there is no such object (or resource). */
export const isNotFound = (e: unknown): boolean => is(e, 404);
/** 409: another writer came between; read again and redo. */
export const isConflict = (e: unknown): boolean => is(e, 409, "Conflict");
/** 409 of a create: the name is taken. */
export const isAlreadyExists = (e: unknown): boolean => is(e, 409, "AlreadyExists");
/** 410: the revision or continue token is gone; list again. */
export const isExpired = (e: unknown): boolean => is(e, 410);
/** 422: the object breaks a rule; trying again does not help. */
export const isInvalid = (e: unknown): boolean => is(e, 422);
/** 403: not allowed, or refused by admission. */
export const isForbidden = (e: unknown): boolean => is(e, 403);
/** 429: busy, or an eviction that a budget does not allow now. */
export const isTooManyRequests = (e: unknown): boolean => is(e, 429);

/** The namespace is being deleted: nothing can be created there and trying again does not help (cause NamespaceTerminating). */
export function isNamespaceTerminating(e: unknown): boolean {
  return is(e, 403) && ((e as ApiError).status.details?.causes ?? []).some((c) => c.reason === "NamespaceTerminating");
}
