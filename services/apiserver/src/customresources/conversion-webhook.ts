// Conversion of custom resources between versions by the definition's webhook (spec.conversion.strategy Webhook): ConversionReview v1 and
// v1beta1, many objects in one call (apiextensions-apiserver/pkg/apiserver/conversion). Invariant: of an answer's metadata only labels and
// annotations count; name, namespace, uid and everything else there stay the original's. What the webhook did wrong is said in the error.
import { errorText, type FieldError, type KubeObject, StatusError, validateAnnotations, validateLabels } from "@podwire/api";
import { reasonOf } from "@podwire/base";
import { type ClientConfig, callWebhook } from "../admission/webhooks/caller.ts";
import type { Api } from "../call.ts";

/** What kube-apiserver gives a conversion webhook to answer. */
const TIMEOUT_S = 30;
/** Objects of one call; more go in several calls, one after the other. */
const MAX_OBJECTS_PER_CALL = 500;
const MAX_BYTES_PER_CALL = 1024 * 1024;
const REVIEW_VERSIONS = ["v1", "v1beta1"];

export interface WebhookConversion {
  clientConfig: ClientConfig;
  conversionReviewVersions: string[];
}

/** Converts objects of one kind to a version, in order; those that are there already are left as they are. Throws a Status of code 500. */
export async function convertByWebhook(api: Api, w: WebhookConversion, objects: readonly KubeObject[], to: string): Promise<KubeObject[]> {
  const out = [...objects];
  let batch: number[] = [];
  let bytes = 0;
  const flush = async () => {
    const indexes = batch;
    batch = [];
    bytes = 0;
    if (indexes.length === 0) return;
    const from = indexes.map((i) => objects[i] as KubeObject);
    const converted = await call(api, w, from, to);
    for (const [n, i] of indexes.entries()) out[i] = converted[n] as KubeObject;
  };
  for (const [i, o] of objects.entries()) {
    if (o["apiVersion"] === to) continue;
    batch.push(i);
    bytes += JSON.stringify(o).length;
    if (batch.length >= MAX_OBJECTS_PER_CALL || bytes >= MAX_BYTES_PER_CALL) await flush();
  }
  await flush();
  return out;
}

async function call(api: Api, w: WebhookConversion, objects: KubeObject[], to: string): Promise<KubeObject[]> {
  const first = objects[0] as KubeObject;
  const kind = `${first["apiVersion"]}, Kind=${first["kind"]}`;
  const failed = (why: string) => conversionError(`conversion webhook for ${kind} failed: ${why}`);
  const version = w.conversionReviewVersions.find((v) => REVIEW_VERSIONS.includes(v));
  if (version === undefined) throw conversionError("no supported conversion review versions");
  const uid = api.random.uuid();
  const apiVersion = `apiextensions.k8s.io/${version}`;
  const review = { kind: "ConversionReview", apiVersion, request: { uid, desiredAPIVersion: to, objects } };
  let answer: any;
  try {
    answer = await callWebhook(api, w.clientConfig, review, TIMEOUT_S, "");
  } catch (e) {
    throw failed(reasonOf(e));
  }
  const response = answer?.response;
  if (version === "v1" && (answer?.kind !== "ConversionReview" || answer?.apiVersion !== apiVersion))
    throw failed(`expected webhook response of ${apiVersion}, Kind=ConversionReview, got ${gvk(answer)}`);
  if (!response) throw failed("no response provided");
  if (version === "v1" && response.uid !== uid)
    throw failed(`expected response.uid=${JSON.stringify(uid)}, got ${JSON.stringify(response.uid ?? "")}`);
  const { status = "", message } = response.result ?? {};
  if (status !== "Success") throw failed(message ? String(message) : `response.result.status was '${status}', not 'Success'`);
  const converted: unknown[] = response.convertedObjects ?? [];
  if (converted.length !== objects.length)
    throw conversionError(`conversion webhook for ${kind} returned ${converted.length} objects, expected ${objects.length}`);
  return objects.map((o, i) => checked(o, converted[i], to, kind));
}

/** The converted object with the original's metadata, or the reason why it is none. */
function checked(original: KubeObject, converted: any, to: string, kind: string): KubeObject {
  const wrong = (what: string, why: string) => conversionError(`conversion webhook for ${kind} returned invalid ${what}: ${why}`);
  if (converted?.apiVersion !== to)
    throw wrong("object at index 0", `invalid groupVersion (expected ${to}, received ${converted?.apiVersion ?? ""})`);
  if (converted.kind !== original["kind"])
    throw wrong("object at index 0", `invalid kind (expected ${original["kind"]}, received ${converted.kind ?? ""})`);
  const m = original.metadata as Record<string, any>;
  const answered = converted.metadata;
  for (const [field, label] of IDENTITY) {
    const [e, a] = [m[field] ?? "", answered?.[field] ?? ""];
    if (e !== a) throw wrong("object", `must have the same ${label}: ${e} != ${a}`);
  }
  if (answered === undefined) throw wrong("metadata", "missing metadata in converted object");
  if (answered === null || typeof answered !== "object" || Array.isArray(answered))
    throw wrong("metadata", `invalid metadata of type ${goType(answered)} in converted object`);
  const metadata: Record<string, any> = { ...m };
  for (const field of ["labels", "annotations"] as const) {
    const map = answered[field];
    delete metadata[field];
    if (map === undefined || map === null) continue;
    if (typeof map !== "object" || Array.isArray(map))
      throw wrong("metadata", `invalid metadata.${field} of type ${goType(map)} in converted object`);
    for (const [k, v] of Object.entries(map))
      if (typeof v !== "string")
        throw wrong("metadata", `metadata.${field}[${k}] must be a string, but is ${goType(v)} in converted object`);
    const errors: FieldError[] = [];
    if (field === "labels") validateLabels(errors, map, "metadata.labels");
    else validateAnnotations(errors, map, "metadata.annotation");
    if (errors.length > 0) throw wrong("metadata", aggregate(errors.map(errorText)));
    metadata[field] = map;
  }
  return { ...converted, metadata };
}

const IDENTITY = [
  ["name", "name"],
  ["namespace", "namespace"],
  ["uid", "UID"],
] as const;

function conversionError(message: string): StatusError {
  return new StatusError(500, "", message);
}

function aggregate(messages: readonly string[]): string {
  return messages.length === 1 ? (messages[0] as string) : `[${messages.join(", ")}]`;
}

function gvk(o: any): string {
  const apiVersion = String(o?.apiVersion ?? "");
  return `${apiVersion.includes("/") ? apiVersion : `/${apiVersion}`}, Kind=${o?.kind ?? ""}`;
}

/** A JSON value's type as Go's %T names it in an unstructured object. */
function goType(v: unknown): string {
  if (v === null) return "<nil>";
  if (Array.isArray(v)) return "[]interface {}";
  if (typeof v === "number") return Number.isInteger(v) ? "int64" : "float64";
  return typeof v === "boolean" ? "bool" : typeof v === "object" ? "map[string]interface {}" : "string";
}
