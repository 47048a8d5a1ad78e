import type { KubeObject } from "@podwire/client";
import { expect, test } from "vitest";
import type { Action } from "../../actions.ts";
import { planDeployment } from "./plan.ts";
import { proportionalSizes } from "./sizes.ts";

const NOW = Date.UTC(2026, 0, 1);
const template = (image: string) => ({ metadata: { labels: { app: "web" } }, spec: { containers: [{ name: "c", image }] } });

function deployment(replicas: number, more: object = {}): KubeObject {
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: "web", namespace: "ns", uid: "d", generation: 1, resourceVersion: "1" },
    spec: {
      replicas,
      selector: { matchLabels: { app: "web" } },
      template: template("v2"),
      strategy: { type: "RollingUpdate", rollingUpdate: { maxSurge: "25%", maxUnavailable: "25%" } },
      progressDeadlineSeconds: 600,
      revisionHistoryLimit: 1,
      ...more,
    },
  };
}

function set(name: string, image: string, replicas: number, available: number, more: Record<string, string> = {}): KubeObject {
  return {
    apiVersion: "apps/v1",
    kind: "ReplicaSet",
    metadata: {
      name,
      namespace: "ns",
      uid: name,
      generation: 1,
      creationTimestamp: `2025-12-0${name.slice(-1)}T00:00:00Z`,
      annotations: {
        "deployment.kubernetes.io/revision": name.slice(-1),
        "deployment.kubernetes.io/desired-replicas": "4",
        "deployment.kubernetes.io/max-replicas": "5",
        ...more,
      },
    },
    spec: { replicas, template: template(image) },
    status: { replicas, availableReplicas: available, readyReplicas: available, observedGeneration: 1 },
  };
}

const plan = (d: KubeObject, replicaSets: KubeObject[], pods: KubeObject[] = []) =>
  planDeployment({ deployment: d, replicaSets, podsOf: () => pods, nowMs: NOW });
const sizes = (actions: readonly Action[]) =>
  Object.fromEntries(
    actions.flatMap((a) =>
      (a.do === "update" || a.do === "create") && a.object.kind === "ReplicaSet"
        ? [[a.object.metadata.name, a.object["spec"].replicas]]
        : [],
    ),
  );

test("the first set is made at full size, with its annotations and event", () => {
  const { actions } = plan(deployment(3), []);
  const create = actions[0] as Extract<Action, { do: "create" }>;
  expect(create.do).toBe("create");
  expect(create.object["spec"].replicas).toBe(3);
  expect(create.object.metadata.annotations).toEqual({
    "deployment.kubernetes.io/revision": "1",
    "deployment.kubernetes.io/desired-replicas": "3",
    "deployment.kubernetes.io/max-replicas": "4",
  });
  expect(actions[1]).toMatchObject({
    do: "event",
    reason: "ScalingReplicaSet",
    message: `Scaled up replica set ${create.object.metadata.name} from 0 to 3`,
  });
});

test("a rolling update never goes below what must be available nor above the surge", () => {
  const started = plan(deployment(4), [set("web-1", "v1", 4, 4), set("web-2", "v2", 0, 0)]);
  expect(sizes(started.actions)).toEqual({ "web-2": 1 });
  const shrinking = plan(deployment(4), [set("web-1", "v1", 4, 4), set("web-2", "v2", 1, 0)]);
  expect(sizes(shrinking.actions)).toEqual({ "web-1": 3 });
  const waiting = plan(deployment(4), [set("web-1", "v1", 3, 3), set("web-2", "v2", 2, 0)]);
  expect(sizes(waiting.actions)).toEqual({});
});

test("pods of old sets that are not available go first", () => {
  const { actions } = plan(deployment(4), [set("web-1", "v1", 4, 1), set("web-2", "v2", 1, 1)]);
  expect(sizes(actions)).toEqual({ "web-1": 2 });
});

test("Recreate waits until every old pod is gone", () => {
  const d = deployment(4, { strategy: { type: "Recreate" } });
  expect(sizes(plan(d, [set("web-1", "v1", 4, 4)]).actions)).toEqual({ "web-1": 0 });
  const running = { metadata: { name: "p" }, status: { phase: "Running" } };
  expect(sizes(plan(d, [set("web-1", "v1", 0, 0)], [running]).actions)).toEqual({});
  expect(Object.values(sizes(plan(d, [set("web-1", "v1", 0, 0)]).actions))).toEqual([4]);
});

test("scaling in the middle of a rollout keeps the proportions", () => {
  const d = deployment(10);
  const result = proportionalSizes(d, [
    set("web-1", "v1", 3, 3, { "deployment.kubernetes.io/max-replicas": "5" }),
    set("web-2", "v2", 2, 0, { "deployment.kubernetes.io/max-replicas": "5" }),
  ]);
  expect([...result].map(([rs, n]) => [rs.metadata.name, n])).toEqual([
    ["web-1", 8],
    ["web-2", 5],
  ]);
});

test("sets past the history limit are deleted when the rollout is complete, the oldest first", () => {
  const d = deployment(4);
  d["status"] = { observedGeneration: 1, replicas: 4, updatedReplicas: 4, availableReplicas: 4 };
  const { actions } = plan(d, [set("web-1", "v0", 0, 0), set("web-2", "v1", 0, 0), set("web-3", "v2", 4, 4)]);
  expect(actions.filter((a) => a.do === "delete").map((a) => (a as { name: string }).name)).toEqual(["web-1"]);
});

test("a paused deployment is scaled but not rolled", () => {
  const d = deployment(6, { paused: true });
  d["status"] = { conditions: [{ type: "Progressing", status: "Unknown", reason: "DeploymentPaused", message: "Deployment is paused" }] };
  const { actions } = plan(d, [set("web-1", "v1", 4, 4)]);
  expect(sizes(actions)).toEqual({ "web-1": 6 });
});
