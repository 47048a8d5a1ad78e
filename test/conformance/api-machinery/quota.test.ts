// [sig-api-machinery] ResourceQuota: what counts, by scope, as objects come and go, and what is refused.
import { expect } from "vitest";
import { type Context, conformance } from "../harness.ts";
import type { Json } from "../rest.ts";
import { refusal } from "../webhook-server.ts";

const QUOTA = "[sig-api-machinery] ResourceQuota should";

const quotaOf = (name: string, hard: Record<string, string>, spec: Json = {}): Json => ({
  apiVersion: "v1",
  kind: "ResourceQuota",
  metadata: { name },
  spec: { hard, ...spec },
});

/** Waits until the quota has counted these. */
const used = (t: Context, name: string, wanted: Record<string, string>): Promise<unknown> =>
  t.eventually(`quota ${name} uses ${JSON.stringify(wanted)}`, async () => {
    const status = (await t.api.get(t.path(`resourcequotas/${name}`))).status;
    if (Object.entries(wanted).every(([k, v]) => status.used?.[k] === v)) return true;
    throw new Error(`it uses ${JSON.stringify(status.used)}`);
  });

/** Creates a quota and waits until its status says the limits and no use. */
async function fresh(t: Context, quota: Json, zero: Record<string, string>): Promise<void> {
  await t.create(quota);
  await used(t, quota.metadata.name, zero);
  expect((await t.api.get(t.path(`resourcequotas/${quota.metadata.name}`))).status.hard).toEqual(quota.spec.hard);
}

const zeroes = (hard: Record<string, string>) => Object.fromEntries(Object.keys(hard).map((k) => [k, "0"]));

/** A pod that nothing runs: only the counting is looked at. */
const pending = (t: Context, name: string, resources: Json = {}, spec: Json = {}): Json =>
  t.pod(name, { container: { resources }, spec: { nodeSelector: { nothing: "here" }, ...spec } });

conformance(`${QUOTA} create a ResourceQuota and ensure its status is promptly calculated. [Conformance]`, async (t) => {
  const hard = { pods: "5", services: "10", replicationcontrollers: "10", resourcequotas: "1", cpu: "1", memory: "500Mi" };
  await fresh(t, quotaOf("q", hard), { ...zeroes(hard), resourcequotas: "1" });
});

conformance(`${QUOTA} create a ResourceQuota and capture the life of a service. [Conformance]`, async (t) => {
  const hard = { services: "4", "services.nodeports": "1", "services.loadbalancers": "1" };
  await fresh(t, quotaOf("q", hard), zeroes(hard));
  const service = (name: string, type: string): Json => ({
    apiVersion: "v1",
    kind: "Service",
    metadata: { name },
    spec: { type, selector: { a: "b" }, ports: [{ port: 80 }] },
  });
  await t.create(service("cluster", "ClusterIP"));
  await t.create(service("node", "NodePort"));
  expect(await refusal(t.create(service("balanced", "LoadBalancer")))).toMatch(
    /exceeded quota: q, requested: services\.nodeports=1, used: services\.nodeports=1, limited: services\.nodeports=1/,
  );
  await used(t, "q", { services: "2", "services.nodeports": "1", "services.loadbalancers": "0" });
  for (const name of ["cluster", "node"]) await t.api.delete(t.path(`services/${name}`));
  await used(t, "q", zeroes(hard));
});

conformance(`${QUOTA} create a ResourceQuota and capture the life of a secret. [Conformance]`, async (t) => {
  const { items } = await t.api.get(t.path("secrets"));
  const hard = { secrets: String(items.length + 1) };
  await fresh(t, quotaOf("q", hard), { secrets: String(items.length) });
  const secret = (name: string): Json => ({ apiVersion: "v1", kind: "Secret", metadata: { name }, stringData: { a: "b" } });
  await t.create(secret("one"));
  await used(t, "q", { secrets: hard.secrets });
  expect(await refusal(t.create(secret("two")))).toContain("exceeded quota: q");
  await t.api.delete(t.path("secrets/one"));
  await used(t, "q", { secrets: String(items.length) });
});

