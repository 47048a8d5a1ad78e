import { execFileSync, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import * as http from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ipOf, two } from "@podwire/testkit";
import { describe, expect, test } from "vitest";
import { checksumHolds, pseudoSumAt } from "./checksum.ts";
import { Ipv4 } from "./codec/ipv4.ts";
import { Tcp } from "./codec/tcp.ts";
import { LinkType, PcapngWriter } from "./pcapng.ts";
import { Capture } from "./pcapng-capture.ts";
import { twoHosts } from "./sockets/two-hosts.ts";
import { segmentPacket } from "./tcp/segmentation.ts";

const tshark = spawnSync("tshark", ["--version"]).status === 0;

test("a packet that stands for several is cut into valid ones whose payloads join to its own", async () => {
  let seen = 0;
  const hosts = twoHosts({
    tap: (p) => {
      if (p.gsoSize === 0) return false;
      const whole = p.bytes();
      const pieces: Uint8Array[] = [];
      segmentPacket(p.data, p.start, p.end, false, p.gsoSize, (piece) => pieces.push(piece));
      for (const piece of pieces) {
        expect(piece.length).toBeLessThanOrEqual(1450);
        expect(Ipv4.problem(piece, 0, piece.length)).toBe("");
        expect(checksumHolds(piece, 20, piece.length, pseudoSumAt(piece, 0, 6) + piece.length - 20)).toBe(true);
      }
      const header = 20 + Tcp.headerLength(whole, 20);
      expect(Buffer.concat(pieces.map((x) => x.subarray(header))).equals(whole.subarray(header))).toBe(true);
      expect(Tcp.flags(pieces.at(-1)!, 20)).toBe(Tcp.flags(whole, 20));
      seen++;
      return false;
    },
  });
  hosts.b.tcpListen({ port: 7 }, (s) => s.resume());
  const s = hosts.a.tcpConnect({ host: "10.0.0.2", port: 7 });
  s.end(Buffer.alloc(300_000, "abc"));
  s.resume();
  await once(s, "close");
  expect(seen).toBeGreaterThan(5);
  hosts[Symbol.dispose]();
});

test("blocks are framed by their length, options padded", () => {
  const w = new PcapngWriter();
  const blocks = [w.header(), w.addInterface("default/web:eth0", LinkType.ETHERNET).block];
  blocks.push(...w.packet({ interfaceId: 0, timeMs: 1_700_000_000_000.25, bytes: new Uint8Array(61), direction: "in", comment: "accept" }));
  for (const b of blocks) {
    const v = new DataView(b.buffer, b.byteOffset);
    expect(b.length % 4).toBe(0);
    expect([v.getUint32(4, true), v.getUint32(b.length - 4, true)]).toEqual([b.length, b.length]);
  }
  expect(() => w.packet({ interfaceId: 1, timeMs: 0, bytes: new Uint8Array(1) })).toThrow(RangeError);
});

describe.skipIf(!tshark)("tshark reads a capture of two nodes (skipped where tshark is not installed)", () => {
  test("no malformed packet, no bad checksum, VXLAN dissected down to HTTP, interfaces and comments named", {
    timeout: 60_000,
  }, async () => {
    const net = two();
    const [p, q] = [net.a.addPod(2), net.b.addPod(2)];
    // The wire in a file of its own: tshark takes the same stream on a second interface for retransmissions.
    const files = { wire: [] as Uint8Array[], all: [] as Uint8Array[] };
    const capture = (blocks: Uint8Array[]) => new Capture({ nowMs: () => Date.now(), write: (b) => blocks.push(b), maxBytes: 50_000_000 });
    const [wire, all] = [capture(files.wire), capture(files.all)];
    for (const ns of [net.a.root, net.b.root, p, q])
      for (const d of ns.devices.values()) (d === net.a.nic ? wire : all).attach(d, `${ns.process}/${ns.name}`);
    const push = net.points.push.bind(net.points);
    net.points.push = (...t) => {
      for (const x of t) all.point(x);
      return push(...t);
    };
    p.armTrace({ traceId: 9, dst: ipOf(q), protocol: "tcp", maxPackets: 1000, untilMs: Date.now() + 60_000 });
    const app = http.createServer((req, res) => req.resume().on("end", () => res.end("y".repeat(50_000))));
    q.tcpListen({ port: 80, allowHalfOpen: true }, (s) => app.emit("connection", s));
    for (const host of [ipOf(q), ipOf(q, 6)]) {
      const req = http.request({ method: "POST", path: "/x", createConnection: () => p.tcpConnect({ host, port: 80 }) as never });
      req.end("z".repeat(80_000));
      const [res] = (await once(req, "response")) as [http.IncomingMessage];
      let n = 0;
      for await (const c of res) n += c.length;
      expect(n).toBe(50_000);
    }
    await p.ping(ipOf(q));
    for (const c of [wire, all]) c.stop();
    net.close();

    const dir = mkdtempSync(join(tmpdir(), "pcapng-"));
    try {
      for (const name of ["wire", "all"] as const) writeFileSync(join(dir, name), Buffer.concat(files[name]));
      const verify = ["ip.check_checksum:TRUE", "tcp.check_checksum:TRUE", "udp.check_checksum:TRUE", "tcp.desegment_tcp_streams:FALSE"];
      const count = (file: string, filter: string, prefs = verify.slice(0, 3)) => {
        const args = ["-r", join(dir, file), ...prefs.flatMap((x) => ["-o", x]), "-Y", filter, "-T", "fields", "-e", "frame.number"];
        return execFileSync("tshark", args, { stdio: ["ignore", "pipe", "ignore"] })
          .toString()
          .split("\n")
          .filter(Boolean).length;
      };
      const badSum = ["ip", "tcp", "udp", "icmp", "icmpv6"].map((x) => `${x}.checksum.status == 0`).join(" || ");
      expect(count("wire", "vxlan")).toBeGreaterThan(150);
      expect(count("all", "frame")).toBeGreaterThan(1000);
      for (const file of ["wire", "all"]) {
        expect(count(file, "_ws.malformed || _ws.short", verify)).toBe(0);
        expect(count(file, badSum, verify)).toBe(0);
      }
      // Retransmissions are a matter of how busy the machine is; numbers that do not fit together never happen.
      expect(count("wire", "_ws.malformed || _ws.short || tcp.analysis.lost_segment || tcp.analysis.ack_lost_segment")).toBe(0);
      expect(count("wire", "vxlan && ip && http.request.method == POST")).toBe(2);
      expect(count("wire", "vxlan && ipv6 && http.response.code == 200")).toBe(1);
      expect(count("wire", "vxlan && icmp.type == 0")).toBe(1);
      expect(count("wire", `frame.interface_name == "node-1/root:eth0"`)).toBe(count("wire", "frame"));
      expect(count("all", `frame.comment contains "forward"`)).toBeGreaterThan(10);
    } finally {
      rmSync(dir, { recursive: true });
    }
  });
});
