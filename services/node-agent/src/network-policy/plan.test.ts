// Network policies on nodes with a bridge, a tunnel and kube-proxy: what is enforced where, on connections new and old.
import { PolicyEngine } from "@podwire/net";
import { listen, settle, tcp, two, udp } from "@podwire/testkit";
import { afterEach, expect, test } from "vitest";
import { createProxier, type ServiceInput } from "../kube-proxy/index.ts";
import { type NetworkPolicyLike, planPolicies } from "./plan.ts";

let net: ReturnType<typeof two> | undefined;
afterEach(() => net?.close());

const pod = (ip: string, app: string, node: string, extra: object = {}) => ({
  metadata: { namespace: "default", name: app, labels: { app } },
  spec: { nodeName: node, containers: [{ ports: [{ name: "http", containerPort: 8080, protocol: "TCP" }] }], ...extra },
  status: { phase: "Running", podIPs: [{ ip }] },
});
const PODS = [pod("10.244.1.2", "client", "node-1"), pod("10.244.1.3", "near", "node-1"), pod("10.244.2.2", "far", "node-2")];
const NAMESPACES = [{ metadata: { name: "default", labels: {} } }];
const denyIngress: NetworkPolicyLike = {
  metadata: { namespace: "default", name: "deny" },
  spec: { podSelector: {}, policyTypes: ["Ingress"] },
};

function cluster() {
  net = two();
  const { a, b, points } = net;
  const [client, near, far] = [a.addPod(2), a.addPod(3), b.addPod(2)];
  const engines = [a, b].map((n) => {
    const engine = new PolicyEngine();
    n.root.netfilter.addExtension(engine.extension);
    return engine;
  });
  const enforce = (...policies: NetworkPolicyLike[]) => {
    engines.forEach((e, i) => {
      e.replace(planPolicies({ policies, pods: PODS, namespaces: NAMESPACES, nodeName: `node-${i + 1}` }));
    });
  };
  return { a, b, client, near, far, engines, enforce, points };
}

test("a pod on the same bridge is protected, the node itself is let in, answers pass", async () => {
  const { a, client, near, enforce } = cluster();
  const [gotNear, gotRoot, gotClient] = [listen(near), listen(a.root), listen(client)];
  enforce(denyIngress);
  client.output(udp("10.244.1.2", 1, "10.244.1.3", 8080, "pod"));
  a.root.output(udp("10.244.1.1", 2, "10.244.1.3", 8080, "probe"));
  near.output(udp("10.244.1.3", 3, "172.30.1.1", 53, "to my node"));
  await settle();
  expect(gotNear.map((s) => s.text).sort()).toEqual(["probe", "re:to my node"]);
  expect(gotRoot.map((s) => s.text).sort()).toEqual(["re:probe", "to my node"]);
  expect(gotClient).toEqual([]);
  expect(a.root.readCounters().drops["networkPolicy"]).toBe(1);
});

test("the trace names the policy that denied, and the rule that allowed", async () => {
  const { client, far, enforce, points } = cluster();
  const got = listen(far);
  listen(client);
  enforce(denyIngress, {
    metadata: { namespace: "default", name: "let-client" },
    spec: {
      podSelector: { matchLabels: { app: "far" } },
      policyTypes: ["Ingress"],
      ingress: [
        { from: [{ ipBlock: { cidr: "192.0.2.0/24" } }] },
        { from: [{ podSelector: { matchLabels: { app: "client" } } }], ports: [{ port: "http" }] },
      ],
    },
  });
  client.armTrace({ traceId: 5, dst: "10.244.2.2", maxPackets: 10, untilMs: Date.now() + 10_000 });
  client.output(tcp("10.244.1.2", 1, "10.244.2.2", 8080, 2));
  client.output(tcp("10.244.1.2", 2, "10.244.2.2", 9090, 2));
  await settle();
  expect(got.map((s) => s.dport)).toEqual([8080]);
  const policy = points.filter((x) => x.place === "policy" && x.before.src === "10.244.1.2");
  expect(policy.map((x) => [x.process, x.name, x.verdict, x.rule])).toEqual([
    ["node-2", "ingress", "accept", "NetworkPolicy default/let-client ingress[1]"],
    [
      "node-2",
      "ingress",
      "drop",
      "NetworkPolicy default/deny, default/let-client ingress: no rule allows 10.244.1.2 to 10.244.2.2 tcp 9090",
    ],
  ]);
  expect(points.find((x) => x.place === "drop")).toMatchObject({ name: "forward", detail: { reason: "networkPolicy" } });
});

