// What `require` and `import` find in a pod: the library's modules that touch nothing of the host, the pod's own in place of those
// that do, and files of the container by Node's resolution (relative, absolute, node_modules, package.json "main" and "exports").
// Invariant: no module is loaded from the host's disk, and a module that could reach the host is refused by name.
import dns from "node:dns";
import Module, { builtinModules, registerHooks } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { ask, call } from "./channel.ts";
import { podFs, podFsPromises } from "./files.ts";
import { podOs, podProcess } from "./process.ts";
import { podNet } from "./sockets.ts";

/** Modules of the library that are safe as they are, or made so by `installSockets`. */
const PLAIN = new Set(
  "assert assert/strict async_hooks buffer constants crypto diagnostics_channel events http https path path/posix path/win32 perf_hooks punycode querystring stream stream/consumers stream/promises stream/web string_decoder timers timers/promises tls url util util/types zlib console readline readline/promises".split(
    " ",
  ),
);

type Done = (e: Error | null, ...rest: unknown[]) => void;

async function lookup(name: string, family: 0 | 4 | 6): Promise<{ address: string; family: number }[]> {
  const list = (await call("lookup", [name, family], "getaddrinfo")) as string[];
  return list.map((address) => ({ address, family: address.includes(":") ? 6 : 4 }));
}

const podDnsPromises = {
  lookup: async (name: string, o: { all?: boolean; family?: number } | number = {}) => {
    const { all = false, family = 0 } = typeof o === "number" ? { family: o } : o;
    const found = await lookup(name, family as 0 | 4 | 6);
    return all ? found : found[0];
  },
  resolve4: async (name: string) => (await lookup(name, 4)).map((a) => a.address),
  resolve6: async (name: string) => (await lookup(name, 6)).map((a) => a.address),
  resolve: async (name: string) => (await lookup(name, 4)).map((a) => a.address),
};

const podDns = {
  ...dns,
  lookup: (name: string, ...rest: unknown[]) => {
    const done = rest.pop() as Done;
    const o = (rest[0] ?? {}) as { all?: boolean };
    podDnsPromises.lookup(name, o as never).then(
      (v) => (Array.isArray(v) ? done(null, v) : done(null, v?.address, v?.family)),
      (e: Error) => done(e),
    );
  },
  ...Object.fromEntries(
    (["resolve", "resolve4", "resolve6"] as const).map((name) => [
      name,
      (host: string, ...rest: unknown[]) => {
        const done = rest.pop() as Done;
        podDnsPromises[name](host).then(
          (v) => done(null, v),
          (e: Error) => done(e),
        );
      },
    ]),
  ),
  promises: podDnsPromises,
};

const OWN: { [name: string]: object } = {
  fs: podFs,
  "fs/promises": podFsPromises,
  net: podNet,
  os: podOs,
  process: podProcess,
  dns: podDns,
  "dns/promises": podDnsPromises,
  module: { createRequire: Module.createRequire, builtinModules, isBuiltin: Module.isBuiltin },
};

const PLACE = Symbol.for("podwire.modules");
(globalThis as { [PLACE]?: object })[PLACE] = OWN;

/** Source of one of the pod's modules, for `require` or for `import`. */
function ownSource(name: string, style: string): { format: string; source: string } {
  const value = `globalThis[Symbol.for("podwire.modules")][${JSON.stringify(name)}]`;
  if (style === "cjs") return { format: "commonjs", source: `module.exports = ${value};` };
  const names = Object.keys(OWN[name] as object).filter((k) => /^[A-Za-z_$][\w$]*$/.test(k) && k !== "default");
  return {
    format: "module",
    source: `const m = ${value};\nexport default m;\n${names.map((k) => `export const ${k} = m.${k};`).join("\n")}`,
  };
}

const kinds = new Map<string, string>();
function kindOf(path: string): string | undefined {
  try {
    return (ask("stat", [path]) as { kind: string }).kind;
  } catch {
    return undefined;
  }
}
const isFile = (path: string) => kindOf(path) === "file";

interface Package {
  main?: string;
  type?: string;
  exports?: unknown;
}
const packages = new Map<string, Package | undefined>();
function packageAt(dir: string): Package | undefined {
  if (!packages.has(dir)) {
    const path = join(dir, "package.json");
    packages.set(
      dir,
      isFile(path) ? (JSON.parse(Buffer.from(ask("readFile", [path]) as Uint8Array).toString("utf8")) as Package) : undefined,
    );
  }
  return packages.get(dir);
}

function asFile(path: string): string | undefined {
  return ["", ".js", ".json", ".cjs", ".mjs"].map((e) => path + e).find(isFile);
}

function asFileOrDirectory(path: string): string | undefined {
  const file = asFile(path);
  if (file !== undefined) return file;
  const main = packageAt(path)?.main;
  return (main === undefined ? undefined : (asFile(join(path, main)) ?? asFile(join(path, main, "index")))) ?? asFile(join(path, "index"));
}

