// Warnings about objects that are valid but not what their author meant: duplicates, negative grace periods, deprecated
// values (pkg/api/{pod,persistentvolume,service} of Kubernetes 1.34). They travel in Warning headers.

import type { KubeObject } from "../kube-object.ts";
import { isDns1123Label } from "../meta/names.ts";
import { parseQuantity } from "../meta/quantity.ts";
import type { ResourceInfo } from "../resources.ts";
import { lookup } from "../schema/lookup.ts";
import type { Obj } from "./rules.ts";

const DEPRECATED_LABELS: Record<string, string> = lookup({
  "beta.kubernetes.io/arch": 'deprecated since v1.14; use "kubernetes.io/arch" instead',
  "beta.kubernetes.io/os": 'deprecated since v1.14; use "kubernetes.io/os" instead',
  "failure-domain.beta.kubernetes.io/region": 'deprecated since v1.17; use "topology.kubernetes.io/region" instead',
  "failure-domain.beta.kubernetes.io/zone": 'deprecated since v1.17; use "topology.kubernetes.io/zone" instead',
  "beta.kubernetes.io/instance-type": 'deprecated since v1.17; use "node.kubernetes.io/instance-type" instead',
});

const DEPRECATED_VOLUMES: Record<string, string> = lookup({
  gitRepo: "deprecated in v1.11",
  scaleIO: "deprecated in v1.16, non-functional in v1.22+",
  flocker: "deprecated in v1.22, non-functional in v1.25+",
  storageos: "deprecated in v1.22, non-functional in v1.25+",
  quobyte: "deprecated in v1.22, non-functional in v1.25+",
  glusterfs: "deprecated in v1.25, non-functional in v1.26+",
  cephfs: "deprecated in v1.28, non-functional in v1.31+",
  rbd: "deprecated in v1.28, non-functional in v1.31+",
});

/** Warnings of a create, or of an update when `old` is given. */
export function objectWarnings(info: Pick<ResourceInfo, "group" | "kind">, object: KubeObject, old?: KubeObject): string[] {
  const out: string[] = [];
  const o: Obj = object;
  switch (`${info.group}/${info.kind}`) {
    case "/Pod":
      if (old === undefined) {
        podName(out, o);
        podSpec(out, o.spec, "spec");
      }
      break;
    case "/PodTemplate":
      podSpec(out, o.template?.spec, "template.spec");
      break;
    case "/ReplicationController":
    case "apps/Deployment":
    case "apps/ReplicaSet":
    case "apps/StatefulSet":
    case "apps/DaemonSet":
      if (changed(o, old)) podSpec(out, o.spec?.template?.spec, "spec.template.spec");
      break;
    case "batch/Job":
      if (old === undefined) {
        const bad = isDns1123Label(o.metadata.name ?? "");
        if (bad.length > 0)
          out.push(
            `metadata.name: this is used in Pod names and hostnames, which can result in surprising behavior; a DNS label is recommended: [${bad.join(" ")}]`,
          );
      }
      if (changed(o, old)) podSpec(out, o.spec?.template?.spec, "spec.template.spec");
      break;
    case "batch/CronJob":
      if (changed(o, old)) podSpec(out, o.spec?.jobTemplate?.spec?.template?.spec, "spec.jobTemplate.spec.template.spec");
      break;
    case "/PersistentVolume":
      if (o.spec?.persistentVolumeReclaimPolicy === "Recycle") {
        out.push(
          "spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, the recommended approach is to use dynamic provisioning.",
        );
      }
      for (const v in DEPRECATED_VOLUMES) if (o.spec?.[v] !== undefined) out.push(`spec.${v}: ${DEPRECATED_VOLUMES[v]}`);
      break;
    case "discovery.k8s.io/EndpointSlice":
      if (o.addressType === "FQDN" && old === undefined) out.push("spec.addressType: FQDN endpoints are deprecated");
      break;
    case "networking.k8s.io/Ingress":
      if (old === undefined && o.metadata.annotations?.["kubernetes.io/ingress.class"] !== undefined) {
        out.push("annotation \"kubernetes.io/ingress.class\" is deprecated, please use 'spec.ingressClassName' instead");
      }
      break;
    case "/Service":
      service(out, o);
      break;
  }
  return out;
}

