// The timers of a connection: one for the send side (SYN, RTO, tail loss probe, reordering, persist: never two at once, RFC 8985
// 7.2), delayed ACK, keep-alive, and the end of FIN-WAIT-2 and TIME-WAIT. The owner asks nextTimer and calls fireTimers then.
// Invariant: every retry is counted and bounded by the configuration.
import { backedOff, onTimeout } from "./congestion.ts";
import { type Connection, finish } from "./connection.ts";
import { markAllLost, probeAllowed, probeTimeout, rackDetect } from "./recovery.ts";
import { Mark } from "./scoreboard.ts";

const NEVER = Number.POSITIVE_INFINITY;

/** When fireTimers has something to do; Infinity when never. */
export function nextTimer(c: Connection): number {
  return Math.min(c.sendTimerAtMs, c.delayedAckAtMs, c.keepAliveAtMs, c.lingerAtMs);
}

/** Does what is due at `nowMs`. Call transmit afterwards. */
export function fireTimers(c: Connection, nowMs: number): void {
  if (nowMs >= c.delayedAckAtMs) {
    c.delayedAckAtMs = NEVER;
    c.ackNow = true;
  }
  if (nowMs >= c.sendTimerAtMs) fireSendTimer(c, nowMs);
  if (nowMs >= c.keepAliveAtMs) fireKeepAlive(c, nowMs);
  if (nowMs >= c.lingerAtMs) {
    // TIME-WAIT and an orphan's FIN-WAIT-2 end without a word.
    if (c.state === "timeWait") {
      c.state = "closed";
      c.lingerAtMs = NEVER;
      c.events |= 16;
    } else finish(c, "");
  }
}

function fireSendTimer(c: Connection, nowMs: number): void {
  const which = c.sendTimer;
  c.sendTimer = "none";
  c.sendTimerAtMs = NEVER;
  switch (which) {
    case "none":
      return;
    case "syn": {
      const limit = c.state === "synSent" ? c.config.synRetries : c.config.synAckRetries;
      if (c.backoff >= limit) {
        finish(c, "ETIMEDOUT");
        return;
      }
      c.backoff++;
      c.synDue = true;
      c.synRetransmitted = true;
      c.retransmits++;
      return;
    }
    case "rto":
      if (c.sent.head === null) return;
      if (c.backoff >= c.config.dataRetries) {
        finish(c, "ETIMEDOUT");
        return;
      }
      c.timeouts++;
      markAllLost(c);
      onTimeout(c);
      c.backoff++;
      c.probeOut = false;
      return;
    case "reorder": {
      const waitMs = rackDetect(c, nowMs);
      if (waitMs > 0) setSendTimer(c, "reorder", nowMs + waitMs);
      else armRetransmit(c, nowMs);
      return;
    }
    case "probe":
      c.probeDue = true;
      return;
    case "persist":
      if (c.backoff >= c.config.dataRetries) {
        finish(c, "ETIMEDOUT");
        return;
      }
      c.backoff++;
      c.probeDue = true;
      return;
  }
}

export function setSendTimer(c: Connection, which: Connection["sendTimer"], atMs: number): void {
  c.sendTimer = which;
  c.sendTimerAtMs = atMs;
}

/** Arms what guards the data under way: a probe when one is allowed and due before the timeout, else the timeout itself. */
export function armRetransmit(c: Connection, nowMs: number): void {
  if (c.sent.head === null) {
    if (c.sendTimer !== "persist") setSendTimer(c, "none", NEVER);
    return;
  }
  const rto = backedOff(c);
  // The probe always gets its chance before the timeout, which costs the whole window (RFC 8985 7.2).
  if (probeAllowed(c)) setSendTimer(c, "probe", nowMs + Math.min(probeTimeout(c), rto));
  else setSendTimer(c, "rto", nowMs + rto);
}

/** Keep-alive runs on an idle, synchronized connection only (RFC 9293 3.8.4). */
export function armKeepAlive(c: Connection, nowMs: number): void {
  c.keepAliveAtMs = c.keepAlive && c.synchronized && c.state !== "timeWait" ? nowMs + c.keepAliveIdleMs : NEVER;
}

function fireKeepAlive(c: Connection, nowMs: number): void {
  const idle = nowMs - c.lastReceivedMs;
  if (c.sent.head !== null || (idle < c.keepAliveIdleMs && c.keepAlivesSent === 0)) {
    // Data under way has timers of its own; otherwise wait for the rest of the idle time.
    c.keepAliveAtMs = (c.sent.head !== null ? nowMs : c.lastReceivedMs) + c.keepAliveIdleMs;
    return;
  }
  if (c.keepAlivesSent >= c.config.keepAliveProbes) {
    finish(c, "ETIMEDOUT");
    return;
  }
  c.keepAlivesSent++;
  c.probeDue = true;
  c.keepAliveAtMs = nowMs + c.config.keepAliveIntervalMs;
}

/** The last transmission that the peer has not reported: what a tail loss probe repeats. */
export function lastUnreported(c: Connection) {
  for (let s = c.sent.tail; s !== null; s = s.prev) if (!(s.marks & Mark.SACKED)) return s;
  return null;
}
