// Netfilter rules as data, in iptables' own words, and their text as `iptables-save` prints it.
// Invariant: a Rule is plain JSON and never changes once it is in a table (replace it); printing is a function of the data alone.
// Source of the words: iptables(8), iptables-extensions(8).

export type TableName = "raw" | "mangle" | "nat" | "filter";
export type HookName = "prerouting" | "input" | "forward" | "output" | "postrouting";
export type ProtocolName = "tcp" | "udp" | "sctp" | "icmp" | "ipv6-icmp";
export type CtStateName = "NEW" | "ESTABLISHED" | "RELATED" | "INVALID" | "UNTRACKED" | "SNAT" | "DNAT";

/** What `-m` adds to a rule, in the order it was written. */
export type Match =
  | { m: "comment"; text: string }
  | { m: "dport"; from: number; to: number; not?: true }
  | { m: "sport"; from: number; to: number; not?: true }
  | { m: "conntrack"; states: readonly CtStateName[]; not?: true }
  | { m: "mark"; value: number; mask: number; not?: true }
  | { m: "statistic"; probability: number }
  | { m: "addrtype"; of: "dst" | "src"; type: "LOCAL"; not?: true }
  | { m: "recent"; op: "rcheck" | "set" | "update" | "remove"; name: string; seconds?: number; reap?: true; not?: true }
  | { m: "set"; name: string; flags: string; not?: true }
  | { m: "physdev"; in?: string; out?: string; isBridged?: true }
  | { m: "tcpSyn"; not?: true }
  | { m: "nfacct"; name: string };

export type RejectWith =
  | "icmp-port-unreachable"
  | "icmp-host-unreachable"
  | "icmp-net-unreachable"
  | "icmp-admin-prohibited"
  | "icmp6-port-unreachable"
  | "icmp6-adm-prohibited"
  | "tcp-reset";

export type Target =
  | { t: "ACCEPT" }
  | { t: "DROP" }
  | { t: "RETURN" }
  | { t: "REJECT"; with: RejectWith }
  | { t: "JUMP"; chain: string }
  | { t: "GOTO"; chain: string }
  /** mark = (mark & ~mask) ^ value: --set-xmark. */
  | { t: "MARK"; value: number; mask: number }
  | { t: "DNAT"; to: string }
  | { t: "SNAT"; to: string; randomFully?: true }
  | { t: "MASQUERADE"; randomFully?: true; toPorts?: string }
  | { t: "NOTRACK" }
  | { t: "LOG"; prefix: string }
  /** Begins a trace of the packet, as -j TRACE does. */
  | { t: "TRACE" };

export interface Rule {
  readonly src?: string;
  readonly notSrc?: true;
  readonly dst?: string;
  readonly notDst?: true;
  /** Device names; a trailing "+" matches any rest. */
  readonly in?: string;
  readonly notIn?: true;
  readonly out?: string;
  readonly notOut?: true;
  readonly protocol?: ProtocolName;
  readonly matches?: readonly Match[];
  /** Absent: the rule only counts (or has a `recent --set`). */
  readonly target?: Target;
}

/** One rule as `iptables-save` prints it behind "-A <chain>". */
export function printRule(r: Rule): string {
  const out: string[] = [];
  const not = (flag: true | undefined) => (flag ? "! " : "");
  if (r.src !== undefined) out.push(`${not(r.notSrc)}-s ${withLength(r.src)}`);
  if (r.dst !== undefined) out.push(`${not(r.notDst)}-d ${withLength(r.dst)}`);
  if (r.in !== undefined) out.push(`${not(r.notIn)}-i ${r.in}`);
  if (r.out !== undefined) out.push(`${not(r.notOut)}-o ${r.out}`);
  if (r.protocol !== undefined) out.push(`-p ${r.protocol}`);
  for (const m of r.matches ?? []) out.push(printMatch(m, r.protocol));
  if (r.target !== undefined) out.push(printTarget(r.target));
  return out.join(" ");
}

function withLength(cidr: string): string {
  return cidr.includes("/") ? cidr : `${cidr}/${cidr.includes(":") ? 128 : 32}`;
}

function printMatch(m: Match, protocol: ProtocolName | undefined): string {
  const not = "not" in m && m.not ? "! " : "";
  switch (m.m) {
    case "comment":
      return `-m comment --comment ${/[\s"'\\]/.test(m.text) ? `"${m.text.replace(/["\\]/g, "\\$&")}"` : m.text}`;
    case "dport":
    case "sport":
      return `-m ${protocol ?? "tcp"} ${not}--${m.m} ${m.from === m.to ? m.from : `${m.from}:${m.to}`}`;
    case "conntrack":
      return `-m conntrack ${not}--ctstate ${m.states.join(",")}`;
    case "mark":
      return `-m mark ${not}--mark ${hex(m.value)}${m.mask >>> 0 === 0xffffffff ? "" : `/${hex(m.mask)}`}`;
    case "statistic":
      return `-m statistic --mode random --probability ${(Math.round(m.probability * 0x80000000) / 0x80000000).toFixed(11)}`;
    case "addrtype":
      return `-m addrtype ${not}--${m.of}-type ${m.type}`;
    case "recent":
      return `-m recent ${not}--${m.op}${m.seconds === undefined ? "" : ` --seconds ${m.seconds}`}${m.reap ? " --reap" : ""} --name ${m.name} --mask 255.255.255.255 --rsource`;
    case "set":
      return `-m set ${not}--match-set ${m.name} ${m.flags}`;
    case "physdev":
      return `-m physdev${m.in === undefined ? "" : ` --physdev-in ${m.in}`}${m.out === undefined ? "" : ` --physdev-out ${m.out}`}${m.isBridged ? " --physdev-is-bridged" : ""}`;
    case "tcpSyn":
      return `-m tcp ${not}--tcp-flags FIN,SYN,RST,ACK SYN`;
    case "nfacct":
      return `-m nfacct --nfacct-name ${m.name}`;
  }
}

function printTarget(t: Target): string {
  switch (t.t) {
    case "JUMP":
      return `-j ${t.chain}`;
    case "GOTO":
      return `-g ${t.chain}`;
    case "REJECT":
      return `-j REJECT --reject-with ${t.with}`;
    case "MARK":
      return `-j MARK --set-xmark ${hex(t.value)}/${hex(t.mask)}`;
    case "DNAT":
      return `-j DNAT --to-destination ${t.to}`;
    case "SNAT":
      return `-j SNAT --to-source ${t.to}${t.randomFully ? " --random-fully" : ""}`;
    case "MASQUERADE":
      return `-j MASQUERADE${t.toPorts === undefined ? "" : ` --to-ports ${t.toPorts}`}${t.randomFully ? " --random-fully" : ""}`;
    case "NOTRACK":
      return "-j CT --notrack";
    case "LOG":
      return `-j LOG --log-prefix "${t.prefix}"`;
    default:
      return `-j ${t.t}`;
  }
}

function hex(v: number): string {
  return `0x${(v >>> 0).toString(16)}`;
}
