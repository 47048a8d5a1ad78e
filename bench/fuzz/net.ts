// Fuzzes the network's parsers and its TCP for a while: node bench/fuzz/net.ts [seconds] [first seed]. Prints counts; a broken
// property ends it with the seed that shows it again.
import { seededRandom } from "@podwire/base";
import { fuzzParsers } from "../../packages/net/src/codec/fuzz.ts";
import { fuzzHostile, fuzzTransfer } from "../../packages/net/src/tcp/fuzz.ts";

const seconds = Number(process.argv[2] ?? 60);
let seed = Number(process.argv[3] ?? 1000);
const random = seededRandom(seed);
const until = performance.now() + seconds * 1000;
const counts = { packets: 0, transfers: 0, hostile: 0 };
while (performance.now() < until) {
  for (let i = 0; i < 200; i++, counts.packets++) fuzzParsers(random);
  for (let i = 0; i < 5; i++, seed++) {
    fuzzTransfer(seed);
    fuzzHostile(seed);
    counts.transfers++;
    counts.hostile++;
  }
}
console.log(JSON.stringify({ fuzz: "net", ...counts, nextSeed: seed }));
