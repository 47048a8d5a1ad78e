// What may break, broken: processes killed, NATS restarted, garbage sent. Traffic goes on where it can and comes back where it cannot.

import { encode, subjectsOf } from "@podwire/bus";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Cluster, curl, eventually, FAST_NODE_FAILURE, hostAddress, missing, sleep, startCluster, webManifest } from "./cluster.ts";
import { controlClient } from "./control.ts";

const skip = missing("kubectl", "curl");

describe.skipIf(skip)(`faults${skip ? ` (skipped: ${skip})` : ""}`, () => {
  let cluster: Cluster;
  let url: string;
  beforeAll(async () => {
    cluster = await startCluster({ nodes: 3, args: FAST_NODE_FAILURE });
    // Pods leave a dead node after two seconds instead of five minutes.
    const patience = ["not-ready", "unreachable"].map(
      (c) => `{ key: node.kubernetes.io/${c}, operator: Exists, effect: NoExecute, tolerationSeconds: 2 }`,
    );
    const manifest = webManifest({ replicas: 3, type: "LoadBalancer" }).replace(
      "      containers:",
      `      tolerations: [${patience.join(", ")}]\n      containers:`,
    );
    await cluster.kubectl(["apply", "--validate=false", "-f", "-"], { input: manifest });
    await cluster.kubectl(["rollout", "status", "deployment/web", "--timeout=60s"]);
    url = `http://${await hostAddress(cluster, "web")}/`;
    await eventually("curl through the edge", () => curl(url));
  });
  afterAll(() => cluster?.stop());

  const pidOf = async (name: string) =>
    (await cluster.status()).processes.find((p: { name: string }) => p.name === name)?.pid as number | undefined;
  const nodeReady = async (name: string) =>
    (await cluster.object("get", "node", name)).status.conditions.find((c: { type: string }) => c.type === "Ready").status as string;
  const webNodes = async () =>
    (await cluster.object("get", "pods", "-l", "app=web")).items
      .filter((p: any) => p.metadata.deletionTimestamp === undefined && p.status.phase === "Running")
      .map((p: any) => p.spec.nodeName as string);

  /** Curls all the while; resolves with how many were answered and the errors. */
  async function trafficDuring(work: () => Promise<void>): Promise<{ answered: number; errors: string[] }> {
    const result = { answered: 0, errors: [] as string[] };
    let going = true;
    const traffic = (async () => {
      while (going) {
        await curl(url).then(
          () => result.answered++,
          (e) => result.errors.push(String(e)),
        );
        await sleep(20);
      }
    })();
    await work().finally(() => (going = false));
    await traffic;
    return result;
  }

  it("kill -9 of apiserver, controller-manager and scheduler: started again, and no request is lost", async () => {
    for (const name of ["apiserver", "controller-manager", "scheduler"]) {
      const before = (await pidOf(name)) as number;
      const { answered, errors } = await trafficDuring(async () => {
        process.kill(before, "SIGKILL");
        await eventually(`${name} runs again`, async () => {
          const pid = await pidOf(name);
          return pid !== undefined && pid !== before ? true : undefined;
        });
        await eventually("the API answers", async () => ((await cluster.kubectl(["get", "nodes", "-o", "name"])) ? true : undefined));
      });
      expect([name, errors]).toEqual([name, []]);
      expect(answered).toBeGreaterThan(5);
    }
    await cluster.kubectl(["scale", "deployment/web", "--replicas=4"]);
    await cluster.kubectl(["rollout", "status", "deployment/web", "--timeout=60s"]);
    await cluster.kubectl(["scale", "deployment/web", "--replicas=3"]);
  });

  it("kill -9 of nats-server: components reconnect and list again, nothing is lost", async () => {
    await cluster.kubectl(["create", "configmap", "before-restart"]);
    const before = (await pidOf("nats")) as number;
    process.kill(before, "SIGKILL");
    await eventually("nats runs again", async () => {
      const pid = await pidOf("nats");
      return pid !== undefined && pid !== before ? true : undefined;
    });
    await eventually("the API answers", () => cluster.kubectl(["get", "configmap", "before-restart", "-o", "name"]), 60_000);
    await eventually("curl", () => curl(url));
    await cluster.kubectl(["scale", "deployment/web", "--replicas=2"]);
    await eventually("the controllers and kubelets act", async () => ((await webNodes()).length === 2 ? true : undefined), 60_000);
    await cluster.kubectl(["scale", "deployment/web", "--replicas=3"]);
    await cluster.kubectl(["rollout", "status", "deployment/web", "--timeout=60s"]);
    for (const n of ["node-1", "node-2", "node-3"])
      await eventually(`${n} is ready`, async () => ((await nodeReady(n)) === "True" ? true : undefined), 60_000);
  });

  it("kill -9 of a node-agent: NotReady, endpoints leave, pods move, curl goes on; started again is a reboot", async () => {
    const victim = "node-2";
    const lost = (await cluster.object("get", "pods", "-l", "app=web")).items.filter((p: any) => p.spec.nodeName === victim);
    process.kill((await pidOf(victim)) as number, "SIGKILL");
    const killedMs = Date.now();
    await eventually("the node is NotReady", async () => ((await nodeReady(victim)) !== "True" ? true : undefined), 20_000);
    expect(Date.now() - killedMs).toBeGreaterThan(2_000);
    await eventually("its endpoints are not ready", async () => {
      const slices = await cluster.object("get", "endpointslices", "-l", "kubernetes.io/service-name=web");
      const there = slices.items.flatMap((s: any) => s.endpoints ?? []).filter((e: any) => e.nodeName === victim && e.conditions.ready);
      return there.length === 0 ? true : undefined;
    });
    const { errors, answered } = await trafficDuring(() => sleep(2_000));
    expect(errors).toEqual([]);
    expect(answered).toBeGreaterThan(10);
    await eventually(
      "three replicas elsewhere",
      async () => {
        const on = await webNodes();
        return on.length === 3 && !on.includes(victim) ? true : undefined;
      },
      60_000,
    );

    const bootBefore = (await cluster.object("get", "node", victim)).status.nodeInfo.bootID;
    await cluster.podwire(["nodes", "restart", victim]);
    await eventually("the node is Ready again", async () => ((await nodeReady(victim)) === "True" ? true : undefined), 30_000);
    expect((await cluster.object("get", "node", victim)).status.nodeInfo.bootID).not.toBe(bootBefore);
    await eventually(
      "the pods that were lost with it are gone",
      async () => {
        const names = new Set((await cluster.object("get", "pods")).items.map((p: any) => p.metadata.uid));
        return lost.every((p: any) => !names.has(p.metadata.uid)) ? true : undefined;
      },
      60_000,
    );
  });

  it("a reboot of a node restarts its pods with higher restart counts", async () => {
    const [pod] = (await cluster.object("get", "pods", "-l", "app=web")).items as any[];
    const node = pod.spec.nodeName as string;
    await cluster.podwire(["nodes", "restart", node]);
    const after = await eventually(
      "the container was restarted",
      async () => {
        const p = await cluster.object("get", "pod", pod.metadata.name);
        const s = p.status.containerStatuses[0];
        return s.restartCount > pod.status.containerStatuses[0].restartCount && s.ready ? p : undefined;
      },
      60_000,
    );
    expect(after.metadata.uid).toBe(pod.metadata.uid);
    await eventually("curl", () => curl(url));
  });

  it("garbage on the wire and on control subjects is counted, and everything goes on", async () => {
    const node = await controlClient(cluster, "node:node-1");
    const admin = await controlClient(cluster);
    const subjects = subjectsOf(cluster.name);
    const before = await admin.wire("node:node-3");
    const garbage = [
      new Uint8Array(0),
      new Uint8Array([0xc1, 0xff]),
      new Uint8Array(3000).fill(0x93),
      encode({ frames: "no" }),
      encode([[1, 2], "x"]),
    ];
    for (let i = 0; i < 50; i++)
      for (const bytes of garbage) {
        node.bus.publish(subjects.wire("172.30.1.3", "172.30.1.1"), bytes);
        admin.bus.publish(subjects.traceArm, bytes);
        admin.bus.publish(subjects.control("edge"), bytes);
        admin.bus.publish(subjects.control("node:node-3"), bytes);
        admin.bus.publish(subjects.api("user:admin"), bytes);
      }
    await Promise.all([node.bus.flush(), admin.bus.flush()]);
    await eventually("the wire counted it", async () => {
      const now = await admin.wire("node:node-3");
      return now.rxMalformed >= before.rxMalformed + 100 ? true : undefined;
    });
    for (const identity of ["edge", "node:node-3", "node:node-1"]) expect(await admin.health(identity)).toBe("ok");
    await expect(admin.bus.request(subjects.control("edge"), { op: "no-such" }, { timeoutMs: 2000 })).rejects.toThrow(/no-such/);
    expect(await curl(url)).toMatch(/web-/);
    const logged = (await cluster.podwire(["logs", "^node-3$", "-o", "json", "--since=1m"])).stdout
      .split("\n")
      .filter((l) => /malformed/i.test(l));
    expect(logged.length).toBeLessThan(10);
    await node.close();
    await admin.close();
  });

  it("a node's credential cannot speak for another", async () => {
    const node = await controlClient(cluster, "node:node-1");
    const admin = await controlClient(cluster);
    const subjects = subjectsOf(cluster.name);
    const before = await admin.wire("node:node-3");
    for (let i = 0; i < 20; i++) node.bus.publish(subjects.wire("172.30.1.3", "172.30.1.2"), new Uint8Array([0xc1]));
    await node.bus.flush();
    await sleep(300);
    expect((await admin.wire("node:node-3")).rxMalformed).toBe(before.rxMalformed);
    await node.close();
    await admin.close();
  });
});
