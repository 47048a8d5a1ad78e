// registry.k8s.io/coredns/coredns: cluster DNS as a pod. Reads its Corefile, follows Services and EndpointSlices, answers over UDP and
// TCP, serves /health, /ready and /metrics, and takes a changed Corefile without a restart.
import { type Clock, reasonOf, type Timer } from "@podwire/base";
import type { Process } from "../../kernel/process.ts";
import type { StreamServer, StreamSocket } from "../../net/net-stack.ts";
import type { ImageSpec } from "../image.ts";
import { readQuery, recordsOf, replyBytes, writeReply } from "./message.ts";
import { emptyReply, Metrics, type Reply, type Surroundings } from "./plugin.ts";
import type { KubernetesState } from "./plugins/kubernetes.ts";
import { KubernetesIndex } from "./records.ts";
import { type Setup, serverFor, setUp } from "./setup.ts";
import type { KubeWatch } from "./source.ts";

const VERSION = "1.12.1";
/** The TC bit (RFC 1035 4.1.1). */
const TRUNCATED = 0x0200;
/** Questions of one TCP connection under way at a time. */
const MAX_PIPELINED = 64;

export async function corednsMain(p: Process): Promise<number> {
  const at = p.argv.indexOf("-conf");
  const path = at > 0 ? (p.argv[at + 1] ?? "Corefile") : "Corefile";
  const index = new KubernetesIndex();
  const source = p.container.annex.get("kube-watch") as KubeWatch | undefined;
  const facts = p.container.annex.get("pod") as { ip(): string } | undefined;
  let synced = false;
  const state: KubernetesState = { index, synced: () => synced, addresses: () => (facts ? [facts.ip()] : []) };
  const around = surroundingsOf(p);
  const text = () => p.fs.readText(path);

  let setup: Setup;
  let corefile: string;
  try {
    corefile = text();
    setup = setUp(corefile, around, state, replyBytes);
  } catch (e) {
    await p.printError(`${reasonOf(e)}\n`);
    return 1;
  }
  if (/^\s*kubernetes\b/m.test(corefile)) {
    if (source) void follow(p, source, index, corefile).then(() => (synced = true));
    else await p.printError("plugin/kubernetes: no way to reach the API: answers are SERVFAIL\n");
  }
  around.metrics.set("coredns_build_info", { version: VERSION, revision: "podwire", goversion: "none" }, 1);
  const current = { setup };
  for (const port of new Set(setup.servers.map((s) => s.port))) serveDns(p, port, current, around);
  serveHttp(p, current, around);
  for (const s of setup.servers) for (const z of s.zones) await p.print(`${z}:${s.port}\n`);
  await p.print(`CoreDNS-${VERSION}\nlinux/amd64, podwire\n`);

  const ended = { done: false };
  p.onSignal(15, () => {
    // Keeps answering while endpoints go away, as `health { lameduck }` says.
    if (ended.done) return;
    ended.done = true;
    around.print("[INFO] SIGTERM: Shutting down servers then terminating");
    p.clock.after(current.setup.lameduckMs, () => p.terminate({ code: 0, signal: 0 }), { unref: true });
  });
  for (;;) {
    await p.sleep((current.setup.reloadSeconds || 3600) * 1000);
    if (current.setup.reloadSeconds === 0) continue;
    try {
      const changed = text();
      if (changed === corefile) continue;
      corefile = changed;
      around.print("[INFO] Reloading");
      current.setup = setUp(corefile, around, state, replyBytes);
      around.print("[INFO] Reloading complete");
    } catch (e) {
      around.print(`[ERROR] Restart failed: ${reasonOf(e)}`);
    }
  }
}

function surroundingsOf(p: Process): Surroundings {
  return {
    clock: unreferenced(p.clock),
    random: p.random,
    print: (line) => void p.print(`${line}\n`),
    readText: (path) => p.fs.readText(path),
    metrics: new Metrics(),
    async exchange(server, q, o) {
      const name = q.name.replace(/\.$/, "");
      const a = await p.net.query(server.address, name, q.type, { timeoutMs: o.timeoutMs, tcp: o.tcp, port: server.port });
      return {
        rcode: a.rcode,
        answers: recordsOf(a.answers),
        authority: recordsOf(a.authorities),
        additional: recordsOf(a.additionals),
        authoritative: false,
        truncated: (a.flags & TRUNCATED) !== 0,
      };
    },
  };
}

/** A server's timers do not keep a test or a node alive. */
function unreferenced(clock: Clock): Clock {
  return { ...clock, after: (ms: number, fn: () => void): Timer => clock.after(ms, fn, { unref: true }) };
}

