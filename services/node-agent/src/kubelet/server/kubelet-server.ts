// The kubelet's HTTPS port in the node's own network (10250): TLS, who asks, may they, then `kubelet-api.ts`.
// Made when the first connection arrives: a node that nobody asks keeps neither a certificate nor a server.
import http, { type IncomingMessage, type ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import tls, { type TLSSocket } from "node:tls";
import { type Clock, type Logger, type Random, reasonOf } from "@podwire/base";
import type { ApiClient } from "@podwire/client";
import { KubeletAccess, type KubeletUser, subresourcesOf, verbOf } from "./access.ts";
import { answerKubelet, type KubeletAnswer, type KubeletApiSources } from "./kubelet-api.ts";
import { selfSigned } from "./self-signed.ts";

export interface KubeletServerOptions {
  nodeName: string;
  address: string;
  client: ApiClient;
  /** PEM of authorities whose client certificates count; "" takes none. */
  clientCa: string;
  anonymous: boolean;
  authorization: "Webhook" | "AlwaysAllow";
  sources: KubeletApiSources;
  clock: Clock;
  random: Random;
  log: Logger;
}

const IDLE_MS = 60_000;

export class KubeletServer {
  readonly #o: KubeletServerOptions;
  readonly #access: KubeletAccess;
  readonly #tls: tls.Server;
  readonly #http: http.Server;

  constructor(o: KubeletServerOptions) {
    this.#o = o;
    this.#access = new KubeletAccess(o);
    const nowMs = o.clock.nowMs();
    const { certPem, keyPem } = selfSigned({
      commonName: `${o.nodeName}@${Math.floor(nowMs / 1000)}`,
      dns: [o.nodeName],
      ipv4: [o.address],
      nowMs,
      serial: o.random.bytes(16),
    });
    this.#http = http.createServer({ keepAliveTimeout: IDLE_MS, requestTimeout: 0 }, (req, res) => void this.#serve(req, res));
    this.#tls = tls.createServer(
      {
        cert: certPem,
        key: keyPem,
        ...(o.clientCa === "" ? {} : { ca: o.clientCa }),
        requestCert: o.clientCa !== "",
        rejectUnauthorized: false,
        minVersion: "TLSv1.2",
      },
      (socket) => {
        socket.on("error", () => socket.destroy());
        this.#http.emit("connection", socket);
      },
    );
    this.#tls.on("tlsClientError", () => undefined);
  }

  accept(socket: Duplex): void {
    this.#tls.emit("connection", socket);
  }

  close(): void {
    this.#http.closeAllConnections();
  }

  async #serve(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const url = new URL(req.url ?? "/", "https://kubelet");
    const method = req.method ?? "GET";
    try {
      const user = await this.#user(req);
      if (!user) return send(res, { status: 401, type: "text/plain", body: "Unauthorized" });
      if (this.#o.authorization === "Webhook" && !(await this.#access.allows(user, method, url.pathname))) {
        const body = `Forbidden (user=${user.name}, verb=${verbOf(method)}, resource=nodes, subresource(s)=[${subresourcesOf(url.pathname).join(" ")}])\n`;
        return send(res, { status: 403, type: "text/plain", body });
      }
      send(res, await answerKubelet({ method, path: url.pathname, query: url.searchParams }, this.#o.sources));
    } catch (e) {
      this.#o.log.warn({ reason: reasonOf(e), path: url.pathname }, "a request to the kubelet failed");
      send(res, { status: 500, type: "text/plain", body: `${reasonOf(e)}\n` });
    }
  }

  async #user(req: IncomingMessage): Promise<KubeletUser | undefined> {
    const bearer = /^bearer +(\S+)/i.exec(req.headers.authorization ?? "");
    if (bearer) return this.#access.userOfToken(bearer[1] as string);
    const socket = req.socket as unknown as TLSSocket;
    if (socket.authorized) {
      const { subject } = socket.getPeerCertificate();
      const list = (v: string | string[] | undefined) => (v === undefined ? [] : Array.isArray(v) ? v : [v]);
      const name = list(subject.CN)[0];
      if (name) return { name, groups: [...list(subject.O), "system:authenticated"] };
    }
    return this.#o.anonymous ? { name: "system:anonymous", groups: ["system:unauthenticated"] } : undefined;
  }
}

function send(res: ServerResponse, a: KubeletAnswer): void {
  if (res.headersSent || res.destroyed) return;
  const headers: Record<string, string | number> = { "content-type": a.type };
  if (!a.stream) headers["content-length"] = Buffer.byteLength(a.body);
  res.writeHead(a.status, headers);
  if (!a.stream) return void res.end(a.body);
  const sink = {
    send: (bytes: Uint8Array) =>
      new Promise<void>((resolve) => {
        if (res.destroyed || res.write(bytes)) return resolve();
        res.once("drain", resolve);
        res.once("close", resolve);
      }),
    get closed() {
      return res.destroyed;
    },
  };
  void a.stream(sink).finally(() => res.end());
}
