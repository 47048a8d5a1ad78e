// Joined segments are the same stream: cut again they are what came; what must not be joined is not; damage stays visible.
import { seededRandom } from "@podwire/base";
import { address } from "@podwire/net";
import { expect, test } from "vitest";
import { checksum, checksumHolds, pseudoSumAt } from "../checksum.ts";
import { putU16, putU32, u16, u32 } from "../codec/numbers.ts";
import { ipHeader } from "../namespace/icmp-errors.ts";
import { Packet } from "../packet.ts";
import { segmentPacket } from "../tcp/segmentation.ts";
import { ReceiveOffload } from "./receive-offload.ts";

interface Made {
  seq: number;
  bytes: number;
  six?: boolean;
  sport?: number;
  flags?: number;
  ack?: number;
  vxlan?: boolean;
}

const random = seededRandom(5);

/** A frame of one TCP segment, in VXLAN unless told otherwise. */
function frame(o: Made): Uint8Array {
  const header = o.six ? 40 : 20;
  const p = Packet.alloc(header + 32 + o.bytes);
  const tcp = p.start + header;
  p.data.set(random.bytes(o.bytes), tcp + 32);
  putU16(p.data, tcp, o.sport ?? 4000);
  putU16(p.data, tcp + 2, 80);
  putU32(p.data, tcp + 4, o.seq >>> 0);
  putU32(p.data, tcp + 8, o.ack ?? 77);
  p.data[tcp + 12] = 8 << 4;
  p.data[tcp + 13] = o.flags ?? 0x10;
  putU16(p.data, tcp + 14, 500);
  p.data.set([1, 1, 8, 10, 0, 0, 0, 9, 0, 0, 0, 8], tcp + 20);
  const [src, dst] = o.six ? ["fd00:10:244:1::2", "fd00:10:244:2::2"] : ["10.244.1.2", "10.244.2.2"];
  ipHeader(p.data, p.start, p.end, 6, address(src as string), address(dst as string), 63);
  putU16(p.data, tcp + 16, checksum(p.data, tcp, p.end, pseudoSumAt(p.data, p.start, 6) + 32 + o.bytes));
  const ethernet = (type: number) => {
    const at = p.push(14);
    p.data.fill(2, at, at + 12);
    putU16(p.data, at + 12, type);
  };
  ethernet(o.six ? 0x86dd : 0x0800);
  if (o.vxlan !== false) {
    const vx = p.push(8);
    p.data.set([8, 0, 0, 0, 0, 0, 1, 0], vx);
    const udp = p.push(8);
    p.data.set([200, 1, 4789 >> 8, 4789 & 255, 0, 0, 0, 0], udp);
    putU16(p.data, udp + 4, p.end - udp);
    const ip = p.push(20);
    ipHeader(p.data, ip, p.end, 17, address("172.30.1.1"), address("172.30.1.2"), 64);
    ethernet(0x0800);
  }
  return p.bytes().slice();
}

function run(frames: Uint8Array[]): { out: Packet[]; refused: Uint8Array[] } {
  const out: Packet[] = [];
  const refused: Uint8Array[] = [];
  const offload = new ReceiveOffload((p) => void out.push(p));
  for (const f of frames) if (!offload.add(f)) refused.push(f);
  offload.flush();
  return { out, refused };
}

const layout = (six: boolean, vxlan: boolean) => {
  const ip = vxlan ? 64 : 14;
  return { ip, tcp: ip + (six ? 40 : 20) };
};
const tcpHolds = (p: Packet, six: boolean, vxlan: boolean) => {
  const { ip, tcp } = layout(six, vxlan);
  return checksumHolds(p.data, p.start + tcp, p.end, pseudoSumAt(p.data, p.start + ip, 6) + p.length - tcp);
};

