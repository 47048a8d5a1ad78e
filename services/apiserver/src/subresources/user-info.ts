// A user as authentication.k8s.io/v1 UserInfo.
import type { User } from "../call.ts";

export function userInfo(u: User): Record<string, unknown> {
  return {
    username: u.name,
    ...(u.uid ? { uid: u.uid } : {}),
    ...(u.groups.length > 0 ? { groups: u.groups } : {}),
    ...(u.extra ? { extra: u.extra } : {}),
  };
}
