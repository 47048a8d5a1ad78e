// NodeName: a pod that names its node goes nowhere else.
import { type Plugin, reject } from "../framework/plugin.ts";

const REJECTION = reject(true, "node(s) didn't match the requested node name");

export const nodeName: Plugin = {
  name: "NodeName",
  filter(c, node) {
    const wanted = c.pod.pod["spec"]?.nodeName;
    return wanted && wanted !== node.name ? REJECTION : undefined;
  },
};
