// Sends what may be sent now: SYN, retransmissions, new data in segments or packets that stand for several (GSO), probes, FIN,
// acknowledgements, resets (RFC 9293 3.8, 3.10; Nagle in Minshall's form, RFC 1122 4.2.3.4; silly window avoidance 3.8.6.2).
// Invariant: nothing goes beyond the peer's window but probes; pipe stays within cwnd but for one segment; every data segment
// carries the newest acknowledgement.
import { TcpFlag } from "../codec/tcp.ts";
import { afterIdle, backedOff } from "./congestion.ts";
import { type Connection, scaleFor, type TcpConfig } from "./connection.ts";
import { Mark, type Sent } from "./scoreboard.ts";
import { OutSegment, type Segment } from "./segment.ts";
import { after, before, distance } from "./sequence.ts";
import { armRetransmit, lastUnreported, setSendTimer } from "./timers.ts";

/** Gets each segment; must use it before it returns (the object is filled again), copying the payload from `c.sendBuffer`. */
export type Emit = (c: Connection, out: OutSegment) => void;

const out = new OutSegment();

export function transmit(c: Connection, nowMs: number, emit: Emit): void {
  if (c.rejectDue) {
    c.rejectDue = false;
    prepare(c, TcpFlag.RST, c.rejectedAck, nowMs, 0);
    out.ack = 0;
    out.window = 0;
    out.hasTimestamp = false;
    emit(c, out);
  }
  if (c.resetDue) {
    c.resetDue = false;
    prepare(c, TcpFlag.RST | TcpFlag.ACK, c.nxt, nowMs, 0);
    out.window = 0;
    emit(c, out);
    return;
  }
  switch (c.state) {
    case "closed":
      return;
    case "synSent":
    case "synReceived":
      if (c.synDue) sendSyn(c, nowMs, emit);
      break;
    case "timeWait":
      break;
    default:
      if (c.probeDue) sendProbe(c, nowMs, emit);
      if (c.sendBuffer.length > 0 || (c.finQueued && !c.finSent) || c.sent.lostBytes > 0) sendData(c, nowMs, emit);
  }
  if (c.ackNow && c.state !== "synSent") sendAck(c, nowMs, emit);
}

/** Fills the scratch segment with what every segment has. */
function prepare(c: Connection, flags: number, seq: number, nowMs: number, payloadLength: number): void {
  out.seq = seq;
  out.ack = flags & TcpFlag.ACK ? c.rcvNxt : 0;
  out.flags = flags;
  out.mss = 0;
  out.windowScale = -1;
  out.sackPermitted = false;
  out.sackCount = 0;
  out.payloadLength = payloadLength;
  out.gsoSize = 0;
  out.hasTimestamp = c.timestampsOk;
  if (c.timestampsOk) {
    out.tsValue = c.timestamp(nowMs);
    out.tsEcho = c.tsRecent;
  }
  if (flags & TcpFlag.ACK) {
    out.window = advertise(c);
    acknowledged(c);
  } else out.window = 0;
}

function acknowledged(c: Connection): void {
  c.lastAckSent = c.rcvNxt;
  c.unackedBytes = 0;
  c.delayedAckAtMs = Number.POSITIVE_INFINITY;
  // Out-of-order data and duplicates are reported by a segment with SACK blocks of its own.
  if (c.reassembly === null && c.duplicateStart === c.duplicateEnd) c.ackNow = false;
}

/** Room for data: never takes back what was offered, offers nothing silly (RFC 9293 3.8.6.2.2). */
function windowEdge(c: Connection): number {
  const room = Math.max(0, c.config.receiveLimit - c.received.length);
  const step = Math.min(c.config.receiveLimit >>> 1, c.announcedMss);
  const edge = (c.rcvNxt + (room < step ? 0 : room)) | 0;
  return before(edge, c.rcvEdge) ? c.rcvEdge : edge;
}

