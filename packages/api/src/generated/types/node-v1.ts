// Generated from the Kubernetes 1.34 field and resource tables by `npm run generate`; do not edit.
import type * as corev1 from "./core-v1.ts";
import type * as metav1 from "./meta-v1.ts";

export interface RuntimeClass {
  apiVersion?: string;
  kind?: string;
  metadata: metav1.ObjectMeta;
  handler: string;
  overhead?: Overhead;
  scheduling?: Scheduling;
}

export interface Overhead {
  podFixed?: Record<string, string>;
}

export interface Scheduling {
  nodeSelector?: Record<string, string>;
  tolerations?: corev1.Toleration[];
}

export interface RuntimeClassList {
  apiVersion?: string;
  kind?: string;
  metadata: metav1.ListMeta;
  items: RuntimeClass[];
}
