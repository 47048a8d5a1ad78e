// A request as CEL expressions of webhooks and policies see it, and as AdmissionReview carries it.

import type { KubeObject } from "@podwire/api";
import type { Api } from "../call.ts";
import { userInfo } from "../subresources/user-info.ts";
import { celAuthorizer } from "./cel-authorizer.ts";
import type { Attributes } from "./chain.ts";

export function celInput(api: Api, a: Attributes, params?: unknown) {
  const namespace = a.namespace === "" ? undefined : api.cache.of("", "namespaces").get("", a.namespace)?.object;
  return {
    object: a.object ?? null,
    oldObject: a.oldObject ?? null,
    request: admissionRequest(a, ""),
    namespaceObject: namespace ? shownOf(namespace) : null,
    authorizer: celAuthorizer(api.authorizer, a.requested ?? a),
    ...(params === undefined ? {} : { params }),
  };
}

/** What expressions see of a Namespace. */
function shownOf(n: KubeObject): Record<string, unknown> {
  const { uid, managedFields: _, ownerReferences: __, ...metadata } = n.metadata;
  return { metadata: { ...metadata, ...(uid ? { UID: uid } : {}) }, spec: n["spec"] ?? {}, status: { phase: n["status"]?.phase ?? "" } };
}

/** The `request` of an AdmissionReview. */
export function admissionRequest(a: Attributes, uid: string): Record<string, unknown> {
  const requested = a.requested ?? a;
  return {
    uid,
    kind: a.kind,
    resource: resourceOf(a),
    ...(a.subresource ? { subResource: a.subresource } : {}),
    requestKind: requested.kind,
    requestResource: resourceOf(requested),
    ...(a.subresource ? { requestSubResource: a.subresource } : {}),
    ...(a.name ? { name: a.name } : {}),
    ...(a.namespace ? { namespace: a.namespace } : {}),
    operation: a.operation,
    userInfo: userInfo(a.user),
    object: a.object ?? null,
    oldObject: a.oldObject ?? null,
    dryRun: a.dryRun,
    options: a.options ?? null,
  };
}

function resourceOf(a: Attributes) {
  const { group, version, resource } = a.info;
  return { group, version, resource };
}
