// Echo requests for the tests of this folder.
import { checksum } from "../checksum.ts";
import { address } from "../codec/address.ts";
import { Packet } from "../packet.ts";
import { ipHeader } from "./icmp-errors.ts";

export function echo(src: string, dst: string, id: number): Packet {
  const p = Packet.alloc(20 + 16);
  const at = p.start + 20;
  p.data.set([8, 0, 0, 0, id >> 8, id & 255, 0, 1], at);
  ipHeader(p.data, p.start, p.end, 1, address(src), address(dst), 64);
  const sum = checksum(p.data, at, p.end);
  p.data[at + 2] = sum >> 8;
  p.data[at + 3] = sum & 255;
  return p;
}
