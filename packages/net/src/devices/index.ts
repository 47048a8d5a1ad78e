// Network devices: loopback, veth pairs, bridges, VXLAN tunnels and cards on the wire.
export * from "./bridge.ts";
export {
  Device,
  type DeviceCounters,
  type DeviceHost,
  macOfIpv4,
  POD_MAC,
  randomMac,
  type Shaper,
  type Tap,
  UNDERLAY_MAC,
} from "./device.ts";
export * from "./loopback.ts";
export * from "./nic.ts";
export * from "./token-bucket.ts";
export * from "./veth.ts";
export { type Underlay, VXLAN_OVERHEAD_V4, VxlanDevice } from "./vxlan.ts";
