// What a namespace under deletion says about itself (core/v1 NamespaceStatus conditions). Pure.
import { time } from "@podwire/client";

export interface Remaining {
  /** "pods.", "deployments.apps": resource, dot, group. */
  resource: string;
  count: number;
  finalizers: Map<string, number>;
}

export interface DeletionReport {
  remaining: readonly Remaining[];
  /** Why content could not be deleted, when it could not. */
  failures: readonly string[];
}

const CALM: Record<string, { reason: string; message: string }> = {
  NamespaceDeletionDiscoveryFailure: { reason: "ResourcesDiscovered", message: "All resources successfully discovered" },
  NamespaceDeletionGroupVersionParsingFailure: { reason: "ParsedGroupVersions", message: "All legacy kube types successfully parsed" },
  NamespaceDeletionContentFailure: {
    reason: "ContentDeleted",
    message: "All content successfully deleted, may be waiting on finalization",
  },
  NamespaceContentRemaining: { reason: "ContentRemoved", message: "All content successfully removed" },
  NamespaceFinalizersRemaining: { reason: "ContentHasNoFinalizers", message: "All content-preserving finalizers finished" },
};

export function namespaceConditions(old: readonly any[], r: DeletionReport, nowMs: number): any[] {
  const raised: Record<string, { reason: string; message: string }> = {};
  if (r.failures.length > 0)
    raised["NamespaceDeletionContentFailure"] = {
      reason: "ContentDeletionFailed",
      message: `Failed to delete all resource types, ${r.failures.length} remaining: ${[...r.failures].sort().join(", ")}`,
    };
  const left = r.remaining.filter((x) => x.count > 0).sort((a, b) => (a.resource < b.resource ? -1 : 1));
  if (left.length > 0)
    raised["NamespaceContentRemaining"] = {
      reason: "SomeResourcesRemain",
      message: `Some resources are remaining: ${left.map((x) => `${x.resource} has ${x.count} resource instances`).join(", ")}`,
    };
  const finalizers = new Map<string, number>();
  for (const x of left) for (const [f, n] of x.finalizers) finalizers.set(f, (finalizers.get(f) ?? 0) + n);
  if (finalizers.size > 0)
    raised["NamespaceFinalizersRemaining"] = {
      reason: "SomeFinalizersRemain",
      message: `Some content in the namespace has finalizers remaining: ${[...finalizers]
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([f, n]) => `${f} in ${n} resource instances`)
        .join(", ")}`,
    };
  const next = old.filter((c) => !(c.type in CALM));
  for (const [type, calm] of Object.entries(CALM)) {
    const status = raised[type] ? "True" : "False";
    const { reason, message } = raised[type] ?? calm;
    const before = old.find((c) => c.type === type);
    if (before && before.status === status && before.reason === reason && before.message === message) next.push(before);
    else
      next.push({ type, status, lastTransitionTime: before?.status === status ? before.lastTransitionTime : time(nowMs), reason, message });
  }
  return next;
}
