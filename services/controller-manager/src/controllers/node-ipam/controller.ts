// The shell of node IPAM: gives every node without one a pod address range of each cluster range.
// Invariant: one worker, and blocks are taken before the write, so that two nodes never get the same one.
import { type KubeObject, Resources, runController } from "@podwire/client";
import type { ControllerContext, RunningController } from "../../context.ts";
import { blockOf, cidrOf, freeBlock, parseRange } from "./plan.ts";

export function startNodeIpam(c: ControllerContext): RunningController {
  const nodes = c.informers.of(Resources.nodes);
  const ranges = c.settings.clusterCidrs.map((r) => ({
    range: parseRange(r, c.settings.nodeCidrMaskSizeIpv4, c.settings.nodeCidrMaskSizeIpv6),
    used: new Map<number, string>(),
  }));
  const recorder = c.recorder("cidrAllocator");
  const controller = runController({ name: "nodeipam", clock: c.clock, log: c.log, informers: [nodes], workers: 1, reconcile });

  const cidrsOf = (node: KubeObject): string[] => node["spec"]?.podCIDRs ?? (node["spec"]?.podCIDR ? [node["spec"].podCIDR] : []);
  const occupy = (node: KubeObject) => {
    for (const cidr of cidrsOf(node))
      for (const r of ranges) {
        const block = blockOf(r.range, cidr);
        if (block !== undefined) r.used.set(block, node.metadata.name);
      }
  };
  nodes.handle({
    onAdd(node) {
      occupy(node);
      controller.queue.add(node.metadata.name);
    },
    onUpdate(node) {
      occupy(node);
      if (cidrsOf(node).length === 0) controller.queue.add(node.metadata.name);
    },
    onDelete(node) {
      for (const r of ranges) for (const [block, holder] of r.used) if (holder === node.metadata.name) r.used.delete(block);
    },
  });

  async function reconcile(name: string) {
    const node = nodes.lister.get("", name);
    if (!node || cidrsOf(node).length > 0 || node.metadata.deletionTimestamp) return undefined;
    const taken: { used: Map<number, string>; block: number; cidr: string }[] = [];
    for (const { range, used } of ranges) {
      const block = freeBlock(range, new Set(used.keys()));
      if (block === undefined) {
        for (const t of taken) t.used.delete(t.block);
        recorder.event(node, "Normal", "CIDRNotAvailable", `Node ${name} status is now: CIDRNotAvailable`);
        throw new Error("CIDR allocation failed; there are no remaining CIDRs left to allocate in the accepted range");
      }
      used.set(block, name);
      taken.push({ used, block, cidr: cidrOf(range, block) });
    }
    const podCIDRs = taken.map((t) => t.cidr);
    try {
      await c.client.patch(Resources.nodes, "", name, "strategic", { spec: { podCIDR: podCIDRs[0], podCIDRs } });
    } catch (e) {
      for (const t of taken) t.used.delete(t.block);
      throw e;
    }
    return undefined;
  }
  return controller;
}
