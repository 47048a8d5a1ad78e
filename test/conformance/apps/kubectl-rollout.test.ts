// kubectl rollout, autoscale and top, as a user types them.
import { expect } from "vitest";
import { AGNHOST, type Context, conformance } from "../harness.ts";
import type { Json } from "../rest.ts";

const OTHER = "registry.k8s.io/e2e-test-images/agnhost:2.53";

async function deployment(t: Context, name: string): Promise<void> {
  await t.create({
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name },
    spec: {
      replicas: 2,
      selector: { matchLabels: { app: name } },
      template: {
        metadata: { labels: { app: name } },
        spec: { terminationGracePeriodSeconds: 0, containers: [{ name: "c", image: AGNHOST, args: ["pause"] }] },
      },
    },
  });
  await settled(t, name);
}
const settled = (t: Context, name: string) => t.kubectl(["rollout", "status", `deployment/${name}`, "--timeout=60s"]);
const images = async (t: Context, name: string): Promise<string[]> => {
  const { items } = await t.api.get(t.path("pods"), { query: { labelSelector: `app=${name}` } });
  return items.filter((p: Json) => !p.metadata.deletionTimestamp).map((p: Json) => p.spec.containers[0].image);
};

conformance("kubectl rollout status, history, undo, pause, resume and restart", async (t) => {
  await deployment(t, "web");
  await t.kubectl(["set", "image", "deployment/web", `c=${OTHER}`]);
  expect(await settled(t, "web")).toContain('deployment "web" successfully rolled out');
  expect(await images(t, "web")).toEqual([OTHER, OTHER]);
  const history = await t.kubectl(["rollout", "history", "deployment/web"]);
  expect(
    history
      .split("\n")
      .filter((l) => /^\d/.test(l))
      .map((l) => l.split(/\s+/)[0]),
  ).toEqual(["1", "2"]);
  expect(await t.kubectl(["rollout", "history", "deployment/web", "--revision=1"])).toContain(AGNHOST);

  expect(await t.kubectl(["rollout", "undo", "deployment/web"])).toContain("deployment.apps/web rolled back");
  await settled(t, "web");
  expect(await images(t, "web")).toEqual([AGNHOST, AGNHOST]);

  expect(await t.kubectl(["rollout", "pause", "deployment/web"])).toContain("deployment.apps/web paused");
  await t.kubectl(["set", "image", "deployment/web", `c=${OTHER}`]);
  await t.eventually("the paused Deployment was looked at", async () => {
    const d = await t.api.get(t.path("deployments/web", "apps/v1"));
    return d.status.observedGeneration === d.metadata.generation;
  });
  expect(await images(t, "web")).toEqual([AGNHOST, AGNHOST]);
  expect(await t.kubectl(["rollout", "resume", "deployment/web"])).toContain("deployment.apps/web resumed");
  await settled(t, "web");
  expect(await images(t, "web")).toEqual([OTHER, OTHER]);

  const names = async () => (await t.kubectl(["get", "pods", "-l", "app=web", "-o", "name"])).split("\n").sort();
  const before = await names();
  expect(await t.kubectl(["rollout", "restart", "deployment/web"])).toContain("deployment.apps/web restarted");
  await settled(t, "web");
  const { spec } = await t.api.get(t.path("deployments/web", "apps/v1"));
  expect(spec.template.metadata.annotations["kubectl.kubernetes.io/restartedAt"]).toMatch(/^\d{4}-/);
  await t.eventually("every pod is a new one", async () => (await names()).every((n) => !before.includes(n)));
});

conformance("kubectl autoscale and top", async (t) => {
  await deployment(t, "busy");
  await t.kubectl(["autoscale", "deployment/busy", "--min=3", "--max=4", "--cpu-percent=80"]);
  await t.eventually("the autoscaler raises the Deployment to its minimum", async () => {
    const d = await t.api.get(t.path("deployments/busy", "apps/v1"));
    return d.spec.replicas === 3;
  });
  await settled(t, "busy");
  const rows = (text: string) => text.split("\n").slice(1);
  const pods = await t.eventually("every pod is measured", async () => {
    const r = await t.tryKubectl(["top", "pods"]);
    return r.code === 0 && rows(r.stdout).length === 3 ? r.stdout : undefined;
  });
  for (const row of rows(pods)) expect(row).toMatch(/^busy-\S+\s+\d+m\s+\d+Mi\s*$/);
  const nodes = rows(await t.kubectl(["top", "nodes"]));
  expect(nodes).toHaveLength((await t.api.get("/api/v1/nodes")).items.length);
  for (const row of nodes) expect(row).toMatch(/^\S+\s+\d+m\s+\d+%\s+\d+Mi\s+\d+%\s*$/);
});
