// Fuzzing of the parsers, for tests and bench/fuzz/net.ts: bytes that are random, or valid and then damaged.
// What must hold: no parser throws; none looks at a byte outside [at, end) (the answer does not change when those bytes do); what
// parses can be emitted and parses to the same meaning again.
import type { Random } from "@podwire/base";
import { pseudoSum } from "../checksum.ts";
import { IpView, readIp } from "../sockets/ip-packet.ts";
import { readSegment, Segment } from "../tcp/segment.ts";
import { segmentPacket } from "../tcp/segmentation.ts";
import { Arp } from "./arp.ts";
import { Ethernet } from "./ethernet.ts";
import { Icmp } from "./icmp.ts";
import { Icmpv6 } from "./icmpv6.ts";
import { Ipv4 } from "./ipv4.ts";
import { Ipv6 } from "./ipv6.ts";
import { isMalformed } from "./malformed.ts";
import { EtherType, IpProtocol } from "./numbers.ts";
import { Tcp } from "./tcp.ts";
import { Udp } from "./udp.ts";
import { Vxlan } from "./vxlan.ts";

const PSEUDO = pseudoSum(0x0a000001, 0x0a000002, IpProtocol.TCP);
const segment = new Segment();
const view = new IpView();

/** Each parser as a function of bytes alone, its answer comparable. */
const PARSERS: [name: string, parse: (b: Uint8Array, at: number, end: number) => unknown, emit?: (m: never, b: Uint8Array) => number][] = [
  ["ethernet", Ethernet.parse, (m, b) => Ethernet.emit(m, b, 0)],
  ["arp", Arp.parse, (m, b) => Arp.emit(m, b, 0)],
  ["ipv4", Ipv4.parse],
  ["ipv6", Ipv6.parse],
  ["ipv6 transport", (b, at, end) => (isMalformed(Ipv6.parse(b, at, end)) ? null : Ipv6.transport(b, at, end))],
  ["icmp", Icmp.parse, (m, b) => Icmp.emit(m, b, 0)],
  ["icmpv6", (b, at, end) => Icmpv6.parse(b, at, end, PSEUDO), (m, b) => Icmpv6.emit(m, b, 0, PSEUDO)],
  ["udp", (b, at, end) => Udp.parse(b, at, end, PSEUDO), (m, b) => Udp.emit(m, b, 0, PSEUDO)],
  ["tcp", (b, at, end) => Tcp.parse(b, at, end), (m, b) => Tcp.emit(m, b, 0, PSEUDO)],
  ["vxlan", Vxlan.parse, (m, b) => Vxlan.emit(m, b, 0)],
  [
    "segment",
    (b, at, end) => {
      if (Tcp.problem(b, at, end) !== "") return null;
      readSegment(segment, b, at, end);
      return {
        ...segment,
        sack: [...segment.sack.subarray(0, 2 * segment.sackCount)],
        b: null,
        from: segment.from - at,
        to: segment.to - at,
      };
    },
  ],
  [
    "ip",
    (b, at, end) => {
      const why = readIp(view, b, at, end);
      return why !== "" ? why : { ...view, at: view.at - at, end: view.end - at };
    },
  ],
  [
    "segmentation",
    (b, at, end) => {
      const pieces: Uint8Array[] = [];
      segmentPacket(b, at, end, true, 100, (p) => pieces.push(p));
      return pieces;
    },
  ],
];

/** Throws with the parser and the bytes when a property does not hold. */
export function fuzzParsers(random: Random): void {
  const bytes = random.float() < 0.5 ? random.bytes(random.below(200)) : damaged(random);
  const at = random.below(24);
  const first = surround(bytes, at, random);
  const second = surround(bytes, at, random);
  for (const [name, parse, emit] of PARSERS) {
    const fail = (why: string) => {
      throw new RangeError(`${name}: ${why}: ${Buffer.from(bytes).toString("hex")}`);
    };
    const meaning = parse(first, at, at + bytes.length);
    const shown = show(meaning);
    if (shown !== show(parse(second, at, at + bytes.length))) fail("looks outside its bytes");
    if (emit === undefined || isMalformed(meaning)) continue;
    const out = new Uint8Array(400);
    const again = parse(out, 0, emit(meaning as never, out));
    if (name !== "tcp" && show(again) !== shown) fail(`parses to another meaning after emit: ${shown} ${show(again)}`);
  }
}

function show(x: unknown): string {
  return JSON.stringify(x, (_, v) => (typeof v === "bigint" ? `${v}n` : v instanceof Uint8Array ? Buffer.from(v).toString("hex") : v));
}

function surround(bytes: Uint8Array, at: number, random: Random): Uint8Array {
  const b = random.bytes(at + bytes.length + 64);
  b.set(bytes, at);
  return b;
}

/** A valid frame of some kind, with a few bytes changed and perhaps its end cut off; sometimes from an inner layer on. */
function damaged(random: Random): Uint8Array {
  const b = new Uint8Array(600);
  const v6 = random.float() < 0.4;
  const payload = random.bytes(random.below(300));
  Ethernet.emit({ dst: 1, src: 2, type: v6 ? EtherType.IPV6 : EtherType.IPV4 }, b, 0);
  const transport = 14 + (v6 ? Ipv6.HEADER : Ipv4.HEADER);
  const protocol = random.pick([IpProtocol.TCP, IpProtocol.UDP, IpProtocol.ICMP, IpProtocol.ICMPV6]);
  let n: number;
  if (protocol === IpProtocol.TCP) {
    const options = { mss: 1460, timestamp: { value: 1, echo: 2 }, sack: [[1, 2]] as [number, number][] };
    n = Tcp.emit(
      { sport: 1, dport: 2, seq: 3, ack: 4, flags: random.below(64), window: 5, urgent: 0, options, payload },
      b,
      transport,
      PSEUDO,
    );
  } else if (protocol === IpProtocol.UDP) n = Udp.emit({ sport: 1, dport: Vxlan.PORT, payload }, b, transport, PSEUDO);
  else n = Icmp.emit({ type: random.below(16), code: random.below(5), rest: random.uint32(), body: payload }, b, transport);
  const length = transport - 14 + n;
  const ip = { src: 1, dst: 2, protocol, ttl: 64, tos: 0, identification: 0, dontFragment: true, moreFragments: false, fragmentOffset: 0 };
  if (v6) Ipv6.emit({ src: 1n, dst: 2n, trafficClass: 0, flowLabel: 0, nextHeader: protocol, hopLimit: 64, payloadLength: n }, b, 14);
  else Ipv4.emit({ ...ip, totalLength: length }, b, 14);
  const from = random.pick([0, 0, 14, transport]);
  const frame = b.slice(from, 14 + length);
  for (let i = random.below(4); i > 0 && frame.length > 0; i--) frame[random.below(Math.min(frame.length, 80))] = random.below(256);
  return random.float() < 0.3 ? frame.slice(0, random.below(frame.length + 1)) : frame;
}
