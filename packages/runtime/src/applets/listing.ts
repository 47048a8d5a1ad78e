// Applets that show files: ls, stat, readlink, realpath, basename, dirname, du, df, mount, find is its own file.
import { SysError, strerror } from "../kernel/errno.ts";
import type { Process } from "../kernel/process.ts";
import { byBytes } from "../shell/expand.ts";
import { FileInode, FS_MAGIC, type Inode } from "../vfs/inode.ts";
import { type Stat, statOf } from "../vfs/mounts.ts";
import { complain, complainOf, options, usage } from "./options.ts";

const LETTER: Record<Stat["kind"], string> = { file: "-", dir: "d", symlink: "l", fifo: "p", socket: "s", char: "c" };

/** "-rw-r--r--". */
export function modeText(s: Pick<Stat, "kind" | "mode">): string {
  const m = s.mode;
  const rwx = (shift: number, special: number, letter: string) =>
    ((m >> shift) & 4 ? "r" : "-") +
    ((m >> shift) & 2 ? "w" : "-") +
    (m & special ? ((m >> shift) & 1 ? letter : letter.toUpperCase()) : (m >> shift) & 1 ? "x" : "-");
  return LETTER[s.kind] + rwx(6, 0o4000, "s") + rwx(3, 0o2000, "s") + rwx(0, 0o1000, "t");
}

export function nameOfId(p: Process, file: "/etc/passwd" | "/etc/group", id: number): string {
  try {
    for (const line of p.fs.readText(file).split("\n")) {
      const f = line.split(":");
      if (f[2] === String(id) && f[0]) return f[0];
    }
  } catch {
    // No such file: numbers.
  }
  return String(id);
}

export function humanSize(n: number): string {
  if (n < 1024) return String(n);
  let v = n;
  let unit = -1;
  while (v >= 1024 && unit < 5) {
    v /= 1024;
    unit++;
  }
  return `${v < 10 ? v.toFixed(1) : Math.round(v)}${"KMGTPE"[unit]}`;
}

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const two = (n: number) => String(n).padStart(2, "0");

function dateText(ms: number, nowMs: number): string {
  const d = new Date(ms);
  const day = `${MONTHS[d.getUTCMonth()]} ${String(d.getUTCDate()).padStart(2)}`;
  const recent = Math.abs(nowMs - ms) < 183 * 86_400_000;
  return recent ? `${day} ${two(d.getUTCHours())}:${two(d.getUTCMinutes())}` : `${day}  ${d.getUTCFullYear()}`;
}

interface Entry {
  name: string;
  path: string;
  stat: Stat;
}

