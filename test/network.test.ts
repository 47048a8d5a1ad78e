// What the conformance suite's [sig-network] behaviours ask of a cluster, each with real kubectl against three node processes.
// Pods run agnhost, as upstream's do; requests are made from inside pods, so that they cross the wire.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Cluster, eventually, missing, startCluster } from "./cluster.ts";

const AGNHOST = "registry.k8s.io/e2e-test-images/agnhost:2.56";
const absent = missing("kubectl");

interface PodOptions {
  args?: string[];
  labels?: Record<string, string>;
  ports?: { containerPort: number; protocol?: string; hostPort?: number; hostIP?: string; name?: string }[];
  spec?: object;
}

describe.skipIf(absent)(`networking (skipped when: ${absent ?? "nothing"})`, () => {
  let cluster: Cluster;
  const NODES = ["node-1", "node-2", "node-3"];

  const apply = (...objects: object[]) =>
    cluster.kubectl(["apply", "-f", "-"], { input: objects.map((o) => `---\n${JSON.stringify(o)}\n`).join("") });
  const pod = (name: string, o: PodOptions = {}) => ({
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, labels: o.labels ?? { app: name } },
    spec: {
      terminationGracePeriodSeconds: 0,
      containers: [{ name: "c", image: AGNHOST, args: o.args ?? ["netexec", "--http-port=8080", "--udp-port=8081"], ports: o.ports ?? [] }],
      ...o.spec,
    },
  });
  const service = (name: string, spec: object) => ({ apiVersion: "v1", kind: "Service", metadata: { name }, spec });
  const ready = (...pods: string[]) => cluster.kubectl(["wait", "--for=condition=Ready", "--timeout=60s", ...pods.map((p) => `pod/${p}`)]);
  const sh = (from: string, command: string) => cluster.kubectl(["exec", from, "--", "sh", "-c", command]);
  const http = (from: string, url: string) => sh(from, `wget -T 5 -qO- '${url}'`);
  /** Who answered each of `tries` requests, asked from inside `from` by its netexec. */
  const dial = async (from: string, host: string, port: number, tries = 1, protocol = "http"): Promise<string[]> => {
    const query = `host=${host}&port=${port}&protocol=${protocol}&request=hostname&tries=${tries}`;
    const answer = JSON.parse(await http(from, `http://127.0.0.1:8080/dial?${query}`));
    if (answer.errors) throw new Error(answer.errors.join("; "));
    return answer.responses;
  };
  const addressOf = async (name: string) => (await cluster.object("get", "pod", name)).status.podIP as string;
  const nodeAddress = async (name: string) =>
    (await cluster.object("get", "node", name)).status.addresses.find((a: { type: string }) => a.type === "InternalIP").address as string;
  const reaches = (what: string, ask: () => Promise<string[]>, all: string[]) =>
    eventually(what, async () => {
      const seen = new Set(await ask());
      return all.every((n) => seen.has(n)) && [...seen].every((n) => all.includes(n)) ? true : undefined;
    });

  beforeAll(async () => {
    cluster = await startCluster({ nodes: 3 });
    await apply(
      ...NODES.map((nodeName, i) => pod(`end-${i + 1}`, { labels: { role: "end" }, spec: { nodeName } })),
      pod("asker", { spec: { nodeName: "node-1" } }),
      pod("on-host", { args: ["netexec", "--http-port=9080", "--udp-port=9081"], spec: { nodeName: "node-2", hostNetwork: true } }),
    );
    await ready("end-1", "end-2", "end-3", "asker", "on-host");
  });
  afterAll(() => cluster?.stop());

  describe("Networking: granular checks", () => {
    it.each([
      ["http", 8080],
      ["udp", 8081],
    ])("a pod reaches every pod on every node by %s", async (protocol, port) => {
      for (const [i] of NODES.entries())
        expect(await dial("asker", await addressOf(`end-${i + 1}`), port as number, 1, protocol as string)).toEqual([`end-${i + 1}`]);
    });

    it("a node reaches every pod, and is seen by its own address or its bridge's", async () => {
      const seen = await sh("on-host", `wget -T 5 -qO- http://${await addressOf("end-1")}:8080/clientip`);
      expect(seen).not.toMatch(/^127\./);
      for (const n of [1, 2, 3])
        expect(await sh("on-host", `wget -T 5 -qO- http://${await addressOf(`end-${n}`)}:8080/hostname`)).toBe(`end-${n}`);
    });

    it("the address that a pod sees is the one that others have of it", async () => {
      expect(await http("asker", `http://${await addressOf("end-3")}:8080/clientip`)).toMatch(new RegExp(`^${await addressOf("asker")}:`));
    });
  });

  describe("Services", () => {
    it("serve a basic endpoint from pods, and follow the pods that come and go", async () => {
      await apply(service("basic", { selector: { set: "basic" }, ports: [{ port: 80, targetPort: 8080 }] }));
      await apply(pod("basic-1", { labels: { set: "basic" } }), pod("basic-2", { labels: { set: "basic" } }));
      await ready("basic-1", "basic-2");
      await reaches("both pods answer", () => dial("asker", "basic", 80, 20), ["basic-1", "basic-2"]);
      await cluster.kubectl(["delete", "pod", "basic-1"]);
      await reaches("the other pod answers", () => dial("asker", "basic", 80, 10), ["basic-2"]);
      const slices = await cluster.object("get", "endpointslices", "-l", "kubernetes.io/service-name=basic");
      expect(slices.items.flatMap((s: any) => s.endpoints ?? []).map((e: any) => e.targetRef.name)).toEqual(["basic-2"]);
      await cluster.kubectl(["delete", "pod/basic-2", "service/basic"]);
    });

    it("serve several ports, and one port in two protocols", async () => {
      await apply(
        service("multi", {
          selector: { role: "end" },
          ports: [
            { name: "web", port: 80, targetPort: 8080 },
            { name: "other", port: 8088, targetPort: 8080 },
            { name: "same-udp", port: 80, protocol: "UDP", targetPort: 8081 },
          ],
        }),
      );
      await reaches("port 80", () => dial("asker", "multi", 80, 20), ["end-1", "end-2", "end-3"]);
      await reaches("port 8088", () => dial("asker", "multi", 8088, 20), ["end-1", "end-2", "end-3"]);
      await reaches("port 80/udp", () => dial("asker", "multi", 80, 20, "udp"), ["end-1", "end-2", "end-3"]);
    });

    it("a NodePort answers on every node, also where no endpoint runs, and keeps its port while the type stays", async () => {
      await apply(service("by-node", { type: "NodePort", selector: { app: "asker" }, ports: [{ port: 80, targetPort: 8080 }] }));
      const { nodePort } = (await cluster.object("get", "service", "by-node")).spec.ports[0];
      expect(nodePort).toBeGreaterThanOrEqual(30_000);
      for (const n of NODES) await reaches(`${n}:${nodePort}`, async () => dial("end-2", await nodeAddress(n), nodePort), ["asker"]);
    });

    it("session affinity holds a client to one endpoint, and can be switched", async () => {
      await apply(
        service("sticky", {
          selector: { role: "end" },
          sessionAffinity: "ClientIP",
          type: "NodePort",
          ports: [{ port: 80, targetPort: 8080 }],
        }),
      );
      const { nodePort } = (await cluster.object("get", "service", "sticky")).spec.ports[0];
      await eventually(
        "one endpoint only, by the cluster address",
        async () => new Set(await dial("asker", "sticky", 80, 16)).size === 1 || undefined,
      );
      const first = await nodeAddress("node-3");
      await eventually(
        "one endpoint only, by the node port",
        async () => new Set(await dial("asker", first, nodePort, 16)).size === 1 || undefined,
      );
      await cluster.kubectl(["patch", "service", "sticky", "-p", '{"spec":{"sessionAffinity":"None"}}']);
      await reaches("all endpoints again", () => dial("asker", "sticky", 80, 30), ["end-1", "end-2", "end-3"]);
      await cluster.kubectl(["patch", "service", "sticky", "-p", '{"spec":{"sessionAffinity":"ClientIP"}}']);
      await eventually("one endpoint again", async () => new Set(await dial("asker", "sticky", 80, 16)).size === 1 || undefined);
    });

    it("change their type: ExternalName to ClusterIP, to NodePort, and back", async () => {
      await apply(service("changing", { type: "ExternalName", externalName: "basic.example.org" }));
      expect(await sh("asker", "nslookup -type=cname changing.default.svc.cluster.local || true")).toMatch(/basic\.example\.org/);
      const to = (spec: object) => cluster.kubectl(["patch", "service", "changing", "--type=merge", "-p", JSON.stringify({ spec })]);
      await to({ type: "ClusterIP", externalName: null, selector: { app: "asker" }, ports: [{ port: 80, targetPort: 8080 }] });
      await reaches("ClusterIP", () => dial("end-3", "changing", 80), ["asker"]);
      await to({ type: "NodePort" });
      const { nodePort } = (await cluster.object("get", "service", "changing")).spec.ports[0];
      await reaches("NodePort", async () => dial("end-3", await nodeAddress("node-2"), nodePort), ["asker"]);
      await to({ type: "ExternalName", externalName: "again.example.org", clusterIP: null, clusterIPs: null });
      await eventually(
        "an alias again",
        async () =>
          /again\.example\.org/.test(await sh("asker", "nslookup -type=cname changing.default.svc.cluster.local || true")) || undefined,
      );
    });

    it("are found from all namespaces, hold a status, and the API server is one of them", async () => {
      expect(await cluster.kubectl(["get", "services", "-A", "--field-selector=metadata.name=kubernetes", "-o", "name"])).toBe(
        "service/kubernetes",
      );
      const kubernetes = await cluster.object("get", "service", "kubernetes");
      expect(kubernetes.spec.ports).toMatchObject([{ name: "https", port: 443, protocol: "TCP" }]);
      const status = { status: { loadBalancer: { ingress: [{ ip: "203.0.113.9" }] } } };
      await apply(service("with-status", { type: "LoadBalancer", loadBalancerClass: "example.org/none", ports: [{ port: 80 }] }));
      await cluster.kubectl(["patch", "service", "with-status", "--subresource=status", "--type=merge", "-p", JSON.stringify(status)]);
      expect((await cluster.object("get", "service", "with-status")).status).toMatchObject(status.status);
      const slices = await cluster.object("get", "endpointslices", "-l", "kubernetes.io/service-name=kubernetes");
      expect(slices.items[0].endpoints[0].addresses[0]).toMatch(/^172\.30\./);
      // From inside a pod, through DNAT, to the API server's own card.
      await eventually(
        "the API answers a pod",
        async () => (await sh("asker", "/agnhost connect kubernetes.default:443 --timeout=5s && echo open")) === "open" || undefined,
      );
    });
  });

  describe("Endpoints and EndpointSlices", () => {
    it("may be made by hand, in several slices with several ports", async () => {
      await apply(
        service("by-hand", {
          ports: [
            { name: "a", port: 80 },
            { name: "b", port: 81 },
          ],
        }),
      );
      const slice = (name: string, port: string, ip: string) => ({
        apiVersion: "discovery.k8s.io/v1",
        kind: "EndpointSlice",
        metadata: { name, labels: { "kubernetes.io/service-name": "by-hand", "endpointslice.kubernetes.io/managed-by": "podwire-test" } },
        addressType: "IPv4",
        ports: [{ name: port, port: 8080, protocol: "TCP" }],
        endpoints: [{ addresses: [ip], conditions: { ready: true } }],
      });
      await apply(
        slice("by-hand-1", "a", await addressOf("end-1")),
        slice("by-hand-2", "a", await addressOf("end-2")),
        slice("by-hand-3", "b", await addressOf("end-3")),
      );
      await reaches("port a", () => dial("asker", "by-hand", 80, 16), ["end-1", "end-2"]);
      await reaches("port b", () => dial("asker", "by-hand", 81, 8), ["end-3"]);
    });

    it("an Endpoints object of a Service without selector is mirrored through create, update and delete", async () => {
      await apply(service("mirrored", { ports: [{ port: 80, targetPort: 8080 }] }));
      const endpoints = async (n: number) => ({
        apiVersion: "v1",
        kind: "Endpoints",
        metadata: { name: "mirrored" },
        subsets: [{ addresses: [{ ip: await addressOf(`end-${n}`) }], ports: [{ port: 8080 }] }],
      });
      await apply(await endpoints(1));
      await reaches("the first address", () => dial("asker", "mirrored", 80, 4), ["end-1"]);
      await apply(await endpoints(2));
      await reaches("the second address", () => dial("asker", "mirrored", 80, 4), ["end-2"]);
      await cluster.kubectl(["delete", "endpoints", "mirrored"]);
      await eventually(
        "no slice",
        async () =>
          (await cluster.object("get", "endpointslices", "-l", "kubernetes.io/service-name=mirrored")).items.length === 0 || undefined,
      );
    });
  });

  describe("DNS", () => {
    it("answers for the cluster, for Services by A, SRV and PTR, and for headless Services by their pods", async () => {
      expect(await sh("asker", "nslookup kubernetes.default")).toContain("10.96.0.1");
      await apply(
        service("dns-normal", { selector: { role: "end" }, ports: [{ name: "http", port: 80, targetPort: 8080 }] }),
        service("dns-headless", { clusterIP: "None", selector: { role: "end" }, ports: [{ name: "http", port: 80, targetPort: 8080 }] }),
      );
      const { clusterIP } = (await cluster.object("get", "service", "dns-normal")).spec;
      await eventually("A", async () => (await sh("asker", "nslookup dns-normal")).includes(clusterIP) || undefined);
      expect(await sh("asker", "nslookup -type=srv _http._tcp.dns-normal.default.svc.cluster.local")).toMatch(
        /80 dns-normal\.default\.svc\.cluster\.local/,
      );
      expect(await sh("asker", `nslookup ${clusterIP}`)).toContain("dns-normal.default.svc.cluster.local");
      for (const n of [1, 2, 3]) {
        const ip = await addressOf(`end-${n}`);
        await eventually(
          `the headless Service has ${ip}`,
          async () => (await sh("asker", "nslookup dns-headless")).includes(ip) || undefined,
        );
      }
    });

    it("knows pods by hostname and subdomain, and tells a pod its own full name", async () => {
      await apply(
        service("sub", { clusterIP: "None", selector: { app: "named" }, ports: [{ port: 80 }] }),
        pod("named", { spec: { hostname: "chosen", subdomain: "sub" } }),
      );
      await ready("named");
      expect(await sh("named", "hostname")).toBe("chosen");
      expect(await sh("named", "cat /etc/hosts")).toMatch(
        new RegExp(`${await addressOf("named")}\\s+chosen\\.sub\\.default\\.svc\\.cluster\\.local\\s+chosen`),
      );
      const ip = await addressOf("named");
      await eventually(
        "the pod's name",
        async () => (await sh("asker", "nslookup chosen.sub.default.svc.cluster.local")).includes(ip) || undefined,
      );
    });

    it("a pod may bring its own name servers and search list", async () => {
      await apply(
        pod("own-dns", {
          args: ["pause"],
          spec: { dnsPolicy: "None", dnsConfig: { nameservers: ["1.1.1.1"], searches: ["resolv.conf.local"] } },
        }),
      );
      await ready("own-dns");
      expect(await cluster.kubectl(["exec", "own-dns", "--", "/agnhost", "dns-server-list"])).toBe("1.1.1.1");
      expect(await cluster.kubectl(["exec", "own-dns", "--", "/agnhost", "dns-suffix"])).toBe("resolv.conf.local");
    });
  });

  it("HostPort: one port serves three pods that differ in host address or protocol", async () => {
    const on = { nodeName: "node-3" };
    const ip = await nodeAddress("node-3");
    const port = (hostIP: string, protocol: string, containerPort: number) => [{ containerPort, hostPort: 54_323, hostIP, protocol }];
    await apply(
      pod("host-1", { ports: port("127.0.0.1", "TCP", 8080), spec: on }),
      pod("host-2", { ports: port(ip, "TCP", 8080), spec: on }),
      pod("host-3", { ports: port(ip, "UDP", 8081), spec: on }),
    );
    await ready("host-1", "host-2", "host-3");
    expect(await dial("asker", ip, 54_323)).toEqual(["host-2"]);
    expect(await dial("asker", ip, 54_323, 1, "udp")).toEqual(["host-3"]);
  });

  it("the API server's proxy reaches pods and Services, by name and port, with every method's path", async () => {
    const raw = (path: string) => cluster.kubectl(["get", "--raw", path]);
    expect(await raw("/api/v1/namespaces/default/pods/end-2:8080/proxy/hostname")).toBe("end-2");
    expect(await raw("/api/v1/namespaces/default/pods/http:end-3:8080/proxy/echo?msg=through")).toBe("through");
    await apply(service("proxied", { selector: { app: "asker" }, ports: [{ name: "web", port: 80, targetPort: 8080 }] }));
    await eventually(
      "the Service's proxy",
      async () => (await raw("/api/v1/namespaces/default/services/proxied:web/proxy/hostname")) === "asker" || undefined,
    );
    expect(await raw("/api/v1/namespaces/default/services/http:proxied:80/proxy/echo?msg=also")).toBe("also");
  });

  it("Ingress, IngressClass, ServiceCIDR and IPAddress are served as resources", async () => {
    const ingress = {
      apiVersion: "networking.k8s.io/v1",
      kind: "Ingress",
      metadata: { name: "front", labels: { special: "yes" } },
      spec: { defaultBackend: { service: { name: "multi", port: { number: 80 } } } },
    };
    await apply(ingress, {
      apiVersion: "networking.k8s.io/v1",
      kind: "IngressClass",
      metadata: { name: "none" },
      spec: { controller: "example.org/none" },
    });
    await cluster.kubectl([
      "patch",
      "ingress",
      "front",
      "--subresource=status",
      "--type=merge",
      "-p",
      '{"status":{"loadBalancer":{"ingress":[{"ip":"203.0.113.7"}]}}}',
    ]);
    expect((await cluster.object("get", "ingress", "front")).status.loadBalancer.ingress[0].ip).toBe("203.0.113.7");
    await cluster.kubectl(["delete", "ingress", "-l", "special=yes"]);
    expect(await cluster.kubectl(["get", "ingress", "-o", "name"])).toBe("");
    await apply({
      apiVersion: "networking.k8s.io/v1",
      kind: "ServiceCIDR",
      metadata: { name: "second" },
      spec: { cidrs: ["10.112.0.0/24"] },
    });
    expect((await cluster.object("get", "servicecidr", "second")).spec.cidrs).toEqual(["10.112.0.0/24"]);
    await cluster.kubectl(["delete", "servicecidr", "second", "--wait=false"]);
  });
});
