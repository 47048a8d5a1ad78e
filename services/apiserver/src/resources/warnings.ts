// Warnings that a strategy gives on create and update (pkg/api/{pod,service,persistentvolume}/warnings.go), the ones that have been seen.
import type { KubeObject, ResourceInfo } from "@podwire/api";

export function warningsFor(info: ResourceInfo, o: KubeObject, isCreate: boolean): string[] {
  switch (info.groupResource) {
    case "pods":
      return portWarnings(o["spec"], "spec");
    case "deployments.apps":
    case "replicasets.apps":
    case "statefulsets.apps":
    case "daemonsets.apps":
    case "jobs.batch":
    case "replicationcontrollers":
      return portWarnings(o["spec"]?.template?.spec, "spec.template.spec");
    case "cronjobs.batch":
      return portWarnings(o["spec"]?.jobTemplate?.spec?.template?.spec, "spec.jobTemplate.spec.template.spec");
    case "persistentvolumes":
      return o["spec"]?.persistentVolumeReclaimPolicy === "Recycle"
        ? [
            "spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, the recommended approach is to use dynamic provisioning.",
          ]
        : [];
    case "endpointslices.discovery.k8s.io":
      return isCreate && o["addressType"] === "FQDN" ? ["spec.addressType: FQDN endpoints are deprecated"] : [];
    default:
      return [];
  }
}

/** Two ports of one pod with the same number and protocol. */
function portWarnings(spec: any, path: string): string[] {
  const warnings: string[] = [];
  const seen = new Map<string, string>();
  for (const [i, c] of (spec?.containers ?? []).entries()) {
    for (const [j, p] of (c.ports ?? []).entries()) {
      const at = `${path}.containers[${i}].ports[${j}]`;
      const id = `${p.containerPort}/${p.protocol ?? "TCP"}/${p.hostIP ?? ""}/${p.hostPort ?? ""}`;
      const first = seen.get(id);
      if (first === undefined) seen.set(id, at);
      else warnings.push(`${at}: duplicate port definition with ${first}`);
    }
  }
  return warnings;
}
