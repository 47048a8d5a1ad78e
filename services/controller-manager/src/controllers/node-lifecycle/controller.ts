// The shell of the node life-cycle controller: judges all nodes every node-monitor-period, taints at the rate of their zone, and
// reacts at once to what changes a node's own conditions.

import { reasonOf } from "@podwire/base";
import { isNotFound, type KubeObject, Resources, runController, time, tokenBucket } from "@podwire/client";
import type { ControllerContext, RunningController } from "../../context.ts";
import { periodic } from "../../periodic.ts";
import { podCondition } from "../../pods/status.ts";
import type { Taint } from "../../pods/taints.ts";
import { BY_NODE } from "../taint-eviction/controller.ts";
import { awaitsNoExecute, type NodeHealth, planHealth, planNoExecute, planNoSchedule, zoneOf } from "./plan.ts";
import { allDisrupted, countsForDisruption, type ZoneState, zoneRate, zoneStates } from "./zones.ts";

const LEASE_NAMESPACE = "kube-node-lease";

export function startNodeLifecycle(c: ControllerContext): RunningController {
  const nodes = c.informers.of(Resources.nodes);
  const leases = c.informers.of(Resources.leases);
  const pods = c.informers.of(Resources.pods);
  pods.addIndex(BY_NODE, (p) => (p["spec"]?.nodeName ? [p["spec"].nodeName] : []));
  const recorder = c.recorder("node-controller");
  const health = new Map<string, NodeHealth>();
  const zones = new Map<string, { rate: number; bucket: ReturnType<typeof tokenBucket> }>();
  /** Zones as they were at the last look. */
  let states: ReadonlyMap<string, ZoneState> = new Map();

  /** Taints by condition, a node at a time, as soon as the node changes; who is to be evicted is decided for all nodes together. */
  const tainting = runController({
    name: "node-taints",
    clock: c.clock,
    log: c.log,
    informers: [nodes],
    workers: 8,
    async reconcile(name) {
      const node = nodes.lister.get("", name);
      if (!node) return undefined;
      const taints = planNoSchedule(node, c.clock.nowMs());
      if (taints) await writeTaints(node, taints);
      else judgeTaint(node, false);
      return undefined;
    },
  });

  nodes.handle({
    onAdd(node) {
      recorder.event(
        node,
        "Normal",
        "RegisteredNode",
        `Node ${node.metadata.name} event: Registered Node ${node.metadata.name} in Controller`,
      );
      tainting.queue.add(node.metadata.name);
    },
    onUpdate: (node) => tainting.queue.add(node.metadata.name),
    onDelete(node) {
      health.delete(node.metadata.name);
      recorder.event(
        node,
        "Normal",
        "RemovingNode",
        `Node ${node.metadata.name} event: Removing Node ${node.metadata.name} from Controller`,
      );
    },
  });

  const readyOf = (node: KubeObject): string =>
    (node["status"]?.conditions ?? []).find((x: any) => x.type === "Ready")?.status ?? "Unknown";

  async function writeTaints(node: KubeObject, taints: Taint[]): Promise<void> {
    await c.client.patch(Resources.nodes, "", node.metadata.name, "merge", {
      metadata: { resourceVersion: node.metadata.resourceVersion },
      spec: { taints: taints.length > 0 ? taints : null },
    });
  }

  /** Swaps or removes the NoExecute taint; adds one if that is wanted and the zone's rate allows. */
  function judgeTaint(node: KubeObject, add: boolean): void {
    const now = c.clock.nowMs();
    const ready = readyOf(node);
    // A node that never had a condition is the kubelet's to begin with: it registers with its own taint.
    if (ready === "Unknown" && !(node["status"]?.conditions ?? []).some((x: any) => x.type === "Ready")) return;
    const waits = awaitsNoExecute(node, ready);
    const allowed = !waits || (add && bucketOf(node).tryTake());
    const taints = planNoExecute(node, ready, allowed, now);
    if (!taints) return;
    void writeTaints(node, taints).catch((e) => {
      c.log.debug({ node: node.metadata.name, reason: reasonOf(e) }, "could not taint, trying again");
      tainting.queue.addRateLimited(node.metadata.name);
    });
  }

  function bucketOf(node: KubeObject): { tryTake(): boolean } {
    const zone = zoneOf(node);
    let z = zones.get(zone);
    if (!z) zones.set(zone, (z = { rate: c.settings.nodeEvictionRate, bucket: tokenBucket(c.clock, c.settings.nodeEvictionRate, 1) }));
    return z.rate > 0 ? z.bucket : { tryTake: () => false };
  }

  /** Sets each zone's rate by its state. With every node of the cluster silent the fault is likelier here: taints are taken back, and
   *  once some speak again, all get the time to. */
  async function rateZones(all: readonly KubeObject[]): Promise<void> {
    const counted = all.filter(countsForDisruption);
    const now = zoneStates(
      counted.map((n) => ({ zone: zoneOf(n), ready: readyOf(n) === "True" })),
      c.settings.unhealthyZoneThreshold,
    );
    const [was, is] = [allDisrupted(states, now), allDisrupted(now, now)];
    for (const [zone, { size, state }] of now) {
      const rate = zoneRate(state, size, is, {
        evictionRate: c.settings.nodeEvictionRate,
        secondaryRate: c.settings.secondaryNodeEvictionRate,
        largeCluster: c.settings.largeClusterSizeThreshold,
      });
      if (zones.get(zone)?.rate !== rate) zones.set(zone, { rate, bucket: tokenBucket(c.clock, rate, 1) });
    }
    for (const zone of zones.keys()) if (!now.has(zone)) zones.delete(zone);
    states = now;
    if (is && !was) {
      c.log.warn({ nodes: all.length }, "no node is ready: nothing is evicted");
      await Promise.all(all.map((n) => forgive(n)));
    }
    if (was && !is) for (const [name, h] of health) health.set(name, { ...h, probeMs: c.clock.nowMs() });
  }

  /** Takes the NoExecute taints of this controller back. */
  async function forgive(node: KubeObject): Promise<void> {
    const taints = planNoExecute(node, "True", true, c.clock.nowMs());
    if (!taints) return;
    await writeTaints(node, taints).catch((e) => {
      c.log.info({ node: node.metadata.name, reason: reasonOf(e) }, "could not take a taint back");
    });
  }

  async function monitor(): Promise<void> {
    const all = nodes.lister.list();
    const judged = await Promise.all(
      all.map(async (node) => {
        try {
          return await judge(node);
        } catch (e) {
          if (!isNotFound(e)) c.log.warn({ node: node.metadata.name, reason: reasonOf(e) }, "could not judge a node");
          return node;
        }
      }),
    );
    await rateZones(judged);
    if (!allDisrupted(states, states)) for (const node of judged) judgeTaint(node, true);
  }

  /** What is known of the node's health is written down; returns the node as it is then. */
  async function judge(node: KubeObject): Promise<KubeObject> {
    const name = node.metadata.name;
    const verdict = planHealth({
      node,
      leaseRenewTime: leases.lister.get(LEASE_NAMESPACE, name)?.["spec"]?.renewTime,
      health: health.get(name),
      graceMs: c.settings.nodeMonitorGracePeriodMs,
      startupGraceMs: c.settings.nodeStartupGracePeriodMs,
      nowMs: c.clock.nowMs(),
    });
    let current = node;
    if (verdict.conditions)
      current = await c.client.updateStatus(Resources.nodes, { ...node, status: { ...node["status"], conditions: verdict.conditions } });
    health.set(name, verdict.health);
    if (verdict.lost) {
      recorder.event(node, "Normal", "NodeNotReady", `Node ${name} status is now: NodeNotReady`);
      await podsNotReady(node);
    }
    return current;
  }

  /** The pods of a node that is not ready are not ready: endpoints must not wait for a kubelet that does not speak. */
  async function podsNotReady(node: KubeObject): Promise<void> {
    await Promise.all(
      pods.lister.byIndex(BY_NODE, node.metadata.name).map(async (pod) => {
        if (podCondition(pod, "Ready")?.status !== "True") return;
        const condition = { type: "Ready", status: "False", lastTransitionTime: time(c.clock.nowMs()) };
        try {
          await c.client.patch(
            Resources.pods,
            pod.metadata.namespace ?? "",
            pod.metadata.name,
            "strategic",
            { metadata: { uid: pod.metadata.uid }, status: { conditions: [condition] } },
            { subresource: "status" },
          );
          recorder.event(pod, "Warning", "NodeNotReady", "Node is not ready");
        } catch (e) {
          if (!isNotFound(e)) c.log.warn({ pod: pod.metadata.name, reason: reasonOf(e) }, "could not mark a pod as not ready");
        }
      }),
    );
  }

  const watching = periodic(c, "nodelifecycle", [nodes, leases, pods], c.settings.nodeMonitorPeriodMs, monitor);
  return {
    start: async () => void (await Promise.all([tainting.start(), watching.start()])),
    stop: async () => void (await Promise.all([tainting.stop(), watching.stop()])),
    counters: () => ({ ...tainting.counters(), ...watching.counters() }),
  };
}
