// Where this installation keeps its parts: the pinned Node, the components' programs, the state folder. A bundled command
// (dist/cli.mjs) starts bundled components beside it; one that runs from sources starts sources.
import { existsSync, readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export interface Installation {
  /** Folder of package.json. */
  root: string;
  version: string;
  /** Absolute path of the Node that runs components: the one that runs this. */
  node: string;
  bundled: boolean;
  /** File that the pinned Node runs for a component ("apiserver", "node-agent", ...). */
  programOf(component: string): string;
}

export type Component = "apiserver" | "controller-manager" | "scheduler" | "node-agent" | "edge" | "dashboard" | "cli";

/** `entry` is the file that was started (import.meta.url of main). */
export function findInstallation(entry: string): Installation {
  const file = fileURLToPath(entry);
  const bundled = basename(dirname(file)) === "dist";
  let root = dirname(file);
  while (!existsSync(join(root, "pnpm-workspace.yaml")) && !existsSync(join(root, ".podwire-root"))) {
    if (dirname(root) === root) throw new Error(`no Podwire installation around ${file}`);
    root = dirname(root);
  }
  const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string };
  const sourceOf = (c: string) =>
    c === "cli" ? join(root, "packages", "cli", "src", "main.ts") : join(root, "services", c, "src", "main.ts");
  return {
    root,
    version,
    node: process.execPath,
    bundled,
    programOf: (c) => (bundled ? join(root, "dist", `${c}.mjs`) : sourceOf(c)),
  };
}
