// Flags of the controller-manager, by kube-controller-manager's names and defaults, plus Podwire's own for reaching the cluster.
import { readFileSync } from "node:fs";
import { bool, ConfigError, durationMs, parseDurationMs, reasonOf, z } from "@podwire/base";
import { DEFAULT_SETTINGS, type Settings } from "./context.ts";

const duration = (ms: number) => durationMs.default(ms);
const number = (n: number) => z.coerce.number().default(n);

export const CONTROLLER_MANAGER_FLAGS = {
  "leader-elect": bool.default(true),
  "leader-elect-lease-duration": duration(parseDurationMs("15s") as number),
  "leader-elect-renew-deadline": duration(parseDurationMs("10s") as number),
  "leader-elect-retry-period": duration(parseDurationMs("2s") as number),
  controllers: z.string().default("*"),
  "node-monitor-period": duration(DEFAULT_SETTINGS.nodeMonitorPeriodMs),
  "node-monitor-grace-period": duration(DEFAULT_SETTINGS.nodeMonitorGracePeriodMs),
  "node-startup-grace-period": duration(DEFAULT_SETTINGS.nodeStartupGracePeriodMs),
  "node-eviction-rate": number(DEFAULT_SETTINGS.nodeEvictionRate),
  "secondary-node-eviction-rate": number(DEFAULT_SETTINGS.secondaryNodeEvictionRate),
  "unhealthy-zone-threshold": number(DEFAULT_SETTINGS.unhealthyZoneThreshold),
  "large-cluster-size-threshold": number(DEFAULT_SETTINGS.largeClusterSizeThreshold),
  "allocate-node-cidrs": bool.default(true),
  "cluster-cidr": z.string().default("10.244.0.0/16"),
  "node-cidr-mask-size": z.coerce.number().int().optional(),
  "node-cidr-mask-size-ipv4": z.coerce.number().int().optional(),
  "node-cidr-mask-size-ipv6": z.coerce.number().int().optional(),
  "terminated-pod-gc-threshold": number(DEFAULT_SETTINGS.terminatedPodGcThreshold),
  "max-endpoints-per-slice": z.coerce.number().int().min(1).max(1000).default(DEFAULT_SETTINGS.maxEndpointsPerSlice),
  "root-ca-file": z.string().optional(),
  "cluster-signing-cert-file": z.string().optional(),
  "cluster-signing-key-file": z.string().optional(),
  "service-account-private-key-file": z.string().optional(),
  "legacy-service-account-token-clean-up-period": duration(DEFAULT_SETTINGS.legacyTokenCleanUpPeriodMs),
  "cluster-signing-duration": duration(DEFAULT_SETTINGS.clusterSigningDurationMs),
  "horizontal-pod-autoscaler-sync-period": duration(DEFAULT_SETTINGS.hpaSyncPeriodMs),
  "horizontal-pod-autoscaler-tolerance": number(DEFAULT_SETTINGS.hpaTolerance),
  "horizontal-pod-autoscaler-downscale-stabilization": duration(DEFAULT_SETTINGS.hpaDownscaleStabilizationMs),
  "horizontal-pod-autoscaler-initial-readiness-delay": duration(DEFAULT_SETTINGS.hpaInitialReadinessDelayMs),
  "horizontal-pod-autoscaler-cpu-initialization-period": duration(DEFAULT_SETTINGS.hpaCpuInitializationPeriodMs),
  "pvclaimbinder-sync-period": duration(DEFAULT_SETTINGS.pvClaimBinderSyncPeriodMs),
  "resource-quota-sync-period": duration(DEFAULT_SETTINGS.resourceQuotaSyncPeriodMs),
};

type Flags = z.infer<z.ZodObject<typeof CONTROLLER_MANAGER_FLAGS>>;

type FileFlag = "root-ca-file" | "cluster-signing-cert-file" | "cluster-signing-key-file" | "service-account-private-key-file";

/** The settings of controllers out of flags; reads the files that flags name. Throws ConfigError with every problem. */
export function settingsOf(f: Flags): Settings {
  const problems: string[] = [];
  const file = (flag: FileFlag): string => {
    const path = f[flag];
    if (path === undefined || path === "") return "";
    try {
      return readFileSync(path, "utf8");
    } catch (e) {
      problems.push(`--${flag}: ${reasonOf(e)}`);
      return "";
    }
  };
  const cidrs = f["cluster-cidr"].split(",").filter((c) => c !== "");
  const settings: Settings = {
    nodeMonitorPeriodMs: f["node-monitor-period"],
    nodeMonitorGracePeriodMs: f["node-monitor-grace-period"],
    nodeStartupGracePeriodMs: f["node-startup-grace-period"],
    nodeEvictionRate: f["node-eviction-rate"],
    secondaryNodeEvictionRate: f["secondary-node-eviction-rate"],
    unhealthyZoneThreshold: f["unhealthy-zone-threshold"],
    largeClusterSizeThreshold: f["large-cluster-size-threshold"],
    clusterCidrs: f["allocate-node-cidrs"] ? cidrs : [],
    nodeCidrMaskSizeIpv4: f["node-cidr-mask-size-ipv4"] ?? f["node-cidr-mask-size"] ?? DEFAULT_SETTINGS.nodeCidrMaskSizeIpv4,
    nodeCidrMaskSizeIpv6: f["node-cidr-mask-size-ipv6"] ?? DEFAULT_SETTINGS.nodeCidrMaskSizeIpv6,
    terminatedPodGcThreshold: f["terminated-pod-gc-threshold"],
    maxEndpointsPerSlice: f["max-endpoints-per-slice"],
    rootCa: file("root-ca-file"),
    signingCert: file("cluster-signing-cert-file"),
    signingKey: file("cluster-signing-key-file"),
    clusterSigningDurationMs: f["cluster-signing-duration"],
    serviceAccountKey: file("service-account-private-key-file"),
    legacyTokenCleanUpPeriodMs: f["legacy-service-account-token-clean-up-period"],
    hpaSyncPeriodMs: f["horizontal-pod-autoscaler-sync-period"],
    hpaTolerance: f["horizontal-pod-autoscaler-tolerance"],
    hpaDownscaleStabilizationMs: f["horizontal-pod-autoscaler-downscale-stabilization"],
    hpaInitialReadinessDelayMs: f["horizontal-pod-autoscaler-initial-readiness-delay"],
    hpaCpuInitializationPeriodMs: f["horizontal-pod-autoscaler-cpu-initialization-period"],
    pvClaimBinderSyncPeriodMs: f["pvclaimbinder-sync-period"],
    resourceQuotaSyncPeriodMs: f["resource-quota-sync-period"],
  };
  if (problems.length > 0) throw new ConfigError("controller-manager", problems);
  return settings;
}
