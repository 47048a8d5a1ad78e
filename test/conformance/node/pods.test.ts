// [sig-node] Pods: life cycle, updates and streams of single pods.
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { request } from "node:https";
import { KubeConfig } from "@kubernetes/client-node";
import { expect, inject } from "vitest";
import { AGNHOST, BUSYBOX, type Context, conformance, isReady } from "../harness.ts";
import type { Json } from "../rest.ts";

conformance("[sig-node] Pods should be updated [NodeConformance] [Conformance]", async (t) => {
  await t.runPod("updated", { labels: { time: "before" } });
  await t.modify(t.path("pods/updated"), (p) => {
    p.metadata.labels.time = "after";
  });
  const { items } = await t.api.get(t.path("pods"), { query: { labelSelector: "time=after" } });
  expect(items.map((p: Json) => p.metadata.name)).toEqual(["updated"]);
});

conformance("[sig-node] Pods should get a host IP [NodeConformance] [Conformance]", async (t) => {
  const p = await t.runPod("p");
  const node = await t.api.get(`/api/v1/nodes/${p.spec.nodeName}`);
  const internal = node.status.addresses.find((a: Json) => a.type === "InternalIP").address;
  expect(p.status.hostIP).toBe(internal);
  expect(p.status.hostIPs[0].ip).toBe(internal);
});

conformance("[sig-node] Pods should be submitted and removed [NodeConformance] [Conformance]", async (t) => {
  const only = { query: { labelSelector: "time=now" } };
  const list = await t.api.get(t.path("pods"), only);
  expect(list.items).toEqual([]);
  const seen: string[] = [];
  let removed: Json;
  const watching = (async () => {
    for await (const e of t.api.watch(t.path("pods"), { query: { ...only.query, resourceVersion: list.metadata.resourceVersion } })) {
      seen.push(e.object.metadata.deletionTimestamp && e.type === "MODIFIED" ? "TERMINATING" : e.type);
      removed = e.object;
      if (e.type === "DELETED") return;
    }
  })();
  await t.runPod("submitted", { labels: { time: "now" }, spec: { terminationGracePeriodSeconds: 2 } });
  await t.deletePod("submitted", 1);
  await watching;
  expect(seen[0]).toBe("ADDED");
  expect(seen).toContain("TERMINATING");
  expect(seen.at(-1)).toBe("DELETED");
  expect(removed.metadata.deletionTimestamp).toBeDefined();
  expect((await t.api.get(t.path("pods"), only)).items).toEqual([]);
});

conformance("[sig-node] Pods should allow activeDeadlineSeconds to be updated [NodeConformance] [Conformance]", async (t) => {
  await t.runPod("p");
  await t.modify(t.path("pods/p"), (p) => {
    p.spec.activeDeadlineSeconds = 2;
  });
  const p = await t.podWhen("p", "failed", (x) => x.status.phase === "Failed");
  expect(p.status.reason).toBe("DeadlineExceeded");
  expect(p.status.message).toBe("Pod was active on the node longer than the specified deadline");
});

conformance("[sig-node] Pods should contain environment variables for services [NodeConformance] [Conformance]", async (t) => {
  await t.runPod("server", { args: ["serve-hostname", "--port", "9376"], labels: { srv: "foo" } });
  const { spec } = await t.create({
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "fooservice", labels: { srv: "foo" } },
    spec: { ports: [{ port: 8765, targetPort: 8080 }], selector: { srv: "foo" } },
  });
  const ip = spec.clusterIP;
  const expected = [
    `FOOSERVICE_SERVICE_HOST=${ip}`,
    "FOOSERVICE_SERVICE_PORT=8765",
    `FOOSERVICE_PORT=tcp://${ip}:8765`,
    "FOOSERVICE_PORT_8765_TCP_PORT=8765",
    "FOOSERVICE_PORT_8765_TCP_PROTO=tcp",
    `FOOSERVICE_PORT_8765_TCP=tcp://${ip}:8765`,
    `FOOSERVICE_PORT_8765_TCP_ADDR=${ip}`,
  ];
  // A node may hear of the service after the pod: then the next pod shows it.
  await t.eventually("the service's variables", async () => {
    await t.create(t.pod("client", { image: BUSYBOX, command: ["sh", "-c", "env"], spec: { restartPolicy: "Never" } }));
    await t.podSucceeded("client");
    const env = (await t.logs("client")).split("\n");
    await t.deletePod("client");
    await t.podGone("client");
    return expected.every((line) => env.includes(line));
  });
});

conformance("[sig-node] Pods should delete a collection of pods [Conformance]", async (t) => {
  const only = { query: { labelSelector: "type=Testing" } };
  for (const name of ["one", "two", "three"]) await t.create(t.pod(name, { labels: { type: "Testing" } }));
  expect((await t.api.get(t.path("pods"), only)).items).toHaveLength(3);
  await t.api.delete(t.path("pods"), { gracePeriodSeconds: 0 }, only);
  await t.eventually("the pods to be gone", async () => (await t.api.get(t.path("pods"), only)).items.length === 0);
});

/** Another version of the same image. */
const OTHER = AGNHOST.replace(/:.*$/, ":2.53");

