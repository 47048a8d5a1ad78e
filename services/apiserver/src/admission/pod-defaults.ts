// DefaultTolerationSeconds, Priority and TaintNodesByCondition: small plugins that complete pods and nodes
// (plugin/pkg/admission/{defaulttolerationseconds,priority,nodetaint}).
import type { Api } from "../call.ts";
import type { AdmissionPlugin } from "./chain.ts";
import { forbiddenBy } from "./forbidden.ts";

const TOLERATION_SECONDS = 300;

export function defaultTolerationSeconds(): AdmissionPlugin {
  return {
    name: "DefaultTolerationSeconds",
    operations: ["CREATE", "UPDATE"],
    admit(a) {
      if (a.info.resource !== "pods" || a.info.group !== "" || a.subresource !== "" || !a.object) return;
      const spec = (a.object["spec"] ??= {});
      for (const key of ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"]) {
        const tolerated = (spec.tolerations ?? []).some((t: any) => (t.key === key || !t.key) && (t.effect === "NoExecute" || !t.effect));
        if (tolerated) continue;
        spec.tolerations = [
          ...(spec.tolerations ?? []),
          { key, operator: "Exists", effect: "NoExecute", tolerationSeconds: TOLERATION_SECONDS },
        ];
      }
    },
  };
}

export function priority(api: Api): AdmissionPlugin {
  return {
    name: "Priority",
    operations: ["CREATE", "UPDATE", "DELETE"],
    admit(a) {
      if (a.info.resource !== "pods" || a.info.group !== "" || a.subresource !== "" || !a.object) return;
      const spec = (a.object["spec"] ??= {});
      if (a.operation === "UPDATE") {
        const old = a.oldObject?.["spec"] ?? {};
        if (spec.priority === undefined && old.priority !== undefined) spec.priority = old.priority;
        if (spec.preemptionPolicy === undefined && old.preemptionPolicy !== undefined) spec.preemptionPolicy = old.preemptionPolicy;
        return;
      }
      if (a.operation !== "CREATE") return;
      const classes = api.cache.of("scheduling.k8s.io", "priorityclasses");
      let value = 0;
      let policy = "PreemptLowerPriority";
      if (spec.priorityClassName) {
        const c = classes.get("", spec.priorityClassName)?.object;
        if (!c) throw forbiddenBy(a, `no PriorityClass with name ${spec.priorityClassName} was found`);
        value = c["value"] ?? 0;
        policy = c["preemptionPolicy"] ?? policy;
      } else {
        const byDefault = [...classes.values()].map((c) => c.object).filter((c) => c["globalDefault"] === true);
        byDefault.sort((x, y) => (x["value"] ?? 0) - (y["value"] ?? 0));
        const c = byDefault[0];
        if (c) {
          spec.priorityClassName = c.metadata.name;
          value = c["value"] ?? 0;
          policy = c["preemptionPolicy"] ?? policy;
        }
      }
      if (spec.priority !== undefined && spec.priority !== value) {
        throw forbiddenBy(
          a,
          `the integer value of priority (${spec.priority}) must not be provided in pod spec; priority admission controller computed ${value} from the given PriorityClass name`,
        );
      }
      spec.priority = value;
      if (spec.preemptionPolicy !== undefined && spec.preemptionPolicy !== policy) {
        throw forbiddenBy(
          a,
          `the string value of PreemptionPolicy (${spec.preemptionPolicy}) must not be provided in pod spec; priority admission controller computed ${policy} from the given PriorityClass name`,
        );
      }
      spec.preemptionPolicy = policy;
    },
    validate(a) {
      if (
        a.info.group !== "scheduling.k8s.io" ||
        a.info.resource !== "priorityclasses" ||
        a.operation === "DELETE" ||
        !a.object?.["globalDefault"]
      )
        return;
      for (const c of api.cache.of("scheduling.k8s.io", "priorityclasses").values()) {
        if (c.object["globalDefault"] === true && c.key.name !== a.object.metadata.name) {
          throw forbiddenBy(a, `PriorityClass ${c.key.name} is already marked as default. Only one default can exist`);
        }
      }
    },
  };
}

export function taintNodesByCondition(): AdmissionPlugin {
  return {
    name: "TaintNodesByCondition",
    operations: ["CREATE"],
    admit(a) {
      if (a.info.resource !== "nodes" || a.info.group !== "" || a.subresource !== "" || !a.object) return;
      const spec = (a.object["spec"] ??= {});
      const key = "node.kubernetes.io/not-ready";
      if ((spec.taints ?? []).some((t: any) => t.key === key && t.effect === "NoSchedule")) return;
      spec.taints = [...(spec.taints ?? []), { key, effect: "NoSchedule" }];
    },
  };
}
