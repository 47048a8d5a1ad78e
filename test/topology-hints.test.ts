// service.kubernetes.io/topology-mode: Auto on a whole control plane: hints follow the nodes' CPU, and go with the annotation.
import { seededRandom } from "@podwire/base";
import { type KubeObject, Resources } from "@podwire/client";
import { virtualClock } from "@podwire/testkit";
import { expect, it } from "vitest";
import { startControlPlane } from "./control-plane.ts";

const clock = virtualClock(Date.UTC(2026, 0, 1));

async function drive<T>(p: Promise<T>): Promise<T> {
  let settled = false;
  const mark = () => {
    settled = true;
  };
  p.then(mark, mark);
  for (let i = 0; i < 2_000 && !settled; i++) await clock.advance(20);
  return p;
}

it("hints by zone, an event for each turn, and quiet in between", async () => {
  const plane = await drive(startControlPlane({ clock, random: seededRandom(4), controllers: ["endpointslice-controller"] }));
  const { client } = plane;
  for (const [i, zone] of ["a", "a", "b"].entries())
    await drive(
      client.create(Resources.nodes, {
        metadata: { name: `n${i}`, labels: { "topology.kubernetes.io/zone": zone } },
        status: {
          allocatable: { cpu: zone === "a" ? "2" : "4" },
          conditions: [{ type: "Ready", status: "True", reason: "KubeletReady", message: "", lastTransitionTime: null }],
        },
      } as KubeObject),
    );
  await drive(client.create(Resources.serviceAccounts, { metadata: { namespace: "default", name: "default" } } as KubeObject));
  for (let i = 0; i < 6; i++) {
    const name = `p${i}`;
    const spec = { nodeName: `n${i % 2}`, containers: [{ name: "c", image: "x" }] };
    await drive(client.create(Resources.pods, { metadata: { namespace: "default", name, labels: { app: "x" } }, spec } as KubeObject));
    const status = {
      phase: "Running",
      podIP: `10.244.0.${i + 2}`,
      podIPs: [{ ip: `10.244.0.${i + 2}` }],
      conditions: [{ type: "Ready", status: "True" }],
    };
    await drive(client.patch(Resources.pods, "default", name, "strategic", { status }, { subresource: "status" }));
  }
  const annotations = { "service.kubernetes.io/topology-mode": "Auto" };
  await drive(
    client.create(Resources.services, {
      metadata: { namespace: "default", name: "s", annotations },
      spec: { selector: { app: "x" }, ports: [{ port: 80 }] },
    } as KubeObject),
  );
  const hints = async () => {
    await clock.advance(2_000);
    const list = await drive(
      client.list(Resources.endpointSlices, { namespace: "default", labelSelector: "kubernetes.io/service-name=s" }),
    );
    const out: Record<string, number> = {};
    for (const s of list.items)
      for (const e of s["endpoints"] ?? [])
        out[e.hints?.forZones?.[0]?.name ?? "none"] = (out[e.hints?.forZones?.[0]?.name ?? "none"] ?? 0) + 1;
    return out;
  };
  const events = async () =>
    (await drive(client.list(Resources.events, { namespace: "default" }))).items
      .filter((e) => e["involvedObject"].name === "s")
      .map((e) => `${e["reason"]}: ${e["message"]}`);
  // All endpoints are in zone a, which has half of the CPU.
  expect(await hints()).toEqual({ a: 3, b: 3 });
  expect(await events()).toEqual(["TopologyAwareHintsEnabled: Topology Aware Hints has been enabled, addressType: IPv4"]);
  const quiet = plane.server.counters()["writes"];
  await clock.advance(60_000);
  expect(plane.server.counters()["writes"]).toBe(quiet);

  await drive(
    client.patch(
      Resources.nodes,
      "",
      "n2",
      "strategic",
      { status: { conditions: [{ type: "Ready", status: "False" }] } },
      { subresource: "status" },
    ),
  );
  expect(await hints()).toEqual({ none: 6 });
  await drive(
    client.patch(
      Resources.nodes,
      "",
      "n2",
      "strategic",
      { status: { conditions: [{ type: "Ready", status: "True" }] } },
      { subresource: "status" },
    ),
  );
  expect(await hints()).toEqual({ a: 3, b: 3 });
  await drive(
    client.patch(Resources.services, "default", "s", "merge", {
      metadata: { annotations: { "service.kubernetes.io/topology-mode": null } },
    }),
  );
  expect(await hints()).toEqual({ none: 6 });
  expect((await events()).at(-1)).toBe("TopologyAwareHintsDisabled: Topology Aware Hints has been disabled, addressType: IPv4");
  await drive(plane.stop());
});
