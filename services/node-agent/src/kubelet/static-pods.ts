// Static pods: manifests in a folder of the node (--pod-manifest-path), run without anybody's leave, and shown in the API by mirror pods
// (config/file.go, config/common.go, pod/mirror_client.go).
// Invariant: a static pod runs while its file says it; at most one mirror of it is in the API, and one of another content is replaced.
import { createHash } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { applyDefaults, type Node, type Pod, parseYaml } from "@podwire/api";
import { type Clock, type Logger, reasonOf, type Timer } from "@podwire/base";
import { type ApiClient, isAlreadyExists, isNotFound, Resources, time } from "@podwire/client";

const CONFIG_SOURCE = "kubernetes.io/config.source";
const CONFIG_HASH = "kubernetes.io/config.hash";
const CONFIG_SEEN = "kubernetes.io/config.seen";
const CONFIG_MIRROR = "kubernetes.io/config.mirror";

/** Manifests larger than this are not read. */
const MAX_MANIFEST_BYTES = 10 * 1024 * 1024;

export const isMirrorPod = (pod: Pod): boolean => pod.metadata?.annotations?.[CONFIG_MIRROR] !== undefined;

export interface StaticPodOptions {
  /** "" has none. */
  folder: string;
  /** --file-check-frequency. */
  periodMs: number;
  nodeName: string;
  node(): Node | undefined;
  client: ApiClient;
  clock: Clock;
  log: Logger;
  start(pod: Pod): void;
  stop(uid: string): void;
  /** The API has the static pod's mirror now: its status may go there. */
  mirrored(uid: string): void;
}

/** A manifest as the pod that a node makes of it; throws when it is none. */
export function staticPod(bytes: Uint8Array, file: string, nodeName: string, nowMs: number): Pod {
  const raw = parseYaml(bytes).value;
  if (raw?.kind !== "Pod" || raw?.apiVersion !== "v1") throw new Error(`${file}: not a v1 Pod`);
  if (!raw.metadata?.name || !Array.isArray(raw.spec?.containers)) throw new Error(`${file}: a pod needs a name and containers`);
  const uid = raw.metadata.uid || createHash("md5").update(`${nodeName}\n${file}\n`).update(bytes).digest("hex");
  const pod = {
    ...raw,
    metadata: {
      ...raw.metadata,
      name: `${raw.metadata.name}-${nodeName.toLowerCase()}`,
      namespace: raw.metadata.namespace || "default",
      uid,
      annotations: { ...raw.metadata.annotations, [CONFIG_SOURCE]: "file", [CONFIG_HASH]: uid, [CONFIG_SEEN]: time(nowMs) },
    },
    spec: {
      ...raw.spec,
      nodeName,
      tolerations: [...(raw.spec.tolerations ?? []), { operator: "Exists", effect: "NoExecute" }],
    },
    status: { phase: "Pending" },
  };
  applyDefaults({ group: "", version: "v1", kind: "Pod" }, pod);
  return pod as Pod;
}

export class StaticPods {
  readonly #o: StaticPodOptions;
  /** By uid. */
  readonly #pods = new Map<string, Pod>();
  /** The mirror of a static pod, by "namespace/name". */
  readonly #mirrors = new Map<string, Pod>();
  #timer: Timer | undefined;
  #busy = false;

  constructor(o: StaticPodOptions) {
    this.#o = o;
  }

