// What the socket layer needs of the namespace around it, and nothing more. The namespace routes, filters and tracks; the socket
// layer makes and eats whole IP packets.
// Invariant: a Packet handed over is given away (packet.ts); its bytes from `start` on are an IP header.
import type { IpAddress } from "../codec/address.ts";
import type { Packet } from "../packet.ts";
import type { TracePoint } from "../trace.ts";

export interface IpLayer {
  /** Sends a locally made packet, complete with addresses and checksums: local-out hook, route, post-routing hook, device.
   *  Must not call back into the socket layer synchronously (loopback and veth deliver in a later turn or from a queue). */
  output(packet: Packet): OutputResult;
  /** The source address that a packet to `dst` would get; undefined when there is no route. */
  sourceFor(dst: IpAddress): IpAddress | undefined;
  /** The MTU of the route to `dst`, path MTU discovery included. */
  mtuFor(dst: IpAddress): number;
  /** True when packets to `a` are delivered here (an address of a device, or loopback). */
  isLocal(a: IpAddress): boolean;
  /** Called at a socket's trace points (place "socket") of a packet with a traceId; absent when tracing cannot happen. */
  trace?(packet: Packet, point: Pick<TracePoint, "place" | "name" | "rule" | "verdict" | "detail">): void;
}

/** "" when the packet is under way; else the error a local sender sees, as errno names. */
export type OutputResult = "" | "ENETUNREACH" | "EHOSTUNREACH" | "EACCES" | "EPERM" | "EMSGSIZE" | "ENOBUFS" | "EINVAL";
