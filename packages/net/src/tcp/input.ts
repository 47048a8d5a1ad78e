// A segment arrives (RFC 9293 3.10.7, with the checks of RFC 5961 and RFC 7323). Changes the connection; what must be answered is
// sent by the next transmit.
// Invariant: an unacceptable segment changes nothing but what must be acknowledged; data is delivered once and in order.
import { TcpFlag } from "../codec/tcp.ts";
import { processAck } from "./ack.ts";
import { sampleRtt, startCongestion } from "./congestion.ts";
import { type Connection, DEFAULT_MSS, finish, MIN_MSS, release, scaleFor, TcpEvent } from "./connection.ts";
import { Reassembly } from "./reassembly.ts";
import type { Segment } from "./segment.ts";
import { after, before, beforeOrAt, distance, later } from "./sequence.ts";
import { armKeepAlive, setSendTimer } from "./timers.ts";

/** Acknowledgements of unacceptable segments in one second: past it two confused peers would talk for ever (RFC 5961 7). */
const MAX_CHALLENGES_PER_SECOND = 100;
/** RFC 7323 5.5: a remembered timestamp older than this says nothing. */
const TIMESTAMP_TRUST_MS = 24 * 24 * 3600 * 1000;

export function receive(c: Connection, s: Segment, nowMs: number): void {
  switch (c.state) {
    case "closed":
      return;
    case "synSent":
      receiveInSynSent(c, s, nowMs);
      return;
    case "timeWait":
      receiveInTimeWait(c, s, nowMs);
      return;
    default:
      receiveSynchronized(c, s, nowMs);
      return;
  }
}

/** Takes the peer's SYN: its options and sequence number. */
export function acceptSyn(c: Connection, s: Segment, nowMs: number): void {
  c.irs = s.seq;
  c.rcvNxt = (s.seq + 1) | 0;
  c.rcvEdge = c.rcvNxt;
  c.mss = Math.max(Math.min(c.announcedMss, s.mss >= 0 ? s.mss : DEFAULT_MSS), MIN_MSS);
  c.timestampsOk = c.config.timestamps && s.hasTimestamp;
  if (s.hasTimestamp) {
    c.tsRecent = s.tsValue;
    c.tsRecentAtMs = nowMs;
  }
  c.sackOk = c.config.sack && s.sackPermitted;
  if (c.config.windowScaling && s.windowScale >= 0) {
    c.sendScale = s.windowScale;
    c.receiveScale = scaleFor(c.config.receiveLimit);
  } else {
    c.sendScale = 0;
    c.receiveScale = 0;
  }
  // The window of a SYN is never scaled (RFC 7323 2.2).
  c.sendWindow = s.window;
  c.maxSendWindow = s.window;
  c.windowSeq = s.seq;
  c.windowAck = s.ack;
  c.lastReceivedMs = nowMs;
}

function receiveInSynSent(c: Connection, s: Segment, nowMs: number): void {
  const hasAck = (s.flags & TcpFlag.ACK) !== 0;
  if (hasAck && (beforeOrAt(s.ack, c.iss) || after(s.ack, c.nxt))) {
    if (!(s.flags & TcpFlag.RST)) rejectAck(c, s);
    return;
  }
  if (s.flags & TcpFlag.RST) {
    if (hasAck) finish(c, "ECONNREFUSED");
    return;
  }
  if (!(s.flags & TcpFlag.SYN)) return;
  acceptSyn(c, s, nowMs);
  c.synDue = false;
  if (hasAck) {
    c.una = s.ack;
    if (!c.synRetransmitted) sampleRtt(c, nowMs - c.synSentAtMs, nowMs);
    establish(c, nowMs);
    c.ackNow = true;
    if (s.from < s.to || s.flags & TcpFlag.FIN) {
      s.seq = c.rcvNxt;
      takeData(c, s, nowMs);
    }
  } else {
    // Simultaneous open (RFC 9293 figure 8). Data and FIN of the SYN wait until the connection is established.
    c.state = "synReceived";
    c.synDue = true;
    c.nxt = c.iss;
    c.backoff = 0;
    const to = Math.min(s.to, s.from + c.config.receiveLimit);
    if (s.from < to) waiting(c).insert(c.rcvNxt, s.b, s.from, to);
    if (s.flags & TcpFlag.FIN && to === s.to) {
      c.hasEarlyFin = true;
      c.earlyFin = (c.rcvNxt + s.to - s.from) | 0;
    }
  }
}

