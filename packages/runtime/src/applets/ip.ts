// ip(8): addresses, links, routes, neighbours and rules of the pod's namespace, in the words of iproute2 (`ipRoute2`, which the network
// images have) and of busybox (`busyboxIp`). Changes need CAP_NET_ADMIN, as on Linux.
import {
  type Device,
  formatAddress,
  formatMac,
  formatPrefix,
  formatRoute,
  maskV4,
  NetConfigError,
  type NetNamespace,
  Veth,
} from "@podwire/net";
import type { Process } from "../kernel/process.ts";
import { namespaceOf } from "../net/namespace-of.ts";
import { die, usage } from "./options.ts";

type Flavour = "busybox" | "iproute2";

interface Asked {
  p: Process;
  ns: NetNamespace;
  flavour: Flavour;
  family: 4 | 6 | 0;
  oneLine: boolean;
  brief: boolean;
  statistics: boolean;
}

const OBJECTS = ["address", "link", "route", "neighbour", "rule"] as const;
const CHANGES = new Set(["add", "del", "delete", "change", "replace", "set", "append", "prepend", "flush"]);

export const busyboxIp = (p: Process): Promise<number> => ip(p, "busybox");
export const ipRoute2 = (p: Process): Promise<number> => ip(p, "iproute2");

async function ip(p: Process, flavour: Flavour): Promise<number> {
  const words = p.argv.slice(1);
  const asked: Asked = { p, ns: await namespaceOf(p), flavour, family: 0, oneLine: false, brief: false, statistics: false };
  for (; words[0]?.startsWith("-"); words.shift()) {
    const o = words[0].replace(/^--/, "-");
    if (o === "-4") asked.family = 4;
    else if (o === "-6") asked.family = 6;
    else if (o === "-f" || o === "-family") asked.family = words.splice(1, 1)[0] === "inet6" ? 6 : 4;
    else if (o === "-o" || o === "-oneline") asked.oneLine = true;
    else if (flavour === "iproute2" && /^-br(ief)?$/.test(o)) asked.brief = true;
    else if (flavour === "iproute2" && /^-s(tat(s|istics)?)?$/.test(o)) asked.statistics = true;
    // Colours, and details that there are none of.
    else if (flavour === "iproute2" && /^-(c(olor)?(=\w+)?|d(etails)?|n(umeric)?)$/.test(o)) continue;
    else if (flavour === "iproute2") return fail(p, `Option "${words[0]}" is unknown, try "ip -help".`, 255);
    else return usage(p, "[OPTIONS] address|route|link|neigh|rule [ARGS]");
  }
  const [object = "", command = "show", ...rest] = words;
  const found = object === "" ? undefined : OBJECTS.find((o) => o.startsWith(object) || (o === "neighbour" && object === "neighbor"));
  if (found === undefined) {
    if (flavour === "busybox" || object === "")
      return usage(p, "[OPTIONS] address|route|link|neigh|rule [ARGS]", flavour === "busybox" ? 1 : 255);
    return fail(p, `Object "${object}" is unknown, try "ip help".`);
  }
  if (CHANGES.has(command)) return change(asked, found, command, rest);
  const known = ["show", "list", "ls", "lst", "sh"].includes(command);
  if (found === "route" && command === "get") return routeGet(asked, rest[0] ?? "");
  // `ip addr eth0` and `ip route default`: the word is what to show.
  const args = known ? rest : [command, ...rest];
  switch (found) {
    case "address":
    case "link":
      return links(asked, args, found === "address");
    case "route":
      return routes(asked, args);
    case "neighbour":
      return neighbours(asked, args);
    default:
      await p.print(
        ["0:\tfrom all lookup local", "32766:\tfrom all lookup main", "32767:\tfrom all lookup default"]
          .map((r) => `${r}${flavour === "busybox" ? " " : ""}\n`)
          .join(""),
      );
      return 0;
  }
}

async function fail(p: Process, text: string, code = 1): Promise<number> {
  await p.printError(`${text}\n`);
  return code;
}

const kernelSays = (a: Asked, text: string) => fail(a.p, `${a.flavour === "busybox" ? "ip: " : ""}RTNETLINK answers: ${text}`, 2);

