// Connection tracking on a clock that the test owns: states and time-outs, exhaustion, floods and scans, port allocation, flushing, and
// the hash table against a plain Map.
import { seededRandom } from "@podwire/base";
import { virtualClock } from "@podwire/testkit";
import { describe, expect, test } from "vitest";
import { address } from "../codec/address.ts";
import { Flow } from "../namespace/flow.ts";
import { Conntrack, CtState } from "./conntrack.ts";
import { ConntrackTable, Field, ROW_WORDS, TUPLE_WORDS, writeTuple } from "./table.ts";
import { TcpCt } from "./tcp-state.ts";

const SYN = 2;
const ACK = 16;
const FIN = 1;
const RST = 4;

function flow(src: string, sport: number, dst: string, dport: number, protocol = 6, flags = SYN): Flow {
  const f = new Flow();
  const six = src.includes(":");
  f.family = six ? 6 : 4;
  f.protocol = protocol;
  const words = (text: string): [number, number, number, number] => {
    const a = address(text);
    if (typeof a === "number") return [0, 0, 0, a | 0];
    return [0, 1, 2, 3].map((i) => Number((a >> BigInt(96 - 32 * i)) & 0xffffffffn) | 0) as [number, number, number, number];
  };
  [f.s0, f.s1, f.s2, f.s3] = words(src);
  [f.d0, f.d1, f.d2, f.d3] = words(dst);
  [f.sport, f.dport, f.tcpFlags] = [sport, dport, flags];
  return f;
}

function make(maxEntries = 1024) {
  const clock = virtualClock();
  const ct = new Conntrack({ clock, random: seededRandom(1), maxEntries });
  /** One packet through the whole of a node. */
  const pass = (f: Flow) => {
    if (!ct.track(f, 0, undefined)) return "full";
    if (!ct.confirm(f)) return "clash";
    return f.ctState;
  };
  return { clock, ct, pass };
}

describe("TCP", () => {
  test("a connection's life moves its state and its time-out", () => {
    const { clock, ct, pass } = make();
    const there = (flags: number) => pass(flow("10.0.0.1", 1000, "10.0.0.2", 80, 6, flags));
    const back = (flags: number) => pass(flow("10.0.0.2", 80, "10.0.0.1", 1000, 6, flags));
    const state = () => ct.list()[0]?.state;
    expect(there(SYN)).toBe(CtState.new);
    expect(state()).toBe("SYN_SENT");
    expect(back(SYN | ACK)).toBe(CtState.established);
    expect(state()).toBe("SYN_RECV");
    expect(there(ACK)).toBe(CtState.established);
    expect(ct.list()[0]).toMatchObject({ state: "ESTABLISHED", assured: true, unreplied: false });
    clock.tick(23 * 3_600_000);
    expect(back(ACK)).toBe(CtState.established);
    there(FIN | ACK);
    expect(state()).toBe("FIN_WAIT");
    back(ACK);
    expect(state()).toBe("CLOSE_WAIT");
    back(FIN | ACK);
    expect(state()).toBe("LAST_ACK");
    there(ACK);
    expect(state()).toBe("TIME_WAIT");
    expect(there(SYN)).toBe(CtState.new);
    expect(state()).toBe("SYN_SENT");
    clock.tick(121_000);
    expect(ct.list()).toEqual([]);
    expect(ct.count).toBe(0);
  });

  test("a reset closes soon; senseless flags are invalid", () => {
    const { clock, ct, pass } = make();
    pass(flow("10.0.0.1", 1, "10.0.0.2", 80));
    pass(flow("10.0.0.2", 80, "10.0.0.1", 1, 6, RST | ACK));
    expect(ct.list()[0]?.state).toBe("CLOSE");
    clock.tick(10_500);
    expect(ct.list()).toEqual([]);
    for (const flags of [0, SYN | FIN, SYN | RST, FIN]) expect(pass(flow("10.0.0.1", 2, "10.0.0.2", 80, 6, flags))).toBe(CtState.invalid);
    expect(pass(flow("10.0.0.1", 3, "10.0.0.2", 80, 6, SYN | ACK))).toBe(CtState.invalid);
    expect(ct.count).toBe(0);
  });
});

