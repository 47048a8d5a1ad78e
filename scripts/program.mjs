// Decides what runs when a person asks for a program of Podwire: its bundle when fresh, after bundling when sources are newer,
// and the sources themselves when PODWIRE_SOURCES=1 or when bundling fails (a work tree in the middle of an edit).
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { bundlesAreFresh, dist, programs } from "./bundle-state.mjs";
import { ensureInstalled } from "./install.mjs";
import { pinnedNode, root } from "./node.mjs";

/** Path of the file to run for `name` with the pinned Node. Installs and bundles when needed. */
export function programFile(name) {
  ensureInstalled();
  const source = programs.find((p) => p.name === name)?.entry;
  if (!source) throw new Error(`no program named ${name}`);
  if (process.env.PODWIRE_SOURCES === "1") return source;
  if (!bundlesAreFresh()) {
    const run = spawnSync(pinnedNode, [join(root, "scripts", "bundle.ts")], { cwd: root, stdio: ["ignore", 2, 2] });
    if (run.status !== 0) {
      process.stderr.write("bundling failed; running the sources\n");
      return source;
    }
  }
  const bundle = join(dist, `${name}.mjs`);
  return existsSync(bundle) ? bundle : source;
}
