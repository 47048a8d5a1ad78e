// VolumeRestrictions: a claim of access mode ReadWriteOncePod is used by one pod in the whole cluster.
import { type Plugin, reject } from "../framework/plugin.ts";
import type { VolumeSources } from "./volume-binding.ts";

const NAME = "VolumeRestrictions";
const IN_USE = reject(false, "node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode");

export function volumeRestrictions(s: VolumeSources): Plugin {
  return {
    name: NAME,
    preFilter(c) {
      const exclusive = new Set<string>();
      for (const name of c.pod.claims) {
        const claim = s.claim(c.pod.namespace, name);
        if (!claim) continue;
        if ((claim["spec"].accessModes ?? []).includes("ReadWriteOncePod")) exclusive.add(name);
      }
      if (exclusive.size === 0) return "skip";
      const using = new Set<string>();
      for (const node of c.snapshot.nodes)
        for (const p of node.pods.values())
          if (p.namespace === c.pod.namespace && p.claims.some((n) => exclusive.has(n))) using.add(node.name);
      if (using.size === 0) return "skip";
      c.state.set(NAME, using);
      return undefined;
    },
    // Where the other pod is, preemption may help; anywhere else it would still be in use.
    filter: (c, node) => ((c.state.get(NAME) as Set<string>).has(node.name) ? IN_USE : { ...IN_USE, unresolvable: true }),
  };
}
