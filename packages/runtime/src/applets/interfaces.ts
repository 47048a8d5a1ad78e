// ifconfig, route and arp as busybox has them: the devices, routes and neighbours of the pod's namespace. They show; changes are ip's.
import { formatAddress, formatMac, maskV4 } from "@podwire/net";
import type { Process } from "../kernel/process.ts";
import { namespaceOf } from "../net/namespace-of.ts";
import { addressesOf } from "./ip.ts";
import { hostName, printRoutes } from "./netstat.ts";
import { die, options } from "./options.ts";

export async function ifconfig(p: Process): Promise<number> {
  const ns = await namespaceOf(p);
  const all = p.argv[1] === "-a";
  const [name, ...settings] = p.argv.slice(all ? 2 : 1);
  if (settings.length > 0)
    return die(p, p.identity.caps.has("NET_ADMIN") ? `${settings[0]}: devices are set with ip` : "SIOCSIFFLAGS: Operation not permitted");
  if (name !== undefined && !ns.devices.has(name)) return die(p, `${name}: error fetching interface information: Device not found`);
  for (const d of [...ns.devices.values()].sort((a, b) => (a.name < b.name ? -1 : 1))) {
    if (name !== undefined ? d.name !== name : !d.up && !all) continue;
    let out = `${d.name.padEnd(9)} Link encap:${d.pointless ? "Local Loopback  " : `Ethernet  HWaddr ${formatMac(d.mac).toUpperCase()}  `}\n`;
    for (const a of addressesOf(ns, d)) {
      if (typeof a.address !== "number") continue;
      const broadcast = d.pointless ? "" : `  Bcast:${formatAddress((a.address | ~maskV4(a.length)) >>> 0)}`;
      out += `          inet addr:${formatAddress(a.address)}${broadcast}  Mask:${formatAddress(maskV4(a.length) >>> 0)}\n`;
    }
    for (const a of addressesOf(ns, d))
      if (typeof a.address === "bigint")
        out += `          inet6 addr: ${formatAddress(a.address)}/${a.length} Scope:${d.pointless ? "Host" : a.address >> 118n === 0x3fan ? "Link" : "Global"}\n`;
    const c = d.counters;
    out += `          ${d.up ? "UP " : ""}${d.pointless ? "LOOPBACK " : "BROADCAST "}${d.up ? "RUNNING " : ""}${d.pointless ? "" : "MULTICAST "} MTU:${d.mtu}  Metric:1\n`;
    out += `          RX packets:${c.rxPackets} errors:0 dropped:${c.rxDropped} overruns:0 frame:0\n          TX packets:${c.txPackets} errors:0 dropped:${c.txDropped} overruns:0 carrier:0\n          collisions:0 txqueuelen:${d.pointless ? 1000 : 0} \n`;
    await p.print(`${out}          RX bytes:${c.rxBytes} (${size(c.rxBytes)})  TX bytes:${c.txBytes} (${size(c.txBytes)})\n\n`);
  }
  return 0;
}

function size(bytes: number): string {
  let n = bytes;
  let unit = 0;
  for (; n >= 1024 && unit < 4; unit++) n /= 1024;
  return `${n.toFixed(1)} ${["B", "KiB", "MiB", "GiB", "TiB"][unit]}`;
}

export async function route(p: Process): Promise<number> {
  const o = await options(p, "neA:", "[-ne]");
  if (o.args.length > 0)
    return die(p, p.identity.caps.has("NET_ADMIN") ? `${o.args[0]}: routes are set with ip route` : "SIOCADDRT: Operation not permitted");
  if (o.values.get("A") === "inet6") return die(p, "-A inet6: see ip -6 route");
  return printRoutes(p, !o.flags.has("e"));
}

export async function arp(p: Process): Promise<number> {
  const o = await options(p, "ani:", "[-an] [-i IFACE] [HOST]");
  const ns = await namespaceOf(p);
  for (const n of ns.neighbours.list()) {
    if (typeof n.address !== "number" || (o.values.has("i") && o.values.get("i") !== n.device)) continue;
    const address = formatAddress(n.address);
    if (o.args[0] !== undefined && o.args[0] !== address) continue;
    const name = o.flags.has("n") ? "?" : await hostName(p, address);
    const known = n.state !== "incomplete" && n.state !== "failed";
    await p.print(
      `${name === address ? "?" : name} (${address}) at ${known ? `${formatMac(n.mac)} [ether]` : "<incomplete>"} ${n.state === "permanent" ? "PERM" : ""} on ${n.device}\n`,
    );
  }
  return 0;
}
