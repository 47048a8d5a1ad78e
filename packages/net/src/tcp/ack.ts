// What an acknowledgement means: bytes leave the send buffer, the scoreboard learns SACK blocks, round trips are measured, the
// window and the congestion window move (RFC 9293 3.10.7.4 fifth check, RFC 2018, RFC 2883, RFC 6675, RFC 8985).
// Invariant: an acknowledgement of something never sent changes nothing.
import { onAcked, sampleRtt, undoRecovery } from "./congestion.ts";
import type { Connection } from "./connection.ts";
import {
  markNoneLost,
  newRenoDetect,
  probeAnswered,
  rackDelivered,
  rackDetect,
  rackNoteReordering,
  rackRecovered,
  rackSpurious,
} from "./recovery.ts";
import { Mark } from "./scoreboard.ts";
import type { Segment } from "./segment.ts";
import { after, before, beforeOrAt, distance, later } from "./sequence.ts";
import { armRetransmit, setSendTimer } from "./timers.ts";

/** Processes the acknowledgement of an acceptable segment. False when the segment must be dropped (it acknowledges the future). */
export function processAck(c: Connection, s: Segment, nowMs: number): boolean {
  if (after(s.ack, c.nxt)) {
    c.ackNow = true;
    return false;
  }
  if (before(s.ack, (c.una - c.maxSendWindow) | 0)) {
    // RFC 5961 5.2: too old to be honest.
    c.ackNow = true;
    return false;
  }
  const window = s.window << c.sendScale;
  const windowChanged = window !== c.sendWindow;
  updateWindow(c, s, window);

  const duplicateReported = s.sackCount > 0 && isDuplicateReport(c, s);
  if (duplicateReported) rackSpurious(c);
  const sackedMore = c.sackOk && s.sackCount > 0 && applySack(c, s, nowMs);

  if (after(s.ack, c.una)) advance(c, s, nowMs);
  else if (s.ack === c.una && s.from === s.to && !windowChanged && (s.flags & 3) === 0 && c.sent.head !== null) {
    c.duplicateAcks++;
    if (!c.sackOk) {
      newRenoDetect(c, false);
      // RFC 5681 3.2 step 4: each further duplicate means a segment has left the network.
      if (c.recovery === "recovery" && c.duplicateAcks > 3) c.cwnd += c.payloadMax;
    }
  }
  probeAnswered(c, duplicateReported);
  if (c.sackOk && (sackedMore || c.sent.sackedBytes > 0 || c.recovery !== "open")) {
    const waitMs = rackDetect(c, nowMs);
    if (waitMs > 0) setSendTimer(c, "reorder", nowMs + waitMs);
  }
  return true;
}

/** RFC 9293: only a segment that is not older than the last one may change the window. */
function updateWindow(c: Connection, s: Segment, window: number): void {
  if (before(c.windowSeq, s.seq) || (c.windowSeq === s.seq && beforeOrAt(c.windowAck, s.ack))) {
    if (window > c.sendWindow && c.sendTimer === "persist") {
      setSendTimer(c, "none", Number.POSITIVE_INFINITY);
      c.backoff = 0;
    }
    c.sendWindow = window;
    c.windowSeq = s.seq;
    c.windowAck = s.ack;
    if (window > c.maxSendWindow) c.maxSendWindow = window;
  }
}