export async function ls(p: Process): Promise<number> {
  const text = "[-1AaCxdLHRFplinshrSXvctukTw] [FILE]...";
  const o = await options(p, "1AaCxdLHRFplinshrSXvctukgoqQT:w:e", text, {
    long: { color: "e", "full-time": "e", "group-directories-first": "e" },
  });
  const f = o.flags;
  const long = f.has("l") || f.has("n") || f.has("g") || f.has("o");
  const now = p.clock.nowMs();
  let status = 0;
  const suffix = (s: Stat) =>
    f.has("F") || f.has("p")
      ? s.kind === "dir"
        ? "/"
        : !f.has("F")
          ? ""
          : s.kind === "symlink"
            ? "@"
            : s.kind === "fifo"
              ? "|"
              : s.kind === "socket"
                ? "="
                : s.mode & 0o111 && s.kind === "file"
                  ? "*"
                  : ""
      : "";
  const sorted = (list: Entry[]) => {
    list.sort((a, b) => {
      const byName = f.has("v") ? a.name.localeCompare(b.name, "en", { numeric: true }) : byBytes(a.name, b.name);
      if (f.has("S")) return b.stat.size - a.stat.size || byName;
      if (f.has("t"))
        return (
          (f.has("u") ? b.stat.atimeMs - a.stat.atimeMs : f.has("c") ? b.stat.ctimeMs - a.stat.ctimeMs : b.stat.mtimeMs - a.stat.mtimeMs) ||
          byName
        );
      if (f.has("X")) return byBytes(a.name.split(".").at(-1) as string, b.name.split(".").at(-1) as string) || byName;
      return byName;
    });
    return f.has("r") ? list.reverse() : list;
  };
  const row = (e: Entry): string => {
    const s = e.stat;
    let out = f.has("i") ? `${String(s.ino).padStart(7)} ` : "";
    if (f.has("s")) out += `${String(Math.ceil(s.size / 4096) * 4).padStart(6)} `;
    if (!long) return out + e.name + suffix(s);
    const owner = f.has("n") ? String(s.uid) : nameOfId(p, "/etc/passwd", s.uid);
    const group = f.has("n") ? String(s.gid) : nameOfId(p, "/etc/group", s.gid);
    const size = s.rdev ? `${s.rdev.major}, ${String(s.rdev.minor).padStart(3)}` : f.has("h") ? humanSize(s.size) : String(s.size);
    out += `${modeText(s)} ${String(s.nlink).padStart(4)} ${f.has("g") ? "" : owner.padEnd(8)} ${f.has("o") ? "" : group.padEnd(8)} ${size.padStart(9)} ${dateText(s.mtimeMs, now)} ${e.name}`;
    if (s.kind === "symlink") out += ` -> ${p.fs.readlink(e.path)}`;
    return out + suffix(s);
  };
  const print = async (list: Entry[], total: boolean) => {
    if (total && (long || f.has("s"))) await p.print(`total ${list.reduce((n, e) => n + Math.ceil(e.stat.size / 4096) * 4, 0)}\n`);
    if (list.length > 0) await p.print(`${list.map(row).join("\n")}\n`);
  };
  const names = o.args.length === 0 ? ["."] : o.args;
  const files: Entry[] = [];
  const dirs: Entry[] = [];
  for (const name of names) {
    try {
      const follow = f.has("L") || f.has("H") || !(long || f.has("d") || f.has("F"));
      const stat = follow ? (p.fs.tryStat(name) ?? p.fs.lstat(name)) : p.fs.lstat(name);
      const isDir = stat.kind === "dir" || (stat.kind === "symlink" && !long && p.fs.tryStat(name)?.kind === "dir");
      (isDir && !f.has("d") ? dirs : files).push({ name, path: name, stat });
    } catch (e) {
      if (!(e instanceof SysError)) throw e;
      await complainOf(p, name, e);
      status = 1;
    }
  }
  await print(sorted(files), false);
  let first = files.length === 0;
  const show = async (dir: Entry): Promise<void> => {
    if (names.length > 1 || f.has("R")) await p.print(`${first ? "" : "\n"}${dir.path}:\n`);
    first = false;
    let list: Entry[];
    try {
      list = p.fs.readdir(dir.path).map((e) => entry(p, dir.path, e.name, e.inode, f.has("L")));
    } catch (e) {
      await complain(p, `can't open '${dir.path}': ${strerror(e)}`);
      status = 1;
      return;
    }
    if (f.has("a"))
      for (const dot of [".", ".."]) list.push({ name: dot, path: `${dir.path}/${dot}`, stat: p.fs.stat(`${dir.path}/${dot}`) });
    else if (!f.has("A")) list = list.filter((e) => !e.name.startsWith("."));
    sorted(list);
    await print(list, true);
    if (f.has("R")) for (const e of list) if (e.stat.kind === "dir" && e.name !== "." && e.name !== "..") await show(e);
  };
  for (const d of sorted(dirs)) await show(d);
  return status;
}

function entry(p: Process, dir: string, name: string, inode: Inode, follow: boolean): Entry {
  const path = dir.endsWith("/") ? dir + name : `${dir}/${name}`;
  return { name, path, stat: follow ? (p.fs.tryStat(path) ?? statOf(inode)) : statOf(inode) };
}

const KIND: Record<Stat["kind"], string> = {
  file: "regular file",
  dir: "directory",
  symlink: "symbolic link",
  fifo: "fifo",
  socket: "socket",
  char: "character special file",
};

function timeText(ms: number): string {
  const d = new Date(ms);
  const nanos = String(Math.round((ms % 1000) * 1e6)).padStart(9, "0");
  return `${d.getUTCFullYear()}-${two(d.getUTCMonth() + 1)}-${two(d.getUTCDate())} ${two(d.getUTCHours())}:${two(d.getUTCMinutes())}:${two(d.getUTCSeconds())}.${nanos} +0000`;
}

