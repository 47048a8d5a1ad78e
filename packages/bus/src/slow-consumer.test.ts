// A subscriber that does not keep up: the broker lets go of it, and it learns that it has missed something.
import { Worker } from "node:worker_threads";
import { seededRandom, silentLogger, systemClock } from "@podwire/base";
import { expect, test } from "vitest";
import { until } from "./contract.suite.ts";
import { MAX_PENDING_MESSAGES, memoryBus } from "./memory.ts";
import { connectNats } from "./nats.ts";
import { localServer, natsBinary } from "./server.suite.ts";

const deps = { clock: systemClock, random: seededRandom(1), log: silentLogger };

test("memory: messages past the limit are dropped and counted, and the status says slow-consumer", async () => {
  const broker = memoryBus();
  const a = broker.connect({ cluster: "c", identity: "a", ...deps });
  const b = broker.connect({ cluster: "c", identity: "b", ...deps });
  const states: string[] = [];
  b.onStatus((s) => states.push(s));
  let got = 0;
  b.subscribe("x", () => got++);
  const nothing = new Uint8Array(0);
  for (let i = 0; i < MAX_PENDING_MESSAGES + 10; i++) a.publish("x", nothing);
  await until(() => got === MAX_PENDING_MESSAGES);
  expect(b.stats().dropped).toBe(10);
  expect(states).toEqual(["connected", "slow-consumer"]);
});

test.skipIf(natsBinary === undefined)(
  "nats-server: a process that stands still is disconnected, comes back and hears again (skipped without one)",
  async () => {
    const server = await localServer(
      (port, dir) => `listen: "127.0.0.1:${port}"\nmax_pending: 1MB\nwrite_deadline: "1s"\njetstream: { store_dir: "${dir}" }\n`,
    );
    const bus = await connectNats({ url: server.url, cluster: "c", identity: "slow", ...deps });
    const states: string[] = [];
    bus.onStatus((s) => states.push(s));
    let last = "";
    bus.subscribe("flood", (m) => {
      last = Buffer.from(m.data.subarray(0, 5)).toString();
    });
    await bus.flush();
    // Another thread floods the subject while this one does nothing at all.
    const flood = new Worker(
      `const { workerData: port } = require("node:worker_threads");
     const s = require("node:net").connect(port, "127.0.0.1", () => {
       s.write('CONNECT {"verbose":false}\\r\\n');
       const one = Buffer.concat([Buffer.from("PUB flood 500000\\r\\n"), Buffer.alloc(500000, 65), Buffer.from("\\r\\n")]);
       for (let i = 0; i < 60; i++) s.write(one);
     });
     s.on("data", (d) => { if (d.includes("PING")) s.write("PONG\\r\\n"); });
     s.on("error", () => {});`,
      { eval: true, workerData: server.port },
    );
    await new Promise<void>((r) => flood.once("online", () => r()));
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2_500);
    await until(() => states.includes("disconnected") && states.at(-1) === "connected", 10_000);
    await flood.terminate();
    const other = await connectNats({ url: server.url, cluster: "c", identity: "other", ...deps });
    await until(() => {
      other.publish("flood", Buffer.from("again"));
      return last === "again";
    });
    expect(bus.stats().reconnects).toBeGreaterThan(0);
    await bus.close();
    await other.close();
    await server.close();
  },
  30_000,
);
