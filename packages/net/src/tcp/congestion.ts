// Congestion control: slow start, congestion avoidance and the reaction to loss (RFC 5681, NewReno RFC 6582 with the pipe of
// RFC 6675), round-trip estimation and the retransmission timeout (RFC 6298). Bytes and milliseconds.
// Invariant: cwnd >= one segment; ssthresh >= two segments once set; rtoMin <= rto <= rtoMax.
import type { Connection } from "./connection.ts";

/** How long the smallest round trip seen is believed. */
const MIN_RTT_WINDOW_MS = 10_000;

export function startCongestion(c: Connection): void {
  c.cwnd = c.config.initialWindowSegments * c.payloadMax;
  // RFC 6298 5.7 / RFC 5681 3.1: a lost SYN starts with one segment.
  if (c.synRetransmitted) c.cwnd = c.payloadMax;
}

/** New data was acknowledged outside of recovery. */
export function onAcked(c: Connection, bytes: number): void {
  if (!c.cwndLimited) return;
  if (c.cwnd < c.ssthresh) c.cwnd += bytes;
  else c.cwnd += Math.max(1, Math.floor((c.payloadMax * bytes) / c.cwnd));
  // Growing past what can ever be in flight would only make a later burst larger.
  c.cwnd = Math.min(c.cwnd, 2 * c.config.sendLimit);
}

/** Loss was detected by acknowledgements: halve once per window. */
export function enterRecovery(c: Connection): void {
  if (c.recovery !== "open") return;
  noteForUndo(c);
  c.recovery = "recovery";
  c.recoveryPoint = c.nxt;
  c.ssthresh = Math.max(Math.floor(c.flight / 2), 2 * c.payloadMax);
  c.cwnd = c.ssthresh;
}

/** The retransmission timer fired: start again from one segment. */
export function onTimeout(c: Connection): void {
  if (c.recovery === "open") noteForUndo(c);
  if (c.recovery !== "loss") c.ssthresh = Math.max(Math.floor(c.flight / 2), 2 * c.payloadMax);
  c.recovery = "loss";
  c.recoveryPoint = c.nxt;
  c.cwnd = c.payloadMax;
}

function noteForUndo(c: Connection): void {
  c.undo = c.timestampsOk ? "noted" : "none";
  c.undoCwnd = c.cwnd;
  c.undoSsthresh = c.ssthresh;
}

/** The loss was none (the peer, or the path, paused): the window is as it was before (RFC 4015). */
export function undoRecovery(c: Connection): void {
  c.undo = "none";
  c.recovery = "open";
  c.cwnd = Math.max(c.cwnd, c.undoCwnd);
  c.ssthresh = c.undoSsthresh;
  c.duplicateAcks = 0;
}

/** RFC 5681 4.1: after a pause of a timeout the window no longer describes the path. */
export function afterIdle(c: Connection, nowMs: number): void {
  if (c.flight === 0 && nowMs - c.lastSendMs > c.rtoMs)
    c.cwnd = Math.min(c.cwnd, Math.max(c.config.initialWindowSegments * c.payloadMax, c.payloadMax));
}

/** A round trip was measured on a segment that was sent once. */
export function sampleRtt(c: Connection, rttMs: number, nowMs: number): void {
  if (rttMs < c.minRttMs || nowMs - c.minRttAtMs > MIN_RTT_WINDOW_MS) {
    c.minRttMs = rttMs;
    c.minRttAtMs = nowMs;
  }
  if (c.srttMs === 0) {
    c.srttMs = Math.max(rttMs, 0.001);
    c.rttvarMs = rttMs / 2;
  } else {
    c.rttvarMs = 0.75 * c.rttvarMs + 0.25 * Math.abs(c.srttMs - rttMs);
    c.srttMs = Math.max(0.875 * c.srttMs + 0.125 * rttMs, 0.001);
  }
  c.rtoMs = boundRto(c, c.srttMs + Math.max(1, 4 * c.rttvarMs));
  c.backoff = 0;
}

export function boundRto(c: Connection, ms: number): number {
  return Math.min(Math.max(ms, c.config.rtoMinMs), c.config.rtoMaxMs);
}

/** The timeout with the back-off of repeated losses. */
export function backedOff(c: Connection): number {
  return Math.min(c.rtoMs * 2 ** Math.min(c.backoff, 30), c.config.rtoMaxMs);
}