conformance(`${QUOTA} create a ResourceQuota and capture the life of a pod. [Conformance]`, async (t) => {
  const hard = { pods: "5", cpu: "1", memory: "500Mi", "requests.ephemeral-storage": "50Gi", "requests.example.com/dongle": "3" };
  await fresh(t, quotaOf("q", hard), zeroes(hard));
  const requests = { cpu: "500m", memory: "252Mi", "ephemeral-storage": "30Gi", "example.com/dongle": "2" };
  await t.create(pending(t, "one", { requests, limits: { "example.com/dongle": "2" } }));
  const one = { pods: "1", cpu: "500m", memory: "252Mi", "requests.ephemeral-storage": "30Gi", "requests.example.com/dongle": "2" };
  await used(t, "q", one);
  expect(await refusal(t.create(pending(t, "two", { requests: { cpu: "600m", memory: "100Mi" } })))).toContain(
    "exceeded quota: q, requested: cpu=600m",
  );
  const dongles = {
    requests: { cpu: "100m", memory: "100Mi", "ephemeral-storage": "1Gi", "example.com/dongle": "2" },
    limits: { "example.com/dongle": "2" },
  };
  expect(await refusal(t.create(pending(t, "two", dongles)))).toContain("requests.example.com/dongle=2");
  expect(await refusal(t.create(pending(t, "two")))).toContain("must specify cpu for: c; memory for: c");
  const raised = await refusal(
    t.api.patch(t.path("pods/one"), { spec: { containers: [{ name: "c", resources: { requests: { cpu: "100m" } } }] } }, "strategic"),
  );
  expect(raised).toContain("pod updates may not change fields");
  await used(t, "q", one);
  await t.deletePod("one");
  await used(t, "q", zeroes(hard));
});

conformance(`${QUOTA} create a ResourceQuota and capture the life of a replication controller. [Conformance]`, async (t) => {
  const hard = { replicationcontrollers: "1" };
  await fresh(t, quotaOf("q", hard), zeroes(hard));
  const rc = (name: string): Json => ({
    apiVersion: "v1",
    kind: "ReplicationController",
    metadata: { name },
    spec: { replicas: 0, selector: { name }, template: { metadata: { labels: { name } }, spec: t.pod(name).spec } },
  });
  await t.create(rc("one"));
  await used(t, "q", hard);
  expect(await refusal(t.create(rc("two")))).toContain("exceeded quota: q");
  await t.api.delete(t.path("replicationcontrollers/one"), { propagationPolicy: "Background" });
  await used(t, "q", zeroes(hard));
});

conformance(`${QUOTA} create a ResourceQuota and capture the life of a replica set. [Conformance]`, async (t) => {
  const hard = { "count/replicasets.apps": "5" };
  await fresh(t, quotaOf("q", hard), zeroes(hard));
  await t.create({
    apiVersion: "apps/v1",
    kind: "ReplicaSet",
    metadata: { name: "one" },
    spec: { replicas: 0, selector: { matchLabels: { a: "b" } }, template: { metadata: { labels: { a: "b" } }, spec: t.pod("x").spec } },
  });
  await used(t, "q", { "count/replicasets.apps": "1" });
  await t.api.delete(t.path("replicasets/one", "apps/v1"));
  await used(t, "q", zeroes(hard));
});

conformance(`${QUOTA} verify ResourceQuota with terminating scopes. [Conformance]`, async (t) => {
  const hard = { pods: "5", "requests.cpu": "1", "requests.memory": "500Mi", "limits.cpu": "2", "limits.memory": "1Gi" };
  await fresh(t, quotaOf("terminating", hard, { scopes: ["Terminating"] }), zeroes(hard));
  await fresh(t, quotaOf("not-terminating", hard, { scopes: ["NotTerminating"] }), zeroes(hard));
  const resources = { requests: { cpu: "500m", memory: "200Mi" }, limits: { cpu: "1", memory: "400Mi" } };
  const counted = { pods: "1", "requests.cpu": "500m", "requests.memory": "200Mi", "limits.cpu": "1", "limits.memory": "400Mi" };
  await t.create(pending(t, "long", resources));
  await used(t, "not-terminating", counted);
  await used(t, "terminating", zeroes(hard));
  await t.deletePod("long");
  await used(t, "not-terminating", zeroes(hard));
  await t.create(pending(t, "short", resources, { activeDeadlineSeconds: 3600 }));
  await used(t, "terminating", counted);
  await used(t, "not-terminating", zeroes(hard));
  await t.deletePod("short");
  await used(t, "terminating", zeroes(hard));
});

