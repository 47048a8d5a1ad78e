// Flags of the scheduler, by kube-scheduler's names and defaults, and the file of --config. What the file says goes before the flags.
import { readFileSync } from "node:fs";
import { parseYaml } from "@podwire/api";
import { bool, ConfigError, durationMs, parseDurationMs, reasonOf, z } from "@podwire/base";
import { CONFIGURATION, type ProfileConfiguration, plain, profileConfiguration } from "./plugin-arguments.ts";

const duration = (text: string) => durationMs.default(parseDurationMs(text) as number);

export const SCHEDULER_FLAGS = {
  /** A KubeSchedulerConfiguration. */
  config: z.string().optional(),
  "leader-elect": bool.default(true),
  "leader-elect-lease-duration": duration("15s"),
  "leader-elect-renew-deadline": duration("10s"),
  "leader-elect-retry-period": duration("2s"),
  "leader-elect-resource-name": z.string().default("kube-scheduler"),
  "leader-elect-resource-namespace": z.string().default("kube-system"),
  /** Pods with this spec.schedulerName are this scheduler's; --config names its own. */
  "scheduler-name": z.string().default("default-scheduler"),
  "percentage-of-nodes-to-score": z.coerce.number().int().min(0).max(100).default(0),
  "pod-initial-backoff": duration("1s"),
  "pod-max-backoff": duration("10s"),
};

type Flags = z.infer<z.ZodObject<typeof SCHEDULER_FLAGS>>;

export interface SchedulerSettings {
  leaderElect: boolean;
  leaseDurationMs: number;
  renewDeadlineMs: number;
  retryPeriodMs: number;
  resourceName: string;
  resourceNamespace: string;
  podInitialBackoffMs: number;
  podMaxBackoffMs: number;
  profiles: readonly ProfileConfiguration[];
}

/** Reads the file that --config names. Throws ConfigError with every problem. */
export function settingsOf(f: Flags): SchedulerSettings {
  const settings: SchedulerSettings = {
    leaderElect: f["leader-elect"],
    leaseDurationMs: f["leader-elect-lease-duration"],
    renewDeadlineMs: f["leader-elect-renew-deadline"],
    retryPeriodMs: f["leader-elect-retry-period"],
    resourceName: f["leader-elect-resource-name"],
    resourceNamespace: f["leader-elect-resource-namespace"],
    podInitialBackoffMs: f["pod-initial-backoff"],
    podMaxBackoffMs: f["pod-max-backoff"],
    profiles: [plain(f["scheduler-name"], f["percentage-of-nodes-to-score"])],
  };
  if (f.config === undefined || f.config === "") return settings;
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(f.config);
  } catch (e) {
    throw new ConfigError("scheduler", [`--config: ${reasonOf(e)}`]);
  }
  return withFile(settings, bytes, f["percentage-of-nodes-to-score"]);
}

export function withFile(s: SchedulerSettings, bytes: Uint8Array, percentage = 0): SchedulerSettings {
  let value: unknown;
  try {
    const yaml = parseYaml(bytes);
    if (yaml.duplicates.length > 0)
      throw new ConfigError(
        "scheduler",
        yaml.duplicates.map((d) => `--config: ${d}`),
      );
    value = yaml.value;
  } catch (e) {
    if (e instanceof ConfigError) throw e;
    throw new ConfigError("scheduler", [`--config: ${reasonOf(e)}`]);
  }
  const parsed = CONFIGURATION.safeParse(value);
  if (!parsed.success)
    throw new ConfigError(
      "scheduler",
      parsed.error.issues.map((i) => `--config: ${i.path.join(".")}: ${i.message}`),
    );
  const file = parsed.data;
  const problems: string[] = [];
  const share = file.percentageOfNodesToScore ?? percentage;
  const profiles = (file.profiles ?? []).map((p, i) => profileConfiguration(p, share, `profiles[${i}]`, problems));
  const names = profiles.map((p) => p.schedulerName);
  for (const [i, name] of names.entries())
    if (names.indexOf(name) !== i) problems.push(`profiles[${i}].schedulerName: Duplicate value: "${name}"`);
  const initial = file.podInitialBackoffSeconds === undefined ? s.podInitialBackoffMs : file.podInitialBackoffSeconds * 1000;
  const max = file.podMaxBackoffSeconds === undefined ? s.podMaxBackoffMs : file.podMaxBackoffSeconds * 1000;
  if (max < initial) problems.push("podMaxBackoffSeconds: must be greater than or equal to PodInitialBackoffSeconds");
  if (problems.length > 0)
    throw new ConfigError(
      "scheduler",
      problems.map((p) => `--config: ${p}`),
    );
  const e = file.leaderElection;
  return {
    leaderElect: e.leaderElect ?? s.leaderElect,
    leaseDurationMs: e.leaseDuration ?? s.leaseDurationMs,
    renewDeadlineMs: e.renewDeadline ?? s.renewDeadlineMs,
    retryPeriodMs: e.retryPeriod ?? s.retryPeriodMs,
    resourceName: e.resourceName ?? s.resourceName,
    resourceNamespace: e.resourceNamespace ?? s.resourceNamespace,
    podInitialBackoffMs: initial,
    podMaxBackoffMs: max,
    profiles: profiles.length > 0 ? profiles : s.profiles.map((p) => ({ ...p, percentageOfNodesToScore: share })),
  };
}
