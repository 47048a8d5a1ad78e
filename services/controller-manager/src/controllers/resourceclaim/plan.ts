// ResourceClaims (resource.k8s.io/v1, KEP-4381): claims made from a pod's templates, reservations for pods that came to a node past the
// scheduler, and what becomes of a claim whose pods have ended. Pure.
// Invariants: a template gives a pod one claim; a claim keeps its allocation while somebody uses it.
import { controllerReference, type KubeObject, Resources } from "@podwire/client";
import type { Action } from "../../actions.ts";
import { isTerminal } from "../../pods/status.ts";

export const FINALIZER = "resource.kubernetes.io/delete-protection";
export const POD_CLAIM = "resource.kubernetes.io/pod-claim-name";
/** Pods that may share a claim. */
const MAX_RESERVED = 256;
/** Of a generated name, before the five random letters. */
const MAX_BASE = 57;

export type PodClaimName = { name: string; ours: boolean } | "none" | "missing";

/** Which claim an entry of spec.resourceClaims means; "none": a driver said that none is needed. */
export function claimNameOf(pod: KubeObject, entry: any): PodClaimName {
  if (entry.resourceClaimName) return { name: entry.resourceClaimName, ours: false };
  const status = (pod["status"]?.resourceClaimStatuses ?? []).find((s: any) => s.name === entry.name);
  if (!status) return "missing";
  return status.resourceClaimName ? { name: status.resourceClaimName, ours: true } : "none";
}

export const isForPod = (claim: KubeObject, pod: KubeObject): boolean =>
  (claim.metadata.ownerReferences ?? []).some((r) => r.controller === true && r.uid === pod.metadata.uid);

export interface PodState {
  pod: KubeObject;
  claim(name: string): KubeObject | undefined;
  /** Claims that the pod owns. */
  owned: readonly KubeObject[];
  template(name: string): KubeObject | undefined;
}

export interface PodPlan {
  /** By entry of spec.resourceClaims: a claim that is there, to be told of in the pod's status. */
  found: Map<string, string>;
  /** The same, to be made first. */
  create: Map<string, KubeObject>;
  /** Entries whose template does not exist. */
  lacking: Map<string, string>;
  actions: Action[];
}

export function planPod(s: PodState): PodPlan {
  const { pod } = s;
  const plan: PodPlan = { found: new Map(), create: new Map(), lacking: new Map(), actions: [] };
  for (const entry of pod["spec"].resourceClaims ?? []) {
    if (!entry.resourceClaimTemplateName) continue;
    const meant = claimNameOf(pod, entry);
    if (meant === "none") continue;
    const there = meant === "missing" ? undefined : s.claim(meant.name);
    if (there && isForPod(there, pod)) continue;
    const orphan = s.owned.find((c) => c.metadata.annotations?.[POD_CLAIM] === entry.name);
    const template = s.template(entry.resourceClaimTemplateName);
    if (orphan) plan.found.set(entry.name, orphan.metadata.name);
    else if (template) plan.create.set(entry.name, claimFrom(pod, entry.name, template));
    else plan.lacking.set(entry.name, entry.resourceClaimTemplateName);
  }
  if (!pod["spec"].nodeName || isTerminal(pod)) return plan;
  for (const entry of pod["spec"].resourceClaims ?? []) {
    const meant = claimNameOf(pod, entry);
    const claim = typeof meant === "object" ? s.claim(meant.name) : undefined;
    if (!claim?.["status"]?.allocation) continue;
    const reserved: any[] = claim["status"].reservedFor ?? [];
    if (reserved.some((r) => r.uid === pod.metadata.uid) || reserved.length >= MAX_RESERVED) continue;
    const reservedFor = [...reserved, { resource: "pods", name: pod.metadata.name, uid: pod.metadata.uid }];
    plan.actions.push({
      do: "updateStatus",
      ref: Resources.resourceClaims,
      object: { ...claim, status: { ...claim["status"], reservedFor } },
    });
  }
  return plan;
}

function claimFrom(pod: KubeObject, entry: string, template: KubeObject): KubeObject {
  const { metadata, spec } = template["spec"];
  const full = `${pod.metadata.name}-${entry}-`;
  const cut = (s: string) => s.slice(0, Math.floor((s.length * MAX_BASE) / full.length));
  return {
    apiVersion: "resource.k8s.io/v1",
    kind: "ResourceClaim",
    metadata: {
      namespace: pod.metadata.namespace as string,
      generateName: full.length > MAX_BASE ? `${cut(pod.metadata.name)}-${cut(entry)}` : full,
      ...(metadata?.labels ? { labels: metadata.labels } : {}),
      annotations: { ...metadata?.annotations, [POD_CLAIM]: entry },
      ownerReferences: [controllerReference(pod, Resources.pods)],
    } as never,
    spec,
  };
}

export interface ClaimState {
  claim: KubeObject;
  /** The pods that the claim is reserved for, those that still count; by uid. */
  living: ReadonlySet<string>;
  /** The pod that the claim was made for, when it was made for one; undefined: gone. */
  owner: KubeObject | undefined;
  generated: boolean;
}

/** What becomes of a claim; status first, since its finalizer goes only when it holds nothing any more. */
export function planClaim(s: ClaimState): Action[] {
  const { claim } = s;
  const actions: Action[] = [];
  const reserved: any[] = claim["status"]?.reservedFor ?? [];
  const valid = reserved.filter((r) => s.living.has(r.uid));
  const finalizers = claim.metadata.finalizers ?? [];
  const held = finalizers.includes(FINALIZER);
  const freed = valid.length === 0 && held && (reserved.length > 0 || claim.metadata.deletionTimestamp !== undefined);
  if (valid.length < reserved.length || (freed && claim["status"]?.allocation)) {
    const { allocation, ...status } = claim["status"];
    const next = { ...status, reservedFor: valid, ...(allocation && !freed ? { allocation } : {}) };
    actions.push({ do: "updateStatus", ref: Resources.resourceClaims, object: { ...claim, status: next } });
  }
  if (freed) {
    const metadata = { ...claim.metadata, finalizers: finalizers.filter((f) => f !== FINALIZER) };
    actions.push({ do: "update", ref: Resources.resourceClaims, object: { ...claim, metadata } });
  }
  // A claim that was made for a pod goes as soon as the pod has ended, not only with the pod.
  if (s.generated && valid.length === 0 && !claim.metadata.deletionTimestamp && s.owner && isTerminal(s.owner)) {
    const { namespace = "", name, uid = "" } = claim.metadata;
    actions.push({ do: "delete", ref: Resources.resourceClaims, namespace, name, options: { preconditions: { uid } } });
  }
  return actions;
}
