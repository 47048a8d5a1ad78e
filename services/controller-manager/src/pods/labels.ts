// An index of pods by label, so that what a selector selects is found without a scan of the namespace.
import type { Informer, KubeObject } from "@podwire/client";
import type { Matcher } from "../ownership.ts";

export const BY_LABEL = "byLabel";

export function indexByLabel(informer: Informer<any>): void {
  informer.addIndex(BY_LABEL, (o: KubeObject) => {
    const labels = o.metadata.labels;
    if (!labels) return [];
    const namespace = o.metadata.namespace ?? "";
    return Object.keys(labels).map((k) => `${namespace}/${k}=${labels[k]}`);
  });
}

/** Objects of a namespace that `selector` (a plain map) selects; an empty map selects all. */
export function selectedBy(
  informer: Informer<any>,
  namespace: string,
  selector: Readonly<Record<string, string>>,
  matcher: Matcher,
): KubeObject[] {
  let smallest: KubeObject[] | undefined;
  for (const [k, v] of Object.entries(selector)) {
    const found = informer.lister.byIndex(BY_LABEL, `${namespace}/${k}=${v}`);
    if (!smallest || found.length < smallest.length) smallest = found;
    if (smallest.length === 0) return smallest;
  }
  return (smallest ?? informer.lister.list(namespace)).filter((o) => matcher.matches(o.metadata.labels));
}
