// find: -name -iname -path -type -maxdepth -mindepth -newer -mtime -mmin -size -perm -user -group -empty -print -print0 -exec -delete
// -prune, with ! -a -o and parentheses.
import { SysError, strerror } from "../kernel/errno.ts";
import type { ExitStatus, Process } from "../kernel/process.ts";
import { matches, plainPattern } from "../shell/glob.ts";
import type { Stat } from "../vfs/mounts.ts";
import { parseMode } from "./files.ts";
import { complain, complainOf, die } from "./options.ts";
import { launch } from "./process.ts";

interface Item {
  path: string;
  stat: Stat;
  prune: boolean;
}
type Test = (item: Item) => boolean | Promise<boolean>;

const KINDS: Record<string, Stat["kind"]> = { f: "file", d: "dir", l: "symlink", p: "fifo", s: "socket", c: "char" };

export async function find(p: Process): Promise<number> {
  const args = p.argv.slice(1);
  const roots: string[] = [];
  let i = 0;
  while (i < args.length && !/^[-(!]/.test(args[i] as string)) roots.push(args[i++] as string);
  if (roots.length === 0) roots.push(".");
  let maxDepth = Number.POSITIVE_INFINITY;
  let minDepth = 0;
  let action = false;
  let depthFirst = false;
  const pending: { argv: string[]; paths: string[] }[] = [];
  let status = 0;
  const value = async (): Promise<string> => args[++i] ?? die(p, `option '${args[i - 1]}' requires an argument`);
  const compare = (text: string, n: number) =>
    text.startsWith("+") ? n > Number(text.slice(1)) : text.startsWith("-") ? n < Number(text.slice(1)) : n === Number(text);
  const or = async (): Promise<Test> => {
    let left = await and();
    while (args[i] === "-o" || args[i] === "-or") {
      i++;
      const a = left;
      const b = await and();
      left = async (x) => (await a(x)) || (await b(x));
    }
    return left;
  };
  const and = async (): Promise<Test> => {
    let left: Test = () => true;
    while (i < args.length && args[i] !== "-o" && args[i] !== "-or" && args[i] !== ")") {
      if (args[i] === "-a" || args[i] === "-and") {
        i++;
        continue;
      }
      const a = left;
      const b = await primary();
      left = async (x) => (await a(x)) && (await b(x));
    }
    return left;
  };
  const primary = async (): Promise<Test> => {
    const a = args[i] as string;
    switch (a) {
      case "!":
      case "-not": {
        i++;
        const t = await primary();
        return async (x) => !(await t(x));
      }
      case "(": {
        i++;
        const t = await or();
        i++;
        return t;
      }
    }
    const t = await test(a);
    i++;
    return t;
  };
  const test = async (a: string): Promise<Test> => {
    switch (a) {
      case "-name":
      case "-iname": {
        const v = await value();
        const fold = a === "-iname";
        return (x) => matches(plainPattern(fold ? v.toLowerCase() : v), fold ? nameOf(x.path).toLowerCase() : nameOf(x.path));
      }
      case "-path": {
        const v = await value();
        return (x) => matches(plainPattern(v), x.path);
      }
      case "-type": {
        const v = await value();
        return (x) => v.split(",").some((k) => x.stat.kind === KINDS[k]);
      }
      case "-maxdepth":
        maxDepth = Number(await value());
        return () => true;
      case "-mindepth":
        minDepth = Number(await value());
        return () => true;
      case "-depth":
        depthFirst = true;
        return () => true;
      case "-xdev":
      case "-follow":
        return () => true;
      case "-empty":
        return (x) => (x.stat.kind === "dir" ? p.fs.readdir(x.path).length === 0 : x.stat.kind === "file" && x.stat.size === 0);
      case "-newer": {
        const t = p.fs.stat(await value()).mtimeMs;
        return (x) => x.stat.mtimeMs > t;
      }
      case "-mtime":
      case "-mmin": {
        const v = await value();
        const unit = a === "-mtime" ? 86_400_000 : 60_000;
        const now = p.clock.nowMs();
        return (x) => compare(v, Math.floor((now - x.stat.mtimeMs) / unit));
      }
      case "-size": {
        const v = await value();
        const m = /^([+-]?)(\d+)([ckMGb]?)$/.exec(v);
        const unit = { c: 1, k: 1024, M: 1048576, G: 1073741824, b: 512, "": 512 }[m?.[3] ?? ""] as number;
        return (x) => compare(`${m?.[1]}${m?.[2]}`, Math.ceil(x.stat.size / unit));
      }
      case "-perm": {
        const v = await value();
        const mode = parseMode(v.replace(/^[-/+]/, ""), 0, false) ?? 0;
        return (x) =>
          v.startsWith("-")
            ? (x.stat.mode & mode) === mode
            : v.startsWith("/") || v.startsWith("+")
              ? mode === 0 || (x.stat.mode & mode) !== 0
              : x.stat.mode === mode;
      }
      case "-user": {
        const v = Number(await value());
        return (x) => x.stat.uid === v;
      }
      case "-group": {
        const v = Number(await value());
        return (x) => x.stat.gid === v;
      }
      case "-prune":
        return (x) => {
          x.prune = true;
          return true;
        };
      case "-print":
      case "-print0":
        action = true;
        return async (x) => {
          await p.print(`${x.path}${a === "-print0" ? "\0" : "\n"}`);
          return true;
        };
      case "-quit":
        return () => p.exit(0);
      case "-delete":
        action = true;
        depthFirst = true;
        return async (x) => {
          try {
            if (x.stat.kind === "dir") p.fs.rmdir(x.path);
            else p.fs.unlink(x.path);
            return true;
          } catch (e) {
            await complainOf(p, x.path, e);
            status = 1;
            return false;
          }
        };
      case "-exec": {
        action = true;
        const argv: string[] = [];
        for (i++; args[i] !== undefined && args[i] !== ";" && !(args[i] === "+" && argv.at(-1) === "{}"); i++) argv.push(args[i] as string);
        if (args[i] === undefined) return die(p, "-exec requires an argument");
        if (args[i] === "+") {
          const batch = { argv: argv.slice(0, -1), paths: [] as string[] };
          pending.push(batch);
          return (x) => {
            batch.paths.push(x.path);
            return true;
          };
        }
        return async (x) => (await execute(argv.map((t) => t.replaceAll("{}", x.path)))) === 0;
      }
      case "-true":
        return () => true;
      case "-false":
        return () => false;
      default:
        return die(p, `unrecognized: ${a}`);
    }
  };
  const execute = async (argv: string[]): Promise<number> => {
    const child = await launch(p, argv);
    if (child instanceof SysError) {
      await complain(p, `${argv[0]}: ${strerror(child)}`);
      return 1;
    }
    const s = ((await p.waitpid(child.pid)) as { status: ExitStatus }).status;
    return s.signal !== 0 ? 1 : s.code;
  };
  const expression = await or();
  if (!action) {
    const inner = expression;
    const print: Test = async (x) => {
      if (await inner(x)) await p.print(`${x.path}\n`);
      return true;
    };
    return finish(print);
  }
  return finish(expression);

  async function finish(t: Test): Promise<number> {
    const visit = async (path: string, depth: number): Promise<void> => {
      const pause = p.checkpoint();
      if (pause) await pause;
      let stat: Stat;
      try {
        stat = p.fs.lstat(path);
      } catch (e) {
        await complainOf(p, path, e);
        status = 1;
        return;
      }
      const item: Item = { path, stat, prune: false };
      if (!depthFirst && depth >= minDepth) await t(item);
      if (stat.kind === "dir" && depth < maxDepth && !item.prune) {
        try {
          for (const e of p.fs.readdir(path)) await visit(path.endsWith("/") ? path + e.name : `${path}/${e.name}`, depth + 1);
        } catch (e) {
          if (!(e instanceof SysError)) throw e;
          await complainOf(p, path, e);
          status = 1;
        }
      }
      if (depthFirst && depth >= minDepth) await t(item);
    };
    for (const r of roots) await visit(r, 0);
    for (const b of pending) if (b.paths.length > 0 && (await execute([...b.argv, ...b.paths])) !== 0) status = 1;
    return status;
  }
}

function nameOf(path: string): string {
  const cut = path.replace(/(.)\/+$/, "$1");
  return cut === "/" ? "/" : cut.slice(cut.lastIndexOf("/") + 1);
}
