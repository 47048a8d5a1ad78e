// The calls that a user's JavaScript makes into its pod: files with the process's credentials, names, other processes.
// Invariant: a call touches nothing but the container; what it throws reaches the thread as an error with Node's code.
import { isIP } from "node:net";
import { SysError } from "../../kernel/errno.ts";
import type { Process } from "../../kernel/process.ts";
import { LookupError } from "../../net/resolver.ts";
import type { Stat } from "../../vfs/mounts.ts";
import type { CallError, FileStat, Reply } from "./protocol.ts";

type Call = (p: Process, ...args: any[]) => unknown;

function shown(s: Stat): FileStat {
  const { kind, ino, mode, nlink, uid, gid, size, atimeMs, mtimeMs, ctimeMs } = s;
  return { kind, ino, mode, nlink, uid, gid, size, atimeMs, mtimeMs, ctimeMs };
}

export const CALLS: { [name: string]: Call } = {
  readFile: (p, path: string) => p.fs.readFile(path),
  writeFile: (p, path: string, bytes: Uint8Array, o: { append?: boolean; mode?: number; exclusive?: boolean }) => {
    if (o.exclusive && p.fs.exists(path)) throw new SysError("EEXIST", path);
    p.fs.writeFile(path, bytes, { append: o.append ?? false, ...(o.mode === undefined ? {} : { mode: o.mode }) });
  },
  stat: (p, path: string) => shown(p.fs.stat(path)),
  lstat: (p, path: string) => shown(p.fs.lstat(path)),
  readdir: (p, path: string) =>
    p.fs
      .readdir(path)
      .filter((e) => e.name !== "." && e.name !== "..")
      .map((e) => ({ name: e.name, kind: e.inode.kind }))
      .sort((a, b) => (a.name < b.name ? -1 : 1)),
  mkdir: (p, path: string, o: { recursive?: boolean; mode?: number }) =>
    o.recursive ? p.fs.mkdirs(path, o.mode) : p.fs.mkdir(path, o.mode),
  unlink: (p, path: string) => p.fs.unlink(path),
  rmdir: (p, path: string) => p.fs.rmdir(path),
  rename: (p, from: string, to: string) => p.fs.rename(from, to),
  symlink: (p, target: string, path: string) => p.fs.symlink(target, path),
  link: (p, target: string, path: string) => p.fs.link(target, path),
  readlink: (p, path: string) => p.fs.readlink(path),
  realpath: (p, path: string) => p.fs.realpath(path),
  chmod: (p, path: string, mode: number) => p.fs.chmod(path, mode),
  chown: (p, path: string, uid: number, gid: number) => p.fs.chown(path, uid, gid),
  utimes: (p, path: string, atimeMs: number, mtimeMs: number) => p.fs.utimes(path, atimeMs, mtimeMs),
  access: (p, path: string, bits: number) => (bits === 0 ? void p.fs.stat(path) : p.fs.access(path, bits)),
  truncate: (p, path: string, size: number) => p.fs.truncate(path, size),
  chdir: (p, path: string) => {
    p.fs.chdir(path);
    return p.cwdPath;
  },
  lookup: (p, name: string, family: 0 | 4 | 6) => (isIP(name) ? [name] : p.net.lookup(name, family)),
  kill: (p, pid: number, signal: number) => p.kill(pid, signal),
  umask: (p, mask: number | undefined) => {
    const old = p.umask;
    if (mask !== undefined) p.umask = mask;
    return old;
  },
};

/** What Node tells of a failed call. */
export function callError(e: unknown): CallError {
  if (e instanceof SysError) return { code: e.code, errno: -e.errno, message: e.message.toLowerCase() };
  if (e instanceof LookupError) return { code: e.code, errno: -3008, message: e.message };
  const { code = "EIO", errno = -5, message } = e as { code?: string; errno?: number; message: string };
  return { code, errno: typeof errno === "number" ? errno : -5, message };
}

/** Runs a call at once; a promise is not waited for. */
export async function answer(p: Process, name: string, args: unknown[]): Promise<Reply> {
  try {
    p.check();
    const call = CALLS[name];
    if (call === undefined) throw new SysError("ENOSYS");
    return { value: await call(p, ...args) };
  } catch (e) {
    return { error: callError(e) };
  }
}
