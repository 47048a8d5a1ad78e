// One request and its answer, as every HTTP version of the transport hands them on.
// Invariant: an answer is either sent whole or streamed, once.
import type { ApiRequest, ApiResponse, ResponseSink } from "../call.ts";

/** A request whose signal is made when somebody asks for it: most are answered before anybody could wait. */
export class HttpRequest implements ApiRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: ApiRequest["headers"];
  readonly sourceAddress: string;
  body?: Uint8Array;
  #gone: AbortController | undefined;
  #over = false;

  constructor(method: string, path: string, headers: ApiRequest["headers"], sourceAddress: string) {
    this.method = method;
    this.path = path;
    this.headers = headers;
    this.sourceAddress = sourceAddress;
  }

  get signal(): AbortSignal {
    if (!this.#gone) {
      this.#gone = new AbortController();
      if (this.#over) this.#gone.abort();
    }
    return this.#gone.signal;
  }

  /** The exchange has ended, answered or not. */
  over(): void {
    this.#over = true;
    this.#gone?.abort();
  }
}

/** The way back of one exchange. */
export interface Out {
  /** The body in pieces. */
  send(r: ApiResponse, pieces: readonly Uint8Array[]): void;
  stream(r: ApiResponse): ResponseSink;
}

export const NO_BODY = new Uint8Array(0);
