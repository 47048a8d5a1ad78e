// RuntimeClass: a pod's class adds overhead, node selector and tolerations (plugin/pkg/admission/runtimeclass).
import { isDeepStrictEqual } from "node:util";
import type { KubeObject } from "@podwire/api";
import type { Api } from "../call.ts";
import type { AdmissionPlugin, Attributes } from "./chain.ts";
import { forbiddenBy } from "./forbidden.ts";

export function runtimeClass(api: Api): AdmissionPlugin {
  const classOf = (a: Attributes): KubeObject | undefined => {
    const name = a.object?.["spec"]?.runtimeClassName;
    if (!name) return undefined;
    const c = api.cache.of("node.k8s.io", "runtimeclasses").get("", name);
    if (!c) throw forbiddenBy(a, `pod rejected: RuntimeClass ${JSON.stringify(name)} not found`);
    return c.object;
  };
  const concerns = (a: Attributes) => a.info.group === "" && a.info.resource === "pods" && a.subresource === "" && a.object !== undefined;
  return {
    name: "RuntimeClass",
    operations: ["CREATE"],
    admit(a) {
      if (!concerns(a)) return;
      const c = classOf(a);
      const spec = (a.object as KubeObject)["spec"];
      if (!c) return;
      const overhead = c["overhead"]?.podFixed;
      if (overhead) {
        if (spec.overhead && !isDeepStrictEqual(spec.overhead, overhead))
          throw forbiddenBy(a, "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead");
        spec.overhead = { ...overhead };
      }
      for (const [k, v] of Object.entries(c["scheduling"]?.nodeSelector ?? {})) {
        const own = spec.nodeSelector?.[k];
        if (own !== undefined && own !== v)
          throw forbiddenBy(a, `conflict: runtimeClass.scheduling.nodeSelector[${k}] = ${v}; pod.spec.nodeSelector[${k}] = ${own}`);
        spec.nodeSelector = { ...spec.nodeSelector, [k]: v };
      }
      for (const t of c["scheduling"]?.tolerations ?? []) {
        if (!(spec.tolerations ?? []).some((x: unknown) => isDeepStrictEqual(x, t)))
          spec.tolerations = [...(spec.tolerations ?? []), { ...t }];
      }
    },
    validate(a) {
      if (!concerns(a)) return;
      const overhead = classOf(a)?.["overhead"]?.podFixed;
      const own = (a.object as KubeObject)["spec"]?.overhead;
      if (own && !overhead) throw forbiddenBy(a, "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead");
      if (overhead && !isDeepStrictEqual(own, overhead))
        throw forbiddenBy(a, "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead");
    },
  };
}
