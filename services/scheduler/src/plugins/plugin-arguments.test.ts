// What the plugins' arguments change, by one decision each.
import { labelSelector } from "@podwire/api";
import { seededRandom } from "@podwire/base";
import type { KubeObject } from "@podwire/client";
import { expect, test } from "vitest";
import { withFile } from "../config.ts";
import { SchedulerCache } from "../framework/cache.ts";
import { podInfo } from "../framework/pod-info.ts";
import { schedule } from "../framework/schedule.ts";
import { plain } from "../plugin-arguments.ts";
import { profileOf } from "../profiles.ts";
import { onShape } from "./resource-allocation.ts";

const node = (name: string, allocatable: Record<string, string> = {}, labels: Record<string, string> = {}): KubeObject => ({
  metadata: { name, labels: { "kubernetes.io/hostname": name, ...labels } },
  status: { allocatable: { cpu: "4", memory: "8Gi", pods: "10", ...allocatable } },
});
let n = 0;
const pod = (requests: Record<string, string>, more: object = {}, labels: Record<string, string> = { app: "x" }): KubeObject => ({
  metadata: { name: `p${n}`, namespace: "default", uid: `u${n++}`, labels },
  spec: { containers: [{ name: "c", image: "i", resources: { requests } }], ...more },
});

function decide(pluginConfig: object[], nodes: KubeObject[], placed: [KubeObject, string][], p: KubeObject) {
  const base = { profiles: [plain("default-scheduler", 0)] } as never;
  const file = { apiVersion: "kubescheduler.config.k8s.io/v1", kind: "KubeSchedulerConfiguration", profiles: [{ pluginConfig }] };
  const settings = withFile(base, new TextEncoder().encode(JSON.stringify(file)));
  const defaultSelector = () => labelSelector({ matchLabels: { app: "x" } });
  const profile = profileOf(settings.profiles[0] as never, { sources: { defaultSelector, volumes: undefined } });
  const cache = new SchedulerCache(() => ({}));
  for (const o of nodes) cache.setNode(o);
  for (const [o, where] of placed) cache.setPod(podInfo(o), where);
  return schedule(profile, podInfo(p), cache, { random: seededRandom(1), start: 0, explain: true });
}
const chosen = (...a: Parameters<typeof decide>) => {
  const o = decide(...a);
  return "node" in o ? o.node.name : [...o.failure.nodes.values()].map((r) => r.reasons.join());
};

test("NodeResourcesFit: the fullest node, a shape, and resources that do not count", () => {
  const nodes = [node("a"), node("b")];
  const placed: [KubeObject, string][] = [[pod({ cpu: "2", memory: "4Gi" }, {}, {}), "a"]];
  const fit = (args: object) => [{ name: "NodeResourcesFit", args }];
  expect(chosen([], nodes, placed, pod({ cpu: "1", memory: "2Gi" }, {}, {}))).toBe("b");
  expect(chosen(fit({ scoringStrategy: { type: "MostAllocated" } }), nodes, placed, pod({ cpu: "1", memory: "2Gi" }, {}, {}))).toBe("a");
  const requestedToCapacityRatio = {
    shape: [
      { utilization: 0, score: 0 },
      { utilization: 100, score: 10 },
    ],
  };
  const ratio = fit({ scoringStrategy: { type: "RequestedToCapacityRatio", requestedToCapacityRatio } });
  expect(chosen(ratio, nodes, placed, pod({ cpu: "1", memory: "2Gi" }, {}, {}))).toBe("a");
  const gpu = pod({ "example.com/gpu": "1" });
  expect(chosen([], [node("a")], [], gpu)).toEqual(["Insufficient example.com/gpu"]);
  expect(chosen(fit({ ignoredResources: ["example.com/gpu"] }), [node("a")], [], gpu)).toBe("a");
  expect(chosen(fit({ ignoredResourceGroups: ["example.com"] }), [node("a")], [], gpu)).toBe("a");
});

test("a shape is linear between its points", () => {
  const shape = [
    { utilization: 20, score: 0 },
    { utilization: 70, score: 10 },
    { utilization: 100, score: 4 },
  ];
  expect([0, 20, 45, 70, 85, 100].map((u) => onShape(shape, u))).toEqual([0, 0, 50, 100, 70, 40]);
});

test("NodeAffinity: an affinity that all pods of the profile have besides their own", () => {
  const term = { matchExpressions: [{ key: "pool", operator: "In", values: ["batch"] }] };
  const addedAffinity = { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [term] } };
  const config = [{ name: "NodeAffinity", args: { addedAffinity } }];
  expect(chosen(config, [node("a"), node("b", {}, { pool: "batch" })], [], pod({}))).toBe("b");
  expect(chosen(config, [node("a")], [], pod({}))).toEqual(["node(s) didn't match scheduler-enforced node affinity"]);
});

test("PodTopologySpread: constraints for pods that have none", () => {
  const defaultConstraints = [{ maxSkew: 1, topologyKey: "kubernetes.io/hostname", whenUnsatisfiable: "DoNotSchedule" }];
  const config = [{ name: "PodTopologySpread", args: { defaultConstraints, defaultingType: "List" } }];
  const nodes = [node("a"), node("b", { pods: "0" })];
  expect(chosen(config, nodes, [[pod({}), "a"]], pod({}))).toEqual([
    "node(s) didn't match pod topology spread constraints",
    "Too many pods",
  ]);
  expect(chosen([], nodes, [[pod({}), "a"]], pod({}))).toBe("a");
});

test("InterPodAffinity: the weight of others' required affinity", () => {
  const affinity = {
    podAffinity: {
      requiredDuringSchedulingIgnoredDuringExecution: [
        { topologyKey: "kubernetes.io/hostname", labelSelector: { matchLabels: { app: "x" } } },
      ],
    },
  };
  const config = (hardPodAffinityWeight: number) => [{ name: "InterPodAffinity", args: { hardPodAffinityWeight } }];
  const placed: [KubeObject, string][] = [[pod({ cpu: "1", memory: "2Gi" }, { affinity }), "a"]];
  const score = (weight: number) => {
    const o = decide(config(weight), [node("a"), node("b")], placed, pod({}));
    return "node" in o ? o.scores?.get("a")?.byPlugin["InterPodAffinity"] : undefined;
  };
  expect([score(100), score(0)]).toEqual([200, undefined]);
});
