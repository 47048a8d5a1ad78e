// [sig-network] DNS: what names pods resolve, over UDP and over TCP, and what stands in their files.
import { expect } from "vitest";
import { AGNHOST, type Context, conformance } from "../harness.ts";
import { NETEXEC, service } from "./endpoints.ts";

const DOMAIN = "cluster.local";

/** A pod that asks (agnhost has dig). */
const asker = (t: Context) => t.runPod("asker", { image: AGNHOST, args: ["pause"] });
const dig = async (t: Context, ...args: string[]): Promise<string[]> =>
  (await t.exec("asker", ["dig", "+short", "+search", ...args])).split("\n").filter((l) => l !== "");
/** Both transports come to the same answers. */
const resolves = (t: Context, name: string, type: string, wanted: string[]) =>
  t.eventually(`${name} ${type} is ${wanted}`, async () => {
    for (const transport of ["+notcp", "+tcp"]) {
      const got = await dig(t, transport, name, type);
      if (JSON.stringify(got.sort()) !== JSON.stringify([...wanted].sort())) return undefined;
    }
    return true;
  });
const reverse = (ip: string) => `${ip.split(".").reverse().join(".")}.in-addr.arpa.`;

conformance("[sig-network] DNS should provide DNS for the cluster [Conformance]", async (t) => {
  await asker(t);
  const { clusterIP } = (await t.api.get("/api/v1/namespaces/default/services/kubernetes")).spec;
  await resolves(t, `kubernetes.default.svc.${DOMAIN}`, "A", [clusterIP]);
  await resolves(t, "kubernetes.default", "A", [clusterIP]);
});

conformance("[sig-network] DNS should provide /etc/hosts entries for the cluster [Conformance]", async (t) => {
  const spec = { hostname: "dns-querier-1", subdomain: "dns-test-service" };
  await t.create(service("dns-test-service", { clusterIP: "None", selector: { app: "asker" }, ports: [{ port: 80 }] }));
  const pod = await t.runPod("asker", { image: AGNHOST, args: ["pause"], spec });
  const fqdn = `dns-querier-1.dns-test-service.${t.namespace}.svc.${DOMAIN}`;
  const hosts = await t.exec("asker", ["cat", "/etc/hosts"]);
  const line = hosts.split("\n").find((l) => l.startsWith(`${pod.status.podIP}\t`));
  expect(line?.split(/\s+/)).toEqual([pod.status.podIP, fqdn, "dns-querier-1"]);
  expect(await t.exec("asker", ["getent", "hosts", "dns-querier-1"])).toContain(pod.status.podIP);
  expect(await t.exec("asker", ["getent", "hosts", fqdn])).toContain(pod.status.podIP);
});

conformance("[sig-network] DNS should provide DNS for services [Conformance]", async (t) => {
  const labels = { "dns-test": "true" };
  const ports = [{ name: "http", port: 80, protocol: "TCP", targetPort: 8080 }];
  const [, regular] = await Promise.all([
    t.create(service("headless", { clusterIP: "None", selector: labels, ports })),
    t.create(service("regular", { selector: labels, ports })),
    asker(t),
  ]);
  const pod = await t.runPod("end", { image: AGNHOST, args: NETEXEC, labels });
  const [podIp, clusterIp] = [pod.status.podIP, regular.spec.clusterIP];
  const full = (name: string) => `${name}.${t.namespace}.svc.${DOMAIN}`;
  for (const name of ["headless", `headless.${t.namespace}`, `headless.${t.namespace}.svc`, full("headless")])
    await resolves(t, name, "A", [podIp]);
  for (const name of ["regular", `regular.${t.namespace}`, `regular.${t.namespace}.svc`, full("regular")])
    await resolves(t, name, "A", [clusterIp]);
  await resolves(t, `_http._tcp.${full("regular")}`, "SRV", [`0 100 80 ${full("regular")}.`]);
  await resolves(t, `_http._tcp.${full("headless")}`, "SRV", [`0 100 8080 ${podIp.replaceAll(".", "-")}.${full("headless")}.`]);
  await resolves(t, reverse(clusterIp), "PTR", [`${full("regular")}.`]);
  await resolves(t, reverse(podIp), "PTR", [
    `${podIp.replaceAll(".", "-")}.${full("headless")}.`,
    `${podIp.replaceAll(".", "-")}.${full("regular")}.`,
  ]);
});

for (const [title, name] of [
  ["Hostname", "hostname and full name"],
  ["Subdomain", "subdomain"],
] as const)
  conformance(`[sig-network] DNS should provide DNS for pods for ${title} [Conformance]`, async (t) => {
    await t.create(service("dns-test-service-2", { clusterIP: "None", selector: { app: "named" }, ports: [{ name: "http", port: 80 }] }));
    const spec = { hostname: "dns-querier-2", subdomain: "dns-test-service-2" };
    const [pod] = await Promise.all([t.runPod("named", { image: AGNHOST, args: ["pause"], spec }), asker(t)]);
    const domain = `dns-test-service-2.${t.namespace}.svc.${DOMAIN}`;
    if (name === "subdomain") return void (await resolves(t, domain, "A", [pod.status.podIP]));
    await resolves(t, `dns-querier-2.${domain}`, "A", [pod.status.podIP]);
    expect((await t.exec("named", ["hostname"])).trim()).toBe("dns-querier-2");
    expect((await t.exec("named", ["hostname", "-f"])).trim()).toBe(`dns-querier-2.${domain}`);
  });

conformance("[sig-network] DNS should provide DNS for ExternalName services [Conformance]", async (t) => {
  const path = t.path("services/alias");
  const name = `alias.${t.namespace}.svc.${DOMAIN}`;
  await Promise.all([t.create(service("alias", { type: "ExternalName", externalName: "foo.example.com" })), asker(t)]);
  await resolves(t, name, "CNAME", ["foo.example.com."]);
  await t.modify(path, (s) => void (s.spec.externalName = "bar.example.com"));
  await resolves(t, name, "CNAME", ["bar.example.com."]);
  const changed = await t.modify(path, (s) => {
    s.spec = { type: "ClusterIP", ports: [{ port: 80, name: "http", protocol: "TCP" }] };
  });
  await resolves(t, name, "A", [changed.spec.clusterIP]);
});

conformance("[sig-network] DNS should support configurable pod DNS nameservers [Conformance]", async (t) => {
  const dnsConfig = { nameservers: ["1.1.1.1"], searches: ["resolv.conf.local"] };
  await t.runPod("own-dns", { image: AGNHOST, args: ["pause"], spec: { dnsPolicy: "None", dnsConfig } });
  expect((await t.exec("own-dns", ["/agnhost", "dns-suffix"])).trim()).toBe("resolv.conf.local");
  expect((await t.exec("own-dns", ["/agnhost", "dns-server-list"])).trim()).toBe("1.1.1.1");
});
