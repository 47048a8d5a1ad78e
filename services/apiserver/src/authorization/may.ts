// What admission asks about the user of a request: whether they may also do another thing (k8s.io/apiserver/pkg/authorization/authorizer).
import type { Attributes } from "../admission/chain.ts";
import type { Api } from "../call.ts";

export interface OtherAction {
  verb: string;
  group: string;
  resource: string;
  subresource?: string;
  /** "" for objects of the cluster. */
  namespace: string;
  name: string;
}

/** Whether the user of the request may do it, in any version of its group. */
export function may(api: Api, a: Attributes, { subresource = "", ...action }: OtherAction): boolean {
  return api.authorizer.authorize({ user: a.user, isResource: true, version: "*", subresource, path: "", ...action }).allowed;
}
