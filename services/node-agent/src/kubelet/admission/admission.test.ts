// Admission's reasons and messages, word for word as the kubelet gives them.
import type { Pod } from "@podwire/api";
import { expect, it } from "vitest";
import { type AdmissionNode, admitPod } from "./admission.ts";

const node: AdmissionNode = {
  name: "n",
  labels: { zone: "a", "kubernetes.io/hostname": "n" },
  taints: [],
  allocatable: { cpu: "2", memory: "1Gi", pods: "3", "ephemeral-storage": "10Gi", "example.com/dongle": "1" },
  pressures: [],
  shuttingDown: false,
  allowedUnsafeSysctls: [],
};
let n = 0;
const pod = (spec: object = {}, requests: Record<string, string> = {}, meta: object = {}) =>
  ({
    metadata: { name: `p${++n}`, namespace: "d", uid: `u${n}`, ...meta },
    spec: { nodeName: "n", containers: [{ name: "c", resources: { requests } }], ...spec },
  }) as unknown as Pod;
const reject = (p: Pod, others: Pod[] = [], over: Partial<AdmissionNode> = {}) => {
  const v = admitPod(p, others, { ...node, ...over });
  return v.admit ? undefined : [v.reason, v.message];
};

it("resources in the scheduler's order, with numbers", () => {
  expect(reject(pod({}, { cpu: "2" }))).toBeUndefined();
  expect(reject(pod({}, { cpu: "1500m", memory: "2Gi" }), [pod({}, { cpu: "600m" })])).toEqual([
    "OutOfcpu",
    "Node didn't have enough resource: cpu, requested: 1500, used: 600, capacity: 2000",
  ]);
  expect(reject(pod({}, { memory: "2Gi" }))?.[1]).toBe(
    "Node didn't have enough resource: memory, requested: 2147483648, used: 0, capacity: 1073741824",
  );
  expect(reject(pod(), [pod(), pod(), pod()])).toEqual([
    "OutOfpods",
    "Node didn't have enough resource: pods, requested: 1, used: 3, capacity: 3",
  ]);
  expect(reject(pod({}, { "example.com/dongle": "2" }))?.[0]).toBe("OutOfexample.com/dongle");
  expect(reject(pod({}, { "example.com/unknown": "2" }))).toBeUndefined();
});

it("overhead, init containers and sidecars count", () => {
  expect(reject(pod({ overhead: { cpu: "250m" } }, { cpu: "1800m" }))?.[1]).toContain("requested: 2050");
  const init = [
    { name: "s", restartPolicy: "Always", resources: { requests: { cpu: "500m" } } },
    { name: "i", resources: { requests: { cpu: "1600m" } } },
  ];
  expect(reject(pod({ initContainers: init }, { cpu: "100m" }))?.[1]).toContain("requested: 2100");
});

it("node affinity, selector, ports and taints", () => {
  const affinity = (operator: string, values: string[]) => ({
    affinity: {
      nodeAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [{ matchExpressions: [{ key: "zone", operator, values }] }] },
      },
    },
  });
  expect(reject(pod(affinity("In", ["a", "b"])))).toBeUndefined();
  expect(reject(pod(affinity("NotIn", ["a"])))).toEqual([
    "NodeAffinity",
    "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector",
  ]);
  expect(reject(pod({ nodeSelector: { zone: "b" } }))?.[0]).toBe("NodeAffinity");
  const ports = (hostPort: number, hostIP = "") => ({ containers: [{ name: "c", ports: [{ containerPort: 1, hostPort, hostIP }] }] });
  expect(reject(pod(ports(80)), [pod(ports(80, "1.2.3.4"))])).toEqual([
    "NodePorts",
    "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports",
  ]);
  expect(reject(pod(ports(80, "1.2.3.5")), [pod(ports(80, "1.2.3.4"))])).toBeUndefined();
  const taints = [{ key: "k", value: "v", effect: "NoExecute" }];
  expect(reject(pod(), [], { taints })?.[1]).toBe("Predicate TaintToleration failed: node(s) had taints that the pod didn't tolerate");
  expect(reject(pod({ tolerations: [{ key: "k", operator: "Exists" }] }), [], { taints })).toBeUndefined();
  expect(reject(pod(), [], { taints: [{ key: "k", effect: "NoSchedule" }] })).toBeUndefined();
});

it("pressure turns best-effort pods away, and everybody but the critical when it is not memory", () => {
  expect(reject(pod(), [], { pressures: ["MemoryPressure"] })).toEqual(["Evicted", "The node had condition: [MemoryPressure]. "]);
  expect(reject(pod({}, { cpu: "1" }), [], { pressures: ["MemoryPressure"] })).toBeUndefined();
  expect(reject(pod({}, { cpu: "1" }), [], { pressures: ["DiskPressure"] })?.[0]).toBe("Evicted");
  expect(reject(pod({ priority: 2_000_001_000 }), [], { pressures: ["DiskPressure"] })).toBeUndefined();
});

it("sysctls beyond the safe ones, other systems, a node that shuts down", () => {
  const sysctls = (name: string) => pod({ securityContext: { sysctls: [{ name, value: "1" }] } });
  expect(reject(sysctls("kernel.shm_rmid_forced"))).toBeUndefined();
  expect(reject(sysctls("kernel.msgmax"))).toEqual(["SysctlForbidden", 'forbidden sysctl: "kernel.msgmax" not allowlisted']);
  expect(reject(sysctls("kernel.msgmax"), [], { allowedUnsafeSysctls: ["kernel.msg*"] })).toBeUndefined();
  expect(reject(pod({ os: { name: "windows" } }))?.[0]).toBe("PodOSNotSupported");
  expect(reject(pod(), [], { shuttingDown: true })).toEqual(["NodeShutdown", "Pod was rejected as the node is shutting down."]);
});

it("a critical pod makes room: the least worthy pods that free what is missing", () => {
  const big = pod({}, { cpu: "1500m" }, { name: "big" });
  const best = pod({}, {}, { name: "best" });
  const v = admitPod(pod({ priority: 2_000_000_000 }, { cpu: "1" }), [best, big], node);
  expect(v.admit && v.preempt.map((p) => p.metadata!.name)).toEqual(["big"]);
  expect(reject(pod({}, { cpu: "1" }), [big])?.[0]).toBe("OutOfcpu");
});
