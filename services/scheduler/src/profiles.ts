// Which plugins run for which scheduler name: kube-scheduler's defaults, in its order and with its weights, changed as a
// KubeSchedulerConfiguration says. Each profile has plugins of its own, made with its arguments; what they hold of the cluster is shared.
// Invariant: a plugin takes part in an extension point only if it has it and is enabled there.
import { PodwireError } from "@podwire/base";
import { EXTENSION_POINTS, type ExtensionPoint, type Plugin } from "./framework/plugin.ts";
import type { Profile } from "./framework/schedule.ts";
import { type PluginArguments, type PluginSet, type ProfileConfiguration, plain } from "./plugin-arguments.ts";
import { balancedAllocation } from "./plugins/balanced-allocation.ts";
import { type ClaimSources, dynamicResources } from "./plugins/dynamic-resources.ts";
import { imageLocality } from "./plugins/image-locality.ts";
import { interPodAffinity } from "./plugins/inter-pod-affinity.ts";
import { nodeAffinity } from "./plugins/node-affinity.ts";
import { nodeName } from "./plugins/node-name.ts";
import { nodePorts } from "./plugins/node-ports.ts";
import { nodeResourcesFit } from "./plugins/node-resources-fit.ts";
import { nodeUnschedulable } from "./plugins/node-unschedulable.ts";
import { type LimitSources, nodeVolumeLimits } from "./plugins/node-volume-limits.ts";
import { type DefaultSelector, podTopologySpread } from "./plugins/pod-topology-spread.ts";
import { taintToleration } from "./plugins/taint-toleration.ts";
import { volumeBinding } from "./plugins/volume-binding.ts";
import { volumeRestrictions } from "./plugins/volume-restrictions.ts";
import { volumeZone } from "./plugins/volume-zone.ts";
import { PREEMPTION_DEFAULTS } from "./preemption.ts";

export const DEFAULT_SCHEDULER = "default-scheduler";

/** A profile names what there is not, or the same thing twice. */
export class ProfileError extends PodwireError {}

/** What plugins know of the cluster beside the snapshot. */
export interface PluginSources {
  defaultSelector: DefaultSelector;
  /** Undefined: without the plugins that know about storage. */
  volumes: LimitSources | undefined;
  /** Undefined: without the plugin that knows about devices. */
  claims?: ClaimSources;
}

type Factory = (s: PluginSources, args: PluginArguments) => Plugin;

const nothing = (name: string): Factory => {
  return () => ({ name });
};
const withVolumes =
  (name: string, make: (s: LimitSources, args: PluginArguments) => Plugin): Factory =>
  (s, args) =>
    s.volumes ? make(s.volumes, args) : { name };

/** In kube-scheduler's order. Those that are no plugin here are part of the queue and of binding, and can be named all the same. */
const REGISTRY: readonly [name: string, make: Factory, weight?: number][] = [
  ["SchedulingGates", nothing("SchedulingGates")],
  ["PrioritySort", nothing("PrioritySort")],
  ["NodeUnschedulable", () => nodeUnschedulable],
  ["NodeName", () => nodeName],
  ["TaintToleration", () => taintToleration, 3],
  ["NodeAffinity", (_, a) => nodeAffinity(a.NodeAffinity?.addedAffinity), 2],
  ["NodePorts", () => nodePorts],
  ["NodeResourcesFit", (_, a) => nodeResourcesFit(a.NodeResourcesFit), 1],
  ["VolumeRestrictions", withVolumes("VolumeRestrictions", (v) => volumeRestrictions(v))],
  ["NodeVolumeLimits", withVolumes("NodeVolumeLimits", (v) => nodeVolumeLimits(v))],
  ["VolumeBinding", withVolumes("VolumeBinding", (v, a) => volumeBinding(v, a.VolumeBinding?.bindTimeoutMs))],
  ["VolumeZone", withVolumes("VolumeZone", (v) => volumeZone(v))],
  ["PodTopologySpread", (s, a) => podTopologySpread(s.defaultSelector, a.PodTopologySpread), 2],
  ["InterPodAffinity", (_, a) => interPodAffinity(a.InterPodAffinity), 2],
  ["DynamicResources", (s) => (s.claims ? dynamicResources(s.claims) : { name: "DynamicResources" })],
  ["DefaultPreemption", nothing("DefaultPreemption")],
  ["NodeResourcesBalancedAllocation", (_, a) => balancedAllocation(a.NodeResourcesBalancedAllocation?.resources), 1],
  ["ImageLocality", () => imageLocality, 1],
  ["DefaultBinder", nothing("DefaultBinder")],
];

/** Plugins that cannot be left out: nothing else sorts the queue or binds. */
const INDISPENSABLE = new Set(["PrioritySort", "DefaultBinder"]);

