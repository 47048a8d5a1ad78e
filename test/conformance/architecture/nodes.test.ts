// [sig-architecture]: what a cluster must have for the suite to mean anything.
import { expect } from "vitest";
import { conformance } from "../harness.ts";
import type { Json } from "../rest.ts";

conformance("[sig-architecture] Conformance Tests should have at least two untainted nodes [Conformance]", async (t) => {
  const { items } = await t.api.get("/api/v1/nodes");
  const usable = items.filter(
    (n: Json) =>
      !n.spec.unschedulable &&
      !(n.spec.taints ?? []).some((x: Json) => x.effect === "NoSchedule" || x.effect === "NoExecute") &&
      n.status.conditions.some((c: Json) => c.type === "Ready" && c.status === "True"),
  );
  expect(usable.length).toBeGreaterThanOrEqual(2);
});
