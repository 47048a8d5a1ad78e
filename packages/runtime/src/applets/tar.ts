// tar: create, extract and list ustar archives (POSIX.1-1988), with gzip. What kubectl cp needs, and what people type.
import zlib from "node:zlib";
import { SysError, strerror } from "../kernel/errno.ts";
import type { Process } from "../kernel/process.ts";
import { complain, die, options, usage } from "./options.ts";
import { closeInput, openInput, readAll } from "./streams.ts";

const USAGE = "c|x|t [-ZzJjahmvokO] [-f TARFILE] [-C DIR] [FILE]...";
const BLOCK = 512;

interface Entry {
  name: string;
  mode: number;
  uid: number;
  gid: number;
  mtimeMs: number;
  type: "file" | "dir" | "symlink" | "link" | "fifo" | "other";
  target: string;
  data: Buffer;
}

function field(text: string, length: number): Buffer {
  const b = Buffer.alloc(length);
  b.write(text, 0, length, "utf8");
  return b;
}
const octal = (n: number, length: number) =>
  field(
    `${Math.max(0, Math.floor(n))
      .toString(8)
      .padStart(length - 1, "0")}\0`,
    length,
  );

function header(e: Entry, name: string, type: string): Buffer {
  let prefix = "";
  let short = name;
  if (Buffer.byteLength(name) > 100) {
    const at = name.indexOf("/", name.length - 101);
    if (at > 0 && at <= 155) {
      prefix = name.slice(0, at);
      short = name.slice(at + 1);
    }
  }
  const b = Buffer.concat([
    field(short, 100),
    octal(e.mode, 8),
    octal(e.uid, 8),
    octal(e.gid, 8),
    octal(e.data.length, 12),
    octal(e.mtimeMs / 1000, 12),
    field("        ", 8),
    field(type, 1),
    field(e.target, 100),
    field("ustar\0", 6),
    field("00", 2),
    field("root", 32),
    field("root", 32),
    octal(0, 8),
    octal(0, 8),
    field(prefix, 155),
    Buffer.alloc(12),
  ]);
  const sum = b.reduce((a, x) => a + x, 0);
  b.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, 8, "latin1");
  return b;
}

function encodeEntry(e: Entry): Buffer {
  const type = { file: "0", link: "1", symlink: "2", dir: "5", fifo: "6", other: "0" }[e.type];
  const name = e.type === "dir" && !e.name.endsWith("/") ? `${e.name}/` : e.name;
  const parts: Buffer[] = [];
  if (Buffer.byteLength(name) > 255 || Buffer.byteLength(e.target) > 100) {
    const long = Buffer.from(`${Buffer.byteLength(name) > 255 ? name : e.target}\0`);
    parts.push(header({ ...e, data: long, target: "" }, "././@LongLink", Buffer.byteLength(name) > 255 ? "L" : "K"), padded(long));
  }
  parts.push(header(e, name, type), padded(e.data));
  return Buffer.concat(parts);
}

function padded(data: Buffer): Buffer {
  return data.length % BLOCK === 0 ? data : Buffer.concat([data, Buffer.alloc(BLOCK - (data.length % BLOCK))]);
}