test.each([
  [false, true],
  [true, true],
  [false, false],
])("a burst becomes one packet with right lengths and checksums, and cut again it is what came (six %s, vxlan %s)", (six, vxlan) => {
  const frames = [0, 1400, 2800, 4200].map((seq, i) =>
    frame({ seq, bytes: i === 3 ? 333 : 1400, six, vxlan, flags: i === 3 ? 0x18 : 0x10 }),
  );
  const { out, refused } = run(frames);
  expect(refused).toEqual([]);
  expect(out).toHaveLength(1);
  const p = out[0] as Packet;
  expect(p.gsoSize).toBe(1400);
  expect(tcpHolds(p, six, vxlan)).toBe(true);
  if (vxlan) {
    expect(u16(p.data, p.start + 16)).toBe(p.length - 14);
    expect(checksumHolds(p.data, p.start + 14, p.start + 34)).toBe(true);
  }
  const pieces: Uint8Array[] = [];
  segmentPacket(p.data, p.start, p.end, true, p.gsoSize, (piece) => void pieces.push(piece.slice()));
  const { tcp } = layout(six, vxlan);
  const essence = (f: Uint8Array) => [u32(f, tcp + 4), u16(f, tcp + 16), Buffer.from(f.subarray(tcp + 32)).toString("hex")];
  expect(pieces.map(essence)).toEqual(frames.map(essence));
});

test("holes, other acknowledgements, other flags and small segments are not joined; flows do not mix", () => {
  expect(run([frame({ seq: 0, bytes: 1400 }), frame({ seq: 1401, bytes: 1400 })]).out).toHaveLength(2);
  expect(run([frame({ seq: 0, bytes: 1400 }), frame({ seq: 1400, bytes: 1400, ack: 78 })]).out).toHaveLength(2);
  const fin = run([frame({ seq: 0, bytes: 1400 }), frame({ seq: 1400, bytes: 1400, flags: 0x11 })]);
  expect([fin.out.length, fin.refused.length]).toEqual([1, 1]);
  expect(run([frame({ seq: 0, bytes: 100 })]).refused).toHaveLength(1);
  expect(run([frame({ seq: 0, bytes: 1400, flags: 0x18 })]).refused).toHaveLength(1);
  const two = run([
    frame({ seq: 0, bytes: 1400 }),
    frame({ seq: 9, bytes: 1400, sport: 4001 }),
    frame({ seq: 1400, bytes: 1400 }),
    frame({ seq: 1409, bytes: 1400, sport: 4001 }),
  ]).out;
  expect(two.map((p) => p.gsoSize)).toEqual([1400, 1400]);
  for (const p of two) expect(tcpHolds(p, false, true)).toBe(true);
  // Sequence numbers wrap.
  expect(run([frame({ seq: -1400, bytes: 1400 }), frame({ seq: 0, bytes: 1400 })]).out).toHaveLength(1);
  const many = run(Array.from({ length: 40 }, (_, i) => frame({ seq: i * 1400, bytes: 1400 }))).out;
  expect(many.map((p) => Math.round(p.length / 1400))).toEqual([22, 18]);
});

test("one flipped bit is never repaired: what a checksum lets through is what was sent", () => {
  const clean = [0, 1400, 2800].map((seq) => frame({ seq, bytes: 1400 }));
  const { tcp } = layout(false, true);
  const stream = Buffer.concat(clean.map((f) => f.subarray(tcp + 32)));
  let refusedByChecksum = 0;
  for (let i = 0; i < 600; i++) {
    const frames = clean.map((f) => f.slice());
    const victim = frames[i % 3] as Uint8Array;
    const where = i < 300 ? i % (tcp + 32) : random.below(victim.length);
    victim[where] = victim[where]! ^ (1 << random.below(8));
    for (const p of run(frames).out) {
      if (!tcpHolds(p, false, true)) {
        refusedByChecksum++;
        continue;
      }
      const seq = u32(p.data, p.start + tcp + 4);
      const payload = Buffer.from(p.data.subarray(p.start + tcp + 32, p.end));
      expect(payload.equals(stream.subarray(seq, seq + payload.length))).toBe(true);
    }
  }
  expect(refusedByChecksum).toBeGreaterThan(250);
});
