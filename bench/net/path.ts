// The way of a packet through two nodes in one process: pod, veth, bridge, hooks, VXLAN, wire (memory), and the same back up; with
// kube-proxy's rules for 1,000 Services in both nodes. CPU nanoseconds a packet, for a bare pod-to-pod flow and one by ClusterIP.
// node bench/net/path.ts. Prints one JSON line a measurement.

import { two, udp } from "../../packages/testkit/src/two-nodes.ts";
import { createProxier, type ServiceInput } from "../../services/node-agent/src/kube-proxy/index.ts";

const net = two();
const [p, q] = [net.a.addPod(2), net.b.addPod(2)];
let arrived = 0;
q.sockets = {
  input: (packet) => {
    packet.release();
    arrived++;
    return true;
  },
};

function service(i: number): [string, ServiceInput] {
  return [
    `default/s${i}`,
    {
      service: {
        metadata: { namespace: "default", name: `s${i}` },
        spec: { clusterIP: `10.96.${i >> 8}.${i & 255}`, ports: [{ name: "p", port: 80, protocol: "UDP" }] },
      },
      slices: [
        {
          addressType: "IPv4",
          metadata: {},
          ports: [{ name: "p", port: 8080, protocol: "UDP" }],
          endpoints: [{ addresses: ["10.244.2.2"], conditions: { ready: true } }],
        },
      ],
    },
  ];
}

async function measure(name: string, count: number, send: (i: number) => void): Promise<void> {
  const run = async (n: number) => {
    const goal = arrived + n;
    for (let i = 0; i < n; i += 256) {
      for (let k = 0; k < 256 && i + k < n; k++) send(i + k);
      while (arrived < Math.min(goal, goal - n + i + 256)) await new Promise((r) => setImmediate(r));
    }
  };
  await run(count);
  const start = process.cpuUsage();
  await run(count);
  const used = process.cpuUsage(start);
  console.log(JSON.stringify({ name, cpuNsPerPacket: Math.round(((used.user + used.system) * 1000) / count) }));
}

const template = (dst: string, port: number) => udp("10.244.1.2", 5000, dst, port, "", { bytes: 1000 });
const [direct, viaService] = [template("10.244.2.2", 8080), template("10.96.0.7", 80)];

// Neighbours are asked for once, before anything is measured.
p.output(direct.clone());
while (arrived === 0) await new Promise((r) => setTimeout(r, 5));

await measure("making the packet alone", 50_000, () => {
  direct.clone();
  arrived++;
});
await measure("pod to pod, two nodes, no rules", 50_000, () => void p.output(direct.clone()));
const services = new Map(Array.from({ length: 1000 }, (_, i) => service(i)));
for (const [i, n] of [net.a, net.b].entries())
  createProxier("iptables", n.root, {
    family: 4,
    nodeName: `node-${i}`,
    nodeLabels: {},
    nodeIPs: [n.underlay],
    podCIDR: "10.244.0.0/16",
    masqueradeAll: false,
    nodePortAddresses: undefined,
    localhostNodePorts: true,
    preferSameTrafficDistribution: true,
  }).sync(services);
await measure("pod to pod, two nodes, kube-proxy's rules", 50_000, () => void p.output(direct.clone()));
await measure("pod to ClusterIP, two nodes", 50_000, () => void p.output(viaService.clone()));
let port = 0;
await measure("pod to ClusterIP, a new connection each", 20_000, () => {
  const c = udp("10.244.1.2", 1024 + (port++ % 60_000), "10.96.0.7", 80, "x");
  p.output(c);
});
net.close();
