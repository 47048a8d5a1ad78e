// NodeVolumeLimits: a node attaches no more volumes of a CSI driver than its CSINode says (nodevolumelimits/csi.go). Volumes are counted
// once however many pods use them; those that are still attached from earlier pods count too.
import type { KubeObject } from "@podwire/client";
import type { NodeInfo } from "../framework/node-info.ts";
import { type Plugin, reject } from "../framework/plugin.ts";
import type { VolumeSources } from "./volume-binding.ts";

const NAME = "NodeVolumeLimits";
const EXCEEDED = reject(false, "node(s) exceed max volume count");

export interface LimitSources extends VolumeSources {
  csiNode(name: string): KubeObject | undefined;
  /** Attachments of a node. */
  attachments(node: string): readonly KubeObject[];
}

/** Unique volume -> driver. */
type Wanted = Map<string, string>;

export function nodeVolumeLimits(s: LimitSources): Plugin {
  return {
    name: NAME,
    preFilter(c) {
      if (c.pod.claims.length === 0) return "skip";
      const wanted: Wanted = new Map();
      add(s, c.pod.namespace, c.pod.claims, wanted);
      if (wanted.size === 0) return "skip";
      c.state.set(NAME, wanted);
      return undefined;
    },
    filter(c, node) {
      const limits = limitsOf(s.csiNode(node.name));
      const wanted = c.state.get(NAME) as Wanted;
      if (![...wanted.values()].some((driver) => limits.has(driver))) return undefined;
      const there = volumesOn(s, node);
      const counts = new Map<string, number>();
      const count = (driver: string) => counts.set(driver, (counts.get(driver) ?? 0) + 1);
      for (const driver of there.values()) count(driver);
      const more = new Set<string>();
      for (const [volume, driver] of wanted)
        if (!there.has(volume)) {
          count(driver);
          more.add(driver);
        }
      for (const driver of more) if ((counts.get(driver) ?? 0) > (limits.get(driver) ?? Number.POSITIVE_INFINITY)) return EXCEEDED;
      return undefined;
    },
  };
}

function limitsOf(csiNode: KubeObject | undefined): Map<string, number> {
  const out = new Map<string, number>();
  for (const d of csiNode?.["spec"]?.drivers ?? []) if (typeof d.allocatable?.count === "number") out.set(d.name, d.allocatable.count);
  return out;
}

function volumesOn(s: LimitSources, node: NodeInfo): Wanted {
  const out: Wanted = new Map();
  for (const p of node.pods.values()) if (p.claims.length > 0) add(s, p.namespace, p.claims, out);
  for (const a of s.attachments(node.name)) {
    const volume = s.volume(a["spec"].source?.persistentVolumeName ?? "");
    if (volume?.["spec"].csi) out.set(`${volume["spec"].csi.driver}/${volume["spec"].csi.volumeHandle}`, volume["spec"].csi.driver);
  }
  return out;
}

function add(s: LimitSources, namespace: string, claims: readonly string[], into: Wanted): void {
  for (const name of claims) {
    const claim = s.claim(namespace, name);
    if (!claim) continue;
    const volume = claim["spec"].volumeName ? s.volume(claim["spec"].volumeName) : undefined;
    if (volume) {
      const csi = volume["spec"].csi;
      if (csi) into.set(`${csi.driver}/${csi.volumeHandle}`, csi.driver);
      continue;
    }
    // Not provisioned yet: its class says by whom it will be.
    const driver = s.storageClass(claim["spec"].storageClassName ?? "")?.["provisioner"] as string | undefined;
    if (driver !== undefined) into.set(`${driver}/${namespace}/${name}`, driver);
  }
}