/** Moves the advertised edge and returns the header's window field. */
function advertise(c: Connection): number {
  const scale = c.receiveScale;
  const wanted = distance(windowEdge(c), c.rcvNxt);
  // Less than nothing when data came that the buffer had room for before it was offered (input.ts).
  const held = Math.max(0, distance(c.rcvEdge, c.rcvNxt));
  // The field counts in units of 2^scale. What was offered stays offered, so round up to it; but not past the buffer time and again:
  // then it shrinks by less than a unit, which RFC 7323 2.4 tells senders to bear.
  let field = Math.min(wanted >>> scale, 0xffff);
  const up = (held + (1 << scale) - 1) >>> scale;
  if (field < up) field = Math.min(up << scale <= c.config.receiveLimit - c.received.length + (1 << scale) ? up : held >>> scale, 0xffff);
  const edge = (c.rcvNxt + (field << scale)) | 0;
  if (after(edge, c.rcvEdge)) c.rcvEdge = edge;
  return field;
}

/** The application read: true when the window grew enough to tell the peer. */
export function windowUpdateDue(c: Connection): boolean {
  if (c.finReceived || !c.synchronized) return false;
  const growth = distance(windowEdge(c), c.rcvEdge);
  if (growth <= 0) return false;
  const open = distance(c.rcvEdge, c.rcvNxt);
  return (
    growth >= c.config.receiveLimit >>> 2 || (open < 2 * c.announcedMss && growth >= Math.min(c.announcedMss, c.config.receiveLimit >>> 1))
  );
}

function sendSyn(c: Connection, nowMs: number, emit: Emit): void {
  c.synDue = false;
  const answer = c.state === "synReceived";
  prepare(c, answer ? TcpFlag.SYN | TcpFlag.ACK : TcpFlag.SYN, c.iss, nowMs, 0);
  out.mss = c.announcedMss;
  out.sackPermitted = answer ? c.sackOk : c.config.sack;
  out.hasTimestamp = answer ? c.timestampsOk : c.config.timestamps;
  if (out.hasTimestamp) {
    out.tsValue = c.timestamp(nowMs);
    out.tsEcho = answer ? c.tsRecent : 0;
  }
  if (answer ? c.receiveScale > 0 || c.sendScale > 0 || c.scaleAnswered : c.config.windowScaling)
    out.windowScale = scaleFor(c.config.receiveLimit);
  // A SYN's window is not scaled.
  out.window = Math.min(c.config.receiveLimit, 0xffff);
  if (answer) c.rcvEdge = (c.rcvNxt + out.window) | 0;
  c.nxt = (c.iss + 1) | 0;
  c.synSentAtMs = nowMs;
  emit(c, out);
  setSendTimer(c, "syn", nowMs + Math.min(c.config.rtoInitialMs * 2 ** c.backoff, c.config.rtoMaxMs));
}

function sendAck(c: Connection, nowMs: number, emit: Emit): void {
  // Both closed at once: the peer may not have our FIN, which was alone, so it goes along with the answer to the peer's.
  const fin = c.finAgain && c.sent.head !== null && c.sent.head.seq === ((c.nxt - 1) | 0);
  c.finAgain = false;
  if (fin) prepare(c, TcpFlag.ACK | TcpFlag.FIN, (c.nxt - 1) | 0, nowMs, 0);
  else prepare(c, TcpFlag.ACK, c.nxt, nowMs, 0);
  c.ackNow = false;
  if (c.sackOk) {
    let n = 0;
    const max = c.timestampsOk ? 3 : 4;
    if (c.duplicateStart !== c.duplicateEnd) {
      out.sack[0] = c.duplicateStart;
      out.sack[1] = c.duplicateEnd;
      n = 1;
    }
    out.sackCount = n + (c.reassembly?.blocks(out.sack, n, max - n) ?? 0);
  }
  c.duplicateStart = c.duplicateEnd;
  emit(c, out);
}

/** The acknowledgement that answers a reset-worthy or idle state: one sequence number below what the peer expects. */
function sendProbe(c: Connection, nowMs: number, emit: Emit): void {
  c.probeDue = false;
  if (c.sent.head !== null) {
    sendTailProbe(c, nowMs, emit);
    return;
  }
  const usable = distance((c.una + c.sendWindow) | 0, c.nxt);
  const unsent = distance(c.bufferEnd, c.nxt);
  if (usable > 0 && unsent > 0) {
    sendNew(c, Math.min(usable, unsent, c.payloadMax), unsent, nowMs, emit);
    armRetransmit(c, nowMs);
    return;
  }
  prepare(c, TcpFlag.ACK, (c.una - 1) | 0, nowMs, 0);
  emit(c, out);
  if (unsent > 0 || (c.finQueued && !c.finSent)) setSendTimer(c, "persist", nowMs + backedOff(c));
}

