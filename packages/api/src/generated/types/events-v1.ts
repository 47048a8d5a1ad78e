// Generated from the Kubernetes 1.34 field and resource tables by `npm run generate`; do not edit.
import type * as corev1 from "./core-v1.ts";
import type * as metav1 from "./meta-v1.ts";

export interface Event {
  apiVersion?: string;
  kind?: string;
  metadata: metav1.ObjectMeta;
  eventTime: string;
  series?: EventSeries;
  reportingController?: string;
  reportingInstance?: string;
  action?: string;
  reason?: string;
  regarding?: corev1.ObjectReference;
  related?: corev1.ObjectReference;
  note?: string;
  type?: string;
  deprecatedSource?: corev1.EventSource;
  deprecatedFirstTimestamp?: string;
  deprecatedLastTimestamp?: string;
  deprecatedCount?: number;
}

export interface EventSeries {
  count: number;
  lastObservedTime: string;
}

export interface EventList {
  apiVersion?: string;
  kind?: string;
  metadata: metav1.ListMeta;
  items: Event[];
}
