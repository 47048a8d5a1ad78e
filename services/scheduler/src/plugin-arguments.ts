// The profiles of a KubeSchedulerConfiguration (kubescheduler.config.k8s.io/v1) as the plugins take them: checked, with defaults.
// Invariant: nothing that the file says is passed over in silence; an unknown field or kind of arguments is a problem.
import { parseDurationMs, z } from "@podwire/base";
import type { InterPodAffinityArgs } from "./plugins/inter-pod-affinity.ts";
import type { NodeResourcesFitArgs } from "./plugins/node-resources-fit.ts";
import type { PodTopologySpreadArgs } from "./plugins/pod-topology-spread.ts";
import type { WeightedResource } from "./plugins/resource-allocation.ts";

export interface PluginSet {
  enabled: { name: string; weight?: number | undefined }[];
  disabled: { name: string }[];
}

export interface PluginArguments {
  NodeResourcesFit?: NodeResourcesFitArgs;
  NodeResourcesBalancedAllocation?: { resources: readonly WeightedResource[] };
  InterPodAffinity?: InterPodAffinityArgs;
  PodTopologySpread?: PodTopologySpreadArgs;
  NodeAffinity?: { addedAffinity?: unknown };
  VolumeBinding?: { bindTimeoutMs: number };
  DefaultPreemption?: { minCandidates: number; minCandidatesPercent: number };
  /** Of plugins that are not kube-scheduler's, as they stand. */
  other: Record<string, unknown>;
}

export interface ProfileConfiguration {
  schedulerName: string;
  percentageOfNodesToScore: number;
  plugins: Record<string, PluginSet>;
  arguments: PluginArguments;
}

/** A profile of which nothing is said but its name. */
export const plain = (schedulerName: string, percentageOfNodesToScore: number): ProfileConfiguration => ({
  schedulerName,
  percentageOfNodesToScore,
  plugins: {},
  arguments: { other: {} },
});

const API = "kubescheduler.config.k8s.io/v1";
const args = <S extends z.ZodRawShape>(kind: string, shape: S) =>
  z.strictObject({ apiVersion: z.literal(API).optional(), kind: z.literal(kind).optional(), ...shape });

const weighted = z.strictObject({ name: z.string().min(1), weight: z.int().min(1).max(100).default(1) });
const resources = z.array(weighted).min(1);
const shape = z
  .array(z.strictObject({ utilization: z.int().min(0).max(100), score: z.int().min(0).max(10) }))
  .min(1, "at least one point must be specified")
  .refine(
    (s) => s.every((p, i) => i === 0 || p.utilization > (s[i - 1]?.utilization ?? 0)),
    "utilization values must be sorted in increasing order",
  );

const duration = z.union([z.number().int().min(0), z.string()]).transform((v, c) => {
  const ms = typeof v === "number" ? v * 1000 : parseDurationMs(v);
  if (ms === undefined) c.addIssue({ code: "custom", message: `${JSON.stringify(v)} is not a duration` });
  return ms ?? 0;
});

/** By plugin: how its arguments are read. */
const SCHEMAS = {
  NodeResourcesFit: args("NodeResourcesFitArgs", {
    ignoredResources: z.array(z.string()).optional(),
    ignoredResourceGroups: z.array(z.string().refine((g) => !g.includes("/"), "resource group name can't contain '/'")).optional(),
    scoringStrategy: z
      .strictObject({
        type: z.enum(["LeastAllocated", "MostAllocated", "RequestedToCapacityRatio"]).default("LeastAllocated"),
        resources: resources.optional(),
        requestedToCapacityRatio: z.strictObject({ shape }).optional(),
      })
      .refine((s) => s.type !== "RequestedToCapacityRatio" || s.requestedToCapacityRatio, "requestedToCapacityRatio.shape is required")
      .optional(),
  }),
  NodeResourcesBalancedAllocation: args("NodeResourcesBalancedAllocationArgs", { resources: resources.optional() }),
  InterPodAffinity: args("InterPodAffinityArgs", {
    hardPodAffinityWeight: z.int().min(0).max(100).optional(),
    ignorePreferredTermsOfExistingPods: z.boolean().optional(),
  }),
  PodTopologySpread: args("PodTopologySpreadArgs", {
    defaultConstraints: z
      .array(
        z.strictObject({
          maxSkew: z.int().min(1),
          topologyKey: z.string().min(1),
          whenUnsatisfiable: z.enum(["DoNotSchedule", "ScheduleAnyway"]),
        }),
      )
      .optional(),
    defaultingType: z.enum(["System", "List"]).default("System"),
  }).refine(
    (a) => a.defaultingType === "List" || !a.defaultConstraints?.length,
    "when .defaultingType is System, defaultConstraints must be empty",
  ),
  NodeAffinity: args("NodeAffinityArgs", { addedAffinity: z.looseObject({}).optional() }),
  VolumeBinding: args("VolumeBindingArgs", { bindTimeoutSeconds: z.int().min(0).default(600) }),
  DynamicResources: args("DynamicResourcesArgs", { filterTimeout: duration.optional() }),
  DefaultPreemption: args("DefaultPreemptionArgs", {
    minCandidateNodesPercentage: z.int().min(0).max(100).default(10),
    minCandidateNodesAbsolute: z.int().min(0).default(100),
  }),
};

