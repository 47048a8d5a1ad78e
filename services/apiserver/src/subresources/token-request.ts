// POST serviceaccounts/{name}/token: a bound token (core/serviceaccount/storage/token.go).
import { applyDefaults, type FieldError, invalid, type KubeObject, statusErrors, updateManaged } from "@podwire/api";
import type { ServiceAccountTokens, TokenClaims } from "../authentication/service-account-tokens.ts";
import type { Api, ApiResponse, Call } from "../call.ts";
import { writeOptions } from "../request/options.ts";
import { valueResponse } from "../response.ts";
import { bindNamespace, decodeObject, managerOf, timeText } from "../verbs/body.ts";
import { attributesOf } from "../verbs/create.ts";
import { readOne } from "../verbs/get.ts";
import { kindInfo } from "./kind-info.ts";

const MIN_SECONDS = 600;
const MAX_SECONDS = 2 ** 32;
const DEFAULT_SECONDS = 3600;

export async function tokenRequest(api: Api, call: Call, tokens: ServiceAccountTokens): Promise<ApiResponse> {
  const options = writeOptions(call.info.query, "CreateOptions");
  const info = kindInfo("authentication.k8s.io", "v1", "TokenRequest");
  const request = decodeObject(call, info, options.fieldValidation);
  applyDefaults(info, request);
  request.metadata ??= {};
  bindNamespace(call, request);
  if (request.metadata.name && request.metadata.name !== call.name)
    throw statusErrors.badRequest(
      `requested service account name (${request.metadata.name}) does not match the name on the URL (${call.name})`,
    );
  const account = (await readOne(api, call)).object;
  const spec = (request["spec"] ??= {});
  spec.expirationSeconds ??= DEFAULT_SECONDS;
  const errors: FieldError[] = [];
  if (spec.expirationSeconds < MIN_SECONDS)
    errors.push(invalid("spec.expirationSeconds", spec.expirationSeconds, "may not specify a duration less than 10 minutes"));
  if (spec.expirationSeconds > MAX_SECONDS)
    errors.push(invalid("spec.expirationSeconds", spec.expirationSeconds, "may not specify a duration larger than 2^32 seconds"));
  if (errors.length > 0) throw statusErrors.invalid({ group: info.group, kind: info.kind }, "", errors);
  const manager = managerOf(options.fieldManager, call.userAgent);
  Object.assign(
    request,
    updateManaged(info, undefined, request, { manager, operation: "Update", time: timeText(api.clock.nowMs()), subresource: "token" }),
  );
  const attributes = attributesOf(call, "CREATE", request, undefined, options, "CreateOptions");
  await api.admission.admit(attributes);
  if (!spec.audiences?.length) spec.audiences = [...tokens.audiences];
  await api.admission.validate(attributes);
  const claims: TokenClaims = {
    namespace: call.namespace,
    serviceAccount: { name: call.name, uid: account.metadata.uid ?? "" },
    ...(spec.boundObjectRef ? await boundTo(api, call, spec.boundObjectRef) : {}),
  };
  const now = api.clock.nowMs();
  const token = tokens.issue(claims, spec.audiences, spec.expirationSeconds);
  const { name, namespace, uid, creationTimestamp } = account.metadata;
  const answer = {
    kind: "TokenRequest",
    apiVersion: "authentication.k8s.io/v1",
    metadata: {
      name,
      namespace,
      uid,
      creationTimestamp,
      ...(request.metadata.managedFields ? { managedFields: request.metadata.managedFields } : {}),
    },
    spec: { audiences: spec.audiences, expirationSeconds: spec.expirationSeconds, boundObjectRef: spec.boundObjectRef ?? null },
    status: { token, expirationTimestamp: timeText(now + spec.expirationSeconds * 1000) },
  };
  return valueResponse(201, answer, call.output);
}

async function boundTo(
  api: Api,
  call: Call,
  ref: { kind?: string; apiVersion?: string; name?: string; uid?: string },
): Promise<Partial<TokenClaims>> {
  const resource = ref.apiVersion === "v1" ? { Pod: "pods", Secret: "secrets", Node: "nodes" }[ref.kind ?? ""] : undefined;
  if (!resource) {
    const [group, version] = ref.apiVersion?.includes("/") ? ref.apiVersion.split("/") : ["", ref.apiVersion ?? ""];
    throw statusErrors.badRequest(`cannot bind token to object of type ${group}/${version}, Kind=${ref.kind}`);
  }
  const namespace = resource === "nodes" ? "" : call.namespace;
  const live = await api.storage.read({ group: "", resource, namespace, name: ref.name ?? "" }, false);
  if (!live) throw statusErrors.notFound({ group: "", resource }, ref.name ?? "");
  const uid = live.object.metadata.uid ?? "";
  if (ref.uid && ref.uid !== uid) {
    throw statusErrors.conflict(
      { group: "", resource: ref.kind ?? "" },
      ref.name ?? "",
      `the UID in the bound object reference (${ref.uid}) does not match the UID in record. The object might have been deleted and then recreated`,
    );
  }
  const bound = { name: ref.name ?? "", uid };
  if (resource === "secrets") return { secret: bound };
  if (resource === "nodes") return { node: bound };
  if (live.object["spec"]?.serviceAccountName !== call.name) {
    throw statusErrors.badRequest(
      `cannot bind token for serviceaccount ${JSON.stringify(call.name)} to pod running with different serviceaccount name.`,
    );
  }
  return { pod: bound, ...nodeOf(api, live.object) };
}

/** A pod's token names its node, with the node's uid when it is registered. */
function nodeOf(api: Api, pod: KubeObject): Partial<TokenClaims> {
  const name = pod["spec"]?.nodeName;
  if (!name) return {};
  const uid = api.cache.of("", "nodes").get("", name)?.object.metadata.uid;
  return { node: { name, ...(uid ? { uid } : {}) } as { name: string; uid: string } };
}
