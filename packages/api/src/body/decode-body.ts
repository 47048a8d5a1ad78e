// A request body -> an object of the kind that its URL expects, with the Status that kube-apiserver gives for anything
// else: unknown formats, syntax errors, other kinds, wrong types, unknown and duplicate fields (fieldValidation).

import { PodwireError, reasonOf } from "@podwire/base";
import { type StatusError, statusErrors } from "../errors/status-error.ts";
import { QuantityError } from "../meta/quantity.ts";
import { TimeError } from "../meta/time.ts";
import { parseApiVersion, type ResourceInfo } from "../resources.ts";
import { Conformer, DecodeError, RawNumber, STRICT_ERRORS_MAX, unwrapNumbers } from "../schema/conform.ts";
import { lookup } from "../schema/lookup.ts";
import { kindType, type StructType, structType } from "../schema/registry.ts";
import { ProtobufError } from "../wire/bytes-reader.ts";
import { decodeEnvelope, decodeMessage } from "../wire/protobuf-decode.ts";
import { JsonSyntaxError, type ParsedJson, parseExact, parseJson } from "./json-text.ts";
import { parseYaml, YamlSyntaxError } from "./yaml-text.ts";

export type FieldValidation = "Ignore" | "Warn" | "Strict";

/** What a URL expects: a resource's own kind, or that of one of its subresources. */
export type DecodeTarget = Pick<ResourceInfo, "group" | "version" | "kind" | "type" | "apiVersion" | "custom">;

export interface DecodedBody {
  object: any;
  warnings: string[];
}

export const MEDIA_TYPES = ["application/json", "application/yaml", "application/vnd.kubernetes.protobuf"] as const;

/** Group-versions that the scheme still knows but no longer serves, with the kinds that moved elsewhere. */
const RETIRED: Record<string, readonly string[]> = lookup({
  "extensions/v1beta1": ["Deployment", "DaemonSet", "ReplicaSet", "Ingress", "NetworkPolicy", "Scale", "PodSecurityPolicy"],
  "apps/v1beta1": ["Deployment", "StatefulSet", "ControllerRevision", "Scale"],
  "apps/v1beta2": ["Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ControllerRevision", "Scale"],
  "batch/v1beta1": ["CronJob"],
  "policy/v1beta1": ["PodDisruptionBudget", "Eviction"],
  "networking.k8s.io/v1beta1": ["Ingress", "IngressClass", "IPAddress", "ServiceCIDR"],
  "storage.k8s.io/v1beta1": ["StorageClass", "CSIDriver", "CSINode", "CSIStorageCapacity", "VolumeAttachment", "VolumeAttributesClass"],
  "storage.k8s.io/v1alpha1": ["VolumeAttachment", "CSIStorageCapacity", "VolumeAttributesClass"],
  "discovery.k8s.io/v1beta1": ["EndpointSlice"],
  "events.k8s.io/v1beta1": ["Event"],
  "coordination.k8s.io/v1beta1": ["Lease"],
  "scheduling.k8s.io/v1beta1": ["PriorityClass"],
  "scheduling.k8s.io/v1alpha1": ["PriorityClass"],
  "rbac.authorization.k8s.io/v1beta1": ["Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"],
  "rbac.authorization.k8s.io/v1alpha1": ["Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"],
  "node.k8s.io/v1beta1": ["RuntimeClass"],
  "node.k8s.io/v1alpha1": ["RuntimeClass"],
  "certificates.k8s.io/v1beta1": ["CertificateSigningRequest"],
  "authentication.k8s.io/v1beta1": ["TokenReview", "SelfSubjectReview"],
  "authorization.k8s.io/v1beta1": ["SubjectAccessReview", "SelfSubjectAccessReview", "LocalSubjectAccessReview", "SelfSubjectRulesReview"],
  "admissionregistration.k8s.io/v1beta1": [
    "ValidatingWebhookConfiguration",
    "MutatingWebhookConfiguration",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
  ],
  "autoscaling/v2beta1": ["HorizontalPodAutoscaler"],
  "autoscaling/v2beta2": ["HorizontalPodAutoscaler"],
  "flowcontrol.apiserver.k8s.io/v1beta3": ["FlowSchema", "PriorityLevelConfiguration"],
});

const SCHEME = 'in scheme "pkg/api/legacyscheme/scheme.go:30"';

/** Decodes a body; throws StatusError. An absent content type means JSON. */
export function decodeBody(
  target: DecodeTarget,
  bytes: Uint8Array,
  contentType: string | undefined,
  opts: { fieldValidation?: FieldValidation } = {},
): DecodedBody {
  const validation = opts.fieldValidation ?? "Warn";
  switch (mediaType(contentType)) {
    case "application/json":
      return decodeText(target, bytes, validation, readJson(target, bytes));
    case "application/yaml": {
      const { value, duplicates } = readYaml(target, bytes);
      return decodeText(target, bytes, validation, { value, duplicates: undefined, keys: undefined }, duplicates);
    }
    case "application/vnd.kubernetes.protobuf":
      return { object: readProtobuf(target, bytes), warnings: [] };
    default:
      throw statusErrors.unsupportedMediaType(target.custom === undefined ? MEDIA_TYPES : MEDIA_TYPES.slice(0, 2));
  }
}

