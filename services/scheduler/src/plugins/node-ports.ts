// NodePorts: host ports of the pod must be free on the node.
import { type Plugin, reject } from "../framework/plugin.ts";

const REJECTION = reject(false, "node(s) didn't have free ports for the requested pod ports");

export const nodePorts: Plugin = {
  name: "NodePorts",
  preFilter: (c) => (c.pod.hostPorts.length === 0 ? "skip" : undefined),
  filter: (c, node) => (node.portsConflict(c.pod.hostPorts) ? REJECTION : undefined),
};
