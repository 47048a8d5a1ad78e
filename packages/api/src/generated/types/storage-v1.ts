// Generated from the Kubernetes 1.34 field and resource tables by `npm run generate`; do not edit.
import type * as corev1 from "./core-v1.ts";
import type * as metav1 from "./meta-v1.ts";

export interface StorageClass {
  apiVersion?: string;
  kind?: string;
  metadata: metav1.ObjectMeta;
  provisioner: string;
  parameters?: Record<string, string>;
  reclaimPolicy?: string;
  mountOptions?: string[];
  allowVolumeExpansion?: boolean;
  volumeBindingMode?: string;
  allowedTopologies?: corev1.TopologySelectorTerm[];
}

export interface StorageClassList {
  apiVersion?: string;
  kind?: string;
  metadata: metav1.ListMeta;
  items: StorageClass[];
}

export interface VolumeAttachment {
  apiVersion?: string;
  kind?: string;
  metadata: metav1.ObjectMeta;
  spec: VolumeAttachmentSpec;
  status?: VolumeAttachmentStatus;
}

export interface VolumeAttachmentList {
  apiVersion?: string;
  kind?: string;
  metadata: metav1.ListMeta;
  items: VolumeAttachment[];
}

export interface VolumeAttachmentSpec {
  attacher: string;
  source: VolumeAttachmentSource;
  nodeName: string;
}

export interface VolumeAttachmentSource {
  persistentVolumeName?: string;
  inlineVolumeSpec?: corev1.PersistentVolumeSpec;
}

export interface VolumeAttachmentStatus {
  attached: boolean;
  attachmentMetadata?: Record<string, string>;
  attachError?: VolumeError;
  detachError?: VolumeError;
}

export interface VolumeError {
  time?: string;
  message?: string;
  errorCode?: number;
}

export interface CSIDriver {
  apiVersion?: string;
  kind?: string;
  metadata: metav1.ObjectMeta;
  spec: CSIDriverSpec;
}

export interface CSIDriverList {
  apiVersion?: string;
  kind?: string;
  metadata: metav1.ListMeta;
  items: CSIDriver[];
}

export interface CSIDriverSpec {
  attachRequired?: boolean;
  podInfoOnMount?: boolean;
  volumeLifecycleModes?: string[];
  storageCapacity?: boolean;
  fsGroupPolicy?: string;
  tokenRequests?: TokenRequest[];
  requiresRepublish?: boolean;
  seLinuxMount?: boolean;
  nodeAllocatableUpdatePeriodSeconds?: number;
}

export interface TokenRequest {
  audience: string;
  expirationSeconds?: number;
}

export interface CSINode {
  apiVersion?: string;
  kind?: string;
  metadata: metav1.ObjectMeta;
  spec: CSINodeSpec;
}

export interface CSINodeSpec {
  drivers: CSINodeDriver[];
}

export interface CSINodeDriver {
  name: string;
  nodeID: string;
  topologyKeys?: string[];
  allocatable?: VolumeNodeResources;
}

export interface VolumeNodeResources {
  count?: number;
}

export interface CSINodeList {
  apiVersion?: string;
  kind?: string;
  metadata: metav1.ListMeta;
  items: CSINode[];
}

export interface CSIStorageCapacity {
  apiVersion?: string;
  kind?: string;
  metadata: metav1.ObjectMeta;
  nodeTopology?: metav1.LabelSelector;
  storageClassName: string;
  capacity?: string;
  maximumVolumeSize?: string;
}

export interface CSIStorageCapacityList {
  apiVersion?: string;
  kind?: string;
  metadata: metav1.ListMeta;
  items: CSIStorageCapacity[];
}

export interface VolumeAttributesClass {
  apiVersion?: string;
  kind?: string;
  metadata: metav1.ObjectMeta;
  driverName: string;
  parameters?: Record<string, string>;
}

export interface VolumeAttributesClassList {
  apiVersion?: string;
  kind?: string;
  metadata: metav1.ListMeta;
  items: VolumeAttributesClass[];
}
