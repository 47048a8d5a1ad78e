// Paths of OpenAPI documents: what kubectl and other clients read of them are the operations with their kind, whether they take
// fieldValidation and dryRun, and which patch types there are.
import type { Served } from "../resources/catalogue.ts";
import type { Dialect, Schema } from "./schemas.ts";

const METHODS: Readonly<Record<string, { method: string; action: string }>> = {
  get: { method: "get", action: "get" },
  list: { method: "get", action: "list" },
  create: { method: "post", action: "post" },
  update: { method: "put", action: "put" },
  patch: { method: "patch", action: "patch" },
  delete: { method: "delete", action: "delete" },
  deletecollection: { method: "delete", action: "deletecollection" },
};
const OPERATION_VERBS: Readonly<Record<string, string>> = {
  get: "read",
  list: "list",
  create: "create",
  update: "replace",
  patch: "patch",
  delete: "delete",
  deletecollection: "deleteCollection",
};
const PATCH_TYPES = [
  "application/apply-patch+yaml",
  "application/json-patch+json",
  "application/merge-patch+json",
  "application/strategic-merge-patch+json",
];
const ANSWERS = ["application/json", "application/yaml", "application/vnd.kubernetes.protobuf"];

/** `schemaOf` names the schema of a kind; undefined when there is none. */
export function pathsOf(
  served: readonly Served[],
  dialect: Dialect,
  schemaOf: (group: string, version: string, kind: string) => Schema | undefined,
): Record<string, Schema> {
  const paths: Record<string, Schema> = {};
  for (const s of served) {
    const { info } = s;
    const base = info.group === "" ? `/api/${info.version}` : `/apis/${info.group}/${info.version}`;
    const scope = info.namespaced ? "/namespaces/{namespace}" : "";
    const own = { group: info.group, version: info.version, kind: info.kind };
    const add = (path: string, verbs: readonly string[], kind: typeof own, name: string) => {
      const present = verbs.filter((v) => METHODS[v]);
      if (present.length === 0) return;
      const item: Schema = { parameters: pathParameters(path, dialect) };
      for (const v of present) item[(METHODS[v] as { method: string }).method] = operation(v, kind, name, dialect, schemaOf, info.listKind);
      paths[path] = item;
    };
    const name = `${groupName(info.group)}${info.version.charAt(0).toUpperCase()}${info.version.slice(1)}${info.namespaced ? "Namespaced" : ""}${info.kind}`;
    const has = (list: readonly string[]) => list.filter((v) => info.verbs.includes(v));
    add(`${base}${scope}/${info.resource}`, has(["list", "create", "deletecollection"]), own, name);
    if (info.namespaced) add(`${base}/${info.resource}`, has(["list"]), own, `${name.replace("Namespaced", "")}ForAllNamespaces`);
    add(`${base}${scope}/${info.resource}/{name}`, has(["get", "update", "patch", "delete"]), own, name);
    for (const sub of info.subresources) {
      const kind = { group: sub.group, version: sub.version, kind: sub.kind };
      add(
        `${base}${scope}/${info.resource}/{name}/${sub.name}`,
        sub.verbs,
        kind,
        `${name}${sub.name.charAt(0).toUpperCase()}${sub.name.slice(1)}`,
      );
    }
  }
  return paths;
}

function operation(
  verb: string,
  kind: { group: string; version: string; kind: string },
  name: string,
  dialect: Dialect,
  schemaOf: (group: string, version: string, kind: string) => Schema | undefined,
  listKind: string,
): Schema {
  const schema = schemaOf(kind.group, kind.version, verb === "list" ? listKind : kind.kind);
  const writes = verb === "create" || verb === "update" || verb === "patch";
  const parameters = (
    writes
      ? ["dryRun", "fieldManager", "fieldValidation", ...(verb === "patch" ? ["force"] : [])]
      : verb === "delete"
        ? ["dryRun", "gracePeriodSeconds", "propagationPolicy"]
        : []
  ).map((p) => query(p, dialect));
  const out: Schema = {
    operationId: `${OPERATION_VERBS[verb]}${name}`,
    responses: { "200": answer(schema, dialect), "401": { description: "Unauthorized" } },
    "x-kubernetes-action": METHODS[verb]?.action,
    "x-kubernetes-group-version-kind": { group: kind.group, kind: kind.kind, version: kind.version },
  };
  if (dialect === "v2") {
    if (verb === "patch") out["consumes"] = PATCH_TYPES;
    else if (writes) out["consumes"] = ["*/*"];
    out["produces"] = ANSWERS;
    if (writes) parameters.push({ in: "body", name: "body", required: true, schema: schema ?? { type: "object" } });
  } else if (writes) {
    const body = { schema: verb === "patch" ? { type: "object" } : (schema ?? { type: "object" }) };
    out["requestBody"] = { content: Object.fromEntries((verb === "patch" ? PATCH_TYPES : ["*/*"]).map((t) => [t, body])), required: true };
  }
  if (parameters.length > 0) out["parameters"] = parameters;
  return out;
}

function answer(schema: Schema | undefined, dialect: Dialect): Schema {
  if (!schema) return { description: "OK" };
  if (dialect === "v2") return { description: "OK", schema };
  return { description: "OK", content: Object.fromEntries(ANSWERS.map((t) => [t, { schema }])) };
}

function query(name: string, dialect: Dialect): Schema {
  const type = name === "force" ? "boolean" : name === "gracePeriodSeconds" ? "integer" : "string";
  return dialect === "v2" ? { in: "query", name, type, uniqueItems: true } : { in: "query", name, schema: { type, uniqueItems: true } };
}

function pathParameters(path: string, dialect: Dialect): Schema[] {
  return [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) =>
    dialect === "v2"
      ? { in: "path", name, required: true, type: "string", uniqueItems: true }
      : { in: "path", name, required: true, schema: { type: "string", uniqueItems: true } },
  );
}

/** "rbac.authorization.k8s.io" -> "RbacAuthorization", "" -> "Core". */
function groupName(group: string): string {
  if (group === "") return "Core";
  return group
    .replace(/\.k8s\.io$/, "")
    .split(".")
    .map((p) => p.charAt(0).toUpperCase() + p.slice(1))
    .join("");
}
