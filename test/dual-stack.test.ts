// Two families: which addresses Services get, and a real dual-stack cluster in which pods, Services, nodes and names have both.
import { seededRandom, systemClock } from "@podwire/base";
import { type ResourceRef, Resources } from "@podwire/client";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Cluster, eventually, missing, startCluster } from "./cluster.ts";
import { type ControlPlane, startControlPlane } from "./control-plane.ts";

const networking = (resource: string, kind: string): ResourceRef => ({
  group: "networking.k8s.io",
  version: "v1",
  resource,
  kind,
  namespaced: false,
});
const IP_ADDRESSES = networking("ipaddresses", "IPAddress");
const SERVICE_CIDRS = networking("servicecidrs", "ServiceCIDR");
const V4 = /^10\.(9[6-9]|10\d|11[01])\.\d+\.\d+$/;
const V6 = /^fd00:10:96::[0-9a-f]{1,4}$/;

describe("addresses of Services", () => {
  let plane: ControlPlane;
  let n = 0;
  const start = (ranges: string) =>
    startControlPlane({
      clock: systemClock,
      random: seededRandom(1),
      controllers: ["node-ipam-controller"],
      settings: { clusterCidrs: ["10.244.0.0/16", "fd00:10:244::/56"] },
      apiserver: { "service-cluster-ip-range": ranges },
    });
  const create = (spec: object) =>
    plane.client.create(Resources.services, {
      metadata: { namespace: "default", name: `s${n++}` },
      spec: { ports: [{ port: 80 }], selector: { app: "x" }, ...spec },
    } as never) as Promise<any>;
  const refusal = async (work: Promise<unknown>) => {
    const e = await work.then(
      () => undefined,
      (err) => err,
    );
    if ((e as { status?: { reason?: string } }).status?.reason !== "Invalid") throw new Error(`not refused: ${e}`);
    return String(e.message);
  };

  describe("in a dual-stack cluster", () => {
    beforeAll(async () => {
      plane = await start("10.96.0.0/12,fd00:10:96::/112");
    });
    afterAll(() => plane.stop());

    it("one of the default family unless asked; both when preferred or required, in the order asked for", async () => {
      const { spec: plain } = await create({});
      expect(plain).toMatchObject({ ipFamilyPolicy: "SingleStack", ipFamilies: ["IPv4"], clusterIPs: [expect.stringMatching(V4)] });
      for (const ipFamilyPolicy of ["PreferDualStack", "RequireDualStack"]) {
        const { spec } = await create({ ipFamilyPolicy });
        expect(spec.ipFamilies).toEqual(["IPv4", "IPv6"]);
        expect(spec.clusterIPs).toEqual([expect.stringMatching(V4), expect.stringMatching(V6)]);
        expect(spec.clusterIP).toBe(spec.clusterIPs[0]);
      }
      const { spec: turned } = await create({ ipFamilyPolicy: "RequireDualStack", ipFamilies: ["IPv6", "IPv4"] });
      expect(turned.clusterIPs).toEqual([expect.stringMatching(V6), expect.stringMatching(V4)]);
      const { spec: six } = await create({ ipFamilies: ["IPv6"] });
      expect(six).toMatchObject({ ipFamilyPolicy: "SingleStack", clusterIPs: [expect.stringMatching(V6)] });
    });

    it("families are read off chosen addresses; what does not fit is refused", async () => {
      const { spec } = await create({ clusterIP: "fd00:10:96::aa" });
      expect(spec).toMatchObject({ ipFamilies: ["IPv6"], clusterIPs: ["fd00:10:96::aa"] });
      expect(await refusal(create({ clusterIP: "fd00:10:96::aa" }))).toContain("provided IP is already allocated");
      expect(await refusal(create({ clusterIPs: ["10.96.7.7", "fd00:10:96::ab"] }))).toContain(
        "must be RequireDualStack or PreferDualStack when multiple clusterIPs are specified",
      );
      expect(await refusal(create({ ipFamilies: ["IPv4", "IPv6"] }))).toContain("when multiple ipFamilies are specified");
      expect(await refusal(create({ clusterIP: "fd00:99::1" }))).toContain("the provided network does not match the current range");
      const headless = await create({ clusterIP: "None", ipFamilyPolicy: "PreferDualStack" });
      expect(headless.spec).toMatchObject({ clusterIPs: ["None"], ipFamilies: ["IPv4", "IPv6"] });
    });

    it("a Service is widened and narrowed by its policy, and the second address is given back", async () => {
      const s = await create({});
      const name = s.metadata.name as string;
      const patch = (spec: object) => plane.client.patch<any>(Resources.services, "default", name, "merge", { spec });
      const wide = await patch({ ipFamilyPolicy: "RequireDualStack" });
      expect(wide.spec.clusterIPs).toEqual([s.spec.clusterIP, expect.stringMatching(V6)]);
      const second = wide.spec.clusterIPs[1] as string;
      expect((await plane.client.get(IP_ADDRESSES, "", second))["spec"].parentRef.name).toBe(name);
      const narrow = await patch({ ipFamilyPolicy: "SingleStack" });
      expect(narrow.spec).toMatchObject({ clusterIPs: [s.spec.clusterIP], ipFamilies: ["IPv4"] });
      await eventually("the address is free", async () => {
        const { items } = await plane.client.list(IP_ADDRESSES);
        return items.every((i) => i.metadata.name !== second) || undefined;
      });
    });

    it("nodes get a range of each family", async () => {
      await plane.client.create(Resources.nodes, { metadata: { name: "n1" } } as never);
      const node = await eventually("ranges", async () => {
        const got = (await plane.client.get(Resources.nodes, "", "n1")) as any;
        return got.spec?.podCIDRs ? got : undefined;
      });
      expect(node.spec.podCIDRs).toEqual(["10.244.0.0/24", "fd00:10:244::/64"]);
      const cidrs = (await plane.client.get(SERVICE_CIDRS, "", "kubernetes")) as any;
      expect(cidrs.spec.cidrs).toEqual(["10.96.0.0/12", "fd00:10:96::/112"]);
    });
  });

  it("in a single-stack cluster dual-stack is refused when required, and left out when preferred", async () => {
    plane = await start("10.96.0.0/12");
    try {
      expect(await refusal(create({ ipFamilyPolicy: "RequireDualStack" }))).toContain(
        "this cluster is not configured for dual-stack services",
      );
      expect(await refusal(create({ ipFamilies: ["IPv6"] }))).toContain("not configured on this cluster");
      expect((await create({ ipFamilyPolicy: "PreferDualStack" })).spec.ipFamilies).toEqual(["IPv4"]);
    } finally {
      await plane.stop();
    }
  });
});

