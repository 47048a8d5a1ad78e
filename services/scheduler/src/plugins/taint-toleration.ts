// TaintToleration: NoSchedule and NoExecute taints must be tolerated; untolerated PreferNoSchedule taints cost score.
import { normalizeByMax, type Plugin, reject } from "../framework/plugin.ts";
import { toleratesAny, toleratesNode } from "../framework/tolerations.ts";

const REJECTION = reject(true, "node(s) had untolerated taint(s)");

export const taintToleration: Plugin = {
  name: "TaintToleration",
  filter: (c, node) => (node.taints.length > 0 && !toleratesNode(c.pod.tolerations, node.taints) ? REJECTION : undefined),
  score(c, node) {
    let n = 0;
    for (const t of node.taints)
      if (
        t.effect === "PreferNoSchedule" &&
        !toleratesAny(
          c.pod.tolerations.filter((x) => !x.effect || x.effect === "PreferNoSchedule"),
          t,
        )
      )
        n++;
    return n;
  },
  normalize: (_c, scores) => normalizeByMax(scores, true),
};
