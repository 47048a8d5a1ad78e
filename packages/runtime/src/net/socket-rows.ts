// The sockets of the pod's namespace as `ss`, `netstat` and /proc/net show them, each with the process that has it open when that is
// in this container: another container's processes are not seen from here.
// Invariant: a row says what the packet stack says now; nothing is kept.
import { formatAddress, type NetNamespace } from "@podwire/net";
import type { Process } from "../kernel/process.ts";
import type { DatagramSocket, StreamServer, StreamSocket } from "./net-stack.ts";
import type { Owner } from "./pod-net.ts";

/** Linux's names and numbers (include/net/tcp_states.h). */
export const TCP_STATES = {
  established: { ss: "ESTAB", netstat: "ESTABLISHED", number: 1 },
  synSent: { ss: "SYN-SENT", netstat: "SYN_SENT", number: 2 },
  synReceived: { ss: "SYN-RECV", netstat: "SYN_RECV", number: 3 },
  finWait1: { ss: "FIN-WAIT-1", netstat: "FIN_WAIT1", number: 4 },
  finWait2: { ss: "FIN-WAIT-2", netstat: "FIN_WAIT2", number: 5 },
  timeWait: { ss: "TIME-WAIT", netstat: "TIME_WAIT", number: 6 },
  closed: { ss: "UNCONN", netstat: "CLOSE", number: 7 },
  closeWait: { ss: "CLOSE-WAIT", netstat: "CLOSE_WAIT", number: 8 },
  lastAck: { ss: "LAST-ACK", netstat: "LAST_ACK", number: 9 },
  listen: { ss: "LISTEN", netstat: "LISTEN", number: 10 },
  closing: { ss: "CLOSING", netstat: "CLOSING", number: 11 },
} as const;

export type SocketState = keyof typeof TCP_STATES;

export interface SocketRow {
  protocol: "tcp" | "udp";
  family: 4 | 6;
  /** A UDP socket without a peer is "closed" (ss says UNCONN), one with a peer "established". */
  state: SocketState;
  /** "0.0.0.0" or "::" for every address. */
  localAddress: string;
  localPort: number;
  remoteAddress: string;
  /** 0: none. */
  remotePort: number;
  receiveQueue: number;
  sendQueue: number;
  owner: Process | undefined;
}

type Held = StreamSocket | StreamServer | DatagramSocket;

const key = (protocol: string, localPort: number, remotePort: number) => `${protocol} ${localPort} ${remotePort}`;

function owners(held: ReadonlyMap<Held, Owner>): Map<string, Owner> {
  const out = new Map<string, Owner>();
  for (const [s, owner] of held) {
    if ("localPort" in s) out.set(key("tcp", s.localPort ?? 0, s.remotePort ?? 0), owner);
    else out.set(key("onMessage" in s ? "udp" : "tcp", (s as StreamServer).address().port, 0), owner);
  }
  return out;
}

export function socketRows(p: Process, ns: NetNamespace): SocketRow[] {
  const { tcp, udp } = ns.socketLayer.list();
  const byKey = owners(p.net.held());
  const ownerOf = (protocol: string, local: number, remote: number) => {
    const o = byKey.get(key(protocol, local, remote));
    return o !== undefined && "pid" in o && mayInspect(p, o as Process) ? (o as Process) : undefined;
  };
  const familyOf = (a: number | bigint | null) => (typeof a === "number" ? 4 : 6);
  const text = (a: number | bigint | null, family: 4 | 6) => (a === null ? (family === 4 ? "0.0.0.0" : "::") : formatAddress(a));
  const rows: SocketRow[] = [];
  for (const s of tcp) {
    const family = familyOf(s.localAddress);
    rows.push({
      protocol: "tcp",
      family,
      state: s.state,
      localAddress: text(s.localAddress, family),
      localPort: s.localPort,
      remoteAddress: text(s.remoteAddress, family),
      remotePort: s.remotePort,
      receiveQueue: s.receiveQueue,
      sendQueue: s.sendQueue,
      owner: s.state === "timeWait" ? undefined : ownerOf("tcp", s.localPort, s.remotePort),
    });
  }
  for (const s of udp) {
    const family = familyOf(s.localAddress);
    rows.push({
      protocol: "udp",
      family,
      state: s.peer === null ? "closed" : "established",
      localAddress: text(s.localAddress, family),
      localPort: s.localPort,
      remoteAddress: s.peer === null ? text(null, family) : formatAddress(s.peer.address),
      remotePort: s.peer?.port ?? 0,
      receiveQueue: s.receiveQueue,
      sendQueue: 0,
      owner: ownerOf("udp", s.localPort, 0),
    });
  }
  return rows;
}

/** Whether /proc/<pid>/fd of another process may be read: the same user, or root. */
function mayInspect(p: Process, other: Process): boolean {
  return p.identity.uid === 0 || p.identity.uid === other.identity.uid;
}