  start(): void {
    if (this.#o.folder === "") return;
    this.look();
    this.#timer = this.#o.clock.every(this.#o.periodMs, () => this.look(), { unref: true });
  }

  stop(): void {
    this.#timer?.cancel();
  }

  uids(): Iterable<string> {
    return this.#pods.keys();
  }

  /** The uid under which the API knows a pod of this node: a static pod by its mirror's; undefined while there is no mirror. */
  apiUid(uid: string): string | undefined {
    const pod = this.#pods.get(uid);
    return pod ? this.#mirrors.get(keyOf(pod))?.metadata?.uid : uid;
  }

  /** Reads the folder and follows its changes. */
  look(): void {
    const found = new Map<string, Pod>();
    const { folder, nodeName, clock, log } = this.#o;
    let names: string[] = [];
    try {
      names = fs.readdirSync(folder).filter((n) => !n.startsWith("."));
    } catch (e) {
      log.debug({ reason: reasonOf(e) }, "the folder of static pods cannot be read");
    }
    for (const name of names.sort()) {
      const file = path.join(folder, name);
      try {
        const stat = fs.statSync(file);
        if (!stat.isFile() || stat.size > MAX_MANIFEST_BYTES) continue;
        const pod = staticPod(fs.readFileSync(file), file, nodeName, clock.nowMs());
        found.set(pod.metadata!.uid!, this.#pods.get(pod.metadata!.uid!) ?? pod);
      } catch (e) {
        log.warn({ file, reason: reasonOf(e) }, "a static pod's manifest cannot be read");
      }
    }
    for (const [uid, pod] of [...this.#pods]) {
      if (found.has(uid)) continue;
      this.#pods.delete(uid);
      this.#o.stop(uid);
      if (![...found.values()].some((p) => keyOf(p) === keyOf(pod))) void this.#deleteMirror(keyOf(pod));
    }
    for (const [uid, pod] of found) {
      if (this.#pods.has(uid)) continue;
      this.#pods.set(uid, pod);
      this.#o.start(pod);
    }
    void this.sync();
  }

  /** A mirror pod as the API shows it. */
  observe(mirror: Pod): void {
    this.#mirrors.set(keyOf(mirror), mirror);
    void this.sync();
  }

  forgotten(mirror: Pod): void {
    if (this.#mirrors.get(keyOf(mirror))?.metadata?.uid === mirror.metadata!.uid) this.#mirrors.delete(keyOf(mirror));
    void this.sync();
  }

  /** Makes what the API should have: a mirror for each static pod, none for any other. */
  async sync(): Promise<void> {
    if (this.#busy) return;
    this.#busy = true;
    try {
      const wanted = new Map([...this.#pods.values()].map((p) => [keyOf(p), p]));
      for (const [key, mirror] of [...this.#mirrors]) {
        const hash = wanted.get(key)?.metadata?.annotations?.[CONFIG_HASH];
        if (hash !== mirror.metadata!.annotations![CONFIG_MIRROR] || mirror.metadata!.deletionTimestamp) await this.#deleteMirror(key);
      }
      for (const [key, pod] of wanted) {
        if (!this.#mirrors.has(key)) await this.#createMirror(pod);
        if (this.#mirrors.has(key)) this.#o.mirrored(pod.metadata!.uid!);
      }
    } finally {
      this.#busy = false;
    }
  }

  async #createMirror(pod: Pod): Promise<void> {
    const node = this.#o.node();
    if (!node?.metadata?.uid) return;
    const { uid, ...metadata } = pod.metadata!;
    const owner = { apiVersion: "v1", kind: "Node", name: node.metadata.name, uid: node.metadata.uid, controller: true };
    const annotations = { ...metadata.annotations, [CONFIG_MIRROR]: uid! };
    const mirror = { apiVersion: "v1", kind: "Pod", metadata: { ...metadata, annotations, ownerReferences: [owner] }, spec: pod.spec };
    try {
      this.#mirrors.set(keyOf(pod), (await this.#o.client.create(Resources.pods, mirror as never)) as unknown as Pod);
    } catch (e) {
      if (!isAlreadyExists(e)) this.#o.log.debug({ pod: keyOf(pod), reason: reasonOf(e) }, "a mirror pod could not be made yet");
    }
  }

  async #deleteMirror(key: string): Promise<void> {
    const mirror = this.#mirrors.get(key);
    if (!mirror) return;
    const { namespace, name, uid } = mirror.metadata!;
    try {
      await this.#o.client.delete(Resources.pods, namespace!, name!, { gracePeriodSeconds: 0, preconditions: { uid: uid! } });
    } catch (e) {
      if (!isNotFound(e)) return this.#o.log.debug({ pod: key, reason: reasonOf(e) }, "a mirror pod could not be deleted yet");
    }
    if (this.#mirrors.get(key) === mirror) this.#mirrors.delete(key);
  }
}

const keyOf = (pod: Pod): string => `${pod.metadata!.namespace}/${pod.metadata!.name}`;
