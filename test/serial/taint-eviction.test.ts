// [sig-node] NoExecuteTaintManager: needs a node that nobody else uses, so it has a cluster of its own.
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type Cluster, eventually, startCluster } from "../cluster.ts";

let cluster: Cluster;
beforeAll(async () => {
  cluster = await startCluster({ nodes: 2, name: "taints" });
});
afterAll(() => cluster?.stop());

const pod = (name: string, tolerationSeconds: number) => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name },
  spec: {
    terminationGracePeriodSeconds: 1,
    tolerations: [{ key: "evict-test", operator: "Equal", value: "yes", effect: "NoExecute", tolerationSeconds }],
    containers: [{ name: "pause", image: "registry.k8s.io/pause:3.10.1" }],
  },
});

it("[sig-node] NoExecuteTaintManager Single Pod [Serial] removing taint cancels eviction [Disruptive] [Conformance]", async () => {
  const input = JSON.stringify({ apiVersion: "v1", kind: "List", items: [pod("spared", 8), pod("control", 1)] });
  await cluster.kubectl(["apply", "-f", "-"], { input });
  await cluster.kubectl(["wait", "--for=condition=Ready", "pod/spared", "pod/control", "--timeout=60s"]);
  const nodeOf = async (name: string) => (await cluster.object("get", "pod", name)).spec.nodeName as string;
  const nodes = new Set([await nodeOf("spared"), await nodeOf("control")]);
  for (const n of nodes) await cluster.kubectl(["taint", "node", n, "evict-test=yes:NoExecute"]);
  // The taint works: who tolerates it for a second is gone soon.
  await eventually(
    "the eviction of the control",
    async () => (await cluster.kubectl(["get", "pod", "control", "--ignore-not-found"])) === "",
  );
  const { uid } = (await cluster.object("get", "pod", "spared")).metadata;
  for (const n of nodes) await cluster.kubectl(["taint", "node", n, "evict-test-"]);
  await sleep(9_000);
  const spared = await cluster.object("get", "pod", "spared");
  expect(spared.metadata.uid).toBe(uid);
  expect(spared.metadata.deletionTimestamp).toBeUndefined();
}, 120_000);
