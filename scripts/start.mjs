// npm start: everything that is missing, then a cluster of three nodes with the demo, in the foreground until Ctrl-C.
import { runNode } from "./node.mjs";
import { programFile } from "./program.mjs";

try {
  process.exitCode = await runNode([programFile("cli"), "start", ...process.argv.slice(2)], { channel: true });
} catch (e) {
  process.stderr.write(`npm start: ${e.message}\n`);
  process.exitCode = 1;
}
