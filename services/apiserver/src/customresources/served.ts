// A version of a CustomResourceDefinition as a served resource: names, verbs, schema, columns, subresources. Pure.
import {
  applySchemaDefaults,
  type FieldError,
  humanDuration,
  type JsonSchema,
  type KubeObject,
  printTable,
  prune,
  type ResourceInfo,
  resourceInfo,
  StatusError,
  smdOfResource,
  statusErrors,
  validateSchema,
  validateSchemaRules,
} from "@podwire/api";
import { CachedObject, encodeText } from "../cache/cached-object.ts";
import { customName } from "../openapi/names.ts";
import type { Served } from "../resources/catalogue.ts";
import { CUSTOM_STRATEGY } from "../resources/strategy.ts";
import type { WebhookConversion } from "./conversion-webhook.ts";
import { jsonPath } from "./json-path.ts";

const VERBS = ["delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"];
const NAME_COLUMN = { name: "Name", type: "string", format: "name", description: "", priority: 0 };
const AGE_COLUMN = { name: "Age", type: "date", jsonPath: ".metadata.creationTimestamp" };

export interface DefinitionVersion {
  name: string;
  served: boolean;
  storage: boolean;
  deprecated?: boolean;
  deprecationWarning?: string;
  schema?: { openAPIV3Schema?: JsonSchema };
  subresources?: { status?: object; scale?: { specReplicasPath: string; statusReplicasPath: string; labelSelectorPath?: string } };
  additionalPrinterColumns?: { name: string; type: string; format?: string; description?: string; priority?: number; jsonPath: string }[];
  selectableFields?: { jsonPath: string }[];
}

/** Converts objects of one kind to an apiVersion, in order. Throws a Status. */
export type Converter = (objects: readonly KubeObject[], to: string) => Promise<KubeObject[]>;

/** Every served version of a definition whose names were accepted. `byWebhook` converts for the strategy Webhook. */
export function servedOf(definition: KubeObject, byWebhook?: (w: WebhookConversion) => Converter): Served[] {
  const versions: DefinitionVersion[] = definition["spec"]?.versions ?? [];
  const { strategy, webhook } = definition["spec"]?.conversion ?? {};
  const convert = strategy === "Webhook" && webhook && byWebhook ? byWebhook(webhook) : undefined;
  return versions.filter((v) => v.served).map((v) => servedVersion(definition, v, convert));
}

