// VolumeBinding: bound claims tie the pod to nodes that can reach their volumes; claims that wait for their first consumer must find
// a volume (or a provisioner) on the node. Which volumes a node would take is found again when the pod is bound to it.
import { labelSelector, parseQuantity } from "@podwire/api";
import { PodwireError } from "@podwire/base";
import { type KubeObject, objectKey, Resources } from "@podwire/client";
import type { NodeInfo } from "../framework/node-info.ts";
import { compileTerms } from "../framework/node-selector.ts";
import { type Binding, type Plugin, reject } from "../framework/plugin.ts";
import type { PodInfo } from "../framework/pod-info.ts";

const NAME = "VolumeBinding";
const UNBOUND_IMMEDIATE = reject(true, "pod has unbound immediate PersistentVolumeClaims");
const NO_VOLUME = reject(true, "node(s) didn't find available persistent volumes to bind");
const NODE_CONFLICT = reject(true, "node(s) didn't match PersistentVolume's node affinity");
const VOLUME_MISSING = reject(true, "node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)");
const NO_PROVISIONER = "kubernetes.io/no-provisioner";
const BIND_COMPLETED = "pv.kubernetes.io/bind-completed";

/** How long a pod waits for its claims to be bound unless the arguments say otherwise, and how often it looks. */
const BIND_TIMEOUT_MS = 600_000;
const BIND_POLL_MS = 50;

export class VolumesNotBoundError extends PodwireError {}

export interface VolumeSources {
  claim(namespace: string, name: string): KubeObject | undefined;
  volume(name: string): KubeObject | undefined;
  volumes(): readonly KubeObject[];
  storageClass(name: string): KubeObject | undefined;
  /** Volumes that are being bound right now, and for which claim ("namespace/name"); shared by all profiles. */
  readonly taken: Map<string, string>;
}

interface Claims {
  bound: KubeObject[];
  delayed: KubeObject[];
}

/** What must happen to a pod's claims before it can start on a node. */
export interface VolumeDecision {
  bind: { claim: KubeObject; volume: KubeObject }[];
  provision: KubeObject[];
}

export const isBound = (claim: KubeObject): boolean =>
  !!claim["spec"].volumeName && claim.metadata.annotations?.[BIND_COMPLETED] !== undefined;
const classOf = (o: KubeObject): string =>
  o.metadata.annotations?.["volume.beta.kubernetes.io/storage-class"] ?? o["spec"].storageClassName ?? "";

export function volumeBinding(s: VolumeSources, bindTimeoutMs = BIND_TIMEOUT_MS): Plugin {
  return {
    name: NAME,
    preFilter(c) {
      if (c.pod.claims.length === 0) return "skip";
      const found = claimsOf(s, c.pod);
      if ("reasons" in found) return { reject: found };
      c.state.set(NAME, found);
      return undefined;
    },
    filter(c, node) {
      const { bound, delayed } = c.state.get(NAME) as Claims;
      for (const claim of bound) {
        const volume = s.volume(claim["spec"].volumeName);
        if (!volume) return VOLUME_MISSING;
        if (!reaches(volume, node)) return NODE_CONFLICT;
      }
      return delayed.length === 0 || decide(s, delayed, node) ? undefined : NO_VOLUME;
    },
    reserve(c, node) {
      const claims = c.state.get(NAME) as Claims | undefined;
      if (!claims || claims.delayed.length === 0) return undefined;
      const decision = decide(s, claims.delayed, node);
      if (!decision) return NO_VOLUME;
      c.state.set(`${NAME}/decision`, decision);
      for (const { claim, volume } of decision.bind) s.taken.set(volume.metadata.name, objectKey(claim));
      return undefined;
    },
    unreserve: (c) => release(s, c.state.get(`${NAME}/decision`) as VolumeDecision | undefined),
    async preBind(c, node, b) {
      const decision = c.state.get(`${NAME}/decision`) as VolumeDecision | undefined;
      if (decision) await bindVolumes(s, decision, node, b, bindTimeoutMs);
    },
    postBind: (c) => release(s, c.state.get(`${NAME}/decision`) as VolumeDecision | undefined),
  };
}

function release(s: VolumeSources, d: VolumeDecision | undefined): void {
  for (const { claim, volume } of d?.bind ?? [])
    if (s.taken.get(volume.metadata.name) === objectKey(claim)) s.taken.delete(volume.metadata.name);
}

/** Reserves volumes for waiting claims (or says on which node to provision) and waits until the binder has done its part. */
async function bindVolumes(s: VolumeSources, d: VolumeDecision, node: string, b: Binding, timeoutMs: number): Promise<void> {
  const waiting = [...d.bind.map((x) => x.claim), ...d.provision];
  for (const { claim, volume } of d.bind) {
    const { namespace, name, uid } = claim.metadata;
    await b.client.patch(Resources.persistentVolumes, "", volume.metadata.name, "merge", {
      metadata: { resourceVersion: volume.metadata.resourceVersion, annotations: { "pv.kubernetes.io/bound-by-controller": "yes" } },
      spec: { claimRef: { kind: "PersistentVolumeClaim", apiVersion: "v1", namespace, name, uid } },
    });
  }
  for (const claim of d.provision)
    await b.client.patch(Resources.persistentVolumeClaims, claim.metadata.namespace ?? "", claim.metadata.name, "merge", {
      metadata: { annotations: { "volume.kubernetes.io/selected-node": node } },
    });
  const end = b.clock.monotonicMs() + timeoutMs;
  const unbound = () =>
    waiting.find((c) => {
      const live = s.claim(c.metadata.namespace ?? "", c.metadata.name);
      return !live || !isBound(live);
    });
  for (let claim = unbound(); claim; claim = unbound()) {
    if (b.stopped() || b.clock.monotonicMs() > end)
      throw new VolumesNotBoundError(`timed out waiting for claim ${objectKey(claim)} to be bound`);
    await b.clock.sleep(BIND_POLL_MS);
  }
}

