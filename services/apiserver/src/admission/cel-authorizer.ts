// `authorizer` in CEL expressions: who may do what, asked as the user of the request or as a service account
// (apiserver/pkg/cel/library/authz.go). Invariant: each question costs, so that an expression can ask only a few.
import { CEL_HOST, type CelHostObject } from "@podwire/api";
import type { AccessAttributes, Authorizer, Decision } from "../authorization/authorizer.ts";
import type { User } from "../call.ts";
import type { Attributes } from "./chain.ts";

/** What cel-go's cost estimator charges for a check. */
const CHECK_COST = 350_000;
const DNS_LABEL = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
const DNS_SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;

type Call = NonNullable<CelHostObject["celCall"]>;

function host(call: Call, fields: Record<string, CelHostObject> = {}): CelHostObject {
  return {
    [CEL_HOST]: true,
    celCall: call,
    celHas: (f: string) => f in fields,
    celGet: (f: string) => fields[f],
  } as CelHostObject;
}

export function celAuthorizer(authorizer: Authorizer, a: Attributes): CelHostObject {
  return forUser(authorizer, a.user, {
    group: a.info.group,
    version: a.info.version,
    resource: a.info.resource,
    subresource: a.subresource,
    namespace: a.namespace,
    name: a.name,
  });
}

type Resource = Pick<
  AccessAttributes,
  "group" | "version" | "resource" | "subresource" | "namespace" | "name" | "fieldSelector" | "labelSelector"
>;

function forUser(authorizer: Authorizer, user: User, request: Resource): CelHostObject {
  const ask = (attributes: Omit<AccessAttributes, "user">) => decision(authorizer.authorize({ ...attributes, user }));
  const resourceCheck = (r: Resource): CelHostObject =>
    host((method, [arg], spend) => {
      if (method === "check") {
        spend(CHECK_COST);
        return ask({ ...r, verb: String(arg), isResource: true, path: "" });
      }
      return resourceCheck({ ...r, [method]: String(arg) });
    });
  return host(
    (method, [first, second]) => {
      if (method === "serviceAccount") {
        const [namespace, name] = [String(first), String(second)];
        if (!DNS_SUBDOMAIN.test(name) || !DNS_LABEL.test(namespace)) return forUser(DENY_ALL, user, request);
        const groups = ["system:serviceaccounts", `system:serviceaccounts:${namespace}`, "system:authenticated"];
        return forUser(authorizer, { name: `system:serviceaccount:${namespace}:${name}`, groups }, request);
      }
      if (method === "path")
        return host((_check, [verb], spend) => {
          spend(CHECK_COST);
          return ask({
            verb: String(verb),
            isResource: false,
            path: String(first),
            group: "",
            version: "",
            resource: "",
            subresource: "",
            namespace: "",
            name: "",
          });
        });
      return host((_resource, [resource]) =>
        resourceCheck({ group: String(first), version: "*", resource: String(resource), subresource: "", namespace: "", name: "" }),
      );
    },
    { requestResource: resourceCheck(request) },
  );
}

const DENY_ALL: Authorizer = { authorize: () => ({ allowed: false, reason: "invalid service account" }) };

function decision(d: Decision): CelHostObject {
  const answers: Record<string, unknown> = { allowed: d.allowed, reason: d.reason, errored: false, error: "" };
  return host((method) => answers[method]);
}