async function links(a: Asked, args: string[], addresses: boolean): Promise<number> {
  let named: string | undefined;
  let up = false;
  for (let i = 0; i < args.length; i++) {
    const w = args[i] as string;
    if (w === "up") up = true;
    else if (w === "dev") named = args[++i];
    else if (named === undefined) named = w;
    else
      return a.flavour === "busybox"
        ? die(a.p, `either "dev" is duplicate, or "${w}" is garbage`)
        : fail(a.p, `Error: either "dev" is duplicate, or "${w}" is a garbage.`, 255);
  }
  if (named !== undefined && !a.ns.devices.has(named))
    return a.flavour === "busybox" ? die(a.p, `can't find device '${named}'`) : fail(a.p, `Device "${named}" does not exist.`);
  let out = "";
  for (const d of a.ns.devices.values()) {
    if (named !== undefined && d.name !== named) continue;
    if (up && !d.up) continue;
    if (a.brief) out += briefLine(a, d, addresses);
    else if (a.oneLine && addresses)
      out += inetLines(a, d)
        .map((l) => `${d.index}: ${d.name}    ${l.replace(/^ +/, "").replace(/\n +/, "\\       ")}\n`)
        .join("");
    else if (addresses && a.family !== 0 && inetLines(a, d).length === 0) continue;
    else {
      let text = linkLines(a, d, addresses);
      if (a.oneLine) text = `${text.trimEnd().replace("\n", "\\")}\n`;
      // With a family only addresses are asked for.
      if (addresses && a.family !== 0) text = text.replace(/\n {4}link[^\n]*/, "");
      out += text;
      if (a.statistics) out += statistics(d);
      if (addresses)
        out += inetLines(a, d)
          .map((l) => `${l}\n`)
          .join("");
    }
  }
  await a.p.print(out);
  return 0;
}

export function flagsOf(d: Device): string {
  const kind = d.pointless ? "LOOPBACK" : "BROADCAST,MULTICAST";
  return d.up ? `${kind},UP,LOWER_UP` : kind;
}

/** "eth0@if12": the index of a veth's other end, in its own namespace. */
function fullName(d: Device): string {
  return d instanceof Veth && d.peer !== undefined ? `${d.name}@if${d.peer.index}` : d.name;
}

const stateOf = (d: Device) => (d.pointless && d.up ? "UNKNOWN" : d.up ? "UP" : "DOWN");

function linkLines(a: Asked, d: Device, addresses: boolean): string {
  const veth = d instanceof Veth;
  const queue = d.shaper === undefined ? "noqueue" : "tbf";
  const mac = `    link/${d.pointless ? "loopback" : "ether"} ${formatMac(d.mac)} brd ${d.pointless ? "00:00:00:00:00:00" : "ff:ff:ff:ff:ff:ff"}`;
  if (a.flavour === "busybox")
    return `${d.index}: ${fullName(d)}: <${flagsOf(d)}${veth ? ",M-DOWN" : ""}> mtu ${d.mtu} qdisc ${queue} ${veth ? "" : "qlen 1000"}\n${mac}\n`;
  return `${d.index}: ${fullName(d)}: <${flagsOf(d)}> mtu ${d.mtu} qdisc ${queue}${d.master === undefined ? "" : ` master ${d.master.name}`} state ${stateOf(d)}${addresses ? "" : " mode DEFAULT"} group default ${veth ? "" : "qlen 1000"}\n${mac}${veth ? " link-netnsid 0" : ""}\n`;
}

/** The addresses of a device, with those of loopback, which the namespace has without listing them. */
export function addressesOf(ns: NetNamespace, d: Device): { address: number | bigint; length: number }[] {
  const own = ns.addresses.all().filter((x) => x.device === d.name);
  return d.pointless ? [{ address: 0x7f000001, length: 8 }, { address: 1n, length: 128 }, ...own] : [...own];
}

