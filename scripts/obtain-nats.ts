// Prints the folder of a nats-server for the tests: the one on PATH, or the one that the launcher would obtain (into .cache/nats).
import { dirname, join } from "node:path";
import { systemClock } from "@podwire/base";
import { obtainNatsServer } from "@podwire/bus";
import { root } from "./node.mjs";

const { NATS_URL: _, ...env } = process.env; // Tests start servers of their own.
const server = await obtainNatsServer({ env, cacheDir: join(root, ".cache", "nats"), clock: systemClock });
if ("binary" in server) console.log(dirname(server.binary));