/** An acknowledgement of something never sent, before the connection is synchronized, is answered by a reset of that number. */
function rejectAck(c: Connection, s: Segment): void {
  c.rejectedAck = s.ack;
  c.rejectDue = true;
}

function establish(c: Connection, nowMs: number): void {
  c.state = "established";
  c.backoff = 0;
  setSendTimer(c, "none", Number.POSITIVE_INFINITY);
  startCongestion(c);
  armKeepAlive(c, nowMs);
  c.lastSendMs = nowMs;
  c.events |= TcpEvent.CONNECTED;
  if (c.reassembly !== null) takeWaiting(c, c.reassembly);
  if (c.hasEarlyFin && c.earlyFin === c.rcvNxt) takeFin(c, nowMs);
}

function waiting(c: Connection): Reassembly {
  c.reassembly ??= new Reassembly();
  return c.reassembly;
}

/** Delivers the out-of-order data that has become next. */
function takeWaiting(c: Connection, waiting: Reassembly): void {
  c.rcvNxt = waiting.drain(c.rcvNxt, (chunk, at) => c.received.append(chunk, at, chunk.length));
  if (waiting.empty) c.reassembly = null;
  c.events |= TcpEvent.DATA;
  c.ackNow = true;
}

function receiveInTimeWait(c: Connection, s: Segment, nowMs: number): void {
  // RFC 1337: a reset does not end TIME-WAIT.
  if (s.flags & TcpFlag.RST) return;
  if (!(s.flags & (TcpFlag.ACK | TcpFlag.SYN))) return;
  // The peer has not seen our last acknowledgement: repeat it, wait again.
  if (s.flags & TcpFlag.FIN) c.lingerAtMs = nowMs + c.config.timeWaitMs;
  const echo = s.from === s.to && !(s.flags & (TcpFlag.FIN | TcpFlag.SYN)) && s.seq === c.rcvNxt && s.ack === c.nxt;
  if (!echo) challenge(c, nowMs);
}

/** Acknowledges something unacceptable, within the limit. */
function challenge(c: Connection, nowMs: number): void {
  if (nowMs - c.challengeWindowMs >= 1000) {
    c.challengeWindowMs = nowMs;
    c.challenges = 0;
  }
  if (c.challenges++ < MAX_CHALLENGES_PER_SECOND) c.ackNow = true;
}

