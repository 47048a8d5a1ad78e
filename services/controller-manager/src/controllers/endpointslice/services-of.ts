// Tells which Services a change of a pod concerns: those whose selector matches its labels before or after, when something that
// endpoints show has changed.
import { type Informer, type KubeObject, keyOf } from "@podwire/client";
import { equal } from "../../equality.ts";
import { hasLabels, isReady, isTerminating, phaseOf } from "../../pods/status.ts";

export function servicesOf(services: Informer<any>, pods: Informer<any>, enqueue: (key: string) => void): void {
  const wake = (pod: KubeObject) => {
    if (!pod.metadata.labels) return;
    for (const s of services.lister.list(pod.metadata.namespace)) {
      const selector = s["spec"].selector;
      if (selector && Object.keys(selector).length > 0 && hasLabels(pod, selector))
        enqueue(keyOf(pod.metadata.namespace ?? "", s.metadata.name));
    }
  };
  pods.handle({
    onAdd(pod) {
      if (pod["status"]?.podIP) wake(pod);
    },
    onUpdate(pod, old) {
      const labels = !equal(pod.metadata.labels, old.metadata.labels);
      if (!labels && !showsChange(pod, old)) return;
      wake(pod);
      if (labels) wake(old);
    },
    onDelete: wake,
  });
}

function showsChange(pod: KubeObject, old: KubeObject): boolean {
  return (
    isReady(pod) !== isReady(old) ||
    isTerminating(pod) !== isTerminating(old) ||
    phaseOf(pod) !== phaseOf(old) ||
    pod["spec"].nodeName !== old["spec"].nodeName ||
    pod["spec"].hostname !== old["spec"].hostname ||
    !equal(pod["status"]?.podIPs ?? pod["status"]?.podIP, old["status"]?.podIPs ?? old["status"]?.podIP)
  );
}
