// The JetStream store against the bare cost of a JetStream publication (the client library's request on the same server),
// and what follows a put: the feed, the republished event, the snapshot of 10,000 objects, compaction.
//   node scripts/node.mjs bench/store/puts.ts [--rounds 5]
// Prints medians over the rounds, and ratios within this run. Values are objects of 1,500 bytes.
import { parseArgs } from "node:util";
import { seededRandom, silentLogger, systemClock } from "@podwire/base";
import { natsConnectionOf, subjectsOf } from "@podwire/bus";
import { type Entry, type Feed, type Key, openJetStreamStore, openMemoryStore, type Store } from "@podwire/store";
import { startTestNats } from "@podwire/testkit";

const OBJECTS = 10_000;
const SEQUENTIAL = 500;
const value = new TextEncoder().encode(JSON.stringify({ kind: "Pod", spec: "x".repeat(1_480) }));
const keyOf = (name: string): Key => ({ group: "", resource: "pods", namespace: "bench", name });

const median = (xs: number[]) => [...xs].sort((a, b) => a - b)[Math.floor(xs.length / 2)] ?? 0;
const quantile = (xs: number[], q: number) => [...xs].sort((a, b) => a - b)[Math.min(xs.length - 1, Math.floor(xs.length * q))] ?? 0;

async function timed(fn: () => Promise<unknown>): Promise<number> {
  const t0 = performance.now();
  await fn();
  return performance.now() - t0;
}

async function sequential(n: number, put: (i: number) => Promise<unknown>): Promise<number[]> {
  const times = [];
  for (let i = 0; i < n; i++) times.push(await timed(() => put(i)));
  return times;
}

function follow(store: Store): { feed: Promise<Feed>; seen: Map<string, number>; count(): number } {
  const seen = new Map<string, number>();
  let count = 0;
  const note = (e: Entry) => {
    count++;
    seen.set(e.key.name, performance.now());
  };
  return { feed: store.feed({ onSnapshot: note, onSynced() {}, onChange: note, onRestart() {} }), seen, count: () => count };
}

async function measure(store: Store, round: number) {
  const name = (kind: string, i: number) => `${kind}-${round}-${i}`;
  const revisions: number[] = [];
  const create = await sequential(SEQUENTIAL, async (i) => revisions.push(await store.create(keyOf(name("s", i)), value)));
  const update = await sequential(SEQUENTIAL, (i) => store.update(keyOf(name("s", i)), value, revisions[i] as number));
  const get = await sequential(SEQUENTIAL, (i) => store.get(keyOf(name("s", i))));
  const load = await timed(() => Promise.all(Array.from({ length: OBJECTS }, (_, i) => store.create(keyOf(name("p", i)), value))));
  const watcher = follow(store);
  const snapshot = await timed(async () => (await watcher.feed).reached(await store.currentRevision()));
  const toFeed: number[] = [];
  for (let i = 0; i < 200; i++) {
    const t0 = performance.now();
    const r = await store.create(keyOf(name("w", i)), value);
    await (await watcher.feed).reached(r);
    toFeed.push((watcher.seen.get(name("w", i)) as number) - t0);
  }
  (await watcher.feed).close();
  const revision = await store.currentRevision();
  const compact = await timed(() => store.compact(revision));
  return { create, update, get, load, snapshot, toFeed, compact };
}

