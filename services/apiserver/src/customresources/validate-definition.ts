// Validation of CustomResourceDefinitions: names, group, scope, versions, structural schemas, what may not change
// (apiextensions-apiserver/pkg/apis/apiextensions/validation). Pure.
import {
  type FieldError,
  forbidden,
  invalid,
  isDns1035Label,
  isDns1123Subdomain,
  type JsonSchema,
  type KubeObject,
  notSupported,
  required,
  schemaRuleErrors,
  Verbatim,
  webhookService,
  webhookUrl,
} from "@podwire/api";
import { isTrue } from "./definitions.ts";
import type { DefinitionVersion } from "./served.ts";

const LABEL_HINT = "may have mixed case, but should otherwise match: ";

export function validateDefinition(d: KubeObject, old: KubeObject | undefined): FieldError[] {
  const spec = d["spec"] ?? {};
  const errors: FieldError[] = [];
  const versions: DefinitionVersion[] = spec.versions ?? [];
  if (d.metadata.name !== `${spec.names?.plural}.${spec.group}`)
    errors.push(invalid("metadata.name", d.metadata.name, 'must be spec.names.plural+"."+spec.group'));
  errors.push(...groupErrors(spec.group ?? ""));
  errors.push(...storageErrors(d, versions, old));
  if (spec.scope !== "Cluster" && spec.scope !== "Namespaced")
    errors.push(spec.scope ? notSupported("spec.scope", spec.scope, ["Cluster", "Namespaced"]) : required("spec.scope"));
  errors.push(...nameErrors(spec.names ?? {}));
  errors.push(...versionErrors(versions));
  errors.push(...conversionErrors(spec.conversion));
  if (old && isTrue(old, "Established")) {
    for (const f of ["group", "scope"]) if (spec[f] !== old["spec"]?.[f]) return [invalid(`spec.${f}`, spec[f], "field is immutable")];
    for (const f of ["plural", "kind"])
      if (spec.names?.[f] !== old["spec"]?.names?.[f]) errors.push(invalid(`spec.names.${f}`, spec.names?.[f], "field is immutable"));
  }
  return errors;
}

function groupErrors(group: string): FieldError[] {
  if (group === "") return [required("spec.group")];
  const wrong = isDns1123Subdomain(group);
  if (wrong.length > 0) return [invalid("spec.group", group, wrong.join(","))];
  return group.includes(".") ? [] : [invalid("spec.group", group, "should be a domain with at least one dot")];
}

function storageErrors(d: KubeObject, versions: readonly DefinitionVersion[], old: KubeObject | undefined): FieldError[] {
  const errors: FieldError[] = [];
  const stored: string[] = d["status"]?.storedVersions ?? [];
  const storage = versions.filter((v) => v.storage);
  if (storage.length !== 1)
    errors.push(
      invalid(
        "spec.versions",
        new Verbatim(JSON.stringify(versions.map(internalForm))),
        "must have exactly one version marked as storage version",
      ),
    );
  if (!old && storage.length !== 1)
    errors.push(invalid("status.storedVersions", new Verbatim("null"), "must have at least one stored version"));
  for (const [i, s] of stored.entries()) {
    if (!versions.some((v) => v.name === s))
      errors.push(
        invalid(
          `status.storedVersions[${i}]`,
          s,
          "missing from spec.versions; v1 was previously a storage version, and must remain in spec.versions until a storage migration ensures no data remains persisted in v1 and removes v1 from status.storedVersions".replaceAll(
            "v1",
            s,
          ),
        ),
      );
  }
  return errors;
}

/** Errors name the internal form's fields, where the webhook's are next to the strategy. */
function conversionErrors(c: Record<string, any> | undefined): FieldError[] {
  if (!c) return [];
  const at = "spec.conversion";
  if (!c["strategy"]) return [required(`${at}.strategy`)];
  const errors: FieldError[] = [];
  if (c["strategy"] !== "None" && c["strategy"] !== "Webhook")
    errors.push(notSupported(`${at}.strategy`, c["strategy"], ["None", "Webhook"]));
  const webhook: Record<string, any> = c["webhook"] ?? {};
  const { clientConfig: client, conversionReviewVersions: versions = [] } = webhook;
  if (c["strategy"] !== "Webhook") {
    const why = "should not be set when strategy is not set to Webhook";
    if (client) errors.push(forbidden(`${at}.webhookClientConfig`, why));
    if (versions.length > 0) errors.push(forbidden(`${at}.conversionReviewVersions`, why));
    return errors;
  }
  if (!client) errors.push(required(`${at}.webhookClientConfig`, "required when strategy is set to Webhook"));
  else if ((client.url === undefined) === (client.service === undefined))
    errors.push(required(`${at}.webhookClientConfig`, "exactly one of url or service is required"));
  else if (client.url !== undefined) webhookUrl(errors, client.url, `${at}.webhookClientConfig.url`);
  else webhookService(errors, client.service, `${at}.webhookClientConfig.service`);
  errors.push(...reviewVersionErrors(versions, `${at}.conversionReviewVersions`));
  return errors;
}

function reviewVersionErrors(versions: readonly string[], path: string): FieldError[] {
  if (versions.length === 0) return [required(path)];
  const errors: FieldError[] = [];
  const seen = new Set<string>();
  for (const [i, v] of versions.entries()) {
    if (seen.has(v)) errors.push(invalid(`${path}[${i}]`, v, "duplicate version"));
    else errors.push(...isDns1035Label(v).map((why) => invalid(`${path}[${i}]`, v, why)));
    seen.add(v);
  }
  if (!seen.has("v1") && !seen.has("v1beta1")) errors.push(invalid(path, versions, "must include at least one of v1, v1beta1"));
  return errors;
}

