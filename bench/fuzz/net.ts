// Fuzzes the network's parsers and its TCP for a while: node bench/fuzz/net.ts [seconds] [first seed]. Prints counts; a broken
// property ends it with the whole message and the seed that shows it again: node bench/fuzz/net.ts 1 <seed>.
import { seededRandom } from "@podwire/base";
import { fuzzParsers } from "../../packages/net/src/codec/fuzz.ts";
import { fuzzHostile, fuzzTransfer } from "../../packages/net/src/tcp/fuzz.ts";

const seconds = Number(process.argv[2] ?? 60);
let seed = Number(process.argv[3] ?? 1000);
const until = performance.now() + seconds * 1000;
const counts = { packets: 0, transfers: 0, hostile: 0 };

/** Every round has its own seed, so that one number repeats it. */
function round(seed: number): void {
  const random = seededRandom(seed);
  for (let i = 0; i < 40; i++, counts.packets++) fuzzParsers(random);
  fuzzTransfer(seed);
  counts.transfers++;
  fuzzHostile(seed);
  counts.hostile++;
}

do {
  try {
    round(seed);
  } catch (e) {
    process.stderr.write(`seed ${seed}: ${(e as Error).stack ?? e}\nagain: node scripts/node.mjs bench/fuzz/net.ts 1 ${seed}\n`);
    process.exitCode = 1;
    break;
  }
  seed++;
} while (performance.now() < until);
console.log(JSON.stringify({ fuzz: "net", ...counts, nextSeed: seed }));