function servedVersion(definition: KubeObject, v: DefinitionVersion, convert: Converter | undefined): Served {
  const spec = definition["spec"];
  const names = definition["status"]?.acceptedNames ?? spec.names;
  const apiVersion = `${spec.group}/${v.name}`;
  const schema = v.schema?.openAPIV3Schema;
  const own = { group: spec.group as string, version: v.name, kind: names.kind as string, foreign: false };
  const subresources = [
    ...(v.subresources?.status ? [{ ...own, name: "status", verbs: ["get", "patch", "update"] }] : []),
    ...(v.subresources?.scale
      ? [{ name: "scale", group: "autoscaling", version: "v1", kind: "Scale", foreign: true, verbs: ["get", "patch", "update"] }]
      : []),
  ];
  const info: ResourceInfo = resourceInfo({
    group: spec.group,
    version: v.name,
    resource: names.plural,
    kind: names.kind,
    listKind: names.listKind ?? `${names.kind}List`,
    singular: names.singular ?? names.kind.toLowerCase(),
    namespaced: spec.scope === "Namespaced",
    verbs: VERBS,
    shortNames: names.shortNames ?? [],
    categories: names.categories ?? [],
    columns: [],
    subresources,
    custom: { schema, version: v, smd: smdOfResource(schema) },
  });
  const stored = (spec.versions as DefinitionVersion[]).find((x) => x.storage)?.name ?? v.name;
  const storageVersion = `${spec.group}/${stored}`;
  const forms = convert
    ? webhookForms(definition, apiVersion, storageVersion, convert)
    : plainForms(definition, apiVersion, storageVersion);
  const bytes = forms.bytes;
  const decoded = (o: CachedObject): KubeObject => JSON.parse(bytes(o).toString("utf8"));
  const columns: NonNullable<DefinitionVersion["additionalPrinterColumns"]> = v.additionalPrinterColumns ?? [AGE_COLUMN];
  return {
    info,
    apiVersion,
    storage: { group: spec.group, resource: names.plural },
    strategy: CUSTOM_STRATEGY,
    emptyMembers: {},
    full: bytes,
    members: (o) => bytes(o).subarray(1),
    decoded,
    toServed: forms.toServed,
    toStorage: forms.toStorage,
    ...(forms.prepare ? { prepare: forms.prepare } : {}),
    table: (objects, options) =>
      printTable(
        info,
        objects,
        options as never,
        {
          columns: [
            NAME_COLUMN,
            ...columns.map((c) => ({
              name: c.name,
              type: c.type,
              format: c.format ?? "",
              description: c.description ?? "",
              priority: c.priority ?? 0,
            })),
          ],
          print: (o: KubeObject) => [o.metadata.name, ...columns.map((c) => cell(o, c, options.nowMs))],
        } as never,
      ),
    custom: {
      definition,
      schema,
      ...(v.subresources?.scale ? { scale: v.subresources.scale } : {}),
      ...(v.deprecated ? { warning: v.deprecationWarning ?? `${apiVersion} ${names.kind} is deprecated` } : {}),
      selectableFields: (v.selectableFields ?? []).map((f) => f.jsonPath.replace(/^\./, "")),
      openApi: () => openApi(own, schema),
      receive: (o, fieldValidation, warnings, noted = []) => receive(info, schema, o, fieldValidation, warnings, noted),
      validate: (o, old) => validate(schema, o, old),
    },
  };
}

/** How objects come out of the store in one version, and go in. */
type Forms = Pick<Served, "toServed" | "toStorage" | "prepare"> & { bytes: (o: CachedObject) => Buffer };

/** Strategy None: versions differ in their apiVersion only. */
function plainForms(definition: KubeObject, apiVersion: string, storageVersion: string): Forms {
  const format = formatName(definition, apiVersion);
  const toServed = (o: KubeObject): KubeObject => ({ ...asStored(definition, o), apiVersion });
  return {
    toServed,
    toStorage: (o) => (storageVersion === apiVersion ? o : { ...o, apiVersion: storageVersion }),
    bytes: (o) => o.format(format, () => encoded(o, toServed(o.copy()))),
  };
}

/** Strategy Webhook: an object is converted once for each version, whoever asks for it, and many of a list in one call. */
function webhookForms(definition: KubeObject, apiVersion: string, storageVersion: string, convert: Converter): Forms {
  const format = formatName(definition, apiVersion);
  const underWay = new WeakMap<CachedObject, Promise<void>>();
  const schema = schemaOf(definition, apiVersion);
  const pruned = (o: KubeObject): KubeObject => {
    if (schema) prune(o, schema);
    return o;
  };
  const convertAll = async (objects: readonly CachedObject[]) => {
    const converted = await convert(
      objects.map((o) => asStored(definition, o.copy())),
      apiVersion,
    );
    for (const [i, o] of objects.entries()) o.format(format, () => encoded(o, pruned(converted[i] as KubeObject)));
  };
  return {
    async toServed(o) {
      return pruned((await convert([asStored(definition, o)], apiVersion))[0] as KubeObject);
    },
    async toStorage(o) {
      const [converted] = await convert([o], storageVersion);
      const storageSchema = schemaOf(definition, storageVersion);
      if (converted !== o && storageSchema) prune(converted, storageSchema);
      return converted as KubeObject;
    },
    bytes: (o) =>
      o.format(format, () => {
        throw new StatusError(500, "", `an object of ${apiVersion} was read before the conversion webhook was asked`);
      }),
    async prepare(objects) {
      const wanted = objects.filter((o) => !o.hasFormat(format));
      if (wanted.length === 0) return;
      const fresh = wanted.filter((o) => !underWay.has(o));
      if (fresh.length > 0) {
        const conversion = convertAll(fresh).finally(() => {
          for (const o of fresh) underWay.delete(o);
        });
        for (const o of fresh) underWay.set(o, conversion);
      }
      await Promise.all(new Set(wanted.map((o) => underWay.get(o))));
    },
  };
}

