// What carries the wire's messages: the bus itself (memory, or a server that wants TLS), or a lean connection of its own
// (nats-link.ts). Invariant: a buffer that was handed over is not changed until it is released.
import type { Clock } from "@podwire/base";
import type { Bus } from "./bus.ts";

export interface WireLinkHandlers {
  /** A message for this port. `source` is the last token of its subject; `data` is valid during the callback. */
  onMessage(source: string, data: Uint8Array): void;
  /** A message that was larger than any batch, and was skipped. */
  onOversize(): void;
}

export interface WireLink {
  /** What stands before each message of a destination in its buffer; empty when the link frames messages itself. */
  preamble(subject: string): Uint8Array;
  /**
   * Sends a finished batch (preamble, payload, trailer as `preamble` made them necessary). False: it was not taken, because
   * there is no connection or too much waits already; the buffer is then free at once. Else `released` is called when it is.
   */
  send(subject: string, message: Uint8Array, released: () => void): boolean;
  /** Messages that are sent between these two may leave together. */
  cork(): void;
  uncork(): void;
  /** Resolves when the link has been usable once. */
  readonly ready: Promise<void>;
  close(): void;
}

/** The wire on an ordinary bus. */
export function busLink(bus: Bus, subscribeTo: string, clock: Clock, handlers: WireLinkHandlers): WireLink {
  let connected = true;
  const subscriptions = [
    bus.subscribe(subscribeTo, (m) => handlers.onMessage(m.subject.slice(m.subject.lastIndexOf(".") + 1), m.data)),
    bus.onStatus((s) => {
      if (s === "disconnected") connected = false;
      else if (s === "connected") connected = true;
    }),
  ];
  return {
    preamble: () => new Uint8Array(0),
    send(subject, message, released) {
      if (!connected) return false;
      bus.publish(subject, message);
      clock.soon(released); // the bus may read the buffer until the next turn
      return true;
    },
    cork() {},
    uncork() {},
    ready: Promise.resolve(),
    close() {
      for (const s of subscriptions) s.unsubscribe();
    },
  };
}
