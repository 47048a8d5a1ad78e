// Impersonation: Impersonate-User, -Group, -Uid and -Extra-* headers, each authorized as the verb `impersonate`
// (apiserver/pkg/endpoints/filters/impersonation.go).
import { forbiddenReason, statusErrors } from "@podwire/api";
import { PodwireError } from "@podwire/base";
import type { Api, ApiRequest, User } from "../call.ts";
import { allValues, extraValues, oneValue } from "./header-values.ts";

/** Headers that contradict each other; answered as a plain 500. */
export class ImpersonationError extends PodwireError {}

/** The user to act as. Throws 403 when not allowed, ImpersonationError when headers contradict. */
export function impersonated(api: Api, request: ApiRequest, user: User): User {
  if (!impersonates(request.headers)) return user;
  const name = oneValue(request.headers["impersonate-user"]);
  const groups = allValues(request.headers["impersonate-group"]);
  const uid = oneValue(request.headers["impersonate-uid"]);
  const extra = extraValues(request.headers, "impersonate-extra-");
  if (name === "") {
    const given = [
      ...groups.map((g) => `{Group  ${g}    }`),
      ...Object.entries(extra).flatMap(([k, values]) => values.map((v) => `{UserExtra  ${v}  authentication.k8s.io/v1  ${k}}`)),
      ...(uid === "" ? [] : [`{UID  ${uid}  authentication.k8s.io/v1  }`]),
    ];
    if (given.length > 0) throw new ImpersonationError(`requested [${given.join(" ")}] without impersonating a user`);
    return user;
  }
  const account = /^system:serviceaccount:([^:]+):([^:]+)$/.exec(name);
  const ask = (group: string, resource: string, namespace: string, what: string, subresource = "") => {
    const d = api.authorizer.authorize({
      user,
      verb: "impersonate",
      isResource: true,
      group,
      version: "v1",
      resource,
      subresource,
      namespace,
      name: what,
      path: "",
    });
    if (d.allowed) return;
    const why = forbiddenReason({ user: user.name, verb: "impersonate", group, resource, subresource, namespace });
    throw statusErrors.forbidden({ group, resource }, what, d.reason ? `${why}: ${d.reason}` : why);
  };
  if (account) ask("", "serviceaccounts", account[1] as string, account[2] as string);
  else ask("", "users", "", name);
  for (const g of groups) ask("", "groups", "", g);
  for (const [k, values] of Object.entries(extra)) for (const v of values) ask("authentication.k8s.io", "userextras", "", v, k);
  if (uid !== "") ask("authentication.k8s.io", "uids", "", uid);
  return { name, groups: groupsOf(name, groups, account), ...(uid ? { uid } : {}), ...(Object.keys(extra).length > 0 ? { extra } : {}) };
}

function groupsOf(name: string, given: readonly string[], account: RegExpExecArray | null): string[] {
  const groups = [...given];
  if (account && given.length === 0) groups.push("system:serviceaccounts", `system:serviceaccounts:${account[1]}`);
  if (name === "system:anonymous") {
    if (!groups.includes("system:unauthenticated")) groups.push("system:unauthenticated");
  } else if (!groups.includes("system:authenticated") && !groups.includes("system:unauthenticated")) groups.push("system:authenticated");
  return groups;
}

/** Whether a request asks to be somebody else's. */
export function impersonates(headers: ApiRequest["headers"]): boolean {
  for (const k in headers) if (k.startsWith("impersonate-")) return true;
  return false;
}
