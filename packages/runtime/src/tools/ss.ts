// ss (iproute2): the TCP and UDP sockets of the pod's namespace; -t -u -l -a -n -p -4 -6 -H -s, `state STATE`, and expressions of
// sport, dport, src and dst. Unix sockets belong to no namespace here and are not listed.
import type { Process } from "../kernel/process.ts";
import { namespaceOf } from "../net/namespace-of.ts";
import { type SocketRow, type SocketState, socketRows, TCP_STATES } from "../net/socket-rows.ts";
import { parseSsFilter, type SsFilter, SsFilterError } from "./ss-filter.ts";

const LONG: { [name: string]: string } = {
  numeric: "n",
  all: "a",
  listening: "l",
  processes: "p",
  summary: "s",
  ipv4: "4",
  ipv6: "6",
  tcp: "t",
  udp: "u",
  "no-header": "H",
  oneline: "O",
  resolve: "r",
};
/** Options whose answer would be empty here, and is: other families, SELinux. */
const KNOWN = "nalps46tuHOr";

async function refuse(p: Process, option: string): Promise<number> {
  await p.printError(`ss: option ${option} is not supported here\nUsage: ss [ -naltups46HO ] [ state STATE ] [ FILTER ]\n`);
  return 255;
}

export async function ss(p: Process): Promise<number> {
  const flags = new Set<string>();
  const rest: string[] = [];
  for (const a of p.argv.slice(1)) {
    if (a.startsWith("--")) {
      const letter = LONG[a.slice(2)];
      if (letter === undefined) return refuse(p, a);
      flags.add(letter);
    } else if (a.startsWith("-") && a.length > 1) {
      for (const c of a.slice(1)) {
        if (!KNOWN.includes(c)) return refuse(p, `-${c}`);
        flags.add(c);
      }
    } else rest.push(a);
  }
  const rows = socketRows(p, await namespaceOf(p));
  if (flags.has("s")) return summary(p, rows);
  let filter: SsFilter;
  try {
    filter = parseSsFilter(rest);
  } catch (e) {
    if (!(e instanceof SsFilterError)) throw e;
    await p.printError(`Error: ${e.message}.\n`);
    return 1;
  }
  const both = flags.has("t") === flags.has("u");
  const state = (s: SocketRow): boolean => {
    if (filter.states !== undefined) return filter.states.has(s.state);
    if (flags.has("a")) return true;
    const waits = s.state === "listen" || (s.protocol === "udp" && s.state === "closed");
    if (flags.has("l")) return waits;
    return !waits && s.state !== "timeWait" && s.state !== "synReceived";
  };
  const shown = rows.filter(
    (s) =>
      (both || flags.has(s.protocol === "tcp" ? "t" : "u")) &&
      (!(flags.has("4") || flags.has("6")) || flags.has(s.family === 4 ? "4" : "6")) &&
      state(s) &&
      filter.match(s),
  );
  const table = shown.map((s) => [
    ...(both ? [s.protocol] : []),
    // With one state asked for there is nothing to say.
    ...(filter.states?.size === 1 ? [] : [TCP_STATES[s.state].ss]),
    String(s.receiveQueue),
    String(s.sendQueue),
    `${addressText(s.localAddress, s.family)}:`,
    String(s.localPort),
    `${addressText(s.remoteAddress, s.family)}:`,
    s.remotePort === 0 ? "*" : String(s.remotePort),
    flags.has("p") && s.owner !== undefined ? `users:(("${s.owner.name}",pid=${s.owner.pid}))` : "",
  ]);
  const head = [
    ...(both ? ["Netid"] : []),
    ...(filter.states?.size === 1 ? [] : ["State"]),
    "Recv-Q",
    "Send-Q",
    "Local Address:",
    "Port",
    "Peer Address:",
    "Port",
    "Process",
  ];
  await p.print(layout(flags.has("H") ? table : [head, ...table]));
  return 0;
}

function addressText(a: string, family: 4 | 6): string {
  if (a === "::") return "*";
  return family === 6 ? `[${a}]` : a;
}

/** Columns as wide as their widest; addresses end at their colon, ports begin behind it. */
function layout(table: string[][]): string {
  const width = (i: number) => Math.max(0, ...table.map((r) => (r[i] as string).length));
  const columns = table[0]?.length ?? 0;
  const widths = Array.from({ length: columns }, (_, i) => width(i));
  return table
    .map((r) => {
      let line = "";
      r.forEach((cell, i) => {
        const w = widths[i] as number;
        const address = cell.endsWith(":");
        line += address ? cell.padStart(w) : cell.padEnd(w);
        if (!address && i < columns - 1) line += " ";
      });
      return `${line}\n`;
    })
    .join("");
}

async function summary(p: Process, rows: SocketRow[]): Promise<number> {
  const tcp = rows.filter((r) => r.protocol === "tcp");
  const count = (s: SocketState) => tcp.filter((r) => r.state === s).length;
  const live = tcp.filter((r) => r.state !== "timeWait" && r.state !== "closed");
  const line = (name: string, list: SocketRow[]) =>
    `${name}\t  ${String(list.length).padEnd(9)} ${String(list.filter((r) => r.family === 4).length).padEnd(9)} ${String(list.filter((r) => r.family === 6).length).padEnd(9)}\n`;
  const udp = rows.filter((r) => r.protocol === "udp");
  await p.print(
    `Total: ${live.length + udp.length}\nTCP:   ${tcp.length} (estab ${count("established")}, closed ${tcp.length - live.length}, orphaned 0, timewait ${count("timeWait")})\n\n` +
      `Transport Total     IP        IPv6\n${line("RAW", [])}${line("UDP", udp)}${line("TCP", live)}${line("INET", [...live, ...udp])}${line("FRAG", [])}\n`,
  );
  return 0;
}
