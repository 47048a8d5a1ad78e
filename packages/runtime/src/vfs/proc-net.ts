// /proc/net: the sockets, devices, routes and neighbours of the pod's namespace in the kernel's own tables (proc_net(5)). Whose a
// socket is and its inode are not there: sockets are no files here.
import { formatMac, maskV4, NetNamespace, parseAddress } from "@podwire/net";
import type { Process } from "../kernel/process.ts";
import { type SocketRow, socketRows, TCP_STATES } from "../net/socket-rows.ts";

/** Text of each file by name; none on another stack. */
export function procNet(p: Process): ReadonlyMap<string, () => string> {
  const ns = p.net.stack;
  if (!(ns instanceof NetNamespace)) return new Map();
  const sockets = (protocol: "tcp" | "udp", family: 4 | 6) => () =>
    socketTable(
      socketRows(p, ns).filter((r) => r.protocol === protocol && r.family === family),
      family,
    );
  return new Map([
    ["tcp", sockets("tcp", 4)],
    ["tcp6", sockets("tcp", 6)],
    ["udp", sockets("udp", 4)],
    ["udp6", sockets("udp", 6)],
    ["dev", () => deviceTable(ns)],
    ["route", () => routeTable(ns)],
    ["arp", () => neighbourTable(ns)],
  ]);
}

const hex = (n: number, digits: number) => n.toString(16).toUpperCase().padStart(digits, "0");

/** 32-bit words in the machine's byte order, which is little-endian. */
function addressHex(text: string): string {
  const a = parseAddress(text) ?? 0;
  const word = (n: number) => hex((((n & 0xff) << 24) | ((n & 0xff00) << 8) | ((n >>> 8) & 0xff00) | (n >>> 24)) >>> 0, 8);
  if (typeof a === "number") return word(a);
  return [96n, 64n, 32n, 0n].map((s) => word(Number((a >> s) & 0xffffffffn))).join("");
}

function socketTable(rows: SocketRow[], family: 4 | 6): string {
  const width = family === 4 ? "local_address rem_address  " : `local_address${" ".repeat(25)}remote_address${" ".repeat(24)}`;
  let out = `  sl  ${width} st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n`;
  rows.forEach((r, i) => {
    out += `${String(i).padStart(4)}: ${addressHex(r.localAddress)}:${hex(r.localPort, 4)} ${addressHex(r.remoteAddress)}:${hex(r.remotePort, 4)} ${hex(TCP_STATES[r.state].number, 2)} ${hex(r.state === "listen" ? 0 : r.sendQueue, 8)}:${hex(r.receiveQueue, 8)} 00:00000000 00000000 ${String(r.owner?.identity.uid ?? 0).padStart(5)}        0 0\n`;
  });
  return out;
}

function deviceTable(ns: NetNamespace): string {
  let out =
    "Inter-|   Receive                                                |  Transmit\n face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n";
  for (const d of ns.devices.values()) {
    const c = d.counters;
    const n = (v: number, w: number) => String(v).padStart(w);
    out += `${d.name.padStart(6)}: ${n(c.rxBytes, 7)} ${n(c.rxPackets, 7)}    0 ${n(c.rxDropped, 4)}    0     0          0         0 ${n(c.txBytes, 8)} ${n(c.txPackets, 7)}    0 ${n(c.txDropped, 4)}    0     0       0          0\n`;
  }
  return out;
}

function routeTable(ns: NetNamespace): string {
  let out = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n";
  for (const r of ns.routes.list()) {
    if (typeof r.to.address !== "number") continue;
    const word = (n: number) => addressHex([24, 16, 8, 0].map((s) => (n >>> s) & 255).join("."));
    const flags = 1 | (r.via === undefined ? 0 : 2) | (r.to.length === 32 ? 4 : 0) | (r.type === "unicast" ? 0 : 0x200);
    out += `${r.dev || "*"}\t${word(r.to.address)}\t${word(typeof r.via === "number" ? r.via : 0)}\t${hex(flags, 4)}\t0\t0\t${r.metric}\t${word(maskV4(r.to.length) >>> 0)}\t${r.mtu}\t0\t0\n`;
  }
  return out;
}

function neighbourTable(ns: NetNamespace): string {
  let out = "IP address       HW type     Flags       HW address            Mask     Device\n";
  for (const n of ns.neighbours.list()) {
    if (typeof n.address !== "number") continue;
    const text = [24, 16, 8, 0].map((s) => ((n.address as number) >>> s) & 255).join(".");
    const flags = n.state === "permanent" ? "0x6" : n.state === "incomplete" || n.state === "failed" ? "0x0" : "0x2";
    out += `${text.padEnd(16)} 0x1         ${flags.padEnd(11)} ${formatMac(n.mac).padEnd(21)} *        ${n.device}\n`;
  }
  return out;
}
