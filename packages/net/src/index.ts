// net: IP packets in user space. Pure: no sockets of the host, no files; time and randomness are handed in.
export * from "./checksum.ts";
export * from "./codec/index.ts";
export * from "./packet.ts";
export * from "./trace.ts";