export async function stat(p: Process): Promise<number> {
  const o = await options(p, "Lfc:t", "[-ltf] [-c FMT] FILE...");
  if (o.args.length === 0) return usage(p, "[-ltf] [-c FMT] FILE...");
  let status = 0;
  for (const name of o.args) {
    let s: Stat;
    try {
      s = o.flags.has("L") ? p.fs.stat(name) : p.fs.lstat(name);
    } catch (e) {
      await complain(p, `can't stat '${name}': ${strerror(e)}`);
      status = 1;
      continue;
    }
    const kind = s.kind === "file" && s.size === 0 ? "regular empty file" : KIND[s.kind];
    const magic = FS_MAGIC[s.dev as keyof typeof FS_MAGIC];
    const value = (c: string): string => {
      switch (c) {
        case "n":
          return name;
        case "N":
          return s.kind === "symlink" ? `'${name}' -> '${p.fs.readlink(name)}'` : `'${name}'`;
        case "s":
          return String(s.size);
        case "a":
          return o.flags.has("f") ? "0" : s.mode.toString(8);
        case "A":
          return modeText(s);
        case "F":
          return kind;
        case "u":
          return String(s.uid);
        case "g":
          return String(s.gid);
        case "U":
          return known(nameOfId(p, "/etc/passwd", s.uid));
        case "G":
          return known(nameOfId(p, "/etc/group", s.gid));
        case "h":
          return String(s.nlink);
        case "i":
          return o.flags.has("f") ? "0" : String(s.ino);
        case "Y":
          return String(Math.floor(s.mtimeMs / 1000));
        case "X":
          return String(Math.floor(s.atimeMs / 1000));
        case "Z":
          return String(Math.floor(s.ctimeMs / 1000));
        case "y":
          return timeText(s.mtimeMs);
        case "x":
          return timeText(s.atimeMs);
        case "z":
          return timeText(s.ctimeMs);
        case "b":
          return String(Math.ceil(s.size / 512));
        case "B":
          return "512";
        case "o":
          return "4096";
        case "f":
          return (
            { file: 0o100000, dir: 0o040000, symlink: 0o120000, fifo: 0o010000, socket: 0o140000, char: 0o020000 }[s.kind] | s.mode
          ).toString(16);
        case "t":
          return o.flags.has("f") ? magic.toString(16) : "0";
        case "T":
          return s.dev;
        case "d":
          return "1";
        case "%":
          return "%";
        default:
          return "?";
      }
    };
    const format = o.values.get("c");
    if (format !== undefined) await p.print(`${format.replace(/%[-0-9.]*([a-zA-Z%])/g, (_, c: string) => value(c))}\n`);
    else
      await p.print(
        `  File: ${s.kind === "symlink" ? `'${name}' -> '${p.fs.readlink(name)}'` : name}\n  Size: ${String(s.size).padEnd(10)}\tBlocks: ${String(Math.ceil(s.size / 512)).padEnd(10)} IO Block: 4096   ${kind}\n` +
          `Device: 1h/1d\tInode: ${String(s.ino).padEnd(10)}  Links: ${s.nlink}\nAccess: (${s.mode.toString(8).padStart(4, "0")}/${modeText(s)})  Uid: (${String(s.uid).padStart(5)}/${known(nameOfId(p, "/etc/passwd", s.uid)).padStart(8)})   Gid: (${String(s.gid).padStart(5)}/${known(nameOfId(p, "/etc/group", s.gid)).padStart(8)})\n` +
          `Access: ${timeText(s.atimeMs)}\nModify: ${timeText(s.mtimeMs)}\nChange: ${timeText(s.ctimeMs)}\n`,
      );
  }
  return status;
}

const known = (name: string) => (/^\d+$/.test(name) ? "UNKNOWN" : name);

export async function readlink(p: Process): Promise<number> {
  const o = await options(p, "fnvse", "[-fnv] FILE");
  let status = 0;
  for (const f of o.args) {
    try {
      const text = o.flags.has("f") || o.flags.has("e") ? canonical(p, f, o.flags.has("e")) : p.fs.readlink(f);
      await p.print(`${text}${o.flags.has("n") ? "" : "\n"}`);
    } catch (e) {
      if (!(e instanceof SysError)) throw e;
      if (o.flags.has("v")) await complainOf(p, f, e);
      status = 1;
    }
  }
  return status;
}

/** The real path; only the last part may be missing, unless `strict`. */
function canonical(p: Process, path: string, strict: boolean): string {
  const s = p.fs.tryStat(path);
  if (s || strict) return p.fs.realpath(path);
  const cut = path.replace(/\/+$/, "");
  const at = cut.lastIndexOf("/");
  const dir = at < 0 ? "." : at === 0 ? "/" : cut.slice(0, at);
  const real = p.fs.realpath(dir);
  return `${real === "/" ? "" : real}/${cut.slice(at + 1)}`;
}

export async function realpath(p: Process): Promise<number> {
  let status = 0;
  for (const f of p.argv.slice(1)) {
    try {
      await p.print(`${canonical(p, f, false)}\n`);
    } catch (e) {
      await complainOf(p, f, e);
      status = 1;
    }
  }
  return status;
}

function baseOf(path: string): string {
  const cut = path.replace(/(.)\/+$/, "$1");
  return cut === "/" ? "/" : cut.slice(cut.lastIndexOf("/") + 1);
}

