import { type Clock, seededRandom, systemClock } from "@podwire/base";
import dnsPacket from "dns-packet";
import { describe, expect, test } from "vitest";
import { readQuery, replyBytes, writeReply } from "./message.ts";
import { emptyReply, Metrics, type Question, type Reply, type Surroundings } from "./plugin.ts";
import { KubernetesIndex } from "./records.ts";
import { serverFor, setUp } from "./setup.ts";

const STANDARD = `.:53 {
    errors
    health { lameduck 5s }
    ready
    kubernetes cluster.local in-addr.arpa ip6.arpa {
        pods insecure
        fallthrough in-addr.arpa ip6.arpa
        ttl 30
    }
    prometheus :9153
    forward . /etc/resolv.conf {
        max_concurrent 1000
    }
    cache 30
    loop
    reload
    loadbalance
}`;

function place(o: { files?: Record<string, string>; synced?: boolean; exchange?: Surroundings["exchange"] } = {}) {
  const lines: string[] = [];
  const asked: string[] = [];
  let nowMs = 0;
  const clock: Clock = { ...systemClock, monotonicMs: () => nowMs };
  const index = new KubernetesIndex();
  index.setNamespace("default");
  index.setService({
    metadata: { name: "web", namespace: "default" },
    spec: { clusterIP: "10.96.0.9", ports: [{ name: "http", port: 80 }] },
  });
  const around: Surroundings = {
    clock,
    random: seededRandom(7),
    print: (l) => void lines.push(l),
    metrics: new Metrics(),
    readText: (path) => {
      const text = { "/etc/resolv.conf": "nameserver 192.0.2.1\nnameserver 192.0.2.2\n", ...o.files }[path];
      if (text === undefined) throw new Error(`ENOENT: ${path}`);
      return text;
    },
    async exchange(server, q, how) {
      asked.push(`${server.address}:${server.port} ${q.name} ${how.tcp ? "tcp" : "udp"}`);
      if (o.exchange) return o.exchange(server, q, how);
      return { ...emptyReply("NOERROR"), answers: [{ name: q.name, type: q.type, ttl: 300, data: "198.51.100.7" }], truncated: false };
    },
  };
  const set = (corefile: string) => setUp(corefile, around, { index, synced: () => o.synced ?? true, addresses: () => [] }, replyBytes);
  return { around, set, lines, asked, advance: (ms: number) => (nowMs += ms) };
}

const question = (name: string, type = "A"): Question => ({
  name,
  type,
  id: 7,
  protocol: "udp",
  from: { address: "10.244.1.5", port: 40_000 },
  sizeBytes: 40,
  dnssec: false,
  bufferBytes: 512,
});

const ask = (s: ReturnType<ReturnType<typeof place>["set"]>, name: string, type?: string): Promise<Reply> =>
  (serverFor(s.servers, 53, name) as { answer(q: Question): Promise<Reply> }).answer(question(name, type));

describe("the standard Corefile", () => {
  test("opens the usual ports and answers from the cluster and from upstream", async () => {
    const at = place();
    const s = at.set(STANDARD);
    expect(s).toMatchObject({ healthPort: 8080, lameduckMs: 5000, readyPort: 8181, metricsPort: 9153, reloadSeconds: 30 });
    expect((await ask(s, "web.default.svc.cluster.local.")).answers).toEqual([
      { name: "web.default.svc.cluster.local.", type: "A", ttl: 30, data: "10.96.0.9" },
    ]);
    expect(await ask(s, "example.org.")).toMatchObject({ rcode: "NOERROR", authoritative: false });
    expect(at.asked).toHaveLength(1);
    // Reverse names that the cluster does not know fall through, forward names do not.
    expect((await ask(s, "1.2.0.192.in-addr.arpa.", "PTR")).rcode).toBe("NOERROR");
    expect((await ask(s, "nobody.default.svc.cluster.local.")).rcode).toBe("NXDOMAIN");
    expect(at.asked).toHaveLength(2);
  });

  test("is not ready, and answers SERVFAIL, until the objects are there", async () => {
    const s = place({ synced: false }).set(STANDARD);
    expect(s.notReady()).toEqual(["kubernetes"]);
    expect((await ask(s, "web.default.svc.cluster.local.")).rcode).toBe("SERVFAIL");
  });
});

