// Generated from the Kubernetes 1.34 field and resource tables by `npm run generate`; do not edit.
import type * as metav1 from "./meta-v1.ts";

export interface Lease {
  apiVersion?: string;
  kind?: string;
  metadata: metav1.ObjectMeta;
  spec: LeaseSpec;
}

export interface LeaseSpec {
  holderIdentity?: string;
  leaseDurationSeconds?: number;
  acquireTime?: string;
  renewTime?: string;
  leaseTransitions?: number;
  strategy?: string;
  preferredHolder?: string;
}

export interface LeaseList {
  apiVersion?: string;
  kind?: string;
  metadata: metav1.ListMeta;
  items: Lease[];
}