async function follow(p: Process, source: KubeWatch, index: KubernetesIndex, corefile: string): Promise<void> {
  const all = [
    source.watch("namespaces", { set: (o) => index.setNamespace(o.metadata.name), remove: (o) => index.removeNamespace(o.metadata.name) }),
    source.watch("services", { set: (o) => index.setService(o), remove: (o) => index.removeService(o) }),
    source.watch("endpointslices", { set: (o) => index.setSlice(o), remove: (o) => index.removeSlice(o) }),
    ...(/\bpods\s+verified\b/.test(corefile)
      ? [source.watch("pods", { set: (o) => index.setPod(o), remove: (o) => index.removePod(o) })]
      : []),
  ];
  for (const w of all) p.onExit(() => w.stop());
  await Promise.all(all.map((w) => w.synced));
}

interface Current {
  setup: Setup;
}

function serveDns(p: Process, port: number, current: Current, around: Surroundings): void {
  const respond = async (bytes: Uint8Array, protocol: "udp" | "tcp", from: { address: string; port: number }) => {
    const query = readQuery(bytes, protocol, from);
    if (query === undefined) {
      around.metrics.add("coredns_dns_malformed_total");
      return undefined;
    }
    const q = query.question;
    const server = q && serverFor(current.setup.servers, port, q.name);
    let reply: Reply;
    if (!q) reply = emptyReply("FORMERR");
    else if (!server) reply = emptyReply("REFUSED");
    else
      try {
        reply = await server.answer(q);
      } catch (e) {
        around.print(`[ERROR] Recovered from panic in server: "dns://:${port}" ${reasonOf(e)}`);
        reply = emptyReply("SERVFAIL");
      }
    const labels = { server: `dns://:${port}`, zone: server?.zones[0] ?? "dropped" };
    around.metrics.add("coredns_dns_requests_total", { ...labels, proto: protocol, type: q?.type ?? "other" });
    around.metrics.add("coredns_dns_responses_total", { ...labels, rcode: reply.rcode });
    return writeReply(query, reply, protocol);
  };
  const u = p.net.udp(p, { port });
  u.onMessage((bytes, from) => {
    void respond(bytes, "udp", from).then((answer) => {
      if (answer !== undefined && !p.ended) u.send(answer, from.port, from.address);
    });
  });
  p.net.listen(p, { port }, (s) => {
    const from = { address: s.remoteAddress ?? "", port: s.remotePort ?? 0 };
    serveTcp(s, (q) => respond(q, "tcp", from));
  });
}

/** Messages with a length in front (RFC 1035 4.2.2, RFC 7766). */
function serveTcp(s: StreamSocket, respond: (q: Uint8Array) => Promise<Uint8Array | undefined>): void {
  let buffered: Buffer = Buffer.alloc(0);
  let running = 0;
  s.on("error", () => s.destroy());
  s.on("end", () => s.end());
  s.on("data", (d: Buffer) => {
    buffered = buffered.length === 0 ? d : Buffer.concat([buffered, d]);
    while (buffered.length >= 2 && buffered.length >= 2 + buffered.readUInt16BE(0)) {
      const length = buffered.readUInt16BE(0);
      const query = buffered.subarray(2, 2 + length);
      buffered = buffered.subarray(2 + length);
      if (++running > MAX_PIPELINED) return void s.destroy();
      void respond(query).then((answer) => {
        running--;
        if (answer === undefined || s.destroyed) return;
        const framed = Buffer.alloc(2 + answer.length);
        framed.writeUInt16BE(answer.length, 0);
        framed.set(answer, 2);
        s.write(framed);
      });
    }
  });
}

type Page = () => { status: number; text: string };

function serveHttp(p: Process, current: Current, around: Surroundings): void {
  const serve = (port: number, path: string, page: Page): { listener: StreamServer } | undefined =>
    port === 0
      ? undefined
      : p.net.serveHttp(p, { port }, (req, res) => {
          const { status, text } = req.url === path ? page() : { status: 404, text: "404 page not found\n" };
          res.writeHead(status, { "content-type": "text/plain; charset=utf-8" });
          res.end(text);
        });
  serve(current.setup.healthPort, "/health", () => ({ status: 200, text: "OK" }));
  serve(current.setup.readyPort, "/ready", () => {
    const waiting = current.setup.notReady();
    return waiting.length === 0 ? { status: 200, text: "OK" } : { status: 503, text: waiting.join(",") };
  });
  serve(current.setup.metricsPort, "/metrics", () => ({ status: 200, text: around.metrics.text() }));
}

export const coredns: ImageSpec = {
  repositories: ["coredns/coredns", "coredns"],
  tags: ["*"],
  entrypoint: ["/coredns"],
  workingDir: "/",
  exposedPorts: [
    { port: 53, protocol: "UDP" },
    { port: 53, protocol: "TCP" },
    { port: 9153, protocol: "TCP" },
  ],
  sizeBytes: 22_384_805,
  files: [{ path: "/coredns", program: corednsMain }],
};
