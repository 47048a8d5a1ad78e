// A KubeSchedulerConfiguration as kube-scheduler takes it: what it changes, and what it is refused for.
import { ConfigError, z } from "@podwire/base";
import { expect, test } from "vitest";
import { SCHEDULER_FLAGS, settingsOf, withFile } from "./config.ts";
import type { Profile } from "./framework/schedule.ts";
import { ProfileError, profileOf } from "./profiles.ts";

const defaults = () => settingsOf(z.object(SCHEDULER_FLAGS).parse({}));
const HEAD = "apiVersion: kubescheduler.config.k8s.io/v1\nkind: KubeSchedulerConfiguration\n";
const read = (yaml: string) => withFile(defaults(), new TextEncoder().encode(HEAD + yaml));
const sources = { defaultSelector: () => undefined, volumes: undefined };
const profiles = (yaml: string): Profile[] => read(yaml).profiles.map((p) => profileOf(p, { sources }));
const names = (list: readonly { name: string }[]) => list.map((p) => p.name);
const problems = (yaml: string): string => {
  try {
    profiles(yaml);
  } catch (e) {
    if (e instanceof ConfigError || e instanceof ProfileError) return e.message;
    throw e;
  }
  return "";
};

test("without profiles there is kube-scheduler's default one", () => {
  const [p] = profiles("podInitialBackoffSeconds: 3\nleaderElection: { leaderElect: false, leaseDuration: 20s }\n");
  expect(p?.schedulerName).toBe("default-scheduler");
  expect(names(p?.filter ?? [])).toEqual([
    "NodeUnschedulable",
    "NodeName",
    "TaintToleration",
    "NodeAffinity",
    "NodePorts",
    "NodeResourcesFit",
    "PodTopologySpread",
    "InterPodAffinity",
  ]);
  expect(p?.weights).toMatchObject({ TaintToleration: 3, NodeAffinity: 2, PodTopologySpread: 2, InterPodAffinity: 2, ImageLocality: 1 });
  expect(read("podInitialBackoffSeconds: 3\nleaderElection: { leaderElect: false, leaseDuration: 20s }\n")).toMatchObject({
    podInitialBackoffMs: 3_000,
    leaderElect: false,
    leaseDurationMs: 20_000,
    renewDeadlineMs: 10_000,
  });
});

test("profiles enable, disable and weigh plugins by extension point and at once", () => {
  const [a, b] = profiles(`
profiles:
  - schedulerName: a
    percentageOfNodesToScore: 30
    plugins:
      score: { disabled: [{ name: ImageLocality }], enabled: [{ name: NodeResourcesFit, weight: 7 }] }
      postFilter: { disabled: [{ name: "*" }] }
  - schedulerName: b
    plugins:
      multiPoint: { disabled: [{ name: InterPodAffinity }, { name: TaintToleration }], enabled: [{ name: NodeAffinity, weight: 9 }] }
      filter: { disabled: [{ name: "*" }], enabled: [{ name: NodeResourcesFit }] }
`);
  expect(names(a?.score ?? [])).not.toContain("ImageLocality");
  expect(names(a?.score ?? [])[0]).toBe("NodeResourcesFit");
  expect(a).toMatchObject({ percentageOfNodesToScore: 30, weights: { NodeResourcesFit: 7 }, preemption: undefined });
  expect(names(b?.filter ?? [])).toEqual(["NodeResourcesFit"]);
  expect(names(b?.score ?? [])).not.toContain("InterPodAffinity");
  expect(b).toMatchObject({ weights: { NodeAffinity: 9 }, preemption: { minCandidates: 100, minCandidatesPercent: 10 } });
});

test("what is not understood is a problem, never passed over", () => {
  const one = (p: string) => problems(`profiles: [{ ${p} }]\n`);
  expect(problems("nonsense: 1\n")).toContain("nonsense");
  expect(problems("extenders: [{ urlPrefix: x }]\n")).toContain("extenders are not supported");
  expect(problems("profiles: [{ schedulerName: a }, { schedulerName: a }]\n")).toContain('profiles[1].schedulerName: Duplicate value: "a"');
  expect(one("plugins: { score: { enabled: [{ name: Nobody }] } }")).toContain('plugin "Nobody" does not exist');
  expect(one("plugins: { score: { enabled: [{ name: NodeAffinity }, { name: NodeAffinity }] } }")).toContain("already registered");
  expect(one("plugins: { multiPoint: { disabled: [{ name: '*' }] } }")).toContain("cannot be disabled");
  expect(one("pluginConfig: [{ name: NodeResourcesFit, args: { scoringStrategy: { type: Best } } }]")).toContain(
    "profiles[0].pluginConfig[0].args.scoringStrategy.type",
  );
  expect(one("pluginConfig: [{ name: InterPodAffinity, args: { hardPodAffinityWeight: 101 } }]")).toContain("hardPodAffinityWeight");
  expect(one("pluginConfig: [{ name: InterPodAffinity, args: { kind: NodeAffinityArgs } }]")).toContain("args.kind");
  const shape = "requestedToCapacityRatio: { shape: [{ utilization: 50, score: 1 }, { utilization: 10, score: 2 }] }";
  expect(
    one(`pluginConfig: [{ name: NodeResourcesFit, args: { scoringStrategy: { type: RequestedToCapacityRatio, ${shape} } } }]`),
  ).toContain("sorted in increasing order");
  expect(problems("podInitialBackoffSeconds: 5\npodMaxBackoffSeconds: 2\n")).toContain("podMaxBackoffSeconds");
});