function* entries(archive: Buffer): Generator<Entry> {
  let longName = "";
  let longTarget = "";
  let pax = new Map<string, string>();
  for (let at = 0; at + BLOCK <= archive.length; ) {
    const h = archive.subarray(at, at + BLOCK);
    if (h.every((b) => b === 0)) return;
    const text = (from: number, length: number) => {
      const f = h.subarray(from, from + length);
      const end = f.indexOf(0);
      return f.toString("utf8", 0, end < 0 ? length : end);
    };
    const number = (from: number, length: number) => Number.parseInt(text(from, length).trim() || "0", 8);
    const sum = h.reduce((a, b, i) => a + (i >= 148 && i < 156 ? 32 : b), 0);
    if (sum !== number(148, 8)) throw new Error("invalid tar magic");
    const size = number(124, 12);
    const data = archive.subarray(at + BLOCK, at + BLOCK + size);
    if (data.length < size) throw new Error("short read");
    at += BLOCK + Math.ceil(size / BLOCK) * BLOCK;
    const type = text(156, 1);
    if (type === "L") longName = data.toString("utf8").replace(/\0.*$/s, "");
    else if (type === "K") longTarget = data.toString("utf8").replace(/\0.*$/s, "");
    else if (type === "x" || type === "g") {
      if (type === "x")
        pax = new Map([...data.toString("utf8").matchAll(/\d+ ([^=\n]+)=([^\n]*)\n/g)].map((m) => [m[1] as string, m[2] as string]));
    } else {
      const prefix = h.toString("latin1", 257, 262) === "ustar" ? text(345, 155) : "";
      const name = pax.get("path") ?? (longName || (prefix ? `${prefix}/${text(0, 100)}` : text(0, 100)));
      yield {
        name,
        mode: number(100, 8),
        uid: number(108, 8),
        gid: number(116, 8),
        mtimeMs: number(136, 12) * 1000,
        type:
          type === "5" || name.endsWith("/")
            ? "dir"
            : type === "2"
              ? "symlink"
              : type === "1"
                ? "link"
                : type === "6"
                  ? "fifo"
                  : type === "0" || type === "" || type === "7"
                    ? "file"
                    : "other",
        target: pax.get("linkpath") ?? (longTarget || text(157, 100)),
        data: Buffer.from(data),
      };
      longName = "";
      longTarget = "";
      pax = new Map();
    }
  }
}

export async function tar(p: Process): Promise<number> {
  const argv = p.argv.slice(1);
  // The first argument may leave out its dash.
  if (argv[0] !== undefined && !argv[0].startsWith("-")) {
    const letters = argv.shift() as string;
    const withValue = [...letters].filter((c) => "fCTX".includes(c));
    const plain = [...letters].filter((c) => !"fCTX".includes(c)).join("");
    argv.unshift(...(plain === "" ? [] : [`-${plain}`]), ...withValue.flatMap((c) => [`-${c}`, argv.shift() ?? ""]));
  }
  const o = await options(p, "cxtzjJZahmvokOpf:C:X:T:", USAGE, {
    argv,
    long: {
      "no-same-permissions": "o",
      "no-same-owner": "o",
      gzip: "z",
      file: "f",
      directory: "C",
      extract: "x",
      create: "c",
      list: "t",
      verbose: "v",
      overwrite: "o",
      "numeric-owner": "o",
      exclude: "X",
    },
  });
  const f = o.flags;
  const mode = f.has("c") ? "c" : f.has("x") ? "x" : f.has("t") ? "t" : "";
  if (mode === "") return usage(p, USAGE);
  const file = o.values.get("f") ?? "-";
  if (mode === "c") return create(p, o.args, file, f.has("z"), f.has("v"), o.values.get("C"));
  let archive: Buffer;
  try {
    const fd = await openInput(p, file);
    archive = await readAll(p, fd);
    closeInput(p, fd);
  } catch (e) {
    return die(p, `can't open '${file}': ${strerror(e)}`);
  }
  if (archive[0] === 0x1f && archive[1] === 0x8b) archive = zlib.gunzipSync(archive);
  if (o.values.has("C")) {
    try {
      p.fs.chdir(o.values.get("C") as string);
    } catch (e) {
      return die(p, `can't change directory to '${o.values.get("C")}': ${strerror(e)}`);
    }
  }
  const wanted = o.args.map((a) => a.replace(/\/+$/, ""));
  const seen = new Set<string>();
  let status = 0;
  try {
    for (const e of entries(archive)) {
      const bare = e.name.replace(/\/+$/, "");
      if (wanted.length > 0) {
        const w = wanted.find((x) => bare === x || bare.startsWith(`${x}/`));
        if (w === undefined) continue;
        seen.add(w);
      }
      if (mode === "t") await p.print(`${f.has("v") ? `${long(e)} ` : ""}${e.name}\n`);
      else {
        if (f.has("v")) await (f.has("O") ? p.printError(`${e.name}\n`) : p.print(`${e.name}\n`));
        if (f.has("O")) await p.write(1, e.data);
        else status = (await extract(p, e, f.has("m"))) || status;
      }
    }
  } catch (e) {
    if (e instanceof SysError) throw e;
    return die(p, (e as Error).message);
  }
  for (const w of wanted)
    if (!seen.has(w)) {
      await complain(p, `${w}: not found in archive`);
      status = 1;
    }
  return status;
}

