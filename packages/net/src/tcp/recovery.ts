// Loss detection by time (RACK) and the tail loss probe (TLP), RFC 8985; by three duplicate acknowledgements where the peer has
// no SACK (RFC 6582). Invariant: a segment is marked lost only when a later-sent one was delivered, or its timer ran out.
import { enterRecovery } from "./congestion.ts";
import type { Connection } from "./connection.ts";
import { Mark, type Sent } from "./scoreboard.ts";
import { after, before, beforeOrAt, distance } from "./sequence.ts";

const DUPLICATE_THRESHOLD = 3;
/** A probe never goes out sooner: below it event loops, not paths, are measured. */
const MIN_PROBE_MS = 10;
/** Longest delayed acknowledgement expected of a peer (RFC 8985 7.2 WCDelAckT; Linux 40 ms). */
const PEER_DELAYED_ACK_MS = 45;
/** RFC 8985 6.2 step 4: rounds for which a widened reordering window is kept. */
const REORDER_PERSIST = 16;

/** RFC 8985 6.2 step 2: `s` was delivered just now. */
export function rackDelivered(c: Connection, s: Sent, nowMs: number): void {
  const rtt = nowMs - s.sentAtMs;
  // A retransmission answered faster than any round trip: the original was delivered, not it.
  if (s.marks & Mark.RETRANSMITTED && rtt < c.minRttMs) return;
  c.rackRttMs = rtt;
  if (s.sentAtMs > c.rackSentAtMs || (s.sentAtMs === c.rackSentAtMs && after(s.end, c.rackEnd))) {
    c.rackSentAtMs = s.sentAtMs;
    c.rackEnd = s.end;
  }
}

/** RFC 8985 6.2 step 3: something below what was already delivered arrives without having been sent again. */
export function rackNoteReordering(c: Connection, s: Sent): void {
  if (before(s.end, c.highestSacked) && !(s.marks & Mark.RETRANSMITTED)) c.reorderingSeen = true;
}

/** A DSACK block says that a retransmission was needless: widen the window, once a round trip. */
export function rackSpurious(c: Connection): void {
  if (c.dsackRoundSet && before(c.una, c.dsackRound)) return;
  c.dsackRoundSet = true;
  c.dsackRound = c.nxt;
  c.reorderMultiplier = Math.min(c.reorderMultiplier + 1, 64);
  c.reorderPersist = REORDER_PERSIST;
}

/** Recovery ended: the widened window fades. */
export function rackRecovered(c: Connection): void {
  if (c.reorderPersist > 0 && --c.reorderPersist === 0) c.reorderMultiplier = 1;
}

function reorderWindow(c: Connection): number {
  if (!c.reorderingSeen && (c.recovery !== "open" || c.sent.sackedBytes > (DUPLICATE_THRESHOLD - 1) * c.payloadMax)) return 0;
  return Math.min((c.reorderMultiplier * Math.min(c.minRttMs, 1000)) / 4, c.srttMs);
}

/** RFC 8985 6.2 step 5. Marks losses; returns how long until the next segment would be due, 0 when none waits. */
export function rackDetect(c: Connection, nowMs: number): number {
  if (c.rackSentAtMs === Number.NEGATIVE_INFINITY) return 0;
  const window = reorderWindow(c);
  let waitMs = 0;
  let lost = false;
  for (let s = c.sent.head; s !== null; s = s.next) {
    if (s.sentAtMs > c.rackSentAtMs || (s.sentAtMs === c.rackSentAtMs && !before(s.end, c.rackEnd))) {
      // Entries sent once are in order of time, so nothing behind this one was sent earlier, unless it was sent again.
      if (!(s.marks & Mark.RETRANSMITTED)) break;
      continue;
    }
    if (s.marks & Mark.SACKED || (s.marks & (Mark.LOST | Mark.RESENT)) === Mark.LOST) continue;
    const remaining = s.sentAtMs + c.rackRttMs + window - nowMs;
    if (remaining <= 0) {
      c.sent.mark(s, (s.marks & ~Mark.RESENT) | Mark.LOST);
      lost = true;
    } else waitMs = Math.max(waitMs, remaining);
  }
  if (lost) enterRecovery(c);
  return waitMs;
}

/** The peer has no SACK: the third duplicate, or a partial acknowledgement in recovery, condemns the first segment. */
export function newRenoDetect(c: Connection, partialAck: boolean): void {
  const head = c.sent.head;
  if (head === null) return;
  if (c.recovery === "open" && c.duplicateAcks >= DUPLICATE_THRESHOLD) {
    enterRecovery(c);
    c.sent.mark(firstSegment(c, head), head.marks | Mark.LOST);
  } else if (c.recovery === "recovery" && partialAck) {
    c.sent.mark(firstSegment(c, head), (head.marks & ~Mark.RESENT) | Mark.LOST);
  }
}

function firstSegment(c: Connection, s: Sent): Sent {
  return distance(s.end, s.seq) > c.payloadMax ? c.sent.split(s, (s.seq + c.payloadMax) | 0) : s;
}

/** Everything not reported is taken for lost: a timeout (RFC 6675 5.1), or a path MTU below what was sent. */
export function markAllLost(c: Connection): void {
  for (let s = c.sent.head; s !== null; s = s.next) if (!(s.marks & Mark.SACKED)) c.sent.mark(s, (s.marks & ~Mark.RESENT) | Mark.LOST);
}

/** What was taken for lost was not. */
export function markNoneLost(c: Connection): void {
  for (let s = c.sent.head; s !== null; s = s.next) if (s.marks & Mark.LOST) c.sent.mark(s, s.marks & ~(Mark.LOST | Mark.RESENT));
}

/** RFC 8985 7.2: how long after the last send a probe goes out. */
export function probeTimeout(c: Connection): number {
  if (c.srttMs === 0) return c.config.rtoInitialMs;
  const ms = 2 * c.srttMs + (c.flight <= c.payloadMax ? PEER_DELAYED_ACK_MS : 0);
  return Math.max(ms, MIN_PROBE_MS);
}

/** True when a tail loss probe may be scheduled. */
export function probeAllowed(c: Connection): boolean {
  return c.sackOk && !c.probeOut && c.recovery === "open" && c.sent.sackedBytes === 0 && c.sent.head !== null;
}

/** RFC 8985 7.4: an acknowledgement at or past the probe tells whether the probe repaired a loss. */
export function probeAnswered(c: Connection, duplicateReported: boolean): void {
  if (!c.probeOut || !beforeOrAt(c.probeEnd, c.una)) return;
  c.probeOut = false;
  if (c.probeWasRetransmission && !duplicateReported && c.recovery === "open") {
    enterRecovery(c);
    c.recoveryPoint = c.una;
    c.recovery = "open";
  }
}
