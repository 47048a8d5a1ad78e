// The store contract on its drivers: memory, and JetStream on a real nats-server (skipped where none is found).
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { seededRandom, silentLogger, systemClock } from "@podwire/base";
import { type Bus, connectNats, findNatsServer, type NatsServerProcess, startNatsServer } from "@podwire/bus";
import { describe, expect, test } from "vitest";
import { bytes, key, recorder, storeContract, text } from "./contract.suite.ts";
import { type JetStreamStore, openJetStreamStore } from "./jetstream.ts";
import { type MemoryStore, openMemoryStore } from "./memory.ts";
import { QUIET_MS } from "./sole-writer.ts";

const deps = { clock: systemClock, random: seededRandom(1), log: silentLogger };

describe("store on memory", () =>
  storeContract(async () => {
    let first: MemoryStore | undefined;
    return {
      open: async () => {
        const s = openMemoryStore({ clock: systemClock });
        first ??= s;
        return s;
      },
      versions: async () => first?.versions() ?? 0,
      close: async () => {},
    };
  }));

const binary = findNatsServer(process.env)?.binary;

async function server() {
  const folder = await mkdtemp(join(tmpdir(), "podwire-store-"));
  const s = createServer();
  await new Promise<void>((r) => s.listen(0, "127.0.0.1", r));
  const { port } = s.address() as { port: number };
  await new Promise((r) => s.close(r));
  const configFile = join(folder, "nats.conf");
  await writeFile(configFile, `listen: "127.0.0.1:${port}"\nmax_payload: 4194304\njetstream: { store_dir: "${folder}/js" }\n`);
  const launch = () => startNatsServer({ binary: binary as string, configFile, host: "127.0.0.1", port, clock: systemClock });
  let process: NatsServerProcess = await launch();
  const buses: Bus[] = [];
  return {
    async store(): Promise<JetStreamStore> {
      const bus = await connectNats({ url: process.url, cluster: "t", identity: "apiserver", ...deps });
      buses.push(bus);
      return openJetStreamStore(bus, deps);
    },
    async bus(identity: string) {
      const bus = await connectNats({ url: process.url, cluster: "t", identity, ...deps });
      buses.push(bus);
      return bus;
    },
    async restart() {
      await process.kill();
      process = await launch();
    },
    async close() {
      for (const b of buses) await b.close();
      await process.kill();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

describe.skipIf(binary === undefined)("store on JetStream (skipped without a nats-server)", () => {
  storeContract(async () => {
    const nats = await server();
    let first: JetStreamStore | undefined;
    return {
      open: async () => {
        const s = await nats.store();
        first ??= s;
        return s;
      },
      versions: async () => (await first?.state())?.messages ?? 0,
      close: () => nats.close(),
    };
  });

  test("kill -9 of the server: objects stay, writes under way end once, feeds go on without a gap", async () => {
    const nats = await server();
    try {
      const store = await nats.store();
      const rec = recorder();
      const feed = await store.feed(rec);
      const acknowledged = new Map<string, number>();
      let n = 0;
      let running = true;
      const writer = async (w: number) => {
        while (running) {
          const name = `w${w}-${n++}`;
          acknowledged.set(name, await store.create(key(name), bytes(name)));
          await new Promise((r) => setTimeout(r, 1));
        }
      };
      const writers = [writer(1), writer(2), writer(3)];
      for (let i = 0; i < 3; i++) {
        await new Promise((r) => setTimeout(r, 150 + QUIET_MS)); // Writes begin again when the other writers have been told.
        await nats.restart();
      }
      await new Promise((r) => setTimeout(r, 150 + QUIET_MS));
      running = false;
      await Promise.all(writers);
      const last = await store.currentRevision();
      await feed.reached(last);
      expect(acknowledged.size).toBeGreaterThan(50);
      expect(new Set(acknowledged.values()).size).toBe(acknowledged.size);
      for (const [name, revision] of acknowledged) {
        const e = await store.get(key(name));
        expect(e && [e.revision, text(e.value)]).toEqual([revision, name]);
      }
      expect(rec.log.filter((l) => l.startsWith("restart"))).toEqual([]);
      expect(rec.entries.map((e) => e.revision)).toEqual(Array.from({ length: last }, (_, i) => i + 1));
      feed.close();
      await store.close();
    } finally {
      await nats.close();
    }
  }, 60_000);

  test("a server that comes back with older data makes the feed begin again", async () => {
    const nats = await server();
    try {
      const store = await nats.store();
      const rec = recorder();
      const feed = await store.feed(rec);
      for (let i = 0; i < 5; i++) await store.create(key(`k${i}`), bytes("x"));
      await feed.reached(5);
      const admin = await nats.bus("admin");
      const stream = "PODWIRE_t_STORE";
      const answer = (subject: string, body = "") =>
        new Promise<void>((resolve) => {
          const inbox = admin.newInbox();
          admin.subscribe(inbox, () => resolve());
          admin.publish(subject, bytes(body), { reply: inbox });
        });
      await answer(`$JS.API.STREAM.DELETE.${stream}`);
      await store.ensureStream();
      await nats.restart();
      await store.create(key("new"), bytes("y"));
      await new Promise((r) => setTimeout(r, 300));
      await feed.reached(1);
      expect(rec.log.some((l) => l.startsWith("restart"))).toBe(true);
      // The feed begins again before or after the new object is there; either way it ends up with that object alone.
      const since = rec.log.slice(rec.log.findIndex((l) => l.startsWith("restart")) + 1);
      expect([
        ["+new@1", "=1"],
        ["=0", "~new@1<0"],
      ]).toContainEqual(since);
    } finally {
      await nats.close();
    }
  }, 30_000);

  test("every change is republished after commit, with its revision and the one before", async () => {
    const nats = await server();
    try {
      const store = await nats.store();
      const watcher = await nats.bus("controller-manager");
      const seen: string[] = [];
      watcher.subscribe("pw.t.event.=.pods.>", (m) =>
        seen.push(`${m.subject} ${m.header("Nats-Sequence")} ${m.header("Nats-Last-Sequence")} ${m.header("Pw-Op")} ${text(m.data)}`),
      );
      await watcher.flush();
      const r1 = await store.create(key("web.1"), bytes("a"));
      const r2 = await store.update(key("web.1"), bytes("b"), r1);
      await store.create(key("other", "default", "services"), bytes("no"));
      const r3 = await store.delete(key("web.1"), bytes("b"), r2);
      await watcher.flush();
      await new Promise((r) => setTimeout(r, 20));
      expect(seen).toEqual([
        `pw.t.event.=.pods.default.web=2E1 ${r1} 0 ADD a`,
        `pw.t.event.=.pods.default.web=2E1 ${r2} ${r1} undefined b`,
        `pw.t.event.=.pods.default.web=2E1 ${r3} ${r2} DEL b`,
      ]);
    } finally {
      await nats.close();
    }
  });
});
