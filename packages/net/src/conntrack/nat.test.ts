// Translation as a property: for random connections of every protocol and family through random DNAT and SNAT, each packet that leaves is
// whole (every checksum true) and each answer comes back exactly as the client expects it; ICMP errors quote what the client sent.
import { seededRandom } from "@podwire/base";
import { virtualClock } from "@podwire/testkit";
import { expect, test } from "vitest";
import { checksum, pseudoSumAt } from "../checksum.ts";
import { address, formatEndpoint } from "../codec/address.ts";
import { u16, u32 } from "../codec/numbers.ts";
import { Flow, readFlow } from "../namespace/flow.ts";
import { icmpError, ipHeader } from "../namespace/icmp-errors.ts";
import { HookVerdict, Netfilter } from "../netfilter/netfilter.ts";
import type { Rule } from "../netfilter/rule.ts";
import { Packet } from "../packet.ts";
import { crc32c } from "./crc32c.ts";

const random = seededRandom(21);

function node() {
  return new Netfilter({
    clock: virtualClock(),
    random,
    isLocal: () => false,
    masqueradeAddress: (_d, dst) => address(typeof dst === "number" ? "172.30.1.1" : "fd00:30::1"),
    tracePoint: () => undefined,
  });
}

function packet(src: string, sport: number, dst: string, dport: number, protocol: number, body = 24): Packet {
  const six = src.includes(":");
  const header = six ? 40 : 20;
  const p = Packet.alloc(header + (protocol === 6 ? 20 : 12) + body);
  const at = p.start + header;
  const b = p.data;
  for (let i = at; i < p.end; i++) b[i] = random.below(256);
  if (protocol === 1 || protocol === 58) b.set([protocol === 1 ? 8 : 128, 0, 0, 0, sport >> 8, sport & 255], at);
  else b.set([sport >> 8, sport & 255, dport >> 8, dport & 255], at);
  if (protocol === 6) b.set([0x50, 2], at + 12);
  if (protocol === 17) b.set([(p.end - at) >> 8, (p.end - at) & 255], at + 4);
  ipHeader(b, p.start, p.end, protocol, address(src), address(dst), 64);
  seal(p, at, protocol);
  return p;
}

const fieldOf = (protocol: number) => (protocol === 6 ? 16 : protocol === 17 ? 6 : protocol === 132 ? 8 : 2);

function seal(p: Packet, at: number, protocol: number): void {
  const field = at + fieldOf(protocol);
  if (protocol === 132) {
    p.data.set([0, 0, 0, 0], field);
    const c = crc32c(p.data, at, p.end);
    p.data.set([c & 255, (c >>> 8) & 255, (c >>> 16) & 255, c >>> 24], field);
    return;
  }
  p.data.set([0, 0], field);
  const seed = protocol === 1 ? 0 : pseudoSumAt(p.data, p.start, protocol) + (p.end - at);
  const sum = checksum(p.data, at, p.end, seed) || (protocol === 17 ? 0xffff : 0);
  p.data.set([sum >> 8, sum & 255], field);
}

function whole(p: Packet): Flow {
  const f = new Flow();
  expect(readFlow(p, f, true)).toBeUndefined();
  const at = p.start + f.l4;
  if (f.protocol === 132) {
    const kept = p.data.slice(at + 8, at + 12);
    p.data.set([0, 0, 0, 0], at + 8);
    const c = crc32c(p.data, at, p.end);
    p.data.set(kept, at + 8);
    expect([...kept]).toEqual([c & 255, (c >>> 8) & 255, (c >>> 16) & 255, c >>> 24]);
  } else {
    const seed = f.protocol === 1 ? 0 : pseudoSumAt(p.data, p.start, f.protocol) + (p.end - at);
    expect(checksum(p.data, at, p.end, seed)).toBe(0);
  }
  return f;
}

/** Through prerouting, forward and postrouting; undefined when it was dropped. */
function forward(nf: Netfilter, p: Packet): Flow | undefined {
  const f = new Flow();
  expect(readFlow(p, f, true)).toBeUndefined();
  const at = { in: "cni0", out: "eth0", physIn: "", physOut: "" };
  for (const hook of ["prerouting", "forward", "postrouting"] as const)
    if (nf.run(hook, p, f, at) !== HookVerdict.accept) {
      nf.conntrack.release(f);
      return undefined;
    }
  return f;
}

