// Are the bundles in dist/ newer than what they were made of? Plain JavaScript, because bin/podwire.mjs asks on any Node.
// Invariant: dist/.stamp is written last and only when every bundle was written.
import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { root } from "./node.mjs";

export const dist = join(root, "dist");
export const stamp = join(dist, ".stamp");

/** Programs that become bundles: name in dist/ and entry point. */
export const programs = [
  ...["apiserver", "controller-manager", "scheduler", "node-agent", "edge", "dashboard"].map((name) => ({
    name,
    entry: join(root, "services", name, "src", "main.ts"),
  })),
  // The thread that runs a user's JavaScript, started by the node-agent.
  { name: "node-worker", entry: join(root, "packages", "runtime", "src", "images", "node", "worker", "main.ts") },
  { name: "cli", entry: join(root, "packages", "cli", "src", "main.ts") },
];

export function bundlesAreFresh() {
  if (!existsSync(stamp)) return false;
  const madeMs = statSync(stamp).mtimeMs;
  const sources = ["packages", "services"].flatMap((top) => readdirSync(join(root, top)).map((name) => join(root, top, name, "src")));
  return newestMs([join(root, "pnpm-lock.yaml"), join(root, "scripts", "bundle.ts"), ...sources]) <= madeMs;
}

function newestMs(paths) {
  let newest = 0;
  for (const path of paths) {
    const s = statSync(path, { throwIfNoEntry: false });
    if (!s) continue;
    newest = Math.max(newest, s.mtimeMs);
    if (s.isDirectory())
      newest = Math.max(
        newest,
        newestMs(
          readdirSync(path)
            .filter((n) => !n.endsWith(".test.ts"))
            .map((n) => join(path, n)),
        ),
      );
  }
  return newest;
}
