// When a volume is attached, taken away, waited for and refused.
import type { KubeObject } from "@podwire/client";
import { expect, it } from "vitest";
import { type AttachState, MAX_WAIT_FOR_UNMOUNT_MS, planAttachments, uniqueName } from "./plan.ts";

const volume = (...accessModes: string[]): KubeObject => ({
  metadata: { name: "pv" },
  spec: { accessModes, csi: { driver: "d", volumeHandle: "h" } },
});
const pod = (name: string, nodeName: string, phase = "Running", namespace = "ns"): KubeObject => ({
  metadata: { name, namespace, uid: name },
  spec: { nodeName },
  status: { phase },
});
const node = (name: string, o: { inUse?: boolean; ready?: boolean; taint?: string } = {}): KubeObject => ({
  metadata: { name },
  spec: o.taint ? { taints: [{ key: o.taint, effect: "NoExecute" }] } : {},
  status: {
    volumesInUse: o.inUse ? [uniqueName(volume())] : [],
    conditions: [{ type: "Ready", status: (o.ready ?? true) ? "True" : "Unknown" }],
  },
});
const attachment = (nodeName: string, deleting = false): KubeObject => ({
  metadata: { name: `va-${nodeName}`, ...(deleting ? { deletionTimestamp: "2026-01-01T00:00:00Z" } : {}) },
  spec: { nodeName, source: { persistentVolumeName: "pv" } },
});
function plan(o: Partial<AttachState> & { nodes?: KubeObject[] }) {
  const nodes = o.nodes ?? [node("a"), node("b")];
  return planAttachments({
    volume: volume("ReadWriteOnce"),
    pods: [],
    attachments: [],
    node: (n) => nodes.find((x) => x.metadata.name === n),
    unwantedSinceMs: () => undefined,
    nowMs: 1_000_000,
    ...o,
  });
}

it("attaches once a node, for pods that are not over", () => {
  const pods = [pod("p", "a"), pod("q", "a"), pod("done", "b", "Succeeded")];
  expect(plan({ pods })).toEqual([{ do: "attach", node: "a", pods: pods.slice(0, 2) }]);
  expect(plan({ pods, attachments: [attachment("a")] })).toEqual([]);
  expect(plan({ pods: [pod("p", "gone")] })).toEqual([]);
});

it("attaches to one node only, unless the volume may be shared", () => {
  const pods = [pod("p", "a"), pod("q", "b")];
  const message = "Volume is already used by pod(s) p";
  expect(plan({ pods, attachments: [attachment("a")] })).toEqual([{ do: "conflict", pods: [pods[1]], message }]);
  expect(plan({ pods }).map((s) => s.do)).toEqual(["attach", "conflict"]);
  expect(plan({ pods, volume: volume("ReadWriteMany"), attachments: [attachment("a")] }).map((s) => s.do)).toEqual(["attach"]);
  const foreign = [pod("p", "a", "Running", "other"), pods[1] as KubeObject];
  expect(plan({ pods: foreign, attachments: [attachment("a")] })[0]).toMatchObject({
    message: "Volume is already used by 1 pod(s) in different namespaces",
  });
  expect(plan({ pods: [pods[1] as KubeObject], attachments: [attachment("a", true)] })[0]).toMatchObject({
    message: "Volume is already exclusively attached to one node and can't be attached to another",
  });
});

it("takes a volume away when its node has let go, or can no longer be asked", () => {
  const attachments = [attachment("a")];
  expect(plan({ attachments })).toEqual([{ do: "detach", attachment: attachments[0] }]);
  const busy = { inUse: true };
  expect(plan({ attachments, nodes: [node("a", busy)] })[0]).toMatchObject({ do: "wait", node: "a" });
  expect(plan({ attachments, nodes: [] })[0]?.do).toBe("detach");
  const silent = [node("a", { ...busy, ready: false })];
  const since = (ms: number) => () => 1_000_000 - ms;
  expect(plan({ attachments, nodes: silent, unwantedSinceMs: since(MAX_WAIT_FOR_UNMOUNT_MS - 1) })[0]).toEqual({
    do: "wait",
    node: "a",
    atMs: 1_000_001,
  });
  expect(plan({ attachments, nodes: silent, unwantedSinceMs: since(MAX_WAIT_FOR_UNMOUNT_MS) })[0]?.do).toBe("detach");
  // A healthy node is never robbed, whatever time has passed.
  expect(plan({ attachments, nodes: [node("a", busy)], unwantedSinceMs: since(10 * MAX_WAIT_FOR_UNMOUNT_MS) })[0]?.do).toBe("wait");
  const out = [node("a", { ...busy, ready: false, taint: "node.kubernetes.io/out-of-service" })];
  expect(plan({ attachments, nodes: out })[0]?.do).toBe("detach");
});
