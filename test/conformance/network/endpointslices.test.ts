// [sig-network] EndpointSlice and EndpointSliceMirroring: who is behind a Service, made by controllers and by hand.
import { expect } from "vitest";
import { type Context, conformance } from "../harness.ts";
import type { Json } from "../rest.ts";
import { answeredBy, netexec, objectEndpoints, service, sliceEndpoints } from "./endpoints.ts";

const GROUP = "discovery.k8s.io/v1";
const slices = (t: Context, serviceName: string) =>
  t.api.get(t.path("endpointslices", GROUP), { query: { labelSelector: `kubernetes.io/service-name=${serviceName}` } });

async function isDiscovered(t: Context): Promise<void> {
  const { groups } = await t.api.get("/apis");
  const group = groups.find((g: Json) => g.name === "discovery.k8s.io");
  expect(group.versions.map((v: Json) => v.groupVersion)).toContain(GROUP);
  const { resources } = await t.api.get(`/apis/${GROUP}`);
  expect(resources.map((r: Json) => r.name)).toContain("endpointslices");
}

function sliceOf(name: string, serviceName: string, port: Json, addresses: string[]): Json {
  return {
    apiVersion: GROUP,
    kind: "EndpointSlice",
    metadata: { name, labels: { "kubernetes.io/service-name": serviceName, "endpointslice.kubernetes.io/managed-by": "e2e-test" } },
    addressType: "IPv4",
    ports: [port],
    endpoints: [{ addresses, conditions: { ready: true } }],
  };
}

conformance("[sig-network] EndpointSlice should have Endpoints and EndpointSlices pointing to API Server [Conformance]", async (t) => {
  await isDiscovered(t);
  await t.api.get("/api/v1/namespaces/default/services/kubernetes");
  const endpoints = await t.api.get("/api/v1/namespaces/default/endpoints/kubernetes");
  const addresses = endpoints.subsets.flatMap((s: Json) => s.addresses.map((a: Json) => a.ip));
  expect(addresses.length).toBeGreaterThan(0);
  const { items } = await t.api.get(`/apis/${GROUP}/namespaces/default/endpointslices`, {
    query: { labelSelector: "kubernetes.io/service-name=kubernetes" },
  });
  expect(items.flatMap((s: Json) => s.endpoints.flatMap((e: Json) => e.addresses)).sort()).toEqual(addresses.sort());
});

conformance(
  "[sig-network] EndpointSlice should create Endpoints and EndpointSlices for Pods matching a Service [Conformance]",
  async (t) => {
    await isDiscovered(t);
    const labels = { foo: "bar" };
    const s1 = { selector: labels, ports: [{ name: "named", port: 80, targetPort: "example-name" }] };
    const s2 = { selector: labels, ports: [{ name: "other", port: 80, targetPort: 8080 }], publishNotReadyAddresses: true };
    await t.create(service("example-named-port", s1, { "own-label": "x" }));
    await t.create(service("example-no-match", { selector: { foo: "not-bar" }, ports: [{ port: 80 }] }));
    await t.create(service("example-int-port", s2));
    const ports = [{ name: "example-name", containerPort: 3000, protocol: "TCP" }];
    const [a, b] = await Promise.all([
      t.runPod("pod1", { labels, ports }),
      t.runPod("pod2", { labels, ports: [{ name: "example-name", containerPort: 3001, protocol: "TCP" }] }),
    ]);
    const [ipA, ipB] = [a.status.podIP, b.status.podIP];
    const both = async (name: string, wanted: string[]) => {
      await t.eventually(
        `endpoints of ${name}`,
        async () => JSON.stringify(await sliceEndpoints(t, name)) === JSON.stringify(wanted.sort()) || undefined,
      );
      await t.eventually(
        `Endpoints ${name}`,
        async () => JSON.stringify(await objectEndpoints(t, name)) === JSON.stringify(wanted.sort()) || undefined,
      );
    };
    await both("example-named-port", [`${ipA}:3000`, `${ipB}:3001`]);
    await both("example-int-port", [`${ipA}:8080`, `${ipB}:8080`]);
    await both("example-no-match", []);
    // Pods of different target ports are in different slices.
    const named = (await slices(t, "example-named-port")).items;
    expect(named).toHaveLength(2);
    for (const s of named) {
      expect(s.metadata.labels["endpointslice.kubernetes.io/managed-by"]).toBe("endpointslice-controller.k8s.io");
      expect(s.metadata.labels["own-label"]).toBe("x");
      expect(s.metadata.ownerReferences).toMatchObject([{ kind: "Service", name: "example-named-port", controller: true }]);
      expect(s.endpoints[0].targetRef).toMatchObject({ kind: "Pod", namespace: t.namespace });
      expect(s.endpoints[0].nodeName).toBeTruthy();
    }
    await t.api.delete(t.path("services/example-int-port"));
    await t.eventually("its slices are collected", async () => (await slices(t, "example-int-port")).items.length === 0 || undefined);
  },
);