conformance("[sig-node] Pods should run through the lifecycle of Pods and PodStatus [Conformance]", async (t) => {
  const only = { query: { labelSelector: "test-pod-static=true" } };
  await t.create(t.pod("p", { labels: { "test-pod-static": "true" } }));
  const ready = await t.podReady("p");
  await t.api.patch(
    t.path("pods/p"),
    { metadata: { labels: { "test-pod": "patched" } }, spec: { containers: [{ name: "c", image: OTHER }] } },
    "strategic",
  );
  const patched = await t.getPod("p");
  expect([patched.metadata.labels["test-pod"], patched.spec.containers[0].image]).toEqual(["patched", OTHER]);
  expect(patched.metadata.uid).toBe(ready.metadata.uid);
  const answer = await t.modify(
    t.path("pods/p"),
    (p) => {
      const condition = p.status.conditions.find((c: Json) => c.type === "Ready");
      condition.status = "False";
      condition.message = "replaced";
    },
    "status",
  );
  expect(answer.status.conditions.find((c: Json) => c.type === "Ready")).toMatchObject({ status: "False", message: "replaced" });
  // The kubelet knows better and says so again.
  expect((await t.podReady("p")).metadata.uid).toBe(ready.metadata.uid);
  await t.api.delete(t.path("pods"), { gracePeriodSeconds: 0 }, only);
  await t.podGone("p");
  expect((await t.api.get(t.path("pods"), only)).items).toEqual([]);
});

/** Logs over a WebSocket of subprotocol binary.k8s.io: every message is a piece of the log. */
function websocketLogs(t: Context, pod: string): Promise<string> {
  const config = new KubeConfig();
  config.loadFromFile(inject("kubeconfig"));
  const cluster = config.getCurrentCluster();
  const user = config.getCurrentUser();
  const pem = (data?: string, file?: string) => (data ? Buffer.from(data, "base64") : file ? readFileSync(file) : undefined);
  return new Promise((resolve, reject) => {
    const req = request(`${cluster?.server}${t.path(`pods/${pod}/log`)}?container=c`, {
      ca: pem(cluster?.caData, cluster?.caFile),
      cert: pem(user?.certData, user?.certFile),
      key: pem(user?.keyData, user?.keyFile),
      headers: {
        Connection: "Upgrade",
        Upgrade: "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": randomBytes(16).toString("base64"),
        "Sec-WebSocket-Protocol": "binary.k8s.io",
      },
    });
    req.on("error", reject);
    req.on("response", (r) => reject(new Error(`no upgrade: ${r.statusCode}`)));
    req.on("upgrade", (res, socket, head) => {
      if (res.headers["sec-websocket-protocol"] !== "binary.k8s.io") reject(new Error("another subprotocol was chosen"));
      const chunks: Buffer[] = [head];
      socket.on("data", (d: Buffer) => void chunks.push(d));
      socket.on("close", () => resolve(payloads(Buffer.concat(chunks))));
      socket.on("error", reject);
    });
    req.end();
  });
}

/** The text and binary frames of a server (RFC 6455, unmasked) put together. */
function payloads(bytes: Buffer<ArrayBufferLike>): string {
  let out = "";
  for (let at = 0; at + 2 <= bytes.length; ) {
    const opcode = (bytes[at] as number) & 15;
    let length = (bytes[at + 1] as number) & 127;
    let header = 2;
    if (length === 126) {
      length = bytes.readUInt16BE(at + 2);
      header = 4;
    } else if (length === 127) {
      length = Number(bytes.readBigUInt64BE(at + 2));
      header = 10;
    }
    if (opcode <= 2) out += bytes.subarray(at + header, at + header + length);
    at += header + length;
  }
  return out;
}

conformance(
  "[sig-node] Pods should support retrieving logs from the container over websockets [NodeConformance] [Conformance]",
  async (t) => {
    await t.create(t.pod("speaks", { image: BUSYBOX, command: ["sh", "-c", "echo container is alive"], spec: { restartPolicy: "Never" } }));
    await t.podSucceeded("speaks");
    expect(await websocketLogs(t, "speaks")).toBe("container is alive\n");
  },
);

conformance("[sig-node] Pods should support remote command execution over websockets [NodeConformance]", async (t) => {
  await t.runPod("executes", { image: BUSYBOX, command: ["sh", "-c", "sleep 600"] });
  expect(await t.exec("executes", ["echo", "remote execution test"])).toBe("remote execution test\n");
  expect((await t.tryExec("executes", ["sh", "-c", "exit 7"])).code).toBe(7);
});

conformance(
  "[sig-node] Pods Extended Pods Set QOS Class should be set on Pods with matching resource requests and limits for memory and cpu [Conformance]",
  async (t) => {
    const amounts = { cpu: "100m", memory: "100Mi" };
    const qos = async (name: string, resources: Json) => (await t.create(t.pod(name, { container: { resources } }))).status.qosClass;
    expect(await qos("guaranteed", { requests: amounts, limits: amounts })).toBe("Guaranteed");
    expect(await qos("burstable", { requests: amounts })).toBe("Burstable");
    expect(await qos("besteffort", {})).toBe("BestEffort");
    await t.podWhen("guaranteed", "runs", isReady);
    expect((await t.getPod("guaranteed")).status.qosClass).toBe("Guaranteed");
  },
);
