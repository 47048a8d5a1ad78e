#!/usr/bin/env node
// The podwire command on any Node from 20 up: starts the real one (packages/cli) with the pinned Node.
import { runNode } from "../scripts/node.mjs";
import { programFile } from "../scripts/program.mjs";

try {
  process.exitCode = await runNode([programFile("cli"), ...process.argv.slice(2)], { channel: true });
} catch (e) {
  process.stderr.write(`podwire: ${e.message}\n`);
  process.exitCode = 1;
}
