import { silentLogger, systemClock } from "@podwire/base";
import { subjectsOf } from "@podwire/bus";
import { openJetStreamStore } from "@podwire/store";
import { describe, expect, test } from "vitest";
import { startTestNats, testNatsBinary } from "./test-nats.ts";

describe.skipIf(testNatsBinary === undefined)("a test's nats-server (skipped without one)", () => {
  test("the store works with the apiserver's generated permissions, also after a restart; a late node joins", async () => {
    const nats = await startTestNats();
    try {
      const apiserver = await nats.connect("apiserver");
      const refused: string[] = [];
      apiserver.onRefused((r) => refused.push(r.subject));
      const store = await openJetStreamStore(apiserver, { clock: systemClock, log: silentLogger });
      const k = { group: "", resource: "services", namespace: "default", name: "web" };
      await nats.addIdentity("node:late", "172.30.1.1");
      const node = await nats.connect("node:late");
      const s = subjectsOf(nats.cluster);
      const events: string[] = [];
      node.subscribe(s.eventPrefix("", "services"), (m) => events.push(`${s.keyOf(m.subject)?.name} ${m.header("Nats-Sequence")}`));
      await node.flush();
      const r = await store.create(k, new Uint8Array([1]));
      const changes: number[] = [];
      const feed = await store.feed({
        onSnapshot: (e) => changes.push(e.revision),
        onSynced() {},
        onChange: (e) => changes.push(e.revision),
        onRestart() {},
      });
      await feed.reached(r);
      await nats.restart();
      const r2 = await store.update(k, new Uint8Array([2]), r);
      await feed.reached(r2);
      const r3 = await store.delete(k, new Uint8Array([2]), r2);
      await feed.reached(r3);
      await store.compact(r3);
      await node.flush();
      expect(changes).toEqual([r, r2, r3]);
      expect(events[0]).toBe(`web ${r}`);
      expect(refused).toEqual([]);
      await store.close();
    } finally {
      await nats.close();
    }
  });
});
