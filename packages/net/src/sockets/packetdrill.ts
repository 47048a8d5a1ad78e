// Runs scripts of packetdrill's language against a socket layer in virtual time, for tests: system calls, segments in, segments
// expected out. Understands what the state-event-engine scripts of freebsd-net/tcp-testsuite use.
// Invariant: a script passes only when every expected segment came, in order, at its time, with its flags, numbers and kinds of
// options. The values of time stamps and window scales, the order of options and PSH are not compared.
import { type Clock, seededRandom, sleepOn, systemClock, type Timer } from "@podwire/base";
import { pseudoSum } from "../checksum.ts";
import { address, formatAddress, type IpAddress } from "../codec/address.ts";
import { IpProtocol } from "../codec/numbers.ts";
import { Tcp, TcpFlag, type TcpOptions } from "../codec/tcp.ts";
import type { Packet } from "../packet.ts";
import type { TcpConfig } from "../tcp/index.ts";
import { ipHeaderLength, ipPacket } from "./ip-packet.ts";
import type { NetSocket } from "./net-socket.ts";
import { SocketLayer } from "./socket-layer.ts";
import type { TcpServer } from "./tcp-server.ts";

/** "" when the script passed, else the line and what was wrong with it. */
export type Verdict = string;

/** Our address and the peer's, of the family a script names. */
const ENDS = { 4: [0xc0a80001, 0xc0000201], 6: [address("fd3d:fa7b:d17d::1"), address("fd3d:fa7b:d17d::2")] } as const;
const PORT = 8080;
const EMPTY = new Uint8Array(0);

