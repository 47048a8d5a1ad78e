// Redirections: opens what they name, puts it at its descriptor, and knows how to put back what was there.
// Invariant: after `undo` the table is as before; when one redirection fails, those before it are undone.
import { PodwireError } from "@podwire/base";
import { SysError, strerror } from "../kernel/errno.ts";
import type { OpenFile } from "../kernel/open-file.ts";
import type { Redirect } from "./ast.ts";
import type { Shell } from "./shell.ts";

/** The command is not run; its status is 1. */
export class RedirectError extends PodwireError {}

export async function applyRedirects(sh: Shell, redirects: readonly Redirect[], keep = false): Promise<() => void> {
  const fds = sh.p.fds;
  const saved: [number, OpenFile | undefined][] = [];
  const undo = () => {
    for (const [fd, file] of saved.reverse()) {
      if (file === undefined) {
        if (fds.find(fd)) fds.close(fd);
      } else {
        fds.set(fd, file);
        file.unref();
      }
    }
  };
  try {
    for (const r of redirects) {
      const file = await open(sh, r);
      if (!keep) saved.push([r.fd, fds.find(r.fd)?.ref()]);
      if (file === "close") {
        if (fds.find(r.fd)) fds.close(r.fd);
      } else fds.set(r.fd, file);
    }
  } catch (e) {
    undo();
    throw e;
  }
  return undo;
}

async function open(sh: Shell, r: Redirect): Promise<OpenFile | "close"> {
  if (r.kind === "<<") {
    const text = r.heredoc === undefined ? "" : await sh.text(r.heredoc);
    const [read, write] = sh.p.pipe();
    write.ref();
    const bytes = Buffer.from(text, "utf8");
    const n = write.writeNow(bytes);
    if (n < bytes.length) feed(sh, write, bytes.subarray(n));
    else write.unref();
    return read;
  }
  const target = await sh.text(r.target, { tilde: true });
  if (r.kind === "<&" || r.kind === ">&") {
    if (target === "-") return "close";
    if (r.kind === ">&" && r.fd === 1 && !/^\d+$/.test(target)) {
      const both = await openTarget(sh, { ...r, kind: ">" }, target);
      sh.p.fds.set(2, both);
      return both;
    }
    if (!/^\d+$/.test(target)) throw new RedirectError(`${target}: bad fd number`);
    const f = sh.p.fds.find(Number(target));
    if (f === undefined) throw new RedirectError(`${target}: Bad file descriptor`);
    return f;
  }
  return openTarget(sh, r, target);
}

async function openTarget(sh: Shell, r: Redirect, target: string): Promise<OpenFile> {
  try {
    switch (r.kind) {
      case "<":
        return await sh.p.openFile(target, { read: true });
      case "<>":
        return await sh.p.openFile(target, { read: true, write: true, create: true });
      case ">>":
        return await sh.p.openFile(target, { write: true, create: true, append: true });
      default: {
        if (r.kind === ">" && sh.options.has("noclobber")) {
          const s = sh.p.fs.tryStat(target);
          if (s?.kind === "file") throw new SysError("EEXIST", target);
        }
        return await sh.p.openFile(target, { write: true, create: true, truncate: true });
      }
    }
  } catch (e) {
    if (!(e instanceof SysError)) throw e;
    const reading = r.kind === "<";
    if (e.code === "ENOENT" || e.code === "ENOTDIR")
      throw new RedirectError(reading ? `can't open ${target}: no such file` : `can't create ${target}: nonexistent directory`);
    throw new RedirectError(`can't ${reading ? "open" : "create"} ${target}: ${strerror(e)}`);
  }
}

/** A here-document that is larger than a pipe is written by a process of its own, as a fork would. */
function feed(sh: Shell, write: OpenFile, rest: Uint8Array): void {
  const fds = sh.p.fds.clone(false);
  fds.closeAll();
  fds.set(1, write);
  write.unref();
  sh.p.spawn({
    program: async (q) => {
      await q.write(1, rest);
      return 0;
    },
    argv: sh.p.argv,
    fds,
  });
}
