// netstat as busybox has it: sockets of the pod's namespace (-t -u -l -a -n -p -e -W) and its routes (-r). Unix sockets (-x) and raw
// ones (-w) are no part of the namespace: -w lists none, -x is refused.
import { formatAddress, maskV4 } from "@podwire/net";
import type { Process } from "../kernel/process.ts";
import { namespaceOf } from "../net/namespace-of.ts";
import { reverseName } from "../net/reverse-name.ts";
import { type SocketRow, socketRows, TCP_STATES } from "../net/socket-rows.ts";
import { die, options } from "./options.ts";

const USAGE = "[-ral] [-tuw] [-nWp]";

export async function netstat(p: Process): Promise<number> {
  const o = await options(p, "lanrtuwxWp", USAGE);
  const f = o.flags;
  const ns = await namespaceOf(p);
  if (f.has("x")) return die(p, "-x: Unix sockets are not listed here");
  if (f.has("r")) return printRoutes(p);
  const all = f.has("a");
  const listening = f.has("l");
  const chosen = ["t", "u", "w"].some((c) => f.has(c)) ? f : new Set(["t", "u", "w"]);
  const wide = f.has("W");
  const rows = socketRows(p, ns).filter((r) => {
    if (!chosen.has(r.protocol === "tcp" ? "t" : "u")) return false;
    const server = r.state === "listen" || (r.protocol === "udp" && r.state === "closed");
    return all || server === listening;
  });
  const which = all ? "servers and established" : listening ? "only servers" : "w/o servers";
  const width = wide ? 51 : 23;
  let out = `Active Internet connections (${which})\nProto Recv-Q Send-Q ${"Local Address".padEnd(width)} ${"Foreign Address".padEnd(width)} State       ${f.has("p") ? "PID/Program name    " : ""}\n`;
  const name = (address: string, port: number) => endpoint(p, address, port, f.has("n"), width);
  for (const r of rows) {
    const owner = r.owner === undefined ? "-" : `${r.owner.pid}/${r.owner.name}`;
    out += `${r.protocol.padEnd(5)} ${String(r.state === "listen" ? 0 : r.receiveQueue).padStart(6)} ${String(r.state === "listen" ? 0 : r.sendQueue).padStart(6)} `;
    out += `${(await name(r.localAddress, r.localPort)).padEnd(width)} ${(await name(r.remoteAddress, r.remotePort)).padEnd(width)} `;
    out += stateOf(r).padEnd(12);
    out += f.has("p") ? `${owner.slice(0, 20)}\n` : "\n";
  }
  await p.print(out);
  return 0;
}

function stateOf(r: SocketRow): string {
  if (r.protocol === "udp") return r.state === "established" ? "ESTABLISHED" : "";
  return TCP_STATES[r.state].netstat;
}

async function endpoint(p: Process, address: string, port: number, numeric: boolean, width: number): Promise<string> {
  const host = numeric || address === "0.0.0.0" || address === "::" ? address : await hostName(p, address);
  const service = port === 0 ? "*" : String(port);
  return `${host.slice(0, Math.max(0, width - service.length - 1))}:${service}`;
}

/** The name of an address, by /etc/hosts and the DNS; itself when it has none. */
export async function hostName(p: Process, address: string): Promise<string> {
  for (const line of (p.fs.exists("/etc/hosts") ? p.fs.readText("/etc/hosts") : "").split("\n")) {
    const [a, name] = line.replace(/#.*/, "").trim().split(/\s+/);
    if (a === address && name !== undefined) return name;
  }
  const reverse = reverseName(address);
  if (reverse === undefined) return address;
  const answer = await p.until(p.net.ask(reverse, "PTR"));
  const row = answer?.answers.find((r) => r.type === "PTR");
  return row === undefined ? address : String(row.data).replace(/\.$/, "");
}

/** `netstat -r` and `route`: the IPv4 routes. */
export async function printRoutes(p: Process, metrics = false): Promise<number> {
  const ns = await namespaceOf(p);
  let out = `Kernel IP routing table\nDestination     Gateway         Genmask         ${metrics ? "Flags Metric Ref    Use Iface" : "Flags   MSS Window  irtt Iface"}\n`;
  for (const r of ns.routes.list()) {
    if (typeof r.to.address !== "number") continue;
    const reject = r.type !== "unicast";
    const flags = `${reject ? "!" : "U"}${r.via !== undefined ? "G" : ""}${r.to.length === 32 ? "H" : ""}`;
    out += `${formatAddress(r.to.address).padEnd(15)} ${(r.via === undefined ? "0.0.0.0" : formatAddress(r.via)).padEnd(15)} ${formatAddress(maskV4(r.to.length) >>> 0).padEnd(15)} ${flags.padEnd(metrics ? 5 : 7)} `;
    out += metrics ? `${String(r.metric).padEnd(6)} ${"0".padEnd(6)} ${"0".padStart(3)} ` : `${String(r.mtu)} 0          0 `;
    out += `${reject ? "*" : r.dev}\n`;
  }
  await p.print(out);
  return 0;
}