/** A version as Go prints its internal type (the schema moves out when all versions share it). */
function internalForm(v: DefinitionVersion): Record<string, unknown> {
  return {
    Name: v.name,
    Served: v.served ?? false,
    Storage: v.storage ?? false,
    Deprecated: v.deprecated ?? false,
    DeprecationWarning: v.deprecationWarning ?? null,
    Schema: null,
    Subresources: null,
    AdditionalPrinterColumns: null,
    SelectableFields: null,
  };
}

function nameErrors(names: {
  plural?: string;
  singular?: string;
  kind?: string;
  listKind?: string;
  shortNames?: string[];
  categories?: string[];
}): FieldError[] {
  const errors: FieldError[] = [];
  const label = (field: string, value: string | undefined, mixed: boolean) => {
    if (!value) return;
    const wrong = isDns1035Label(mixed ? value.toLowerCase() : value);
    if (wrong.length > 0) errors.push(invalid(`spec.names.${field}`, value, `${mixed ? LABEL_HINT : ""}${wrong.join(",")}`));
  };
  if (!names.plural) errors.push(required("spec.names.plural"));
  label("plural", names.plural, false);
  label("singular", names.singular, false);
  if (!names.kind) errors.push(required("spec.names.kind"));
  label("kind", names.kind, true);
  if (!names.listKind) errors.push(required("spec.names.listKind"));
  label("listKind", names.listKind, true);
  for (const [i, s] of (names.shortNames ?? []).entries()) label(`shortNames[${i}]`, s, false);
  for (const [i, c] of (names.categories ?? []).entries()) label(`categories[${i}]`, c, false);
  if (names.kind && names.kind === names.listKind)
    errors.push(invalid("spec.names.listKind", names.listKind, "kind and listKind may not be the same"));
  return errors;
}

function versionErrors(versions: readonly DefinitionVersion[]): FieldError[] {
  const errors: FieldError[] = [];
  const seen = new Set<string>();
  for (const [i, v] of versions.entries()) {
    const at = `spec.versions[${i}]`;
    const wrong = isDns1035Label(v.name ?? "");
    if (wrong.length > 0) errors.push(invalid(`${at}.name`, v.name ?? "", wrong.join(",")));
    if (seen.has(v.name)) errors.push(invalid("spec.versions", v.name, "must not contain duplicates"));
    seen.add(v.name);
    const schema = v.schema?.openAPIV3Schema;
    // A single version's schema is, internally, that of the whole definition, and errors name it there.
    const where = versions.length === 1 ? "spec.validation.openAPIV3Schema" : `${at}.schema.openAPIV3Schema`;
    if (!schema) errors.push(required(`${at}.schema.openAPIV3Schema`));
    else errors.push(...schemaErrors(schema, where, true), ...schemaRuleErrors(schema, where));
  }
  return errors;
}

/** The rules that make a schema structural (KEP-1152). */
function schemaErrors(s: JsonSchema, path: string, isRoot: boolean): FieldError[] {
  const errors: FieldError[] = [];
  const free = s["x-kubernetes-int-or-string"] || s["x-kubernetes-preserve-unknown-fields"];
  if (!s.type) {
    if (isRoot) return [required(`${path}.type`, "must not be empty at the root")];
    if (!free) errors.push(required(`${path}.type`, "must not be empty for specified object fields"));
  } else if (isRoot && s.type !== "object") errors.push(invalid(`${path}.type`, s.type, "must be object at the root"));
  if (s.properties && s.additionalProperties)
    errors.push({
      type: "FieldValueForbidden",
      field: `${path}.additionalProperties`,
      badValue: "",
      detail: "additionalProperties and properties are mutual exclusive",
    });
  if (s.uniqueItems)
    errors.push({
      type: "FieldValueForbidden",
      field: `${path}.uniqueItems`,
      badValue: "",
      detail: "uniqueItems cannot be set to true since the runtime complexity becomes quadratic",
    });
  if (s["x-kubernetes-list-type"] === "map" && !s["x-kubernetes-list-map-keys"]?.length)
    errors.push(required(`${path}.x-kubernetes-list-map-keys`, "must not be empty if x-kubernetes-list-type is map"));
  if (s["x-kubernetes-list-type"] === "set") errors.push(...setItemErrors(s.items as JsonSchema | undefined, path));
  if (s.type === "array" && !s.items && !s["x-kubernetes-preserve-unknown-fields"])
    errors.push(required(`${path}.items`, "must be specified"));
  for (const [k, p] of Object.entries(s.properties ?? {})) {
    if (isRoot && k === "metadata") continue;
    errors.push(...schemaErrors(p, `${path}.properties[${k}]`, false));
  }
  if (s.items) errors.push(...schemaErrors(s.items, `${path}.items`, false));
  if (typeof s.additionalProperties === "object")
    errors.push(...schemaErrors(s.additionalProperties, `${path}.additionalProperties`, false));
  return errors;
}

/** Items of a set are compared as wholes: objects and lists among them have to be atomic. */
function setItemErrors(items: JsonSchema | undefined, path: string): FieldError[] {
  if (!items) return [];
  const why = "must be atomic as item of a list with x-kubernetes-list-type=set";
  const { "x-kubernetes-map-type": map, "x-kubernetes-list-type": list } = items as JsonSchema & { "x-kubernetes-map-type"?: string };
  if (items.type === "object" && map !== "atomic")
    return [
      { type: "FieldValueInvalid", field: `${path}.items.x-kubernetes-map-type`, badValue: map ?? new Verbatim("null"), detail: why },
    ];
  if (items.type === "array" && list !== "atomic")
    return [
      { type: "FieldValueInvalid", field: `${path}.items.x-kubernetes-list-type`, badValue: list ?? new Verbatim("null"), detail: why },
    ];
  return [];
}
