// NamespaceLifecycle: nothing is created in a namespace that is absent or going away, and three namespaces cannot be deleted
// (apiserver/pkg/admission/plugin/namespace/lifecycle).
import { type StatusError, statusErrors } from "@podwire/api";
import type { Api } from "../call.ts";
import type { AdmissionPlugin, Attributes } from "./chain.ts";
import { forbiddenBy } from "./forbidden.ts";

const IMMORTAL = new Set(["default", "kube-system", "kube-public"]);

export function namespaceLifecycle(api: Api): AdmissionPlugin {
  return {
    name: "NamespaceLifecycle",
    operations: ["CREATE", "UPDATE", "DELETE"],
    admit(a) {
      const isNamespace = a.info.group === "" && a.info.resource === "namespaces";
      if (a.operation === "DELETE") {
        if (isNamespace && IMMORTAL.has(a.name)) throw statusErrors.forbidden(a.info, a.name, "this namespace may not be deleted");
        return;
      }
      if (isNamespace || a.namespace === "") return;
      if (a.info.group === "authorization.k8s.io") return;
      const cached = api.cache.of("", "namespaces").get("", a.namespace);
      if (cached) return check(a, cached.object["status"]?.phase);
      return lookUp(api, a);
    },
  };
}

async function lookUp(api: Api, a: Attributes): Promise<void> {
  const there = await api.storage.read({ group: "", resource: "namespaces", namespace: "", name: a.namespace }, true);
  if (!there) throw statusErrors.notFound({ group: "", resource: "namespaces" }, a.namespace);
  check(a, there.object["status"]?.phase);
}

function check(a: Attributes, phase: string | undefined): void {
  if (a.operation !== "CREATE" || phase !== "Terminating") return;
  const e: StatusError = forbiddenBy(a, `unable to create new content in namespace ${a.namespace} because it is being terminated`);
  const details = e.status.details as { causes?: unknown[] };
  details.causes = [
    { reason: "NamespaceTerminating", message: `namespace ${a.namespace} is being terminated`, field: "metadata.namespace" },
  ];
  throw e;
}
