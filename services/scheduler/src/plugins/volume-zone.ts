// VolumeZone: a bound volume's zone and region labels must be the node's, when the volume has any.
import type { KubeObject } from "@podwire/client";
import { type Plugin, reject } from "../framework/plugin.ts";
import { isBound, type VolumeSources } from "./volume-binding.ts";

const NAME = "VolumeZone";
const KEYS = [
  "topology.kubernetes.io/zone",
  "topology.kubernetes.io/region",
  "failure-domain.beta.kubernetes.io/zone",
  "failure-domain.beta.kubernetes.io/region",
];
const REJECTION = reject(true, "node(s) had no available volume zone");

export function volumeZone(s: VolumeSources): Plugin {
  return {
    name: NAME,
    preFilter(c) {
      const demands: { key: string; values: Set<string> }[] = [];
      for (const name of c.pod.claims) {
        const claim = s.claim(c.pod.namespace, name);
        const volume: KubeObject | undefined = claim && isBound(claim) ? s.volume(claim["spec"].volumeName) : undefined;
        for (const key of KEYS) {
          const value = volume?.metadata.labels?.[key];
          if (value !== undefined) demands.push({ key, values: new Set(value.split("__")) });
        }
      }
      if (demands.length === 0) return "skip";
      c.state.set(NAME, demands);
      return undefined;
    },
    filter(c, node) {
      // A node without any zone is a cluster without zones.
      if (!KEYS.some((k) => node.labels[k] !== undefined)) return undefined;
      for (const d of c.state.get(NAME) as { key: string; values: Set<string> }[])
        if (!d.values.has(node.labels[d.key] ?? "")) return REJECTION;
      return undefined;
    },
  };
}
