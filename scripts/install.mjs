// Brings node_modules in line with pnpm-lock.yaml, by pnpm from PATH or by npx. Plain JavaScript: it runs on the host's Node
// (20 or newer) before anything is installed. Invariant: when it returns, the pinned Node exists and the lockfile is installed.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { pinnedNode, root } from "./node.mjs";

const PNPM = JSON.parse(readFileSync(join(root, "package.json"), "utf8")).packageManager; // "pnpm@10.34.9"
/** An install that has taken longer than this is taken for dead, and its lock with it. */
const STALE_LOCK_MS = 600_000;

/** True when node_modules was made from the lockfile as it is now (pnpm keeps a copy of what it installed). */
export function isInstalled() {
  const installed = join(root, "node_modules", ".pnpm", "lock.yaml");
  if (!existsSync(pinnedNode) || !existsSync(installed)) return false;
  return readFileSync(installed, "utf8") === readFileSync(join(root, "pnpm-lock.yaml"), "utf8");
}

/** Installs when needed. Progress goes to standard error. Throws an Error with the command to try by hand. */
export function ensureInstalled() {
  if (isInstalled()) return;
  const lock = join(root, ".cache", "install.lock");
  mkdirSync(join(root, ".cache"), { recursive: true });
  takeLock(lock);
  try {
    if (!isInstalled()) install();
  } finally {
    rmSync(lock, { recursive: true, force: true });
  }
}

function install() {
  const started = Date.now();
  const args = ["install", "--frozen-lockfile"];
  process.stderr.write(" • Installing dependencies (once) ...\n");
  const tries = [
    ["pnpm", args],
    ["npx", ["-y", PNPM, ...args]],
  ];
  let last = "";
  for (const [command, argv] of tries) {
    // A question would hang a script: neither pnpm nor corepack may ask one.
    const env = { ...process.env, CI: "true", COREPACK_ENABLE_DOWNLOAD_PROMPT: "0" };
    const run = spawnSync(command, argv, { cwd: root, env, encoding: "utf8", shell: process.platform === "win32" });
    if (run.status === 0 && existsSync(pinnedNode)) {
      process.stderr.write(` ✓ Dependencies installed (${((Date.now() - started) / 1000).toFixed(0)} s)\n`);
      return;
    }
    if (run.error?.code !== "ENOENT") last = `${run.stdout ?? ""}${run.stderr ?? ""}`.trim() || String(run.error);
  }
  throw new Error(`dependencies could not be installed:\n${last}\nTry by hand: cd ${root} && npx -y ${PNPM} install --frozen-lockfile`);
}

/** A folder as lock: mkdir is atomic everywhere. */
function takeLock(lock) {
  for (;;) {
    try {
      mkdirSync(lock);
      return;
    } catch (e) {
      if (e.code !== "EEXIST") throw e;
    }
    try {
      if (Date.now() - statSync(lock).mtimeMs > STALE_LOCK_MS) rmSync(lock, { recursive: true, force: true });
    } catch {
      // The holder has just finished.
    }
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 250);
  }
}