function answerTo(p: Packet, f: Flow): Packet {
  const r = packet(f.tuple().dst, f.dport, f.tuple().src, f.sport, f.protocol);
  const at = r.start + (f.family === 6 ? 40 : 20);
  if (f.protocol === 1 || f.protocol === 58) {
    r.data[at] = f.protocol === 1 ? 0 : 129;
    r.data.set(p.data.subarray(p.start + f.l4 + 4, p.start + f.l4 + 6), at + 4);
  }
  if (f.protocol === 6) r.data[at + 13] = 0x12;
  seal(r, at, f.protocol);
  return r;
}

test.each([
  ["ipv4", 4],
  ["ipv6", 6],
] as const)("%s: what goes out is whole, what comes back is what the client waits for", (_name, family) => {
  const nf = node();
  const ip = (net: number, host: number) => (family === 4 ? `10.${net}.0.${host}` : `fd00:${net}::${host.toString(16)}`);
  const rules: Rule[] = [];
  for (let i = 0; i < 40; i++) {
    const protocol = random.pick(["tcp", "udp", "sctp"] as const);
    rules.push({
      dst: ip(96, i + 1),
      protocol,
      matches: [{ m: "dport", from: 80, to: 80 }],
      target: { t: "DNAT", to: formatEndpoint(address(ip(2, random.below(5) + 1)), random.below(2) === 0 ? 80 : 8080) },
    });
  }
  rules.push({ dst: ip(96, 99), target: { t: "DNAT", to: ip(2, 9) } });
  nf.ruleset(family).nat.apply({
    chains: new Map([
      ["PREROUTING", rules],
      [
        "POSTROUTING",
        [
          { src: ip(1, 7), target: { t: "MASQUERADE", randomFully: true } },
          { src: ip(1, 8), target: { t: "MASQUERADE" } },
        ],
      ],
    ]),
  });
  let translated = 0;
  for (let i = 0; i < 3000; i++) {
    const protocol = random.pick([6, 17, 132, family === 4 ? 1 : 58]);
    const echo = protocol === 1 || protocol === 58;
    const client = ip(1, 1 + random.below(9));
    const server = echo ? ip(96, 99) : ip(96, 1 + random.below(42));
    const sport = 1024 + random.below(60_000);
    const out = packet(client, sport, server, 80, protocol, random.below(60));
    const sent = out.bytes().slice();
    const f = forward(nf, out);
    if (f === undefined) continue;
    const after = whole(out);
    expect(after.tuple()).toEqual(f.tuple());
    if (after.tuple().dst !== server || after.tuple().src !== client) translated++;
    if (random.float() < 0.3 && protocol !== 132) {
      // The other side refuses: the error must quote the packet as the client made it.
      const error = icmpError(out, after, "hostUnreachable", after.dst);
      const g = forward(nf, error);
      expect(g).toBeDefined();
      const back = whole(error);
      expect([back.tuple().src, back.tuple().dst]).toEqual([server, client]);
      const quoted = error.start + back.l4 + 8;
      const header = family === 6 ? 40 : 20;
      const addresses: [number, number] = family === 6 ? [8, 40] : [12, 20];
      expect([...error.data.subarray(quoted + addresses[0], quoted + addresses[1])]).toEqual([
        ...sent.subarray(addresses[0], addresses[1]),
      ]);
      if (!echo) expect(u32(error.data, quoted + header)).toBe(u32(sent, header));
      if (echo) expect(u16(error.data, quoted + header + 4)).toBe(sport);
      continue;
    }
    const answer = answerTo(out, after);
    expect(forward(nf, answer)).toBeDefined();
    const back = whole(answer);
    expect([back.tuple().src, back.tuple().dst]).toEqual([server, client]);
    expect(echo ? back.sport : back.dport).toBe(sport);
    if (!echo) expect(back.sport).toBe(80);
  }
  expect(translated).toBeGreaterThan(1500);
});
