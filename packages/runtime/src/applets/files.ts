// Applets that change files: rm, mkdir, rmdir, mv, cp, ln, touch, chmod, chown, chgrp, mkfifo, truncate, mktemp.
import { isErrno, SysError, strerror } from "../kernel/errno.ts";
import type { Process } from "../kernel/process.ts";
import { FileInode } from "../vfs/inode.ts";
import { complain, complainOf, die, number, options, usage } from "./options.ts";

const join = (dir: string, name: string) => (dir.endsWith("/") ? dir + name : `${dir}/${name}`);
const base = (path: string) => path.replace(/\/+$/, "").replace(/^.*\//, "") || "/";

/** Reads a line of answer to a question on standard error. */
async function confirm(p: Process, question: string): Promise<boolean> {
  await p.printError(question);
  let first: number | undefined;
  for (;;) {
    const b = await p.read(0, 1);
    if (b.length === 0 || b[0] === 10) return first === 121 || first === 89;
    first ??= b[0];
  }
}

export async function rm(p: Process): Promise<number> {
  const o = await options(p, "irRf", "[-irf] FILE...");
  if (o.args.length === 0) return o.flags.has("f") ? 0 : usage(p, "[-irf] FILE...");
  const recursive = o.flags.has("r") || o.flags.has("R");
  let status = 0;
  const remove = async (path: string): Promise<void> => {
    const s = p.fs.tryStat(path, false);
    if (!s) {
      if (o.flags.has("f")) return;
      await complain(p, `can't remove '${path}': No such file or directory`);
      status = 1;
      return;
    }
    try {
      if (s.kind === "dir") {
        if (!recursive) {
          await complain(p, `'${path}' is a directory`);
          status = 1;
          return;
        }
        for (const e of p.fs.readdir(path)) await remove(join(path, e.name));
        if (o.flags.has("i") && !(await confirm(p, `${p.name}: remove directory '${path}'? `))) return;
        p.fs.rmdir(path);
      } else {
        if (o.flags.has("i") && !(await confirm(p, `${p.name}: remove '${path}'? `))) return;
        p.fs.unlink(path);
      }
    } catch (e) {
      if (!(e instanceof SysError)) throw e;
      await complain(p, `can't remove '${path}': ${strerror(e)}`);
      status = 1;
    }
  };
  for (const a of o.args) {
    if (/^(.*\/)?\.\.?\/*$/.test(a)) {
      await complain(p, `can't remove '.' or '..'`);
      status = 1;
      continue;
    }
    await remove(a);
  }
  return status;
}

export async function mkdir(p: Process): Promise<number> {
  const o = await options(p, "m:pv", "[-m MODE] [-p] DIRECTORY...");
  if (o.args.length === 0) return usage(p, "[-m MODE] [-p] DIRECTORY...");
  let status = 0;
  for (const d of o.args) {
    try {
      if (o.flags.has("p")) {
        const s = p.fs.tryStat(d);
        if (s && s.kind !== "dir") throw new SysError("EEXIST", d);
        p.fs.mkdirs(d);
      } else p.fs.mkdir(d);
      if (o.values.has("m")) p.fs.chmod(d, parseMode(o.values.get("m") as string, 0o777, true) ?? 0o777);
      if (o.flags.has("v")) await p.print(`created directory: '${d}'\n`);
    } catch (e) {
      await complain(p, `can't create directory '${d}': ${strerror(e)}`);
      status = 1;
    }
  }
  return status;
}

export async function rmdir(p: Process): Promise<number> {
  const o = await options(p, "p", "[-p] DIRECTORY...");
  let status = 0;
  for (const d of o.args) {
    let at = d;
    try {
      for (;;) {
        p.fs.rmdir(at);
        if (!o.flags.has("p") || !at.includes("/")) break;
        at = at.replace(/\/[^/]*\/*$/, "");
        if (at === "") break;
      }
    } catch (e) {
      await complain(p, `'${at}': ${strerror(e)}`);
      status = 1;
    }
  }
  return status;
}

/** Copies one file, link or tree. */
async function copyTree(
  p: Process,
  from: string,
  to: string,
  o: { recursive: boolean; preserve: boolean; links: boolean; verbose: boolean },
): Promise<number> {
  const s = p.fs.tryStat(from, !o.links);
  if (!s) {
    await complain(p, `can't stat '${from}': No such file or directory`);
    return 1;
  }
  const target = p.fs.tryStat(to);
  if (target && p.fs.resolve(from).inode === p.fs.resolve(to).inode) {
    await complain(p, `'${from}' and '${to}' are the same file`);
    return 1;
  }
  try {
    let status = 0;
    if (s.kind === "dir") {
      if (!o.recursive) {
        await complain(p, `omitting directory '${from}'`);
        return 1;
      }
      if (!target) p.fs.mkdir(to, s.mode | 0o700);
      for (const e of p.fs.readdir(from)) status = (await copyTree(p, join(from, e.name), join(to, e.name), o)) || status;
    } else if (s.kind === "symlink") {
      if (target) p.fs.unlink(to);
      p.fs.symlink(p.fs.readlink(from), to);
    } else if (s.kind === "fifo" && o.recursive) p.fs.mkfifo(to, s.mode);
    else {
      const inode = p.fs.resolve(from).inode;
      const bytes = inode instanceof FileInode ? p.fs.readFile(from) : new Uint8Array(0);
      try {
        p.fs.writeFile(to, bytes, { mode: s.mode & 0o777 });
      } catch (e) {
        await complain(p, `can't create '${to}': ${strerror(e)}`);
        return 1;
      }
      const made = p.fs.resolve(to).inode;
      if (inode instanceof FileInode && made instanceof FileInode && inode.program) made.program = inode.program;
    }
    if (o.verbose) await p.print(`'${from}' -> '${to}'\n`);
    if (o.preserve && s.kind !== "symlink") {
      p.fs.chmod(to, s.mode);
      if (p.identity.uid === 0) p.fs.chown(to, s.uid, s.gid);
      p.fs.utimes(to, s.atimeMs, s.mtimeMs);
    }
    return status;
  } catch (e) {
    if (!(e instanceof SysError)) throw e;
    await complain(p, `can't create '${to}': ${strerror(e)}`);
    return 1;
  }
}

export async function cp(p: Process): Promise<number> {
  const text = "[-arPLHpfinlsTu] SOURCE DEST\nor: cp [-arPLHpfinlsu] SOURCE... { -t DIRECTORY | DIRECTORY }";
  const o = await options(p, "arRPLHpdfinlsTuvt:", text);
  const dirOption = o.values.get("t");
  if (o.args.length < (dirOption === undefined ? 2 : 1)) return usage(p, text);
  const dest = dirOption ?? (o.args.at(-1) as string);
  const sources = dirOption === undefined ? o.args.slice(0, -1) : o.args;
  const recursive = o.flags.has("r") || o.flags.has("R") || o.flags.has("a");
  const settings = {
    recursive,
    preserve: o.flags.has("p") || o.flags.has("a"),
    links: (recursive && !o.flags.has("L")) || o.flags.has("P") || o.flags.has("d"),
    verbose: o.flags.has("v"),
  };
  const into = p.fs.tryStat(dest)?.kind === "dir" && !o.flags.has("T");
  const many = !into && sources.length > 1;
  let status = 0;
  for (const s of sources) {
    const to = into || many ? join(dest, base(s)) : dest;
    if (o.flags.has("n") && p.fs.exists(to)) continue;
    if (o.flags.has("i") && p.fs.exists(to) && !(await confirm(p, `${p.name}: overwrite '${to}'? `))) continue;
    if (o.flags.has("s") || o.flags.has("l")) {
      try {
        if (o.flags.has("s")) p.fs.symlink(s, to);
        else p.fs.link(s, to);
      } catch (e) {
        await complain(p, `can't create '${to}': ${strerror(e)}`);
        status = 1;
      }
      continue;
    }
    status = (await copyTree(p, s, to, settings)) || status;
  }
  return status;
}

export async function mv(p: Process): Promise<number> {
  const text = "[-finT] SOURCE DEST\nor: mv [-fin] SOURCE... { -t DIRECTORY | DIRECTORY }";
  const o = await options(p, "finTvt:", text);
  const dirOption = o.values.get("t");
  if (o.args.length < (dirOption === undefined ? 2 : 1)) return usage(p, text);
  const dest = dirOption ?? (o.args.at(-1) as string);
  const into = p.fs.tryStat(dest)?.kind === "dir" && !o.flags.has("T");
  const sources = dirOption === undefined ? o.args.slice(0, -1) : o.args;
  const many = !into && sources.length > 1;
  let status = 0;
  for (const s of sources) {
    const to = into || many ? join(dest, base(s)) : dest;
    if (o.flags.has("n") && p.fs.exists(to)) continue;
    if (o.flags.has("i") && p.fs.exists(to) && !(await confirm(p, `${p.name}: overwrite '${to}'? `))) continue;
    try {
      // busybox says it before it tries.
      if (o.flags.has("v")) await p.print(`'${s}' -> '${to}'\n`);
      p.fs.rename(s, to);
    } catch (e) {
      if (isErrno(e, "EXDEV")) {
        const code = await copyTree(p, s, to, { recursive: true, preserve: true, links: true, verbose: false });
        if (code === 0) {
          await removeAll(p, s);
        } else status = code;
        continue;
      }
      await complain(p, `can't rename '${s}': ${strerror(e)}`);
      status = 1;
    }
  }
  return status;
}

async function removeAll(p: Process, path: string): Promise<void> {
  if (p.fs.lstat(path).kind === "dir") {
    for (const e of p.fs.readdir(path)) await removeAll(p, join(path, e.name));
    p.fs.rmdir(path);
  } else p.fs.unlink(path);
}

export async function ln(p: Process): Promise<number> {
  const o = await options(p, "sfnbvTS:t:", "[-sfnbtv] [-S SUF] TARGET... LINK|DIR");
  if (o.args.length === 0) return usage(p, "[-sfnbtv] [-S SUF] TARGET... LINK|DIR");
  const last = o.args.length === 1 ? base(o.args[0] as string) : (o.args.at(-1) as string);
  const targets = o.args.length === 1 ? o.args : o.args.slice(0, -1);
  const into = p.fs.tryStat(last, !o.flags.has("n"))?.kind === "dir" && !o.flags.has("T");
  let status = 0;
  for (const t of targets) {
    const link = into ? join(last, base(t)) : last;
    try {
      if (!o.flags.has("s") && !p.fs.tryStat(t, false)) {
        await complain(p, `${t}: No such file or directory`);
        status = 1;
        continue;
      }
      if (o.flags.has("f") && p.fs.tryStat(link, false)) p.fs.unlink(link);
      if (o.flags.has("s")) p.fs.symlink(t, link);
      else p.fs.link(t, link);
      if (o.flags.has("v")) await p.print(`'${link}' -> '${t}'\n`);
    } catch (e) {
      await complainOf(p, link, e);
      status = 1;
    }
  }
  return status;
}

/** "@secs", "YYYY-MM-DD hh:mm[:ss]", "hh:mm", [[CC]YY]MMDDhhmm[.ss]: milliseconds. */
export function parseDate(text: string, nowMs: number): number | undefined {
  if (/^@-?\d+(\.\d+)?$/.test(text)) return Number(text.slice(1)) * 1000;
  const iso = /^(\d{4})-(\d\d?)-(\d\d?)(?:[T ](\d\d?):(\d\d)(?::(\d\d))?)?(Z)?$/.exec(text);
  if (iso)
    return Date.UTC(Number(iso[1]), Number(iso[2]) - 1, Number(iso[3]), Number(iso[4] ?? 0), Number(iso[5] ?? 0), Number(iso[6] ?? 0));
  const hm = /^(\d\d?):(\d\d)(?::(\d\d))?$/.exec(text);
  const now = new Date(nowMs);
  if (hm) return Date.UTC(now.getUTCFullYear(), now.getUTCMonth(), now.getUTCDate(), Number(hm[1]), Number(hm[2]), Number(hm[3] ?? 0));
  const packed = /^(\d{2}|\d{4})?(\d\d)(\d\d)(\d\d)(\d\d)(?:\.(\d\d))?$/.exec(text);
  if (packed) {
    const y = packed[1] === undefined ? now.getUTCFullYear() : packed[1].length === 2 ? 2000 + Number(packed[1]) : Number(packed[1]);
    return Date.UTC(y, Number(packed[2]) - 1, Number(packed[3]), Number(packed[4]), Number(packed[5]), Number(packed[6] ?? 0));
  }
  return undefined;
}

export async function touch(p: Process): Promise<number> {
  const o = await options(p, "camd:t:r:hf", "[-cham] [-d DATE] [-t DATE] [-r FILE] FILE...", {
    long: { date: "d", reference: "r", "no-create": "c" },
  });
  if (o.args.length === 0) return usage(p, "[-cham] [-d DATE] [-t DATE] [-r FILE] FILE...");
  let at = p.clock.nowMs();
  const text = o.values.get("d") ?? o.values.get("t");
  if (text !== undefined) {
    const d = parseDate(text, at);
    if (d === undefined) return die(p, `invalid date '${text}'`);
    at = d;
  }
  if (o.values.has("r")) at = p.fs.stat(o.values.get("r") as string).mtimeMs;
  let status = 0;
  for (const f of o.args) {
    try {
      const s = p.fs.tryStat(f);
      if (!s) {
        if (o.flags.has("c")) continue;
        p.fs.writeFile(f, "", { append: true });
      }
      const now = p.fs.stat(f);
      p.fs.utimes(f, o.flags.has("m") && !o.flags.has("a") ? now.atimeMs : at, o.flags.has("a") && !o.flags.has("m") ? now.mtimeMs : at);
    } catch (e) {
      await complainOf(p, f, e);
      status = 1;
    }
  }
  return status;
}

/** chmod's mode text on top of `old`; undefined when it is none. */
export function parseMode(text: string, old: number, isDir: boolean, umask = 0o022): number | undefined {
  if (/^[0-7]{1,4}$/.test(text)) return Number.parseInt(text, 8);
  let mode = old;
  for (const clause of text.split(",")) {
    const m = /^([ugoa]*)((?:[-+=][rwxXstugo]*)+)$/.exec(clause);
    if (!m) return undefined;
    const who = m[1] as string;
    const all = who === "" || who.includes("a");
    const mask = all ? 0o7777 : (who.includes("u") ? 0o4700 : 0) | (who.includes("g") ? 0o2070 : 0) | (who.includes("o") ? 0o1007 : 0);
    for (const op of (m[2] as string).match(/[-+=][rwxXstugo]*/g) ?? []) {
      let bits = 0;
      for (const c of op.slice(1)) {
        if (c === "r") bits |= 0o444;
        if (c === "w") bits |= 0o222;
        if (c === "x") bits |= 0o111;
        if (c === "X" && (isDir || mode & 0o111)) bits |= 0o111;
        if (c === "s") bits |= 0o6000;
        if (c === "t") bits |= 0o1000;
        if (c === "u") bits |= ((mode >> 6) & 7) * 0o111;
        if (c === "g") bits |= ((mode >> 3) & 7) * 0o111;
        if (c === "o") bits |= (mode & 7) * 0o111;
      }
      let allowed = bits & mask;
      if (who === "") allowed &= ~umask | 0o7000;
      if (op[0] === "+") mode |= allowed;
      else if (op[0] === "-") mode &= ~allowed;
      else mode = (mode & ~(mask & 0o777)) | allowed;
    }
  }
  return mode;
}

async function overTree(p: Process, paths: string[], recursive: boolean, f: (path: string) => Promise<number> | number): Promise<number> {
  let status = 0;
  for (const path of paths) {
    status = (await f(path)) || status;
    if (recursive && p.fs.tryStat(path, false)?.kind === "dir")
      status =
        (await overTree(
          p,
          p.fs.readdir(path).map((e) => join(path, e.name)),
          true,
          f,
        )) || status;
  }
  return status;
}

export async function chmod(p: Process): Promise<number> {
  // A mode such as "-x" looks like an option.
  const argv = p.argv.slice(1);
  let recursive = false;
  while (argv[0] !== undefined && /^-[Rvcf]+$/.test(argv[0])) if ((argv.shift() as string).includes("R")) recursive = true;
  const mode = argv.shift();
  if (mode === undefined || argv.length === 0) return usage(p, "[-Rcvf] MODE[,MODE]... FILE...");
  return overTree(p, argv, recursive, async (path) => {
    try {
      const s = p.fs.stat(path);
      const m = parseMode(mode, s.mode, s.kind === "dir", p.umask);
      if (m === undefined) return die(p, `invalid mode '${mode}'`);
      p.fs.chmod(path, m);
      return 0;
    } catch (e) {
      if (!(e instanceof SysError)) throw e;
      await complainOf(p, path, e);
      return 1;
    }
  });
}

export function idOf(p: Process, file: "/etc/passwd" | "/etc/group", name: string): number | undefined {
  if (/^\d+$/.test(name)) return Number(name);
  try {
    for (const line of p.fs.readText(file).split("\n")) {
      const f = line.split(":");
      if (f[0] === name) return Number(f[2]);
    }
  } catch {
    // No such file: no names.
  }
  return undefined;
}

export async function chown(p: Process): Promise<number> {
  const o = await options(p, "RhLHPcvf", "[-RhLHPcvf] USER[:[GRP]] FILE...");
  const spec = o.args[0];
  if (spec === undefined || o.args.length < 2) return usage(p, "[-RhLHPcvf] USER[:[GRP]] FILE...");
  const m = /^([^:.]*)(?:[:.](.*))?$/.exec(spec) as RegExpExecArray;
  const uid = m[1] === "" ? -1 : idOf(p, "/etc/passwd", m[1] as string);
  if (uid === undefined) return die(p, `unknown user ${m[1]}`);
  const gid = m[2] === undefined || m[2] === "" ? -1 : idOf(p, "/etc/group", m[2]);
  if (gid === undefined) return die(p, `unknown group ${m[2]}`);
  return overTree(p, o.args.slice(1), o.flags.has("R"), async (path) => {
    try {
      p.fs.chown(path, uid, gid, !o.flags.has("h"));
      return 0;
    } catch (e) {
      await complainOf(p, path, e);
      return 1;
    }
  });
}

export async function chgrp(p: Process): Promise<number> {
  const o = await options(p, "RhLHPcvf", "[-RhLHPcvf] GROUP FILE...");
  const name = o.args[0];
  if (name === undefined || o.args.length < 2) return usage(p, "[-RhLHPcvf] GROUP FILE...");
  const gid = idOf(p, "/etc/group", name);
  if (gid === undefined) return die(p, `unknown group ${name}`);
  return overTree(p, o.args.slice(1), o.flags.has("R"), async (path) => {
    try {
      p.fs.chown(path, -1, gid, !o.flags.has("h"));
      return 0;
    } catch (e) {
      await complainOf(p, path, e);
      return 1;
    }
  });
}

export async function mkfifo(p: Process): Promise<number> {
  const o = await options(p, "m:", "[-m MODE] NAME...");
  let status = 0;
  for (const f of o.args) {
    try {
      p.fs.mkfifo(f, parseMode(o.values.get("m") ?? "666", 0o666, false) ?? 0o666);
    } catch (e) {
      await complainOf(p, f, e);
      status = 1;
    }
  }
  return status;
}

export async function truncate(p: Process): Promise<number> {
  const o = await options(p, "cs:", "[-c] -s SIZE FILE...");
  if (!o.values.has("s")) return usage(p, "[-c] -s SIZE FILE...");
  const size = await number(p, o.values.get("s") as string);
  for (const f of o.args) {
    if (!p.fs.exists(f)) {
      if (o.flags.has("c")) continue;
      p.fs.writeFile(f, "");
    }
    p.fs.truncate(f, size);
  }
  return 0;
}

export async function fallocate(p: Process): Promise<number> {
  const o = await options(p, "l:o:", "[-o OFS] -l LEN FILE");
  const f = o.args[0];
  if (f === undefined || !o.values.has("l")) return usage(p, "[-o OFS] -l LEN FILE");
  const size = (await number(p, o.values.get("o") ?? "0")) + (await number(p, o.values.get("l") as string));
  p.fs.writeFile(f, "", { append: true });
  if (p.fs.stat(f).size < size) p.fs.truncate(f, size);
  return 0;
}

export async function mktemp(p: Process): Promise<number> {
  const o = await options(p, "dqtp:u", "[-dt] [-p DIR] [TEMPLATE]");
  const template = o.args[0] ?? "tmp.XXXXXX";
  const dir = o.values.get("p") ?? (o.args.length === 0 || o.flags.has("t") ? (p.env.get("TMPDIR") ?? "/tmp") : "");
  if (!/X{6}$/.test(template)) return die(p, `${template}: Invalid argument`);
  const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
  for (;;) {
    const path =
      (dir === "" ? "" : `${dir}/`) + template.replace(/X+$/, (x) => [...x].map(() => letters[p.random.below(letters.length)]).join(""));
    if (p.fs.exists(path)) continue;
    try {
      if (o.flags.has("d")) {
        p.fs.mkdir(path, 0o700);
        p.fs.chmod(path, 0o700);
      } else if (!o.flags.has("u")) p.fs.writeFile(path, "", { mode: 0o600 });
    } catch (e) {
      return die(p, `${path}: ${strerror(e)}`);
    }
    await p.print(`${path}\n`);
    return 0;
  }
}
