// podwire/echo: an HTTP server that says who answered and from where the request came. It also stands in for images that the
// catalogue does not have, then on the ports that the container declares.
import type http from "node:http";
import type { Process } from "../../kernel/process.ts";
import type { ImageSpec } from "../image.ts";

/** Given by the node as annex "pod". */
export interface PodFacts {
  name: string;
  namespace: string;
  node: string;
  ip: () => string;
}

export interface EchoAnswer {
  pod: string;
  namespace: string;
  node: string;
  podIP: string;
  from: string;
  method: string;
  path: string;
  protocol: string;
  headers: Record<string, string>;
  body: string;
}

/** Bytes of a request body that are repeated in the answer; what is beyond is read and dropped. */
const BODY_LIMIT = 64 * 1024;
const DEFAULT_PORT = 8080;

export async function echoMain(p: Process): Promise<number> {
  const facts = p.container.annex.get("pod") as PodFacts | undefined;
  const declared = (p.container.annex.get("ports") as number[] | undefined) ?? [];
  const asked = p.env.get("PORT");
  const ports = declared.length > 0 ? declared : [asked !== undefined && /^\d+$/.test(asked) ? Number(asked) : DEFAULT_PORT];
  const handler: http.RequestListener = (req, res) => void answer(p, facts, req, res);
  for (const port of new Set(ports)) {
    p.net.serveHttp(p, { port }, handler);
    void p.print(`echo: ${facts?.namespace ?? "default"}/${facts?.name ?? p.hostname} on ${facts?.node ?? "unknown"} listens on ${port}\n`);
  }
  p.onSignal(15, () => p.terminate({ code: 0, signal: 0 }));
  await p.block(() => () => undefined);
  return 0;
}

async function answer(p: Process, facts: PodFacts | undefined, req: http.IncomingMessage, res: http.ServerResponse): Promise<void> {
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const c of req) {
      if (size < BODY_LIMIT) chunks.push((c as Buffer).subarray(0, BODY_LIMIT - size));
      size += (c as Buffer).length;
    }
  } catch {
    // The client went away in the middle of its body.
    res.destroy();
    return;
  }
  const remote = `${req.socket.remoteAddress ?? "?"}:${req.socket.remotePort ?? "?"}`;
  const body: EchoAnswer = {
    pod: facts?.name ?? p.hostname,
    namespace: facts?.namespace ?? "default",
    node: facts?.node ?? "",
    podIP: facts?.ip() ?? "",
    from: remote,
    method: req.method ?? "",
    path: req.url ?? "",
    protocol: `HTTP/${req.httpVersion}`,
    headers: Object.fromEntries(Object.entries(req.headers).map(([k, v]) => [k, Array.isArray(v) ? v.join(", ") : (v ?? "")])),
    body: Buffer.concat(chunks).toString("utf8"),
  };
  const wantsJson =
    /\bjson\b/.test(req.headers.accept ?? "") || /[?&]format=json\b/.test(req.url ?? "") || /\.json(\?|$)/.test(req.url ?? "");
  void p.print(`${remote} ${body.method} ${body.path}\n`);
  if (wantsJson) {
    res.setHeader("content-type", "application/json");
    res.end(`${JSON.stringify(body)}\n`);
    return;
  }
  res.setHeader("content-type", "text/plain; charset=utf-8");
  res.end(
    `pod:       ${body.pod}\nnamespace: ${body.namespace}\nnode:      ${body.node}\npod ip:    ${body.podIP}\nfrom:      ${body.from}\n` +
      `request:   ${body.method} ${body.path} ${body.protocol}\n${Object.entries(body.headers)
        .map(([k, v]) => `${k}: ${v}\n`)
        .join("")}${body.body === "" ? "" : `\n${body.body}\n`}`,
  );
}

export const echo: ImageSpec = {
  repositories: ["podwire/echo", "echo"],
  tags: ["*"],
  entrypoint: ["/echo"],
  exposedPorts: [{ port: DEFAULT_PORT, protocol: "TCP" }],
  labels: { "org.opencontainers.image.title": "podwire/echo" },
  sizeBytes: 2_000_000,
  files: [{ path: "/echo", program: echoMain }],
};