class ManualClock implements Clock {
  now = 1000;
  timers: { atMs: number; n: number; fn: () => void }[] = [];
  queue: (() => void)[] = [];
  #n = 0;
  nowMs = () => this.now;
  monotonicMs = () => this.now;
  after(delayMs: number, fn: () => void): Timer {
    const t = { atMs: this.now + delayMs, n: this.#n++, fn };
    this.timers.push(t);
    this.timers.sort((x, y) => x.atMs - y.atMs || x.n - y.n);
    return { cancel: () => void (this.timers = this.timers.filter((x) => x !== t)) };
  }
  every(): Timer {
    throw new RangeError("not needed");
  }
  soon = (fn: () => void) => void this.queue.push(fn);
  sleep = (delayMs: number, signal?: AbortSignal) => sleepOn(this, delayMs, signal);
}

interface Line {
  number: number;
  atMs: number;
  text: string;
}

interface Shown {
  flags: string;
  seq: number;
  length: number;
  ack: number;
  window: number;
  options: string[];
}

/** Lines with their times; comments, blank lines, switches and parts for other systems than the suite's own gone. */
export function readScript(text: string): { lines: Line[]; toleranceMs: number; family: 4 | 6 } {
  const lines: Line[] = [];
  let atMs = 0;
  let toleranceMs = 50;
  let skipping = false;
  const clean = text.replace(/\/\*[\s\S]*?\*\//g, (c) => c.replace(/[^\n]/g, " "));
  for (const [i, raw] of clean.split("\n").entries()) {
    const line = raw.replace(/\/\/.*$/, "").trim();
    const condition = /^#ifdef\s+(\w+)/.exec(line);
    if (condition) skipping = condition[1] !== "FreeBSD";
    if (line.startsWith("#endif")) skipping = false;
    if (skipping) continue;
    const tolerance = /^--tolerance_usecs=(\d+)/.exec(line);
    if (tolerance) toleranceMs = Number(tolerance[1]) / 1000;
    const m = /^(\+?)(\d+(?:\.\d+)?)\s+(.*)$/.exec(line);
    if (!m) continue;
    atMs = m[1] === "+" ? atMs + Number(m[2]) * 1000 : Number(m[2]) * 1000;
    lines.push({ number: i + 1, atMs, text: m[3]! });
  }
  return { lines, toleranceMs, family: text.includes("--ip_version=ipv6") ? 6 : 4 };
}

/** Settings of the stack under test that the scripts' sysctls ask for. */
export async function runScript(text: string, tcp: Partial<TcpConfig>): Promise<Verdict> {
  const { lines, toleranceMs, family } = readScript(text);
  const settings: Partial<TcpConfig> = { receiveLimit: 65_536, sendLimit: 32_768, gsoBytes: 0, ...tcp };
  for (const { text: t } of lines) {
    // The stack the scripts are written for rounds its buffer up to whole segments.
    const buffer = /SO_RCVBUF, \[(\d+)\]/.exec(t);
    if (buffer) settings.receiveLimit = Math.max(settings.receiveLimit ?? 0, Number(buffer[1]));
    if (t.includes("insecure_rst=1")) settings.strictReset = false;
    if (t.includes("insecure_syn=1")) settings.strictSyn = false;
    if (t.includes("drop_synfin=1")) settings.dropSynFin = true;
  }
  const run = new Run(settings, toleranceMs, family);
  for (const line of lines) {
    const wrong = await run.step(line);
    if (wrong !== "") return `line ${line.number}: ${line.text}: ${wrong}`;
  }
  run.close();
  return "";
}

class Run {
  readonly #clock = new ManualClock();
  readonly #startMs = this.#clock.now;
  readonly #toleranceMs: number;
  readonly #local: IpAddress;
  readonly #remote: IpAddress;
  readonly #header: number;
  readonly #out: { atMs: number; packet: Packet }[] = [];
  readonly #layer: SocketLayer;
  readonly #sockets = new Map<number, NetSocket>();
  readonly #servers = new Map<number, TcpServer>();
  readonly #errors = new Map<NetSocket, string>();
  readonly #accepted: NetSocket[] = [];
  #localIsn = 0;
  /** Ports of the connection: ours is chosen by a connect. */
  #localPort = PORT;

  constructor(tcp: Partial<TcpConfig>, toleranceMs: number, family: 4 | 6) {
    this.#toleranceMs = toleranceMs;
    [this.#local, this.#remote] = ENDS[family];
    this.#header = ipHeaderLength(this.#local);
    this.#layer = new SocketLayer({
      clock: this.#clock,
      random: seededRandom(1),
      tcp,
      ip: {
        output: (p) => {
          this.#out.push({ atMs: this.#clock.now - this.#startMs, packet: p });
          return "";
        },
        sourceFor: () => this.#local,
        mtuFor: () => 1500,
        isLocal: (a) => a === this.#local,
      },
    });
  }

  close(): void {
    this.#layer.close();
  }

  async step(line: Line): Promise<string> {
    const direction = line.text[0];
    if (direction === ">") return await this.#expect(line);
    await this.#advance(line.atMs);
    const wrong =
      direction === "<" ? this.#inject(line.text.slice(1)) : direction === "`" ? this.#command(line.text) : this.#call(line.text);
    await this.#settle();
    return wrong;
  }

  /** Lets promises, ticks and later turns run out. */
  async #settle(): Promise<void> {
    for (let i = 0; i < 3; i++) {
      await new Promise<void>((r) => systemClock.soon(r));
      for (const fn of this.#clock.queue.splice(0)) fn();
    }
  }

  async #advance(toMs: number, until: () => boolean = () => false): Promise<void> {
    const goal = this.#startMs + toMs;
    while (!until()) {
      const t = this.#clock.timers[0];
      if (t === undefined || t.atMs > goal) break;
      this.#clock.timers.shift();
      this.#clock.now = Math.max(this.#clock.now, t.atMs);
      t.fn();
      await this.#settle();
    }
    if (!until()) this.#clock.now = Math.max(this.#clock.now, goal);
  }

