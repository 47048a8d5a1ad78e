// [sig-network] Ingress and ServiceCIDR as resources: every verb, status included.
import { expect } from "vitest";
import { type Context, conformance } from "../harness.ts";
import type { Json } from "../rest.ts";

const GROUP = "networking.k8s.io/v1";

async function isDiscovered(t: Context, ...names: string[]): Promise<void> {
  const { groups } = await t.api.get("/apis");
  expect(groups.find((g: Json) => g.name === "networking.k8s.io").versions.map((v: Json) => v.groupVersion)).toContain(GROUP);
  const { resources } = await t.api.get(`/apis/${GROUP}`);
  for (const n of names) expect(resources.map((r: Json) => r.name)).toContain(n);
}

/** Events of a collection from now on, until `end` of them are of type DELETED. */
async function follow(t: Context, path: string, labelSelector: string, end: number): Promise<Promise<string[]>[]> {
  const { metadata } = await t.api.get(path, { query: { labelSelector } });
  const seen: string[] = [];
  const run = async () => {
    for await (const e of t.api.watch(path, { query: { labelSelector, resourceVersion: metadata.resourceVersion } })) {
      seen.push(e.type);
      if (seen.filter((s) => s === "DELETED").length === end) break;
    }
    return seen;
  };
  return [run()];
}

conformance("[sig-network] Ingress API should support creating Ingress API operations [Conformance]", async (t) => {
  await isDiscovered(t, "ingresses", "ingresses/status");
  const path = t.path("ingresses", GROUP);
  const only = `special-label=${t.namespace}`;
  const make = () =>
    t.create({
      apiVersion: GROUP,
      kind: "Ingress",
      metadata: { generateName: "e2e-example-ing", labels: { "special-label": t.namespace } },
      spec: {
        defaultBackend: { service: { name: "default-backend", port: { number: 80 } } },
        rules: [
          {
            host: "foo.bar.com",
            http: { paths: [{ path: "/", pathType: "Prefix", backend: { service: { name: "test-backend", port: { number: 8080 } } } }] },
          },
        ],
      },
    });
  const [events] = await follow(t, path, only, 3);
  const [first] = [await make(), await make(), await make()];
  const name = first.metadata.name;
  expect((await t.api.get(`${path}/${name}`)).spec.rules[0].host).toBe("foo.bar.com");
  expect((await t.api.get(path, { query: { labelSelector: only } })).items).toHaveLength(3);
  expect((await t.api.get(`/apis/${GROUP}/ingresses`, { query: { labelSelector: only } })).items).toHaveLength(3);
  expect((await t.api.patch(`${path}/${name}`, { metadata: { annotations: { patched: "true" } } })).metadata.annotations.patched).toBe(
    "true",
  );
  const updated = await t.modify(`${path}/${name}`, (i) => void (i.metadata.annotations.updated = "true"));
  expect(updated.metadata.annotations).toMatchObject({ patched: "true", updated: "true" });
  const status = { loadBalancer: { ingress: [{ ip: "169.1.1.1" }] } };
  const annotated = await t.api.patch(`${path}/${name}/status`, { metadata: { annotations: { patchedstatus: "true" } }, status });
  expect(annotated).toMatchObject({ metadata: { annotations: { patchedstatus: "true" } }, status });
  const replaced = await t.modify(`${path}/${name}`, (i) => void (i.status.loadBalancer.ingress = [{ ip: "169.1.1.2" }]), "status");
  expect(replaced.status.loadBalancer.ingress[0].ip).toBe("169.1.1.2");
  expect((await t.api.get(`${path}/${name}/status`)).status.loadBalancer.ingress[0].ip).toBe("169.1.1.2");
  await t.api.delete(`${path}/${name}`);
  expect(await t.api.find(`${path}/${name}`)).toBeUndefined();
  await t.api.ask("DELETE", path, { query: { labelSelector: only } });
  expect((await t.api.get(path, { query: { labelSelector: only } })).items).toEqual([]);
  expect(await events).toEqual([
    "ADDED",
    "ADDED",
    "ADDED",
    "MODIFIED",
    "MODIFIED",
    "MODIFIED",
    "MODIFIED",
    "DELETED",
    "DELETED",
    "DELETED",
  ]);
});

