// The refusals, proven on a real nats-server with generated credentials; and the rules themselves, checked by pattern.
import { seededRandom, silentLogger, systemClock } from "@podwire/base";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Bus } from "./bus.ts";
import { until } from "./contract.suite.ts";
import { createIdentity, type IdentityKey, publicKeyOf } from "./identity.ts";
import { covers, matches } from "./matching.ts";
import { connectNats } from "./nats.ts";
import { natsServerConfig } from "./nats-config.ts";
import { permissionsFor } from "./permissions.ts";
import { type LocalServer, localServer, natsBinary } from "./server.suite.ts";
import { Identity, subjectsOf } from "./subjects.ts";
import { openWire } from "./wire-port.ts";

const cluster = "sec";
const s = subjectsOf(cluster);
const deps = { clock: systemClock, random: seededRandom(1), log: silentLogger };
const identities = ["apiserver", "controller-manager", "scheduler", "edge", "supervisor", "user:ann", "node:a", "node:b"];
const underlay: Record<string, string> = { apiserver: "172.30.0.2", edge: "172.30.0.3", "node:a": "172.30.1.1", "node:b": "172.30.1.2" };

describe("rules", () => {
  test("no identity but the apiserver may publish to the store or to JetStream", () => {
    for (const identity of identities) {
      if (identity === "apiserver") continue;
      for (const allow of permissionsFor(identity, cluster, underlay[identity]).publish.allow) {
        expect(allow.startsWith("$JS"), `${identity}: ${allow}`).toBe(false);
        expect(covers(allow, s.store({ group: "", resource: "pods", namespace: "d", name: "x" })), `${identity}: ${allow}`).toBe(false);
        expect(allow.startsWith(`${s.prefix}.event`), `${identity}: ${allow}`).toBe(false);
      }
    }
  });

  test("the apiserver's JetStream subjects name its own stream only", () => {
    const js = permissionsFor("apiserver", cluster).publish.allow.filter((a) => a.startsWith("$JS"));
    for (const foreign of [
      "$JS.API.STREAM.DELETE.OTHER",
      "$JS.API.STREAM.INFO.OTHER",
      "$JS.API.CONSUMER.CREATE.OTHER",
      "$JS.API.STREAM.NAMES",
    ])
      expect(js.some((a) => matches(a, foreign))).toBe(false);
    expect(js.some((a) => matches(a, `$JS.API.STREAM.INFO.${s.storeStream}`))).toBe(true);
  });

  test("an unknown kind of identity may do nothing", () => {
    expect(permissionsFor("intruder", cluster, "172.30.1.9").publish).toEqual({ allow: [], deny: [">"] });
    expect(permissionsFor("intruder", cluster, "172.30.1.9").subscribe).toEqual({ allow: [], deny: [">"] });
  });

  test("a hostile node name stays one token", () => {
    for (const name of ["a.b", ">", "*", "a b", "é", ""]) {
      const p = permissionsFor(Identity.node(name), cluster, "172.30.1.1");
      for (const subject of [...p.publish.allow, ...p.subscribe.allow]) expect(subject).toMatch(/^[\w.$=*>-]+$/);
      expect(p.publish.allow[0]?.split(".").length).toBe(4);
    }
  });
});

