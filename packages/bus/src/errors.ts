// Conditions of the bus, a class each. RemoteError is the only one that a peer caused on purpose.
import { PodwireError } from "@podwire/base";

/** No answer within the time that the caller gave. */
export class BusTimeoutError extends PodwireError {
  constructor(subject: string, timeoutMs: number) {
    super(`no answer on ${subject} within ${timeoutMs} ms`);
  }
}

/** Nobody listens on the subject. */
export class NoRespondersError extends PodwireError {
  constructor(subject: string) {
    super(`nobody answers on ${subject}`, { next: "podwire status" });
  }
}

/** The peer answered with a failure. `code` is machine readable. */
export class RemoteError extends PodwireError {
  readonly code: string;
  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

/** Bytes that are not a message of ours. */
export class MalformedError extends PodwireError {}

/** A message that does not fit the server's max_payload. */
export class PayloadTooLargeError extends PodwireError {
  constructor(what: string, sizeBytes: number, limitBytes: number) {
    super(`${what} has ${sizeBytes} bytes; the limit is ${limitBytes}`, { next: "raise max_payload of the nats-server" });
  }
}

/** The bus was closed by its owner. */
export class BusClosedError extends PodwireError {
  constructor() {
    super("the bus is closed");
  }
}

/** The connection was lost; what was under way may or may not have happened. */
export class DisconnectedError extends PodwireError {
  constructor() {
    super("the connection to the bus was lost");
  }
}
