// Admission plugins that run only when --enable-admission-plugins names them (plugin/pkg/admission/*).
import { type KubeObject, statusErrors } from "@podwire/api";
import { may } from "../authorization/may.ts";
import type { Api } from "../call.ts";
import type { AdmissionPlugin, Attributes } from "./chain.ts";
import { forbiddenBy } from "./forbidden.ts";

const ALL = ["CREATE", "UPDATE", "DELETE", "CONNECT"] as const;
const HOSTNAME = "kubernetes.io/hostname";

/** By name; each made only when it is enabled. */
export const OPTIONAL: Readonly<Record<string, (api: Api) => AdmissionPlugin>> = {
  AlwaysAdmit: () => ({ name: "AlwaysAdmit", operations: ALL }),
  AlwaysDeny: () => ({
    name: "AlwaysDeny",
    operations: ALL,
    validate(a) {
      throw forbiddenBy(a, "admission control is denying all modifications");
    },
  }),
  AlwaysPullImages: () => alwaysPullImages,
  DenyServiceExternalIPs: () => denyExternalIps,
  ExtendedResourceToleration: () => extendedResourceToleration,
  LimitPodHardAntiAffinityTopology: () => limitAntiAffinity,
  NamespaceAutoProvision: (api) => namespaceAutoProvision(api),
  NamespaceExists: (api) => namespaceExists(api),
  OwnerReferencesPermissionEnforcement: (api) => ownerReferences(api),
};

const isPod = (a: Attributes) => a.info.groupResource === "pods" && a.subresource === "" && a.object !== undefined;
const containersOf = (o: KubeObject): { image?: string; imagePullPolicy?: string; resources?: Record<string, any> }[] => [
  ...(o["spec"]?.initContainers ?? []),
  ...(o["spec"]?.containers ?? []),
  ...(o["spec"]?.ephemeralContainers ?? []),
];

const alwaysPullImages: AdmissionPlugin = {
  name: "AlwaysPullImages",
  operations: ["CREATE", "UPDATE"],
  admit(a) {
    if (isPod(a)) for (const c of containersOf(a.object as KubeObject)) c.imagePullPolicy = "Always";
  },
};

const denyExternalIps: AdmissionPlugin = {
  name: "DenyServiceExternalIPs",
  operations: ["CREATE", "UPDATE"],
  validate(a) {
    if (a.info.groupResource !== "services" || a.subresource !== "" || !a.object) return;
    const before = new Set<string>(a.oldObject?.["spec"]?.externalIPs ?? []);
    if ((a.object["spec"]?.externalIPs ?? []).some((ip: string) => !before.has(ip)))
      throw forbiddenBy(a, "Use of external IPs is denied by admission control");
  },
};

/** A pod that asks for an extended resource tolerates the taint that keeps others off. */
const extendedResourceToleration: AdmissionPlugin = {
  name: "ExtendedResourceToleration",
  operations: ["CREATE", "UPDATE"],
  admit(a) {
    if (!isPod(a)) return;
    const o = a.object as KubeObject;
    const names = new Set<string>();
    for (const c of containersOf(o)) for (const r of Object.keys(c.resources?.["requests"] ?? {})) if (isExtended(r)) names.add(r);
    const tolerations: Record<string, unknown>[] = (o["spec"].tolerations ??= []);
    for (const key of [...names].sort())
      if (!tolerations.some((t) => t["key"] === key && t["operator"] === "Exists"))
        tolerations.push({ key, operator: "Exists", effect: "" });
    for (const t of tolerations) if (t["effect"] === "") delete t["effect"];
    if (tolerations.length === 0) delete o["spec"].tolerations;
  },
};

function isExtended(name: string): boolean {
  return name.includes("/") && !name.startsWith("kubernetes.io/") && !name.includes(".kubernetes.io/") && !name.startsWith("requests.");
}