describe("what a Corefile may not say", () => {
  test.each([
    [". {\n  nonsense\n}", "Corefile:2 - Error during parsing: Unknown directive 'nonsense'"],
    [". {\n  dnssec\n}", "plugin/dnssec is not built in Podwire"],
    [". {\n  forward .\n}", "Wrong argument count"],
    [
      ". {\n  kubernetes cluster.local {\n    pods maybe\n  }\n}",
      "Corefile:3 - Error during parsing: plugin/kubernetes: wrong value for pods",
    ],
    [". {\n  kubernetes {\n    ttl 9999\n  }\n}", "ttl must be in range [0, 3600]"],
    [". {\n  rewrite name regex ( x\n}", "invalid regex pattern"],
    [". {", "Unexpected EOF, expecting '}'"],
    ["", "no server block"],
  ])("%j", (corefile, message) => {
    expect(() => place().set(corefile)).toThrow(message);
  });
});

describe("plugins", () => {
  test("cache keeps answers, lets their TTL run down, and forgets them in time", async () => {
    const at = place();
    const s = at.set(". {\n cache 30\n forward . 192.0.2.1\n}");
    await ask(s, "example.org.");
    at.advance(10_500);
    expect((await ask(s, "EXAMPLE.org.")).answers).toEqual([{ name: "EXAMPLE.org.", type: "A", ttl: 20, data: "198.51.100.7" }]);
    expect(at.asked).toHaveLength(1);
    at.advance(20_000);
    await ask(s, "example.org.");
    expect(at.asked).toHaveLength(2);
    expect(at.around.metrics.text()).toContain('coredns_cache_hits_total{type="success"} 1');
  });

  test("cache never holds more than its capacity, and no failure", async () => {
    let fail = true;
    const at = place({
      exchange: async (_, q) => {
        if (fail) throw new Error("i/o timeout");
        return { ...emptyReply("NOERROR"), answers: [{ name: q.name, type: "A", ttl: 60, data: "192.0.2.9" }], truncated: false };
      },
    });
    const s = at.set(". {\n errors\n cache {\n  success 2\n }\n forward . 192.0.2.1 {\n  max_fails 0\n }\n}");
    expect((await ask(s, "a.test.")).rcode).toBe("SERVFAIL");
    expect(at.lines).toEqual(["[ERROR] plugin/errors: 2 a.test. A: read udp ->192.0.2.1:53: i/o timeout"]);
    fail = false;
    for (const n of ["a.test.", "b.test.", "c.test."]) expect((await ask(s, n)).rcode).toBe("NOERROR");
    expect(at.around.metrics.text()).toContain('coredns_cache_entries{type="success"} 2');
  });

  test("forward tries the next upstream, leaves a dead one alone, and asks again by TCP when the answer was cut", async () => {
    const at = place({
      exchange: async (server, q, how) => {
        if (server.address === "192.0.2.1") throw new Error("i/o timeout");
        return { ...emptyReply("NOERROR"), answers: [{ name: q.name, type: "A", ttl: 9, data: "192.0.2.9" }], truncated: !how.tcp };
      },
    });
    const s = at.set(". {\n forward . /etc/resolv.conf {\n  policy sequential\n  max_fails 1\n }\n}");
    expect((await ask(s, "a.test.")).answers).toHaveLength(1);
    expect(at.asked).toEqual(["192.0.2.1:53 a.test. udp", "192.0.2.2:53 a.test. udp", "192.0.2.2:53 a.test. tcp"]);
    await ask(s, "b.test.");
    expect(at.asked.filter((a) => a.startsWith("192.0.2.1"))).toHaveLength(1);
  });

  test("rewrite sends the question elsewhere and names the answer back", async () => {
    const at = place();
    const s = at.set(`. {
      rewrite name exact db.internal web.default.svc.cluster.local
      rewrite name regex (.*)\\.corp {1}.default.svc.cluster.local answer auto
      kubernetes cluster.local
    }`);
    for (const name of ["db.internal.", "web.corp."])
      expect((await ask(s, name)).answers).toEqual([{ name, type: "A", ttl: 5, data: "10.96.0.9" }]);
  });

  test("hosts answers names and addresses, and falls through for the rest", async () => {
    const s = place().set(". {\n hosts {\n  192.0.2.77 db.example db\n  fallthrough\n }\n forward . 192.0.2.1\n}");
    expect((await ask(s, "db.example.")).answers).toEqual([{ name: "db.example.", type: "A", ttl: 3600, data: "192.0.2.77" }]);
    expect(await ask(s, "db.example.", "AAAA")).toMatchObject({ rcode: "NOERROR", answers: [] });
    expect((await ask(s, "77.2.0.192.in-addr.arpa.", "PTR")).answers.map((a) => a.data)).toEqual(["db.example.", "db."]);
    expect((await ask(s, "other.example.")).answers[0]?.data).toBe("198.51.100.7");
  });

  test("log writes a line in CoreDNS's format", async () => {
    const at = place();
    await ask(at.set(". {\n log\n kubernetes cluster.local\n}"), "web.default.svc.cluster.local.");
    expect(at.lines[0]).toMatch(
      /^\[INFO\] 10\.244\.1\.5:40000 - 7 "A IN web\.default\.svc\.cluster\.local\. udp 40 false 512" NOERROR qr,aa,rd \d+ 0\.\d{9}s$/,
    );
  });

  test("the longest zone of a port serves a name; a port without one refuses", async () => {
    const s = place().set(". {\n forward . 192.0.2.1\n}\ncluster.local {\n kubernetes\n}\nother:5353 {\n kubernetes\n}");
    expect((await ask(s, "web.default.svc.cluster.local.")).authoritative).toBe(true);
    expect(serverFor(s.servers, 5353, "example.org.")).toBeUndefined();
    expect(
      (await (serverFor(s.servers, 5353, "a.other.") as { answer(q: Question): Promise<Reply> }).answer(question("a.nozone."))).rcode,
    ).toBe("REFUSED");
  });
});

