// The downward API's fields of a pod (fieldRef): one path to its text.
import type { Pod } from "@podwire/api";

export interface FieldFacts {
  podIP: string;
  podIPs: readonly string[];
  hostIPs: readonly string[];
  nodeName: string;
}

/** undefined when the path is not supported. */
export function fieldValue(pod: Pod, path: string, facts: FieldFacts): string | undefined {
  const m = pod.metadata!;
  const one = /^metadata\.(labels|annotations)\['(.+)'\]$/.exec(path);
  if (one) return (one[1] === "labels" ? m.labels : m.annotations)?.[one[2] as string] ?? "";
  switch (path) {
    case "metadata.name":
      return m.name ?? "";
    case "metadata.namespace":
      return m.namespace ?? "";
    case "metadata.uid":
      return m.uid ?? "";
    case "metadata.labels":
      return mapText(m.labels);
    case "metadata.annotations":
      return mapText(m.annotations);
    case "spec.nodeName":
      return facts.nodeName;
    case "spec.serviceAccountName":
      return pod.spec!.serviceAccountName ?? "default";
    case "status.hostIP":
      return facts.hostIPs[0];
    case "status.hostIPs":
      return facts.hostIPs.join(",");
    case "status.podIP":
      return facts.podIP;
    case "status.podIPs":
      return facts.podIPs.join(",");
    default:
      return undefined;
  }
}

/** key="value" lines, sorted, values quoted as Go's %q. */
export function mapText(map: Record<string, string> | undefined): string {
  return Object.entries(map ?? {})
    .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
    .map(([k, v]) => `${k}=${goQuote(v)}`)
    .join("\n");
}

export function goQuote(text: string): string {
  return JSON.stringify(text)
    .replace(/\\b/g, "\\b")
    .replace(/\\u00([0-9a-f]{2})/g, (_, h) => `\\x${h}`)
    .replace(/\u007f/g, "\\x7f");
}
