// The kubelet's HTTPS port: through the apiserver's node proxy as an administrator, and from a pod, where it asks who comes.
import { expect } from "vitest";
import { conformance } from "../harness.ts";
import type { Json } from "../rest.ts";

conformance("nodes/proxy reaches the kubelet: stats, metrics, pods, configz, logs", async (t) => {
  const { spec } = await t.runPod("p", { args: ["netexec"] });
  const get = (path: string) => t.api.call("GET", `/api/v1/nodes/${spec.nodeName}/proxy${path}`, { accept: "*/*" });
  const summary = JSON.parse((await get("/stats/summary")).text);
  expect(summary.node.nodeName).toBe(spec.nodeName);
  const mine = summary.pods.find((p: Json) => p.podRef.namespace === t.namespace);
  expect(mine.containers[0]).toMatchObject({ name: "c" });
  expect(mine.containers[0].memory.workingSetBytes).toBeGreaterThan(0);
  expect(mine.containers[0].cpu.usageCoreNanoSeconds).toBeGreaterThanOrEqual(0);
  expect((await get("/metrics/resource")).text).toContain(
    `container_memory_working_set_bytes{container="c",namespace="${t.namespace}",pod="p"}`,
  );
  expect((await get("/pods")).text).toContain(`"namespace":"${t.namespace}"`);
  expect(JSON.parse((await get("/configz")).text).kubeletconfig.maxPods).toBeGreaterThan(0);
  expect((await get("/healthz")).text).toBe("ok");
  expect((await get("/logs/")).text).toContain("pods/");
  const named = await t.api.call("GET", `/api/v1/nodes/https:${spec.nodeName}:10250/proxy/healthz`, { accept: "*/*" });
  expect(named.text).toBe("ok");
});

conformance("the kubelet's port wants a user who may", async (t) => {
  const p = await t.runPod("p", { args: ["pause"] });
  const curl = (more: string, path: string) =>
    t.exec("p", `curl -s -k -o - -w ' %{http_code}' ${more} https://${p.status.hostIP}:10250${path}`);
  expect(await curl("", "/pods")).toBe("Unauthorized 401");
  const token = "/var/run/secrets/kubernetes.io/serviceaccount/token";
  const refused = await curl(`-H "Authorization: Bearer $(cat ${token})"`, "/stats/summary");
  expect(refused).toContain(
    `Forbidden (user=system:serviceaccount:${t.namespace}:default, verb=get, resource=nodes, subresource(s)=[stats])`,
  );
  expect(refused).toContain(" 403");
  const role = `${t.namespace}-stats`;
  await t.createForCluster({
    apiVersion: "rbac.authorization.k8s.io/v1",
    kind: "ClusterRole",
    metadata: { name: role },
    rules: [{ apiGroups: [""], resources: ["nodes/metrics"], verbs: ["get"] }],
  });
  await t.createForCluster({
    apiVersion: "rbac.authorization.k8s.io/v1",
    kind: "ClusterRoleBinding",
    metadata: { name: role },
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: role },
    subjects: [{ kind: "ServiceAccount", name: "default", namespace: t.namespace }],
  });
  await t.eventually("the role to count", async () =>
    (await curl(`-H "Authorization: Bearer $(cat ${token})"`, "/metrics/resource")).includes("node_memory_working_set_bytes"),
  );
});

conformance("pods/resize changes resources of a running container in place", async (t) => {
  const amounts = (cpu: string, memory: string) => ({ requests: { cpu, memory }, limits: { cpu, memory } });
  await t.runPod("p", { container: { resources: amounts("100m", "64Mi") } });
  await t.api.patch(t.path("pods/p/resize"), { spec: { containers: [{ name: "c", resources: amounts("200m", "128Mi") }] } }, "strategic");
  const p = await t.podWhen("p", "is resized", (x) => x.status.containerStatuses[0].resources?.limits?.memory === "128Mi");
  expect(p.status.containerStatuses[0]).toMatchObject({ restartCount: 0, allocatedResources: { cpu: "200m", memory: "128Mi" } });
  await t.podWhen("p", "has done", (x) => !x.status.conditions.some((c: Json) => c.type.startsWith("PodResize")));
  await t.api.patch(t.path("pods/p/resize"), { spec: { containers: [{ name: "c", resources: amounts("100", "128Mi") }] } }, "strategic");
  await t.podWhen("p", "is infeasible", (x) =>
    x.status.conditions.some((c: Json) => c.type === "PodResizePending" && c.reason === "Infeasible"),
  );
});
