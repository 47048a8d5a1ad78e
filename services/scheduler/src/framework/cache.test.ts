// The incremental sums of nodes against a fresh walk over their pods, after random histories.
import { labelSelector } from "@podwire/api";
import { seededRandom } from "@podwire/base";
import type { KubeObject } from "@podwire/client";
import { expect, test } from "vitest";
import { SchedulerCache } from "./cache.ts";
import { NodeInfo } from "./node-info.ts";
import { type PodInfo, podInfo } from "./pod-info.ts";

const SEEDS = 200;
const STEPS = 120;

const node = (i: number): KubeObject => ({
  metadata: { name: `n${i}`, labels: { "kubernetes.io/hostname": `n${i}`, "topology.kubernetes.io/zone": `z${i % 2}` } },
  status: { allocatable: { cpu: "8", memory: "16Gi", pods: "20" } },
});

function randomPod(r: ReturnType<typeof seededRandom>, i: number): PodInfo {
  const affinity =
    r.float() < 0.2
      ? {
          podAntiAffinity: {
            requiredDuringSchedulingIgnoredDuringExecution: [
              { topologyKey: "kubernetes.io/hostname", labelSelector: { matchLabels: { app: "a" } } },
            ],
          },
        }
      : undefined;
  const requests = { cpu: `${r.below(500)}m`, memory: `${r.below(512)}Mi`, ...(r.float() < 0.2 ? { "example.com/gpu": "1" } : {}) };
  const ports = r.float() < 0.3 ? [{ containerPort: 80, hostPort: 8000 + r.below(3) }] : undefined;
  return podInfo({
    metadata: { name: `p${i}`, namespace: r.pick(["x", "y"]), uid: `u${i}`, labels: { app: r.pick(["a", "b"]) } },
    spec: { affinity, containers: [{ name: "c", image: "i", resources: { requests }, ...(ports ? { ports } : {}) }] },
  });
}

test("sums, ports, counts and sets equal a fresh walk", () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    const r = seededRandom(seed);
    const cache = new SchedulerCache(() => ({}));
    const selectors = ["a", "b"].map((app) => cache.selector("x", labelSelector({ matchLabels: { app } })));
    const where = new Map<string, { pod: PodInfo; node: string }>();
    const nodes = new Set<number>();
    for (let i = 0; i < 3; i++) {
      cache.setNode(node(i));
      nodes.add(i);
    }
    for (let step = 0; step < STEPS; step++) {
      const name = `n${r.below(4)}`;
      const known = where.size > 0 ? r.pick([...where.values()]) : undefined;
      switch (r.below(6)) {
        case 0:
        case 1: {
          const p = randomPod(r, step);
          if (r.float() < 0.5) cache.assume(p, name);
          else cache.setPod(p, name);
          where.set(p.uid, { pod: p, node: name });
          break;
        }
        case 2:
          if (!known) break;
          cache.removePod(known.pod.uid);
          where.delete(known.pod.uid);
          break;
        case 3:
          if (!known) break;
          if (cache.isAssumed(known.pod.uid)) where.delete(known.pod.uid);
          cache.forget(known.pod.uid);
          break;
        case 4:
          if (!known) break;
          cache.setPod(known.pod, name);
          where.set(known.pod.uid, { pod: known.pod, node: name });
          break;
        default: {
          const i = r.below(4);
          if (nodes.delete(i)) cache.removeNode(`n${i}`);
          else {
            cache.setNode(node(i));
            nodes.add(i);
          }
        }
      }
      for (const n of cache.nodes) for (const s of selectors) n.count(s);
    }
    expect(cache.nodes.map((n) => n.name).sort()).toEqual([...nodes].map((i) => `n${i}`).sort());
    for (const n of cache.nodes) {
      const fresh = new NodeInfo(n.node);
      for (const { pod, node: on } of where.values()) if (on === n.name) fresh.addPod(pod);
      const facts = (x: NodeInfo) => ({
        pods: [...x.pods.keys()].sort(),
        cpu: x.requested.cpu,
        memory: x.requested.memory,
        gpu: x.requested.scalar?.get("example.com/gpu") ?? 0,
        nonZero: [x.nonZeroCpu, x.nonZeroMemory],
        anti: x.withAntiAffinity.size,
        counts: selectors.map((s) => x.count(s)),
        ports: [8000, 8001, 8002].map((port) => x.portsConflict([{ ip: "0.0.0.0", protocol: "TCP", port }])),
      });
      expect(facts(n), `seed ${seed}, node ${n.name}`).toEqual(facts(fresh));
      expect(facts(n.clone())).toEqual(facts(fresh));
      expect(cache.nodesWithAntiAffinity.has(n)).toBe(fresh.withAntiAffinity.size > 0);
    }
  }
});