export async function basename(p: Process): Promise<number> {
  const o = await options(p, "+as:", "FILE [SUFFIX] | -a FILE... | -s SUFFIX FILE...");
  const many = o.flags.has("a") || o.values.has("s");
  if (o.args.length === 0 || (!many && o.args.length > 2)) return usage(p, "FILE [SUFFIX] | -a FILE... | -s SUFFIX FILE...");
  const suffix = o.values.get("s") ?? (many ? "" : (o.args[1] ?? ""));
  for (const f of many ? o.args : o.args.slice(0, 1)) {
    const b = baseOf(f);
    await p.print(`${suffix !== "" && b !== suffix && b.endsWith(suffix) ? b.slice(0, -suffix.length) : b}\n`);
  }
  return 0;
}

export async function dirname(p: Process): Promise<number> {
  if (p.argv.length < 2) return usage(p, "FILENAME");
  for (const path of p.argv.slice(1)) {
    const cut = path.replace(/(.)\/+$/, "$1");
    const at = cut.lastIndexOf("/");
    await p.print(`${at < 0 ? "." : at === 0 ? "/" : cut.slice(0, at).replace(/(.)\/+$/, "$1")}\n`);
  }
  return 0;
}

export async function du(p: Process): Promise<number> {
  const o = await options(p, "aHLdmsckhxbd:", "[-aHLdclsxhmk] [FILE]...");
  let status = 0;
  const show = (bytes: number) =>
    o.flags.has("h") ? humanSize(bytes) : o.flags.has("b") ? String(bytes) : String(Math.ceil(bytes / (o.flags.has("m") ? 1048576 : 1024)));
  const depth = o.flags.has("s") ? 0 : Number(o.values.get("d") ?? Number.POSITIVE_INFINITY);
  const walk = async (path: string, level: number): Promise<number> => {
    const s = p.fs.lstat(path);
    let bytes = Math.ceil(s.size / 4096) * 4096;
    if (s.kind === "dir") for (const e of p.fs.readdir(path)) bytes += await walk(`${path === "/" ? "" : path}/${e.name}`, level + 1);
    if ((s.kind === "dir" || o.flags.has("a") || level === 0) && level <= depth) await p.print(`${show(bytes)}\t${path}\n`);
    return bytes;
  };
  for (const f of o.args.length === 0 ? ["."] : o.args) {
    try {
      await walk(f, 0);
    } catch (e) {
      if (!(e instanceof SysError)) throw e;
      await complainOf(p, f, e);
      status = 1;
    }
  }
  return status;
}

const DISK_BYTES = 100 * 1024 ** 3;

export async function df(p: Process): Promise<number> {
  const o = await options(p, "PTahmkit:", "[-PkmhTai] [-B SIZE] [FILESYSTEM]...");
  let status = 0;
  const unit = o.flags.has("m") ? 1048576 : 1024;
  const show = (n: number) => (o.flags.has("h") ? humanSize(n) : String(Math.ceil(n / unit)));
  await p.print(
    `Filesystem           ${o.flags.has("T") ? "Type       " : ""}${o.flags.has("h") ? "     Size      Used Available Use% Mounted on" : `${o.flags.has("m") ? "1M" : "1K"}-blocks      Used Available Use% Mounted on`}\n`,
  );
  const mounts = [...p.fs.mounts()];
  let chosen = mounts.filter((m) => m.root.fs.type !== "proc" && m.root.kind === "dir");
  if (o.args.length > 0) {
    chosen = [];
    for (const f of o.args) {
      const s = p.fs.tryStat(f);
      if (s) chosen.push(p.fs.mountOf(f));
      else {
        await complain(p, `${f}: can't find mount point`);
        status = 1;
      }
    }
  }
  for (const m of chosen) {
    const size = m.root.fs.sizeLimitBytes ?? DISK_BYTES;
    const used = m.root.fs.usedBytes;
    await p.print(
      `${m.source.padEnd(20)} ${o.flags.has("T") ? m.root.fs.type.padEnd(11) : ""}${show(size).padStart(9)} ${show(used).padStart(9)} ${show(size - used).padStart(9)} ${`${Math.ceil((used / size) * 100)}%`.padStart(4)} ${m.target}\n`,
    );
  }
  return status;
}

export async function mount(p: Process): Promise<number> {
  if (p.argv.length > 1) {
    await complain(p, "permission denied (are you root?)");
    return 1;
  }
  for (const m of p.fs.mounts())
    await p.print(`${m.source} on ${m.target} type ${m.root.fs.type} (${m.readOnly ? "ro" : "rw"},relatime)\n`);
  return 0;
}

export { FileInode };