const limitAntiAffinity: AdmissionPlugin = {
  name: "LimitPodHardAntiAffinityTopology",
  operations: ["CREATE", "UPDATE"],
  validate(a) {
    if (!isPod(a)) return;
    const terms: { topologyKey?: string }[] =
      a.object?.["spec"]?.affinity?.podAntiAffinity?.requiredDuringSchedulingIgnoredDuringExecution ?? [];
    for (const t of terms)
      if (t.topologyKey !== HOSTNAME)
        throw forbiddenBy(
          a,
          `affinity.PodAntiAffinity.RequiredDuringScheduling has TopologyKey ${t.topologyKey ?? ""} but only key ${HOSTNAME} is allowed`,
        );
  },
};

const inNamespace = (a: Attributes) => a.namespace !== "" && !(a.info.group === "" && a.info.resource === "namespaces");

function namespaceAutoProvision(api: Api): AdmissionPlugin {
  return {
    name: "NamespaceAutoProvision",
    operations: ["CREATE"],
    async admit(a) {
      if (a.dryRun || !inNamespace(a) || api.cache.of("", "namespaces").get("", a.namespace)) return;
      const key = { group: "", resource: "namespaces", namespace: "", name: a.namespace };
      const metadata = {
        name: a.namespace,
        uid: api.random.uuid(),
        creationTimestamp: `${new Date(api.clock.nowMs()).toISOString().slice(0, 19)}Z`,
        labels: { "kubernetes.io/metadata.name": a.namespace },
      };
      const made = { kind: "Namespace", apiVersion: "v1", metadata, spec: { finalizers: ["kubernetes"] }, status: { phase: "Active" } };
      try {
        await api.storage.create(key, made as KubeObject);
      } catch (e) {
        if ((e as { code?: number }).code !== 409) throw e;
      }
    },
  };
}

function namespaceExists(api: Api): AdmissionPlugin {
  return {
    name: "NamespaceExists",
    operations: ["CREATE", "UPDATE", "DELETE"],
    async validate(a) {
      if (!inNamespace(a) || api.cache.of("", "namespaces").get("", a.namespace)) return;
      if (await api.storage.read({ group: "", resource: "namespaces", namespace: "", name: a.namespace }, true)) return;
      throw statusErrors.notFound({ group: "", resource: "namespaces" }, a.namespace);
    },
  };
}

/** Only who may delete an object sets its owners; only who may update an owner's finalizers blocks its deletion. */
function ownerReferences(api: Api): AdmissionPlugin {
  return {
    name: "OwnerReferencesPermissionEnforcement",
    operations: ["CREATE", "UPDATE"],
    validate(a) {
      if (!a.object || a.subresource === "status" || (a.info.groupResource === "pods" && a.subresource !== "")) return;
      const before = a.oldObject?.metadata.ownerReferences ?? [];
      const now = a.object.metadata.ownerReferences ?? [];
      if (JSON.stringify(before) === JSON.stringify(now)) return;
      const { group, resource } = a.info;
      if (a.operation === "UPDATE" && !may(api, a, { verb: "delete", group, resource, namespace: a.namespace, name: a.name }))
        throw forbiddenBy(a, "cannot set an ownerRef on a resource you can't delete: ");
      for (const r of now) {
        if (r.blockOwnerDeletion !== true || before.some((b) => b.uid === r.uid && b.blockOwnerDeletion === true)) continue;
        const slash = r.apiVersion.indexOf("/");
        const group = slash < 0 ? "" : r.apiVersion.slice(0, slash);
        const owner = api.catalogue.byKind(group, r.apiVersion.slice(slash + 1), r.kind);
        if (!owner)
          throw forbiddenBy(
            a,
            `cannot set blockOwnerDeletion in this case because cannot find RESTMapping for APIVersion ${r.apiVersion} Kind ${r.kind}`,
          );
        const namespace = owner.info.namespaced ? a.namespace : "";
        const finalizers = { group, resource: owner.info.resource, subresource: "finalizers" };
        if (!may(api, a, { verb: "update", ...finalizers, namespace, name: r.name }))
          throw forbiddenBy(a, "cannot set blockOwnerDeletion if an ownerReference refers to a resource you can't set finalizers on: ");
      }
    },
  };
}
