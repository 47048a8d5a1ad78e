// Generated from the Kubernetes 1.34 field and resource tables by `npm run generate`; do not edit.
import type * as metav1 from "./meta-v1.ts";

export interface PriorityClass {
  apiVersion?: string;
  kind?: string;
  metadata: metav1.ObjectMeta;
  value: number;
  globalDefault?: boolean;
  description?: string;
  preemptionPolicy?: string;
}

export interface PriorityClassList {
  apiVersion?: string;
  kind?: string;
  metadata: metav1.ListMeta;
  items: PriorityClass[];
}
