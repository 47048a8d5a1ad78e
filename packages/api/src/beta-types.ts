// Kinds of Kubernetes 1.34 that it does not serve unless it is told to (--runtime-config, --feature-gates): their types and resources, in the
// forms of the generated tables. Specification: k8s.io/api/admissionregistration/v1beta1.
import type { ResourceRow } from "./resources.ts";

const V1BETA1 = "admissionregistration/v1beta1";
const V1 = "admissionregistration/v1";

export const BETA_GROUPS: Record<string, string> = { [V1BETA1]: "admissionregistration.k8s.io" };

export const BETA_TYPES: Record<string, string> = {
  [`${V1BETA1}.MutatingAdmissionPolicy`]: `kc\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ObjectMeta 1 eo\nspec ${V1BETA1}.MutatingAdmissionPolicySpec 2 e`,
  [`${V1BETA1}.MutatingAdmissionPolicyList`]: `k\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ListMeta 1 eo\nitems []${V1BETA1}.MutatingAdmissionPolicy 2 -`,
  [`${V1BETA1}.MutatingAdmissionPolicySpec`]: [
    "",
    `paramKind *${V1}.ParamKind 1 eo`,
    `matchConstraints *${V1}.MatchResources 2 eo`,
    `variables []${V1}.Variable 3 eo lt=atomic`,
    `mutations []${V1BETA1}.Mutation 4 eo lt=atomic`,
    `failurePolicy *${V1}.FailurePolicyType 5 eo`,
    `matchConditions []${V1}.MatchCondition 6 eo ps=merge pk=name lt=map lk=name`,
    `reinvocationPolicy ${V1}.ReinvocationPolicyType 7 eo`,
  ].join("\n"),
  [`${V1BETA1}.Mutation`]: `\npatchType string 2 r\napplyConfiguration *${V1BETA1}.ApplyConfiguration 3 eo\njsonPatch *${V1BETA1}.JSONPatch 4 eo`,
  [`${V1BETA1}.ApplyConfiguration`]: "\nexpression string 1 eo",
  [`${V1BETA1}.JSONPatch`]: "\nexpression string 1 eo",
  [`${V1BETA1}.MutatingAdmissionPolicyBinding`]: `kc\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ObjectMeta 1 eo\nspec ${V1BETA1}.MutatingAdmissionPolicyBindingSpec 2 e`,
  [`${V1BETA1}.MutatingAdmissionPolicyBindingList`]: `k\n- meta/v1.TypeMeta 0 i\nmetadata meta/v1.ListMeta 1 eo\nitems []${V1BETA1}.MutatingAdmissionPolicyBinding 2 -`,
  [`${V1BETA1}.MutatingAdmissionPolicyBindingSpec`]: `\npolicyName string 1 e\nparamRef *${V1}.ParamRef 2 eo\nmatchResources *${V1}.MatchResources 3 eo`,
};

const VERBS = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];
const admission = (kind: string, resource: string, columns: ResourceRow["columns"]): ResourceRow => ({
  group: "admissionregistration.k8s.io",
  version: "v1beta1",
  resource,
  kind,
  singular: kind.toLowerCase(),
  namespaced: false,
  verbs: VERBS,
  shortNames: [],
  categories: ["api-extensions"],
  columns: [{ name: "Name", type: "string", format: "name" }, ...columns, { name: "Age", type: "string" }],
  subresources: [],
});

export const BETA_RESOURCES: readonly ResourceRow[] = [
  admission("MutatingAdmissionPolicy", "mutatingadmissionpolicies", [
    { name: "Mutations", type: "integer" },
    { name: "ParamKind", type: "string" },
  ]),
  admission("MutatingAdmissionPolicyBinding", "mutatingadmissionpolicybindings", [
    { name: "PolicyName", type: "string" },
    { name: "ParamRef", type: "string" },
  ]),
];
