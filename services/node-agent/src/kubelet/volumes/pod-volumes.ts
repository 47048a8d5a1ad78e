// The volumes of one pod: made before its containers start, kept up to date while it runs, gone with it.
// Invariant: `mountAll` either mounts every volume or throws the first VolumeError; `refresh` never takes anything away because a
// source has become unreadable.
import { type ConfigMap, type Pod, parseQuantity, type Secret, type Volume } from "@podwire/api";
import { reasonOf } from "@podwire/base";
import { Resources } from "@podwire/client";
import { DirInode, FileInode, FileSystem, type Inode } from "@podwire/runtime";
import type { ObjectSource } from "../object-source.ts";
import type { TokenSource } from "../token-source.ts";
import { memoryVolume, writePayload } from "./atomic-writer.ts";
import type { NodeDisk } from "./node-disk.ts";
import { addDownward, addKeys, keysOf, type Payload, VolumeError } from "./payload.ts";

export interface VolumeFacts {
  podIP: string;
  podIPs: readonly string[];
  hostIP: string;
  nodeName: string;
  allocatable: Readonly<Record<string, string>>;
}

export interface VolumeContext {
  objects: ObjectSource;
  tokens: TokenSource;
  disk: NodeDisk;
  now: () => number;
  facts: () => VolumeFacts;
  /** Sources of this pod that changed call it. */
  onChange: () => void;
}

export interface MountedVolume {
  root: Inode;
  readOnly: boolean;
  source: string;
}

export class PodVolumes {
  readonly #c: VolumeContext;
  readonly #mounted = new Map<string, MountedVolume>();
  constructor(c: VolumeContext) {
    this.#c = c;
  }

  get(name: string): MountedVolume | undefined {
    return this.#mounted.get(name);
  }

