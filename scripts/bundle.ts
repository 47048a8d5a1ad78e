// npm run bundle: one file per program, dist/<service>.mjs, with source maps, so that a process starts in a fraction of the
// time and memory. Invariant: nothing is written to dist/ half: every file is built into a folder beside it and renamed.
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { build, type Plugin } from "esbuild";
import { dist, programs, stamp } from "./bundle-state.mjs";
import { root } from "./node.mjs";

// CommonJS dependencies ask for `require`, `__dirname` and `__filename`, which an ES module does not have.
const banner = [
  'import { createRequire as __createRequire } from "node:module";',
  'import { fileURLToPath as __fileURLToPath } from "node:url";',
  "const require = __createRequire(import.meta.url);",
  "const __filename = __fileURLToPath(import.meta.url);",
  'const __dirname = __fileURLToPath(new URL(".", import.meta.url));',
].join("\n");

const LATE = /^(node:)?(child_process|http2|https|tls|worker_threads|zlib)$/;

const PATCHES = /[\\/]images[\\/]node[\\/]worker[\\/]/;

/** What a process would load and never use. Each took a noticeable share of its start and memory. */
const lean: Plugin = {
  name: "lean",
  setup(b) {
    // Error messages of zod in forty languages.
    b.onResolve({ filter: /locales\/index\.js$/ }, (a) =>
      /[\\/]zod[\\/]/.test(a.importer) ? { path: "locales", namespace: "lean" } : undefined,
    );
    b.onLoad({ filter: /^locales$/, namespace: "lean" }, () => ({ contents: "export {};" }));
    // Importing node:http as an ES module reads all of its exports, one of which loads the whole of fetch (undici).
    b.onResolve({ filter: /^(node:)?http$/ }, () => ({ path: "http", namespace: "lean" }));
    b.onLoad({ filter: /^http$/, namespace: "lean" }, () => ({ contents: 'module.exports = process.getBuiltinModule("node:http");' }));
    // The NATS client asks whether its socket is encrypted, which loads all of node:tls.
    b.onLoad({ filter: /transport-node[\\/]lib[\\/]node_transport\.js$/ }, ({ path }) => {
      const text = readFileSync(path, "utf8");
      const cheap = text.replace("this.socket instanceof node_tls_1.TLSSocket", "this.socket?.encrypted === true");
      if (cheap === text) throw new Error(`${path} no longer asks for a TLSSocket: take this rule out`);
      return { contents: cheap };
    });
    // Modules of Node that most processes need late or never (node:http2 alone takes 20 ms) are loaded by the first use of an export.
    b.onResolve({ filter: LATE }, ({ path, importer }) => {
      const name = path.replace(/^node:/, "");
      // The worker of user JavaScript puts the pod's own functions into the modules themselves.
      return PATCHES.test(importer) ? { path: `node:${name}`, external: true } : { path: name, namespace: "late" };
    });
    b.onLoad({ filter: /./, namespace: "late" }, ({ path }) => {
      const names = Object.keys(process.getBuiltinModule(path) ?? {});
      const getters = names.map((n) => `get ${n}() { return m()[${JSON.stringify(n)}]; }`).join(",\n");
      return { contents: `let it; const m = () => (it ??= process.getBuiltinModule("node:${path}"));\nmodule.exports = {${getters}};` };
    });
  },
};

mkdirSync(dist, { recursive: true });
const built = programs.filter((p) => existsSync(p.entry));
const into = mkdtempSync(join(dist, ".building-"));
try {
  // The stamp's time is that of the start: a source changed during the build is newer than it.
  writeFileSync(join(into, ".stamp"), `${built.map((p) => p.name).join("\n")}\n`);
  await build({
    entryPoints: Object.fromEntries(built.map((p) => [p.name, p.entry])),
    outdir: into,
    outExtension: { ".js": ".mjs" },
    absWorkingDir: root,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node24",
    sourcemap: "linked",
    sourcesContent: false,
    minifySyntax: true,
    minifyWhitespace: true,
    legalComments: "none",
    loader: { ".wasm": "binary" },
    plugins: [lean],
    banner: { js: banner },
    logLevel: "warning",
  });
  for (const p of built) onlyAscii(join(into, `${p.name}.mjs`));
  // What a program reads beside itself at run time: the dashboard's page.
  cpSync(join(root, "services", "dashboard", "src", "page"), join(into, "page"), { recursive: true });
  rmSync(stamp, { force: true });
  rmSync(join(dist, "page"), { recursive: true, force: true });
  for (const name of readdirSync(into).sort().reverse()) if (name !== ".stamp") renameSync(join(into, name), join(dist, name));
  renameSync(join(into, ".stamp"), stamp);
} finally {
  rmSync(into, { recursive: true, force: true });
}

/**
 * esbuild escapes what is not ASCII in strings, not in regular expressions. One such character makes V8 keep the whole program
 * with two bytes a character: 2 MB of each node-agent.
 */
function onlyAscii(file: string): void {
  const text = readFileSync(file, "utf8");
  const escaped = text.replace(/[^\x00-\x7f]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);
  if (escaped !== text) writeFileSync(file, escaped);
}
