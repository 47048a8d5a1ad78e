// Where answers and stream frames come back: one wildcard subscription below this connection's inbox, and a table of who
// waits for which last token. Invariant: tokens are unguessable, so only who was told a reply subject can use it.
import type { BusMessage, Subscription, Transport } from "./transport.ts";

export interface Letterbox {
  readonly subject: string;
  close(): void;
}

export class Mailbox {
  private readonly transport: Transport;
  private readonly waiting = new Map<string, (m: BusMessage) => void>();
  private base = "";
  private subscription: Subscription | undefined;
  /** Messages for which nobody waits any more: late answers. */
  unclaimed = 0;
  onUnclaimed: ((m: BusMessage) => void) | undefined;

  constructor(transport: Transport) {
    this.transport = transport;
  }

  /** A fresh subject; what arrives on it goes to `onMessage` until it is closed. */
  open(onMessage: (m: BusMessage) => void): Letterbox {
    if (!this.subscription) {
      this.base = `${this.transport.newInbox()}.`;
      this.subscription = this.transport.subscribe(`${this.base}*`, (m) => this.dispatch(m));
    }
    const inbox = this.transport.newInbox();
    const token = inbox.slice(inbox.lastIndexOf(".") + 1);
    this.waiting.set(token, onMessage);
    return { subject: this.base + token, close: () => void this.waiting.delete(token) };
  }

  close(): void {
    this.subscription?.unsubscribe();
    this.waiting.clear();
  }

  private dispatch(m: BusMessage): void {
    const box = this.waiting.get(m.subject.slice(this.base.length));
    if (box) box(m);
    else {
      this.unclaimed++;
      this.onUnclaimed?.(m);
    }
  }
}
