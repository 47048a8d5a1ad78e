// NodeUnschedulable: a cordoned node takes only pods that tolerate its taint.
import { type Plugin, reject } from "../framework/plugin.ts";
import { toleratesAny } from "../framework/tolerations.ts";

const TAINT = { key: "node.kubernetes.io/unschedulable", effect: "NoSchedule" };
const REJECTION = reject(true, "node(s) were unschedulable");

export const nodeUnschedulable: Plugin = {
  name: "NodeUnschedulable",
  filter: (c, node) => (node.unschedulable && !toleratesAny(c.pod.tolerations, TAINT) ? REJECTION : undefined),
};
