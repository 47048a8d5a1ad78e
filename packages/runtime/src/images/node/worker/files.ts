// node:fs of a pod: what programs use of it, over the process's calls. What is not here says so by name.
import { randomBytes } from "node:crypto";
import { Readable, Writable } from "node:stream";
import { fileURLToPath } from "node:url";
import type { FileStat } from "../protocol.ts";
import { ask, call } from "./channel.ts";

type PathLike = string | Buffer | URL;
type Encoding = BufferEncoding | "buffer" | null | undefined;
type ReadOptions = Encoding | { encoding?: Encoding; flag?: string };
type WriteOptions = Encoding | { encoding?: Encoding; mode?: number; flag?: string };

const pathOf = (p: PathLike): string => (p instanceof URL ? fileURLToPath(p) : String(p));
const encodingOf = (o: ReadOptions): Encoding => (typeof o === "object" && o !== null ? o.encoding : o);
const decoded = (bytes: Uint8Array, o: ReadOptions): string | Buffer => {
  const e = encodingOf(o);
  return e && e !== "buffer" ? Buffer.from(bytes).toString(e) : Buffer.from(bytes);
};
const encoded = (data: unknown, o: WriteOptions): Uint8Array =>
  typeof data === "string"
    ? Buffer.from(data, (encodingOf(o as ReadOptions) ?? "utf8") as BufferEncoding)
    : Buffer.from(data as Uint8Array);

export class Stats {
  readonly dev = 1;
  readonly blksize = 4096;
  readonly #kind: string;
  ino = 0;
  mode = 0;
  nlink = 1;
  uid = 0;
  gid = 0;
  size = 0;
  atimeMs = 0;
  mtimeMs = 0;
  ctimeMs = 0;
  constructor(s: FileStat) {
    this.#kind = s.kind;
    Object.assign(this, s);
    this.mode = (MODES[s.kind] ?? 0) | s.mode;
    delete (this as { kind?: string }).kind;
  }
  get atime() {
    return new Date(this.atimeMs);
  }
  get mtime() {
    return new Date(this.mtimeMs);
  }
  get ctime() {
    return new Date(this.ctimeMs);
  }
  get birthtime() {
    return new Date(this.ctimeMs);
  }
  isFile = () => this.#kind === "file";
  isDirectory = () => this.#kind === "dir";
  isSymbolicLink = () => this.#kind === "symlink";
  isFIFO = () => this.#kind === "fifo";
  isSocket = () => this.#kind === "socket";
  isCharacterDevice = () => this.#kind === "char";
  isBlockDevice = () => false;
}

const MODES: { [kind: string]: number } = {
  file: 0o100000,
  dir: 0o040000,
  symlink: 0o120000,
  fifo: 0o010000,
  socket: 0o140000,
  char: 0o020000,
};

class Dirent {
  readonly name: string;
  readonly parentPath: string;
  readonly #kind: string;
  constructor(name: string, parentPath: string, kind: string) {
    this.name = name;
    this.parentPath = parentPath;
    this.#kind = kind;
  }
  isFile = () => this.#kind === "file";
  isDirectory = () => this.#kind === "dir";
  isSymbolicLink = () => this.#kind === "symlink";
}

/** One call of the process, described so that the waiting and the promising form are made of the same words. */
interface Operation {
  name: string;
  syscall: string;
  args: unknown[];
  result?: (value: any) => unknown;
}

const entries = (path: string, o: any) => (list: { name: string; kind: string }[]) =>
  o?.withFileTypes ? list.map((e) => new Dirent(e.name, path, e.kind)) : list.map((e) => e.name);

const OPERATIONS: { [name: string]: (...args: any[]) => Operation } = {
  readFile: (p: PathLike, o?: ReadOptions) => ({ name: "readFile", syscall: "open", args: [pathOf(p)], result: (b) => decoded(b, o) }),
  writeFile: (p: PathLike, data: unknown, o?: WriteOptions) => ({
    name: "writeFile",
    syscall: "open",
    args: [pathOf(p), encoded(data, o), flags(o)],
  }),
  appendFile: (p: PathLike, data: unknown, o?: WriteOptions) => ({
    name: "writeFile",
    syscall: "open",
    args: [pathOf(p), encoded(data, o), { ...flags(o), append: true }],
  }),
  stat: (p: PathLike) => ({ name: "stat", syscall: "stat", args: [pathOf(p)], result: (s) => new Stats(s) }),
  lstat: (p: PathLike) => ({ name: "lstat", syscall: "lstat", args: [pathOf(p)], result: (s) => new Stats(s) }),
  readdir: (p: PathLike, o?: unknown) => ({ name: "readdir", syscall: "scandir", args: [pathOf(p)], result: entries(pathOf(p), o) }),
  mkdir: (p: PathLike, o?: number | { recursive?: boolean; mode?: number }) => ({
    name: "mkdir",
    syscall: "mkdir",
    args: [pathOf(p), typeof o === "number" ? { mode: o } : { recursive: o?.recursive ?? false, mode: o?.mode }],
  }),
  unlink: (p: PathLike) => ({ name: "unlink", syscall: "unlink", args: [pathOf(p)] }),
  rmdir: (p: PathLike) => ({ name: "rmdir", syscall: "rmdir", args: [pathOf(p)] }),
  rename: (a: PathLike, b: PathLike) => ({ name: "rename", syscall: "rename", args: [pathOf(a), pathOf(b)] }),
  symlink: (a: PathLike, b: PathLike) => ({ name: "symlink", syscall: "symlink", args: [pathOf(a), pathOf(b)] }),
  link: (a: PathLike, b: PathLike) => ({ name: "link", syscall: "link", args: [pathOf(a), pathOf(b)] }),
  readlink: (p: PathLike) => ({ name: "readlink", syscall: "readlink", args: [pathOf(p)] }),
  realpath: (p: PathLike) => ({ name: "realpath", syscall: "realpath", args: [pathOf(p)] }),
  chmod: (p: PathLike, mode: number | string) => ({ name: "chmod", syscall: "chmod", args: [pathOf(p), Number(mode)] }),
  chown: (p: PathLike, uid: number, gid: number) => ({ name: "chown", syscall: "chown", args: [pathOf(p), uid, gid] }),
  utimes: (p: PathLike, a: number | Date, m: number | Date) => ({
    name: "utimes",
    syscall: "utime",
    args: [pathOf(p), a instanceof Date ? a.getTime() : a * 1000, m instanceof Date ? m.getTime() : m * 1000],
  }),
  access: (p: PathLike, mode = 0) => ({ name: "access", syscall: "access", args: [pathOf(p), mode] }),
  truncate: (p: PathLike, size = 0) => ({ name: "truncate", syscall: "open", args: [pathOf(p), size] }),
};

