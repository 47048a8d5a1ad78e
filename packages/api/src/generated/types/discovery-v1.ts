// Generated from the Kubernetes 1.34 field and resource tables by `npm run generate`; do not edit.
import type * as corev1 from "./core-v1.ts";
import type * as metav1 from "./meta-v1.ts";

export interface EndpointSlice {
  apiVersion?: string;
  kind?: string;
  metadata: metav1.ObjectMeta;
  addressType: string;
  endpoints: Endpoint[];
  ports?: EndpointPort[];
}

export interface Endpoint {
  addresses: string[];
  conditions?: EndpointConditions;
  hostname?: string;
  targetRef?: corev1.ObjectReference;
  deprecatedTopology?: Record<string, string>;
  nodeName?: string;
  zone?: string;
  hints?: EndpointHints;
}

export interface EndpointConditions {
  ready?: boolean;
  serving?: boolean;
  terminating?: boolean;
}

export interface EndpointHints {
  forZones?: ForZone[];
  forNodes?: ForNode[];
}

export interface ForZone {
  name: string;
}

export interface ForNode {
  name: string;
}

export interface EndpointPort {
  name?: string;
  protocol?: string;
  port?: number;
  appProtocol?: string;
}

export interface EndpointSliceList {
  apiVersion?: string;
  kind?: string;
  metadata: metav1.ListMeta;
  items: EndpointSlice[];
}