const pluginSet = z
  .strictObject({
    enabled: z.array(z.strictObject({ name: z.string().min(1), weight: z.int().min(0).optional() })).default([]),
    disabled: z.array(z.strictObject({ name: z.string().min(1), weight: z.int().optional() })).default([]),
  })
  .prefault({});

const POINTS = [
  "preEnqueue",
  "queueSort",
  "preFilter",
  "filter",
  "postFilter",
  "preScore",
  "score",
  "reserve",
  "permit",
  "preBind",
  "bind",
  "postBind",
  "multiPoint",
] as const;

const profile = z.strictObject({
  schedulerName: z.string().min(1).default("default-scheduler"),
  percentageOfNodesToScore: z.int().min(0).max(100).optional(),
  plugins: z
    .strictObject(
      Object.fromEntries(POINTS.map((p) => [p, pluginSet.optional()])) as Record<(typeof POINTS)[number], z.ZodOptional<typeof pluginSet>>,
    )
    .prefault({}),
  pluginConfig: z.array(z.strictObject({ name: z.string().min(1), args: z.unknown() })).default([]),
});

/** The whole file. What this scheduler has no use for is refused unless it says what is so anyway. */
export const CONFIGURATION = z.strictObject({
  apiVersion: z.literal(API),
  kind: z.literal("KubeSchedulerConfiguration"),
  parallelism: z.int().min(1).optional(),
  leaderElection: z
    .strictObject({
      leaderElect: z.boolean().optional(),
      leaseDuration: duration.optional(),
      renewDeadline: duration.optional(),
      retryPeriod: duration.optional(),
      resourceLock: z.literal("leases").optional(),
      resourceName: z.string().optional(),
      resourceNamespace: z.string().optional(),
    })
    .prefault({}),
  clientConnection: z
    .strictObject({
      kubeconfig: z.literal("", "give --kubeconfig instead").optional(),
      acceptContentTypes: z.string().optional(),
      contentType: z.string().optional(),
      qps: z.number().optional(),
      burst: z.int().optional(),
    })
    .optional(),
  enableProfiling: z.boolean().optional(),
  enableContentionProfiling: z.boolean().optional(),
  percentageOfNodesToScore: z.int().min(0).max(100).optional(),
  podInitialBackoffSeconds: z.int().min(1).optional(),
  podMaxBackoffSeconds: z.int().min(1).optional(),
  profiles: z.array(profile).min(1).optional(),
  extenders: z.array(z.unknown()).max(0, "extenders are not supported").optional(),
  delayCacheUntilActive: z.boolean().optional(),
});

type RawProfile = z.infer<typeof profile>;

/** A profile of the file with the arguments read; `problems` gets what is wrong with them. */
export function profileConfiguration(raw: RawProfile, percentage: number, path: string, problems: string[]): ProfileConfiguration {
  const out: ProfileConfiguration = {
    schedulerName: raw.schedulerName,
    percentageOfNodesToScore: raw.percentageOfNodesToScore ?? percentage,
    plugins: Object.fromEntries(Object.entries(raw.plugins).filter((e): e is [string, PluginSet] => e[1] !== undefined)),
    arguments: { other: {} },
  };
  const seen = new Set<string>();
  for (const [i, { name, args: given }] of raw.pluginConfig.entries()) {
    const where = `${path}.pluginConfig[${i}]`;
    if (seen.has(name)) problems.push(`${where}: repeated config for plugin ${name}`);
    seen.add(name);
    const schema = SCHEMAS[name as keyof typeof SCHEMAS];
    if (!schema) {
      out.arguments.other[name] = given;
      continue;
    }
    const parsed = schema.safeParse(given ?? {});
    if (parsed.success) read(out.arguments, name as keyof typeof SCHEMAS, parsed.data);
    else for (const issue of parsed.error.issues) problems.push(`${[where, "args", ...issue.path].join(".")}: ${issue.message}`);
  }
  return out;
}

function read(into: PluginArguments, name: keyof typeof SCHEMAS, a: any): void {
  switch (name) {
    case "NodeResourcesFit": {
      const s = a.scoringStrategy;
      const strategy =
        s?.type === "RequestedToCapacityRatio"
          ? { type: s.type, shape: s.requestedToCapacityRatio.shape }
          : { type: s?.type ?? "LeastAllocated" };
      into.NodeResourcesFit = {
        strategy,
        ...(s?.resources ? { resources: s.resources } : {}),
        ignoredResources: a.ignoredResources ?? [],
        ignoredResourceGroups: a.ignoredResourceGroups ?? [],
      };
      return;
    }
    case "NodeResourcesBalancedAllocation":
      if (a.resources) into.NodeResourcesBalancedAllocation = { resources: a.resources };
      return;
    case "InterPodAffinity":
      into.InterPodAffinity = a;
      return;
    case "PodTopologySpread":
      if (a.defaultingType === "List") into.PodTopologySpread = { defaultConstraints: a.defaultConstraints ?? [] };
      return;
    case "NodeAffinity":
      into.NodeAffinity = a;
      return;
    case "VolumeBinding":
      into.VolumeBinding = { bindTimeoutMs: a.bindTimeoutSeconds * 1000 };
      return;
    case "DefaultPreemption":
      into.DefaultPreemption = { minCandidates: a.minCandidateNodesAbsolute, minCandidatesPercent: a.minCandidateNodesPercentage };
  }
}