function flags(o: WriteOptions): { append?: boolean; mode?: number; exclusive?: boolean } {
  const { flag = "w", mode } = typeof o === "object" && o !== null ? o : {};
  return { append: flag.startsWith("a"), exclusive: flag.includes("x"), ...(mode === undefined ? {} : { mode }) };
}

const fs: { [name: string]: any } = {};
const promises: { [name: string]: any } = {};

for (const [name, describe] of Object.entries(OPERATIONS)) {
  const identity = (v: unknown) => v;
  fs[`${name}Sync`] = (...args: unknown[]) => {
    const o = describe(...args);
    return (o.result ?? identity)(ask(o.name, o.args, o.syscall));
  };
  promises[name] = async (...args: unknown[]) => {
    const o = describe(...args);
    return (o.result ?? identity)(await call(o.name, o.args, o.syscall));
  };
}

const exists = (path: PathLike): boolean => {
  try {
    fs["accessSync"](path);
    return true;
  } catch {
    return false;
  }
};

function removeSync(path: string, o: { recursive?: boolean; force?: boolean } = {}): void {
  let s: Stats;
  try {
    s = fs["lstatSync"](path);
  } catch (e) {
    if (o.force && (e as { code?: string }).code === "ENOENT") return;
    throw e;
  }
  if (!s.isDirectory()) {
    fs["unlinkSync"](path);
    return;
  }
  if (!o.recursive)
    throw Object.assign(new Error(`Path is a directory: rm returned EISDIR (is a directory) ${path}`), { code: "ERR_FS_EISDIR" });
  for (const name of fs["readdirSync"](path)) removeSync(`${path}/${name}`, o);
  fs["rmdirSync"](path);
}

fs["existsSync"] = exists;
fs["realpathSync"].native = fs["realpathSync"];
fs["rmSync"] = (p: PathLike, o?: object) => removeSync(pathOf(p), o);
fs["copyFileSync"] = (a: PathLike, b: PathLike) => fs["writeFileSync"](b, fs["readFileSync"](a));
fs["mkdtempSync"] = (prefix: string) => {
  const path = `${prefix}${randomBytes(3).toString("hex")}`;
  fs["mkdirSync"](path);
  return path;
};
for (const name of ["rm", "copyFile", "mkdtemp"]) promises[name] = async (...args: unknown[]) => fs[`${name}Sync`](...args);
for (const name of Object.keys(promises))
  fs[name] = (...args: unknown[]) => {
    const done = args.pop() as (e: unknown, v?: unknown) => void;
    promises[name](...args).then(
      (v: unknown) => done(null, v),
      (e: unknown) => done(e),
    );
  };
fs["exists"] = (p: PathLike, done: (yes: boolean) => void) => process.nextTick(() => done(exists(p)));

fs["createReadStream"] = (p: PathLike, o?: ReadOptions & { start?: number; end?: number }) => {
  const path = pathOf(p);
  const stream = new Readable({
    read() {
      call("readFile", [path], "open").then(
        (b: Uint8Array) => {
          const { start = 0, end = Number.POSITIVE_INFINITY } = (typeof o === "object" && o !== null ? o : {}) as {
            start?: number;
            end?: number;
          };
          this.push(Buffer.from(b).subarray(start, end + 1));
          this.push(null);
        },
        (e: Error) => this.destroy(e),
      );
    },
  });
  const encoding = encodingOf(o);
  if (encoding && encoding !== "buffer") stream.setEncoding(encoding);
  return Object.assign(stream, { path });
};

fs["createWriteStream"] = (p: PathLike, o?: WriteOptions) => {
  const path = pathOf(p);
  let opened = flags(o).append ?? false;
  const write = (bytes: Uint8Array) => {
    const append = opened;
    opened = true;
    return call("writeFile", [path, bytes, { append }], "open");
  };
  const stream = new Writable({
    write: (chunk: Buffer, _e, done) => void write(chunk).then(() => done(), done),
    final: (done) => void (opened ? done() : write(new Uint8Array(0)).then(() => done(), done)),
  });
  return Object.assign(stream, { path });
};

const constants = { F_OK: 0, R_OK: 4, W_OK: 2, X_OK: 1, COPYFILE_EXCL: 1, O_RDONLY: 0, O_WRONLY: 1, O_RDWR: 2 };
promises["constants"] = constants;
Object.assign(fs, { constants, ...constants, promises, Stats, Dirent });

export const podFs = fs;
export const podFsPromises = promises;
