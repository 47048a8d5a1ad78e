// [sig-network] Services: what is behind an address, on which ports and nodes, and how a Service changes.
import { expect } from "vitest";
import { type Context, conformance } from "../harness.ts";
import type { Json } from "../rest.ts";
import { affinity, answeredBy, dial, netexec, objectEndpoints, service, sliceEndpoints, unanswered, workers } from "./endpoints.ts";

const ENDPOINTS_TIMEOUT_MS = 60_000;

/** Both forms of a Service's endpoints come to be exactly these. */
const endpointsBecome = (t: Context, name: string, wanted: string[]) =>
  t.eventually(
    `endpoints of ${name} are ${wanted}`,
    async () => {
      const want = JSON.stringify([...wanted].sort());
      const got = [JSON.stringify(await sliceEndpoints(t, name)), JSON.stringify(await objectEndpoints(t, name))];
      return got.every((g) => g === want) || undefined;
    },
    ENDPOINTS_TIMEOUT_MS,
  );

/** Three pods behind a Service, and one that asks. */
async function backends(t: Context, names = ["end-1", "end-2", "end-3"]): Promise<void> {
  await Promise.all([...names.map((n) => netexec(t, n, { labels: { role: "end" } })), netexec(t, "asker")]);
}

conformance("[sig-network] Services should provide secure master service [Conformance]", async (t) => {
  const s = await t.api.get("/api/v1/namespaces/default/services/kubernetes");
  expect(s.spec.ports).toMatchObject([{ name: "https", port: 443, protocol: "TCP" }]);
});

conformance("[sig-network] Services should find a service from listing all namespaces [Conformance]", async (t) => {
  const { items } = await t.api.get("/api/v1/services");
  expect(items.filter((s: Json) => s.metadata.name === "kubernetes" && s.metadata.namespace === "default")).toHaveLength(1);
});

conformance("[sig-network] Services should serve a basic endpoint from pods [Conformance]", async (t) => {
  await t.create(service("basic", { selector: { set: "basic" }, ports: [{ port: 80, targetPort: 8080 }] }));
  await endpointsBecome(t, "basic", []);
  const [one] = await Promise.all([netexec(t, "one", { labels: { set: "basic" } }), netexec(t, "asker")]);
  await endpointsBecome(t, "basic", [`${one.status.podIP}:8080`]);
  await answeredBy(t, "asker", "basic", { port: 80 }, ["one"]);
  const two = await netexec(t, "two", { labels: { set: "basic" } });
  await endpointsBecome(t, "basic", [`${one.status.podIP}:8080`, `${two.status.podIP}:8080`]);
  await answeredBy(t, "asker", "basic", { port: 80 }, ["one", "two"]);
  await t.deletePod("one");
  await endpointsBecome(t, "basic", [`${two.status.podIP}:8080`]);
  await answeredBy(t, "asker", "basic", { port: 80 }, ["two"]);
  await t.deletePod("two");
  await endpointsBecome(t, "basic", []);
});

conformance("[sig-network] Services should serve multiport endpoints from pods [Conformance]", async (t) => {
  const ports = [
    { name: "portname1", port: 80, targetPort: "svc1" },
    { name: "portname2", port: 81, targetPort: "svc2" },
  ];
  await t.create(service("multi", { selector: { set: "multi" }, ports }));
  await endpointsBecome(t, "multi", []);
  const make = (name: string, port: string, containerPort: number) =>
    netexec(t, name, {
      labels: { set: "multi" },
      args: ["netexec", `--http-port=${containerPort}`],
      ports: [{ name: port, containerPort }],
    });
  const [one] = await Promise.all([make("one", "svc1", 100), netexec(t, "asker")]);
  await endpointsBecome(t, "multi", [`${one.status.podIP}:100`]);
  const two = await make("two", "svc2", 101);
  await endpointsBecome(t, "multi", [`${one.status.podIP}:100`, `${two.status.podIP}:101`]);
  await answeredBy(t, "asker", "multi", { port: 80 }, ["one"]);
  await answeredBy(t, "asker", "multi", { port: 81 }, ["two"]);
  await t.deletePod("one");
  await endpointsBecome(t, "multi", [`${two.status.podIP}:101`]);
  await t.deletePod("two");
  await endpointsBecome(t, "multi", []);
});

conformance("[sig-network] Services should serve endpoints on same port and different protocols [Conformance]", async (t) => {
  const tcp = { name: "tcp-port", port: 80, protocol: "TCP", targetPort: 8080 };
  const udp = { name: "udp-port", port: 80, protocol: "UDP", targetPort: 8081 };
  const s = await t.create(service("both", { selector: { app: "end" }, ports: [tcp, udp] }));
  await Promise.all([netexec(t, "end"), netexec(t, "asker")]);
  const host = s.spec.clusterIP;
  await answeredBy(t, "asker", host, { port: 80, protocol: "http" }, ["end"]);
  await answeredBy(t, "asker", host, { port: 80, protocol: "udp" }, ["end"]);
  const only = (port: Json) => t.modify(t.path("services/both"), (o) => void (o.spec.ports = [port]));
  await only(tcp);
  await answeredBy(t, "asker", host, { port: 80, protocol: "http" }, ["end"]);
  await unanswered(t, "asker", host, { port: 80, protocol: "udp" });
  await only(udp);
  await answeredBy(t, "asker", host, { port: 80, protocol: "udp" }, ["end"]);
  await unanswered(t, "asker", host, { port: 80, protocol: "http" });
});

