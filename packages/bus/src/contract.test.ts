// The bus contract on its two implementations: memory, and a real nats-server (skipped, with a reason, where none is found).
import { seededRandom, silentLogger, systemClock } from "@podwire/base";
import { describe } from "vitest";
import { busContract } from "./contract.suite.ts";
import { memoryBus } from "./memory.ts";
import { connectNats } from "./nats.ts";
import { localServer, natsBinary } from "./server.suite.ts";

describe("bus on memory", () =>
  busContract(async () => {
    const broker = memoryBus();
    const deps = { clock: systemClock, random: seededRandom(1), log: silentLogger };
    return {
      cluster: "t",
      connect: async (identity) => broker.connect({ cluster: "t", identity, ...deps }),
      restart: async () => broker.restart(),
      close: async () => {},
    };
  }));

describe.skipIf(natsBinary === undefined)("bus on nats-server (skipped without one)", () =>
  busContract(async () => {
    const server = await localServer();
    const deps = { clock: systemClock, random: seededRandom(1), log: silentLogger };
    return {
      cluster: "t",
      connect: (identity) => connectNats({ url: server.url, cluster: "t", identity, ...deps }),
      restart: () => server.restart(),
      close: () => server.close(),
    };
  }),
);
