// Texts of OpenAPI that the models' comments leave out: fields whose type is a struct (a reference, which a model's generator takes
// bare) and the values of enumerations. What every kind has in common follows the API conventions; the rest is by field.
// Invariant: a text stands here only when `descriptions.ts` cannot know it.
import type { Field, StructType } from "@podwire/api";

const CONVENTIONS = "https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md";

const FIELDS: Readonly<Record<string, string>> = {
  "apps/v1.DeploymentSpec.selector":
    "Label selector for pods. Existing ReplicaSets whose pods are selected by this will be the ones affected by this deployment. It must match the pod template's labels.",
  "apps/v1.DeploymentSpec.strategy": "The deployment strategy to use to replace existing pods with new ones.",
  "apps/v1.DeploymentSpec.template":
    'Template describes the pods that will be created. The only allowed template.spec.restartPolicy value is "Always".',
  "apps/v1.DeploymentStrategy.rollingUpdate": "Rolling update config params. Present only if DeploymentStrategyType = RollingUpdate.",
};

const VALUES: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  "core/v1.Protocol": { SCTP: "is the SCTP protocol.", TCP: "is the TCP protocol.", UDP: "is the UDP protocol." },
  "apps/v1.DeploymentStrategyType": {
    Recreate: "Kill all existing pods before creating new ones.",
    RollingUpdate:
      "Replace the old ReplicaSets by new one using rolling update i.e gradually scale down the old ReplicaSets and scale up the new one.",
  },
};

/** The text of a field that refers to another type; undefined for any other. */
export function referenceText(t: StructType, f: Field): string | undefined {
  if (f.type.shape !== "struct") return undefined;
  const name = t.ref.slice(t.ref.indexOf(".") + 1);
  const own = FIELDS[`${t.ref}.${f.name}`];
  if (own !== undefined || !t.isKind) return own;
  if (f.name === "metadata") {
    const list = name.endsWith("List") && t.fields.some((x) => x.name === "items");
    return `Standard ${list ? "list" : "object's"} metadata. More info: ${CONVENTIONS}#metadata`;
  }
  if (f.name === "spec") return `Specification of the desired behavior of the ${name}.`;
  return f.name === "status" ? `Most recently observed status of the ${name}.` : undefined;
}

/** What is appended to the text of a field of an enumerated type. */
export function valuesText(ref: string, values: readonly string[]): string {
  const known = VALUES[ref];
  const line = (v: string) => ` - \`"${v}"\`${known?.[v] === undefined ? "" : ` ${known[v]}`}`;
  return ["Possible enum values:", ...[...values].sort().map(line)].join("\n");
}