conformance("[sig-network] Services should be able to create a functioning NodePort service [Conformance]", async (t) => {
  const [s, nodes] = await Promise.all([
    t.create(service("by-node", { type: "NodePort", selector: { role: "end" }, ports: [{ port: 80, targetPort: 8080 }] })),
    workers(t),
    backends(t, ["end-1", "end-2"]),
  ]);
  const names = ["end-1", "end-2"];
  await answeredBy(t, "asker", "by-node", { port: 80 }, names);
  await answeredBy(t, "asker", s.spec.clusterIP, { port: 80 }, names);
  for (const n of nodes) await answeredBy(t, "asker", n.address, { port: s.spec.ports[0].nodePort }, names);
});

for (const [title, type] of [
  ["service with type clusterIP", "ClusterIP"],
  ["NodePort service", "NodePort"],
] as const) {
  const sticky = async (t: Context): Promise<[string, number]> => {
    const made = await t.create(
      service("sticky", { type, sessionAffinity: "ClientIP", selector: { role: "end" }, ports: [{ port: 80, targetPort: 8080 }] }),
    );
    expect(made.spec.sessionAffinityConfig.clientIP.timeoutSeconds).toBe(10_800);
    await backends(t);
    const [node] = await workers(t);
    // Affinity shows only once all three could answer.
    await t.eventually("three endpoints", async () => (await sliceEndpoints(t, "sticky")).length === 3 || undefined);
    await t.modify(t.path("services/sticky"), (s) => void (s.spec.sessionAffinity = "None"));
    const where: [string, number] = type === "ClusterIP" ? [made.spec.clusterIP, 80] : [node!.address, made.spec.ports[0].nodePort];
    await answeredBy(t, "asker", where[0], { port: where[1] }, ["end-1", "end-2", "end-3"]);
    await t.modify(t.path("services/sticky"), (s) => void (s.spec.sessionAffinity = "ClientIP"));
    return where;
  };

  conformance(`[sig-network] Services should have session affinity work for ${title} [LinuxOnly] [Conformance]`, async (t) => {
    const [host, port] = await sticky(t);
    await affinity(t, "asker", host, port, true);
    const [first] = await dial(t, "asker", host, { port });
    expect(new Set(await dial(t, "asker", host, { port, tries: 10 }))).toEqual(new Set([first]));
  });

  conformance(`[sig-network] Services should be able to switch session affinity for ${title} [LinuxOnly] [Conformance]`, async (t) => {
    const [host, port] = await sticky(t);
    await affinity(t, "asker", host, port, true);
    await t.modify(t.path("services/sticky"), (s) => void (s.spec.sessionAffinity = "None"));
    await affinity(t, "asker", host, port, false);
    await t.modify(t.path("services/sticky"), (s) => void (s.spec.sessionAffinity = "ClientIP"));
    await affinity(t, "asker", host, port, true);
  });
}

conformance("[sig-network] Services should be able to change the type from ExternalName to ClusterIP [Conformance]", async (t) => {
  const made = await t.create(service("changing", { type: "ExternalName", externalName: "example.com" }));
  expect(made.spec.clusterIP ?? "").toBe("");
  await Promise.all([netexec(t, "end"), netexec(t, "asker")]);
  const changed = await t.modify(t.path("services/changing"), (s) => {
    s.spec = { type: "ClusterIP", selector: { app: "end" }, ports: [{ port: 80, name: "http", protocol: "TCP", targetPort: 8080 }] };
  });
  expect(changed.spec.clusterIP).toMatch(/[.:]/);
  await answeredBy(t, "asker", "changing", { port: 80 }, ["end"]);
  await answeredBy(t, "asker", changed.spec.clusterIP, { port: 80 }, ["end"]);
});

conformance("[sig-network] Services should be able to change the type from ExternalName to NodePort [Conformance]", async (t) => {
  await t.create(service("changing", { type: "ExternalName", externalName: "example.com" }));
  await Promise.all([netexec(t, "end"), netexec(t, "asker")]);
  const changed = await t.modify(t.path("services/changing"), (s) => {
    s.spec = { type: "NodePort", selector: { app: "end" }, ports: [{ port: 80, name: "http", protocol: "TCP", targetPort: 8080 }] };
  });
  await answeredBy(t, "asker", "changing", { port: 80 }, ["end"]);
  await answeredBy(t, "asker", changed.spec.clusterIP, { port: 80 }, ["end"]);
  for (const n of await workers(t)) await answeredBy(t, "asker", n.address, { port: changed.spec.ports[0].nodePort }, ["end"]);
});

