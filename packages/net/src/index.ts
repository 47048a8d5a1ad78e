// net: IP packets in user space. Pure: no sockets of the host, no files; time and randomness are handed in.
export * from "./checksum.ts";
export * from "./codec/index.ts";
export * from "./conntrack/index.ts";
export * from "./devices/index.ts";
export * from "./namespace/index.ts";
export * from "./netfilter/index.ts";
export * from "./packet.ts";
export { heldSlots } from "./packet-memory.ts";
export * from "./pcapng.ts";
export * from "./pcapng-capture.ts";
export * from "./policy/index.ts";
export { formatRoute, type Route, RouteTable, type RouteType } from "./routing/table.ts";
export * from "./sockets/index.ts";
export type { TcpConfig } from "./tcp/connection.ts";
export { segmentPacket } from "./tcp/segmentation.ts";
export * from "./trace.ts";