describe.skipIf(natsBinary === undefined)("nats-server enforces (skipped without one)", () => {
  let server: LocalServer;
  let keys: Record<string, IdentityKey>;
  const open: Bus[] = [];
  const connect = async (identity: string) => {
    const bus = await connectNats({ url: server.url, cluster, identity, seed: keys[identity]?.seed as string, ...deps });
    open.push(bus);
    return bus;
  };
  const config = (names: string[]) => (port: number, storeDir: string) =>
    natsServerConfig({
      cluster,
      port,
      listenHost: "127.0.0.1",
      storeDir,
      identities: names.map((n) => ({ ...(keys[n] as IdentityKey), ...(underlay[n] ? { underlay: underlay[n] } : {}) })),
    });

  beforeAll(async () => {
    keys = Object.fromEntries([...identities, "node:late"].map((i) => [i, createIdentity(i)]));
    server = await localServer(config(identities));
  });
  afterAll(async () => {
    for (const b of open) await b.close();
    await server?.close();
  });

  /** What the server refuses of `attempt`, as "operation subject". */
  async function refusals(bus: Bus, attempt: () => void): Promise<string[]> {
    const seen: string[] = [];
    const l = bus.onRefused((r) => seen.push(`${r.operation} ${r.subject}`));
    attempt();
    await bus.flush();
    await new Promise((r) => setTimeout(r, 10));
    l.unsubscribe();
    return seen;
  }

  test("keys: the seed proves the public key", () => {
    for (const k of Object.values(keys)) expect(publicKeyOf(k.seed)).toBe(k.publicKey);
  });

  test("node A: not node B's wire, not as B, not the store, not another's API subject or inbox, not JetStream", async () => {
    const a = await connect("node:a");
    const empty = new Uint8Array(0);
    const forbiddenPublish = [
      s.wire("172.30.0.2", "172.30.1.2"), // as B
      s.store({ group: "", resource: "pods", namespace: "default", name: "x" }),
      s.event({ group: "", resource: "pods", namespace: "default", name: "x" }),
      s.api("node:b"),
      s.apiStream("apiserver"),
      s.kubelet("b"),
      s.control("scheduler"),
      `${s.inbox("node:b")}.guess`,
      `$JS.API.STREAM.MSG.GET.${s.storeStream}`,
      `$JS.API.CONSUMER.CREATE.${s.storeStream}`,
      "$JS.API.STREAM.NAMES",
      "$SYS.REQ.SERVER.PING",
    ];
    for (const subject of forbiddenPublish) expect(await refusals(a, () => a.publish(subject, empty))).toEqual([`publish ${subject}`]);
    const forbiddenSubscribe = [
      s.wireTo("172.30.1.2"),
      `${s.prefix}.wire.>`,
      `${s.prefix}.wire.*.172-30-1-1`,
      ">",
      s.storeAll,
      s.eventAll,
      s.eventPrefix("", "secrets"),
      s.eventPrefix("", "pods"),
      s.apiAny,
      `${s.inbox("node:b")}.>`,
      `${s.prefix}.inbox.>`,
      s.kubelet("b"),
      "_INBOX.>",
    ];
    for (const subject of forbiddenSubscribe)
      expect(await refusals(a, () => a.subscribe(subject, () => {}))).toEqual([`subscribe ${subject}`]);
  });

  test("node A may: its wire, its API subject, its kubelet subject, broadcasts for kube-proxy", async () => {
    const a = await connect("node:a");
    expect(
      await refusals(a, () => {
        a.publish(s.wire("172.30.1.2", "172.30.1.1"), new Uint8Array(1));
        a.publish(s.api("node:a"), new Uint8Array(1));
        a.publish(s.tracePoint("node:a"), new Uint8Array(1));
        a.subscribe(s.wireTo("172.30.1.1"), () => {});
        a.subscribe(s.kubelet("a"), () => {});
        a.subscribe(s.eventPrefix("", "services"), () => {});
        a.subscribe(s.controlAll, () => {});
      }),
    ).toEqual([]);
  });

  test("a request on a refused subject fails at once", async () => {
    const a = await connect("node:a");
    const t0 = performance.now();
    await expect(a.request(s.api("node:b"), {})).rejects.toMatchObject({ code: "forbidden" });
    await expect(a.openStream(s.apiStream("node:b"), {})).rejects.toMatchObject({ code: "forbidden" });
    expect(performance.now() - t0).toBeLessThan(2_000);
  });

  test("the apiserver serves every identity on its own subject, and reaches kubelets; answers and streams pass", async () => {
    const api = await connect("apiserver");
    const b = await connect("node:b");
    const ann = await connect("user:ann");
    const big = new Uint8Array(9_000_000).fill(3);
    api.serve(s.apiAny, async (_body, m) => ({ you: s.identityOf(m.subject), big }), { queue: "apiserver" });
    api.serveStreams(s.apiStreamAny, (_o, stream, m) => {
      void stream.send(s.identityOf(m.subject));
      stream.onFrame(() => {});
    });
    b.serveStreams(s.kubelet("b"), (_o, stream) => {
      stream.onFrame((f) => stream.send(f));
      stream.onEnd(() => stream.end());
    });
    ann.serve(s.control("nobody"), async () => 1); // refused: people's tools serve nothing
    await Promise.all([api.flush(), b.flush()]);
    const answer = (await b.request(s.api("node:b"), {})) as { you: string; big: Uint8Array };
    expect(answer.you).toBe("node:b");
    expect(Buffer.compare(answer.big, big)).toBe(0);
    expect(await ann.request(s.api("user:ann"), {})).toMatchObject({ you: "user:ann" });
    const watch = await b.openStream(s.apiStream("node:b"), {});
    let first: unknown;
    watch.onFrame((f) => {
      first = f;
    });
    await until(() => first !== undefined);
    expect(first).toBe("node:b");
    const exec = await api.openStream(s.kubelet("b"), { exec: 1 });
    let echoed = 0;
    exec.onFrame((f) => {
      echoed += (f as Uint8Array).length;
    });
    for (let i = 0; i < 100; i++) await exec.send(new Uint8Array(10_000));
    exec.end();
    await until(() => echoed === 1_000_000);
  });

  test("packets cross with each node's own credential; as another node they do not", async () => {
    const a = openWire(await connect("node:a"), { address: "172.30.1.1", ...deps });
    const b = openWire(await connect("node:b"), { address: "172.30.1.2", ...deps });
    const forger = openWire(await connect("node:a"), { address: "172.30.1.2", ...deps });
    const got: string[] = [];
    b.onFrame((source, f) => got.push(`${source} ${f.bytes[0]}`));
    forger.onFrame((source) => got.push(`stolen from ${source}`));
    await Promise.all([a.ready, b.ready, forger.ready]);
    const frame = (n: number) => ({ bytes: new Uint8Array([n]), gsoSize: 0, traceId: 0, traceHop: 0 });
    forger.send("172.30.1.2", frame(66));
    forger.send("172.30.1.1", frame(66));
    a.send("172.30.1.2", frame(1));
    await until(() => got.length > 0);
    await new Promise((r) => setTimeout(r, 50));
    expect(got).toEqual(["172.30.1.1 1"]);
    for (const w of [a, b, forger]) w.close();
  });

  test("control requests of the supervisor are answered by every component", async () => {
    const boss = await connect("supervisor");
    const b = await connect("node:b");
    b.serve(s.control("node:b"), async () => ({ ok: true, padding: new Uint8Array(6_000_000) }));
    await b.flush();
    expect(await boss.request(s.control("node:b"), { op: "health" })).toMatchObject({ ok: true });
  });

  test("a wrong seed and a stranger are not let in; after a reload a new node is", async () => {
    let connected = false;
    const late = connectNats({
      url: server.url,
      cluster,
      identity: "node:late",
      seed: (keys["node:late"] as IdentityKey).seed,
      ...deps,
    }).then((b) => {
      connected = true;
      open.push(b);
    });
    await new Promise((r) => setTimeout(r, 300));
    expect(connected).toBe(false);
    const b = await connect("node:b");
    let lost = false;
    b.onStatus((st) => {
      lost ||= st === "disconnected";
    });
    await server.reconfigure(config([...identities, "node:late"])(server.port, `${server.folder}/js`));
    await late;
    expect(connected).toBe(true);
    expect(lost).toBe(false);
  });
});
