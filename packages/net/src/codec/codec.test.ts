import { describe, expect, test } from "vitest";
import { checksum, checksumHolds, patchChecksum32, pseudoSum, pseudoSumAt } from "../checksum.ts";
import {
  Arp,
  address,
  Ethernet,
  formatAddress,
  formatMac,
  Icmp,
  Icmpv6,
  IpProtocol,
  Ipv4,
  Ipv6,
  inPrefix,
  isMalformed,
  Malformed,
  networkOf,
  parseAddress,
  parseMac,
  parsePrefix,
  Tcp,
  TcpFlag,
  Udp,
  u32,
  Vxlan,
} from "./index.ts";

const hex = (s: string) => Uint8Array.from(Buffer.from(s.replaceAll(/\s/g, ""), "hex"));

describe("addresses", () => {
  test("IPv4 text is strict", () => {
    expect(parseAddress("10.244.1.5")).toBe(0x0af40105);
    expect(parseAddress("255.255.255.255")).toBe(0xffffffff);
    for (const bad of ["", "1.2.3", "1.2.3.4.5", "256.1.1.1", "01.2.3.4", "1.2.3.4 ", "1..2.3", "a.b.c.d", "1.2.3."])
      expect(parseAddress(bad)).toBeUndefined();
    expect(formatAddress(0xc0a80001)).toBe("192.168.0.1");
  });
  test("IPv6 text follows RFC 5952", () => {
    for (const [text, canonical] of [
      ["2001:DB8:0:0:0:0:0:1", "2001:db8::1"],
      ["::", "::"],
      ["::1", "::1"],
      ["fd00::", "fd00::"],
      ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
      ["1:0:0:2:0:0:0:3", "1:0:0:2::3"],
      ["1:0:0:2:0:0:3:4", "1::2:0:0:3:4"],
    ])
      expect(formatAddress(address(text!))).toBe(canonical);
    expect(parseAddress("::ffff:10.0.0.1")).toBe(0x0a000001);
    expect(parseAddress("fe80::1%eth0")).toBeUndefined();
  });
  test("prefixes", () => {
    expect(parsePrefix("10.244.0.0/16")).toEqual({ address: 0x0af40000, length: 16 });
    expect(parsePrefix("10.0.0.0/33")).toBeUndefined();
    expect(parsePrefix("fd00::/64")).toEqual({ address: address("fd00::"), length: 64 });
    expect(inPrefix(address("10.244.9.9"), address("10.244.0.0"), 16)).toBe(true);
    expect(inPrefix(address("10.245.0.0"), address("10.244.0.0"), 16)).toBe(false);
    expect(inPrefix(address("8.8.8.8"), 0, 0)).toBe(true);
    expect(inPrefix(address("fd00::5"), address("fd00::"), 64)).toBe(true);
    expect(inPrefix(address("fd00::5"), 0, 0)).toBe(false);
    expect(networkOf(address("10.244.9.9"), 24)).toBe(address("10.244.9.0"));
  });
  test("MAC", () => {
    expect(formatMac(parseMac("0a:58:0A:f4:01:05")!)).toBe("0a:58:0a:f4:01:05");
    expect(parseMac("0a:58:0a:f4:01")).toBeUndefined();
  });
});

describe("checksum", () => {
  test("the example of RFC 1071 section 3", () => {
    expect(checksum(hex("0001 f203 f4f5 f6f7"), 0, 8)).toBe(~0xddf2 & 0xffff);
  });
  test("any offset, any length, against the definition", () => {
    const b = new Uint8Array(100).map((_, i) => (i * 73 + 11) & 255);
    for (let from = 0; from < 9; from++)
      for (let to = from; to < 60; to++) {
        let s = 0;
        for (let i = from; i < to; i += 2) s += (b[i]! << 8) | (i + 1 < to ? b[i + 1]! : 0);
        while (s > 0xffff) s = (s & 0xffff) + (s >>> 16);
        expect(checksum(b, from, to)).toBe(~s & 0xffff);
      }
  });
  test("an incremental update equals a new sum (RFC 1624)", () => {
    const b = hex("4500 003c 1c46 4000 4006 0000 ac10 0a63 ac10 0a0c");
    Ipv4.seal(b, 0);
    expect(Ipv4.checksum(b, 0)).toBe(0xb1e6);
    for (const next of [0, 0xffffffff, 0x0af40105, 0xac100a63]) {
      const before = u32(b, 12);
      Ipv4.setSrc(b, 0, next);
      patchChecksum32(b, Ipv4.CHECKSUM, before, next);
      expect(checksumHolds(b, 0, 20)).toBe(true);
    }
  });
});

