// Runs a script with the pinned Node (the npm package `node`), whatever Node the host has: node scripts/node.mjs FILE [args].
import { spawn } from "node:child_process";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = dirname(dirname(fileURLToPath(import.meta.url)));
export const pinnedNode = join(root, "node_modules", "node", "bin", "node");

/**
 * Runs to the end with inherited streams; resolves with the exit code. Signals are passed on. With `options.channel` the child has
 * an IPC channel, whose "disconnect" tells it that this launcher is gone, however it went.
 */
export function runNode(args, { channel = false, ...options } = {}) {
  return new Promise((resolve, reject) => {
    const stdio = channel ? ["inherit", "inherit", "inherit", "ipc"] : "inherit";
    const child = spawn(pinnedNode, args, { stdio, ...options });
    for (const s of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(s, () => child.kill(s));
    child.on("error", reject);
    child.on("exit", (code, signal) => resolve(code ?? (signal === "SIGINT" ? 130 : 143)));
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) process.exit(await runNode(process.argv.slice(2)));