/** "application/json; charset=utf-8" -> "application/json". */
export function mediaType(contentType: string | undefined): string {
  if (contentType === undefined || contentType === "") return "application/json";
  const semicolon = contentType.indexOf(";");
  const type = (semicolon < 0 ? contentType : contentType.slice(0, semicolon)).trim().toLowerCase();
  return type === "application/x-yaml" || type === "text/yaml" ? "unknown" : type;
}

function readJson(target: DecodeTarget, bytes: Uint8Array): ParsedJson {
  try {
    return parseJson(bytes);
  } catch (e) {
    if (!(e instanceof JsonSyntaxError)) throw e;
    throw unrecognized(target, `couldn't get version/kind; json parse error: ${e.message}`, bytes);
  }
}

function readYaml(target: DecodeTarget, bytes: Uint8Array): { value: any; duplicates: string[] } {
  try {
    return parseYaml(bytes);
  } catch (e) {
    if (!(e instanceof YamlSyntaxError)) throw e;
    throw unrecognized(target, e.message, bytes);
  }
}

function readProtobuf(target: DecodeTarget, bytes: Uint8Array): any {
  let env: ReturnType<typeof decodeEnvelope>;
  try {
    env = decodeEnvelope(bytes);
  } catch (e) {
    if (!(e instanceof ProtobufError)) throw e;
    throw unrecognized(target, e.message, bytes);
  }
  const type = typeFor(target, env.apiVersion || target.apiVersion, env.kind || target.kind);
  try {
    const object = decodeMessage(type, env.raw);
    object.kind = target.kind;
    object.apiVersion = target.apiVersion;
    return object;
  } catch (e) {
    if (e instanceof PodwireError || e instanceof RangeError) throw cannotHandle(target, env.kind, env.apiVersion, reasonOf(e));
    throw e;
  }
}

