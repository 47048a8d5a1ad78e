// Long fuzzing of what clients send: node scripts/node.mjs bench/fuzz/api.ts [rounds per target] [seed].
// A million inputs take some minutes; a failure prints its target, round and stack, and the exit code is 1.
import { seededRandom } from "@podwire/base";
import { fuzz, TARGETS } from "../../packages/api/src/fuzz.ts";

const rounds = Number(process.argv[2] ?? 85_000);
const seed = Number(process.argv[3] ?? 1);
const started = performance.now();
const failures = fuzz(seededRandom(seed), rounds);
const seconds = (performance.now() - started) / 1000;
for (const f of failures) console.log(f);
const inputs = rounds * Object.keys(TARGETS).length;
console.log(`${inputs} inputs in ${seconds.toFixed(1)} s, ${failures.length} failures (seed ${seed})`);
process.exitCode = failures.length === 0 ? 0 : 1;
