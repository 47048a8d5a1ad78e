// execvp(3) inside a container: which program a name runs. Programs are functions that image files carry; a text file runs by
// its "#!" line, and one without is ENOEXEC, which shells take as a script of their own.
import { SysError } from "../kernel/errno.ts";
import type { Process, Program } from "../kernel/process.ts";
import { FileInode } from "../vfs/inode.ts";

const MAX_INTERPRETERS = 4;
const DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

export function resolveProgram(p: Process, name: string): { program: Program; path: string; argvPrefix: string[] } {
  if (name === "") throw new SysError("ENOENT", name);
  if (name.includes("/")) return programAt(p, name, 0);
  let denied: SysError | undefined;
  for (const dir of (p.env.get("PATH") ?? DEFAULT_PATH).split(":")) {
    try {
      return programAt(p, `${dir === "" ? "." : dir}/${name}`, 0);
    } catch (e) {
      if (!(e instanceof SysError)) throw e;
      if (e.code === "ENOEXEC") throw e;
      if (e.code === "EACCES") denied = e;
    }
  }
  throw denied === undefined ? new SysError("ENOENT", name) : denied;
}

function programAt(p: Process, path: string, depth: number): { program: Program; path: string; argvPrefix: string[] } {
  if (depth > MAX_INTERPRETERS) throw new SysError("ELOOP", path);
  const inode = p.fs.resolve(path).inode;
  if (!(inode instanceof FileInode)) throw new SysError("EACCES", path);
  p.fs.access(path, 1);
  if (inode.program) return { program: withFileIdentity(inode, inode.program), path, argvPrefix: [] };
  const head = Buffer.from(inode.view().subarray(0, 256)).toString("utf8");
  const m = /^#![ \t]*(\S+)(?:[ \t]+([^\n]*?))?[ \t]*(?:\n|$)/.exec(head);
  if (!m) throw new SysError("ENOEXEC", path);
  const interpreter = programAt(p, m[1] as string, depth + 1);
  return { program: interpreter.program, path, argvPrefix: [...interpreter.argvPrefix, m[1] as string, ...(m[2] ? [m[2]] : []), path] };
}

/** A set-user-ID or set-group-ID program runs as its file's owner or group, unless the process may gain no privileges. */
function withFileIdentity(file: FileInode, program: Program): Program {
  if ((file.mode & 0o6000) === 0) return program;
  return (p) => {
    const old = p.identity;
    if (!old.noNewPrivileges) {
      const uid = file.mode & 0o4000 ? file.uid : old.uid;
      const gid = file.mode & 0o2000 ? file.gid : old.gid;
      const bounding = old.bounding ?? old.caps;
      const caps = uid === 0 ? bounding : old.caps;
      p.identity = { ...old, uid, gid, caps, realUid: old.realUid ?? old.uid, realGid: old.realGid ?? old.gid };
    }
    return program(p);
  };
}
