// The state of one TCP connection (the TCB of RFC 9293 3.3.1) and its limits. Data only: segments change it in input.ts, the
// application in user.ts, time in timers.ts; output.ts says what to send.
// Invariant: una <= nxt <= una + peer's window at send time; sequence fields are int32; times are monotonic milliseconds with a
// fraction; Infinity means "never". Same state, same calls and same times give the same segments.

import type { Reassembly } from "./reassembly.ts";
import { ReceiveBuffer } from "./receive-buffer.ts";
import { Scoreboard } from "./scoreboard.ts";
import { SendBuffer } from "./send-buffer.ts";

export type TcpState =
  | "closed"
  | "synSent"
  | "synReceived"
  | "established"
  | "finWait1"
  | "finWait2"
  | "closeWait"
  | "closing"
  | "lastAck"
  | "timeWait";

/** What happened since the owner last looked; bits of Connection.events. */
export const TcpEvent = {
  CONNECTED: 1,
  /** Bytes are in `received`. */
  DATA: 2,
  /** The peer sent everything it had (its FIN was reached). */
  END: 4,
  /** The send buffer has room again after a refused or partial write. */
  WRITABLE: 8,
  /** The state is closed or timeWait: nothing more will happen to the application. `error` says why, "" for an orderly close. */
  CLOSED: 16,
  /** Our FIN was acknowledged. */
  FINISHED: 32,
} as const;

export type TcpError = "" | "ECONNREFUSED" | "ECONNRESET" | "ETIMEDOUT" | "EHOSTUNREACH" | "ENETUNREACH" | "ECONNABORTED";

/** Numbers of one stack; the defaults are Linux's where Linux has one. */
export interface TcpConfig {
  /** Bytes of in-order data a connection holds for its reader; the largest window it advertises. */
  receiveLimit: number;
  /** Bytes a connection holds for its peer. */
  sendLimit: number;
  rtoInitialMs: number;
  rtoMinMs: number;
  rtoMaxMs: number;
  /** Well below rtoMinMs, so that a late event loop does not make the peer send again. */
  delayedAckMs: number;
  timeWaitMs: number;
  /** How long a closed application waits for the peer's FIN. */
  finWait2Ms: number;
  synRetries: number;
  synAckRetries: number;
  dataRetries: number;
  keepAliveIdleMs: number;
  keepAliveIntervalMs: number;
  keepAliveProbes: number;
  initialWindowSegments: number;
  /** Payload bytes of one packet that stands for several; 0 turns segmentation offload off. */
  gsoBytes: number;
  timestamps: boolean;
  sack: boolean;
  windowScaling: boolean;
  /** RFC 5961 3: a reset counts only exactly in sequence, one elsewhere in the window is challenged. Off: RFC 793's whole window. */
  strictReset: boolean;
  /** RFC 5961 4: a SYN in the window is challenged. Off: RFC 793's reset. */
  strictSyn: boolean;
  /** Segments with SYN and FIN are dropped unseen. */
  dropSynFin: boolean;
}

export const DEFAULT_TCP: TcpConfig = {
  receiveLimit: 1 << 21,
  sendLimit: 1 << 21,
  rtoInitialMs: 1000,
  rtoMinMs: 50,
  rtoMaxMs: 120_000,
  delayedAckMs: 25,
  timeWaitMs: 60_000,
  finWait2Ms: 60_000,
  synRetries: 6,
  synAckRetries: 5,
  dataRetries: 15,
  keepAliveIdleMs: 7_200_000,
  keepAliveIntervalMs: 1000,
  keepAliveProbes: 10,
  initialWindowSegments: 10,
  gsoBytes: 32_000,
  timestamps: true,
  sack: true,
  windowScaling: true,
  strictReset: true,
  strictSyn: true,
  dropSynFin: false,
};

/** Payload that every IPv4 host takes (RFC 9293 3.7.1) when the peer names none. */
export const DEFAULT_MSS = 536;
/** Below this an ICMP "fragmentation needed" is not believed (Linux's min_pmtu 552 less headers). */
export const MIN_MSS = 88;

/** Fields with fractions or infinities, and what they begin with. They lie in one array of doubles: as fields of the object each would be
 *  a heap number of its own, a quarter of an idle connection's memory. */
