// What services use: publish/subscribe of a Transport, plus request/reply and credit-based streams, all framed by msgpackr.
import type { BusMessage, BusStatus, Subscription, Transport } from "./transport.ts";

/** An error that a peer answered; `code` is machine readable ("no-responders", "timeout", "refused", ...). */
export interface RemoteFailure {
  code: string;
  message: string;
}

export interface RequestOptions {
  /** Default 30_000. */
  timeoutMs?: number;
  signal?: AbortSignal;
}

/**
 * A two-way stream with credit: a side may have at most `window` unacknowledged bytes under way, so a slow reader slows
 * the writer and nothing is dropped. Either side may end its half; `abort` ends both with an error.
 */
export interface BusStream {
  /** Resolves when there is credit again for more. Values are msgpackr-encodable; Uint8Array stays Uint8Array. */
  send(frame: unknown): Promise<void>;
  /** No more frames from this side. */
  end(): void;
  abort(error: RemoteFailure): void;
  /** One reader; frames that came before are delivered first. A returned promise delays the next frame (and the credit). */
  onFrame(cb: (frame: unknown) => void | Promise<void>): void;
  /** The peer ended its half. */
  onEnd(cb: () => void): void;
  /** Both halves are over, or the stream failed (error set: peer aborted, peer silent for too long, disconnected). */
  onClose(cb: (error: RemoteFailure | undefined) => void): void;
  readonly closed: boolean;
}

export interface Bus extends Transport {
  /** Sends `body` (msgpackr) and resolves with the answer; answers larger than the server's max_payload arrive in parts.
   *  Rejects with BusTimeoutError, NoRespondersError, RemoteError or the abort reason. */
  request(subject: string, body: unknown, opts?: RequestOptions): Promise<unknown>;
  /** Answers requests. A handler that throws answers a RemoteFailure {code: "internal"}; malformed bodies are counted and
   *  answered "malformed". `identity` is read from the subject's last token where the subject has one. */
  serve(
    subject: string,
    handler: (body: unknown, message: { subject: string }) => Promise<unknown>,
    opts?: { queue?: string },
  ): Subscription;
  /** Opens a stream: resolves when the peer accepted, rejects like `request` when it refused. */
  openStream(subject: string, open: unknown, opts?: RequestOptions & { windowBytes?: number }): Promise<BusStream>;
  /** Accepts streams. To refuse, throw before the first await (RemoteError keeps its code). */
  serveStreams(
    subject: string,
    handler: (open: unknown, stream: BusStream, message: { subject: string }) => void | Promise<void>,
    opts?: { queue?: string; windowBytes?: number },
  ): Subscription;
}

export type { BusMessage, BusStatus, Subscription, Transport };
