// tcpdump: what passes a device of the pod's namespace (-i, "any" for all), as lines, or as a pcap file (-w, and -r reads one).
// Needs CAP_NET_RAW, as on Linux. Bound: BACKLOG frames wait to be written; more are counted as dropped.
import { type Device, EtherType, formatAddress, type IpAddress } from "@podwire/net";
import { hostName } from "../../applets/netstat.ts";
import { SysError, strerror } from "../../kernel/errno.ts";
import type { Process } from "../../kernel/process.ts";
import { namespaceOf } from "../../net/namespace-of.ts";
import { type Filter, FilterError, namesIn, parseFilter } from "./filter.ts";
import { ETHERNET_BYTES, type Frame, frameOf, LINK_ETHERNET, LINK_SLL2 } from "./frame.ts";
import { fileHeader, fileRecord, PcapFileError, readFile } from "./pcap-file.ts";
import { dump, Printer } from "./print.ts";

/** Frames between the device and the writer. */
const BACKLOG = 10_000;
const SNAP_BYTES = 262_144;
const FLAGS = "neqvtAXxlUpSD#";
const VALUES = "icwrsQ";
const USAGE =
  "Usage: tcpdump [-AelnpqStUvxX#] [-D] [-c count] [-i interface] [-Q in|out|inout]\n\t\t[-r file] [-s snaplen] [-w file] [expression]\n";
const SERVICES: { [port: number]: string } = {
  22: "ssh",
  53: "domain",
  80: "http",
  123: "ntp",
  443: "https",
  3306: "mysql",
  5432: "postgresql",
  6379: "redis",
  8080: "http-alt",
};

interface Settings {
  flags: Map<string, number>;
  values: Map<string, string>;
  expression: string;
}

export async function tcpdump(p: Process): Promise<number> {
  const s = await settings(p);
  if (typeof s === "number") return s;
  const { flags, values } = s;
  const count = values.has("c") ? Number(values.get("c")) : Number.POSITIVE_INFINITY;
  if (!(count > 0)) return fail(p, `invalid packet count ${values.get("c")}`);
  const side = values.get("Q") ?? "inout";
  if (!["in", "out", "inout"].includes(side)) return fail(p, `unknown capture direction \`${side}'`);
  const snap = Number(values.get("s") ?? 0) || SNAP_BYTES;
  if (!(snap > 0)) return fail(p, `invalid snaplen ${values.get("s")}`);
  const ns = await namespaceOf(p);
  const devices = [...ns.devices.values()];
  if (flags.has("D")) {
    await p.print(
      `${devices
        .filter((d) => !d.pointless)
        .map((d, i) => `${i + 1}.${d.name} [Up, Running, Connected]\n`)
        .join(
          "",
        )}${devices.length}.any (Pseudo-device that captures on all interfaces) [Up, Running]\n${devices.length + 1}.lo [Up, Running, Loopback]\n`,
    );
    return 0;
  }
  const addresses = new Map<string, string[]>();
  for (const name of namesIn(s.expression)) {
    try {
      addresses.set(name, await p.until(p.net.lookup(name)));
    } catch {
      p.check();
    }
  }
  let filter: Filter;
  try {
    filter = parseFilter(s.expression, addresses);
  } catch (e) {
    if (!(e instanceof FilterError)) throw e;
    return fail(p, e.message === "syntax error" ? "can't parse filter expression: syntax error" : e.message);
  }
  const output = new Writer(p, flags, values.get("w"), snap);
  try {
    const file = values.get("r");
    if (file !== undefined) return await replay(p, file, filter, count, output);
    if (!p.identity.caps.has("NET_RAW")) {
      const name = values.get("i") ?? "eth0";
      return fail(p, `${name}: You don't have permission to perform this capture on that device\n(socket: Operation not permitted)`);
    }
    const wanted = values.get("i") ?? devices.find((d) => !d.pointless)?.name ?? "lo";
    const chosen = wanted === "any" ? devices : devices.filter((d) => d.name === wanted);
    if (chosen.length === 0) return fail(p, `${wanted}: No such device exists\n(No such device exists)`);
    const link = wanted === "any" ? LINK_SLL2 : LINK_ETHERNET;
    await output.begin(link);
    const says = `listening on ${wanted}, link-type ${link === LINK_SLL2 ? "LINUX_SLL2 (Linux cooked v2)" : "EN10MB (Ethernet)"}, snapshot length ${snap} bytes\n`;
    const hint = flags.has("v") || values.has("w") ? "" : "tcpdump: verbose output suppressed, use -v[v]... for full protocol decode\n";
    await p.printError(`${hint}${values.has("w") ? `tcpdump: ${says}` : says}`);
    return await capture(p, { chosen, filter, count, side, output });
  } catch (e) {
    if (e instanceof PcapFileError) return fail(p, e.message);
    if (e instanceof SysError && e.path !== undefined) return fail(p, `${e.path}: ${strerror(e)}`);
    throw e;
  }
}

