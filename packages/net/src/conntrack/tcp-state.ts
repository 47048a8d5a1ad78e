// TCP as a connection tracker sees it: flags of one packet move one state, the state sets the time-out.
// Invariant: pure tables; a packet that a state cannot explain is invalid, one that changes nothing is ignored.
// Follows the transition table documented for Linux's nf_conntrack (states of conntrack(8)); windows are not judged
// (nf_conntrack_tcp_be_liberal).

export const TcpCt = {
  none: 0,
  synSent: 1,
  synRecv: 2,
  established: 3,
  finWait: 4,
  closeWait: 5,
  lastAck: 6,
  timeWait: 7,
  close: 8,
  synSent2: 9,
} as const;

export const TCP_STATE_NAMES = [
  "NONE",
  "SYN_SENT",
  "SYN_RECV",
  "ESTABLISHED",
  "FIN_WAIT",
  "CLOSE_WAIT",
  "LAST_ACK",
  "TIME_WAIT",
  "CLOSE",
  "SYN_SENT2",
] as const;

/** Answers of `nextTcpState` that are not states. */
export const TCP_INVALID = -1;
export const TCP_IGNORE = -2;

/** One row a packet kind, one column a state in the order of TcpCt; "!" invalid, "-" ignore. */
const ORIGINAL = ["11-----119", "!!2!!!!!!2", "!!4466678!", "3!3355778!", "!888888888"];
const REPLY = ["!9!!!!!1!9", "!2-------2", "!!4466678!", "!-2355778-", "!888888888"];

const table = (rows: readonly string[]) =>
  Int8Array.from(rows.join(""), (c) => (c === "!" ? TCP_INVALID : c === "-" ? TCP_IGNORE : Number(c)));
const BY_DIRECTION = [table(ORIGINAL), table(REPLY)] as const;

const FIN = 1;
const SYN = 2;
const RST = 4;
const ACK = 16;

/** The state after a packet with `flags` in `direction` (0 original, 1 reply), or TCP_INVALID or TCP_IGNORE. */
export function nextTcpState(state: number, flags: number, direction: number): number {
  let kind: number;
  if (flags & RST) kind = 4;
  else if (flags & SYN) kind = flags & ACK ? 1 : 0;
  else if (flags & FIN) kind = 2;
  else if (flags & ACK) kind = 3;
  else return TCP_INVALID;
  return BY_DIRECTION[direction]![kind * 10 + state]!;
}

/** Flag combinations that no sane sender makes (SYN with FIN or RST, nothing at all, ...). */
export function saneTcpFlags(flags: number): boolean {
  const f = flags & (FIN | SYN | RST | ACK);
  if ((f & SYN) !== 0 && (f & (FIN | RST)) !== 0) return false;
  if ((f & FIN) !== 0 && (f & (RST | ACK)) !== ACK) return false;
  return f !== 0;
}

export interface ConntrackTimeouts {
  /** Milliseconds by TCP state, in the order of TcpCt. */
  readonly tcp: readonly number[];
  readonly udpMs: number;
  readonly udpStreamMs: number;
  readonly icmpMs: number;
  readonly genericMs: number;
}

/** Linux's values, with kube-proxy's --conntrack-tcp-timeout-established 24h and --conntrack-tcp-timeout-close-wait 1h. */
export const DEFAULT_TIMEOUTS: ConntrackTimeouts = {
  tcp: [60_000, 120_000, 60_000, 86_400_000, 120_000, 3_600_000, 30_000, 120_000, 10_000, 120_000],
  udpMs: 30_000,
  udpStreamMs: 120_000,
  icmpMs: 30_000,
  genericMs: 600_000,
};
