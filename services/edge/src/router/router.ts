// The router between the internet and the nodes, as a wire: frames for a virtual address leave for the node that the flow belongs
// to, everything else passes. Invariant: the destination MAC of a frame names the process that gets it (net's Nic checks that).

import type { WireFrame, WirePort } from "@podwire/bus";
import { Ethernet, Ipv4, parseIpv4 } from "@podwire/net";
import { isVip } from "../cloud/addresses.ts";
import type { Candidate } from "./candidates.ts";
import { type FlowTable, flowKey } from "./flows.ts";

const TCP = 6;
const UDP = 17;

export interface RouterCounters {
  routed: number;
  /** No Ready node could take it. */
  noNode: number;
  /** Not TCP or UDP over IPv4. */
  notRoutable: number;
}

/** `candidates(vip, port)` says which nodes may take packets for a Service's address. */
export function routerOn(
  wire: Pick<WirePort, "address" | "send" | "onFrame">,
  flows: FlowTable,
  candidates: (vip: string, port: number) => readonly Candidate[],
): Pick<WirePort, "address" | "send" | "onFrame"> & { counters: RouterCounters } {
  const counters: RouterCounters = { routed: 0, noNode: 0, notRoutable: 0 };
  return {
    counters,
    address: wire.address,
    onFrame: (cb) => wire.onFrame(cb),
    send(destination: string, frame: WireFrame) {
      if (!isVip(destination)) return wire.send(destination, frame);
      const { bytes } = frame;
      const ip = Ethernet.HEADER;
      const headerLength = ((bytes[ip] ?? 0) & 0x0f) * 4;
      const protocol = bytes[ip + 9];
      if (bytes.length < ip + headerLength + 4 || headerLength < Ipv4.HEADER || (protocol !== TCP && protocol !== UDP)) {
        counters.notRoutable++;
        return;
      }
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      const transport = ip + headerLength;
      const dport = view.getUint16(transport + 2);
      const key = flowKey(view.getUint32(ip + 12), view.getUint32(ip + 16), view.getUint16(transport), dport, protocol);
      const node = flows.choose(key, candidates(destination, dport));
      if (!node) {
        counters.noNode++;
        return;
      }
      // The last four bytes of an underlay MAC address are the IPv4 address of its owner.
      view.setUint32(2, parseIpv4(node.address) as number);
      counters.routed++;
      wire.send(node.address, frame);
    },
  };
}
