// Tries the convergence of the workload controllers under many seeds (see services/controller-manager/src/convergence.ts) and prints
// the seeds that failed, the faults that were injected and the time a seed took.
//   node scripts/node.mjs bench/controllers/seeds.ts [--from 1] [--count 10000] [--seconds 3600: stop sooner]
import { parseArgs } from "node:util";
import { tryConvergence } from "@podwire/controller-manager";
import { virtualClock } from "@podwire/testkit";

const { values } = parseArgs({
  options: {
    from: { type: "string", default: "1" },
    count: { type: "string", default: "10000" },
    seconds: { type: "string", default: "3600" },
  },
});
const from = Number(values.from);
const count = Number(values.count);
const faults: Record<string, number> = {};
let failed = 0;
let writes = 0;
const started = performance.now();
let tried = 0;
for (let seed = from; seed < from + count && performance.now() - started < Number(values.seconds) * 1000; seed++) {
  tried++;
  const r = await tryConvergence({ seed, clock: virtualClock() });
  writes += r.writes;
  for (const [k, n] of Object.entries(r.faults)) faults[k] = (faults[k] ?? 0) + n;
  if (r.failure !== undefined) {
    failed++;
    console.log(`seed ${seed}: ${r.failure}`);
  }
}
const seconds = (performance.now() - started) / 1000;
console.log(`${tried} seeds from ${from}, ${failed} failed, ${writes} writes, ${((seconds * 1000) / tried).toFixed(0)} ms a seed`);
console.log(`faults: ${JSON.stringify(faults)}`);
process.exitCode = failed === 0 ? 0 : 1;