/** "exports" of a package.json: conditions in the order they are written. */
function exported(target: unknown, conditions: readonly string[]): string | undefined {
  if (typeof target === "string") return target;
  if (Array.isArray(target)) return target.map((t) => exported(t, conditions)).find((t) => t !== undefined);
  for (const [key, value] of Object.entries((target ?? {}) as object))
    if (key === "default" || conditions.includes(key)) {
      const found = exported(value, conditions);
      if (found !== undefined) return found;
    }
  return undefined;
}

function inPackage(dir: string, rest: string, conditions: readonly string[]): string | undefined {
  const { exports } = packageAt(dir) ?? {};
  if (exports === undefined) return asFileOrDirectory(rest === "" ? dir : join(dir, rest));
  const table =
    typeof exports === "object" && exports !== null && Object.keys(exports).some((k) => k.startsWith(".")) ? exports : { ".": exports };
  const target = exported((table as { [k: string]: unknown })[rest === "" ? "." : `./${rest}`], conditions);
  return target === undefined ? undefined : asFile(join(dir, target));
}

function resolveFile(specifier: string, parent: string, conditions: readonly string[]): string | undefined {
  if (specifier.startsWith("file:")) return asFile(fileURLToPath(specifier));
  if (/^(\/|\.\.?(\/|$))/.test(specifier))
    return asFileOrDirectory(specifier.startsWith("/") ? specifier : join(dirname(parent), specifier));
  const [, name = "", rest = ""] = /^((?:@[^/]+\/)?[^/]+)\/?(.*)$/.exec(specifier) ?? [];
  for (let dir = dirname(parent); ; dir = dirname(dir)) {
    const at = join(dir, "node_modules", name);
    if (kindOf(at) === "dir") {
      const found = inPackage(at, rest, conditions);
      if (found !== undefined) return found;
    }
    if (dir === "/") return undefined;
  }
}

function formatOf(path: string): string {
  if (path.endsWith(".json")) return "json";
  if (path.endsWith(".mjs")) return "module";
  if (path.endsWith(".cjs")) return "commonjs";
  const known = kinds.get(path);
  if (known !== undefined) return known;
  for (let dir = dirname(path); ; dir = dirname(dir)) {
    const p = packageAt(dir);
    if (p !== undefined || dir === "/") {
      const text = Buffer.from(ask("readFile", [path]) as Uint8Array).toString("utf8");
      // Without a "type", Node looks at the syntax.
      const looksModule = p?.type === undefined && /^\s*(import\s[\w*{"']|export\s)/m.test(text) && !/\brequire\s*\(/.test(text);
      const format = p?.type === "module" || looksModule ? "module" : "commonjs";
      kinds.set(path, format);
      return format;
    }
  }
}

export function installModules(): void {
  registerHooks({
    resolve(specifier, context, next) {
      const name = specifier.replace(/^node:/, "");
      if (OWN[name] !== undefined) {
        const style = context.conditions.includes("require") ? "cjs" : "esm";
        return { url: `podwire:${name}?${style}`, shortCircuit: true };
      }
      if (PLAIN.has(name) && (specifier.startsWith("node:") || builtinModules.includes(name))) return next(specifier, context);
      if (builtinModules.includes(name) || specifier.startsWith("node:"))
        throw Object.assign(new Error(`The module '${name}' is not built in Podwire's node`), { code: "ERR_UNKNOWN_BUILTIN_MODULE" });
      const parent = context.parentURL?.startsWith("file:")
        ? fileURLToPath(context.parentURL)
        : join(String((podProcess["cwd"] as () => string)()), "x");
      const path = resolveFile(specifier, parent, context.conditions);
      if (path === undefined)
        throw Object.assign(new Error(`Cannot find module '${specifier}'\nRequire stack:\n- ${parent}`), { code: "MODULE_NOT_FOUND" });
      return { url: pathToFileURL(path).href, format: formatOf(path), shortCircuit: true };
    },
    load(url, context, next) {
      const own = /^podwire:(.*)\?(cjs|esm)$/.exec(url);
      if (own) return { ...ownSource(own[1] as string, own[2] as string), shortCircuit: true } as never;
      if (!url.startsWith("file:")) return next(url, context);
      const path = fileURLToPath(url);
      const source = Buffer.from(ask("readFile", [path]) as Uint8Array).toString("utf8");
      return { format: context.format ?? formatOf(path), source, shortCircuit: true } as never;
    },
  });
}

/** Runs the program's first file, as `node file` does. */
export async function runMain(path: string): Promise<void> {
  const file = asFileOrDirectory(path);
  if (file === undefined) throw Object.assign(new Error(`Cannot find module '${path}'`), { code: "MODULE_NOT_FOUND", requireStack: [] });
  if (formatOf(file) === "module") await import(pathToFileURL(file).href);
  else (Module as unknown as { _load(path: string, parent: null, main: boolean): void })._load(file, null, true);
}