async function fail(p: Process, text: string): Promise<number> {
  await p.printError(`tcpdump: ${text}\n`);
  return 1;
}

async function settings(p: Process): Promise<Settings | number> {
  const flags = new Map<string, number>();
  const values = new Map<string, string>();
  const words: string[] = [];
  const argv = p.argv.slice(1);
  for (let i = 0; i < argv.length; i++) {
    const a = argv[i] as string;
    if (!a.startsWith("-") || a === "-" || words.length > 0) {
      words.push(a);
      continue;
    }
    const long: { [name: string]: string } = {
      "--interface": "i",
      "--list-interfaces": "D",
      "--number": "#",
      "--absolute-tcp-sequence-numbers": "S",
    };
    const [name = "", inline] = a.split("=");
    const text = a.startsWith("--") ? `-${long[name] ?? "?"}${inline ?? ""}` : a;
    for (let at = 1; at < text.length; at++) {
      const c = text[at] as string;
      if (VALUES.includes(c)) {
        const value = text.slice(at + 1) || argv[++i];
        if (value === undefined) {
          await p.printError(`tcpdump: option requires an argument -- '${c}'\n${USAGE}`);
          return 1;
        }
        values.set(c, value);
        break;
      }
      if (!FLAGS.includes(c)) {
        await p.printError(`tcpdump: ${a.startsWith("--") ? `unrecognized option '${name}'` : `invalid option -- '${c}'`}\n${USAGE}`);
        return 1;
      }
      flags.set(c, (flags.get(c) ?? 0) + 1);
    }
  }
  return { flags, values, expression: words.join(" ") };
}

async function replay(p: Process, path: string, filter: Filter, count: number, output: Writer): Promise<number> {
  const bytes = path === "-" ? Buffer.concat(await inputOf(p)) : p.fs.readFile(path);
  const { link, snapBytes, frames } = readFile(bytes);
  await output.begin(link);
  await p.printError(
    `reading from file ${path}, link-type ${link === LINK_SLL2 ? "LINUX_SLL2 (Linux cooked v2)" : "EN10MB (Ethernet)"}, snapshot length ${snapBytes}\n`,
  );
  let seen = 0;
  for (const f of frames) {
    if (!filter(f)) continue;
    await output.put(f);
    if (++seen >= count) break;
    const pause = p.checkpoint();
    if (pause) await pause;
  }
  return 0;
}

async function inputOf(p: Process): Promise<Uint8Array[]> {
  const parts: Uint8Array[] = [];
  for (;;) {
    const bytes = await p.read(0);
    if (bytes.length === 0) return parts;
    parts.push(bytes);
  }
}

interface CaptureOptions {
  chosen: readonly Device[];
  filter: Filter;
  count: number;
  side: string;
  output: Writer;
}

async function capture(p: Process, o: CaptureOptions): Promise<number> {
  const queue: Frame[] = [];
  let received = 0;
  let dropped = 0;
  let stopped = false;
  let wake: (() => void) | undefined;
  // The wall clock with the fraction of a millisecond that only the monotonic one has.
  const epochMs = p.clock.nowMs() - p.clock.monotonicMs();
  const untap = o.chosen.map((d) =>
    d.addTap((packet, direction) => {
      if (stopped || (o.side !== "inout" && o.side !== direction)) return;
      // A loopback packet passes twice; once is enough, as Linux shows it.
      if (d.pointless && direction === "out") return;
      const f = frameOf(d, packet, direction, epochMs + p.clock.monotonicMs());
      if (!o.filter(f)) return;
      received++;
      if (queue.length >= BACKLOG) dropped++;
      else queue.push(f);
      wake?.();
    }),
  );
  const end = () => {
    for (const u of untap) u();
  };
  p.onExit(end);
  const stop = () => {
    stopped = true;
    wake?.();
  };
  p.onSignal(2, stop);
  p.onSignal(15, stop);
  let captured = 0;
  while (captured < o.count) {
    const f = queue.shift();
    if (f === undefined) {
      if (stopped) break;
      await p.block((w) => {
        wake = w;
        if (queue.length > 0 || stopped) w();
        return () => {
          wake = undefined;
        };
      });
      continue;
    }
    await o.output.put(f);
    captured++;
    const pause = p.checkpoint();
    if (pause) await pause;
  }
  end();
  await p.printError(
    `${stopped ? "\n" : ""}${captured} packet${captured === 1 ? "" : "s"} captured\n${received} packet${received === 1 ? "" : "s"} received by filter\n${dropped} packet${dropped === 1 ? "" : "s"} dropped by kernel\n`,
  );
  return 0;
}