const DOUBLES = {
  tsRecentAtMs: 0,
  lastDataMs: Number.NEGATIVE_INFINITY,
  delayedAckAtMs: Number.POSITIVE_INFINITY,
  challengeWindowMs: 0,
  srttMs: 0,
  rttvarMs: 0,
  rtoMs: 0,
  minRttMs: Number.POSITIVE_INFINITY,
  minRttAtMs: 0,
  sendTimerAtMs: Number.POSITIVE_INFINITY,
  synSentAtMs: 0,
  ssthresh: Number.POSITIVE_INFINITY,
  lastSendMs: 0,
  undoSsthresh: 0,
  rackSentAtMs: Number.NEGATIVE_INFINITY,
  rackRttMs: 0,
  lastReceivedMs: 0,
  keepAliveAtMs: Number.POSITIVE_INFINITY,
  lingerAtMs: Number.POSITIVE_INFINITY,
};
/** Begun with a fraction, so that the engine keeps doubles in it and not references, whatever is in it later. */
const FIRST_DOUBLES = [0.5];
FIRST_DOUBLES.pop();
for (const first of Object.values(DOUBLES)) FIRST_DOUBLES.push(first);

export class Connection {
  readonly config: TcpConfig;
  /** The values of DOUBLES, behind accessors of their names. */
  readonly doubles = FIRST_DOUBLES.slice();
  state: TcpState = "closed";
  error: TcpError = "";
  events = 0;

  // Send side (RFC 9293 SND.*).
  iss: number;
  una: number;
  nxt: number;
  /** nxt never goes back: a retransmission is a mark on the scoreboard. Peer's window, scaled, and the segment it came with: */
  sendWindow = 0;
  windowSeq = 0;
  windowAck = 0;
  maxSendWindow = 0;
  sendScale = 0;
  /** Sequence number of the first byte of sendBuffer. */
  bufferSeq: number;
  readonly sendBuffer = new SendBuffer();
  readonly sent = new Scoreboard();
  /** The application will write no more; the FIN follows the last byte. */
  finQueued = false;
  finSent = false;
  /** CLOSING was just entered: the acknowledgement of the peer's FIN repeats ours. */
  finAgain = false;
  /** A write was refused or cut: tell when there is room. */
  writerWaits = false;

  // Receive side (RCV.*).
  irs = 0;
  rcvNxt = 0;
  /** Right edge advertised; never moves left. */
  rcvEdge = 0;
  receiveScale = 0;
  /** The peer offered window scaling, so our SYN,ACK does too. */
  scaleAnswered = false;
  readonly received = new ReceiveBuffer();
  /** Made when data first comes out of order. */
  reassembly: Reassembly | null = null;
  /** The peer's FIN was reached. */
  finReceived = false;
  /** Sequence number of a FIN that came before its data; holds when hasEarlyFin. */
  earlyFin = 0;
  hasEarlyFin = false;
  /** The application reads no more: new data is answered with a reset. */
  readClosed = false;

  // Options.
  /** Largest payload we can take, announced in our SYN. */
  announcedMss: number;
  /** Payload bytes per packet that the path and the peer allow, before options. */
  mss: number;
  sackOk = false;
  timestampsOk = false;
  tsRecent = 0;
  declare tsRecentAtMs: number;
  tsOffset: number;
  noDelay = false;
  keepAlive = false;
  keepAliveIdleMs: number;

  // Acknowledging.
  ackNow = false;
  /** Payload bytes received and not acknowledged, and the largest payload seen: the peer's idea of a full segment. */
  unackedBytes = 0;
  peerSegment = 0;
  declare lastDataMs: number;
  declare delayedAckAtMs: number;
  /** The first segments are acknowledged at once, so that the peer's slow start is not held back. */
  quickAcks = 16;
  /** A duplicate arrived: the next acknowledgement reports [duplicateStart, duplicateEnd) first (RFC 2883). */
  duplicateStart = 0;
  duplicateEnd = 0;
  lastAckSent = 0;
  declare challengeWindowMs: number;
  challenges = 0;

  // Round trip and retransmission (RFC 6298).
  declare srttMs: number;
  declare rttvarMs: number;
  declare rtoMs: number;
  declare minRttMs: number;
  declare minRttAtMs: number;
  /** When the timer of `sendTimer` is due. */
  declare sendTimerAtMs: number;
  sendTimer: "none" | "syn" | "rto" | "probe" | "reorder" | "persist" = "none";
  backoff = 0;
  /** Set when the SYN (or SYN,ACK) must be sent (again). */
  synDue = false;
  synRetransmitted = false;
  declare synSentAtMs: number;
  resetDue = false;
  /** A reset with this sequence number answers an acknowledgement of what was never sent. */
  rejectDue = false;
  rejectedAck = 0;
  probeDue = false;

