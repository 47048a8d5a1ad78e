// Fields that say who made an object, which only the server fills in (certificates/strategy.go).
import type { KubeObject, ResourceInfo } from "@podwire/api";
import type { User } from "../call.ts";

export function stampCaller(info: ResourceInfo, o: KubeObject, user: User): void {
  if (info.group !== "certificates.k8s.io" || info.resource !== "certificatesigningrequests") return;
  const { username: _u, uid: _i, groups: _g, extra: _e, ...spec } = o["spec"] ?? {};
  o["spec"] = {
    ...spec,
    username: user.name,
    ...(user.uid ? { uid: user.uid } : {}),
    groups: [...user.groups],
    ...(user.extra ? { extra: user.extra } : {}),
  };
}

/** Conditions of a request for a certificate get the time that the caller left out (certificates/strategy.go). */
export function stampConditions(info: ResourceInfo, o: KubeObject, now: string): void {
  if (info.groupResource !== "certificatesigningrequests.certificates.k8s.io") return;
  for (const c of o["status"]?.conditions ?? []) {
    c.lastUpdateTime ??= now;
    c.lastTransitionTime ??= now;
  }
}
