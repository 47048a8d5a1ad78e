// What a ServiceCIDR (networking.k8s.io/v1, KEP-1880) needs: its protecting finalizer and the Ready condition; when it is being deleted,
// whether any address would be left without a range. Pure.
// Invariant: the finalizer goes only when every address of the range lies in another range too, and the allocators have had the time to
// hear of the deletion.
import { cidrContains, type ParsedCidr, parseCidr, parseIp } from "@podwire/api";
import { type KubeObject, Resources, time, timeMs } from "@podwire/client";
import type { Action } from "../../actions.ts";

export const FINALIZER = "networking.k8s.io/service-cidr-finalizer";
const MANAGED_BY = "ipaddress.kubernetes.io/managed-by";
const ALLOCATOR = "ipallocator.k8s.io";
/** How long the apiservers' allocators may take to hear that a range is going. */
const GRACE_MS = 10_000;

export interface ServiceCidrState {
  cidr: KubeObject;
  /** All of them, this one among them. */
  cidrs: readonly KubeObject[];
  addresses: readonly KubeObject[];
  nowMs: number;
}

export interface ServiceCidrPlan {
  actions: Action[];
  /** Look again then. */
  afterMs?: number;
}

export function planServiceCidr(s: ServiceCidrState): ServiceCidrPlan {
  const { cidr, nowMs } = s;
  const finalizers = cidr.metadata.finalizers ?? [];
  if (!cidr.metadata.deletionTimestamp) {
    const next = { ...cidr, metadata: { ...cidr.metadata, finalizers: [...finalizers, FINALIZER] } };
    const protect: Action[] = finalizers.includes(FINALIZER) ? [] : [{ do: "update", ref: Resources.serviceCidrs, object: next }];
    return { actions: [...protect, ...condition(cidr, "True", "", "Kubernetes Service CIDR is ready", nowMs)] };
  }
  if (!finalizers.includes(FINALIZER)) return { actions: [] };
  if (!mayGo(s)) {
    const message = "There are still IPAddresses referencing the ServiceCIDR, please remove them or create a new ServiceCIDR";
    return { actions: condition(cidr, "False", "Terminating", message, nowMs) };
  }
  const wait = (timeMs(cidr.metadata.deletionTimestamp) ?? nowMs) + GRACE_MS - nowMs;
  if (wait > 0) return { actions: [], afterMs: wait };
  const next = { ...cidr, metadata: { ...cidr.metadata, finalizers: finalizers.filter((f) => f !== FINALIZER) } };
  return { actions: [{ do: "update", ref: Resources.serviceCidrs, object: next }] };
}

/** The Ready condition by server-side apply, so that its owner is told from the apiserver's. Nothing when it says so already. */
function condition(cidr: KubeObject, status: string, reason: string, message: string, nowMs: number): Action[] {
  const old = (cidr["status"]?.conditions ?? []).find((c: any) => c.type === "Ready");
  if (old?.status === status && (old.reason ?? "") === reason && old.message === message) return [];
  const lastTransitionTime = old?.status === status ? old.lastTransitionTime : time(nowMs);
  const patch = {
    apiVersion: "networking.k8s.io/v1",
    kind: "ServiceCIDR",
    metadata: { name: cidr.metadata.name },
    status: { conditions: [{ type: "Ready", status, reason, message, lastTransitionTime }] },
  };
  const { name } = cidr.metadata;
  return [{ do: "applyStatus", ref: Resources.serviceCidrs, namespace: "", name, patch, fieldManager: "service-cidr-controller" }];
}

const prefixesOf = (cidr: KubeObject): ParsedCidr[] => ((cidr["spec"]?.cidrs ?? []) as string[]).flatMap((c) => parseCidr(c) ?? []);
const isInside = (inner: ParsedCidr, outer: ParsedCidr): boolean => inner.bits >= outer.bits && cidrContains(outer, inner);

/** Names of the ServiceCIDRs that a change of `cidr` may concern: those that contain one of its ranges or lie in one. */
export function overlapping(cidr: KubeObject, cidrs: readonly KubeObject[]): string[] {
  const own = prefixesOf(cidr);
  const meet = (a: ParsedCidr, b: ParsedCidr) => isInside(a, b) || isInside(b, a);
  return cidrs.filter((c) => prefixesOf(c).some((p) => own.some((q) => meet(p, q)))).map((c) => c.metadata.name);
}

/** Names of the ServiceCIDRs in which an allocator's address lies. */
export function containing(ip: KubeObject, cidrs: readonly KubeObject[]): string[] {
  if (ip.metadata.labels?.[MANAGED_BY] !== ALLOCATOR) return [];
  const address = parseIp(ip.metadata.name);
  return address === undefined ? [] : cidrs.filter((c) => prefixesOf(c).some((p) => cidrContains(p, address))).map((c) => c.metadata.name);
}

function mayGo(s: ServiceCidrState): boolean {
  const others = s.cidrs.filter((c) => c.metadata.name !== s.cidr.metadata.name);
  const elsewhere = others.flatMap(prefixesOf);
  if (prefixesOf(s.cidr).every((p) => elsewhere.some((q) => isInside(p, q)))) return true;
  return !s.addresses.some((ip) => {
    const in_ = containing(ip, s.cidrs);
    return in_.length === 1 && in_[0] === s.cidr.metadata.name;
  });
}
