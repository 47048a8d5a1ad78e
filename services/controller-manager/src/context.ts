// What every controller of this process is given. Nothing here is global, so one test process can hold several.
import type { Clock, Logger, Random } from "@podwire/base";
import { type ApiClient, type EventRecorder, eventRecorder, type InformerSet } from "@podwire/client";

export interface Settings {
  nodeMonitorPeriodMs: number;
  nodeMonitorGracePeriodMs: number;
  nodeStartupGracePeriodMs: number;
  nodeEvictionRate: number;
  secondaryNodeEvictionRate: number;
  unhealthyZoneThreshold: number;
  largeClusterSizeThreshold: number;
  clusterCidrs: readonly string[];
  nodeCidrMaskSizeIpv4: number;
  nodeCidrMaskSizeIpv6: number;
  terminatedPodGcThreshold: number;
  maxEndpointsPerSlice: number;
  /** PEM of the cluster's CA, published as ConfigMap kube-root-ca.crt; "" publishes nothing. */
  rootCa: string;
  /** PEM files of the CA that signs CertificateSigningRequests; "" signs nothing. */
  signingCert: string;
  signingKey: string;
  clusterSigningDurationMs: number;
  /** PEM of the key that signs tokens of Secrets of type kubernetes.io/service-account-token; "" fills none. */
  serviceAccountKey: string;
  legacyTokenCleanUpPeriodMs: number;
  hpaSyncPeriodMs: number;
  hpaTolerance: number;
  hpaDownscaleStabilizationMs: number;
  hpaInitialReadinessDelayMs: number;
  hpaCpuInitializationPeriodMs: number;
  pvClaimBinderSyncPeriodMs: number;
  resourceQuotaSyncPeriodMs: number;
}

/** kube-controller-manager 1.34's defaults. */
export const DEFAULT_SETTINGS: Settings = {
  nodeMonitorPeriodMs: 5_000,
  nodeMonitorGracePeriodMs: 50_000,
  nodeStartupGracePeriodMs: 60_000,
  nodeEvictionRate: 0.1,
  secondaryNodeEvictionRate: 0.01,
  unhealthyZoneThreshold: 0.55,
  largeClusterSizeThreshold: 50,
  clusterCidrs: ["10.244.0.0/16"],
  nodeCidrMaskSizeIpv4: 24,
  nodeCidrMaskSizeIpv6: 64,
  terminatedPodGcThreshold: 12_500,
  maxEndpointsPerSlice: 100,
  rootCa: "",
  signingCert: "",
  signingKey: "",
  clusterSigningDurationMs: 365 * 86_400_000,
  serviceAccountKey: "",
  legacyTokenCleanUpPeriodMs: 365 * 86_400_000,
  hpaSyncPeriodMs: 15_000,
  hpaTolerance: 0.1,
  hpaDownscaleStabilizationMs: 300_000,
  hpaInitialReadinessDelayMs: 30_000,
  hpaCpuInitializationPeriodMs: 300_000,
  pvClaimBinderSyncPeriodMs: 15_000,
  resourceQuotaSyncPeriodMs: 300_000,
};

export interface ControllerContext {
  client: ApiClient;
  informers: InformerSet;
  clock: Clock;
  random: Random;
  log: Logger;
  settings: Settings;
  /** The recorder of a component; the same one for the same name. */
  recorder(component: string): EventRecorder;
}

/** A running controller. */
export interface RunningController {
  /** Begins when its caches are filled. */
  start(): Promise<void>;
  stop(): Promise<void>;
  counters(): Readonly<Record<string, number>>;
}

export type StartController = (c: ControllerContext) => RunningController;

/** A context whose recorders are made once a component. */
export function controllerContext(o: Omit<ControllerContext, "recorder">): ControllerContext {
  const recorders = new Map<string, EventRecorder>();
  return {
    ...o,
    recorder(component) {
      let r = recorders.get(component);
      if (!r) recorders.set(component, (r = eventRecorder({ client: o.client, clock: o.clock, random: o.random, log: o.log, component })));
      return r;
    },
  };
}