conformance(`${QUOTA} verify ResourceQuota with best effort scope. [Conformance]`, async (t) => {
  const hard = { pods: "5" };
  await fresh(t, quotaOf("best-effort", hard, { scopes: ["BestEffort"] }), zeroes(hard));
  await fresh(t, quotaOf("not-best-effort", hard, { scopes: ["NotBestEffort"] }), zeroes(hard));
  await t.create(pending(t, "besteffort"));
  await used(t, "best-effort", { pods: "1" });
  await used(t, "not-best-effort", { pods: "0" });
  await t.deletePod("besteffort");
  await used(t, "best-effort", { pods: "0" });
  await t.create(pending(t, "burstable", { requests: { cpu: "100m" } }));
  await used(t, "not-best-effort", { pods: "1" });
  await used(t, "best-effort", { pods: "0" });
  await t.deletePod("burstable");
  await used(t, "not-best-effort", { pods: "0" });
});

conformance(`${QUOTA} manage the lifecycle of a ResourceQuota [Conformance]`, async (t) => {
  const path = t.path("resourcequotas");
  const created = await t.create({ ...quotaOf("q", { cpu: "2", memory: "500Mi" }), metadata: { name: "q", labels: { life: "quota" } } });
  expect(created.spec.hard).toEqual({ cpu: "2", memory: "500Mi" });
  await t.modify(`${path}/q`, (q) => {
    q.spec.hard = { cpu: "1", memory: "1Gi" };
  });
  const query = { labelSelector: "life=quota" };
  expect(
    (await t.api.get("/api/v1/resourcequotas", { query })).items.filter((q: Json) => q.metadata.namespace === t.namespace),
  ).toHaveLength(1);
  const patched = await t.api.patch(
    `${path}/q`,
    { metadata: { labels: { q: "patched" } }, spec: { hard: { memory: "750Mi" } } },
    "strategic",
  );
  expect(patched).toMatchObject({ metadata: { labels: { q: "patched" } }, spec: { hard: { cpu: "1", memory: "750Mi" } } });
  await t.api.delete(path, {}, { query });
  await t.eventually("it is gone", async () => (await t.api.find(`${path}/q`)) === undefined);
});

conformance(`${QUOTA} apply changes to a resourcequota status [Conformance]`, async (t) => {
  const path = t.path("resourcequotas/q");
  await t.create({ ...quotaOf("q", { cpu: "500m", memory: "500Mi" }), metadata: { name: "q", labels: { e2e: "status" } } });
  await used(t, "q", { cpu: "0", memory: "0" });
  // The controller puts back what it counts at its next round, minutes later.
  const updated = await t.modify(
    path,
    (q) => {
      q.spec.hard.memory = "1Gi";
      q.status.hard = { cpu: "750m", memory: "750Mi" };
    },
    "status",
  );
  expect(updated.status.hard).toEqual({ cpu: "750m", memory: "750Mi" });
  expect(updated.spec.hard).toEqual({ cpu: "500m", memory: "500Mi" });
  const patched = await t.api.patch(`${path}/status`, {
    metadata: { annotations: { patched: "yes" } },
    status: { hard: { cpu: "1", memory: "1Gi" } },
  });
  expect(patched.status.hard).toEqual({ cpu: "1", memory: "1Gi" });
  const read = await t.api.get(`${path}/status`);
  expect([read.status.hard, read.spec.hard, read.metadata.annotations]).toEqual([
    patched.status.hard,
    updated.spec.hard,
    { patched: "yes" },
  ]);
  // A change of the specification brings the status back to it.
  const hard = { cpu: "1250m", memory: "750Mi" };
  expect((await t.api.patch(path, { spec: { hard } })).spec.hard).toEqual(hard);
  await t.eventually("the status says the limits of the specification", async () => {
    const q = await t.api.get(`${path}/status`);
    expect(q.spec.hard).toEqual(hard);
    return JSON.stringify(q.status.hard) === JSON.stringify(hard);
  });
});
