// DynamicResources: the pod's ResourceClaims. Those that are allocated tie it to the nodes of their devices; the others are allocated from the
// ResourceSlices with the choice of the node, and written down before the pod is bound (KEP-4381, structured parameters).
// Invariant: a device that was promised to a claim is not promised again before the API has told of the first promise, or it was taken back.
import { type KubeObject, objectKey, Resources } from "@podwire/client";
import type { NodeInfo } from "../framework/node-info.ts";
import { compileTerms } from "../framework/node-selector.ts";
import { type Binding, type Plugin, type Rejection, reject } from "../framework/plugin.ts";
import type { PodInfo } from "../framework/pod-info.ts";
import { allocate, deviceKey, devicesOn, SelectorError } from "./device-allocator.ts";

const NAME = "DynamicResources";
const FINALIZER = "resource.kubernetes.io/delete-protection";
const MAX_RESERVED = 256;
const NOT_HERE = reject(true, "resourceclaim not available on the node");
const NOT_ALLOCATED = reject(true, "cannot allocate all claims");

export interface ClaimSources {
  claim(namespace: string, name: string): KubeObject | undefined;
  claims(): readonly KubeObject[];
  slices(): readonly KubeObject[];
  deviceClass(name: string): KubeObject | undefined;
  /** Allocations that are being written, by the claim's uid; shared by all profiles. */
  readonly pending: Map<string, any>;
}

interface State {
  claims: KubeObject[];
  open: KubeObject[];
  taken: Set<string>;
  /** By node. */
  found: Map<string, any[]>;
  /** The claim's uid -> its allocation; set by reserve. */
  decided: Map<string, any>;
  /** Claims in which the pod was written down. */
  reserved: KubeObject[];
}

/** The claims that a pod names; a text when it has to wait for one. */
export function claimsOf(s: Pick<ClaimSources, "claim">, pod: PodInfo): KubeObject[] | string {
  const out: KubeObject[] = [];
  for (const entry of pod.pod["spec"]?.resourceClaims ?? []) {
    const status = (pod.pod["status"]?.resourceClaimStatuses ?? []).find((x: any) => x.name === entry.name);
    if (!entry.resourceClaimName && !status) return `pod "${pod.key}": ResourceClaim not created yet`;
    const name: string | undefined = entry.resourceClaimName ?? status.resourceClaimName;
    if (name === undefined) continue;
    const claim = s.claim(pod.namespace, name);
    if (!claim) return `resourceclaim "${name}" not found`;
    if (claim.metadata.deletionTimestamp) return `resourceclaim "${name}" is being deleted`;
    const owner = (claim.metadata.ownerReferences ?? []).find((r) => r.controller);
    if (!entry.resourceClaimName && owner?.uid !== pod.pod.metadata.uid)
      return `ResourceClaim ${pod.namespace}/${name} was not created for pod ${pod.key} (pod is not owner)`;
    out.push(claim);
  }
  return out;
}

const allocationOf = (claim: KubeObject): any => claim["status"]?.allocation;
const isReservedFor = (claim: KubeObject, pod: PodInfo): boolean =>
  (claim["status"]?.reservedFor ?? []).some((r: any) => r.uid === pod.pod.metadata.uid);