/** The pod's claims by state, or why the pod cannot be placed anywhere. */
function claimsOf(s: VolumeSources, pod: PodInfo): Claims | ReturnType<typeof reject> {
  const out: Claims = { bound: [], delayed: [] };
  const immediate: KubeObject[] = [];
  for (const name of pod.claims) {
    const claim = s.claim(pod.namespace, name);
    const ephemeral = !(pod.pod["spec"].volumes ?? []).some((v: any) => v.persistentVolumeClaim?.claimName === name);
    if (!claim)
      return ephemeral
        ? reject(true, `waiting for ephemeral volume controller to create the persistentvolumeclaim "${name}"`)
        : reject(true, `persistentvolumeclaim "${name}" not found`);
    if (claim["status"]?.phase === "Lost")
      return reject(true, `persistentvolumeclaim "${name}" bound to non-existent persistentvolume "${claim["spec"].volumeName}"`);
    if (claim.metadata.deletionTimestamp) return reject(true, `persistentvolumeclaim "${name}" is being deleted`);
    if (isBound(claim)) out.bound.push(claim);
    else if (!claim["spec"].volumeName && s.storageClass(classOf(claim))?.["volumeBindingMode"] === "WaitForFirstConsumer")
      out.delayed.push(claim);
    else immediate.push(claim);
  }
  return immediate.length > 0 ? UNBOUND_IMMEDIATE : out;
}

/** Volumes for all waiting claims on a node, the smallest that fit and none twice; undefined when one finds nothing. */
function decide(s: VolumeSources, delayed: readonly KubeObject[], node: NodeInfo): VolumeDecision | undefined {
  const decision: VolumeDecision = { bind: [], provision: [] };
  const used = new Set<string>();
  const size = (o: KubeObject) => parseQuantity(o["spec"].resources?.requests?.storage ?? "0");
  for (const claim of [...delayed].sort((a, b) => size(a).cmp(size(b)))) {
    const volume = bestVolume(s, claim, node, used);
    if (volume) {
      used.add(volume.metadata.name);
      decision.bind.push({ claim, volume });
    } else if (provisions(s.storageClass(classOf(claim)), node)) decision.provision.push(claim);
    else return undefined;
  }
  return decision;
}

function bestVolume(s: VolumeSources, claim: KubeObject, node: NodeInfo, used: ReadonlySet<string>): KubeObject | undefined {
  const key = `${claim.metadata.namespace}/${claim.metadata.name}`;
  const selector = claim["spec"].selector ? labelSelector(claim["spec"].selector) : undefined;
  const wanted = parseQuantity(claim["spec"].resources?.requests?.storage ?? "0");
  let best: KubeObject | undefined;
  for (const v of s.volumes()) {
    const ref = v["spec"].claimRef;
    const mine = ref && ref.namespace === claim.metadata.namespace && ref.name === claim.metadata.name;
    const taken = s.taken.get(v.metadata.name);
    if (used.has(v.metadata.name) || v.metadata.deletionTimestamp || (ref && !mine) || (taken !== undefined && taken !== key)) continue;
    if (classOf(v) !== classOf(claim) || (v["spec"].volumeMode ?? "Filesystem") !== (claim["spec"].volumeMode ?? "Filesystem")) continue;
    const modes = new Set(v["spec"].accessModes ?? []);
    if (!(claim["spec"].accessModes ?? []).every((m: string) => modes.has(m))) continue;
    const capacity = parseQuantity(v["spec"].capacity?.storage ?? "0");
    if (capacity.cmp(wanted) < 0 || (selector && !mine && !selector.matches(v.metadata.labels)) || !reaches(v, node)) continue;
    if (mine) return v;
    if (!best || capacity.cmp(parseQuantity(best["spec"].capacity?.storage ?? "0")) < 0) best = v;
  }
  return best;
}

const compiled = new WeakMap<object, (n: NodeInfo) => boolean>();

function reaches(volume: KubeObject, node: NodeInfo): boolean {
  const required = volume["spec"].nodeAffinity?.required;
  if (!required) return true;
  let match = compiled.get(required);
  if (!match) compiled.set(required, (match = compileTerms(required.nodeSelectorTerms) ?? (() => true)));
  return match(node);
}

function provisions(storageClass: KubeObject | undefined, node: NodeInfo): boolean {
  const provisioner = storageClass?.["provisioner"];
  if (!storageClass || !provisioner || provisioner === NO_PROVISIONER) return false;
  const topologies = storageClass["allowedTopologies"] ?? [];
  return (
    topologies.length === 0 ||
    topologies.some((t: any) => (t.matchLabelExpressions ?? []).every((e: any) => (e.values ?? []).includes(node.labels[e.key])))
  );
}