test("a new policy cuts a connection that is open, and its end lets it live again", async () => {
  const { client, far, enforce } = cluster();
  const got = listen(far, false);
  listen(client, false);
  client.output(tcp("10.244.1.2", 9, "10.244.2.2", 8080, 2));
  await settle();
  far.output(tcp("10.244.2.2", 8080, "10.244.1.2", 9, 0x12, 100, 2));
  await settle();
  const data = () => client.output(tcp("10.244.1.2", 9, "10.244.2.2", 8080, 0x10, 2, 101));
  data();
  await settle();
  expect(got.length).toBe(2);
  enforce(denyIngress);
  data();
  await settle();
  expect(got.length).toBe(2);
  enforce();
  data();
  await settle();
  expect(got.length).toBe(3);
});

test("egress is judged by where the Service sends it, not by the Service's address", async () => {
  const { a, client, far, near, enforce } = cluster();
  const [gotFar, gotNear] = [listen(far), listen(near)];
  listen(client);
  const service = (name: string, clusterIP: string, ip: string) =>
    [
      `default/${name}`,
      {
        service: { metadata: { namespace: "default", name }, spec: { clusterIP, ports: [{ name: "p", port: 80, protocol: "UDP" }] } },
        slices: [
          {
            metadata: { labels: { "kubernetes.io/service-name": name } },
            addressType: "IPv4",
            ports: [{ name: "p", port: 8080, protocol: "UDP" }],
            endpoints: [{ addresses: [ip], conditions: { ready: true } }],
          },
        ],
      },
    ] as [string, ServiceInput];
  const settings = {
    family: 4 as const,
    nodeName: "node-1",
    nodeLabels: {},
    nodeIPs: ["172.30.1.1"],
    podCIDR: "10.244.0.0/16",
    masqueradeAll: false,
    nodePortAddresses: undefined,
    localhostNodePorts: true,
    preferSameTrafficDistribution: true,
  };
  createProxier("iptables", a.root, settings).sync(
    new Map([service("far", "10.96.0.1", "10.244.2.2"), service("near", "10.96.0.2", "10.244.1.3")]),
  );
  enforce({
    metadata: { namespace: "default", name: "only-far" },
    spec: {
      podSelector: { matchLabels: { app: "client" } },
      policyTypes: ["Egress"],
      egress: [{ to: [{ podSelector: { matchLabels: { app: "far" } } }], ports: [{ protocol: "UDP", port: 8080 }] }],
    },
  });
  client.output(udp("10.244.1.2", 1, "10.96.0.1", 80, "allowed"));
  client.output(udp("10.244.1.2", 2, "10.96.0.2", 80, "denied"));
  await settle();
  expect([gotFar.map((s) => s.text), gotNear]).toEqual([["allowed"], []]);
});

test("finished pods and pods of the host network are neither targets nor peers", () => {
  const pods = [
    pod("10.244.1.2", "a", "node-1"),
    { ...pod("10.244.1.3", "b", "node-1"), status: { phase: "Succeeded", podIPs: [{ ip: "10.244.1.3" }] } },
    pod("172.30.1.1", "c", "node-1", { hostNetwork: true }),
  ];
  const plan = planPolicies({ policies: [denyIngress], pods, namespaces: NAMESPACES, nodeName: "node-1" });
  expect(plan.map((p) => p.pod)).toEqual(["default/a"]);
});
