import { createHash } from "node:crypto";
import { seededRandom } from "@podwire/base";
import { describe, expect, test } from "vitest";
import {
  abort,
  type Connection,
  close,
  consumed,
  DEFAULT_TCP,
  nextTimer,
  openActive,
  openPassive,
  shutdown,
  type TcpConfig,
  TcpEvent,
  write,
} from "./index.ts";
import { type LinkFaults, TwoEnds } from "./two-ends.ts";

const bytes = (n: number, seed = 1) => seededRandom(seed).bytes(n);

function open(faults: Partial<LinkFaults> = {}, config: Partial<TcpConfig> = {}, seed = 1) {
  const link = new TwoEnds(seededRandom(seed), faults);
  const settings = { ...DEFAULT_TCP, ...config };
  link.a = openActive(settings, 1460, 1000, 0);
  link.listen = (syn, now) => openPassive(settings, 1460, 0xfffffff0, 0, syn, now);
  return link;
}

/** Reads everything that arrives at both ends; collects it. */
function reader(link: TwoEnds) {
  const got = { a: [] as Uint8Array[], b: [] as Uint8Array[] };
  const events = { a: 0, b: 0 };
  link.onEvents = (end, c) => {
    events[end] |= c.events;
    if (c.received.length === 0) return;
    for (let chunk = c.received.take(); chunk !== null; chunk = c.received.take()) got[end].push(chunk);
    consumed(c);
  };
  return { got, events, bytesAt: (end: "a" | "b") => Buffer.concat(got[end]) };
}

function established(link: TwoEnds) {
  link.poke("a");
  expect(link.run(link.nowMs + 60_000, () => link.a?.state === "established" && link.b?.state === "established")).toBe(true);
  link.run(link.nowMs + 100);
  link.transcript.length = 0;
}

/** Sends all of `data` from an end, as fast as the buffer takes it. */
function pump(link: TwoEnds, end: "a" | "b", data: Uint8Array) {
  let at = 0;
  const more = () => {
    const c = link[end]!;
    while (at < data.length) {
      const n = write(c, data.subarray(at, at + 65_536));
      if (n === 0) break;
      at += n;
    }
    if (at === data.length && !c.finQueued) shutdown(c);
  };
  const previous = link.onEvents;
  link.onEvents = (e, c) => {
    previous(e, c);
    if (e === end && c.events & TcpEvent.WRITABLE) more();
  };
  more();
  link.poke(end);
}

describe("handshake and close, golden transcripts", () => {
  test("three-way handshake, a request, an answer, an orderly close", () => {
    const link = open();
    const { bytesAt } = reader(link);
    link.poke("a");
    link.run(100);
    write(link.a!, Buffer.from("hello"));
    link.poke("a");
    link.run(115);
    write(link.b!, Buffer.from("world!"));
    link.poke("b");
    link.run(200);
    shutdown(link.a!);
    link.poke("a");
    link.run(215);
    shutdown(link.b!);
    link.poke("b");
    link.run(300);
    expect(link.transcript.map((l) => l.trim())).toEqual([
      "0 a > b S 0:0(0) win 65535 mss 1460 sackOK wscale 6",
      "10 b > a SA 0:0(0) ack 1 win 65535 mss 1460 sackOK wscale 6",
      "20 a > b A 1:1(0) ack 1 win 32768",
      "100 a > b PA 1:6(5) ack 1 win 32768",
      "110 b > a A 1:1(0) ack 6 win 32767",
      "115 b > a PA 1:7(6) ack 6 win 32768",
      "125 a > b A 6:6(0) ack 7 win 32768",
      "200 a > b FA 6:6(0) ack 7 win 32768",
      "210 b > a A 7:7(0) ack 7 win 32768",
      "215 b > a FA 7:7(0) ack 7 win 32768",
      "225 a > b A 7:7(0) ack 8 win 32768",
    ]);
    expect(bytesAt("b").toString()).toBe("hello");
    expect(bytesAt("a").toString()).toBe("world!");
    expect(link.a!.state).toBe("timeWait");
    expect(link.b!.state).toBe("closed");
    link.run(70_000);
    expect(link.a!.state).toBe("closed");
    expect(link.a!.error).toBe("");
  });

  test("simultaneous open ends established on both sides", () => {
    const link = new TwoEnds(seededRandom(1));
    link.a = openActive(DEFAULT_TCP, 1460, 1, 0);
    link.b = openActive(DEFAULT_TCP, 1460, 0x7fffffff, 0);
    link.poke("a");
    link.poke("b");
    link.run(500);
    expect([link.a.state, link.b.state]).toEqual(["established", "established"]);
    expect(link.a.sendScale).toBe(6);
  });

  test("simultaneous close passes through CLOSING to TIME-WAIT on both sides", () => {
    const link = open();
    reader(link);
    established(link);
    shutdown(link.a!);
    shutdown(link.b!);
    link.poke("a");
    link.poke("b");
    expect([link.a!.state, link.b!.state]).toEqual(["finWait1", "finWait1"]);
    link.run(link.nowMs + 50);
    expect([link.a!.state, link.b!.state]).toEqual(["timeWait", "timeWait"]);
  });

  test("half close: data still flows the other way", () => {
    const link = open();
    const { bytesAt, events } = reader(link);
    established(link);
    shutdown(link.a!);
    link.poke("a");
    link.run(link.nowMs + 100);
    expect(link.b!.state).toBe("closeWait");
    expect(events.b & TcpEvent.END).toBeTruthy();
    const data = bytes(100_000);
    pump(link, "b", data);
    expect(link.run(link.nowMs + 10_000, () => link.a!.state === "timeWait")).toBe(true);
    expect(bytesAt("a").equals(data)).toBe(true);
    expect(link.b!.error).toBe("");
  });

  test("an abort resets the peer", () => {
    const link = open();
    reader(link);
    established(link);
    abort(link.a!);
    link.poke("a");
    link.run(link.nowMs + 50);
    expect(link.transcript[0]).toContain("a > b RA");
    expect([link.b!.state, link.b!.error]).toEqual(["closed", "ECONNRESET"]);
  });

  test("data to an end that closed both ways is answered by a reset", () => {
    const link = open();
    reader(link);
    established(link);
    close(link.a!, link.nowMs);
    link.poke("a");
    link.run(link.nowMs + 50);
    write(link.b!, bytes(10));
    link.poke("b");
    link.run(link.nowMs + 50);
    expect(link.b!.error).toBe("ECONNRESET");
  });

  test("a SYN nobody answers: six retries, then ETIMEDOUT", () => {
    const link = open({ loss: 0.999999999 });
    let endedMs = 0;
    link.onEvents = () => void (endedMs = link.nowMs);
    link.poke("a");
    link.run(200_000);
    expect(link.transcript).toHaveLength(7);
    expect(link.a!.error).toBe("ETIMEDOUT");
    expect(endedMs).toBe(127_000);
  });
});