test("ethernet round trip", () => {
  const b = new Uint8Array(20);
  const e = { dst: 0xffffffffffff, src: 0x0a580af40105, type: 0x0800 };
  expect(Ethernet.emit(e, b, 3)).toBe(14);
  expect(Ethernet.parse(b, 3, 17)).toEqual(e);
  expect(Ethernet.parse(b, 3, 16)).toEqual(new Malformed("ethernet", "truncated"));
});

test("arp round trip and refusal", () => {
  const b = new Uint8Array(30);
  const a = { operation: 1, senderMac: 0x0a580af40105, senderIp: address("10.0.0.1") as number, targetMac: 0, targetIp: 0xfffffffe };
  expect(Arp.emit(a, b, 1)).toBe(28);
  expect(Arp.parse(b, 1, 29)).toEqual(a);
  b[1 + 7] = 9;
  expect(Arp.problem(b, 1, 29)).toBe("unknown operation");
});

test("ipv4 round trip and each refusal", () => {
  const b = new Uint8Array(64);
  const h = {
    src: address("10.244.1.5") as number,
    dst: address("10.96.0.10") as number,
    protocol: 17,
    ttl: 64,
    tos: 0x2e,
    identification: 0xbeef,
    dontFragment: true,
    moreFragments: false,
    fragmentOffset: 0,
    totalLength: 40,
  };
  Ipv4.emit(h, b, 2);
  expect(Ipv4.parse(b, 2, 64)).toEqual({ ...h, headerLength: 20 });
  expect(Ipv4.problem(b, 2, 41)).toBe("truncated");
  const broken = (at: number, v: number) => {
    const c = b.slice();
    c[2 + at] = v;
    return Ipv4.problem(c, 2, 64);
  };
  expect(broken(0, 0x65)).toBe("bad version");
  expect(broken(0, 0x44)).toBe("bad header length");
  expect(broken(3, 10)).toBe("bad total length");
  expect(broken(8, 63)).toBe("bad checksum");
});

test("ipv6 round trip, extension headers", () => {
  const b = new Uint8Array(80);
  const h = {
    src: address("fd00::1") as bigint,
    dst: address("fd00::2") as bigint,
    trafficClass: 0xa5,
    flowLabel: 0x54321,
    nextHeader: 0,
    hopLimit: 64,
    payloadLength: 16,
  };
  Ipv6.emit(h, b, 0);
  expect(Ipv6.parse(b, 0, 80)).toEqual(h);
  b[40] = 6;
  b[41] = 0;
  expect(Ipv6.transport(b, 0, 56)).toEqual({ protocol: 6, at: 48 });
  b[41] = 4;
  expect(Ipv6.transport(b, 0, 56)).toEqual(new Malformed("ipv6", "truncated"));
});

test("icmp and icmpv6 round trip, checksum checked", () => {
  const b = new Uint8Array(80);
  const body = Uint8Array.of(1, 2, 3);
  const n = Icmp.emit({ type: 8, code: 0, rest: 0x00010002, body }, b, 1);
  expect(Icmp.parse(b, 1, 1 + n)).toEqual({ type: 8, code: 0, rest: 0x00010002, body });
  b[5]! ^= 1;
  expect(Icmp.problem(b, 1, 1 + n)).toBe("bad checksum");
  expect(Icmp.problem(Uint8Array.of(3, 0, 0, 0, 0, 0, 0, 0), 0, 8)).toBe("error without the packet");
  const pseudo = pseudoSum(1n, 2n, IpProtocol.ICMPV6);
  const m = Icmpv6.emit({ type: 128, code: 0, rest: 7, body }, b, 0, pseudo);
  expect(isMalformed(Icmpv6.parse(b, 0, m, pseudo))).toBe(false);
  expect(Icmpv6.problem(b, 0, m, pseudo + 1)).toBe("bad checksum");
});