/** RFC 8985 7.3: new data when there is some and room for it, else the last segment again. */
function sendTailProbe(c: Connection, nowMs: number, emit: Emit): void {
  const unsent = distance(c.bufferEnd, c.nxt);
  const usable = distance((c.una + c.sendWindow) | 0, c.nxt);
  c.probeOut = true;
  if (unsent > 0 && usable >= Math.min(unsent, c.payloadMax)) {
    c.probeWasRetransmission = false;
    sendNew(c, Math.min(unsent, c.payloadMax), unsent, nowMs, emit);
  } else {
    let s = lastUnreported(c);
    if (s === null) return;
    if (distance(s.end, s.seq) > c.payloadMax) {
      c.sent.split(s, (s.end - c.payloadMax) | 0);
      s = s.next!;
    }
    c.probeWasRetransmission = true;
    resend(c, s, nowMs, emit);
  }
  c.probeEnd = c.nxt;
  setSendTimer(c, "rto", nowMs + backedOff(c));
}

function sendData(c: Connection, nowMs: number, emit: Emit): void {
  afterIdle(c, nowMs);
  const full = c.payloadMax;
  const packetMax = c.config.gsoBytes > full ? c.config.gsoBytes - (c.config.gsoBytes % full) : full;
  let sentAny = false;
  let cwndBlocked = false;
  for (;;) {
    const pipe = c.pipe;
    let allowance = c.cwnd - pipe;
    if (allowance < full) allowance = pipe <= 0 ? full : 0;
    allowance -= allowance % full;
    const lost = c.sent.firstLost();
    if (lost !== null) {
      if (allowance === 0) {
        cwndBlocked = true;
        break;
      }
      const n = Math.min(distance(lost.end, lost.seq), packetMax, allowance);
      if (n < distance(lost.end, lost.seq)) c.sent.split(lost, (lost.seq + n) | 0);
      resend(c, lost, nowMs, emit);
      sentAny = true;
      continue;
    }
    const unsent = distance(c.bufferEnd, c.nxt);
    if (unsent < 0 || (unsent === 0 && (!c.finQueued || c.finSent))) break;
    const usable = distance((c.una + c.sendWindow) | 0, c.nxt);
    if (allowance === 0) {
      cwndBlocked = true;
      break;
    }
    const n = chooseLength(c, unsent, Math.min(usable, allowance, packetMax), full);
    if (n < 0) {
      if (c.sent.head === null && unsent > 0 && c.sendTimer !== "persist") setSendTimer(c, "persist", nowMs + backedOff(c));
      break;
    }
    sendNew(c, n, unsent, nowMs, emit);
    sentAny = true;
  }
  if (sentAny) armRetransmit(c, nowMs);
  c.cwndLimited = cwndBlocked || (c.cwnd < c.ssthresh && 2 * c.flight >= c.cwnd);
}

/** How many bytes of new data to send now; 0 for a bare FIN, -1 for nothing. */
function chooseLength(c: Connection, unsent: number, room: number, full: number): number {
  if (unsent === 0) return room >= 0 ? 0 : -1;
  if (room <= 0) return -1;
  if (room >= unsent) {
    const tail = unsent % full;
    if (tail === 0 || c.noDelay || c.finQueued || !after(c.smallEnd, c.una)) return unsent;
    // Nagle: the small tail waits while an earlier small segment is unacknowledged.
    return unsent > tail ? unsent - tail : -1;
  }
  if (room >= full) return room - (room % full);
  return room >= c.maxSendWindow >>> 1 ? room : -1;
}

