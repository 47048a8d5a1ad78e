// Reads that need not ask the leader, and stop being so the moment another process may write. On a real nats-server.
import { silentLogger, systemClock } from "@podwire/base";
import { startTestNats, type TestNats, testNatsBinary } from "@podwire/testkit";
import { afterEach, describe, expect, it } from "vitest";
import { type JetStreamStore, openJetStreamStore } from "./jetstream.ts";
import { QUIET_MS } from "./sole-writer.ts";

const key = (name: string) => ({ group: "", resource: "configmaps", namespace: "default", name });
const value = (text: string) => new TextEncoder().encode(text);
const sleep = (ms: number) => new Promise((r) => setTimeout(r, ms));

describe.skipIf(testNatsBinary === undefined)("the sole writer (skipped without a nats-server)", () => {
  let nats: TestNats | undefined;
  const stores: JetStreamStore[] = [];
  const open = async () => {
    nats ??= await startTestNats();
    const store = await openJetStreamStore(await nats.connect("apiserver"), {
      clock: systemClock,
      log: silentLogger,
      compactionPeriodMs: 0,
    });
    stores.push(store);
    return store;
  };
  afterEach(async () => {
    for (const s of stores.splice(0)) await s.close();
    await nats?.close();
    nats = undefined;
  });
  /** Questions to the leader that `work` caused. */
  const questions = async (store: JetStreamStore, work: () => Promise<unknown>) => {
    const before = store.revisionQuestions;
    await work();
    return store.revisionQuestions - before;
  };

  it("knows the last revision by itself, also after a pause longer than its lease", async () => {
    const store = await open();
    const revision = await store.create(key("a"), value("1"));
    expect(await store.currentRevision()).toBe(revision);
    const asked = await questions(store, async () => {
      for (let i = 0; i < 100; i++) expect(await store.currentRevision()).toBe(revision);
      await sleep(300);
      expect(await store.currentRevision()).toBe(revision);
    });
    expect(asked).toBe(0);
    const next = await store.update(key("a"), value("2"), revision);
    expect(await questions(store, async () => expect(await store.currentRevision()).toBe(next))).toBe(0);
  });

  it("asks the leader as long as another writes, and not when that one has gone", async () => {
    const first = await open();
    const revision = await first.create(key("a"), value("1"));
    await first.currentRevision();
    const second = await open();
    const theirs = await second.create(key("b"), value("1"));
    expect(await questions(first, async () => expect(await first.currentRevision()).toBe(theirs))).toBe(1);
    expect(await second.update(key("a"), value("2"), revision)).toBe(theirs + 1);
    expect(await first.currentRevision()).toBe(theirs + 1);
    await second.close();
    await sleep(50);
    expect(await questions(first, async () => expect(await first.currentRevision()).toBe(theirs + 1))).toBe(1);
    expect(await questions(first, async () => expect(await first.currentRevision()).toBe(theirs + 1))).toBe(0);
  });

  it("two stores that read and write at once never see less than what was acknowledged", async () => {
    const [a, b] = [await open(), await open()];
    let acknowledged = 0;
    const writer = async (store: JetStreamStore, name: string) => {
      for (let i = 0; i < 60; i++) acknowledged = Math.max(acknowledged, await store.create(key(`${name}-${i}`), value("1")));
    };
    const reader = async (store: JetStreamStore) => {
      for (let i = 0; i < 60; i++) {
        const floor = acknowledged;
        expect(await store.currentRevision()).toBeGreaterThanOrEqual(floor);
      }
    };
    await Promise.all([writer(a, "a"), writer(b, "b"), reader(a), reader(b)]);
  });

  it("writes wait after a connection was lost, as they do at first", async () => {
    const store = await open();
    const revision = await store.create(key("a"), value("1"));
    await nats?.restart();
    const startedMs = performance.now();
    await store.update(key("a"), value("2"), revision);
    expect(performance.now() - startedMs).toBeGreaterThan(QUIET_MS - 10);
  });
});
