// Flags of the scheduler, by kube-scheduler's names and defaults.
import { bool, durationMs, parseDurationMs, z } from "@podwire/base";

const duration = (text: string) => durationMs.default(parseDurationMs(text) as number);

export const SCHEDULER_FLAGS = {
  "leader-elect": bool.default(true),
  "leader-elect-lease-duration": duration("15s"),
  "leader-elect-renew-deadline": duration("10s"),
  "leader-elect-retry-period": duration("2s"),
  "leader-elect-resource-name": z.string().default("kube-scheduler"),
  "leader-elect-resource-namespace": z.string().default("kube-system"),
  /** Pods with this spec.schedulerName are this scheduler's. */
  "scheduler-name": z.string().default("default-scheduler"),
  "percentage-of-nodes-to-score": z.coerce.number().int().min(0).max(100).default(0),
  "pod-initial-backoff": duration("1s"),
  "pod-max-backoff": duration("10s"),
};
