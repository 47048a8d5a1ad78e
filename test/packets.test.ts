// Packets between processes: a request from a pod on node 1 to a Service whose only endpoint is on node 3 crosses two processes, and
// a real curl crosses the edge; shown by what the wires of the processes counted and by the trace of one request.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Cluster, curl, eventually, hostAddress, missing, startCluster, webManifest } from "./cluster.ts";
import { type ControlClient, controlClient } from "./control.ts";

const skip = missing("kubectl", "curl");

describe.skipIf(skip)(`packets${skip ? ` (skipped: ${skip})` : ""}`, () => {
  let cluster: Cluster;
  let control: ControlClient;
  beforeAll(async () => {
    cluster = await startCluster({ nodes: 3 });
    control = await controlClient(cluster);
    await cluster.kubectl(["apply", "--validate=false", "-f", "-"], { input: webManifest({ node: "node-3", type: "LoadBalancer" }) });
    await cluster.kubectl(["rollout", "status", "deployment/web", "--timeout=60s"]);
  });
  afterAll(async () => {
    await control?.close();
    await cluster?.stop();
  });

  it("cross from node 1 to node 3 for a Service asked by DNS name", async () => {
    const before = { one: await control.wire("node:node-1"), three: await control.wire("node:node-3") };
    await cluster.kubectl(["apply", "--validate=false", "-f", "-"], {
      input: clientPod("node-1", "http://web.default.svc.cluster.local/"),
    });
    const line = await eventually("the client was answered", async () => {
      const log = await cluster.kubectl(["logs", "client"]);
      return log.split("\n").find((l) => /\b200\b/.test(l));
    });
    expect(line).toMatch(/web-/);
    const after = { one: await control.wire("node:node-1"), three: await control.wire("node:node-3") };
    expect(after.one.txFrames).toBeGreaterThan(before.one.txFrames + 4);
    expect(after.three.rxFrames).toBeGreaterThan(before.three.rxFrames + 4);
    expect(after.three.txFrames).toBeGreaterThan(before.three.txFrames + 4);
    expect([after.one.rxMalformed, after.three.rxMalformed]).toEqual([0, 0]);
  });

  it("come from a real curl through the edge, whichever node takes them", async () => {
    const address = await hostAddress(cluster, "web");
    const before = await control.wire("edge");
    for (let i = 0; i < 10; i++) expect(await curl(`http://${address}/`)).toMatch(/web-/);
    const after = await control.wire("edge");
    expect(after.txFrames).toBeGreaterThan(before.txFrames + 30);
  });

  it("are shown hop by hop: edge, node, pod; the DNAT rule; encapsulation to node 3", async () => {
    const r = await cluster.podwire(["trace", "web", "-o", "json"]);
    const points = JSON.parse(r.stdout) as any[];
    expect(new Set(points.map((p) => p.process))).toContain("edge");
    expect(points.some((p) => p.process === "node-3" && p.netns.startsWith("default/web-"))).toBe(true);
    const dnat = points.find((p) => p.verdict === "dnat");
    expect(dnat.rule).toContain("DNAT");
    expect(dnat.before.dport).toBe(80);
    expect(dnat.after).toMatchObject({ dport: 8080 });
    expect(dnat.after.dst).toMatch(/^10\.244\./);
    const text = (await cluster.podwire(["trace", "web"])).stdout;
    expect(text).toMatch(/^edge · host$/m);
    expect(text).toMatch(/dnat/);
  });

  it("are followed from a pod that sends by itself: socket, DNAT on its node, encapsulation, the other node, the other pod", async () => {
    const points = JSON.parse((await cluster.podwire(["trace", "web", "--from", "client", "-o", "json"])).stdout) as any[];
    const places = points.map((p) => `${p.process} ${p.netns} ${p.place} ${p.verdict}`);
    const order = [
      "node-1 default/client device send",
      "node-1 root nat dnat",
      "node-1 root encap send",
      "node-3 root decap ",
      "socket deliver",
    ];
    let at = -1;
    for (const step of order) {
      const next = places.findIndex((p, i) => i > at && p.includes(step));
      expect([step, next > at]).toEqual([step, true]);
      at = next;
    }
  });
});

function clientPod(node: string, target: string): string {
  return JSON.stringify({
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "client" },
    spec: {
      nodeName: node,
      containers: [
        {
          name: "client",
          image: "podwire/client",
          args: ["--interval=1", target],
        },
      ],
    },
  });
}
