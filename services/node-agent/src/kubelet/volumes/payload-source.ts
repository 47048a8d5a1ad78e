// Where the content of configMap, secret, downwardAPI and projected volumes comes from: follows the objects a pod refers to and
// builds the payload out of them. Throws VolumeError with the kubelet's words for what is missing.
import type { ConfigMap, Pod, Secret, Volume } from "@podwire/api";
import { Resources } from "@podwire/client";
import type { ObjectSource } from "../object-source.ts";
import type { TokenSource } from "../token-source.ts";
import { addDownward, addKeys, keysOf, type Payload, VolumeError } from "./payload.ts";

export interface VolumeFacts {
  podIP: string;
  podIPs: readonly string[];
  hostIPs: readonly string[];
  nodeName: string;
  allocatable: Readonly<Record<string, string>>;
}

export interface PayloadSources {
  objects: ObjectSource;
  tokens: TokenSource;
  facts: () => VolumeFacts;
  /** Sources of this pod that changed call it. */
  onChange: () => void;
}

const DEFAULT_MODE = 0o644;

export function isPayloadVolume(v: Volume): boolean {
  return Boolean(v.configMap || v.secret || v.downwardAPI || v.projected);
}

export function fsGroupOf(pod: Pod): number | undefined {
  const g = pod.spec!.securityContext?.fsGroup;
  return g === undefined || g === null ? undefined : Number(g);
}

/** Starts to follow what the volume is made of, until the pod lets go. */
export function followPayload(s: PayloadSources, pod: Pod, v: Volume): void {
  const { namespace, uid } = pod.metadata!;
  const cm = (name: string) => s.objects.acquire(Resources.configMaps, namespace!, name, uid!, s.onChange);
  const secret = (name: string) => s.objects.acquire(Resources.secrets, namespace!, name, uid!, s.onChange);
  if (v.configMap) cm(v.configMap.name!);
  if (v.secret) secret(v.secret.secretName!);
  for (const p of v.projected?.sources ?? []) {
    if (p.configMap) cm(p.configMap.name!);
    if (p.secret) secret(p.secret.name!);
  }
}

export async function payloadOf(s: PayloadSources, pod: Pod, v: Volume): Promise<Payload> {
  const out: Payload = new Map();
  if (v.configMap) await addConfigMap(s, out, pod, v.configMap, v.configMap.name!, v.configMap.defaultMode ?? DEFAULT_MODE);
  else if (v.secret) await addSecret(s, out, pod, v.secret, v.secret.secretName!, v.secret.defaultMode ?? DEFAULT_MODE);
  else if (v.downwardAPI) addDownward(out, v.downwardAPI.items, pod, s.facts(), v.downwardAPI.defaultMode ?? DEFAULT_MODE);
  else if (v.projected) {
    const mode = v.projected.defaultMode ?? DEFAULT_MODE;
    for (const p of v.projected.sources ?? []) {
      if (p.configMap) await addConfigMap(s, out, pod, p.configMap, p.configMap.name!, mode);
      else if (p.secret) await addSecret(s, out, pod, p.secret, p.secret.name!, mode);
      else if (p.downwardAPI) addDownward(out, p.downwardAPI.items, pod, s.facts(), mode);
      else if (p.serviceAccountToken) {
        const t = p.serviceAccountToken;
        const token = await s.tokens.token(pod, { audience: t.audience ?? "", expirationSeconds: Number(t.expirationSeconds ?? 3600) });
        const user = tokenOwner(pod);
        out.set(t.path!, {
          bytes: Buffer.from(token),
          mode: fsGroupOf(pod) !== undefined || user !== undefined ? 0o600 : mode,
          ...(user !== undefined ? { uid: user } : {}),
        });
      }
    }
  }
  return out;
}

type KeySelection = { items?: any; optional?: boolean };

async function addConfigMap(s: PayloadSources, out: Payload, pod: Pod, src: KeySelection, name: string, defaultMode: number) {
  const { namespace } = pod.metadata!;
  const o = await s.objects.configMap<ConfigMap & { metadata: any }>(namespace!, name);
  if (!o && !src.optional) throw new VolumeError(`configmap "${name}" not found`);
  addKeys(out, keysOf(o, "configmap"), { items: src.items, defaultMode, optional: src.optional ?? false, what: "configmap" });
}

async function addSecret(s: PayloadSources, out: Payload, pod: Pod, src: KeySelection, name: string, defaultMode: number) {
  const { namespace } = pod.metadata!;
  const o = await s.objects.secret<Secret & { metadata: any }>(namespace!, name);
  if (!o && !src.optional) throw new VolumeError(`secret "${name}" not found`);
  addKeys(out, keysOf(o, "secret"), { items: src.items, defaultMode, optional: src.optional ?? false, what: "secret" });
}

/** The one user that all containers run as, who then owns tokens (KEP-1205). */
function tokenOwner(pod: Pod): number | undefined {
  const own = pod.spec!.securityContext?.runAsUser;
  const users = new Set(pod.spec!.containers.map((c) => c.securityContext?.runAsUser ?? own));
  const [only] = users;
  return users.size === 1 && only !== undefined && only !== null ? Number(only) : undefined;
}
