// The plan of processes: slots, addresses, and where passed-through flags end up.
import { expect, it } from "vitest";
import { ClusterFolder, type ClusterRecord } from "../state/cluster-folder.ts";
import { underlayOfSlot } from "../state/identities.ts";
import { controlPlaneSpecs, nextNode, nodeSpec, type Surroundings } from "./components.ts";

const record: ClusterRecord = {
  version: 1,
  name: "c",
  apiPort: 6443,
  natsPort: 4222,
  dashboardPort: 8000,
  nodes: [
    { name: "node-1", slot: 1 },
    { name: "node-3", slot: 3 },
  ],
  slots: 16,
  without: [],
  args: { apiserver: ["--audit=1"], "node-agent": ["--v=debug"], "node-3": ["--node-labels=a=b"] },
};
const around: Surroundings = {
  installation: { root: "/r", version: "1", node: "/n", bundled: true, programOf: (c) => `/r/dist/${c}.mjs` },
  folder: new ClusterFolder("/h", "c"),
  natsServer: "/nats",
  natsConfig: "/c.conf",
  env: { PATH: "/bin", SECRET: "x" },
  logLevel: "info",
};

it("gives the lowest free slot", () => {
  expect(nextNode(record)).toEqual({ name: "node-2", slot: 2 });
  expect(nextNode(record, "gpu")).toEqual({ name: "gpu", slot: 2 });
});

it("numbers underlay addresses past one octet without .0 and .255", () => {
  expect([1, 250, 251, 500].map(underlayOfSlot)).toEqual(["172.30.1.1", "172.30.1.250", "172.30.2.1", "172.30.2.250"]);
});

it("passes flags to the component, to all nodes, and to one node", () => {
  expect(controlPlaneSpecs(around, record)[0]?.args.at(-1)).toBe("--audit=1");
  expect(nodeSpec(around, record, { name: "node-1", slot: 1 }).args.at(-1)).toBe("--v=debug");
  expect(nodeSpec(around, record, { name: "node-3", slot: 3 }).args.slice(-2)).toEqual(["--v=debug", "--node-labels=a=b"]);
});

it("does not hand its environment on", () => {
  expect(controlPlaneSpecs(around, record)[0]?.env).not.toHaveProperty("SECRET");
});

it("does not start what somebody else brings", () => {
  const names = controlPlaneSpecs(around, { ...record, without: ["scheduler"] }).map((s) => s.name);
  expect(names).toEqual(["apiserver", "controller-manager", "edge", "dashboard"]);
});
