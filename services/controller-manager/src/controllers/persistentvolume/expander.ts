// Growing claims (pkg/controller/volume/expand): every volume that can grow here belongs to a CSI driver, whose resizer does it. What is
// left is to say so. Invariant: one event a claim and size.
import { parseQuantity } from "@podwire/api";
import { objectKey, Resources, runController, splitKey } from "@podwire/client";
import type { ControllerContext, RunningController } from "../../context.ts";

export function startExpander(c: ControllerContext): RunningController {
  const claims = c.informers.of(Resources.persistentVolumeClaims);
  const volumes = c.informers.of(Resources.persistentVolumes);
  const recorder = c.recorder("volume_expand");
  const storageOf = (list: Record<string, string> | undefined) => list?.["storage"] ?? "0";
  const told = new Map<string, string>();
  const controller = runController({
    name: "persistentvolume-expander",
    clock: c.clock,
    log: c.log,
    informers: [claims, volumes],
    async reconcile(key) {
      const { namespace, name } = splitKey(key);
      const claim = claims.lister.get(namespace, name);
      if (claim?.["status"]?.phase !== "Bound") {
        told.delete(key);
        return undefined;
      }
      const wanted = storageOf(claim["spec"].resources?.requests);
      if (parseQuantity(wanted).cmp(parseQuantity(storageOf(claim["status"].capacity))) <= 0) {
        told.delete(key);
        return undefined;
      }
      if (!volumes.lister.get("", claim["spec"].volumeName ?? "")?.["spec"].csi || told.get(key) === wanted) return undefined;
      told.set(key, wanted);
      recorder.event(claim, "Normal", "ExternalExpanding", "waiting for an external controller to expand this PVC");
      return undefined;
    },
  });
  claims.handle({
    onUpdate(o, old) {
      if (storageOf(o["spec"].resources?.requests) !== storageOf(old["spec"].resources?.requests)) controller.queue.add(objectKey(o));
      else if (told.has(objectKey(o))) controller.queue.add(objectKey(o));
    },
    onDelete: (o) => void told.delete(objectKey(o)),
  });
  return controller;
}
