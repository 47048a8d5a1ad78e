// Zones on the virtual clock, with the real controllers: which nodes are tainted, how fast, and when none are.
import { seededRandom } from "@podwire/base";
import { type KubeObject, Resources } from "@podwire/client";
import { virtualClock } from "@podwire/testkit";
import { expect, test } from "vitest";
import { simulation } from "../../simulation.ts";
import { zoneRate, zoneStates } from "./zones.ts";

const RATES = { evictionRate: 0.1, secondaryRate: 0.01, largeCluster: 50 };

test("states and rates are kube-controller-manager's", () => {
  const state = (ready: number, notReady: number) => {
    const nodes = [...Array(ready).fill(true), ...Array(notReady).fill(false)].map((r) => ({ zone: "a", ready: r }));
    return zoneStates(nodes, 0.55).get("a")?.state;
  };
  expect([state(3, 0), state(1, 2), state(2, 3), state(4, 3), state(0, 1)]).toEqual([
    "Normal",
    "Normal",
    "PartialDisruption",
    "Normal",
    "FullDisruption",
  ]);
  expect(zoneRate("Normal", 3, false, RATES)).toBe(0.1);
  expect(zoneRate("PartialDisruption", 51, false, RATES)).toBe(0.01);
  expect(zoneRate("PartialDisruption", 50, false, RATES)).toBe(0);
  expect(zoneRate("FullDisruption", 3, false, RATES)).toBe(0.1);
  expect(zoneRate("FullDisruption", 3, true, RATES)).toBe(0);
});

async function zones(layout: Record<string, number>) {
  const clock = virtualClock();
  const sim = simulation({ clock, random: seededRandom(1), controllers: ["node-lifecycle-controller"], nodes: 0 });
  const drive = async (p: Promise<unknown>) => {
    let settled = false;
    const mark = () => {
      settled = true;
    };
    p.then(mark, mark);
    for (let i = 0; i < 200 && !settled; i++) await clock.advance(100);
    await p;
  };
  await drive(sim.start());
  const names = Object.entries(layout).flatMap(([zone, n]) => Array.from({ length: n }, (_, i) => ({ zone, name: `${zone}${i}` })));
  for (const { zone, name } of names)
    await drive(
      sim.client.create(Resources.nodes, {
        metadata: { name, labels: { "topology.kubernetes.io/zone": zone } },
        spec: {},
        status: { conditions: [{ type: "Ready", status: "True", reason: "KubeletReady" }] },
      }),
    );
  let alive = new Set(names.map((n) => n.name));
  const beat = () => {
    for (const name of alive) {
      const spec = { renewTime: new Date(clock.nowMs()).toISOString() };
      void sim.client
        .patch(Resources.leases, "kube-node-lease", name, "merge", { spec })
        .catch(() => sim.client.create(Resources.leases, { metadata: { namespace: "kube-node-lease", name }, spec }).catch(() => {}));
      const node = sim.api.objects(Resources.nodes).find((n) => n.metadata.name === name) as KubeObject;
      const ready = node["status"].conditions.find((x: any) => x.type === "Ready");
      if (ready.status !== "True")
        void sim.client
          .patch(
            Resources.nodes,
            "",
            name,
            "merge",
            {
              status: { conditions: [{ type: "Ready", status: "True", reason: "KubeletReady" }] },
            },
            { subresource: "status" },
          )
          .catch(() => {});
    }
  };
  clock.every(10_000, beat, { unref: true });
  await clock.advance(20_000);
  return {
    clock,
    live(keep: (name: string) => boolean) {
      alive = new Set(names.map((n) => n.name).filter(keep));
    },
    tainted: () =>
      sim.api
        .objects(Resources.nodes)
        .filter((n) => (n["spec"].taints ?? []).some((t: any) => t.effect === "NoExecute"))
        .map((n) => n.metadata.name)
        .sort(),
    stop: () => drive(sim.stop()),
  };
}

test("a silent zone is evicted a node every ten seconds; the other goes on", async () => {
  const z = await zones({ a: 3, b: 2 });
  z.live((n) => n.startsWith("b"));
  await z.clock.advance(62_000);
  expect(z.tainted().length).toBeLessThan(3);
  await z.clock.advance(40_000);
  expect(z.tainted()).toEqual(["a0", "a1", "a2"]);
  z.live(() => true);
  await z.clock.advance(30_000);
  expect(z.tainted()).toEqual([]);
  await z.stop();
});

test("in a small zone of which most is silent nobody is evicted", async () => {
  const z = await zones({ a: 5, b: 2 });
  z.live((n) => !["a0", "a1", "a2"].includes(n));
  await z.clock.advance(300_000);
  expect(z.tainted()).toEqual([]);
  await z.stop();
});

test("with no node ready anywhere taints are taken back, and none are added until some node speaks again", async () => {
  const z = await zones({ a: 2, b: 2 });
  z.live((n) => n !== "a0");
  await z.clock.advance(80_000);
  expect(z.tainted()).toEqual(["a0"]);
  z.live(() => false);
  await z.clock.advance(200_000);
  expect(z.tainted()).toEqual([]);
  z.live((n) => n === "b0");
  await z.clock.advance(60_000);
  expect(z.tainted()).toEqual(["a0", "a1", "b1"]);
  await z.stop();
});