/** Names an encoding so that another state of the definition does not find it. */
function formatName(definition: KubeObject, apiVersion: string): string {
  return `${apiVersion} ${definition.metadata.uid} ${definition.metadata.generation}`;
}

/** What is read has been pruned and defaulted by the schema of the version that it was stored in. May change its argument. */
function asStored(definition: KubeObject, o: KubeObject): KubeObject {
  const schema = schemaOf(definition, o["apiVersion"]);
  if (schema) prune(o, schema);
  applySchemaDefaults(o, schema);
  return o;
}

function schemaOf(definition: KubeObject, apiVersion: string | undefined): JsonSchema | undefined {
  const versions: DefinitionVersion[] = definition["spec"].versions;
  return versions.find((v) => apiVersion === `${definition["spec"].group}/${v.name}`)?.schema?.openAPIV3Schema;
}

function encoded(o: CachedObject, form: KubeObject): Buffer {
  return CachedObject.fromValue(o.key, o.revision, Buffer.from(encodeText(form))).full;
}

/** Prunes, complains about what is unknown (and what the decoder `noted`), defaults. */
function receive(
  info: ResourceInfo,
  schema: JsonSchema | undefined,
  o: KubeObject,
  fieldValidation: string,
  warnings: string[],
  noted: readonly string[],
): void {
  const gone = definesPruning(schema) ? prune(o, schema).map(unknown) : [];
  const complaints = [...noted, ...gone];
  if (complaints.length > 0 && fieldValidation === "Strict") {
    throw statusErrors.badRequest(
      `${info.kind} in version ${JSON.stringify(info.version)} cannot be handled as a ${info.kind}: strict decoding error: ${complaints.join(", ")}`,
    );
  }
  if (fieldValidation !== "Ignore") for (const c of complaints) if (!warnings.includes(c)) warnings.push(c);
  applySchemaDefaults(o, schema);
}

function unknown(path: string): string {
  return `unknown field ${JSON.stringify(path)}`;
}

function definesPruning(schema: JsonSchema | undefined): boolean {
  return schema !== undefined;
}

function validate(schema: JsonSchema | undefined, o: KubeObject, old: KubeObject | undefined): FieldError[] {
  if (!schema) return [];
  const errors = validateSchema(o, schema);
  // Rules in CEL are asked only of what has the right shape.
  return errors.length > 0 ? errors : validateSchemaRules(schema, o, old);
}

/** A printer column's cell: the first value, dates as ages by the type. */
function cell(o: KubeObject, c: { type: string; jsonPath: string }, nowMs: number): unknown {
  const values = jsonPath(o, c.jsonPath);
  const v = values.length > 1 && c.type === "string" ? JSON.stringify(values) : values[0];
  if (v === undefined || v === null) return c.type === "date" ? "<unknown>" : null;
  switch (c.type) {
    case "integer":
      return Number.isFinite(Number(v)) ? Math.trunc(Number(v)) : null;
    case "number":
      return Number.isFinite(Number(v)) ? Number(v) : null;
    case "boolean":
      return typeof v === "boolean" ? v : null;
    case "date":
      return age(String(v), nowMs);
    default:
      return typeof v === "object" ? JSON.stringify(v) : String(v);
  }
}

function age(text: string, nowMs: number): string {
  const at = Date.parse(text);
  return Number.isNaN(at) ? "<invalid>" : humanDuration(nowMs - at);
}

function openApi(own: { group: string; version: string; kind: string }, schema: JsonSchema | undefined): Record<string, unknown> {
  const name = customName(own.group, own.version, own.kind);
  const kinds = [{ group: own.group, kind: own.kind, version: own.version }];
  return { [name]: { ...(schema ?? { type: "object" }), "x-kubernetes-group-version-kind": kinds } };
}
