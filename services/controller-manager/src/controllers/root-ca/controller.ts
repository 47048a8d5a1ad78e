// Publishes the cluster's CA as ConfigMap kube-root-ca.crt in every active namespace, and repairs it when it was changed.
import { isAlreadyExists, type KubeObject, Resources, runController } from "@podwire/client";
import type { ControllerContext, RunningController } from "../../context.ts";
import { equal } from "../../equality.ts";

export const ROOT_CA_NAME = "kube-root-ca.crt";
const DESCRIPTION = "kubernetes.io/description";
const DESCRIPTION_TEXT =
  "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters.";

export function startRootCa(c: ControllerContext): RunningController {
  const namespaces = c.informers.of(Resources.namespaces);
  const maps = c.informers.of(Resources.configMaps);
  const controller = runController({
    name: "root-ca-certificate-publisher",
    clock: c.clock,
    log: c.log,
    informers: [namespaces, maps],
    reconcile,
  });
  const own = (o: KubeObject) => controller.queue.add(o.metadata.name);
  namespaces.handle({ onAdd: own, onUpdate: own });
  const onMap = (o: KubeObject) => {
    if (o.metadata.name === ROOT_CA_NAME) controller.queue.add(o.metadata.namespace ?? "");
  };
  maps.handle({ onUpdate: onMap, onDelete: onMap });

  async function reconcile(namespace: string) {
    const ns = namespaces.lister.get("", namespace);
    if (!ns || ns["status"]?.phase === "Terminating" || ns.metadata.deletionTimestamp || c.settings.rootCa === "") return undefined;
    const data = { "ca.crt": c.settings.rootCa };
    const existing = maps.lister.get(namespace, ROOT_CA_NAME);
    if (!existing) {
      try {
        await c.client.create(Resources.configMaps, {
          metadata: { namespace, name: ROOT_CA_NAME, annotations: { [DESCRIPTION]: DESCRIPTION_TEXT } },
          data,
        });
      } catch (e) {
        if (!isAlreadyExists(e)) throw e;
      }
    } else if (!equal(existing["data"], data) || existing.metadata.annotations?.[DESCRIPTION] === undefined)
      await c.client.update(Resources.configMaps, {
        ...existing,
        metadata: { ...existing.metadata, annotations: { ...existing.metadata.annotations, [DESCRIPTION]: DESCRIPTION_TEXT } },
        data,
      });
    return undefined;
  }
  return controller;
}
