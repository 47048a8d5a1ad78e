import { describe, expect, test } from "vitest";
import { registry } from "../resources.ts";
import { allStructRefs, structOf, structType } from "./registry.ts";

describe("type registry", () => {
  test("every struct of the table can be built, with every reference resolved", () => {
    const seen = new Set<string>();
    for (const ref of allStructRefs()) {
      for (const f of structType(ref).fields) {
        for (let t: typeof f.type | undefined = f.type; t; t = t.element) {
          if (t.shape === "struct") seen.add(structOf(t).ref);
        }
      }
    }
    expect(allStructRefs().length).toBeGreaterThan(600);
    expect(seen.size).toBeGreaterThan(400);
  });

  test("inlined embeds are flat in JSON and messages on the wire", () => {
    const volume = structType("core/v1.Volume");
    expect(volume.byName.get("configMap")?.type.ref).toBe("core/v1.ConfigMapVolumeSource");
    expect(volume.wire.map((f) => f.pb)).toEqual([1, 2]);
    expect(volume.byNumber[2]?.inline).toBe(true);
  });

  test("names of Go types, as decoding errors print them", () => {
    const spec = structType("core/v1.PodSpec");
    expect(spec.byName.get("containers")?.type.goName).toBe("[]v1.Container");
    expect(structType("core/v1.ConfigMap").byName.get("data")?.type.element?.goName).toBe("string");
  });

  test("66 resources, each with a registered kind", () => {
    expect(registry.resources()).toHaveLength(66);
    for (const r of registry.resources()) expect(r.type?.name, r.groupResource).toBe(r.kind);
    expect(registry.byKind("apps", "v1", "Deployment")?.subresources.map((s) => s.name)).toEqual(["scale", "status"]);
    expect(registry.storage("events.k8s.io", "events")?.group).toBe("");
    expect(registry.storage("autoscaling", "horizontalpodautoscalers")?.version).toBe("v2");
  });
});