describe("messages", () => {
  const packed = (o: object) =>
    dnsPacket.encode({ type: "query", id: 9, flags: 256, questions: [{ name: "a.test", type: "A", class: "IN" }], ...o });
  const many: Reply = {
    ...emptyReply("NOERROR"),
    answers: Array.from({ length: 60 }, (_, i) => ({ name: "a.test.", type: "A", ttl: 5, data: `10.0.0.${i}` })),
  };

  test("UDP answers are cut to what the asker takes, and say so", () => {
    const plain = readQuery(packed({}), "udp", { address: "10.0.0.1", port: 1 });
    if (!plain) throw new Error("no query");
    const cut = writeReply(plain, many, "udp");
    expect(cut.length).toBeLessThanOrEqual(512);
    const read = dnsPacket.decode(Buffer.from(cut));
    expect((read as { flag_tc?: boolean }).flag_tc).toBe(true);
    expect(read.answers?.length).toBeGreaterThan(20);
    expect(dnsPacket.decode(Buffer.from(writeReply(plain, many, "tcp"))).answers).toHaveLength(60);
  });

  test("EDNS raises the limit", () => {
    const opt = {
      type: "OPT" as const,
      name: ".",
      udpPayloadSize: 4096,
      flags: 0,
      options: [],
      extendedRcode: 0,
      ednsVersion: 0,
      flag_do: false,
    };
    const q = readQuery(packed({ additionals: [opt] }), "udp", { address: "10.0.0.1", port: 1 });
    expect(q?.question?.bufferBytes).toBe(4096);
    expect(dnsPacket.decode(Buffer.from(writeReply(q as NonNullable<typeof q>, many, "udp"))).answers).toHaveLength(60);
  });

  test("garbage is no question and never throws", () => {
    const random = seededRandom(11);
    const good = packed({});
    for (let i = 0; i < 2_000; i++) {
      const bytes = i % 2 === 0 ? random.bytes(random.below(80)) : Uint8Array.from(good);
      for (let k = random.below(4); k >= 0 && bytes.length > 0; k--) bytes[random.below(bytes.length)] = random.below(256);
      const q = readQuery(bytes, "udp", { address: "10.0.0.1", port: 1 });
      if (q) expect(writeReply(q, emptyReply("REFUSED"), "udp").length).toBeLessThanOrEqual(65_535);
    }
  });
});
