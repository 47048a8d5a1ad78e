// Content negotiation of answers: JSON, YAML or protobuf, whole objects, Table or PartialObjectMetadata (Accept: ...;as=Table;v=v1;g=meta.k8s.io).
// Invariant: the first clause that can be served wins; a Table is never protobuf, a custom resource neither (endpoints/handlers/negotiation).
import { StatusError, statusErrors } from "@podwire/api";

export type Encoding = "json" | "yaml" | "protobuf";
export type Shape = "object" | "Table" | "PartialObjectMetadata" | "PartialObjectMetadataList";

export interface Output {
  encoding: Encoding;
  shape: Shape;
  /** v1 or v1beta1 of meta.k8s.io, for Table and PartialObjectMetadata. */
  metaVersion: string;
  contentType: string;
  pretty: boolean;
}

const JSON_OUTPUT: Output = { encoding: "json", shape: "object", metaVersion: "v1", contentType: "application/json", pretty: false };
const YAML_OUTPUT: Output = { ...JSON_OUTPUT, encoding: "yaml", contentType: "application/yaml" };
const PROTOBUF = "application/vnd.kubernetes.protobuf";
const PROTOBUF_OUTPUT: Output = { ...JSON_OUTPUT, encoding: "protobuf", contentType: PROTOBUF };
const OUTPUTS: Readonly<Record<Encoding, Output>> = { json: JSON_OUTPUT, yaml: YAML_OUTPUT, protobuf: PROTOBUF_OUTPUT };
export const ACCEPTED = ["application/json", "application/yaml", "application/vnd.kubernetes.protobuf"] as const;

const cache = new Map<string, Output>();
/** Past this many distinct Accept headers the cache is emptied. */
const MAX_CACHED_HEADERS = 500;

/** What to answer for an Accept header; custom resources have no protobuf. Throws the 406 of kube-apiserver. */
export function negotiate(accept: string | undefined, allowProtobuf = true): Output {
  if (accept === undefined || accept === "" || accept === "application/json" || accept === "*/*") return JSON_OUTPUT;
  const id = `${allowProtobuf ? 1 : 0}${accept}`;
  let out = cache.get(id);
  if (!out) {
    out = parse(accept, allowProtobuf);
    if (cache.size >= MAX_CACHED_HEADERS) cache.clear();
    cache.set(id, out);
  }
  return out;
}

function parse(accept: string, allowProtobuf: boolean): Output {
  const clauses = accept
    .split(",")
    .map((c, i) => parseClause(c, i))
    .sort((a, b) => b.q - a.q || a.index - b.index);
  let sawTransform = false;
  for (const c of clauses) {
    const encoding = encodingOf(c.type);
    if (encoding === undefined || (encoding === "protobuf" && !allowProtobuf)) continue;
    const base = OUTPUTS[encoding];
    const as = c.params["as"];
    if (as === undefined) return { ...base, pretty: c.params["pretty"] === "1" };
    sawTransform = true;
    if (encoding === "protobuf" && (as === "Table" || c.params["v"] !== "v1")) continue;
    const group = c.params["g"];
    const version = c.params["v"] ?? "";
    if (group !== "meta.k8s.io" || (version !== "v1" && version !== "v1beta1")) continue;
    if (as !== "Table" && as !== "PartialObjectMetadata" && as !== "PartialObjectMetadataList") continue;
    return { ...base, shape: as, metaVersion: version };
  }
  if (sawTransform) throw statusErrors.notAcceptable(ACCEPTED);
  throw new StatusError(406, "NotAcceptable", `406: Not Acceptable\n\nAvailable representations: ${ACCEPTED.join(", ")}`, {});
}

function encodingOf(type: string): Encoding | undefined {
  if (type === "*/*" || type === "application/json") return "json";
  if (type === PROTOBUF) return "protobuf";
  return type === "application/yaml" ? "yaml" : undefined;
}

function parseClause(text: string, index: number) {
  const [type = "", ...rest] = text.split(";").map((s) => s.trim());
  const params: Record<string, string> = {};
  for (const r of rest) {
    const eq = r.indexOf("=");
    if (eq > 0) params[r.slice(0, eq)] = r.slice(eq + 1).replace(/^"|"$/g, "");
  }
  const q = params["q"] === undefined ? 1 : Number(params["q"]);
  return { type: type.toLowerCase(), params, q: Number.isFinite(q) ? q : 0, index };
}