function long(e: Entry): string {
  const d = new Date(e.mtimeMs).toISOString();
  const bits = "rwxrwxrwx"
    .split("")
    .map((c, i) => ((e.mode >> (8 - i)) & 1 ? c : "-"))
    .join("");
  return `${e.type === "dir" ? "d" : e.type === "symlink" ? "l" : "-"}${bits} ${e.uid}/${e.gid} ${String(e.data.length).padStart(9)} ${d.slice(0, 10)} ${d.slice(11, 19)}`;
}

async function extract(p: Process, e: Entry, keepTime: boolean): Promise<number> {
  const path = e.name.replace(/^\/+/, "").replace(/\/+$/, "");
  if (path === "" || path === ".") return 0;
  if (path.split("/").includes("..")) {
    await complain(p, `name with '..' is not extracted: ${e.name}`);
    return 1;
  }
  try {
    const slash = path.lastIndexOf("/");
    if (slash > 0) p.fs.mkdirs(path.slice(0, slash));
    const there = p.fs.tryStat(path, false);
    if (there && there.kind !== "dir" && e.type !== "file") p.fs.unlink(path);
    if (e.type === "dir") {
      if (!there) p.fs.mkdir(path);
    } else if (e.type === "symlink") p.fs.symlink(e.target, path);
    else if (e.type === "link") p.fs.link(e.target, path);
    else if (e.type === "fifo") p.fs.mkfifo(path, e.mode);
    else {
      if (there && there.kind === "symlink") p.fs.unlink(path);
      p.fs.writeFile(path, e.data);
    }
    if (e.type !== "symlink") {
      p.fs.chmod(path, p.identity.uid === 0 ? e.mode & 0o7777 : e.mode & 0o777 & ~p.umask);
      if (p.identity.uid === 0) p.fs.chown(path, e.uid, e.gid);
      if (!keepTime) p.fs.utimes(path, e.mtimeMs, e.mtimeMs);
    }
    return 0;
  } catch (err) {
    if (!(err instanceof SysError)) throw err;
    await complain(p, `can't open '${path}': ${strerror(err)}`);
    return 1;
  }
}

async function create(
  p: Process,
  names: string[],
  file: string,
  gzip: boolean,
  verbose: boolean,
  dir: string | undefined,
): Promise<number> {
  if (names.length === 0) return die(p, "empty archive");
  const target = file === "-" ? 1 : await p.open(file, { write: true, create: true, truncate: true });
  if (dir !== undefined) p.fs.chdir(dir);
  const parts: Buffer[] = [];
  let status = 0;
  const emit = async (b: Buffer) => {
    if (gzip) parts.push(b);
    else await p.write(target, b);
  };
  const add = async (path: string): Promise<void> => {
    try {
      const s = p.fs.lstat(path);
      const name = path.replace(/^\/+/, "") || ".";
      const type = s.kind === "dir" || s.kind === "file" || s.kind === "symlink" || s.kind === "fifo" ? s.kind : "other";
      if (type === "other") return;
      const e: Entry = {
        name,
        mode: s.mode,
        uid: s.uid,
        gid: s.gid,
        mtimeMs: s.mtimeMs,
        type,
        target: type === "symlink" ? p.fs.readlink(path) : "",
        data: type === "file" ? Buffer.from(p.fs.readFile(path)) : Buffer.alloc(0),
      };
      if (verbose)
        await (file === "-" ? p.printError(`${name}${type === "dir" ? "/" : ""}\n`) : p.print(`${name}${type === "dir" ? "/" : ""}\n`));
      await emit(encodeEntry(e));
      if (type === "dir") for (const c of p.fs.readdir(path)) await add(path.endsWith("/") ? path + c.name : `${path}/${c.name}`);
    } catch (e) {
      if (!(e instanceof SysError) || e.code === "EPIPE") throw e;
      await complain(p, `${path}: ${strerror(e)}`);
      status = 1;
    }
  };
  if (names.some((n) => n.startsWith("/"))) await complain(p, "removing leading '/' from member names");
  for (const n of names) await add(n);
  await emit(Buffer.alloc(BLOCK * 2));
  if (gzip) await p.write(target, zlib.gzipSync(Buffer.concat(parts)));
  if (status !== 0) await complain(p, "error exit delayed from previous errors");
  return status;
}
