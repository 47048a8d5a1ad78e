// The socket layer's door: SocketLayer for a namespace, the sockets it makes, and what it asks of IP.
export { DEFAULT_LIMITS, type SocketLimits } from "./context.ts";
export { ERRNO, type ErrnoName, SocketError } from "./errors.ts";
export type { PingAnswer, PingOptions } from "./icmp-layer.ts";
export type { IpLayer, OutputResult } from "./ip-layer.ts";
export { NetSocket } from "./net-socket.ts";
export { type ConnectOptions, type ListenOptions, SocketLayer, type SocketLayerOptions } from "./socket-layer.ts";
export type { TcpRow } from "./tcp-layer.ts";
export { type BoundAddress, TcpServer } from "./tcp-server.ts";
export { type DatagramSource, type IcmpReport, type UdpRow, UdpSocket } from "./udp-socket.ts";
