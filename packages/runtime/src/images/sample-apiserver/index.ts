// registry.k8s.io/e2e-test-images/sample-apiserver: an API server of its own for the group wardle.example.com, to be put behind an
// APIService. It serves HTTPS with the certificate that its flags name, once its etcd answers.
// Invariant: whoever may connect may do everything: requests come through the aggregator, which has authorized them; the identity in
// X-Remote-User is not checked against the front proxy's certificate (docs/fidelity.md).
import http from "node:http";
import tls from "node:tls";
import { StatusError, statusErrors } from "@podwire/api";
import type { Process } from "../../kernel/process.ts";
import { klogLine } from "../agnhost/go.ts";
import { acceptTls } from "../agnhost/http-server.ts";
import { LOCALHOST_CERT, LOCALHOST_KEY } from "../agnhost/localhost-cert.ts";
import { busyboxFiles, GROUP as GROUP_FILE, PASSWD } from "../busybox/index.ts";
import type { ImageSpec } from "../image.ts";
import { Registry } from "./registry.ts";
import { respond } from "./rest.ts";

const ETCD_RETRY_MS = 200;
const DEFAULT_PORT = 443;
/** Bytes of one request. */
const MAX_BODY_BYTES = 3 * 1024 * 1024;

async function main(p: Process): Promise<number> {
  const flag = (name: string, otherwise: string) =>
    p.argv
      .map((a) => a.replace(/^--?/, ""))
      .find((a) => a.startsWith(`${name}=`))
      ?.slice(name.length + 1) ?? otherwise;
  const klog = (level: "I" | "E" | "F", text: string) => p.printError(klogLine(p, level, "server.go:1", text));
  const pair = { cert: LOCALHOST_CERT, key: LOCALHOST_KEY };
  const [cert, key] = [flag("tls-cert-file", ""), flag("tls-private-key-file", "")];
  try {
    if (cert !== "") pair.cert = p.fs.readText(cert);
    if (key !== "") pair.key = p.fs.readText(key);
  } catch (e) {
    await klog("F", `error reading the serving certificate: ${(e as Error).message}`);
    return 1;
  }
  await waitForEtcd(p, flag("etcd-servers", "http://127.0.0.1:2379"), klog);
  const registry = new Registry({ nowMs: () => p.clock.nowMs(), uid: () => p.random.uuid() });
  const server = http.createServer((req, res) => void handle(p, registry, req, res));
  server.on("clientError", (_e, socket) => socket.destroy());
  const secureContext = tls.createSecureContext(pair);
  const port = Number(flag("secure-port", String(DEFAULT_PORT)));
  p.net.listen(p, { port, allowHalfOpen: true }, (s) => acceptTls(p, server, s, secureContext));
  p.onExit(() => server.closeAllConnections());
  await klog("I", `Serving securely on [::]:${port}`);
  for (const s of [2, 15]) p.onSignal(s, () => p.terminate({ code: 0, signal: 0 }));
  await p.block(() => () => undefined);
  return 0;
}

/** The real one keeps its objects there; here it only has to be. */
async function waitForEtcd(p: Process, servers: string, klog: (level: "I" | "E", text: string) => unknown): Promise<void> {
  const { hostname, port } = new URL(servers.split(",")[0] as string);
  for (let told = false; ; told = true) {
    try {
      (await p.until(p.net.connect(p, { host: hostname, port: Number(port || 2379), timeoutMs: 2_000 }))).destroy();
      return;
    } catch (e) {
      if (p.ended) throw e;
      if (!told) await klog("E", `dial tcp ${hostname}:${port}: ${(e as Error).message}. Reconnecting...`);
      await p.sleep(ETCD_RETRY_MS);
    }
  }
}

async function handle(p: Process, registry: Registry, req: http.IncomingMessage, res: http.ServerResponse): Promise<void> {
  const startedMs = p.clock.monotonicMs();
  try {
    const chunks: Buffer[] = [];
    let size = 0;
    for await (const c of req) {
      size += (c as Buffer).length;
      if (size > MAX_BODY_BYTES) throw statusErrors.requestEntityTooLarge(`limit is ${MAX_BODY_BYTES}`);
      chunks.push(c as Buffer);
    }
    respond(p, registry, req, res, Buffer.concat(chunks));
  } catch (e) {
    if (p.ended || res.headersSent) return void res.destroy();
    const status = e instanceof StatusError ? e : statusErrors.internal((e as Error).message, e);
    res.writeHead(status.code, { "content-type": "application/json" });
    res.end(JSON.stringify(status.status));
  }
  const took = p.clock.monotonicMs() - startedMs;
  void p.printError(
    klogLine(
      p,
      "I",
      "httplog.go:134",
      `"HTTP" verb="${req.method}" URI="${req.url}" latency="${took.toFixed(3)}ms" resp=${res.statusCode}`,
    ),
  );
}

export const sampleApiserver: ImageSpec = {
  repositories: ["e2e-test-images/sample-apiserver", "sample-apiserver"],
  tags: ["*"],
  entrypoint: ["/sample-apiserver"],
  exposedPorts: [{ port: DEFAULT_PORT, protocol: "TCP" }],
  sizeBytes: 24_000_000,
  files: [
    ...busyboxFiles(true),
    { path: "/etc/passwd", content: PASSWD },
    { path: "/etc/group", content: GROUP_FILE },
    { path: "/sample-apiserver", program: main },
  ],
};
