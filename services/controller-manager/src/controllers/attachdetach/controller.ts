// The shell of attach/detach: one key a PersistentVolume of a CSI driver; VolumeAttachments for the nodes whose pods use it, events of how
// that went on those pods, and node.status.volumesAttached.
import { createHash } from "node:crypto";
import { isAlreadyExists, isNotFound, type KubeObject, Resources, runController } from "@podwire/client";
import type { ControllerContext, RunningController } from "../../context.ts";
import { BY_CLAIM, claimsOf } from "../persistentvolume/protection.ts";
import { BY_NODE } from "../taint-eviction/controller.ts";
import { planAttachments, uniqueName } from "./plan.ts";

const BY_VOLUME = "byVolume";
const NODE = "node/";
/** A driver that has not attached a volume by then is reported (pkg/volume/csi). */
const ATTACH_TIMEOUT_MS = 120_000;

/** Name of the VolumeAttachment of a volume and a node (pkg/volume/csi getAttachmentName). */
export function attachmentName(volumeHandle: string, driver: string, node: string): string {
  return `csi-${createHash("sha256").update(`${volumeHandle}${driver}${node}`).digest("hex")}`;
}

export function startAttachDetach(c: ControllerContext): RunningController {
  const pods = c.informers.of(Resources.pods);
  const claims = c.informers.of(Resources.persistentVolumeClaims);
  const volumes = c.informers.of(Resources.persistentVolumes);
  const attachments = c.informers.of(Resources.volumeAttachments);
  const nodes = c.informers.of(Resources.nodes);
  const drivers = c.informers.of(Resources.csiDrivers);
  pods.addIndex(BY_CLAIM, (p) => claimsOf(p).map((n) => `${p.metadata.namespace}/${n}`));
  pods.addIndex(BY_NODE, (p) => (p["spec"]?.nodeName ? [p["spec"].nodeName] : []));
  attachments.addIndex(BY_VOLUME, (a) => (a["spec"].source?.persistentVolumeName ? [a["spec"].source.persistentVolumeName] : []));
  const recorder = c.recorder("attachdetach-controller");
  const controller = runController({
    name: "attachdetach",
    clock: c.clock,
    log: c.log,
    informers: [pods, claims, volumes, attachments, nodes, drivers],
    workers: 4,
    reconcile,
  });
  const { queue } = controller;
  /** "volume/node": since when not wanted; told of success; told of conflicts; told of failures. */
  const unwanted = new Map<string, number>();
  const told = new Map<string, string>();

  const onPod = (p: KubeObject) => {
    if (!p["spec"]?.nodeName) return;
    for (const n of claimsOf(p)) {
      const volume = claims.lister.get(p.metadata.namespace ?? "", n)?.["spec"].volumeName;
      if (volume) queue.add(volume);
    }
  };
  pods.handle({
    onAdd: onPod,
    onUpdate(p, old) {
      if (p["spec"]?.nodeName !== old["spec"]?.nodeName || p["status"]?.phase !== old["status"]?.phase) onPod(p);
    },
    onDelete: onPod,
  });
  const onClaim = (p: KubeObject) => {
    if (p["spec"].volumeName) queue.add(p["spec"].volumeName);
  };
  claims.handle({ onAdd: onClaim, onUpdate: onClaim, onDelete: onClaim });
  volumes.handle({ onAdd: (v) => queue.add(v.metadata.name), onUpdate: (v) => queue.add(v.metadata.name) });
  const onAttachment = (a: KubeObject) => {
    const volume = a["spec"].source?.persistentVolumeName;
    if (volume) queue.add(volume);
    queue.add(`${NODE}${a["spec"].nodeName}`);
  };
  attachments.handle({ onAdd: onAttachment, onUpdate: onAttachment, onDelete: onAttachment });
  const wakeNode = (name: string) => {
    for (const a of attachments.lister.list()) if (a["spec"].nodeName === name) onAttachment(a);
  };
  const facts = (n: KubeObject) =>
    JSON.stringify([n["status"]?.volumesInUse, n["spec"]?.taints, n["status"]?.conditions?.find((x: any) => x.type === "Ready")?.status]);
  nodes.handle({
    onUpdate(n, old) {
      if (facts(n) !== facts(old)) wakeNode(n.metadata.name);
    },
    onAdd(n) {
      for (const p of pods.lister.byIndex(BY_NODE, n.metadata.name)) onPod(p);
    },
    onDelete: (n) => wakeNode(n.metadata.name),
  });

  async function reconcile(key: string) {
    if (key.startsWith(NODE)) return reportNode(key.slice(NODE.length));
    const volume = volumes.lister.get("", key);
    if (!volume?.["spec"].csi) return undefined;
    const { driver, volumeHandle } = volume["spec"].csi;
    if (drivers.lister.get("", driver)?.["spec"]?.attachRequired === false) return undefined;
    const ref = volume["spec"].claimRef;
    const claim = ref && claims.lister.get(ref.namespace, ref.name);
    const users = claim && claim["spec"].volumeName === key ? pods.lister.byIndex(BY_CLAIM, `${ref.namespace}/${ref.name}`) : [];
    const now = c.clock.nowMs();
    const held = attachments.lister.byIndex(BY_VOLUME, key);
    const steps = planAttachments({
      volume,
      pods: users,
      attachments: held,
      node: (n) => nodes.lister.get("", n),
      unwantedSinceMs: (n) => unwanted.get(`${key}/${n}`),
      nowMs: now,
    });
    const waiting = new Set<string>();
    let nextMs = Number.POSITIVE_INFINITY;
    for (const s of steps) {
      switch (s.do) {
        case "wait":
          waiting.add(s.node);
          if (!unwanted.has(`${key}/${s.node}`)) unwanted.set(`${key}/${s.node}`, now);
          nextMs = Math.min(nextMs, s.atMs - now);
          break;
        case "detach":
          await detach(volume, s.attachment);
          break;
        case "attach":
          await attach(attachmentName(volumeHandle, driver, s.node), driver, s.node, key);
          nextMs = Math.min(nextMs, ATTACH_TIMEOUT_MS);
          break;
        case "conflict":
          for (const p of s.pods)
            tell(p, `${key}/conflict`, s.message, "Warning", "FailedAttachVolume", `Multi-Attach error for volume "${key}" ${s.message}`);
      }
    }
    for (const k of unwanted.keys()) if (k.startsWith(`${key}/`) && !waiting.has(k.slice(key.length + 1))) unwanted.delete(k);
    for (const a of held) nextMs = Math.min(nextMs, report(key, a, users, driver, volumeHandle, now));
    return nextMs === Number.POSITIVE_INFINITY ? undefined : { requeueAfterMs: nextMs };
  }

  async function attach(name: string, driver: string, node: string, volume: string): Promise<void> {
    try {
      await c.client.create(Resources.volumeAttachments, {
        metadata: { name },
        spec: { attacher: driver, nodeName: node, source: { persistentVolumeName: volume } },
      } as KubeObject);
    } catch (e) {
      if (!isAlreadyExists(e)) throw e;
    }
  }

  async function detach(volume: KubeObject, a: KubeObject): Promise<void> {
    // First the node learns that the volume is no longer safe to mount.
    await setAttached(
      a["spec"].nodeName,
      attachedTo(a["spec"].nodeName).filter((n) => n !== uniqueName(volume)),
    );
    await c.client.delete(Resources.volumeAttachments, "", a.metadata.name).catch(ignoreGone);
  }

  /** Tells the pods of the attachment's node how it went; returns when to look again. */
  function report(name: string, a: KubeObject, users: readonly KubeObject[], driver: string, handle: string, now: number): number {
    const here = users.filter((p) => p["spec"].nodeName === a["spec"].nodeName && !p.metadata.deletionTimestamp);
    if (a["status"]?.attached) {
      // Only those that were waiting for it.
      for (const p of here)
        if (!isRunning(p))
          tell(p, `${name}/attach`, "ok", "Normal", "SuccessfulAttachVolume", `AttachVolume.Attach succeeded for volume "${name}" `);
      return Number.POSITIVE_INFINITY;
    }
    const failure = a["status"]?.attachError?.message as string | undefined;
    const left = Date.parse(a.metadata.creationTimestamp ?? "") + ATTACH_TIMEOUT_MS - now;
    const why =
      failure ?? (left <= 0 ? `timed out waiting for external-attacher of ${driver} CSI driver to attach volume ${handle}` : undefined);
    if (why !== undefined)
      for (const p of here)
        tell(p, `${name}/attach`, why, "Warning", "FailedAttachVolume", `AttachVolume.Attach failed for volume "${name}" : ${why}`);
    return left > 0 ? left : ATTACH_TIMEOUT_MS;
  }

  function tell(p: KubeObject, topic: string, what: string, type: "Normal" | "Warning", reason: string, message: string): void {
    const key = `${p.metadata.uid}/${topic}`;
    if (told.get(key) === what) return;
    told.set(key, what);
    recorder.event(p, type, reason, message);
  }
  pods.handle({
    onDelete(p) {
      for (const k of told.keys()) if (k.startsWith(`${p.metadata.uid}/`)) told.delete(k);
    },
  });

  function attachedTo(node: string): string[] {
    const out = new Set<string>();
    for (const a of attachments.lister.list()) {
      if (a["spec"].nodeName !== node || !a["status"]?.attached || a.metadata.deletionTimestamp) continue;
      const v = volumes.lister.get("", a["spec"].source?.persistentVolumeName ?? "");
      if (v?.["spec"].csi) out.add(uniqueName(v));
    }
    return [...out].sort();
  }

  async function reportNode(name: string): Promise<undefined> {
    await setAttached(name, attachedTo(name));
    return undefined;
  }

  async function setAttached(node: string, names: readonly string[]): Promise<void> {
    const n = nodes.lister.get("", node);
    if (!n) return;
    const now = (n["status"]?.volumesAttached ?? []).map((v: any) => v.name as string).sort();
    if (now.join() === names.join()) return;
    const volumesAttached = names.length > 0 ? names.map((x) => ({ name: x, devicePath: "" })) : null;
    await c.client.patch(Resources.nodes, "", node, "merge", { status: { volumesAttached } }, { subresource: "status" }).catch(ignoreGone);
  }

  return controller;
}

const isRunning = (p: KubeObject): boolean => p["status"]?.phase !== undefined && p["status"].phase !== "Pending";

const ignoreGone = (e: unknown): void => {
  if (!isNotFound(e)) throw e;
};
