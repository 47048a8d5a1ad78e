// The controller side of the simulated CSI driver csi.podwire.io, put together: what a cloud's storage driver does beside the cluster.
import type { Clock, Logger, Random } from "@podwire/base";
import type { Bus } from "@podwire/bus";
import { type ApiClient, eventRecorder, type InformerSet, type KubeObject, objectKey, Resources, runController } from "@podwire/client";
import { notifyNodes, serveVolumes } from "../storage/volume-server.ts";
import { VolumeStore } from "../storage/volume-store.ts";
import { attachVolume, letVolumeGo } from "./attacher.ts";
import { provisionClaim, reclaimVolume } from "./provisioner.ts";
import { resizeVolume } from "./resizer.ts";

export interface StorageDriverOptions {
  bus: Bus;
  client: ApiClient;
  informers: InformerSet;
  clock: Clock;
  random: Random;
  log: Logger;
  /** Where the volumes lie. */
  folder: string;
}

export function startStorageDriver(o: StorageDriverOptions) {
  const { bus, client, informers, clock, random, log } = o;
  const store = new VolumeStore({ folder: o.folder, clock, log, notify: notifyNodes(bus) });
  const server = serveVolumes(bus, store);
  const claims = informers.of(Resources.persistentVolumeClaims);
  const volumes = informers.of(Resources.persistentVolumes);
  const classes = informers.of(Resources.storageClasses);
  const attachments = informers.of(Resources.volumeAttachments);
  const recorder = (component: string) => eventRecorder({ client, clock, random, log, component });
  const nowMs = () => clock.nowMs();
  const lists = { claims: claims.lister, volumes: volumes.lister, classes: classes.lister, attachments: attachments.lister };
  const provisioner = { client, store, recorder: recorder("csi.podwire.io_provisioner"), ...lists };
  const common = { clock, log, workers: 2 };

  const provision = runController({
    ...common,
    name: "csi-provisioner",
    informers: [claims, volumes, classes],
    reconcile: provisionClaim(provisioner),
  });
  const reclaim = runController({ ...common, name: "csi-reclaimer", informers: [volumes], reconcile: reclaimVolume(provisioner) });
  const attach = runController({
    ...common,
    name: "csi-attacher",
    informers: [attachments, volumes],
    reconcile: attachVolume({ client, store, nowMs, ...lists }),
  });
  const letGo = runController({
    ...common,
    name: "csi-attacher-volumes",
    informers: [attachments, volumes],
    reconcile: letVolumeGo({ client, store, nowMs, ...lists }),
  });
  const resize = runController({
    ...common,
    name: "csi-resizer",
    informers: [claims, volumes],
    reconcile: resizeVolume({ client, store, nowMs, recorder: recorder("external-resizer csi.podwire.io"), ...lists }),
  });

  const onClaim = (c: KubeObject) => {
    provision.queue.add(objectKey(c));
    resize.queue.add(objectKey(c));
  };
  claims.handle({ onAdd: onClaim, onUpdate: onClaim });
  classes.handle({ onAdd: () => claims.lister.list().forEach(onClaim), onUpdate: () => claims.lister.list().forEach(onClaim) });
  const onVolume = (v: KubeObject) => {
    reclaim.queue.add(v.metadata.name);
    letGo.queue.add(v.metadata.name);
    const ref = v["spec"].claimRef;
    if (ref) resize.queue.add(`${ref.namespace}/${ref.name}`);
  };
  volumes.handle({ onAdd: onVolume, onUpdate: onVolume });
  const onAttachment = (a: KubeObject) => {
    attach.queue.add(a.metadata.name);
    const pv = a["spec"].source?.persistentVolumeName;
    if (pv) for (const q of [reclaim.queue, letGo.queue]) q.add(pv);
  };
  attachments.handle({ onAdd: onAttachment, onUpdate: onAttachment, onDelete: onAttachment });

  const controllers = [provision, reclaim, attach, letGo, resize];
  return {
    store,
    start: () => Promise.all(controllers.map((c) => c.start())),
    counters: () => store.counters(),
    async stop() {
      server.unsubscribe();
      await Promise.all(controllers.map((c) => c.stop()));
      store.close();
    },
  };
}