function advance(c: Connection, s: Segment, nowMs: number): void {
  const acked = distance(s.ack, c.una);
  const sackedBefore = c.sent.sackedBytes;
  let rttMs = -1;
  let repaired = false;
  let resentAtMs = -1;
  for (let head = c.sent.head; head !== null && before(head.seq, s.ack); head = c.sent.head) {
    if (!(head.marks & Mark.SACKED)) {
      rackDelivered(c, head, nowMs);
      rackNoteReordering(c, head);
    }
    // Karn: what was sent twice, or reported earlier by SACK, gives no sample; nor what waited behind a hole for its repair.
    if (head.marks & (Mark.RETRANSMITTED | Mark.LOST)) repaired = true;
    if (head.marks & Mark.RETRANSMITTED) resentAtMs = Math.max(resentAtMs, head.sentAtMs);
    if (!(head.marks & (Mark.RETRANSMITTED | Mark.SACKED))) rttMs = nowMs - head.sentAtMs;
    if (after(head.end, s.ack)) {
      c.sent.trimHead(s.ack);
      break;
    }
    c.sent.shift();
  }
  c.una = s.ack;
  const bytes = Math.min(distance(s.ack, c.bufferSeq), c.sendBuffer.length);
  if (bytes > 0) {
    c.sendBuffer.release(bytes);
    c.bufferSeq = (c.bufferSeq + bytes) | 0;
    if (c.writerWaits && c.sendBuffer.length <= c.config.sendLimit >>> 1) {
      c.writerWaits = false;
      c.events |= 8;
    }
  }
  if (rttMs >= 0 && !repaired) sampleRtt(c, rttMs, nowMs);
  else if (c.timestampsOk && s.hasTimestamp && resentAtMs >= 0 && distance(s.tsEcho, c.timestamp(resentAtMs)) >= 0) {
    // The echoed time stamp says that the last transmission is answered, not an earlier one whose answer was lost (RFC 7323 4.1).
    sampleRtt(c, nowMs - resentAtMs, nowMs);
  } else c.backoff = 0;

  if (c.undo === "armed") {
    // The first acknowledgement after the first retransmission tells whether it was needed (RFC 3522 3.2).
    if (s.hasTimestamp && distance(s.tsEcho, c.undoStamp) < 0) {
      markNoneLost(c);
      undoRecovery(c);
      rackSpurious(c);
    } else c.undo = "none";
  }
  if (c.recovery === "open") {
    c.duplicateAcks = 0;
    onAcked(c, acked);
  } else if (!before(c.una, c.recoveryPoint)) {
    if (c.recovery === "recovery") c.cwnd = c.ssthresh;
    c.recovery = "open";
    c.duplicateAcks = 0;
    rackRecovered(c);
  } else if (c.recovery === "loss") {
    c.cwnd += Math.min(acked, Math.max(c.payloadMax, acked - sackedBefore));
  } else if (!c.sackOk) {
    newRenoDetect(c, true);
    c.cwnd = Math.max(c.cwnd - acked + c.payloadMax, c.payloadMax);
  }
  armRetransmit(c, nowMs);
}

/** RFC 2883: the first block lies below the acknowledgement, or inside the second block. */
function isDuplicateReport(c: Connection, s: Segment): boolean {
  const [left, right] = [s.sack[0]!, s.sack[1]!];
  if (!before(left, right)) return false;
  if (beforeOrAt(right, s.ack)) return after(right, (c.una - c.maxSendWindow) | 0);
  return s.sackCount > 1 && !before(left, s.sack[2]!) && !after(right, s.sack[3]!);
}

/** Marks what the blocks report. True when something new was reported. */
function applySack(c: Connection, s: Segment, nowMs: number): boolean {
  let fresh = false;
  for (let i = 0; i < s.sackCount; i++) {
    const left = s.sack[2 * i]!;
    const right = s.sack[2 * i + 1]!;
    // A block must lie inside what is under way.
    if (!before(left, right) || !after(right, s.ack) || before(left, c.una) || after(right, c.nxt)) continue;
    for (let e = c.sent.find(left); e !== null && before(e.seq, right); e = e.next) {
      if (e.marks & Mark.SACKED) continue;
      if (before(e.seq, left)) {
        c.sent.split(e, left);
        continue;
      }
      if (after(e.end, right)) c.sent.split(e, right);
      rackDelivered(c, e, nowMs);
      rackNoteReordering(c, e);
      c.sent.mark(e, (e.marks & Mark.RETRANSMITTED) | Mark.SACKED);
      c.highestSacked = c.sent.sackedBytes === 0 ? e.end : later(c.highestSacked, e.end);
      fresh = true;
    }
  }
  return fresh;
}
