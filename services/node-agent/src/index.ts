// node-agent: one process is one node.
export { FLAGS, type NodeAgentConfig } from "./config.ts";
export * from "./kube-proxy/index.ts";
export { RemoteVolume, type RemoteVolumeOptions } from "./kubelet/volumes/remote-volume.ts";
export * from "./network-policy/index.ts";
export { NodeAgent, type NodeAgentOptions } from "./node-agent.ts";