test("UDP is new until answered, and lives longer then; both families are kept apart", () => {
  const { clock, ct, pass } = make();
  expect(pass(flow("10.0.0.1", 1, "10.0.0.2", 53, 17))).toBe(CtState.new);
  expect(pass(flow("10.0.0.1", 1, "10.0.0.2", 53, 17))).toBe(CtState.new);
  expect(pass(flow("10.0.0.2", 53, "10.0.0.1", 1, 17))).toBe(CtState.established);
  expect(pass(flow("fd00::1", 1, "fd00::2", 53, 17))).toBe(CtState.new);
  expect(pass(flow("fd01::1", 1, "fd00::2", 53, 17))).toBe(CtState.new);
  expect(pass(flow("fd00::2", 53, "fd00::1", 1, 17))).toBe(CtState.established);
  expect(ct.count).toBe(3);
  clock.tick(31_000);
  expect(
    ct
      .list()
      .map((e) => e.original.src)
      .sort(),
  ).toEqual(["10.0.0.1", "fd00::1"]);
  clock.tick(90_000);
  expect(ct.count).toBe(0);
});

describe("limits", () => {
  test("a SYN flood fills the table, evicts only what was never answered, and stops at the limit", () => {
    const { ct, pass } = make(1024);
    for (let i = 0; i < 100; i++) {
      pass(flow("10.0.0.9", 2000 + i, "10.0.0.2", 80));
      pass(flow("10.0.0.2", 80, "10.0.0.9", 2000 + i, 6, SYN | ACK));
      pass(flow("10.0.0.9", 2000 + i, "10.0.0.2", 80, 6, ACK));
    }
    for (let i = 0; i < 50_000; i++) pass(flow(`203.0.${(i >> 8) & 255}.${i & 255}`, 1024 + (i >> 16), "10.0.0.2", 80));
    expect(ct.count).toBeLessThanOrEqual(1024);
    expect(ct.table.rows.length).toBe(1024 * ROW_WORDS);
    expect(ct.list().filter((e) => e.state === "ESTABLISHED").length).toBe(100);
    expect(ct.stats.earlyDrop).toBeGreaterThan(40_000);
    for (let i = 0; i < 100; i++) expect(pass(flow("10.0.0.9", 2000 + i, "10.0.0.2", 80, 6, ACK))).toBe(CtState.established);
  });

  test("a table full of good connections refuses new ones, counted, and keeps the old", () => {
    const { ct, pass } = make(256);
    for (let i = 0; i < 256; i++) {
      pass(flow("10.0.0.9", 2000 + i, "10.0.0.2", 53, 17));
      pass(flow("10.0.0.2", 53, "10.0.0.9", 2000 + i, 17));
    }
    expect(pass(flow("10.0.0.8", 1, "10.0.0.2", 53, 17))).toBe("full");
    expect(ct.stats.drop).toBe(1);
    expect(pass(flow("10.0.0.9", 2000, "10.0.0.2", 53, 17))).toBe(CtState.established);
  });

  test("a scan of all ports costs memory only until its time-out", () => {
    const { clock, ct, pass } = make(131_072);
    for (let port = 1; port <= 65_535; port++) {
      pass(flow("10.0.0.1", 40_000, "10.0.0.2", port));
      pass(flow("10.0.0.2", port, "10.0.0.1", 40_000, 6, RST | ACK));
    }
    expect(ct.count).toBe(65_535);
    clock.tick(13_000);
    expect(ct.count).toBe(0);
  });

  test("packets that are dropped before they are confirmed leave nothing behind", () => {
    const { ct } = make();
    for (let i = 0; i < 10_000; i++) {
      const f = flow("10.0.0.1", i, "10.0.0.2", 80, 17);
      ct.track(f, 0, undefined);
      ct.release(f);
    }
    expect(ct.count).toBe(0);
    expect(ct.table.rowCapacity).toBe(256);
  });
});

