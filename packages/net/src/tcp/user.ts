// What the application asks of a connection (RFC 9293 3.9.1: OPEN, SEND, RECEIVE, CLOSE, ABORT), and what the network layer
// reports. Each changes state; the next transmit sends what follows from it.
// Invariant: a call on a closed connection does nothing.
import { Connection, finish, MIN_MSS, type TcpConfig, type TcpError } from "./connection.ts";
import { acceptSyn } from "./input.ts";
import { windowUpdateDue } from "./output.ts";
import { markAllLost } from "./recovery.ts";
import type { Segment } from "./segment.ts";
import { before, beforeOrAt } from "./sequence.ts";
import { armKeepAlive } from "./timers.ts";

/** Active open: the next transmit sends the SYN. `iss` and `tsOffset` are random 32-bit numbers (RFC 6528, RFC 7323 7.1). */
export function openActive(config: TcpConfig, announcedMss: number, iss: number, tsOffset: number): Connection {
  const c = new Connection(config, false, iss, tsOffset, announcedMss);
  c.state = "synSent";
  c.synDue = true;
  return c;
}

/** Passive open by a SYN that a listener got: the next transmit sends the SYN,ACK. */
export function openPassive(
  config: TcpConfig,
  announcedMss: number,
  iss: number,
  tsOffset: number,
  syn: Segment,
  nowMs: number,
): Connection {
  const c = new Connection(config, true, iss, tsOffset, announcedMss);
  c.state = "synReceived";
  acceptSyn(c, syn, nowMs);
  c.scaleAnswered = config.windowScaling && syn.windowScale >= 0;
  c.synDue = true;
  return c;
}

/** Passive open by the acknowledgement of a SYN cookie: `syn` is what synOfCookie made of it. Hand the acknowledgement to `receive` next. */
export function openByCookie(
  config: TcpConfig,
  announcedMss: number,
  cookie: number,
  tsOffset: number,
  syn: Segment,
  nowMs: number,
): Connection {
  const c = openPassive(config, announcedMss, cookie, tsOffset, syn, nowMs);
  c.synDue = false;
  c.nxt = (c.iss + 1) | 0;
  c.rcvEdge = (c.rcvNxt + Math.min(config.receiveLimit, 0xffff)) | 0;
  // When the answer was sent is not remembered: no round trip can be measured on it.
  c.synSentAtMs = Number.NaN;
  return c;
}

/** Takes bytes to send; returns how many fitted. Fewer than given: a WRITABLE event follows when there is room. */
export function write(c: Connection, bytes: Uint8Array): number {
  if (c.finQueued || c.state === "closed" || c.state === "timeWait") return 0;
  const room = c.config.sendLimit - c.sendBuffer.length;
  if (room <= 0) {
    c.writerWaits = true;
    return 0;
  }
  const taken = bytes.length <= room ? bytes : bytes.subarray(0, room);
  c.sendBuffer.append(taken);
  if (taken.length < bytes.length) c.writerWaits = true;
  return taken.length;
}

/** The application has taken bytes out of `received`: open the window when that is worth a segment. */
export function consumed(c: Connection): void {
  if (windowUpdateDue(c)) c.ackNow = true;
}

/** Half close: what was written is still sent, then the FIN. */
export function shutdown(c: Connection): void {
  c.finQueued = true;
}

/** Full close: the application neither writes nor reads any more. Unread data makes it a reset (RFC 2525 2.17). */
export function close(c: Connection, nowMs: number): void {
  if (c.state === "closed" || c.state === "timeWait") return;
  if (c.received.length > 0) {
    abort(c);
    return;
  }
  c.readClosed = true;
  shutdown(c);
  if (c.state === "finWait2") c.lingerAtMs = nowMs + c.config.finWait2Ms;
}

/** ABORT: a reset to the peer where it has a connection, nothing more. */
export function abort(c: Connection): void {
  if (c.state === "closed") return;
  c.resetDue = c.state !== "synSent" && c.state !== "timeWait";
  finish(c, "ECONNABORTED");
}

export function setKeepAlive(c: Connection, on: boolean, idleMs: number, nowMs: number): void {
  c.keepAlive = on;
  if (idleMs > 0) c.keepAliveIdleMs = idleMs;
  armKeepAlive(c, nowMs);
}

/**
 * An ICMP error quoted one of our segments (RFC 9293 3.9.2.2, RFC 5927). `seq` is the quoted sequence number: one that is not under
 * way is a forgery. Only a connection that is not synchronized dies of it.
 */
export function icmpError(c: Connection, seq: number, error: TcpError): void {
  if (before(seq, c.una) || !before(seq, c.nxt)) return;
  if (c.state === "synSent" || c.state === "synReceived") finish(c, error);
}

/** "Fragmentation needed" or "packet too big": `mss` is what fits into the reported MTU. What is under way goes out again in smaller pieces. */
export function pathMtu(c: Connection, seq: number, mss: number): void {
  if (c.state === "closed" || !beforeOrAt(c.una, seq) || !before(seq, c.nxt) || mss >= c.mss) return;
  c.mss = Math.max(mss, MIN_MSS);
  markAllLost(c);
}
