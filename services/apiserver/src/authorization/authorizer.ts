// Who may do what: one question, answered by a chain of authorizers (Node, then RBAC). Each allows, denies or has no opinion;
// the first that decides wins, and no decision is a refusal.
import type { User } from "../call.ts";

export interface AccessAttributes {
  user: User;
  verb: string;
  isResource: boolean;
  group: string;
  version: string;
  resource: string;
  subresource: string;
  namespace: string;
  name: string;
  /** Path of a non-resource request. */
  path: string;
  fieldSelector?: string;
  labelSelector?: string;
}

export interface Decision {
  allowed: boolean;
  /** A denial that ends the chain. */
  denied?: boolean;
  reason: string;
}

export interface Authorizer {
  authorize(a: AccessAttributes): Decision;
}

export const NO_OPINION: Decision = { allowed: false, reason: "" };

/** system:masters may do everything, before any other authorizer is asked. */
export const mastersAuthorizer: Authorizer = {
  authorize: (a) => (a.user.groups.includes("system:masters") ? { allowed: true, reason: "" } : NO_OPINION),
};

export const alwaysAllow: Authorizer = { authorize: () => ({ allowed: true, reason: "" }) };
export const alwaysDeny: Authorizer = { authorize: () => ({ allowed: false, reason: "Everything is forbidden." }) };

export function chainOf(authorizers: readonly Authorizer[]): Authorizer {
  return {
    authorize(a) {
      const reasons: string[] = [];
      for (const x of authorizers) {
        const d = x.authorize(a);
        if (d.allowed || d.denied) return d;
        if (d.reason !== "") reasons.push(d.reason);
      }
      return { allowed: false, reason: reasons.join("\n") };
    },
  };
}
