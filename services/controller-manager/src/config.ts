// Flags of the controller-manager, by kube-controller-manager's names and defaults, plus Podwire's own for reaching the cluster.
import { readFileSync } from "node:fs";
import { bool, ConfigError, durationMs, type LogLevel, parseDurationMs, readConfig, reasonOf, z } from "@podwire/base";
import { DEFAULT_SETTINGS, type Settings } from "./context.ts";

export interface Config {
  identityFile: string;
  logLevel: LogLevel;
  leaderElect: boolean;
  leaseDurationMs: number;
  renewDeadlineMs: number;
  retryPeriodMs: number;
  /** Names of controllers to run; "*" is all, "-name" takes one out. */
  controllers: readonly string[];
  settings: Settings;
}

const duration = (ms: number) => durationMs.default(ms);
const number = (n: number) => z.coerce.number().default(n);
const levels = z.enum(["trace", "debug", "info", "warn", "error", "fatal", "silent"]);

const shape = {
  "identity-file": z.string(),
  cluster: z.string().optional(),
  "state-dir": z.string().optional(),
  v: levels.default("info"),
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
  "cluster-signing-duration": duration(DEFAULT_SETTINGS.clusterSigningDurationMs),
  "horizontal-pod-autoscaler-sync-period": duration(DEFAULT_SETTINGS.hpaSyncPeriodMs),
  "horizontal-pod-autoscaler-tolerance": number(DEFAULT_SETTINGS.hpaTolerance),
  "horizontal-pod-autoscaler-downscale-stabilization": duration(DEFAULT_SETTINGS.hpaDownscaleStabilizationMs),
  "horizontal-pod-autoscaler-initial-readiness-delay": duration(DEFAULT_SETTINGS.hpaInitialReadinessDelayMs),
  "horizontal-pod-autoscaler-cpu-initialization-period": duration(DEFAULT_SETTINGS.hpaCpuInitializationPeriodMs),
  "pvclaimbinder-sync-period": duration(DEFAULT_SETTINGS.pvClaimBinderSyncPeriodMs),
  "resource-quota-sync-period": duration(DEFAULT_SETTINGS.resourceQuotaSyncPeriodMs),
};

/** Throws ConfigError with every problem. */
export function readControllerManagerConfig(argv: readonly string[], env: Readonly<Record<string, string | undefined>>): Config {
  const f = readConfig("controller-manager", shape, argv, env);
  const file = (flag: string, path: string | undefined): string => {
    if (path === undefined || path === "") return "";
    try {
      return readFileSync(path, "utf8");
    } catch (e) {
      throw new ConfigError("controller-manager", [`--${flag}: ${reasonOf(e)}`]);
    }
  };
  const cidrs = f["cluster-cidr"].split(",").filter((c) => c !== "");
  return {
    identityFile: f["identity-file"],
    logLevel: f.v,
    leaderElect: f["leader-elect"],
    leaseDurationMs: f["leader-elect-lease-duration"],
    renewDeadlineMs: f["leader-elect-renew-deadline"],
    retryPeriodMs: f["leader-elect-retry-period"],
    controllers: f.controllers.split(",").map((x) => x.trim()),
    settings: {
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
      rootCa: file("root-ca-file", f["root-ca-file"]),
      signingCert: file("cluster-signing-cert-file", f["cluster-signing-cert-file"]),
      signingKey: file("cluster-signing-key-file", f["cluster-signing-key-file"]),
      clusterSigningDurationMs: f["cluster-signing-duration"],
      hpaSyncPeriodMs: f["horizontal-pod-autoscaler-sync-period"],
      hpaTolerance: f["horizontal-pod-autoscaler-tolerance"],
      hpaDownscaleStabilizationMs: f["horizontal-pod-autoscaler-downscale-stabilization"],
      hpaInitialReadinessDelayMs: f["horizontal-pod-autoscaler-initial-readiness-delay"],
      hpaCpuInitializationPeriodMs: f["horizontal-pod-autoscaler-cpu-initialization-period"],
      pvClaimBinderSyncPeriodMs: f["pvclaimbinder-sync-period"],
      resourceQuotaSyncPeriodMs: f["resource-quota-sync-period"],
    },
  };
}