const changed = (o: Obj, old: Obj | undefined): boolean => old === undefined || o.metadata.generation !== old.metadata.generation;

function podName(out: string[], o: Obj): void {
  const bad = isDns1123Label(o.metadata.name ?? "");
  if (o.metadata.name && bad.length > 0) {
    out.push(
      `metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; a DNS label is recommended: [${bad.join(" ")}]`,
    );
  }
}

function podSpec(out: string[], s: Obj | undefined, path: string): void {
  if (s === undefined) return;
  for (const k in s.nodeSelector) if (DEPRECATED_LABELS[k]) out.push(`${path}.nodeSelector[${k}]: ${DEPRECATED_LABELS[k]}`);
  (s.volumes ?? []).forEach((v: Obj, i: number) => {
    for (const kind in DEPRECATED_VOLUMES)
      if (v[kind] !== undefined) out.push(`${path}.volumes[${i}].${kind}: ${DEPRECATED_VOLUMES[kind]}`);
  });
  duplicates(
    out,
    s.hostAliases,
    `${path}.hostAliases`,
    (a) => a.ip,
    (p, first) => `${p}.ip: duplicate ip found at ${first}`,
  );
  (s.imagePullSecrets ?? []).forEach((r: Obj, i: number) => {
    if (!r.name) out.push(`${path}.imagePullSecrets[${i}]: invalid empty name ""`);
  });
  for (const list of ["initContainers", "containers"]) {
    (s[list] ?? []).forEach((c: Obj, i: number) => {
      container(out, c, `${path}.${list}[${i}]`);
    });
  }
  samePorts(out, s.containers ?? [], `${path}.containers`);
  if (s.terminationGracePeriodSeconds < 0)
    out.push(`${path}.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1`);
}

function duplicates(
  out: string[],
  list: Obj[] | undefined,
  path: string,
  key: (o: Obj) => string,
  text: (path: string, first: string) => string,
): void {
  const seen = new Map<string, string>();
  (list ?? []).forEach((x, i) => {
    const p = `${path}[${i}]`;
    const first = seen.get(key(x));
    if (first !== undefined) out.push(text(p, first));
    else seen.set(key(x), p);
  });
}

function container(out: string[], c: Obj, path: string): void {
  const memory = (f: string): void => {
    for (const r of ["memory", "ephemeral-storage"]) {
      const q = c.resources?.[f]?.[r];
      if (q !== undefined && parseQuantity(q).nano % 1_000_000_000n !== 0n)
        out.push(`${path}.resources.${f}[${r}]: fractional byte value ${JSON.stringify(q)} is invalid, must be an integer`);
    }
  };
  memory("limits");
  memory("requests");
  const names = new Map<string, number>();
  (c.env ?? []).forEach((e: Obj, i: number) => {
    if (names.has(e.name))
      out.push(`${path}.env[${i}]: hides previous definition of ${JSON.stringify(e.name)}, which may be dropped when using apply`);
    names.set(e.name, i);
  });
}

/** Ports defined twice, in one container or across them. */
function samePorts(out: string[], containers: Obj[], path: string): void {
  const seen = new Map<string, string>();
  containers.forEach((c, i) => {
    (c.ports ?? []).forEach((p: Obj, j: number) => {
      const key = `${p.protocol}/${p.hostIP ?? ""}/${p.hostPort ?? 0}/${p.containerPort}`;
      const at = `${path}[${i}].ports[${j}]`;
      const first = seen.get(key);
      if (first !== undefined) out.push(`${at}: duplicate port definition with ${first}`);
      else seen.set(key, at);
    });
  });
}

function service(out: string[], o: Obj): void {
  if (o.spec?.externalIPs && o.spec.type === "ExternalName") out.push('spec.externalIPs is ignored when spec.type is "ExternalName"');
  if (o.spec?.type === "ExternalName" && (o.spec?.loadBalancerIP ?? "") !== "")
    out.push('spec.loadBalancerIP is ignored when spec.type is not "LoadBalancer"');
}