function inetLines(a: Asked, d: Device): string[] {
  return addressesOf(a.ns, d)
    .filter((x) => a.family === 0 || (typeof x.address === "number") === (a.family === 4))
    .map((x) => {
      const v4 = typeof x.address === "number";
      const broadcast =
        v4 && !d.pointless && x.length < 31 ? ` brd ${formatAddress(((x.address as number) | ~maskV4(x.length)) >>> 0)}` : "";
      return `    inet${v4 ? "" : "6"} ${formatAddress(x.address)}/${x.length}${broadcast} scope ${scopeOf(d, x.address)} ${v4 ? d.name : ""}\n       valid_lft forever preferred_lft forever`;
    });
}

function scopeOf(d: Device, address: number | bigint): string {
  if (d.pointless) return "host";
  return typeof address === "bigint" && address >> 118n === 0x3fan ? "link" : "global";
}

function briefLine(a: Asked, d: Device, addresses: boolean): string {
  const head = `${fullName(d).padEnd(16)} ${stateOf(d).padEnd(14)} `;
  if (!addresses) return `${head}${formatMac(d.mac)} <${flagsOf(d)}> \n`;
  const list = addressesOf(a.ns, d).filter((x) => a.family === 0 || (typeof x.address === "number") === (a.family === 4));
  return `${head}${list.map((x) => `${formatAddress(x.address)}/${x.length} `).join("")}\n`;
}

function statistics(d: Device): string {
  const c = d.counters;
  const row = (name: string, heads: string[], values: number[]) => {
    const widths = [10, 7, 6, 7, 7, 7];
    const line = (list: (string | number)[]) => list.map((v, i) => String(v).padStart(widths[i] as number)).join(" ");
    return `    ${name}:${line(heads).slice(3)}           \n    ${line(values)} \n`;
  };
  return (
    row("RX", ["bytes", "packets", "errors", "dropped", "missed", "mcast"], [c.rxBytes, c.rxPackets, 0, c.rxDropped, 0, 0]) +
    row("TX", ["bytes", "packets", "errors", "dropped", "carrier", "collsns"], [c.txBytes, c.txPackets, 0, c.txDropped, 0, 0])
  );
}

async function routes(a: Asked, args: string[]): Promise<number> {
  let dev: string | undefined;
  let to: string | undefined;
  for (let i = 0; i < args.length; i++) {
    const w = args[i] as string;
    if (w === "dev") dev = args[++i];
    else if (w === "table") {
      const table = args[++i];
      if (table !== "main" && table !== "all" && table !== "254")
        return table === "local" || table === "default" ? 0 : fail(a.p, "Error: ipv4: FIB table does not exist.\nDump terminated", 2);
    } else if (["match", "to", "root", "exact"].includes(w)) to = args[++i];
    else to = w;
  }
  const family = a.family === 0 ? 4 : a.family;
  for (const r of a.ns.routes.list()) {
    if ((typeof r.to.address === "number") !== (family === 4) || (dev !== undefined && r.dev !== dev)) continue;
    const text = formatRoute(r);
    const shown = r.to.length === 0 ? "default" : formatPrefix(r.to);
    if (to !== undefined && shown !== to && text.split(" ")[0] !== to) continue;
    await a.p.print(`${text} \n`);
  }
  return 0;
}

async function routeGet(a: Asked, to: string): Promise<number> {
  let route: ReturnType<NetNamespace["lookupRoute"]>;
  try {
    route = a.ns.lookupRoute(to);
  } catch {
    return a.flavour === "busybox"
      ? die(a.p, `an inet address is expected rather than "${to}"`)
      : fail(a.p, `Error: inet prefix is expected rather than "${to}".`);
  }
  if (route === null || route.type === "unreachable") return kernelSays(a, route === null ? "Network is unreachable" : "No route to host");
  if (route.type === "blackhole") return kernelSays(a, "Invalid argument");
  if (route.type === "prohibit") return kernelSays(a, "Permission denied");
  const local = route.type === "local";
  const dst = (await a.p.net.lookup(to))[0] as string;
  const source = route.src ?? a.ns.addresses.sourceOn(route.dev, route.via ?? route.to.address);
  const src = local ? dst : source === undefined ? "" : formatAddress(source);
  const via = route.via === undefined ? "" : `via ${formatAddress(route.via)} `;
  const tail = a.flavour === "busybox" ? " \n" : ` uid ${a.p.identity.uid} \n    cache ${local ? "<local> " : ""}\n`;
  await a.p.print(`${local ? "local " : ""}${dst} ${via}dev ${route.dev} ${a.flavour === "busybox" ? " " : ""}src ${src}${tail}`);
  return 0;
}

