// What every Bus must do, whatever carries it. Run by contract.test.ts on memory and on a real nats-server.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Bus, BusStream } from "./bus.ts";
import { BusTimeoutError, NoRespondersError, PayloadTooLargeError, RemoteError } from "./errors.ts";
import { subjectsOf } from "./subjects.ts";

export interface BusFixture {
  cluster: string;
  /** A connection with every permission. */
  connect(identity: string): Promise<Bus>;
  /** Kills the server and starts it again. */
  restart(): Promise<void>;
  close(): Promise<void>;
}

const text = (s: string) => new TextEncoder().encode(s);
const untext = (b: Uint8Array) => new TextDecoder().decode(b);

export async function until(what: () => boolean, timeoutMs = 5_000): Promise<void> {
  const end = Date.now() + timeoutMs;
  while (!what()) {
    if (Date.now() > end) throw new Error(`not reached: ${what}`);
    await new Promise((r) => setTimeout(r, 2));
  }
}

export function busContract(open: () => Promise<BusFixture>): void {
  let fixture: BusFixture;
  let a: Bus;
  let b: Bus;
  let p: string;
  beforeAll(async () => {
    fixture = await open();
    a = await fixture.connect("alpha");
    b = await fixture.connect("beta");
    p = `${subjectsOf(fixture.cluster).prefix}.t`;
  });
  afterAll(async () => {
    await a?.close();
    await b?.close();
    await fixture?.close();
  });

  describe("publish and subscribe", () => {
    test("wildcards select, order is kept, headers and reply arrive", async () => {
      const star: string[] = [];
      const rest: string[] = [];
      const s1 = b.subscribe(`${p}.w.*.x`, (m) => star.push(`${m.subject.slice(p.length)}=${untext(m.data)}`));
      const s2 = b.subscribe(`${p}.w.>`, (m) => rest.push(`${untext(m.data)} ${m.header("K")} ${m.header("k")} ${m.reply}`));
      await b.flush();
      a.publish(`${p}.w.1.x`, text("1"));
      a.publish(`${p}.w.2.x`, text("2"), { headers: { K: "v" } });
      a.publish(`${p}.w.2.y`, text("3"), { reply: "r.s" });
      a.publish(`${p}.w`, text("no"));
      await a.flush();
      await until(() => rest.length === 3);
      expect(star).toEqual([".w.1.x=1", ".w.2.x=2"]);
      expect(rest).toEqual(["1 undefined undefined undefined", "2 v undefined undefined", "3 undefined undefined r.s"]);
      s1.unsubscribe();
      s2.unsubscribe();
    });

    test("a queue group gets each message once, others all of them", async () => {
      let q1 = 0;
      let q2 = 0;
      let all = 0;
      const subs = [
        a.subscribe(`${p}.q`, () => q1++, { queue: "g" }),
        b.subscribe(`${p}.q`, () => q2++, { queue: "g" }),
        b.subscribe(`${p}.q`, () => all++),
      ];
      await Promise.all([a.flush(), b.flush()]);
      for (let i = 0; i < 200; i++) a.publish(`${p}.q`, text(String(i)));
      await until(() => all === 200 && q1 + q2 === 200);
      expect(q1).toBeGreaterThan(20);
      expect(q2).toBeGreaterThan(20);
      for (const s of subs) s.unsubscribe();
    });

    test("after unsubscribe nothing arrives; a subscriber that throws goes on", async () => {
      const got: string[] = [];
      const s = b.subscribe(`${p}.u`, (m) => {
        got.push(untext(m.data));
        throw new Error("subscriber's own fault");
      });
      await b.flush();
      a.publish(`${p}.u`, text("1"));
      a.publish(`${p}.u`, text("2"));
      await until(() => got.length === 2);
      s.unsubscribe();
      await b.flush();
      a.publish(`${p}.u`, text("3"));
      await a.flush();
      await new Promise((r) => setTimeout(r, 20));
      expect(got).toEqual(["1", "2"]);
      expect(b.stats().callbackErrors).toBeGreaterThanOrEqual(2);
    });

    test("too large a payload is refused at once", () => {
      expect(() => a.publish(`${p}.big`, new Uint8Array(a.maxPayload + 1))).toThrow(PayloadTooLargeError);
    });

    test("nobody subscribes: the reply subject hears 503", async () => {
      const inbox = a.newInbox();
      let status: string | undefined;
      const s = a.subscribe(inbox, (m) => {
        status = m.header("Status");
      });
      a.publish(`${p}.void`, text(""), { reply: inbox });
      await until(() => status !== undefined);
      expect(status).toBe("503");
      s.unsubscribe();
    });
  });

  describe("requests", () => {
    test("an answer of every plain type, bytes stay bytes", async () => {
      const s = b.serve(`${p}.echo`, async (body, m) => ({ body, subject: m.subject }));
      await b.flush();
      const body = { a: [1, -2, 2 ** 40, 1.5, null, true], s: "ä€😀", bytes: new Uint8Array([0, 255, 7]), deep: { e: {} } };
      const answer = (await a.request(`${p}.echo`, body)) as { body: typeof body; subject: string };
      expect(answer.subject).toBe(`${p}.echo`);
      expect(answer.body).toEqual(body);
      expect(answer.body.bytes).toBeInstanceOf(Uint8Array);
      s.unsubscribe();
    });

    test("an answer larger than max_payload comes in parts", async () => {
      const size = a.maxPayload * 2 + 12345;
      const s = b.serve(`${p}.large`, async () => Buffer.alloc(size, 7));
      await b.flush();
      const answer = (await a.request(`${p}.large`, null)) as Uint8Array;
      expect(answer.length).toBe(size);
      expect(answer[size - 1]).toBe(7);
      s.unsubscribe();
    });

    test("refusals: no responders, timeout, remote failure, abort, malformed body", async () => {
      await expect(a.request(`${p}.nobody`, 1)).rejects.toBeInstanceOf(NoRespondersError);
      const s1 = b.serve(`${p}.slow`, () => new Promise(() => {}));
      const s2 = b.serve(`${p}.fails`, async () => {
        throw new RemoteError("teapot", "short and stout");
      });
      const s3 = b.serve(`${p}.bug`, async () => {
        throw new Error("boom");
      });
      await b.flush();
      await expect(a.request(`${p}.slow`, 1, { timeoutMs: 30 })).rejects.toBeInstanceOf(BusTimeoutError);
      await expect(a.request(`${p}.fails`, 1)).rejects.toMatchObject({ code: "teapot", message: "short and stout" });
      await expect(a.request(`${p}.bug`, 1)).rejects.toMatchObject({ code: "internal", message: "boom" });
      const stop = new AbortController();
      const aborted = a.request(`${p}.slow`, 1, { signal: stop.signal });
      stop.abort(new Error("enough"));
      await expect(aborted).rejects.toThrow("enough");
      const inbox = a.newInbox();
      let reply: Uint8Array | undefined;
      const s4 = a.subscribe(inbox, (m) => {
        reply = m.data.slice();
      });
      a.publish(`${p}.fails`, new Uint8Array([0xc1, 1, 2]), { reply: inbox });
      await until(() => reply !== undefined);
      expect(untext(reply as Uint8Array)).toContain("malformed");
      for (const s of [s1, s2, s3, s4]) s.unsubscribe();
    });

    test("many at a time, each gets its own answer", async () => {
      const s = b.serve(`${p}.square`, async (n) => (n as number) ** 2, { queue: "squares" });
      await b.flush();
      const answers = await Promise.all(Array.from({ length: 500 }, (_, i) => a.request(`${p}.square`, i)));
      expect(answers).toEqual(Array.from({ length: 500 }, (_, i) => i * i));
      s.unsubscribe();
    });
  });

  describe("streams", () => {
    test("both ways, in order, ended by both sides", async () => {
      const heard: unknown[] = [];
      let opened: unknown;
      const s = b.serveStreams(`${p}.stream`, (open, stream) => {
        opened = open;
        stream.onFrame((f) => stream.send({ back: f }));
        stream.onEnd(() => stream.end());
      });
      await b.flush();
      const stream = await a.openStream(`${p}.stream`, { cmd: ["sh"] });
      stream.onFrame((f) => void heard.push(f));
      const closed = new Promise((r) => stream.onClose(r));
      for (let i = 0; i < 100; i++) await stream.send(i);
      stream.end();
      expect(await closed).toBeUndefined();
      expect(opened).toEqual({ cmd: ["sh"] });
      expect(heard).toEqual(Array.from({ length: 100 }, (_, i) => ({ back: i })));
      expect(stream.closed).toBe(true);
      s.unsubscribe();
    });

    test("a slow reader stops the writer at the window; nothing is lost", async () => {
      const windowBytes = 16 * 1024;
      let release: (() => void) | undefined;
      const gate = new Promise<void>((r) => {
        release = r;
      });
      let got = 0;
      const done = new Promise<void>((resolve) => {
        const s = b.serveStreams(
          `${p}.slowreader`,
          (_open, stream) => {
            stream.onFrame(async (f) => {
              await gate;
              got += (f as Uint8Array).length;
            });
            stream.onEnd(() => {
              stream.end();
              s.unsubscribe();
              resolve();
            });
          },
          { windowBytes },
        );
      });
      await b.flush();
      const stream = await a.openStream(`${p}.slowreader`, null);
      let sent = 0;
      const writing = (async () => {
        for (let i = 0; i < 400; i++) {
          await stream.send(new Uint8Array(1000));
          sent += 1000;
        }
        stream.end();
      })();
      await new Promise((r) => setTimeout(r, 50));
      expect(sent).toBeGreaterThan(windowBytes / 2);
      expect(sent).toBeLessThanOrEqual(windowBytes);
      release?.();
      await writing;
      await done;
      expect(got).toBe(400_000);
    });

    test("a frame larger than max_payload, and larger than the window", async () => {
      const size = a.maxPayload + 1_000_000;
      let got = 0;
      const s = b.serveStreams(`${p}.hugeframe`, (_o, stream) => {
        stream.onFrame((f) => {
          got = (f as Uint8Array).length;
        });
        stream.onEnd(() => stream.end());
      });
      await b.flush();
      const stream = await a.openStream(`${p}.hugeframe`, null, { windowBytes: 4096 });
      await stream.send(new Uint8Array(size));
      stream.end();
      expect(await new Promise((r) => stream.onClose(r))).toBeUndefined();
      expect(got).toBe(size);
      s.unsubscribe();
    });

    test("refused before the first await keeps the code; nobody there; abort reaches the peer", async () => {
      let peer: BusStream | undefined;
      let peerError: unknown;
      const subs = [
        b.serveStreams(`${p}.refuse`, () => {
          throw new RemoteError("not-here", "no such container");
        }),
        b.serveStreams(`${p}.refuse-async`, async () => {
          throw new RemoteError("not-here", "no such container");
        }),
        b.serveStreams(`${p}.accepts`, (_o, stream) => {
          peer = stream;
          stream.onClose((e) => {
            peerError = e;
          });
        }),
      ];
      await b.flush();
      await expect(a.openStream(`${p}.refuse`, null)).rejects.toMatchObject({ code: "not-here", message: "no such container" });
      await expect(a.openStream(`${p}.refuse-async`, null)).rejects.toMatchObject({ code: "not-here" });
      await expect(a.openStream(`${p}.nostream`, null)).rejects.toBeInstanceOf(NoRespondersError);
      const stream = await a.openStream(`${p}.accepts`, null);
      stream.abort({ code: "bored", message: "enough" });
      await until(() => peerError !== undefined);
      expect(peerError).toEqual({ code: "bored", message: "enough" });
      expect(peer?.closed).toBe(true);
      await expect(stream.send(1)).rejects.toMatchObject({ code: "bored" });
      for (const s of subs) s.unsubscribe();
    });

    test("sending without waiting on a stream that ends is no unhandled rejection", async () => {
      const unhandled: unknown[] = [];
      const note = (e: unknown) => void unhandled.push(e);
      process.on("unhandledRejection", note);
      const s = b.serveStreams(`${p}.careless`, (_o, stream) => stream.abort({ code: "no", message: "" }));
      await b.flush();
      const stream = await a.openStream(`${p}.careless`, null).catch(() => undefined);
      for (let i = 0; i < 100; i++) void stream?.send(new Uint8Array(10_000));
      await until(() => stream === undefined || stream.closed);
      void stream?.send(1);
      await new Promise((r) => setTimeout(r, 20));
      process.off("unhandledRejection", note);
      expect(unhandled).toEqual([]);
      s.unsubscribe();
    });

    test("garbage on a stream aborts it on both sides", async () => {
      let peer: BusStream | undefined;
      const s = b.serveStreams(`${p}.garbage`, (_o, stream) => {
        peer = stream;
      });
      await b.flush();
      const stream = await a.openStream(`${p}.garbage`, null);
      const error = new Promise((r) => stream.onClose(r));
      const subject = (stream as unknown as { peerSubject: string }).peerSubject;
      a.publish(subject, new Uint8Array([1, 0, 0, 0, 0, 9, 0xc0])); // DATA with a number out of order
      expect(await error).toMatchObject({ code: "lost-frames" });
      expect(peer?.closed).toBe(true);
      s.unsubscribe();
    });
  });

  describe("the server goes away and comes back", () => {
    test("status tells, subscriptions are restored, streams and requests under way fail", async () => {
      const states: string[] = [];
      const watch = a.onStatus((s) => states.push(s));
      const s1 = b.serve(`${p}.after`, async () => "here");
      const s2 = b.serve(`${p}.never`, () => new Promise(() => {}));
      const s3 = b.serveStreams(`${p}.cut`, () => {});
      await b.flush();
      const stream = await a.openStream(`${p}.cut`, null);
      const cut = new Promise((r) => stream.onClose(r));
      const never = a.request(`${p}.never`, 1);
      const failed = expect(never).rejects.toThrow("lost");
      await fixture.restart();
      await failed;
      expect(await cut).toMatchObject({ code: "disconnected" });
      await until(() => states.at(-1) === "connected" && states.length >= 3, 10_000);
      expect(states).toEqual(["connected", "disconnected", "connected"]);
      await until2(async () => (await a.request(`${p}.after`, 1, { timeoutMs: 500 })) === "here");
      watch.unsubscribe();
      for (const s of [s1, s2, s3]) s.unsubscribe();
    });
  });
}

async function until2(attempt: () => Promise<boolean>): Promise<void> {
  for (let i = 0; ; i++) {
    try {
      if (await attempt()) return;
    } catch (e) {
      if (i > 50) throw e;
      await new Promise((r) => setTimeout(r, 50));
    }
  }
}
