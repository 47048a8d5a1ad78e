// Trace points: what happened to one packet at one place, and by which rule. Off costs one branch (`packet.traceId !== 0`).

export interface FlowTuple {
  /** Addresses as text, "10.244.1.5". */
  src: string;
  dst: string;
  protocol: "tcp" | "udp" | "icmp" | "icmpv6" | "sctp" | string;
  /** 0 for protocols without ports. */
  sport: number;
  dport: number;
}

export interface TracePoint {
  traceId: number;
  hop: number;
  /** Wall time, milliseconds with a fraction. */
  timeMs: number;
  /** Process, e.g. "node-1", "edge", "apiserver". */
  process: string;
  /** Network namespace: "root", or "<namespace>/<pod>". */
  netns: string;
  /** What kind of place it is. */
  place: "socket" | "device" | "bridge" | "hook" | "route" | "encap" | "decap" | "nat" | "policy" | "drop";
  /** Device name, hook name ("prerouting"), ... */
  name: string;
  /** The rule, route or reason that decided, as a person would read it in iptables-save or ip route; "" when none. */
  rule: string;
  verdict: "accept" | "drop" | "reject" | "dnat" | "snat" | "masquerade" | "forward" | "deliver" | "send" | "";
  before: FlowTuple;
  /** Differs from `before` where addresses were translated. */
  after: FlowTuple;
  /** Outer addresses at encapsulation, TCP flags, ... */
  detail?: Readonly<Record<string, string | number>>;
}

/** Which packets start a trace. All given fields must match; a trace follows the packet through NAT and over the wire, and
 *  the answers of the sockets that received a traced packet are traced too. */
export interface TraceFilter {
  traceId: number;
  src?: string;
  dst?: string;
  protocol?: string;
  sport?: number;
  dport?: number;
  /** Stop after so many packets were picked. */
  maxPackets: number;
  /** Wall time after which the filter is off. */
  untilMs: number;
}

export interface TraceSink {
  point(p: TracePoint): void;
}