const absent = missing("kubectl");

describe.skipIf(absent).each(["vxlan", "host-gw"])(`a dual-stack cluster by %s (skipped when: ${absent ?? "nothing"})`, (overlay) => {
  let cluster: Cluster;
  const apply = (...objects: object[]) =>
    cluster.kubectl(["apply", "-f", "-"], { input: objects.map((o) => `---\n${JSON.stringify(o)}\n`).join("") });
  const pod = (name: string, nodeName: string, app = name) => ({
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, labels: { app } },
    spec: {
      nodeName,
      terminationGracePeriodSeconds: 0,
      containers: [
        { name: "c", image: "registry.k8s.io/e2e-test-images/agnhost:2.56", args: ["netexec", "--http-port=8080", "--udp-port=8081"] },
      ],
    },
  });
  const sh = (from: string, command: string) => cluster.kubectl(["exec", from, "--", "sh", "-c", command]);
  const dial = async (host: string, port: number, tries: number, protocol = "http"): Promise<string[]> => {
    const url = `http://127.0.0.1:8080/dial?host=${host}&port=${port}&protocol=${protocol}&request=hostname&tries=${tries}`;
    const answer = JSON.parse(await sh("asker", `wget -T 5 -qO- '${url}'`));
    if (answer.errors) throw new Error(answer.errors.join("; "));
    return answer.responses;
  };
  const spread = (host: string, port: number, protocol = "http") =>
    eventually(`${host}:${port} ${protocol}`, async () => {
      const seen = new Set(await dial(host, port, 16, protocol));
      return seen.has("end-1") && seen.has("end-2") ? true : undefined;
    });

  beforeAll(async () => {
    cluster = await startCluster({ nodes: 2, up: ["--dual-stack"], args: [`node-agent=--overlay=${overlay}`] });
    await apply(pod("end-1", "node-1", "end"), pod("end-2", "node-2", "end"), pod("asker", "node-1"));
    await cluster.kubectl(["wait", "--for=condition=Ready", "--timeout=60s", "pod", "--all"]);
  });
  afterAll(() => cluster?.stop());

  it("nodes, pods and EndpointSlices have both families; either is reached across nodes", async () => {
    const { items: nodes } = await cluster.object("get", "nodes");
    for (const n of nodes) {
      expect(n.spec.podCIDRs).toHaveLength(2);
      expect(n.status.addresses.filter((a: any) => a.type === "InternalIP")).toHaveLength(2);
    }
    const { status } = await cluster.object("get", "pod", "end-2");
    expect(status.podIPs.map((i: any) => i.ip)).toEqual([status.podIP, expect.stringMatching(/^fd00:10:244:/)]);
    expect(status.hostIPs).toHaveLength(2);
    const [, six] = status.podIPs.map((i: any) => i.ip as string);
    expect(await dial(six, 8080, 1)).toEqual(["end-2"]);
    expect(await dial(six, 8081, 1, "udp")).toEqual(["end-2"]);
    const asker = (await cluster.object("get", "pod", "asker")).status.podIPs[1].ip;
    expect(await sh("asker", `wget -T 5 -qO- 'http://[${six}]:8080/clientip'`)).toMatch(new RegExp(`^\\[${asker}\\]:`));
    expect(await sh("end-2", "cat /etc/hosts")).toContain(`${six}\tend-2`);
  });

  it("a Service answers on both of its addresses, on IPv6 node ports, and its name has A and AAAA", async () => {
    await apply({
      apiVersion: "v1",
      kind: "Service",
      metadata: { name: "both" },
      spec: {
        type: "NodePort",
        ipFamilyPolicy: "RequireDualStack",
        selector: { app: "end" },
        ports: [
          { name: "web", port: 80, targetPort: 8080 },
          { name: "udp", port: 81, protocol: "UDP", targetPort: 8081 },
        ],
      },
    });
    const { spec } = await cluster.object("get", "service", "both");
    const [four, six] = spec.clusterIPs as [string, string];
    for (const host of [four, six]) {
      await spread(host, 80);
      await spread(host, 81, "udp");
    }
    const node = (await cluster.object("get", "node", "node-2")).status.addresses.filter((a: any) => a.type === "InternalIP")[1].address;
    await spread(node, spec.ports[0].nodePort);
    const slices = await cluster.object("get", "endpointslices", "-l", "kubernetes.io/service-name=both");
    expect(slices.items.map((s: any) => s.addressType).sort()).toEqual(["IPv4", "IPv6"]);
    const name = "both.default.svc.cluster.local";
    expect(await sh("asker", `dig +short ${name} A ${name} AAAA`)).toContain(six);
    expect(await sh("asker", `nslookup ${name}`)).toContain(four);
    expect(await sh("asker", `dig +short -x ${six}`)).toContain(name);
  });

  it("cluster DNS answers at an address of each family, by UDP and TCP; pods are told of both", async () => {
    const { spec } = await cluster.object("get", "service", "-n", "kube-system", "kube-dns");
    expect(spec).toMatchObject({ ipFamilies: ["IPv4", "IPv6"], clusterIPs: ["10.96.0.10", "fd00:10:96::a"] });
    expect(await sh("asker", "grep nameserver /etc/resolv.conf")).toBe("nameserver 10.96.0.10\nnameserver fd00:10:96::a");
    const name = "kubernetes.default.svc.cluster.local";
    for (const server of spec.clusterIPs)
      for (const how of ["", "+tcp"])
        expect([server, how, await sh("asker", `dig @${server} ${how} +short ${name}`)]).toEqual([server, how, "10.96.0.1"]);
  });
});