export function dynamicResources(s: ClaimSources): Plugin {
  return {
    name: NAME,
    preFilter(c) {
      if (!(c.pod.pod["spec"]?.resourceClaims?.length > 0)) return "skip";
      const claims = claimsOf(s, c.pod);
      if (typeof claims === "string") return { reject: reject(true, claims) };
      if (claims.length === 0) return "skip";
      const open: KubeObject[] = [];
      for (const claim of claims) {
        const refusal = allocationOf(claim) ? inUse(claim, c.pod) : notAllocatable(s, claim);
        if (refusal) return { reject: refusal };
        if (!allocationOf(claim)) open.push(claim);
      }
      const taken = open.length > 0 ? takenDevices(s) : new Set<string>();
      c.state.set(NAME, { claims, open, taken, found: new Map(), decided: new Map(), reserved: [] } satisfies State);
      return undefined;
    },
    filter(c, node) {
      const state = c.state.get(NAME) as State;
      for (const claim of state.claims) {
        const terms = allocationOf(claim)?.nodeSelector?.nodeSelectorTerms;
        if (terms && !compileTerms(terms)?.(node)) return NOT_HERE;
      }
      if (state.open.length === 0) return undefined;
      const found = tryOn(s, state, node);
      if (found === undefined) return NOT_ALLOCATED;
      if ("reasons" in found) return found as Rejection;
      state.found.set(node.name, found as any[]);
      return undefined;
    },
    reserve(c, node) {
      const state = c.state.get(NAME) as State | undefined;
      if (!state) return undefined;
      const found = state.found.get(node.name) ?? [];
      if (found.length !== state.open.length) return NOT_ALLOCATED;
      for (const [i, claim] of state.open.entries()) {
        const uid = claim.metadata.uid ?? "";
        s.pending.set(uid, found[i]);
        state.decided.set(uid, found[i]);
      }
      return undefined;
    },
    unreserve(c) {
      const state = c.state.get(NAME) as State | undefined;
      for (const [uid, allocation] of state?.decided ?? []) if (s.pending.get(uid) === allocation) s.pending.delete(uid);
    },
    async preBind(c, _node, b) {
      const state = c.state.get(NAME) as State | undefined;
      for (const claim of state?.claims ?? [])
        if (!isReservedFor(claim, c.pod)) await write(b, claim, c.pod, state?.decided.get(claim.metadata.uid ?? ""));
    },
  };
}

function inUse(claim: KubeObject, pod: PodInfo): Rejection | undefined {
  const full = (claim["status"]?.reservedFor ?? []).length >= MAX_RESERVED;
  return full && !isReservedFor(claim, pod) ? reject(true, "resourceclaim in use") : undefined;
}

function notAllocatable(s: ClaimSources, claim: KubeObject): Rejection | undefined {
  if (s.pending.has(claim.metadata.uid ?? ""))
    return reject(true, `resource claim ${objectKey(claim)} is in the process of being allocated`);
  for (const r of claim["spec"]?.devices?.requests ?? []) {
    const named = r.exactly ? [[r.name, r.exactly]] : (r.firstAvailable ?? []).map((x: any) => [`${r.name}/${x.name}`, x]);
    for (const [name, { deviceClassName }] of named)
      if (!s.deviceClass(deviceClassName)) return reject(true, `request ${name}: device class ${deviceClassName} does not exist`);
  }
  return undefined;
}

/** Devices of all claims, those that are being written among them. */
function takenDevices(s: ClaimSources): Set<string> {
  const out = new Set<string>();
  const add = (allocation: any) => {
    for (const r of allocation?.devices?.results ?? []) if (!r.adminAccess) out.add(deviceKey(r));
  };
  const seen = new Set<string>();
  for (const claim of s.claims()) {
    const uid = claim.metadata.uid ?? "";
    seen.add(uid);
    if (allocationOf(claim)) s.pending.delete(uid);
    add(allocationOf(claim));
  }
  for (const [uid, allocation] of s.pending)
    if (seen.has(uid)) add(allocation);
    else s.pending.delete(uid);
  return out;
}

function tryOn(s: ClaimSources, state: State, node: NodeInfo): any[] | Rejection | undefined {
  try {
    const devices = devicesOn(s.slices(), node);
    return allocate({ claims: state.open, devices, deviceClass: (n) => s.deviceClass(n), taken: state.taken, node });
  } catch (e) {
    if (e instanceof SelectorError) return reject(true, e.message);
    throw e;
  }
}

/** The claim with its finalizer, its allocation and the pod as one that uses it. */
async function write(b: Binding, claim: KubeObject, pod: PodInfo, allocation: any): Promise<void> {
  let live = claim;
  const finalizers = live.metadata.finalizers ?? [];
  if (allocation && !finalizers.includes(FINALIZER))
    live = await b.client.update(Resources.resourceClaims, {
      ...live,
      metadata: { ...live.metadata, finalizers: [...finalizers, FINALIZER] },
    });
  const reservedFor = [
    ...(live["status"]?.reservedFor ?? []),
    { resource: "pods", name: pod.pod.metadata.name, uid: pod.pod.metadata.uid },
  ];
  const status = { ...live["status"], ...(allocation ? { allocation } : {}), reservedFor };
  await b.client.updateStatus(Resources.resourceClaims, { ...live, status });
}