conformance("[sig-network] Services should be able to change the type from ClusterIP to ExternalName [Conformance]", async (t) => {
  const target = await t.create(service("target", { selector: { app: "end" }, ports: [{ port: 80, targetPort: 8080 }] }));
  await t.create(service("changing", { selector: { app: "end" }, ports: [{ port: 80, targetPort: 8080 }] }));
  await Promise.all([netexec(t, "end"), netexec(t, "asker")]);
  await answeredBy(t, "asker", "changing", { port: 80 }, ["end"]);
  const fqdn = `target.${t.namespace}.svc.cluster.local`;
  const changed = await t.modify(t.path("services/changing"), (s) => {
    s.spec = { type: "ExternalName", externalName: fqdn };
  });
  expect(changed.spec.clusterIP ?? "").toBe("");
  await t.eventually("the name leads to the other Service", async () => {
    const out = await t.exec("asker", ["nslookup", `changing.${t.namespace}.svc.cluster.local`]);
    return out.includes(fqdn) && out.includes(target.spec.clusterIP) ? true : undefined;
  });
});

conformance("[sig-network] Services should complete a service status lifecycle [Conformance]", async (t) => {
  const path = t.path("services/status-test");
  await t.create(
    service(
      "status-test",
      { type: "LoadBalancer", loadBalancerClass: "example.org/none", ports: [{ name: "http", port: 80, targetPort: 80 }] },
      { "test-service-static": "true" },
    ),
  );
  const listed = await t.api.get("/api/v1/services", { query: { labelSelector: "test-service-static=true" } });
  expect(listed.items.some((s: Json) => s.metadata.namespace === t.namespace)).toBe(true);
  expect((await t.api.get(`${path}/status`)).metadata.name).toBe("status-test");
  const ingress = [{ ip: "203.0.113.1" }];
  const patched = await t.api.patch(`${path}/status`, {
    metadata: { annotations: { patchedstatus: "true" } },
    status: { loadBalancer: { ingress } },
  });
  expect(patched).toMatchObject({ metadata: { annotations: { patchedstatus: "true" } }, status: { loadBalancer: { ingress } } });
  const condition = {
    type: "StatusUpdate",
    status: "True",
    reason: "E2E",
    message: "set by the test",
    lastTransitionTime: "2026-01-01T00:00:00Z",
  };
  const updated = await t.modify(path, (s) => void (s.status.conditions = [condition]), "status");
  expect(updated.status.conditions).toEqual([condition]);
  await t.api.patch(path, { metadata: { labels: { "test-service": "patched" } } }, "strategic");
  expect((await t.api.get(path)).metadata.labels["test-service"]).toBe("patched");
  const gone = (async () => {
    const from = { resourceVersion: (await t.api.get(t.path("services"))).metadata.resourceVersion };
    const events = t.api.watch(t.path("services"), { query: from });
    const first = events.next();
    await t.api.delete(path);
    for (let e = await first; !e.done; e = await events.next()) if (e.value.type === "DELETED") return e.value.object;
  })();
  expect((await gone).metadata.name).toBe("status-test");
  expect(await t.api.find(path)).toBeUndefined();
});

conformance("[sig-network] Services should test the lifecycle of an Endpoint [Conformance]", async (t) => {
  const name = "testservice";
  const endpoints = (ip: string, port: number): Json => [{ addresses: [{ ip }], ports: [{ name: "http", port, protocol: "TCP" }] }];
  await t.create({
    apiVersion: "v1",
    kind: "Endpoints",
    metadata: { name, labels: { "test-endpoint-static": "true" } },
    subsets: endpoints("10.0.0.24", 80),
  });
  const { items, metadata } = await t.api.get("/api/v1/endpoints", { query: { labelSelector: "test-endpoint-static=true" } });
  expect(items.filter((e: Json) => e.metadata.namespace === t.namespace)).toHaveLength(1);
  const seen: Json[] = [];
  const watching = (async () => {
    const query = { labelSelector: "test-endpoint-static=true", resourceVersion: metadata.resourceVersion };
    for await (const e of t.api.watch(t.path("endpoints"), { query })) {
      seen.push(e);
      if (e.type === "DELETED") return;
    }
  })();
  await t.modify(t.path(`endpoints/${name}`), (e) => void (e.metadata.labels["test-service"] = "updated"));
  await t.api.patch(
    t.path(`endpoints/${name}`),
    { metadata: { labels: { "test-service": "patched" } }, subsets: endpoints("10.0.0.25", 8080) },
    "strategic",
  );
  const patched = await t.api.get(t.path(`endpoints/${name}`));
  expect(patched.metadata.labels["test-service"]).toBe("patched");
  expect(patched.subsets).toEqual(endpoints("10.0.0.25", 8080));
  await t.api.ask("DELETE", t.path("endpoints"), { query: { labelSelector: "test-endpoint-static=true" } });
  await watching;
  expect(seen.map((e) => [e.type, e.object.metadata.labels["test-service"]])).toEqual([
    ["MODIFIED", "updated"],
    ["MODIFIED", "patched"],
    ["DELETED", "patched"],
  ]);
});
