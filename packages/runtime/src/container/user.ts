// Who a container's processes run as: the image's user, the pod's securityContext, /etc/passwd and /etc/group of the container.
import { ALL_CAPS, DEFAULT_CAPS } from "../kernel/capabilities.ts";
import type { Identity } from "../kernel/process.ts";

export interface UserRequest {
  uid?: number;
  gid?: number;
  /** Of /etc/group count only the groups that are asked for (supplementalGroupsPolicy: Strict). */
  strictGroups?: boolean;
  /** supplementalGroups and fsGroup. */
  groups?: readonly number[];
  addCaps?: readonly string[];
  dropCaps?: readonly string[];
  privileged?: boolean;
  /** allowPrivilegeEscalation: false. */
  noNewPrivileges?: boolean;
}

/** Turns "name", "uid", "uid:gid", "name:group" of an image into numbers; an unknown name is root, as nobody else is meant. */
export function identityOf(
  r: UserRequest,
  imageUser: string | undefined,
  files: { passwd: string; group: string; defaultCaps: readonly string[] },
): Identity {
  const users = files.passwd.split("\n").map((l) => l.split(":"));
  const groupLines = files.group.split("\n").map((l) => l.split(":"));
  const [userPart = "", groupPart] = (imageUser ?? "").split(":");
  const row = users.find((u) => (/^\d+$/.test(userPart) ? u[2] === userPart : u[0] === userPart && userPart !== ""));
  const imageUid = /^\d+$/.test(userPart) ? Number(userPart) : row ? Number(row[2]) : 0;
  const uid = r.uid ?? imageUid;
  const own = users.find((u) => u[2] === String(uid));
  let gid = own ? Number(own[3]) : 0;
  if (r.uid === undefined && groupPart !== undefined && groupPart !== "")
    gid = /^\d+$/.test(groupPart) ? Number(groupPart) : Number(groupLines.find((g) => g[0] === groupPart)?.[2] ?? 0);
  if (r.gid !== undefined) gid = r.gid;
  const name = own?.[0];
  const memberOf = r.strictGroups
    ? []
    : name === undefined
      ? []
      : groupLines.filter((g) => (g[3] ?? "").split(",").includes(name)).map((g) => Number(g[2]));
  const groups = [...new Set([gid, ...memberOf, ...(r.groups ?? [])])];
  const bounding = r.privileged ? ALL_SET : capsOf(r, files.defaultCaps);
  // Without ambient capabilities only root keeps them effective.
  const caps = r.privileged || uid === 0 ? bounding : NONE;
  return { uid, gid, groups, caps, bounding, ...(r.noNewPrivileges ? { noNewPrivileges: true } : {}) };
}

const NONE: ReadonlySet<string> = new Set();
/** Most containers have these, and share them. */
const DEFAULT_SET: ReadonlySet<string> = new Set<string>(DEFAULT_CAPS);
const ALL_SET: ReadonlySet<string> = new Set<string>(ALL_CAPS);

function capsOf(r: UserRequest, defaults: readonly string[]): ReadonlySet<string> {
  const plain = (list: readonly string[] | undefined) => (list ?? []).map((c) => c.toUpperCase().replace(/^CAP_/, ""));
  const drop = plain(r.dropCaps);
  const add = plain(r.addCaps);
  if (drop.length === 0 && add.length === 0 && defaults === DEFAULT_CAPS) return DEFAULT_SET;
  const caps = new Set<string>(drop.includes("ALL") ? [] : add.includes("ALL") ? ALL_CAPS : defaults);
  for (const c of drop) caps.delete(c);
  for (const c of add) if (c !== "ALL") caps.add(c);
  return caps;
}