  /** Makes what is not there yet. Throws VolumeError with the text of the FailedMount event. */
  async mountAll(pod: Pod): Promise<void> {
    for (const v of pod.spec!.volumes ?? []) {
      if (this.#mounted.has(v.name!)) continue;
      try {
        this.#mounted.set(v.name!, await this.#mount(pod, v));
      } catch (e) {
        throw new VolumeError(`MountVolume.SetUp failed for volume "${v.name}" : ${reasonOf(e)}`, { cause: e });
      }
    }
  }

  /** Writes changed contents; what cannot be read stays as it is. */
  async refresh(pod: Pod): Promise<void> {
    for (const v of pod.spec!.volumes ?? []) {
      const m = this.#mounted.get(v.name!);
      if (!m || !(m.root instanceof DirInode) || !isPayloadVolume(v)) continue;
      try {
        writePayload(m.root, await this.#payload(pod, v), { nowMs: this.#c.now(), fsGroup: fsGroupOf(pod) });
      } catch {
        // The next change or the next period tries again.
      }
    }
  }

  release(uid: string): void {
    this.#c.objects.release(uid);
    this.#mounted.clear();
  }

  async #mount(pod: Pod, v: Volume): Promise<MountedVolume> {
    const fsGroup = fsGroupOf(pod);
    const now = this.#c.now;
    if (isPayloadVolume(v)) {
      this.#follow(pod, v);
      const fs = memoryVolume(now, { fsGroup });
      writePayload(fs.root, await this.#payload(pod, v), { nowMs: now(), fsGroup });
      return { root: fs.root, readOnly: true, source: "tmpfs" };
    }
    if (v.emptyDir) {
      const limit =
        v.emptyDir.sizeLimit === undefined || v.emptyDir.sizeLimit === null
          ? undefined
          : Number(parseQuantity(String(v.emptyDir.sizeLimit)).value());
      const memory = v.emptyDir.medium === "Memory";
      const fs = memory
        ? memoryVolume(now, { sizeLimitBytes: limit, fsGroup })
        : this.#c.disk.emptyDir(pod.metadata!.uid!, v.name!, fsGroup);
      return { root: fs.root, readOnly: false, source: memory ? "tmpfs" : "/dev/vda1" };
    }
    if (v.hostPath) return { root: this.#c.disk.hostPath(v.hostPath.path!, v.hostPath.type ?? ""), readOnly: false, source: "/dev/vda1" };
    const kind = Object.keys(v).find((k) => k !== "name") ?? "nothing";
    throw new VolumeError(`no volume plugin matched: ${kind} is not built yet`);
  }

  #follow(pod: Pod, v: Volume): void {
    const { namespace, uid } = pod.metadata!;
    const cm = (name: string) => this.#c.objects.acquire(Resources.configMaps, namespace!, name, uid!, this.#c.onChange);
    const secret = (name: string) => this.#c.objects.acquire(Resources.secrets, namespace!, name, uid!, this.#c.onChange);
    if (v.configMap) cm(v.configMap.name!);
    if (v.secret) secret(v.secret.secretName!);
    for (const s of v.projected?.sources ?? []) {
      if (s.configMap) cm(s.configMap.name!);
      if (s.secret) secret(s.secret.name!);
    }
  }

  async #payload(pod: Pod, v: Volume): Promise<Payload> {
    const out: Payload = new Map();
    if (v.configMap) await this.#addConfigMap(out, pod, v.configMap, v.configMap.name!, v.configMap.defaultMode ?? 0o644);
    else if (v.secret) await this.#addSecret(out, pod, v.secret, v.secret.secretName!, v.secret.defaultMode ?? 0o644);
    else if (v.downwardAPI) addDownward(out, v.downwardAPI.items, pod, this.#c.facts(), v.downwardAPI.defaultMode ?? 0o644);
    else if (v.projected) {
      const mode = v.projected.defaultMode ?? 0o644;
      for (const s of v.projected.sources ?? []) {
        if (s.configMap) await this.#addConfigMap(out, pod, s.configMap, s.configMap.name!, mode);
        else if (s.secret) await this.#addSecret(out, pod, s.secret, s.secret.name!, mode);
        else if (s.downwardAPI) addDownward(out, s.downwardAPI.items, pod, this.#c.facts(), mode);
        else if (s.serviceAccountToken) {
          const t = s.serviceAccountToken;
          const token = await this.#c.tokens.token(pod, {
            audience: t.audience ?? "",
            expirationSeconds: Number(t.expirationSeconds ?? 3600),
          });
          const user = tokenOwner(pod);
          out.set(t.path!, {
            bytes: Buffer.from(token),
            mode: fsGroupOf(pod) !== undefined ? 0o600 : user !== undefined ? 0o600 : mode,
            ...(user !== undefined ? { uid: user } : {}),
          });
        }
      }
    }
    return out;
  }

  async #addConfigMap(out: Payload, pod: Pod, s: { items?: any; optional?: boolean }, name: string, defaultMode: number): Promise<void> {
    const o = await this.#c.objects.configMap<ConfigMap & { metadata: any }>(pod.metadata!.namespace!, name);
    if (!o && !s.optional) throw new VolumeError(`configmap "${name}" not found`);
    addKeys(out, keysOf(o, "configmap"), { items: s.items, defaultMode, optional: s.optional ?? false, what: "configmap" });
  }

  async #addSecret(out: Payload, pod: Pod, s: { items?: any; optional?: boolean }, name: string, defaultMode: number): Promise<void> {
    const o = await this.#c.objects.secret<Secret & { metadata: any }>(pod.metadata!.namespace!, name);
    if (!o && !s.optional) throw new VolumeError(`secret "${name}" not found`);
    addKeys(out, keysOf(o, "secret"), { items: s.items, defaultMode, optional: s.optional ?? false, what: "secret" });
  }
}

export function isPayloadVolume(v: Volume): boolean {
  return Boolean(v.configMap || v.secret || v.downwardAPI || v.projected);
}

export function fsGroupOf(pod: Pod): number | undefined {
  const g = pod.spec!.securityContext?.fsGroup;
  return g === undefined || g === null ? undefined : Number(g);
}

/** The one user that all containers run as, who then owns tokens (KEP-1205). */
function tokenOwner(pod: Pod): number | undefined {
  const own = pod.spec!.securityContext?.runAsUser;
  const users = new Set(pod.spec!.containers.map((c) => c.securityContext?.runAsUser ?? own));
  const [only] = users;
  return users.size === 1 && only !== undefined && only !== null ? Number(only) : undefined;
}

export { FileInode, FileSystem };
