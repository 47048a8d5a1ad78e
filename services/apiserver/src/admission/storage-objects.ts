// StorageObjectInUseProtection, DefaultStorageClass and PersistentVolumeClaimResize (plugin/pkg/admission/storage).
import { type KubeObject, parseQuantity } from "@podwire/api";
import type { Api } from "../call.ts";
import type { AdmissionPlugin, Attributes } from "./chain.ts";
import { forbiddenBy } from "./forbidden.ts";

const FINALIZERS: Readonly<Record<string, string>> = {
  persistentvolumes: "kubernetes.io/pv-protection",
  persistentvolumeclaims: "kubernetes.io/pvc-protection",
  "volumeattributesclasses.storage.k8s.io": "kubernetes.io/vac-protection",
};
const DEFAULT_CLASS = ["storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class"];

export function storageObjectInUseProtection(): AdmissionPlugin {
  return {
    name: "StorageObjectInUseProtection",
    operations: ["CREATE"],
    admit(a) {
      const finalizer = a.subresource === "" && a.object ? FINALIZERS[a.info.groupResource] : undefined;
      if (!finalizer) return;
      const m = (a.object as KubeObject).metadata;
      if (!m.finalizers?.includes(finalizer)) m.finalizers = [...(m.finalizers ?? []), finalizer];
    },
  };
}

export function defaultStorageClass(api: Api): AdmissionPlugin {
  return {
    name: "DefaultStorageClass",
    operations: ["CREATE"],
    admit(a) {
      if (a.info.groupResource !== "persistentvolumeclaims" || a.subresource !== "" || !a.object) return;
      const spec = (a.object["spec"] ??= {});
      if (spec.storageClassName !== undefined || a.object.metadata.annotations?.["volume.beta.kubernetes.io/storage-class"] !== undefined)
        return;
      const classes = [...api.cache.of("storage.k8s.io", "storageclasses").values()]
        .map((c) => c.object)
        .filter((c) => DEFAULT_CLASS.some((k) => c.metadata.annotations?.[k] === "true"));
      // The newest default wins, and among equals the first by name.
      classes.sort(
        (x, y) =>
          Date.parse(y.metadata.creationTimestamp ?? "") - Date.parse(x.metadata.creationTimestamp ?? "") ||
          ((x.metadata.name ?? "") < (y.metadata.name ?? "") ? -1 : 1),
      );
      if (classes[0]) spec.storageClassName = classes[0].metadata.name;
    },
  };
}

export function claimResize(api: Api): AdmissionPlugin {
  return {
    name: "PersistentVolumeClaimResize",
    operations: ["UPDATE"],
    validate(a) {
      if (a.info.groupResource !== "persistentvolumeclaims" || a.subresource !== "" || !a.object || !a.oldObject) return;
      const size = (o: KubeObject) => o["spec"]?.resources?.requests?.storage;
      const before = size(a.oldObject);
      const now = size(a.object);
      if (before === undefined || now === undefined || parseQuantity(now).cmp(parseQuantity(before)) <= 0) return;
      if (a.oldObject["status"]?.phase !== "Bound") throw forbiddenBy(a, "Only bound persistent volume claims can be expanded");
      if (!expandable(api, a))
        throw forbiddenBy(
          a,
          "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize",
        );
    },
  };
}

function expandable(api: Api, a: Attributes): boolean {
  const name = a.object?.["spec"]?.storageClassName;
  return !!name && api.cache.of("storage.k8s.io", "storageclasses").get("", name)?.object["allowVolumeExpansion"] === true;
}