conformance("[sig-network] ServiceCIDR and IPAddress API should support ServiceCIDR API operations [Conformance]", async (t) => {
  await isDiscovered(t, "servicecidrs", "servicecidrs/status", "ipaddresses");
  const path = `/apis/${GROUP}/servicecidrs`;
  const only = `special-label=${t.namespace}`;
  const make = (suffix: string, cidr: string) =>
    t.createForCluster({
      apiVersion: GROUP,
      kind: "ServiceCIDR",
      metadata: { name: `${t.namespace}-${suffix}`, labels: { "special-label": t.namespace } },
      spec: { cidrs: [cidr] },
    });
  const first = await make("a", "192.0.2.0/28");
  await make("b", "192.0.2.16/28");
  await make("c", "192.0.2.32/28");
  const name = first.metadata.name;
  expect((await t.api.get(`${path}/${name}`)).spec.cidrs).toEqual(["192.0.2.0/28"]);
  const list = await t.api.get(path, { query: { labelSelector: only } });
  expect(list.items).toHaveLength(3);
  const patched = await t.api.patch(`${path}/${name}`, { metadata: { annotations: { patched: "true" } } });
  expect(patched.metadata.annotations.patched).toBe("true");
  const updated = await t.modify(`${path}/${name}`, (c) => void (c.metadata.annotations = { ...c.metadata.annotations, updated: "true" }));
  expect(updated.metadata.annotations).toMatchObject({ patched: "true", updated: "true" });
  const condition = {
    type: "StatusUpdate",
    status: "True",
    reason: "E2E",
    message: "set by the test",
    lastTransitionTime: "2026-01-01T00:00:00Z",
  };
  await t.api.patch(`${path}/${name}/status`, {
    metadata: { annotations: { patchedstatus: "true" } },
    status: { conditions: [condition] },
  });
  const has = (c: Json) => c.status.conditions.some((x: Json) => x.type === "StatusUpdate" && x.status === "True");
  const read = await t.api.get(`${path}/${name}/status`);
  expect(has(read)).toBe(true);
  // The status endpoint of this kind writes nothing but the status.
  expect(read.metadata.annotations).toEqual({ patched: "true", updated: "true" });
  const again = await t.modify(
    `${path}/${name}`,
    (c) => {
      c.status.conditions.find((x: Json) => x.type === "StatusUpdate").message = "changed";
    },
    "status",
  );
  expect(again.status.conditions.find((x: Json) => x.type === "StatusUpdate").message).toBe("changed");
  await t.api.delete(`${path}/${name}`);
  await t.eventually("the range is gone", async () => (await t.api.find(`${path}/${name}`)) === undefined || undefined);
  await t.api.ask("DELETE", path, { query: { labelSelector: only } });
  await t.eventually(
    "all are gone",
    async () => (await t.api.get(path, { query: { labelSelector: only } })).items.length === 0 || undefined,
  );
  expect((await t.api.get(`${path}/kubernetes`)).metadata.deletionTimestamp).toBeUndefined();
  const seen: string[] = [];
  const query = { labelSelector: only, resourceVersion: list.metadata.resourceVersion };
  for await (const e of t.api.watch(path, { query, signal: AbortSignal.timeout(20_000) })) {
    seen.push(`${e.type} ${e.object.metadata.name.slice(t.namespace.length)}`);
    if (seen.filter((s) => s.startsWith("DELETED")).length === 3) break;
  }
  expect(seen).toEqual(expect.arrayContaining(["MODIFIED -a", "DELETED -a", "DELETED -b", "DELETED -c"]));
});
