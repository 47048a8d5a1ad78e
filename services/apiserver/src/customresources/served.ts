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
  smdOfResource,
  statusErrors,
  validateSchema,
  validateSchemaRules,
} from "@podwire/api";
import { CachedObject, encodeText } from "../cache/cached-object.ts";
import { customName } from "../openapi/names.ts";
import type { Served } from "../resources/catalogue.ts";
import { CUSTOM_STRATEGY } from "../resources/strategy.ts";
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

/** Every served version of a definition whose names were accepted. */
export function servedOf(definition: KubeObject): Served[] {
  const versions: DefinitionVersion[] = definition["spec"]?.versions ?? [];
  return versions.filter((v) => v.served).map((v) => servedVersion(definition, v));
}

function servedVersion(definition: KubeObject, v: DefinitionVersion): Served {
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
  // With the conversion strategy None, versions differ in their apiVersion only; defaults of this version's schema apply on reading.
  const finish = (o: KubeObject, version: string): KubeObject => {
    const next = { ...o, apiVersion: version };
    applySchemaDefaults(next, schema);
    return next;
  };
  const bytes = (o: CachedObject): Buffer =>
    o.format(apiVersion, () => CachedObject.fromValue(o.key, o.revision, Buffer.from(encodeText(finish(o.copy(), apiVersion)))).full);
  const decoded = (o: CachedObject): KubeObject => JSON.parse(bytes(o).toString("utf8"));
  const columns: NonNullable<DefinitionVersion["additionalPrinterColumns"]> = v.additionalPrinterColumns ?? [AGE_COLUMN];
  return {
    info,
    apiVersion,
    storage: { group: spec.group, resource: names.plural },
    strategy: CUSTOM_STRATEGY,
    emptyMembers: {},
    full: bytes,
    item: bytes,
    decoded,
    toServed: (o) => finish(o, apiVersion),
    toStorage: (o) => (storageVersion === apiVersion ? o : { ...o, apiVersion: storageVersion }),
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
      receive: (o, fieldValidation, warnings) => receive(info, schema, o, fieldValidation, warnings),
      validate: (o, old) => validate(schema, o, old),
    },
  };
}

/** Prunes, complains about what is unknown, defaults. */
function receive(info: ResourceInfo, schema: JsonSchema | undefined, o: KubeObject, fieldValidation: string, warnings: string[]): void {
  const gone = definesPruning(schema) ? prune(o, schema) : [];
  if (gone.length > 0 && fieldValidation === "Strict") {
    throw statusErrors.badRequest(
      `${info.kind} in version ${JSON.stringify(info.version)} cannot be handled as a ${info.kind}: strict decoding error: ${gone.map(unknown).join(", ")}`,
    );
  }
  if (fieldValidation !== "Ignore") for (const g of gone) if (!warnings.includes(unknown(g))) warnings.push(unknown(g));
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
