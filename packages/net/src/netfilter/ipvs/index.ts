// IPVS: virtual servers.
export { SCHEDULERS, type Scheduler } from "./schedulers.ts";
export { type IpvsPool, keyOf as virtualServerKey, type VirtualServer, VirtualServers } from "./virtual-servers.ts";
