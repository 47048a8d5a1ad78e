// Long fuzzing of what clients send: node scripts/node.mjs bench/fuzz/api.ts [rounds per target] [seed].
// A million inputs take some minutes; a failure, or an input slower than 100 ms, prints its target and round, and the exit code is 1.
import { fuzz, TARGETS } from "../../packages/api/src/fuzz.ts";
import { REQUEST_TARGETS } from "./requests.ts";

const rounds = Number(process.argv[2] ?? 60_000);
const seed = Number(process.argv[3] ?? 1);
const targets = { ...TARGETS, ...REQUEST_TARGETS };
const before = process.cpuUsage();
const failures = fuzz(seed, rounds, targets);
const used = process.cpuUsage(before);
for (const f of failures) console.log(f);
const inputs = rounds * Object.keys(targets).length;
console.log(`${inputs} inputs in ${((used.user + used.system) / 1e6).toFixed(1)} CPU-seconds, ${failures.length} failures (seed ${seed})`);
process.exitCode = failures.length === 0 ? 0 : 1;
