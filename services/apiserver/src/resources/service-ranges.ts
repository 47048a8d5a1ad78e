// From which ranges Services get addresses: those of the ServiceCIDR objects that are ready and not being deleted (KEP-1880,
// ipallocator/cidrallocator.go). Pure but for reading the cache.
// Invariant: until the ServiceCIDR of the flags ("kubernetes") exists, the ranges of the flags hold, so that a server can start.
import type { KubeObject } from "@podwire/api";
import { type IpFamily, type IpRange, parseIpRange } from "./ip-range.ts";

/** The object that --service-cluster-ip-range becomes. */
export const DEFAULT_SERVICE_CIDR = "kubernetes";

/** Ranges by text, parsed once. */
const parsed = new Map<string, IpRange | undefined>();
const MAX_PARSED = 1_000;

export function readyRanges(cidrs: readonly KubeObject[], flags: readonly IpRange[], family: IpFamily): IpRange[] {
  const out = new Map<string, IpRange>();
  if (!cidrs.some((c) => c.metadata.name === DEFAULT_SERVICE_CIDR)) for (const r of flags) if (r.family === family) out.set(r.text, r);
  for (const c of cidrs) {
    if (c.metadata.deletionTimestamp || !isReady(c)) continue;
    for (const r of rangesOf(c)) if (r.family === family) out.set(r.text, r);
  }
  return [...out.values()];
}

/** Every range of every object, whatever its state: an address outside of all of them is nobody's. */
export function allRanges(cidrs: readonly KubeObject[], flags: readonly IpRange[]): IpRange[] {
  return [...flags, ...cidrs.flatMap(rangesOf)];
}

function rangesOf(c: KubeObject): IpRange[] {
  return ((c["spec"]?.cidrs ?? []) as string[]).flatMap((text) => {
    if (!parsed.has(text)) {
      if (parsed.size >= MAX_PARSED) parsed.clear();
      parsed.set(text, parseIpRange(text));
    }
    return parsed.get(text) ?? [];
  });
}

/** Without a word about it an object counts as ready: the controller-manager may not be there. */
function isReady(c: KubeObject): boolean {
  const ready = (c["status"]?.conditions ?? []).find((x: any) => x.type === "Ready");
  return ready === undefined || ready.status === "True";
}
