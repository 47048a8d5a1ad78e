// What a pod belongs to: the labels that its Services and its owner select, for the default spreading (kube-scheduler's
// DefaultSelector). Reads caches only.
import { labelSelector } from "@podwire/api";
import { controllerOf, type Informer } from "@podwire/client";
import type { Labels, PodInfo } from "./framework/pod-info.ts";

export interface SelectorSources {
  services: Pick<Informer<any>, "lister">;
  replicaSets: Pick<Informer<any>, "lister">;
  replicationControllers: Pick<Informer<any>, "lister">;
  statefulSets: Pick<Informer<any>, "lister">;
}

export function defaultSelectorOf(s: SelectorSources, pod: PodInfo): Labels | undefined {
  const matchLabels: Record<string, string> = {};
  const matchExpressions: any[] = [];
  for (const service of s.services.lister.list(pod.namespace)) {
    const selector = service["spec"]?.selector as Record<string, string> | undefined;
    if (selector && Object.keys(selector).length > 0 && selects(selector, pod.labels)) Object.assign(matchLabels, selector);
  }
  const owner = controllerOf(pod.pod);
  if (owner) {
    if (owner.kind === "ReplicationController")
      Object.assign(matchLabels, s.replicationControllers.lister.get(pod.namespace, owner.name)?.["spec"]?.selector);
    else {
      const source = owner.kind === "ReplicaSet" ? s.replicaSets : owner.kind === "StatefulSet" ? s.statefulSets : undefined;
      const selector = source?.lister.get(pod.namespace, owner.name)?.["spec"]?.selector;
      Object.assign(matchLabels, selector?.matchLabels);
      matchExpressions.push(...(selector?.matchExpressions ?? []));
    }
  }
  if (Object.keys(matchLabels).length === 0 && matchExpressions.length === 0) return undefined;
  return labelSelector({ matchLabels, matchExpressions });
}

function selects(selector: Record<string, string>, labels: Readonly<Record<string, string>>): boolean {
  for (const k in selector) if (labels[k] !== selector[k]) return false;
  return true;
}
