// Validation of CustomResourceDefinitions: names, group, scope, versions, structural schemas, what may not change
// (apiextensions-apiserver/pkg/apis/apiextensions/validation). Pure.
import { isDeepStrictEqual } from "node:util";
import {
  type FieldError,
  forbidden,
  invalid,
  isDns1035Label,
  isDns1123Subdomain,
  type KubeObject,
  notSupported,
  required,
  Verbatim,
  webhookService,
  webhookUrl,
} from "@podwire/api";
import { isTrue } from "./definitions.ts";
import type { DefinitionVersion } from "./served.ts";
import { schemaErrors } from "./validate-schema.ts";
import { columnErrors, deprecationErrors, selectableFieldErrors, subresourceErrors } from "./validate-version.ts";

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
  errors.push(...approvalErrors(d, old));
  if (spec.preserveUnknownFields === true && old?.["spec"]?.preserveUnknownFields !== true)
    errors.push(
      invalid(
        "spec.preserveUnknownFields",
        true,
        "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead",
      ),
    );
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
  // What is the same in all versions is, internally, said once for the whole definition, and errors name it there.
  const same = (part: (v: DefinitionVersion) => unknown) =>
    versions.length > 0 &&
    versions.every((v) => part(v) !== undefined && isDeepStrictEqual(part(v), part(versions[0] as DefinitionVersion)));
  const where = (part: (v: DefinitionVersion) => unknown, i: number, above: string, below: string) =>
    same(part) ? (i === 0 ? `spec.${above}` : undefined) : `spec.versions[${i}].${below}`;
  for (const [i, v] of versions.entries()) {
    const at = `spec.versions[${i}]`;
    const wrong = isDns1035Label(v.name ?? "");
    if (wrong.length > 0) errors.push(invalid(`${at}.name`, v.name ?? "", wrong.join(",")));
    if (seen.has(v.name)) errors.push(invalid("spec.versions", v.name, "must contain unique version names"));
    seen.add(v.name);
    errors.push(...deprecationErrors(v, at));
    const schema = v.schema?.openAPIV3Schema;
    const schemaAt = where((x) => x.schema, i, "validation.openAPIV3Schema", "schema.openAPIV3Schema");
    if (!schema) errors.push(required(`${at}.schema.openAPIV3Schema`));
    else if (schemaAt) errors.push(...schemaErrors(schema, schemaAt));
    const subresourcesAt = where((x) => x.subresources, i, "subresources", "subresources");
    if (subresourcesAt) errors.push(...subresourceErrors(v.subresources, subresourcesAt));
    const columnsAt = where((x) => x.additionalPrinterColumns, i, "additionalPrinterColumns", "additionalPrinterColumns");
    if (columnsAt) for (const [j, c] of (v.additionalPrinterColumns ?? []).entries()) errors.push(...columnErrors(c, `${columnsAt}[${j}]`));
    const fieldsAt = where((x) => x.selectableFields, i, "selectableFields", "selectableFields");
    if (fieldsAt && v.selectableFields) errors.push(...selectableFieldErrors(v.selectableFields, schema, fieldsAt));
  }
  return errors;
}

const APPROVED = "api-approved.kubernetes.io";

/** Groups of the community, whose definitions say who has approved them. */
export function isProtectedGroup(group: string): boolean {
  return ["k8s.io", "kubernetes.io"].some((g) => group === g || group.endsWith(`.${g}`));
}

/** Whether a protected group's annotation stands for an approval, and in what words. */
export function approvalOf(d: KubeObject): { state: "missing" | "bypassed" | "approved" | "invalid"; reason: string } {
  const text: string = d.metadata.annotations?.[APPROVED] ?? "";
  const must = `protected groups must have approval annotation ${JSON.stringify(APPROVED)}`;
  const see = "see https://github.com/kubernetes/enhancements/pull/1111";
  if (text === "") return { state: "missing", reason: `${must}, ${see}` };
  if (text.startsWith("unapproved")) return { state: "bypassed", reason: `not approved: ${JSON.stringify(text)}` };
  if (/^[a-zA-Z][a-zA-Z0-9+.-]*:\/\/[^/?#\s]+/.test(text)) return { state: "approved", reason: `approved in ${text}` };
  return { state: "invalid", reason: `${must} with either a URL or a reason starting with "unapproved", ${see}` };
}

function approvalErrors(d: KubeObject, old: KubeObject | undefined): FieldError[] {
  if (!isProtectedGroup(d["spec"]?.group ?? "")) return [];
  const { state, reason } = approvalOf(d);
  if ((old && approvalOf(old).state === state) || state === "approved" || state === "bypassed") return [];
  const at = `metadata.annotations[${APPROVED}]`;
  return [state === "missing" ? required(at, reason) : invalid(at, d.metadata.annotations?.[APPROVED], reason)];
}