const { values } = parseArgs({ options: { rounds: { type: "string", default: "5" } } });
const rounds = Number(values.rounds);
const deps = { clock: systemClock, random: seededRandom(1), log: silentLogger };
const nats = await startTestNats();
try {
  const bus = await nats.connect("apiserver");
  const store = await openJetStreamStore(bus, deps);
  const nc = natsConnectionOf(bus);
  if (!nc) throw new Error("not a NATS bus");
  const s = subjectsOf(nats.cluster);
  const watcher = await nats.connect("controller-manager");
  const bare: number[] = [];
  const barePipelined: number[] = [];
  const bareInFlight = async (n: number, window: number, put: (i: number) => Promise<unknown>) => {
    let next = 0;
    await Promise.all(
      Array.from({ length: window }, async () => {
        while (next < n) await put(next++);
      }),
    );
  };
  const rows: Awaited<ReturnType<typeof measure>>[] = [];
  const toEvent: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const subject = (i: number) => s.store(keyOf(`bare-${round}-${i}`));
    bare.push(...(await sequential(SEQUENTIAL, (i) => nc.request(subject(i), value, { timeout: 5_000 }))));
    barePipelined.push(
      await timed(() => bareInFlight(OBJECTS, 2_048, (i) => nc.request(subject(i + SEQUENTIAL), value, { timeout: 30_000 }))),
    );
    rows.push(await measure(store, round));
    let heard: (() => void) | undefined;
    const sub = watcher.subscribe(s.eventPrefix("", "pods"), () => heard?.());
    await watcher.flush();
    for (let i = 0; i < 200; i++) {
      const arrived = new Promise<void>((r) => {
        heard = r;
      });
      const t0 = performance.now();
      void store.create(keyOf(`e-${round}-${i}`), value);
      await arrived;
      toEvent.push(performance.now() - t0);
    }
    sub.unsubscribe();
  }
  const memory = openMemoryStore({ clock: systemClock });
  const inMemory = await measure(memory, 0);
  const all = (f: (r: (typeof rows)[number]) => number[]) => rows.flatMap(f);
  const line = (what: string, js: number, unit: string, base?: number, mem?: number) =>
    console.log(
      `| ${what} | ${js.toFixed(js < 10 ? 3 : 0)} ${unit} | ${base === undefined ? "" : `${base.toFixed(base < 10 ? 3 : 0)} ${unit}`} | ${base === undefined ? "" : (js / base).toFixed(2)} | ${mem === undefined ? "" : `${mem.toFixed(mem < 10 ? 3 : 0)} ${unit}`} |`,
    );
  console.log(`nats-server ${nc.info?.version}; ${rounds} rounds, 1,500 B values\n`);
  console.log("| what | store on JetStream | bare publication | ratio | store in memory |\n|---|---|---|---|---|");
  line(
    "create p50",
    quantile(
      all((r) => r.create),
      0.5,
    ),
    "ms",
    quantile(bare, 0.5),
    quantile(inMemory.create, 0.5),
  );
  line(
    "create p99",
    quantile(
      all((r) => r.create),
      0.99,
    ),
    "ms",
    quantile(bare, 0.99),
    quantile(inMemory.create, 0.99),
  );
  line(
    "update p50",
    quantile(
      all((r) => r.update),
      0.5,
    ),
    "ms",
    quantile(bare, 0.5),
    quantile(inMemory.update, 0.5),
  );
  line(
    "get (leader) p50",
    quantile(
      all((r) => r.get),
      0.5,
    ),
    "ms",
    undefined,
    quantile(inMemory.get, 0.5),
  );
  const perSecond = (ms: number) => (OBJECTS / ms) * 1000;
  line("creates pipelined", perSecond(median(rows.map((r) => r.load))), "/s", perSecond(median(barePipelined)), perSecond(inMemory.load));
  line(
    "put to feed p50",
    quantile(
      all((r) => r.toFeed),
      0.5,
    ),
    "ms",
    undefined,
    quantile(inMemory.toFeed, 0.5),
  );
  line("put to event p50", quantile(toEvent, 0.5), "ms");
  const counted = `snapshot of ${OBJECTS * 2 + SEQUENTIAL}+ objects`;
  line(counted, median(rows.map((r) => r.snapshot)), "ms", undefined, inMemory.snapshot);
  line("compaction", median(rows.map((r) => r.compact)), "ms", undefined, inMemory.compact);
  await store.close();
} finally {
  await nats.close();
}