  async #expect(line: Line): Promise<string> {
    await this.#advance(line.atMs + this.#toleranceMs, () => this.#out.length > 0);
    const got = this.#out.shift();
    if (got === undefined) return "no segment came";
    const wanted = parseSegment(line.text.slice(1));
    if (wanted === null) return "not understood";
    const seen = this.#show(got.packet);
    if (wanted.flags === "S" || wanted.flags === "S.") this.#learn(got.packet);
    const shown = this.#show(got.packet);
    const differs = ["flags", "seq", "length", "ack", "window"].filter(
      (k) => wanted[k as keyof Shown] !== shown[k as keyof Shown] && !(k === "seq" && wanted.seq < 0),
    );
    if (wanted.options.join() !== shown.options.join()) differs.push("options");
    if (Math.abs(got.atMs - line.atMs) > this.#toleranceMs) differs.push("time");
    if (differs.length === 0) return "";
    return `${differs.join(", ")} differ: ${JSON.stringify(seen.flags === shown.flags ? shown : seen)} at ${(got.atMs / 1000).toFixed(3)}`;
  }

  #learn(p: Packet): void {
    const at = p.start + this.#header;
    this.#localIsn = Tcp.seq(p.data, at);
    this.#localPort = Tcp.sport(p.data, at);
  }

  #show(p: Packet): Shown {
    const at = p.start + this.#header;
    const t = Tcp.parse(p.data, at, p.end, pseudoSum(this.#local, this.#remote, IpProtocol.TCP));
    if (!("options" in t)) return { flags: t.reason, seq: 0, length: 0, ack: 0, window: 0, options: [] };
    const o = t.options;
    const options = [
      o.mss !== undefined && `mss ${o.mss}`,
      o.windowScale !== undefined && "wscale",
      o.sackPermitted && "sackOK",
      o.timestamp && "TS",
    ];
    let flags = "";
    for (const [letter, bit] of LETTERS) if (t.flags & bit && letter !== "P") flags += letter;
    return {
      flags,
      seq: (t.seq - this.#localIsn) >>> 0,
      length: t.payload.length,
      ack: t.flags & TcpFlag.ACK ? t.ack : 0,
      window: t.window,
      options: options.filter((x) => typeof x === "string").sort(),
    };
  }

  #inject(text: string): string {
    const s = parseSegment(text);
    if (s === null) return "not understood";
    const options: TcpOptions = {};
    for (const o of s.options) {
      if (o.startsWith("mss ")) options.mss = Number(o.slice(4));
      if (o === "sackOK") options.sackPermitted = true;
    }
    const payload = s.length > 0 ? new Uint8Array(s.length) : EMPTY;
    let flags = 0;
    for (const [letter, bit] of LETTERS) if (s.flags.includes(letter)) flags |= bit;
    const ack = flags & TcpFlag.ACK ? (s.ack + this.#localIsn) >>> 0 : 0;
    const fields = { sport: PORT, dport: this.#localPort, seq: s.seq, ack, flags, window: s.window, urgent: 0, options, payload };
    const segment = new Uint8Array(60 + s.length);
    const n = Tcp.emit(fields, segment, 0, pseudoSum(this.#remote, this.#local, IpProtocol.TCP));
    const p = ipPacket(this.#remote, this.#local, n, { protocol: IpProtocol.TCP, ttl: 64, identification: 0, dontFragment: true });
    p.data.set(segment.subarray(0, n), p.start + this.#header);
    this.#layer.receive(p);
    return "";
  }

  #command(text: string): string {
    const m = /grep -c (SYN_RCVD|TIME_WAIT|CLOSED) \| grep (\d+)/.exec(text);
    if (!m) return "";
    const n = m[1] === "CLOSED" ? [...this.#sockets.values()].filter((s) => s.tcpState === "closed").length : this.#count(m[1]!);
    return n === Number(m[2]) ? "" : `${n} sockets in ${m[1]}`;
  }

  #count(state: string): number {
    const name = state === "SYN_RCVD" ? "synReceived" : "timeWait";
    return this.#layer.list().tcp.filter((s) => s.state === name).length;
  }

  #call(text: string): string {
    const m = /^(\w+)\((\d+|\.\.\.)(.*)\)\s*=\s*(-?\w+)\s*(\w*)/.exec(text);
    if (text.startsWith("%{")) return this.#assertState(text);
    if (!m) return "not understood";
    const [, name, fdText, args, result, errno] = m as unknown as [string, string, string, string, string, string];
    const fd = Number(fdText);
    switch (name) {
      case "socket":
      case "setsockopt":
      case "bind":
      case "fcntl":
        return "";
      case "listen": {
        const server = this.#layer.tcpListen({ port: PORT, allowHalfOpen: true }, (s) => this.#accepted.push(this.#watch(s)));
        this.#servers.set(fd, server);
        return "";
      }
      case "connect":
        this.#sockets.set(fd, this.#watch(this.#layer.tcpConnect({ host: formatAddress(this.#remote), port: PORT, allowHalfOpen: true })));
        return "";
      case "accept": {
        const s = this.#accepted.shift();
        if (s === undefined) return "nothing to accept";
        this.#sockets.set(Number(result), s);
        return "";
      }
      case "shutdown":
        this.#sockets.get(fd)?.end();
        return "";
      case "close":
        this.#sockets.get(fd)?.destroy();
        this.#servers.get(fd)?.close();
        this.#sockets.delete(fd);
        return "";
      case "read": {
        const s = this.#sockets.get(fd);
        const chunk = s?.read() as Uint8Array | null;
        const got = chunk === null ? "EWOULDBLOCK" : String(chunk.length);
        return got === (result === "-1" ? errno : result) ? "" : `read gave ${got}`;
      }
      case "getsockopt": {
        const wanted = /SO_ERROR, \[(\w+)\]/.exec(args);
        const s = this.#sockets.get(fd);
        if (!wanted || s === undefined) return "";
        const error = this.#errors.get(s) ?? "0";
        this.#errors.delete(s);
        return error === wanted[1] ? "" : `SO_ERROR is ${error}`;
      }
      default:
        return `${name} is not understood`;
    }
  }

  #assertState(text: string): string {
    const wanted = /TCPI_(\w+)/.exec(text)?.[1]?.replaceAll("_", "").toLowerCase();
    const states = this.#layer.list().tcp.map((s) => s.state.toLowerCase());
    return states.some((s) => s === wanted) ? "" : `states are ${states.join(", ")}`;
  }

  #watch(s: NetSocket): NetSocket {
    s.on("error", (e: Error & { code?: string }) => this.#errors.set(s, e.code ?? e.message));
    return s;
  }
}

const LETTERS: readonly [string, number][] = [
  ["S", TcpFlag.SYN],
  ["F", TcpFlag.FIN],
  ["R", TcpFlag.RST],
  ["P", TcpFlag.PSH],
  [".", TcpFlag.ACK],
];

function parseSegment(text: string): Shown | null {
  const m = /^\s*([SFRPEWU.]+)\s+(?:(\d+):(\d+)|\.\.\.)\((\d+)\)(?:\s+ack\s+(\d+))?(?:\s+win\s+(\d+))?(?:\s+<([^>]*)>)?/.exec(text);
  if (!m) return null;
  const options = (m[7] ?? "").split(",").map((o) => o.trim().replace(/^(wscale|TS) .*/, "$1"));
  let flags = "";
  for (const [letter] of LETTERS) if (m[1]!.includes(letter) && letter !== "P") flags += letter;
  return {
    flags,
    seq: m[2] === undefined ? -1 : Number(m[2]),
    length: Number(m[4]),
    ack: Number(m[5] ?? 0),
    window: Number(m[6] ?? 0),
    options: options.filter((o) => o !== "" && o !== "nop" && o !== "eol").sort(),
  };
}
