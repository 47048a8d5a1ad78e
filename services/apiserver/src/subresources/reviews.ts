// The reviews: TokenReview, SelfSubjectReview, the SubjectAccessReview family and SelfSubjectRulesReview
// (pkg/registry/{authentication,authorization}). A POST that asks, and stores nothing.
import { applyDefaults, type FieldError, invalid, type KubeObject, statusErrors, updateManaged, Verbatim } from "@podwire/api";
import { reasonOf } from "@podwire/base";
import type { TokenAuthenticator } from "../authentication/authenticator.ts";
import { type ServiceAccountTokens, TokenRefusedError } from "../authentication/service-account-tokens.ts";
import type { RbacAuthorizer } from "../authorization/rbac.ts";
import type { Api, ApiResponse, Call, User } from "../call.ts";
import { ACCEPTED } from "../request/accept.ts";
import { writeOptions } from "../request/options.ts";
import { valueResponse } from "../response.ts";
import { bindNamespace, decodeObject, managerOf, timeText } from "../verbs/body.ts";
import { attributesOf } from "../verbs/create.ts";
import { userInfo } from "./user-info.ts";

export interface ReviewParts {
  tokens: TokenAuthenticator;
  serviceAccounts: ServiceAccountTokens | undefined;
  rbac: RbacAuthorizer;
}

/** Registers the reviews as computed resources. */
export function serveReviews(api: Api, parts: ReviewParts): void {
  const serve = (resource: string, answer: (call: Call, o: KubeObject) => unknown) =>
    api.virtual.set(resource, async (call) => {
      // Nothing can turn a review into a table.
      if (call.output.shape === "Table") throw statusErrors.notAcceptable(ACCEPTED);
      const options = writeOptions(call.info.query, "CreateOptions");
      const o = decodeObject(call, call.served.info, options.fieldValidation);
      applyDefaults(call.served.info, o);
      o.metadata ??= {};
      bindNamespace(call, o);
      const attributes = attributesOf(call, "CREATE", managed(api, call, o, options.fieldManager), undefined, options, "CreateOptions");
      await api.admission.admit(attributes);
      await api.admission.validate(attributes);
      const admitted = attributes.object as KubeObject;
      const status = await answer(call, admitted);
      return valueResponse(201, { ...admitted, status }, call.output) satisfies ApiResponse;
    });
  serve("tokenreviews.authentication.k8s.io", (_call, o) => reviewToken(parts, o));
  serve("selfsubjectreviews.authentication.k8s.io", (call, o) => {
    o.metadata.creationTimestamp = timeText(api.clock.nowMs());
    return { userInfo: userInfo(call.user) };
  });
  serve("subjectaccessreviews.authorization.k8s.io", (call, o) => reviewAccess(api, call, o, undefined));
  serve("localsubjectaccessreviews.authorization.k8s.io", (call, o) => reviewAccess(api, call, o, undefined));
  serve("selfsubjectaccessreviews.authorization.k8s.io", (call, o) => reviewAccess(api, call, o, call.user));
  serve("selfsubjectrulesreviews.authorization.k8s.io", (call, o) => {
    const namespace = o["spec"]?.namespace;
    if (!namespace) throw statusErrors.badRequest("no namespace on request");
    o["spec"] = {};
    delete o.metadata.managedFields;
    return reviewRules(parts.rbac, call.user, namespace);
  });
}

/** Reviews carry managedFields as any created object. */
function managed(api: Api, call: Call, o: KubeObject, fieldManager: string): KubeObject {
  return updateManaged(call.served.info, undefined, o, {
    manager: managerOf(fieldManager, call.userAgent),
    operation: "Update",
    time: timeText(api.clock.nowMs()),
  });
}

async function reviewToken(parts: ReviewParts, o: KubeObject): Promise<unknown> {
  const { token, audiences } = o["spec"] ?? {};
  if (!token) throw statusErrors.badRequest("token is required for TokenReview in authentication");
  const fail = (why?: string) => ({ user: {}, error: why === undefined ? "invalid bearer token" : `[invalid bearer token, ${why}]` });
  try {
    const wanted: readonly string[] = audiences?.length ? audiences : (parts.serviceAccounts?.audiences ?? []);
    const verified = parts.serviceAccounts?.verify(token, wanted);
    if (verified) return { authenticated: true, user: userInfo(verified.user), audiences: verified.audiences };
    const user = await parts.tokens.authenticate(token);
    if (!user) return fail();
    return { authenticated: true, user: userInfo(user), ...(wanted.length > 0 ? { audiences: wanted } : {}) };
  } catch (e) {
    if (e instanceof TokenRefusedError) return fail(reasonOf(e));
    throw e;
  }
}

function reviewAccess(api: Api, call: Call, o: KubeObject, self: User | undefined): unknown {
  const spec = o["spec"] ?? {};
  const { resourceAttributes: r, nonResourceAttributes: n } = spec;
  const errors: FieldError[] = [];
  if (r && n)
    errors.push(
      invalid(
        "spec.nonResourceAttributes",
        new Verbatim(JSON.stringify({ Path: n.path ?? "", Verb: n.verb ?? "" })),
        "cannot be specified in combination with resourceAttributes",
      ),
    );
  if (!r && !n)
    errors.push(
      invalid(
        "spec.resourceAttributes",
        new Verbatim("null"),
        "exactly one of nonResourceAttributes or resourceAttributes must be specified",
      ),
    );
  if (!self && !spec.user && !spec.groups?.length)
    errors.push(invalid("spec.user", spec.user ?? "", "at least one of user or group must be specified"));
  if (call.served.info.kind === "LocalSubjectAccessReview" && r && (r.namespace ?? "") !== call.namespace) {
    errors.push(invalid("spec.resourceAttributes.namespace", r.namespace ?? "", "must match metadata.namespace"));
  }
  if (errors.length > 0) throw statusErrors.invalid({ group: "authorization.k8s.io", kind: "" }, "", errors);
  const user: User = self ?? {
    name: spec.user ?? "",
    groups: spec.groups ?? [],
    ...(spec.uid ? { uid: spec.uid } : {}),
    ...(spec.extra ? { extra: spec.extra } : {}),
  };
  const d = api.authorizer.authorize({
    user,
    verb: (r ?? n).verb ?? "",
    isResource: r !== undefined && r !== null,
    group: r?.group ?? "",
    version: r?.version ?? "",
    resource: r?.resource ?? "",
    subresource: r?.subresource ?? "",
    namespace: r?.namespace ?? "",
    name: r?.name ?? "",
    path: n?.path ?? "",
  });
  return { allowed: d.allowed, ...(d.denied ? { denied: true } : {}), ...(d.reason ? { reason: d.reason } : {}) };
}

function reviewRules(rbac: RbacAuthorizer, user: User, namespace: string): unknown {
  const resourceRules: unknown[] = [];
  const nonResourceRules: unknown[] = [];
  for (const r of rbac.rulesOf(user, namespace)) {
    if (r.resources?.length)
      resourceRules.push({
        verbs: r.verbs,
        apiGroups: r.apiGroups,
        resources: r.resources,
        ...(r.resourceNames?.length ? { resourceNames: r.resourceNames } : {}),
      });
    if (r.nonResourceURLs?.length) nonResourceRules.push({ verbs: r.verbs, nonResourceURLs: r.nonResourceURLs });
  }
  return { resourceRules, nonResourceRules, incomplete: false };
}
