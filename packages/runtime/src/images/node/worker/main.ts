// The thread of a node container: makes the pod's surroundings, then runs the user's program.
import { createRequire } from "node:module";
import vm from "node:vm";
import { send, start } from "./channel.ts";
import { installModules, runMain } from "./modules.ts";
import { installProcess, podProcess } from "./process.ts";
import { installSockets } from "./sockets.ts";

function fail(e: unknown): void {
  const shown = e instanceof Error ? (e.stack ?? e.message) : `Uncaught ${String(e)}`;
  const code = (e as { code?: string } | null)?.code;
  const text = `${shown}${code === undefined || shown.includes("\n  code:") ? "" : ` {\n  code: '${code}'\n}`}\n\nNode.js ${process.version}\n`;
  send({ t: "out", fd: 2, bytes: Buffer.from(text) });
  send({ t: "exit", code: 1 });
}

const exit = process.on.bind(process);
installSockets();
installProcess();
installModules();
exit("uncaughtException", (e) => {
  // The program's own handlers come first; ours is the last word when there is none.
  if (process.listenerCount("uncaughtException") <= 1) fail(e);
});
exit("unhandledRejection", (e) => {
  if (process.listenerCount("unhandledRejection") <= 1) fail(e);
});

try {
  if ("file" in start.main) await runMain(start.main.file);
  else {
    const require = createRequire("file:///[eval]");
    Object.assign(globalThis, { require });
    const value: unknown = vm.runInThisContext(start.main.text, { filename: "[eval]" });
    if (start.main.print)
      (podProcess["stdout"] as NodeJS.WritableStream).write(`${typeof value === "string" ? value : JSON.stringify(value)}\n`);
  }
} catch (e) {
  fail(e);
}
