// DefaultIngressClass: an Ingress that names no class gets the one that is marked as default (plugin/pkg/admission/network/defaultingressclass).
import { statusErrors } from "@podwire/api";
import type { Api } from "../call.ts";
import type { AdmissionPlugin } from "./chain.ts";
import { forbiddenBy } from "./forbidden.ts";

const OLD_ANNOTATION = "kubernetes.io/ingress.class";
const IS_DEFAULT = "ingressclass.kubernetes.io/is-default-class";

export function defaultIngressClass(api: Api): AdmissionPlugin {
  return {
    name: "DefaultIngressClass",
    operations: ["CREATE"],
    admit(a) {
      if (a.info.groupResource !== "ingresses.networking.k8s.io" || a.subresource !== "" || !a.object) return;
      const spec = (a.object["spec"] ??= {});
      if (spec.ingressClassName !== undefined || a.object.metadata.annotations?.[OLD_ANNOTATION] !== undefined) return;
      const classes = [...api.cache.of("networking.k8s.io", "ingressclasses").values()].filter(
        (c) => c.object.metadata.annotations?.[IS_DEFAULT] === "true",
      );
      if (classes.length > 1)
        throw forbiddenBy(a, statusErrors.internal(`${classes.length} default IngressClasses were found, only 1 allowed`).message);
      if (classes[0]) spec.ingressClassName = classes[0].key.name;
    },
  };
}