/** Lines on standard output, or records of a file. */
class Writer {
  readonly #p: Process;
  readonly #flags: Map<string, number>;
  readonly #file: string | undefined;
  readonly #snap: number;
  readonly #names = new Map<IpAddress, string>();
  readonly #printer: Printer;
  #link = LINK_ETHERNET;
  #fd = 1;
  #lastMs = 0;
  #firstMs = 0;
  #number = 0;

  constructor(p: Process, flags: Map<string, number>, file: string | undefined, snap: number) {
    this.#p = p;
    this.#flags = flags;
    this.#file = file;
    this.#snap = snap;
    this.#printer = new Printer({
      verbose: flags.has("v"),
      link: flags.has("e"),
      quick: flags.has("q"),
      absolute: flags.has("S"),
      hostName: (a) => this.#names.get(a) ?? formatAddress(a),
      portName: (port) => ((flags.get("n") ?? 0) > 0 ? String(port) : (SERVICES[port] ?? String(port))),
    });
  }

  async begin(link: number): Promise<void> {
    this.#link = link;
    if (this.#file === undefined) return;
    if (this.#file !== "-") this.#fd = await this.#p.open(this.#file, { write: true, create: true, truncate: true, mode: 0o644 });
    await this.#p.write(this.#fd, fileHeader(link, this.#snap));
  }

  async put(f: Frame): Promise<void> {
    if (this.#file !== undefined) {
      const kept = f.bytes.length > this.#snap ? { ...f, bytes: f.bytes.subarray(0, this.#snap) } : f;
      await this.#p.write(this.#fd, fileRecord(kept, this.#link));
      return;
    }
    if (!this.#flags.has("n")) await this.#learnNames(f);
    const where = this.#link === LINK_SLL2 ? `${f.device.padEnd(5)} ${f.direction === "in" ? "In " : "Out"} ` : "";
    const number = this.#flags.has("#") ? `${String(++this.#number).padStart(5)}  ` : "";
    let out = `${number}${this.#time(f.timeMs)}${where}${this.#printer.text(f)}\n`;
    const body = f.bytes.subarray(this.#flags.has("e") ? 0 : ETHERNET_BYTES);
    if (this.#flags.has("A")) out += dump(body, "text");
    else if (this.#flags.has("X")) out += dump(body, "hexText");
    else if (this.#flags.has("x")) out += dump(body, "hex");
    await this.#p.print(out);
  }

  async #learnNames(f: Frame): Promise<void> {
    if (f.flow === undefined && f.etherType !== EtherType.ARP) return;
    for (const a of f.flow === undefined ? [] : [f.flow.src, f.flow.dst])
      if (!this.#names.has(a)) {
        if (this.#names.size >= BACKLOG) this.#names.clear();
        const text = formatAddress(a);
        // One's own question must not ask in turn.
        this.#names.set(a, text);
        this.#names.set(a, await hostName(this.#p, text));
      }
  }

  #time(ms: number): string {
    const kind = this.#flags.get("t") ?? 0;
    const last = this.#lastMs || ms;
    this.#firstMs ||= ms;
    const first = this.#firstMs;
    this.#lastMs = ms;
    const micros = (n: number) => String(Math.floor((n % 1000) * 1000)).padStart(6, "0");
    const clock = (n: number) => new Date(n).toISOString().slice(11, 19);
    if (kind === 1) return "";
    if (kind === 2) return `${Math.floor(ms / 1000)}.${micros(ms)} `;
    if (kind === 4) return `${new Date(ms).toISOString().slice(0, 10)} ${clock(ms)}.${micros(ms)} `;
    if (kind === 3 || kind === 5) return ` ${clock(ms - (kind === 3 ? last : first))}.${micros(ms - (kind === 3 ? last : first))} `;
    return `${clock(ms)}.${micros(ms)} `;
  }
}