function receiveSynchronized(c: Connection, s: Segment, nowMs: number): void {
  if (c.timestampsOk && !(s.flags & TcpFlag.RST) && !timestampAcceptable(c, s, nowMs)) return;

  if (c.state === "synReceived" && s.flags & TcpFlag.SYN && ((s.seq + 1) | 0) === c.rcvNxt) {
    if (!(s.flags & TcpFlag.ACK)) {
      // The peer sent its SYN again: ours, with the acknowledgement, was lost.
      c.synDue = true;
      return;
    }
    s.flags &= ~TcpFlag.SYN;
    s.seq = c.rcvNxt;
  }
  const edge = receiveEdge(c);
  const window = distance(edge, c.rcvNxt);
  const length = s.to - s.from + (s.flags & TcpFlag.FIN) + ((s.flags & TcpFlag.SYN) >>> 1);
  if (!acceptable(c, s.seq, length, edge)) {
    if (s.flags & TcpFlag.RST) return;
    noteDuplicate(c, s, length);
    challenge(c, nowMs);
    // With a closed window, acknowledgements still count (RFC 9293 3.10.7.4).
    if (window === 0 && s.seq === c.rcvNxt && s.flags & TcpFlag.ACK && !(s.flags & TcpFlag.SYN)) processAckOnly(c, s, nowMs);
    return;
  }
  c.lastReceivedMs = nowMs;
  c.keepAlivesSent = 0;

  if (s.flags & TcpFlag.RST) {
    if (s.seq !== c.rcvNxt && c.config.strictReset) {
      challenge(c, nowMs);
      return;
    }
    finish(c, c.state === "synReceived" && !c.passive ? "ECONNREFUSED" : "ECONNRESET");
    return;
  }
  if (s.flags & TcpFlag.SYN) {
    if (c.config.strictSyn) challenge(c, nowMs);
    else {
      c.resetDue = true;
      finish(c, "ECONNRESET");
    }
    return;
  }
  if (!(s.flags & TcpFlag.ACK)) return;

  if (c.timestampsOk && s.hasTimestamp && beforeOrAt(s.seq, c.lastAckSent)) {
    c.tsRecent = s.tsValue;
    c.tsRecentAtMs = nowMs;
  }
  if (c.state === "synReceived") {
    if (beforeOrAt(s.ack, c.una) || after(s.ack, c.nxt)) {
      rejectAck(c, s);
      return;
    }
    c.una = (c.iss + 1) | 0;
    if (!c.synRetransmitted && !Number.isNaN(c.synSentAtMs)) sampleRtt(c, nowMs - c.synSentAtMs, nowMs);
    c.sendWindow = s.window << c.sendScale;
    c.windowSeq = s.seq;
    c.windowAck = s.ack;
    c.maxSendWindow = Math.max(c.maxSendWindow, c.sendWindow);
    establish(c, nowMs);
  }
  if (!processAck(c, s, nowMs)) return;
  afterAck(c, nowMs);
  if (c.error !== "" || (c.state as string) === "closed") return;
  if (length > 0 && receivesData(c)) takeData(c, s, nowMs);
}

function processAckOnly(c: Connection, s: Segment, nowMs: number): void {
  c.lastReceivedMs = nowMs;
  c.keepAlivesSent = 0;
  if (c.state !== "synReceived" && processAck(c, s, nowMs)) afterAck(c, nowMs);
}

/** PAWS (RFC 7323 5.3). False when the segment is to be dropped. */
function timestampAcceptable(c: Connection, s: Segment, nowMs: number): boolean {
  if (!s.hasTimestamp) return c.state === "synReceived" && (s.flags & TcpFlag.SYN) !== 0;
  if (distance(s.tsValue, c.tsRecent) >= 0 || nowMs - c.tsRecentAtMs > TIMESTAMP_TRUST_MS) return true;
  noteDuplicate(c, s, s.to - s.from);
  challenge(c, nowMs);
  return false;
}

/** RFC 9293 table 6. */
function acceptable(c: Connection, seq: number, length: number, edge: number): boolean {
  if (length === 0) return seq === c.rcvNxt || (!before(seq, c.rcvNxt) && before(seq, edge));
  if (edge === c.rcvNxt) return false;
  const last = (seq + length - 1) | 0;
  return (!before(seq, c.rcvNxt) && before(seq, edge)) || (!before(last, c.rcvNxt) && before(last, edge));
}

/** Where data stops to be acceptable: what was offered, or more where the buffer has room that a header could not say. */
function receiveEdge(c: Connection): number {
  if (c.state === "synReceived" && c.passive) return c.rcvEdge;
  return later(c.rcvEdge, (c.rcvNxt + Math.max(0, c.config.receiveLimit - c.received.length)) | 0);
}

/** Remembers a duplicate for a DSACK block. */
function noteDuplicate(c: Connection, s: Segment, length: number): void {
  if (!c.sackOk || length === 0 || s.from === s.to) return;
  const end = (s.seq + s.to - s.from) | 0;
  if (beforeOrAt(end, c.rcvNxt)) {
    c.duplicateStart = s.seq;
    c.duplicateEnd = end;
  }
}

function receivesData(c: Connection): boolean {
  return c.state === "established" || c.state === "finWait1" || c.state === "finWait2";
}

/** What the acknowledgement of our FIN changes. */
function afterAck(c: Connection, nowMs: number): void {
  if (!c.finSent || c.una !== c.nxt) return;
  switch (c.state) {
    case "finWait1":
      c.state = "finWait2";
      c.events |= TcpEvent.FINISHED;
      if (c.readClosed) c.lingerAtMs = nowMs + c.config.finWait2Ms;
      return;
    case "closing":
      enterTimeWait(c, nowMs);
      return;
    case "lastAck":
      c.events |= TcpEvent.FINISHED;
      finish(c, "");
      return;
    default:
      return;
  }
}

