// The cluster's storage as a user expects it: the CSI driver's registration and a default StorageClass, `standard`.
import { CSI_DRIVER } from "@podwire/bus";
import type { KubeObject } from "@podwire/client";

export const DEFAULT_STORAGE_CLASS = "standard";

export const clusterStorage: readonly KubeObject[] = [
  {
    apiVersion: "storage.k8s.io/v1",
    kind: "CSIDriver",
    metadata: { name: CSI_DRIVER },
    spec: { attachRequired: true, podInfoOnMount: false, fsGroupPolicy: "File", volumeLifecycleModes: ["Persistent", "Ephemeral"] },
  },
  {
    apiVersion: "storage.k8s.io/v1",
    kind: "StorageClass",
    metadata: { name: DEFAULT_STORAGE_CLASS, annotations: { "storageclass.kubernetes.io/is-default-class": "true" } },
    provisioner: CSI_DRIVER,
    reclaimPolicy: "Delete",
    volumeBindingMode: "WaitForFirstConsumer",
    allowVolumeExpansion: true,
  },
];