function decodeText(
  target: DecodeTarget,
  bytes: Uint8Array,
  validation: FieldValidation,
  parsed: ParsedJson,
  yamlDuplicates: string[] = [],
): DecodedBody {
  let value = parsed.value;
  if (value === null || value === undefined) value = {};
  const { apiVersion, kind } = typeMeta(target, value, bytes);
  const type = typeFor(target, apiVersion || target.apiVersion, kind || target.kind);
  const strict = validation === "Ignore" ? [] : undefined;
  let object: any;
  let notes: string[];
  try {
    let c = new Conformer(parsed.duplicates);
    const duplicates = target.custom === undefined || strict !== undefined ? [] : duplicateFields(parsed, bytes);
    object = target.custom === undefined ? c.struct(type, value) : conformCustom(c, value);
    if (target.custom === undefined && strict === undefined && parsed.keys !== undefined && parsed.keys !== c.keys) {
      // Fewer keys met than written: some were given twice. Read again, exactly, to name them.
      const again = parseExact(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8"));
      c = new Conformer(again.duplicates);
      object = c.struct(type, again.value);
    }
    notes = strict ?? (target.custom === undefined ? c.strict : [...new Set([...duplicates, ...c.strict])]);
  } catch (e) {
    if (e instanceof DecodeError || e instanceof QuantityError || e instanceof TimeError)
      throw cannotHandle(target, kind || target.kind, apiVersion || target.apiVersion, e.message);
    throw e;
  }
  if (validation !== "Ignore" && yamlDuplicates.length > 0) notes = [`yaml: unmarshal errors:\n  ${yamlDuplicates.join("\n  ")}`, ...notes];
  if (validation === "Strict" && notes.length > 0) {
    throw cannotHandle(target, kind || target.kind, apiVersion || target.apiVersion, `strict decoding error: ${notes.join(", ")}`);
  }
  object.kind = target.kind;
  object.apiVersion = target.apiVersion;
  return { object, warnings: notes };
}

/** A custom resource: metadata as Go reads it, everything else as it is (its schema prunes and judges it later). */
export function conformCustom(c: Conformer, value: any): any {
  const { apiVersion, kind, metadata, ...rest } = value;
  return { ...c.struct(PARTIAL(), { apiVersion, kind, metadata }), ...unwrapNumbers(rest) };
}

/** The fields of a custom resource that are given twice, in the order of the text: no type's walk meets them. */
function duplicateFields(parsed: ParsedJson, bytes: Uint8Array): string[] {
  let { value, duplicates } = parsed;
  if (parsed.keys !== undefined && keysIn(value) !== parsed.keys)
    ({ value, duplicates } = parseExact(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8")));
  const found: string[] = [];
  const walk = (v: any, path: string): void => {
    if (v === null || typeof v !== "object" || v instanceof RawNumber) return;
    if (Array.isArray(v)) {
      for (const [i, x] of v.entries()) walk(x, `${path}[${i}]`);
      return;
    }
    const twice = duplicates?.get(v);
    for (const k of Object.keys(v)) {
      const at = path === "" ? k : `${path}.${k}`;
      walk(v[k], at);
      if (twice?.includes(k) && found.length < STRICT_ERRORS_MAX) found.push(`duplicate field ${JSON.stringify(at)}`);
    }
  };
  if (duplicates) walk(value, "");
  return found;
}

function keysIn(v: any): number {
  if (v === null || typeof v !== "object" || v instanceof RawNumber) return 0;
  if (Array.isArray(v)) return v.reduce((n, x) => n + keysIn(x), 0);
  let n = 0;
  for (const k in v) n += 1 + keysIn(v[k]);
  return n;
}

const META_STRUCT = 'struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }';

function typeMeta(target: DecodeTarget, value: any, bytes: Uint8Array): { apiVersion: string; kind: string } {
  const fail = (text: string): StatusError => unrecognized(target, `couldn't get version/kind; json parse error: ${text}`, bytes);
  if (typeof value !== "object" || Array.isArray(value) || value instanceof RawNumber) {
    throw fail(`json: cannot unmarshal ${jsonKind(value)} into Go value of type ${META_STRUCT}`);
  }
  for (const f of ["apiVersion", "kind"] as const) {
    const v = value[f];
    if (v !== undefined && v !== null && typeof v !== "string")
      throw fail(`json: cannot unmarshal ${jsonKind(v)} into Go struct field .${f} of type string`);
  }
  return { apiVersion: value.apiVersion ?? "", kind: value.kind ?? "" };
}

function jsonKind(v: any): string {
  if (Array.isArray(v)) return "array";
  if (v instanceof RawNumber) return "number";
  return typeof v === "boolean" ? "bool" : typeof v;
}

/** The registered type of what the body says it is, when the URL accepts that. */
function typeFor(target: DecodeTarget, apiVersion: string, kind: string): StructType {
  const expected = target.type ?? PARTIAL();
  if (apiVersion === target.apiVersion && kind === target.kind) return expected;
  if (RETIRED[apiVersion]?.includes(kind)) {
    throw statusErrors.badRequest(
      `the API version in the data (${apiVersion}) does not match the expected API version (${target.apiVersion})`,
    );
  }
  const { group, version } = parseApiVersion(apiVersion);
  const other = kindType(group, version, kind);
  if (other === undefined) {
    throw cannotHandle(
      target,
      kind,
      apiVersion,
      `no kind ${JSON.stringify(kind)} is registered for version ${JSON.stringify(apiVersion)} ${SCHEME}`,
    );
  }
  if (kind === target.kind && group === target.group && version !== target.version) {
    throw statusErrors.badRequest(
      `the API version in the data (${apiVersion}) does not match the expected API version (${target.apiVersion})`,
    );
  }
  if (other === target.type) return other;
  throw cannotHandle(target, kind, apiVersion, `converting (${other.goName}) to (${internalName(target)}): unknown conversion`);
}

let partial: StructType | undefined;
function PARTIAL(): StructType {
  partial ??= structType("meta/v1.PartialObjectMetadata");
  return partial;
}

/** The unversioned Go name: "core.Pod". */
function internalName(target: DecodeTarget): string {
  const pkg = target.group === "" ? "core" : target.group.split(".")[0]!;
  return `${pkg}.${target.kind}`;
}

function cannotHandle(target: DecodeTarget, kind: string, apiVersion: string, why: string): StatusError {
  const version = parseApiVersion(apiVersion).version;
  return statusErrors.badRequest(`${kind} in version ${JSON.stringify(version)} cannot be handled as a ${target.kind}: ${why}`);
}

function unrecognized(target: DecodeTarget, why: string, bytes: Uint8Array): StatusError {
  return statusErrors.badRequest(`the object provided is unrecognized (must be of type ${target.kind}): ${why} (${summary(bytes)})`);
}

const SUMMARY_BYTES = 30;

/** The start of a body: text when it looks like JSON, else hexadecimal. */
function summary(bytes: Uint8Array): string {
  if (bytes.length === 0) return "<empty>";
  const head = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, SUMMARY_BYTES));
  const more = bytes.length > SUMMARY_BYTES ? " ..." : "";
  return `${bytes[0] === 0x7b ? head.toString("utf8") : head.toString("hex")}${more}`;
}

/** Parses free-form JSON (patches, webhook answers) without a type; throws JsonSyntaxError. */
export function parseJsonValue(bytes: Uint8Array): any {
  return unwrapNumbers(parseJson(bytes).value);
}