export interface ProfileOptions {
  sources: PluginSources;
  /** Plugins beyond kube-scheduler's, by name; on when a profile enables them. */
  more?: Readonly<Record<string, (args: unknown) => Plugin>>;
}

/** Makes a profile. Throws ProfileError. */
export function profileOf(c: ProfileConfiguration, o: ProfileOptions): Profile {
  const known = new Map(REGISTRY.map(([name, make, weight]) => [name, { make, weight }]));
  const isKnown = (name: string) => known.has(name) || o.more?.[name] !== undefined;
  const sets = Object.values(c.plugins);
  for (const set of sets) {
    for (const p of [...set.enabled, ...set.disabled])
      if (p.name !== "*" && !isKnown(p.name))
        throw new ProfileError(`profile ${c.schedulerName}: plugin ${JSON.stringify(p.name)} does not exist`);
    const twice = set.enabled.find((p, i) => set.enabled.findIndex((q) => q.name === p.name) !== i);
    if (twice) throw new ProfileError(`profile ${c.schedulerName}: plugin ${JSON.stringify(twice.name)} already registered`);
  }
  const multi = merged(
    REGISTRY.map(([name]) => ({ name })),
    c.plugins["multiPoint"],
  );
  const made = new Map<string, Plugin>();
  const plugin = (name: string): Plugin => {
    let p = made.get(name);
    if (!p) {
      p = known.get(name)?.make(o.sources, c.arguments) ?? (o.more?.[name]?.(c.arguments.other[name]) as Plugin);
      made.set(name, p);
    }
    return p;
  };
  const weights: Record<string, number> = {};
  for (const [name, , weight] of REGISTRY) if (weight !== undefined) weights[name] = weight;
  for (const p of multi) if (p.weight) weights[p.name] = p.weight;
  for (const p of c.plugins["score"]?.enabled ?? []) if (p.weight) weights[p.name] = p.weight;
  const at = (point: ExtensionPoint): Plugin[] => namesAt(multi, c.plugins[point]).flatMap((name) => only(plugin(name), point) ?? []);
  const on = (name: string, point: string) => namesAt(multi, c.plugins[point]).includes(name);
  for (const [name, point] of [
    ["PrioritySort", "queueSort"],
    ["DefaultBinder", "bind"],
  ] as const)
    if (INDISPENSABLE.has(name) && !on(name, point))
      throw new ProfileError(`profile ${c.schedulerName}: ${name} cannot be disabled: nothing stands in for it`);
  const points = Object.keys(EXTENSION_POINTS) as ExtensionPoint[];
  return {
    ...(Object.fromEntries(points.map((p) => [p, at(p)])) as Record<ExtensionPoint, Plugin[]>),
    schedulerName: c.schedulerName,
    weights,
    percentageOfNodesToScore: c.percentageOfNodesToScore,
    preemption: on("DefaultPreemption", "postFilter") ? (c.arguments.DefaultPreemption ?? PREEMPTION_DEFAULTS) : undefined,
  };
}

/** kube-scheduler's default profile. */
export function defaultProfile(
  o: { schedulerName?: string; percentageOfNodesToScore?: number } & Pick<PluginSources, "defaultSelector">,
): Profile {
  const c = plain(o.schedulerName ?? DEFAULT_SCHEDULER, o.percentageOfNodesToScore ?? 0);
  return profileOf(c, { sources: { defaultSelector: o.defaultSelector, volumes: undefined } });
}

type Enabled = PluginSet["enabled"][number];

/** A set over the defaults: what it disables goes, what it enables anew takes the default's place, the rest comes last. */
function merged(defaults: readonly Enabled[], set: PluginSet | undefined): Enabled[] {
  const disabled = new Set(set?.disabled.map((p) => p.name));
  const enabled = set?.enabled ?? [];
  const kept = disabled.has("*") ? [] : defaults.filter((p) => !disabled.has(p.name));
  const names = new Set(kept.map((p) => p.name));
  return [...kept.map((p) => enabled.find((q) => q.name === p.name) ?? p), ...enabled.filter((p) => !names.has(p.name))];
}

/** Who takes part in one extension point: first those that are enabled there by name, then those of multiPoint. */
function namesAt(multi: readonly Enabled[], set: PluginSet | undefined): string[] {
  const disabled = new Set(set?.disabled.map((p) => p.name));
  const named = (set?.enabled ?? []).map((p) => p.name);
  const rest = disabled.has("*") ? [] : multi.map((p) => p.name).filter((name) => !disabled.has(name) && !named.includes(name));
  const overrides = named.filter((name) => multi.some((p) => p.name === name));
  const added = named.filter((name) => !overrides.includes(name));
  return [...overrides, ...rest, ...added];
}

/** The plugin as it takes part in this extension point; undefined when it has no part in it. */
function only(p: Plugin, point: ExtensionPoint): Plugin | undefined {
  return EXTENSION_POINTS[point].some((method) => p[method] !== undefined) ? p : undefined;
}