describe("loss and reordering", () => {
  const cases: [string, Partial<LinkFaults>, Partial<TcpConfig>][] = [
    ["no faults", {}, {}],
    ["no faults, no GSO", {}, { gsoBytes: 0 }],
    ["1% loss", { loss: 0.01 }, { gsoBytes: 0 }],
    ["10% loss, GSO", { loss: 0.1 }, {}],
    ["reordering", { reorder: 0.2, jitterMs: 2 }, { gsoBytes: 0 }],
    ["everything", { loss: 0.05, duplicate: 0.05, reorder: 0.1, jitterMs: 5 }, { gsoBytes: 0 }],
    ["everything, GSO", { loss: 0.05, duplicate: 0.05, reorder: 0.1, jitterMs: 5 }, {}],
    ["everything, no SACK", { loss: 0.05, duplicate: 0.05, reorder: 0.1, jitterMs: 5 }, { sack: false, gsoBytes: 0 }],
    [
      "everything, bare 1981",
      { loss: 0.05, duplicate: 0.05, reorder: 0.1 },
      { sack: false, timestamps: false, windowScaling: false, gsoBytes: 0 },
    ],
  ];
  for (const [name, faults, config] of cases)
    test(`2 MB each way arrive whole: ${name}`, () => {
      for (let seed = 1; seed <= 3; seed++) {
        const link = open(faults, config, seed);
        link.record = false;
        const { bytesAt } = reader(link);
        established(link);
        const [up, down] = [bytes(2_000_000, 7), bytes(2_000_000, 8)];
        pump(link, "a", up);
        pump(link, "b", down);
        const done = () => link.a!.finReceived && link.b!.finReceived;
        expect(link.run(3_600_000, done)).toBe(true);
        const sha = (b: Uint8Array) => createHash("sha256").update(b).digest("hex");
        expect([sha(bytesAt("b")), sha(bytesAt("a"))]).toEqual([sha(up), sha(down)]);
        link.run(link.nowMs + 200_000);
        expect([link.a!.error, link.b!.error]).toEqual(["", ""]);
        expect([link.a!.state, link.b!.state]).toEqual(["closed", "closed"]);
      }
    });

  test("one lost segment in the middle is repaired without a timeout", () => {
    const link = open({ drop: (from, n) => from === "a" && n === 12 }, { gsoBytes: 0 });
    const { bytesAt } = reader(link);
    established(link);
    const data = bytes(200_000);
    pump(link, "a", data);
    link.run(link.nowMs + 5000);
    expect(bytesAt("b").equals(Buffer.from(data))).toBe(true);
    expect([link.a!.timeouts, link.a!.retransmits]).toEqual([0, 1]);
  });

  test("a lost tail is repaired by a probe, not by the timeout", () => {
    const link = open({ drop: (from, n, _f, length) => from === "a" && n === 3 && length > 0 });
    reader(link);
    established(link);
    const at = link.nowMs;
    write(link.a!, bytes(100));
    link.poke("a");
    link.run(at + 1000);
    expect(link.a!.timeouts).toBe(0);
    expect(link.a!.retransmits).toBe(1);
  });
});