function enterTimeWait(c: Connection, nowMs: number): void {
  c.state = "timeWait";
  release(c);
  c.lingerAtMs = nowMs + c.config.timeWaitMs;
  c.events |= TcpEvent.FINISHED | TcpEvent.CLOSED;
}

function takeData(c: Connection, s: Segment, nowMs: number): void {
  let { from, to } = s;
  let seq = s.seq;
  let fin = (s.flags & TcpFlag.FIN) !== 0;
  if (c.readClosed && from < to && after((seq + to - from) | 0, c.rcvNxt)) {
    // Nobody will read it: tell the peer so (RFC 9293 3.6.1, RFC 2525 2.17).
    c.resetDue = true;
    finish(c, "ECONNRESET");
    return;
  }
  const early = distance(c.rcvNxt, seq);
  if (early > 0) {
    if (early < to - from + 1 && c.sackOk && from < to) noteOverlap(c, s);
    from += Math.min(early, to - from);
    seq = c.rcvNxt;
  }
  const beyond = distance((seq + to - from) | 0, receiveEdge(c));
  if (beyond > 0) {
    to -= Math.min(beyond, to - from);
    fin = false;
    c.ackNow = true;
  }
  if (fin) {
    c.hasEarlyFin = true;
    c.earlyFin = (seq + to - from) | 0;
  }
  if (seq === c.rcvNxt) {
    const n = to - from;
    if (n > 0) takeInOrder(c, s.b, from, to, nowMs);
  } else if (from < to) {
    if (!waiting(c).insert(seq, s.b, from, to)) noteOutOfOrderDuplicate(c, seq, to - from);
    c.ackNow = true;
  } else c.ackNow = true;
  if (c.hasEarlyFin && c.earlyFin === c.rcvNxt) takeFin(c, nowMs);
}

function noteOverlap(c: Connection, s: Segment): void {
  const end = (s.seq + s.to - s.from) | 0;
  c.duplicateStart = s.seq;
  c.duplicateEnd = before(end, c.rcvNxt) ? end : c.rcvNxt;
  c.ackNow = true;
}

function noteOutOfOrderDuplicate(c: Connection, seq: number, length: number): void {
  if (!c.sackOk) return;
  c.duplicateStart = seq;
  c.duplicateEnd = (seq + length) | 0;
}

function takeInOrder(c: Connection, b: Uint8Array, from: number, to: number, nowMs: number): void {
  const n = to - from;
  c.received.append(b, from, to);
  c.rcvNxt = (c.rcvNxt + n) | 0;
  c.events |= TcpEvent.DATA;
  c.lastDataMs = nowMs;
  if (n > c.peerSegment) c.peerSegment = Math.min(n, c.announcedMss);
  c.unackedBytes += n;
  if (c.reassembly !== null) takeWaiting(c, c.reassembly);
  if (c.quickAcks > 0) {
    c.quickAcks--;
    c.ackNow = true;
  } else if (c.unackedBytes >= 2 * c.peerSegment) c.ackNow = true;
  else if (c.delayedAckAtMs === Number.POSITIVE_INFINITY) c.delayedAckAtMs = nowMs + c.config.delayedAckMs;
}

function takeFin(c: Connection, nowMs: number): void {
  c.hasEarlyFin = false;
  c.finReceived = true;
  // Nothing follows a FIN; what claims to is dropped.
  c.reassembly = null;
  c.rcvNxt = (c.rcvNxt + 1) | 0;
  if (before(c.rcvEdge, c.rcvNxt)) c.rcvEdge = c.rcvNxt;
  c.ackNow = true;
  c.events |= TcpEvent.END;
  switch (c.state) {
    case "established":
      c.state = "closeWait";
      return;
    case "finWait1":
      c.state = "closing";
      c.finAgain = true;
      return;
    case "finWait2":
      enterTimeWait(c, nowMs);
      return;
    default:
      return;
  }
}
