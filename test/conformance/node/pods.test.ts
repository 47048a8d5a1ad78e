// [sig-node] Pods: life cycle, updates and streams of single pods.
import { expect } from "vitest";
import { BUSYBOX, conformance } from "../harness.ts";

conformance("[sig-node] Pods should be updated [NodeConformance] [Conformance]", async (t) => {
  await t.runPod("updated", { labels: { time: "before" } });
  await t.modify(t.path("pods/updated"), (p) => {
    p.metadata.labels.time = "after";
  });
  const { items } = await t.api.get(t.path("pods"), { query: { labelSelector: "time=after" } });
  expect(items.map((p: { metadata: { name: string } }) => p.metadata.name)).toEqual(["updated"]);
});

conformance("[sig-node] Pods should support remote command execution over websockets [NodeConformance] [Conformance]", async (t) => {
  await t.runPod("executes", { image: BUSYBOX, command: ["sh", "-c", "sleep 600"] });
  expect(await t.exec("executes", ["echo", "remote execution test"])).toBe("remote execution test\n");
  expect((await t.tryExec("executes", ["sh", "-c", "exit 7"])).code).toBe(7);
});

conformance(
  "[sig-node] Pods should support retrieving logs from the container over websockets [NodeConformance] [Conformance]",
  async (t) => {
    expect(await t.output("speaks", { image: BUSYBOX, command: ["sh", "-c", "echo container is alive"] })).toBe("container is alive\n");
  },
);