conformance("[sig-network] EndpointSlice should support creating EndpointSlice API operations [Conformance]", async (t) => {
  await isDiscovered(t);
  const path = t.path("endpointslices", GROUP);
  const label = { query: { labelSelector: "special-label=x" } };
  const template = (name: string) => {
    const s = sliceOf(name, "none", { name: "example", port: 80, protocol: "TCP" }, ["10.1.2.3"]);
    s.metadata.labels["special-label"] = "x";
    return s;
  };
  for (const n of ["one", "two", "three"]) await t.create(template(n));
  expect((await t.api.get(`${path}/one`)).endpoints[0].addresses).toEqual(["10.1.2.3"]);
  const list = await t.api.get(path, label);
  expect(list.items).toHaveLength(3);
  const everywhere = await t.api.get(`/apis/${GROUP}/endpointslices`, label);
  expect(everywhere.items.filter((i: Json) => i.metadata.namespace === t.namespace)).toHaveLength(3);
  const seen: string[] = [];
  const watching = (async () => {
    const query = { ...label.query, resourceVersion: list.metadata.resourceVersion };
    for await (const e of t.api.watch(path, { query })) {
      seen.push(`${e.type} ${e.object.metadata.name} ${Object.keys(e.object.metadata.annotations ?? {})}`);
      if (seen.filter((s) => s.startsWith("DELETED")).length === 3) return;
    }
  })();
  const patched = await t.api.patch(`${path}/one`, { metadata: { annotations: { patched: "true" } } });
  expect(patched.metadata.annotations.patched).toBe("true");
  await t.modify(`${path}/one`, (s) => void (s.metadata.annotations.updated = "true"));
  await t.api.delete(`${path}/one`);
  expect(await t.api.find(`${path}/one`)).toBeUndefined();
  await t.api.ask("DELETE", path, label);
  expect((await t.api.get(path, label)).items).toEqual([]);
  await watching;
  expect(seen.slice(0, 3)).toEqual(["MODIFIED one patched", "MODIFIED one patched,updated", "DELETED one patched,updated"]);
});

for (const [title, address] of [
  ["multiple endpoint IPs specified in multiple EndpointSlices", "differs"],
  ["multiple ports specified in multiple EndpointSlices", "is one"],
] as const)
  conformance(`[sig-network] EndpointSlice should support a Service with ${title} [Conformance]`, async (t) => {
    const ports = [
      { name: "port80", port: 80, protocol: "TCP" },
      { name: "port81", port: 81, protocol: "TCP" },
    ];
    await t.create(service("by-hand", { ports }));
    // In the second case one pod listens twice, as itself and through a second container.
    const one = netexec(t, "one", {
      spec: address === "is one" ? { containers: [container("a", 8090), container("b", 9090)] } : { containers: [container("a", 8090)] },
    });
    const two = netexec(t, "two", { spec: { containers: [container("a", 9090)] } });
    const [a, b] = await Promise.all([one, two, netexec(t, "asker")]);
    const second = address === "is one" ? a : b;
    await t.create(sliceOf("slice-1", "by-hand", { name: "port80", port: 8090, protocol: "TCP" }, [a.status.podIP]));
    await t.create(sliceOf("slice-2", "by-hand", { name: "port81", port: 9090, protocol: "TCP" }, [second.status.podIP]));
    await answeredBy(t, "asker", "by-hand", { port: 80 }, ["one"]);
    await answeredBy(t, "asker", "by-hand", { port: 81 }, [second.metadata.name]);
  });

function container(name: string, port: number): Json {
  return { name, image: "registry.k8s.io/e2e-test-images/agnhost:2.56", args: ["netexec", `--http-port=${port}`, "--udp-port=-1"] };
}

conformance(
  "[sig-network] EndpointSliceMirroring should mirror a custom Endpoints resource through create update and delete [Conformance]",
  async (t) => {
    await isDiscovered(t);
    await t.create(service("example-custom-endpoints", { ports: [{ name: "example", port: 80, protocol: "TCP" }] }));
    const subsets = (ip: string, port: number) => [{ ports: [{ name: "example", port, protocol: "TCP" }], addresses: [{ ip }] }];
    await t.create({
      apiVersion: "v1",
      kind: "Endpoints",
      metadata: { name: "example-custom-endpoints" },
      subsets: subsets("10.1.2.3", 80),
    });
    const mirrored = (ip: string, port: number) =>
      t.eventually(`a slice with ${ip}:${port}`, async () => {
        const { items } = await slices(t, "example-custom-endpoints");
        const [s] = items;
        if (items.length !== 1 || s.endpoints?.[0]?.addresses[0] !== ip || s.ports[0].port !== port) return undefined;
        expect(s.metadata.labels["endpointslice.kubernetes.io/managed-by"]).toBe("endpointslicemirroring-controller.k8s.io");
        return true;
      });
    await mirrored("10.1.2.3", 80);
    await t.modify(t.path("endpoints/example-custom-endpoints"), (e) => void (e.subsets = subsets("10.2.3.4", 9090)));
    await mirrored("10.2.3.4", 9090);
    await t.api.delete(t.path("endpoints/example-custom-endpoints"));
    await t.eventually("no slice", async () => (await slices(t, "example-custom-endpoints")).items.length === 0 || undefined);
  },
);