async function neighbours(a: Asked, args: string[]): Promise<number> {
  const dev = args.includes("dev") ? args[args.indexOf("dev") + 1] : undefined;
  for (const n of a.ns.neighbours.list()) {
    if (dev !== undefined && n.device !== dev) continue;
    if (a.family !== 0 && (typeof n.address === "number") !== (a.family === 4)) continue;
    const known = n.state !== "incomplete" && n.state !== "failed";
    const used = a.flavour === "busybox" ? " used 0/0/0 probes 0" : "";
    await a.p.print(
      `${formatAddress(n.address)} dev ${n.device} ${known ? `lladdr ${formatMac(n.mac)}` : ""}${used} ${n.state.toUpperCase()}${a.flavour === "busybox" ? "" : " "}\n`,
    );
  }
  return 0;
}

/** `ip OBJECT add|del|set ...`, as far as the namespace can be changed from inside. */
async function change(a: Asked, object: (typeof OBJECTS)[number], command: string, args: string[]): Promise<number> {
  if (!a.p.identity.caps.has("NET_ADMIN")) return kernelSays(a, "Operation not permitted");
  const value = (key: string) => (args.includes(key) ? args[args.indexOf(key) + 1] : undefined);
  const remove = command.startsWith("del");
  try {
    if (object === "route" && command !== "set" && command !== "flush") {
      const to = args[0] === "unreachable" || args[0] === "blackhole" ? (args[1] ?? "") : (args[0] ?? "");
      const [via, dev, metric, src] = [value("via"), value("dev"), value("metric"), value("src")];
      if (remove)
        return a.ns.removeRoute({ to, ...(dev === undefined ? {} : { dev }), ...(via === undefined ? {} : { via }) }) > 0
          ? 0
          : kernelSays(a, "No such process");
      if (command === "add" && a.ns.routes.list().some((r) => r.metric === Number(metric ?? 0) && formatRoute(r).split(" ")[0] === to))
        return kernelSays(a, "File exists");
      a.ns.addRoute({
        to,
        ...(args[0] === "unreachable" || args[0] === "blackhole" ? { type: args[0] } : {}),
        ...(via === undefined ? {} : { via }),
        ...(dev === undefined ? {} : { dev }),
        ...(src === undefined ? {} : { src }),
        ...(metric === undefined ? {} : { metric: Number(metric) }),
        onlink: args.includes("onlink"),
      });
      return 0;
    }
    if (object === "address" && (remove || command === "add" || command === "replace")) {
      const [address = "", length] = (args[0] ?? "").split("/");
      const dev = value("dev") ?? "";
      if (remove) a.ns.removeAddress(dev, address);
      else a.ns.addAddress(dev, address, length === undefined ? (address.includes(":") ? 128 : 32) : Number(length));
      return 0;
    }
    if (object === "link" && command === "set") {
      const name = value("dev") ?? args[0] ?? "";
      const d = a.ns.devices.get(name);
      if (d === undefined)
        return a.flavour === "busybox" ? die(a.p, `can't find device '${name}'`) : fail(a.p, `Cannot find device "${name}"`);
      if (value("mtu") !== undefined) d.mtu = Number(value("mtu"));
      if (args.includes("up")) d.up = true;
      if (args.includes("down")) d.up = false;
      return 0;
    }
    if (object === "neighbour" && (remove || command === "add" || command === "replace")) {
      const dev = value("dev") ?? "";
      if (remove) a.ns.removeNeighbour(dev, args[0] ?? "");
      else a.ns.addNeighbour(dev, args[0] ?? "", value("lladdr") ?? "");
      return 0;
    }
  } catch (e) {
    if (!(e instanceof NetConfigError)) throw e;
    const text = e.message.replace(/^[^:]*: /, "");
    return text.startsWith("Cannot find") ? fail(a.p, text) : fail(a.p, `Error: ${text}.`, 2);
  }
  // Devices of other kinds, rules and tables are not there to be made.
  return kernelSays(a, "Operation not supported");
}
