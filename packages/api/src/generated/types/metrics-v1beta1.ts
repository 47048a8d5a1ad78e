// Generated from the Kubernetes 1.34 field and resource tables by `npm run generate`; do not edit.
import type * as metav1 from "./meta-v1.ts";

export interface NodeMetrics {
  apiVersion?: string;
  kind?: string;
  metadata: metav1.ObjectMeta;
  timestamp: string;
  window: string;
  usage: Record<string, string>;
}

export interface NodeMetricsList {
  apiVersion?: string;
  kind?: string;
  metadata: metav1.ListMeta;
  items: NodeMetrics[];
}

export interface PodMetrics {
  apiVersion?: string;
  kind?: string;
  metadata: metav1.ObjectMeta;
  timestamp: string;
  window: string;
  containers: ContainerMetrics[];
}

export interface PodMetricsList {
  apiVersion?: string;
  kind?: string;
  metadata: metav1.ListMeta;
  items: PodMetrics[];
}

export interface ContainerMetrics {
  name: string;
  usage: Record<string, string>;
}
