// From a container's spec to what the runtime wants: command with $(VAR), environment, mounts, user, limits.
import { type Container as ContainerSpec, type Pod, parseQuantity } from "@podwire/api";
import {
  type ContainerMount,
  type ContainerOptions,
  DirInode,
  FileInode,
  FileSystem,
  type Image,
  type Inode,
  isErrno,
  MountTable,
  type SpacePool,
} from "@podwire/runtime";
import { ContainerConfigError } from "./environment.ts";
import { expand } from "./expansion.ts";
import type { PodVolumes } from "./volumes/pod-volumes.ts";

export interface ContainerInputs {
  pod: Pod;
  spec: ContainerSpec;
  image: Image;
  env: ReadonlyMap<string, string>;
  volumes: PodVolumes;
  /** The pod's own /etc/hosts, /etc/hostname and /etc/resolv.conf. */
  etc: ReadonlyMap<string, FileInode>;
  terminationLog: FileInode;
  /** The node's disk, on which the writable layer lies. */
  diskPool: SpacePool;
}

export function containerOptions(i: ContainerInputs): ContainerOptions {
  const { spec, pod, image } = i;
  const expanded = (list: string[] | undefined) => list?.map((a) => expand(a, i.env));
  const standIn = image.standIn;
  const security = { ...pod.spec!.securityContext, ...stripUndefined(spec.securityContext ?? {}) } as Record<string, any>;
  const limits = (spec.resources?.limits ?? {}) as Record<string, string>;
  const o: ContainerOptions = {
    name: spec.name!,
    image,
    env: Object.fromEntries(i.env),
    mounts: mountsOf(i),
    tty: spec.tty ?? false,
    stdin: spec.stdin ?? false,
    stdinOnce: spec.stdinOnce ?? false,
    readOnlyRootFilesystem: spec.securityContext?.readOnlyRootFilesystem ?? false,
    user: {
      ...(security["runAsUser"] !== undefined && security["runAsUser"] !== null ? { uid: Number(security["runAsUser"]) } : {}),
      ...(security["runAsGroup"] !== undefined && security["runAsGroup"] !== null ? { gid: Number(security["runAsGroup"]) } : {}),
      groups: [
        ...(pod.spec!.securityContext?.supplementalGroups ?? []).map(Number),
        ...(pod.spec!.securityContext?.fsGroup != null ? [Number(pod.spec!.securityContext.fsGroup)] : []),
      ],
      strictGroups: pod.spec!.securityContext?.supplementalGroupsPolicy === "Strict",
      addCaps: spec.securityContext?.capabilities?.add ?? [],
      dropCaps: spec.securityContext?.capabilities?.drop ?? [],
      privileged: spec.securityContext?.privileged ?? false,
      noNewPrivileges: spec.securityContext?.allowPrivilegeEscalation === false,
    },
    annex: new Map<string, unknown>([
      ["ports", standIn ? (spec.ports ?? []).filter((p) => (p.protocol ?? "TCP") === "TCP").map((p) => Number(p.containerPort)) : []],
    ]),
  };
  if (!standIn) {
    const command = expanded(spec.command);
    const args = expanded(spec.args);
    if (command) o.command = command;
    if (args) o.args = args;
  }
  if (spec.workingDir) o.workingDir = spec.workingDir;
  if (limits["memory"]) o.memoryLimitBytes = Number(parseQuantity(String(limits["memory"])).value());
  o.diskPool = i.diskPool;
  return o;
}

function stripUndefined(o: object): object {
  return Object.fromEntries(Object.entries(o).filter(([, v]) => v !== undefined && v !== null));
}

function mountsOf(i: ContainerInputs): ContainerMount[] {
  const out: ContainerMount[] = [];
  const taken = new Set<string>();
  for (const m of i.spec.volumeMounts ?? []) {
    const v = i.volumes.get(m.name!);
    if (!v) throw new ContainerConfigError(`cannot find volume "${m.name}" to mount into container "${i.spec.name}"`);
    const sub = m.subPathExpr ? expandStrict(m.subPathExpr, i.env) : (m.subPath ?? "");
    const root = sub === "" ? v.root : subPath(v.root, sub, m.readOnly ?? v.readOnly, i);
    taken.add(m.mountPath!.replace(/(.)\/+$/, "$1"));
    out.push({ mountPath: m.mountPath!, root, readOnly: (m.readOnly ?? false) || v.readOnly, source: v.source });
  }
  for (const [path, inode] of i.etc) if (!taken.has(path)) out.push({ mountPath: path, root: inode, readOnly: false, source: "/dev/vda1" });
  out.push({
    mountPath: i.spec.terminationMessagePath || "/dev/termination-log",
    root: i.terminationLog,
    readOnly: false,
    source: "/dev/vda1",
  });
  return out;
}

function expandStrict(text: string, env: ReadonlyMap<string, string>): string {
  const out = expand(text, env);
  const missing = /\$\(([^)]*)\)/.exec(out);
  if (missing) throw new ContainerConfigError(`failed to expand subPath: missing value for ${missing[1]}`);
  if (out.startsWith("/"))
    throw new ContainerConfigError(`failed to prepare subPath for volumeMount: subPath "${out}" must not be an absolute path`);
  if (out.split("/").includes(".."))
    throw new ContainerConfigError(`failed to prepare subPath for volumeMount: subPath "${out}" must not contain '..'`);
  return out;
}

const AS_ROOT = { uid: 0, gid: 0, groups: [0], override: true };

/** The inode below a volume's root; a missing folder is made, as the kubelet makes it. */
function subPath(root: Inode, path: string, readOnly: boolean, i: ContainerInputs): Inode {
  const table = new MountTable({ root, readOnly: false, source: "", target: "/" });
  try {
    const at = table.walk(table.root, `/${path}`, AS_ROOT);
    if (at.place) return at.place.inode;
  } catch (e) {
    if (!isErrno(e, "ENOENT"))
      throw new ContainerConfigError(`failed to prepare subPath for volumeMount "${path}" of container "${i.spec.name}"`, { cause: e });
  }
  if (!(root instanceof DirInode))
    throw new ContainerConfigError(`failed to prepare subPath for volumeMount "${path}" of container "${i.spec.name}"`);
  void readOnly;
  let made = "";
  for (const part of path.split("/").filter((x) => x !== "")) {
    made += `/${part}`;
    if (!table.walk(table.root, made, AS_ROOT).place) {
      table.mkdir(table.root, made, AS_ROOT, root.mode & 0o777);
      const inode = table.resolve(table.root, made, AS_ROOT).inode;
      if (inode.gid !== root.gid) {
        inode.gid = root.gid;
        inode.attributesChanged();
      }
    }
  }
  return table.resolve(table.root, made, AS_ROOT).inode;
}

/** A file that the kubelet puts into a container. */
export function textFile(now: () => number, text: string, mode = 0o644): FileInode {
  const fs = new FileSystem({ type: "ext4", now });
  const f = new FileInode(fs, mode, 0, 0);
  f.adopt(new TextEncoder().encode(text));
  return f;
}
