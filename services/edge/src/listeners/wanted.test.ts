// Listeners wanted by Services of every type, and the annotation that carries their ports over a restart.
import type { Service } from "@podwire/api";
import { expect, it } from "vitest";
import { hostAddresses, portsBefore, wantedListeners } from "./wanted.ts";

const service = (spec: Service["spec"], ip?: string): Service => ({
  metadata: { name: "web", namespace: "default" },
  spec,
  ...(ip ? { status: { loadBalancer: { ingress: [{ ip }] } } } : {}),
});
const options = { nodePorts: true, published: [] };

it("wants a listener for each port of a load balancer that has its address, and one for each node port", () => {
  const s = service(
    {
      type: "LoadBalancer",
      ports: [
        { port: 80, nodePort: 30080 },
        { port: 5353, protocol: "UDP" },
        { port: 9, protocol: "SCTP" },
      ],
    },
    "198.51.100.1",
  );
  const wanted = wantedListeners(s, options, new Map());
  expect(wanted.map((w) => [w.protocol, w.ports, w.announced])).toEqual([
    ["tcp", [0], true],
    ["tcp", [30080], false],
    ["udp", [5353, 0], true],
  ]);
  const open = wanted.filter((w) => w.announced).map((w, i) => ({ wanted: w, port: 4000 + i }));
  const text = hostAddresses(s, open.reverse(), "127.0.0.1");
  expect(text).toBe("127.0.0.1:4000,127.0.0.1:4001/udp");
  expect(portsBefore({ ...s, spec: { ...s.spec, ports: s.spec.ports?.slice(0, 2) ?? [] } }, text)).toEqual(
    new Map([
      ["tcp 80", 4000],
      ["udp 5353", 4001],
    ]),
  );
});

it("tries the port of an earlier life first", () => {
  const s = service({ type: "LoadBalancer", ports: [{ port: 8080 }] }, "198.51.100.1");
  const before = new Map([["tcp 8080", 4711]]);
  expect(wantedListeners(s, options, before)[0]?.ports).toEqual([4711, 8080, 0]);
  expect(wantedListeners(s, { nodePorts: true, published: [7000, 7001] }, before)[0]?.ports).toEqual([7000, 7001]);
  expect(wantedListeners(s, { nodePorts: true, published: [8079, 8080] }, before)[0]?.ports).toEqual([8080, 8079]);
});

it("announces the node port of a NodePort Service, and nothing for a ClusterIP", () => {
  expect(wantedListeners(service({ type: "NodePort", ports: [{ port: 80, nodePort: 31000 }] }), options, new Map())).toMatchObject([
    { ports: [31000], announced: true, target: { kind: "nodePort", port: 31000 } },
  ]);
  expect(wantedListeners(service({ type: "ClusterIP", ports: [{ port: 80 }] }), options, new Map())).toEqual([]);
  expect(wantedListeners(service({ type: "LoadBalancer", ports: [{ port: 80 }] }), options, new Map())).toEqual([]);
});