test("a pause of the path is not taken for loss: the window is as it was before", () => {
  const link = open({}, { gsoBytes: 0 });
  const { bytesAt } = reader(link);
  established(link);
  const data = bytes(3_000_000);
  pump(link, "a", data);
  link.run(link.nowMs + 150);
  const before = link.a!.cwnd;
  link.pause(400);
  link.run(link.nowMs + 500);
  expect(link.a!.timeouts).toBeGreaterThan(0);
  expect([link.a!.recovery, link.a!.cwnd >= before]).toEqual(["open", true]);
  link.run(link.nowMs + 5000);
  expect(bytesAt("b").equals(Buffer.from(data))).toBe(true);
});

describe("flow control", () => {
  test("a reader that stops closes the window; probes find it open again", () => {
    const link = open({}, { receiveLimit: 20_000, gsoBytes: 0 });
    established(link);
    const data = bytes(100_000);
    const got: Uint8Array[] = [];
    pump(link, "a", data);
    link.run(link.nowMs + 30_000);
    expect(link.b!.received.length).toBe(20_000);
    expect(link.a!.sendTimer).toBe("persist");
    expect(link.transcript.filter((l) => l.includes("a > b A") && l.includes("(0)")).length).toBeGreaterThan(3);
    link.onEvents = (_, c) => {
      for (let chunk = c.received.take(); chunk !== null; chunk = c.received.take()) got.push(chunk);
      consumed(c);
    };
    link.b!.events |= TcpEvent.DATA;
    link.poke("b");
    expect(link.run(link.nowMs + 60_000, () => link.b!.finReceived)).toBe(true);
    expect(Buffer.concat(got).equals(Buffer.from(data))).toBe(true);
  });

  test("a lost window update does not stall for ever", () => {
    let dropping = false;
    const link = open({ drop: (from) => dropping && from === "b" }, { receiveLimit: 10_000, gsoBytes: 0 });
    established(link);
    pump(link, "a", bytes(30_000));
    link.run(link.nowMs + 2000);
    dropping = true;
    while (link.b!.received.take() !== null);
    consumed(link.b!);
    link.poke("b");
    dropping = false;
    link.onEvents = (_, c) => {
      while (c.received.take() !== null);
      consumed(c);
    };
    expect(link.run(link.nowMs + 120_000, () => link.b!.finReceived)).toBe(true);
  });

  test("Nagle holds small writes together; noDelay does not", () => {
    for (const [noDelay, segments] of [
      [false, 2],
      [true, 5],
    ] as const) {
      const link = open();
      const { bytesAt } = reader(link);
      established(link);
      link.a!.noDelay = noDelay;
      for (let i = 0; i < 5; i++) {
        write(link.a!, Buffer.from("abc"));
        link.poke("a");
      }
      link.run(link.nowMs + 1000);
      expect(bytesAt("b").toString()).toBe("abc".repeat(5));
      expect(link.transcript.filter((l) => l.includes("a > b PA"))).toHaveLength(segments);
    }
  });
});

describe("timers", () => {
  test("keep-alive finds a dead peer after its probes", () => {
    let dead = false;
    const link = open({ drop: () => dead });
    established(link);
    link.a!.keepAlive = true;
    link.a!.keepAliveIdleMs = 5000;
    link.a!.keepAliveAtMs = link.nowMs + 5000;
    const at = link.nowMs;
    link.run(at + 60_000);
    expect(link.a!.state).toBe("established");
    dead = true;
    link.run(at + 200_000);
    expect([link.a!.state, link.a!.error]).toEqual(["closed", "ETIMEDOUT"]);
  });

  test("an idle connection without keep-alive has no timer", () => {
    const link = open();
    reader(link);
    established(link);
    write(link.a!, bytes(1000));
    link.poke("a");
    link.run(link.nowMs + 1000);
    expect([nextTimer(link.a!), nextTimer(link.b!)]).toEqual([Infinity, Infinity]);
  });

  test("data that is never acknowledged ends in ETIMEDOUT", () => {
    let dead = false;
    const link = open({ drop: () => dead });
    established(link);
    dead = true;
    write(link.a!, bytes(1000));
    link.poke("a");
    link.run(link.nowMs + 3_600_000);
    expect((link.a as Connection).error).toBe("ETIMEDOUT");
  });
});