test("udp round trip; zero means no checksum", () => {
  const b = new Uint8Array(80);
  const pseudo = pseudoSum(address("10.0.0.1"), address("10.0.0.2"), IpProtocol.UDP);
  const u = { sport: 53, dport: 5353, payload: Uint8Array.of(9, 8, 7) };
  const n = Udp.emit(u, b, 4, pseudo);
  expect(Udp.parse(b, 4, 4 + n, pseudo)).toEqual(u);
  expect(Udp.problem(b, 4, 4 + n, pseudo + 1)).toBe("bad checksum");
  Udp.emit(u, b, 4);
  expect(Udp.problem(b, 4, 4 + n, pseudo + 1)).toBe("");
  expect(Udp.problem(b, 4, 3 + n)).toBe("truncated");
});

test("tcp round trip with every option", () => {
  const b = new Uint8Array(128);
  const pseudo = pseudoSum(address("fd00::1"), address("fd00::2"), IpProtocol.TCP);
  const t = {
    sport: 1,
    dport: 65535,
    seq: 0xfffffff0,
    ack: 0x80000000,
    flags: TcpFlag.SYN | TcpFlag.ACK,
    window: 65535,
    urgent: 0,
    options: { mss: 1460, windowScale: 7, sackPermitted: true, timestamp: { value: 1, echo: 0xffffffff } },
    payload: Uint8Array.of(1, 2, 3, 4, 5),
  };
  const n = Tcp.emit(t, b, 0, pseudo);
  expect(n).toBe(45);
  expect(Tcp.parse(b, 0, n, pseudo)).toEqual(t);
  const sack: [number, number][] = [
    [1, 2],
    [3, 4],
    [5, 6],
    [7, 8],
  ]; // prettier-ignore
  const s = { ...t, options: { timestamp: { value: 5, echo: 6 }, sack }, payload: new Uint8Array(0) };
  const m = Tcp.emit(s, b, 0, pseudo);
  expect(Tcp.parse(b, 0, m, pseudo)).toEqual({ ...s, options: { timestamp: s.options.timestamp, sack: sack.slice(0, 3) } });
  expect(Tcp.problem(b, 0, m, pseudo + 1)).toBe("bad checksum");
  b[12] = 0xf0;
  expect(Tcp.problem(b, 0, 40)).toBe("truncated");
  b[12] = 0x40;
  expect(Tcp.problem(b, 0, 40)).toBe("bad data offset");
});

test("broken tcp options end the list and never read past it", () => {
  const b = hex("0050 0051 00000001 00000000 6002 ffff 0000 0000 02 ff 05 b4 ff ff ff ff");
  expect(Tcp.parse(b, 0, 24)).toMatchObject({ options: {} });
});

test("vxlan round trip", () => {
  const b = new Uint8Array(8);
  expect(Vxlan.emit({ vni: 0xabcdef }, b, 0)).toBe(8);
  expect(Vxlan.parse(b, 0, 8)).toEqual({ vni: 0xabcdef });
  b[0] = 0;
  expect(Vxlan.problem(b, 0, 8)).toBe("no VNI");
});

test("the pseudo header read in place equals the one of the addresses", () => {
  const b = new Uint8Array(60);
  Ipv4.emit(
    {
      src: 0xc0a80001,
      dst: 0xffffffff,
      protocol: 6,
      ttl: 1,
      tos: 0,
      identification: 0,
      dontFragment: false,
      moreFragments: false,
      fragmentOffset: 0,
      totalLength: 20,
    },
    b,
    0,
  );
  expect(pseudoSumAt(b, 0, 6)).toBe(pseudoSum(0xc0a80001, 0xffffffff, 6));
  const [src, dst] = [address("fd00:1:2:3::ffff") as bigint, address("ff02::1") as bigint];
  Ipv6.emit({ src, dst, trafficClass: 0, flowLabel: 0, nextHeader: 6, hopLimit: 1, payloadLength: 0 }, b, 0);
  expect(pseudoSumAt(b, 0, 6)).toBe(pseudoSum(src, dst, 6));
});
