// edge: the world outside. Others meet it on the wire, through Services and volumes; tests put its storage together with nodes.
export { serveVolumes } from "./storage/volume-server.ts";
export { CsiError, VolumeStore, type VolumeStoreOptions } from "./storage/volume-store.ts";
