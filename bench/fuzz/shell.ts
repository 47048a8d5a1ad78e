// Random scripts in the containers' shell and in Debian's busybox sh: node scripts/node.mjs bench/fuzz/shell.ts [scripts] [seed].
// Prints every script on which they differ; PODWIRE_BUSYBOX names the busybox when it is not /bin/busybox.
import { firstDifference } from "../../packages/runtime/src/shell/differential.ts";

const count = Number(process.argv[2] ?? 2_000);
const seed = Number(process.argv[3] ?? 1);
const program = process.env["PODWIRE_BUSYBOX"] ?? "/bin/busybox";
let differences = 0;
for (let i = seed; i < seed + count; i++) {
  const d = await firstDifference(program, i, 1);
  if (d === undefined) continue;
  differences++;
  console.log(d);
}
console.log(JSON.stringify({ fuzz: "shell", scripts: count, differences, nextSeed: seed + count }));
process.exitCode = differences === 0 ? 0 : 1;