function sendNew(c: Connection, n: number, unsent: number, nowMs: number, emit: Emit): void {
  const last = n === unsent;
  const fin = last && c.finQueued && !c.finSent;
  prepare(c, TcpFlag.ACK | (last && n > 0 ? TcpFlag.PSH : 0) | (fin ? TcpFlag.FIN : 0), c.nxt, nowMs, n);
  out.payloadAt = distance(c.nxt, c.bufferSeq);
  if (n > c.payloadMax) out.gsoSize = c.payloadMax;
  const end = (c.nxt + n + (fin ? 1 : 0)) | 0;
  c.sent.append(c.nxt, end, nowMs);
  c.nxt = end;
  if (n % c.payloadMax !== 0) c.smallEnd = end;
  if (fin) finSent(c);
  c.lastSendMs = nowMs;
  // An answer soon after data arrived: an interactive exchange, whose acknowledgements ride on answers.
  if (nowMs - c.lastDataMs < c.config.delayedAckMs) c.quickAcks = 0;
  emit(c, out);
}

function finSent(c: Connection): void {
  c.finSent = true;
  if (c.state === "established") c.state = "finWait1";
  else if (c.state === "closeWait") c.state = "lastAck";
}

function resend(c: Connection, s: Sent, nowMs: number, emit: Emit): void {
  const fin = c.finSent && s.end === c.nxt;
  const n = distance(s.end, s.seq) - (fin ? 1 : 0);
  prepare(c, TcpFlag.ACK | (s.end === c.bufferEnd || fin ? TcpFlag.PSH : 0) | (fin ? TcpFlag.FIN : 0), s.seq, nowMs, n);
  if (fin && n === 0) out.flags &= ~TcpFlag.PSH;
  out.payloadAt = distance(s.seq, c.bufferSeq);
  if (n > c.payloadMax) out.gsoSize = c.payloadMax;
  s.sentAtMs = nowMs;
  if (c.undo === "noted") {
    c.undo = "armed";
    c.undoStamp = c.timestamp(nowMs);
  }
  c.sent.mark(s, s.marks | Mark.RETRANSMITTED | (s.marks & Mark.LOST ? Mark.RESENT : 0));
  c.retransmits++;
  c.lastSendMs = nowMs;
  emit(c, out);
}

/** The SYN,ACK that carries a cookie as its sequence number; nothing is remembered of it (syn-cookie.ts). */
export function answerWithCookie(config: TcpConfig, announcedMss: number, cookie: number, stamp: number, syn: Segment): OutSegment {
  out.flags = TcpFlag.SYN | TcpFlag.ACK;
  out.seq = cookie;
  out.ack = (syn.seq + 1) | 0;
  out.window = Math.min(config.receiveLimit, 0xffff);
  out.mss = announcedMss;
  // Without time stamps the other options could not be remembered, so they are not offered.
  out.hasTimestamp = config.timestamps && syn.hasTimestamp;
  out.tsValue = stamp;
  out.tsEcho = syn.tsValue;
  out.sackPermitted = out.hasTimestamp && config.sack && syn.sackPermitted;
  out.windowScale = out.hasTimestamp && config.windowScaling && syn.windowScale >= 0 ? scaleFor(config.receiveLimit) : -1;
  out.sackCount = 0;
  out.payloadLength = 0;
  out.gsoSize = 0;
  return out;
}

/** The answer to a segment that belongs to no connection (RFC 9293 3.10.7.1); null when none is due (it was a reset). */
export function resetFor(s: Segment): OutSegment | null {
  if (s.flags & TcpFlag.RST) return null;
  out.mss = 0;
  out.windowScale = -1;
  out.sackPermitted = false;
  out.sackCount = 0;
  out.hasTimestamp = false;
  out.payloadLength = 0;
  out.gsoSize = 0;
  out.window = 0;
  if (s.flags & TcpFlag.ACK) {
    out.flags = TcpFlag.RST;
    out.seq = s.ack;
    out.ack = 0;
  } else {
    out.flags = TcpFlag.RST | TcpFlag.ACK;
    out.seq = 0;
    out.ack = (s.seq + s.to - s.from + (s.flags & TcpFlag.SYN ? 1 : 0) + (s.flags & TcpFlag.FIN ? 1 : 0)) | 0;
  }
  return out;
}
