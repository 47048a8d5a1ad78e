// The codecs: one file a protocol, one shape each. `problem(b, at, end)` judges without allocating, `parse` turns bytes into a
// meaning or Malformed, `emit` turns a meaning into bytes and cannot fail, getters read a field of bytes already judged.
export * from "./address.ts";
export * from "./arp.ts";
export * from "./ethernet.ts";
export * from "./icmp.ts";
export * from "./icmpv6.ts";
export * from "./ipv4.ts";
export * from "./ipv6.ts";
export * from "./malformed.ts";
export * from "./numbers.ts";
export * from "./tcp.ts";
export * from "./udp.ts";
export * from "./vxlan.ts";
