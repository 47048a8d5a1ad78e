// registry.k8s.io/coredns/coredns: cluster DNS as a pod. Reads its Corefile, watches Services and EndpointSlices, answers over UDP
// and TCP. Plugins that mean something here: kubernetes, hosts, forward, health, ready, prometheus (an empty page), log, template-free
// `errors`, `cache`, `loop`, `reload`, `loadbalance` are accepted and need nothing; any other is refused as CoreDNS refuses it.
import { reasonOf } from "@podwire/base";
import dnsPacket, { type Answer as WireAnswer, type DecodedPacket } from "dns-packet";
import type { Process } from "../../kernel/process.ts";
import type { StreamSocket } from "../../net/net-stack.ts";
import { parseResolvConf } from "../../net/resolver.ts";
import type { ImageSpec } from "../image.ts";
import { type Directive, parseCorefile } from "./corefile.ts";
import { type Answer, answerKubernetes, KubernetesIndex, type KubernetesConfig, type Record } from "./records.ts";
import type { KubeWatch } from "./source.ts";

const KNOWN = new Set(["errors", "health", "ready", "kubernetes", "prometheus", "forward", "cache", "loop", "reload", "loadbalance", "log", "hosts", "lameduck", "minimal", "whoami", "bind", "rewrite"]);
const VERSION = "1.12.1";
/** Answers past this many bytes are truncated over UDP when the question carries no EDNS size. */
const UDP_LIMIT = 512;
const UPSTREAM_TIMEOUT_MS = 2000;

interface Settings {
  port: number;
  kubernetes: KubernetesConfig | undefined;
  upstreams: string[];
  hosts: Map<string, string[]>;
  healthPort: number;
  readyPort: number;
  log: boolean;
}

