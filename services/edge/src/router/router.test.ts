// The router on bare frames: who gets a flow, that it stays there, and what moves when a node goes.

import type { EndpointSlice, Node, Service } from "@podwire/api";
import { systemClock } from "@podwire/base";
import type { WireFrame } from "@podwire/bus";
import { describe, expect, it } from "vitest";
import { type Candidate, candidatesFor, readyNodes } from "./candidates.ts";
import { FlowTable, flowKey, MAX_FLOWS, rendezvous } from "./flows.ts";
import { routerOn } from "./router.ts";

const node = (i: number): Candidate => ({ name: `node-${i}`, address: `172.30.1.${i}` });

/** Ethernet + IPv4 + ports; checksums do not matter here. */
function frame(o: { vip: string; sport: number; dport?: number; protocol?: number }): WireFrame {
  const bytes = new Uint8Array(14 + 20 + 20);
  const v = new DataView(bytes.buffer);
  bytes.set([0x02, 0x42, 198, 51, 100, 1], 0);
  bytes[14] = 0x45;
  bytes[23] = o.protocol ?? 6;
  bytes.set([203, 0, 113, 7], 26);
  bytes.set(o.vip.split(".").map(Number), 30);
  v.setUint16(34, o.sport);
  v.setUint16(36, o.dport ?? 80);
  return { bytes, gsoSize: 0, traceId: 0, traceHop: 0 };
}

describe("router", () => {
  const sent: { to: string; frame: WireFrame }[] = [];
  const wire = { address: "172.30.0.3", send: (to: string, f: WireFrame) => void sent.push({ to, frame: f }), onFrame: () => undefined };
  let nodes = [node(1), node(2), node(3)];
  const router = routerOn(wire, new FlowTable(systemClock), () => nodes);

  it("spreads flows over nodes, addresses the frame to the node, and keeps a flow where it is", () => {
    for (let sport = 1000; sport < 1300; sport++) router.send("198.51.100.1", frame({ vip: "198.51.100.1", sport }));
    const counts = [1, 2, 3].map((i) => sent.filter((s) => s.to === `172.30.1.${i}`).length);
    for (const n of counts) expect(n).toBeGreaterThan(60);
    for (const s of sent) expect([...s.frame.bytes.slice(0, 6)]).toEqual([0x02, 0x42, 172, 30, 1, Number(s.to.at(-1))]);
    const before = new Map(sent.splice(0).map((s, i) => [1000 + i, s.to]));
    nodes = [node(1), node(3), node(4)];
    for (let sport = 1000; sport < 1300; sport++) router.send("198.51.100.1", frame({ vip: "198.51.100.1", sport }));
    const moved = sent.filter((s, i) => s.to !== before.get(1000 + i));
    // Only flows of the node that went away moved; the new node got some of those and none of the others'.
    expect(moved).toHaveLength([...before.values()].filter((to) => to === "172.30.1.2").length);
  });

  it("passes frames for nodes, and drops and counts what it cannot route", () => {
    sent.length = 0;
    router.send("172.30.1.2", frame({ vip: "172.30.1.2", sport: 1 }));
    expect(sent.map((s) => s.to)).toEqual(["172.30.1.2"]);
    router.send("198.51.100.1", frame({ vip: "198.51.100.1", sport: 1, protocol: 1 }));
    router.send("198.51.100.1", { ...frame({ vip: "198.51.100.1", sport: 1 }), bytes: new Uint8Array(20) });
    nodes = [];
    router.send("198.51.100.1", frame({ vip: "198.51.100.1", sport: 5 }));
    expect(router.counters).toMatchObject({ notRoutable: 2, noNode: 1 });
    expect(sent).toHaveLength(1);
  });
});

describe("flows", () => {
  it("gives different flows different keys below 2^53", () => {
    const keys = [
      flowKey(0xcb007107, 0xc6336401, 1, 80, 6),
      flowKey(0xcb007108, 0xc6336401, 1, 80, 6),
      flowKey(0xcb007107, 0xc6336402, 1, 80, 6),
      flowKey(0xcb007107, 0xc6336401, 2, 80, 6),
      flowKey(0xcb007107, 0xc6336401, 1, 81, 6),
      flowKey(0xcb0071ff, 0xc63364ff, 65535, 65535, 17),
    ];
    expect(new Set(keys).size).toBe(keys.length);
    expect(Math.max(...keys)).toBeLessThan(Number.MAX_SAFE_INTEGER);
  });

  it("is bounded", () => {
    const table = new FlowTable(systemClock);
    for (let i = 0; i < MAX_FLOWS + 10; i++) table.choose(i, [node(1)]);
    expect(table.size).toBeLessThanOrEqual(MAX_FLOWS);
  });

  it("has no node without candidates", () => {
    expect(rendezvous(1, [])).toBeUndefined();
  });
});

describe("candidates", () => {
  const make = (name: string, ready: string, labels = {}): Node => ({
    metadata: { name, labels },
    spec: {},
    status: { conditions: [{ type: "Ready", status: ready }], addresses: [{ type: "InternalIP", address: `ip-${name}` }] },
  });
  const nodes = [
    make("b", "True"),
    make("a", "True"),
    make("c", "Unknown"),
    make("d", "True", { "node.kubernetes.io/exclude-from-external-load-balancers": "" }),
  ];
  const slices: EndpointSlice[] = [
    {
      metadata: { name: "s" },
      addressType: "IPv4",
      endpoints: [
        { addresses: ["1"], nodeName: "b" },
        { addresses: ["2"], nodeName: "a", conditions: { ready: false } },
      ],
    },
  ];
  const service = (externalTrafficPolicy: string): Service => ({ metadata: { name: "x" }, spec: { externalTrafficPolicy } });

  it("are Ready nodes that are not excluded; with policy Local those with a ready endpoint; all when none is Ready", () => {
    const ready = readyNodes(nodes);
    expect(ready.map((n) => n.name)).toEqual(["a", "b", "d"]);
    expect(readyNodes([make("x", "False"), make("y", "Unknown")]).map((n) => n.name)).toEqual(["x", "y"]);
    expect(candidatesFor(service("Cluster"), ready, nodes, slices).map((n) => n.name)).toEqual(["a", "b"]);
    expect(candidatesFor(service("Local"), ready, nodes, slices).map((n) => n.name)).toEqual(["b"]);
  });
});