describe("translation", () => {
  test("masqueraded connections to one server get different ports, until none is left", () => {
    const { ct } = make(65_536);
    const ports = new Set<number>();
    let refused = 0;
    for (let i = 0; i < 2000; i++) {
      const f = flow(`10.0.${i >> 8}.${i & 255}`, 5000, "192.0.2.1", 80, 17);
      ct.track(f, 0, undefined);
      if (!ct.translateSource(f.ct, address("172.30.1.1"), { min: 20_000, max: 21_499 }, true)) {
        refused++;
        ct.release(f);
        continue;
      }
      ports.add(ct.table.rows[(f.ct >> 1) * ROW_WORDS + TUPLE_WORDS + 8]! & 0xffff);
      expect(ct.confirm(f)).toBe(true);
    }
    expect(ports.size).toBe(2000 - refused);
    expect(ports.size).toBeGreaterThan(1400);
    expect(refused).toBeGreaterThanOrEqual(500);
    expect(ct.stats.natExhausted).toBe(refused);
  });

  test("the source port stays when it is free, and moves when another connection would look the same", () => {
    const { ct } = make();
    const take = (src: string) => {
      const f = flow(src, 5000, "192.0.2.1", 80, 17);
      ct.track(f, 0, undefined);
      expect(ct.translateSource(f.ct, address("172.30.1.1"), undefined, false)).toBe(true);
      ct.confirm(f);
      return ct.table.rows[(f.ct >> 1) * ROW_WORDS + TUPLE_WORDS + 8]! & 0xffff;
    };
    expect(take("10.0.0.1")).toBe(5000);
    expect(take("10.0.0.2")).not.toBe(5000);
  });

  test("entries are flushed by what the client addressed and where it was sent", () => {
    const { ct } = make();
    const service = (sport: number, backend: string) => {
      const f = flow("10.0.0.1", sport, "10.96.0.10", 53, 17);
      ct.track(f, 0, undefined);
      ct.translateDestination(f.ct, address(backend), 5353);
      ct.confirm(f);
    };
    service(1, "10.244.1.2");
    service(2, "10.244.1.2");
    service(3, "10.244.1.3");
    expect(ct.flush({ protocol: 17, dst: address("10.96.0.10"), dport: 53, backend: address("10.244.1.2"), backendPort: 5353 })).toBe(2);
    expect(ct.list().map((e) => e.reply.src)).toEqual(["10.244.1.3"]);
    expect(ct.flush({ dst: address("10.96.0.11") })).toBe(0);
    expect(ct.flush()).toBe(1);
  });
});

test("the hash table agrees with a Map under random inserts and removes", () => {
  const random = seededRandom(3);
  const table = new ConntrackTable(4096, 7);
  const model = new Map<string, number>();
  const rows: number[] = [];
  const tupleOf = (row: number) => table.rows.slice(row * ROW_WORDS, row * ROW_WORDS + TUPLE_WORDS).join(",");
  for (let i = 0; i < 20_000; i++) {
    if (rows.length < 3000 && random.float() < 0.55) {
      const row = table.allocate();
      const f = flow(
        `10.0.${random.below(4)}.${random.below(256)}`,
        random.below(65_536),
        `10.1.0.${random.below(8)}`,
        random.below(4),
        17,
      );
      writeTuple(table.rows, row * ROW_WORDS, f);
      if (model.has(tupleOf(row))) {
        table.release(row);
        continue;
      }
      table.rows.set([row, 0, 0, 0, 0, 0, 0, 0, row, 0x411], row * ROW_WORDS + TUPLE_WORDS);
      table.insert(row);
      model.set(tupleOf(row), row);
      rows.push(row);
    } else if (rows.length > 0) {
      const at = random.below(rows.length);
      const row = rows[at] as number;
      rows[at] = rows.at(-1) as number;
      rows.pop();
      model.delete(tupleOf(row));
      table.remove(row);
      table.release(row);
    }
  }
  expect(table.used).toBe(model.size);
  for (const [text, row] of model) expect(table.find(Int32Array.from(text.split(","), Number), 0)).toBe(row << 1);
  expect(table.find(new Int32Array(TUPLE_WORDS), 0)).toBe(-1);
  expect(table.rows[(rows[0] as number) * ROW_WORDS + Field.tcpState]).toBe(TcpCt.none);
});