export function settingsOf(corefile: string, resolvConf: string): Settings {
  const [block] = parseCorefile(corefile);
  const s: Settings = { port: block?.port ?? 53, kubernetes: undefined, upstreams: [], hosts: new Map(), healthPort: 0, readyPort: 0, log: false };
  for (const d of block?.plugins ?? []) {
    if (!KNOWN.has(d.name)) throw new Error(`Corefile: Unknown directive '${d.name}'`);
    if (d.name === "kubernetes") s.kubernetes = kubernetesOf(d);
    if (d.name === "health") s.healthPort = portOf(d, 8080);
    if (d.name === "ready") s.readyPort = portOf(d, 8181);
    if (d.name === "log") s.log = true;
    if (d.name === "hosts") for (const h of d.block) if (/^[\d.:a-f]+$/i.test(h.name)) for (const n of h.args) s.hosts.set(`${n.toLowerCase()}.`, [...(s.hosts.get(`${n.toLowerCase()}.`) ?? []), h.name]);
    if (d.name === "forward") for (const to of d.args.slice(1)) s.upstreams.push(...(to.startsWith("/") ? parseResolvConf(resolvConf).nameservers : [to.replace(/^dns:\/\//, "").replace(/:53$/, "")]));
  }
  return s;
}

function portOf(d: Directive, standard: number): number {
  const m = /:(\d+)$/.exec(d.args[0] ?? "");
  return m ? Number(m[1]) : standard;
}

function kubernetesOf(d: Directive): KubernetesConfig {
  const c: KubernetesConfig = { zones: d.args.map((z) => (z.endsWith(".") ? z : `${z}.`)), podMode: "disabled", ignoreEmptyService: false, exposedNamespaces: null, ttl: 5, serverIPs: [] };
  for (const o of d.block) {
    if (o.name === "pods") c.podMode = o.args[0] as KubernetesConfig["podMode"];
    if (o.name === "ttl") c.ttl = Number(o.args[0]);
    if (o.name === "namespaces") c.exposedNamespaces = o.args;
    if (o.name === "ignore") c.ignoreEmptyService = o.args.includes("empty_service");
  }
  return c;
}

export async function corednsMain(p: Process): Promise<number> {
  const at = p.argv.indexOf("-conf");
  const path = at > 0 ? (p.argv[at + 1] ?? "Corefile") : "Corefile";
  let settings: Settings;
  try {
    settings = settingsOf(p.fs.readText(path), p.fs.exists("/etc/resolv.conf") ? p.fs.readText("/etc/resolv.conf") : "");
  } catch (e) {
    await p.printError(`${path}: ${reasonOf(e)}\n`);
    return 1;
  }
  const index = new KubernetesIndex();
  let synced = settings.kubernetes === undefined;
  const source = p.container.annex.get("kube-watch") as KubeWatch | undefined;
  const facts = p.container.annex.get("pod") as { ip(): string } | undefined;
  if (settings.kubernetes && facts) settings.kubernetes.serverIPs = [facts.ip()];
  if (settings.kubernetes && source) void follow(p, source, index, settings.kubernetes).then(() => (synced = true));
  else if (settings.kubernetes) await p.printError("plugin/kubernetes: no way to reach the API: answers are SERVFAIL\n");

  const respond = (query: Uint8Array, udp: boolean): Promise<Uint8Array | undefined> => handle(p, settings, index, () => synced, query, udp);
  const u = p.net.udp(p, { port: settings.port });
  u.onMessage((bytes, from) => {
    void respond(bytes, true).then((answer) => {
      if (answer !== undefined && !p.ended) u.send(answer, from.port, from.address);
    });
  });
  p.net.listen(p, { port: settings.port }, (s) => serveTcp(s, (q) => respond(q, false)));
  if (settings.healthPort > 0) p.net.serveHttp(p, { port: settings.healthPort }, (req, res) => void (req.url === "/health" ? res.end("OK") : notFound(res)));
  if (settings.readyPort > 0)
    p.net.serveHttp(p, { port: settings.readyPort }, (req, res) => {
      if (req.url !== "/ready") return void notFound(res);
      res.statusCode = synced ? 200 : 503;
      res.end(synced ? "OK" : "kubernetes");
    });
  await p.print(`.:${settings.port}\nCoreDNS-${VERSION}\nlinux/amd64, podwire\n`);
  p.onSignal(15, () => p.terminate({ code: 0, signal: 0 }));
  await p.block(() => () => undefined);
  return 0;
}

function notFound(res: { statusCode: number; end(s: string): unknown }): void {
  res.statusCode = 404;
  res.end("404 page not found\n");
}

async function follow(p: Process, source: KubeWatch, index: KubernetesIndex, c: KubernetesConfig): Promise<void> {
  const all = [
    source.watch("namespaces", { set: (o) => index.setNamespace(o.metadata.name), remove: (o) => index.removeNamespace(o.metadata.name) }),
    source.watch("services", { set: (o) => index.setService(o), remove: (o) => index.removeService(o) }),
    source.watch("endpointslices", { set: (o) => index.setSlice(o), remove: (o) => index.removeSlice(o) }),
    ...(c.podMode === "verified" ? [source.watch("pods", { set: (o) => index.setPod(o), remove: (o) => index.removePod(o) })] : []),
  ];
  for (const w of all) p.onExit(() => w.stop());
  await Promise.all(all.map((w) => w.synced));
}

function serveTcp(s: StreamSocket, respond: (q: Uint8Array) => Promise<Uint8Array | undefined>): void {
  let buffered: Buffer = Buffer.alloc(0);
  s.on("error", () => s.destroy());
  s.on("end", () => s.end());
  s.on("data", (d: Buffer) => {
    buffered = buffered.length === 0 ? d : Buffer.concat([buffered, d]);
    while (buffered.length >= 2) {
      const length = buffered.readUInt16BE(0);
      if (buffered.length < 2 + length) return;
      const query = buffered.subarray(2, 2 + length);
      buffered = buffered.subarray(2 + length);
      void respond(query).then((answer) => {
        if (answer === undefined || s.destroyed) return;
        const framed = Buffer.alloc(2 + answer.length);
        framed.writeUInt16BE(answer.length, 0);
        framed.set(answer, 2);
        s.write(framed);
      });
    }
  });
}

const RCODES: { [rcode: string]: number } = { NOERROR: 0, FORMERR: 1, SERVFAIL: 2, NXDOMAIN: 3, NOTIMP: 4, REFUSED: 5 };

async function handle(p: Process, s: Settings, index: KubernetesIndex, synced: () => boolean, query: Uint8Array, udp: boolean): Promise<Uint8Array | undefined> {
  let q: DecodedPacket;
  try {
    q = dnsPacket.decode(Buffer.from(query));
  } catch {
    return undefined;
  }
  const question = q.questions?.[0];
  if (q.type !== "query" || question === undefined) return undefined;
  const name = question.name.endsWith(".") ? question.name : `${question.name}.`;
  const answer = await answerQuestion(p, s, index, synced(), name, question.type);
  if (s.log) void p.print(`[INFO] ${udp ? "udp" : "tcp"} "${question.type} IN ${name}" ${answer.rcode}\n`);
  const edns = q.additionals?.find((r) => r.type === "OPT") as { udpPayloadSize?: number } | undefined;
  const encode = (a: Answer, truncated: boolean) =>
    dnsPacket.encode({
      type: "response",
      id: q.id ?? 0,
      flags: dnsPacket.AUTHORITATIVE_ANSWER | ((q.flags ?? 0) & dnsPacket.RECURSION_DESIRED) | dnsPacket.RECURSION_AVAILABLE | (truncated ? dnsPacket.TRUNCATED_RESPONSE : 0) | (RCODES[a.rcode] ?? 2),
      questions: q.questions ?? [],
      answers: a.answers.map(wireRecord),
      authorities: a.authority.map(wireRecord),
      additionals: [...a.additional.map(wireRecord), ...(edns ? [{ type: "OPT", name: ".", udpPayloadSize: 4096, flags: 0, options: [], extendedRcode: 0, ednsVersion: 0, flag_do: false } as unknown as WireAnswer] : [])],
    });
  let bytes = encode(answer, false);
  const limit = udp ? Math.max(UDP_LIMIT, edns?.udpPayloadSize ?? UDP_LIMIT) : 65_535;
  if (bytes.length > limit) {
    const fewer = { ...answer, additional: [], answers: [...answer.answers] };
    do {
      fewer.answers.pop();
      bytes = encode(fewer, true);
    } while (bytes.length > limit && fewer.answers.length > 0);
  }
  return bytes;
}

async function answerQuestion(p: Process, s: Settings, index: KubernetesIndex, synced: boolean, name: string, type: string): Promise<Answer> {
  const none = { answers: [], authority: [], additional: [] };
  const hosts = s.hosts.get(name.toLowerCase());
  if (hosts) return { ...none, rcode: "NOERROR", answers: hosts.filter((ip) => ip.includes(":") === (type === "AAAA")).map((data) => ({ name, type, ttl: 3600, data })) };
  if (s.kubernetes) {
    const a = answerKubernetes(index, s.kubernetes, name, type);
    if (a !== undefined) {
      if (!synced) return { ...none, rcode: "SERVFAIL" };
      if (a.external !== undefined) {
        const up = await forward(p, s, a.external, type);
        return { ...a, answers: [...a.answers, ...(up?.answers ?? [])] };
      }
      if (a.rcode === "NOERROR" || !name.endsWith(".arpa.")) return a;
    }
  }
  return (await forward(p, s, name, type)) ?? { ...none, rcode: "SERVFAIL" };
}

/** Asks the upstreams in turn; undefined when none answers or there is none. */
async function forward(p: Process, s: Settings, name: string, type: string): Promise<Answer | undefined> {
  for (const server of s.upstreams) {
    try {
      const a = await p.net.query(server, name.replace(/\.$/, ""), type, { timeoutMs: UPSTREAM_TIMEOUT_MS });
      const records = (list: WireAnswer[]) => list.filter((r) => r.type !== "OPT").map((r): Record => ({ name: `${r.name}.`.replace(/\.\.$/, "."), type: r.type, ttl: (r as { ttl?: number }).ttl ?? 0, data: (r as { data: unknown }).data }));
      return { rcode: a.rcode as Answer["rcode"], answers: records(a.answers), authority: records(a.authorities), additional: records(a.additionals) };
    } catch {
      // The next upstream may answer.
    }
  }
  return undefined;
}

function wireRecord(r: Record): WireAnswer {
  return { name: r.name, type: r.type, ttl: r.ttl, class: "IN", data: r.data } as WireAnswer;
}

export const coredns: ImageSpec = {
  repositories: ["coredns/coredns", "coredns"],
  tags: ["*"],
  entrypoint: ["/coredns"],
  workingDir: "/",
  exposedPorts: [
    { port: 53, protocol: "UDP" },
    { port: 53, protocol: "TCP" },
  ],
  sizeBytes: 22_384_805,
  files: [{ path: "/coredns", program: corednsMain }],
};