  // Congestion (RFC 5681, RFC 6582) in bytes.
  cwnd = 0;
  declare ssthresh: number;
  recovery: "open" | "recovery" | "loss" = "open";
  recoveryPoint = 0;
  duplicateAcks = 0;
  /** The window, not the application, held back the last transmission: only then may it grow. */
  cwndLimited = false;
  declare lastSendMs: number;
  /** What to go back to when the loss turns out to be none (RFC 3522): cwnd and ssthresh before, and the time stamp of the first
   *  retransmission: an acknowledgement that echoes an older one answers the original. */
  undo: "none" | "noted" | "armed" = "none";
  undoCwnd = 0;
  declare undoSsthresh: number;
  undoStamp = 0;

  // RACK-TLP (RFC 8985).
  declare rackSentAtMs: number;
  rackEnd = 0;
  declare rackRttMs: number;
  reorderingSeen = false;
  highestSacked = 0;
  reorderMultiplier = 1;
  reorderPersist = 0;
  dsackRound = 0;
  dsackRoundSet = false;
  /** Sequence number behind a tail loss probe under way. */
  probeEnd = 0;
  probeOut = false;
  probeWasRetransmission = false;
  /** Sequence number behind the last segment sent that was not full (Minshall's Nagle). */
  smallEnd = 0;

  // Other timers.
  declare lastReceivedMs: number;
  declare keepAliveAtMs: number;
  keepAlivesSent = 0;
  /** finWait2 or timeWait ends then. */
  declare lingerAtMs: number;

  /** Opened by a SYN that arrived: a reset returns it to listen, silently. */
  readonly passive: boolean;

  // Counters for tests, metrics and traces.
  retransmits = 0;
  timeouts = 0;

  constructor(config: TcpConfig, passive: boolean, iss: number, tsOffset: number, announcedMss: number) {
    this.config = config;
    this.passive = passive;
    this.iss = iss | 0;
    this.una = this.iss;
    this.nxt = this.iss;
    this.bufferSeq = (this.iss + 1) | 0;
    this.smallEnd = this.iss;
    this.tsOffset = tsOffset | 0;
    this.announcedMss = announcedMss;
    this.mss = announcedMss;
    this.rtoMs = config.rtoInitialMs;
    this.keepAliveIdleMs = config.keepAliveIdleMs;
  }

  /** Payload bytes of one packet: the MSS less the timestamp option that every segment carries. */
  get payloadMax(): number {
    return this.timestampsOk ? this.mss - 12 : this.mss;
  }

  /** Bytes sent and not acknowledged, SYN and FIN counted. */
  get flight(): number {
    return (this.nxt - this.una) | 0;
  }

  /** Bytes taken to be in the network (RFC 6675 "pipe"). */
  get pipe(): number {
    return this.flight - this.sent.sackedBytes - this.sent.lostBytes + this.sent.resentBytes;
  }

  /** Sequence number behind the last byte the application wrote. */
  get bufferEnd(): number {
    return (this.bufferSeq + this.sendBuffer.length) | 0;
  }

  get synchronized(): boolean {
    return this.state !== "closed" && this.state !== "synSent" && this.state !== "synReceived";
  }

  /** The TSval of a segment sent now: milliseconds, with an offset per connection (RFC 7323 7.1). */
  timestamp(nowMs: number): number {
    return (Math.floor(nowMs) + this.tsOffset) | 0;
  }
}

Object.keys(DOUBLES).forEach((name, i) => {
  Object.defineProperty(Connection.prototype, name, {
    get(this: Connection) {
      return this.doubles[i];
    },
    set(this: Connection, value: number) {
      this.doubles[i] = value;
    },
  });
});

/** Bytes the sliding window scale needs to express `limit` in 16 bits. */
export function scaleFor(limit: number): number {
  let scale = 0;
  while (scale < 14 && limit >>> scale > 0xffff) scale++;
  return scale;
}

/** Ends the connection: buffers go, timers stop, the owner is told. */
export function finish(c: Connection, error: TcpError): void {
  if (c.state === "closed") return;
  c.state = "closed";
  c.error = error;
  release(c);
  c.lingerAtMs = Number.POSITIVE_INFINITY;
  c.events |= 16;
}

/** Lets go of everything that only a live connection needs. What was received stays readable unless the end was an error. */
export function release(c: Connection): void {
  c.sent.clear();
  c.sendBuffer.clear();
  c.reassembly = null;
  c.sendTimer = "none";
  c.sendTimerAtMs = Number.POSITIVE_INFINITY;
  c.delayedAckAtMs = Number.POSITIVE_INFINITY;
  c.keepAliveAtMs = Number.POSITIVE_INFINITY;
  c.synDue = false;
  c.probeDue = false;
}
