// [sig-scheduling] LimitRange: defaults and bounds of pods' resources.
import { expect } from "vitest";
import { conformance } from "../harness.ts";
import type { Json } from "../rest.ts";

conformance(
  "[sig-scheduling] LimitRange should create a LimitRange with defaults and ensure pod has those defaults applied. [Conformance]",
  async (t) => {
    const bounds = {
      min: { cpu: "50m", memory: "100Mi", "ephemeral-storage": "100Gi" },
      max: { cpu: "500m", memory: "500Mi", "ephemeral-storage": "500Gi" },
      default: { cpu: "500m", memory: "500Mi", "ephemeral-storage": "500Gi" },
      defaultRequest: { cpu: "100m", memory: "200Mi", "ephemeral-storage": "200Gi" },
    };
    const path = t.path("limitranges/limits");
    const limits = [{ type: "Container", ...bounds }];
    await t.create({ apiVersion: "v1", kind: "LimitRange", metadata: { name: "limits" }, spec: { limits } });
    expect((await t.api.get(path)).spec.limits[0]).toMatchObject(bounds);

    // Never bound: only what admission makes of the pods matters. (The scheduler's name is nobody's.)
    const made = (name: string, resources: Json): Promise<Json> =>
      t.create(t.pod(name, { container: { resources }, spec: { schedulerName: "nobody" } }));
    const resourcesOf = (p: Json): Json => p.spec.containers[0].resources;
    expect(resourcesOf(await made("none", {}))).toEqual({ requests: bounds.defaultRequest, limits: bounds.default });
    const partial = { requests: { cpu: "300m", memory: "150Mi" }, limits: { cpu: "300m" } };
    expect(resourcesOf(await made("partial", partial))).toEqual({
      requests: { cpu: "300m", memory: "150Mi", "ephemeral-storage": "200Gi" },
      limits: { cpu: "300m", memory: "500Mi", "ephemeral-storage": "500Gi" },
    });
    await expect(made("small", { requests: { cpu: "10m", memory: "50Mi" } })).rejects.toThrow("minimum cpu usage per Container is 50m");
    await expect(made("large", { requests: { cpu: "600m" }, limits: { cpu: "600m" } })).rejects.toThrow(
      "maximum cpu usage per Container is 500m",
    );

    await t.modify(path, (r) => (r.spec.limits[0].min = { cpu: "9m", memory: "49Mi", "ephemeral-storage": "49Gi" }));
    await t.eventually("the new bounds count", async () => {
      await made("small", { requests: { cpu: "10m", memory: "50Mi" } });
      return true;
    });
    await expect(made("larger", { requests: { cpu: "600m" }, limits: { cpu: "600m" } })).rejects.toThrow("maximum cpu usage");
    await t.api.delete(path);
    await t.eventually("it is gone", async () => (await t.api.find(path)) === undefined);
    await t.eventually("the bounds are gone", async () => {
      await made("large", { requests: { cpu: "600m" }, limits: { cpu: "600m" } });
      return true;
    });
  },
);
