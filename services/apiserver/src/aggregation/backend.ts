// The way to an extension API server: HTTPS to its Service through the cluster's network, with the front proxy's certificate, the user in
// X-Remote-* headers (kube-aggregator/pkg/apiserver/handler_proxy.go). Invariant: headers in which a client claims to be somebody, and its
// credentials, never go on; what the server is told about the user is what this server has found out.
import type { IncomingMessage } from "node:http";
import https from "node:https";
import tls from "node:tls";
import type { KubeObject } from "@podwire/api";
import { PodwireError, reasonOf } from "@podwire/base";
import type { Api, ApiRequest, ApiResponse, User } from "../call.ts";
import { serviceTarget } from "../network/endpoints.ts";
import { relayedResponse } from "../network/relayed-response.ts";
import { textResponse } from "../response.ts";

export class BackendError extends PodwireError {}

/** Headers of one hop (RFC 9110, 7.6.1), credentials, and what only a front proxy may say. */
const DROPPED =
  /^(:.*|connection|keep-alive|proxy-connection|transfer-encoding|te|trailer|upgrade|host|authorization|content-length|expect|x-remote-.*|impersonate-.*)$/;
const MAX_CONNECTIONS = 100;
const MAX_DOCUMENT_BYTES = 32 * 1024 * 1024;
/** How long the server may take to answer a question of the aggregator's own. */
const ASK_TIMEOUT_MS = 5_000;

export interface FrontProxy {
  certPem: string;
  keyPem: string;
}

export interface Document {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  body: string;
}

export class Backend {
  readonly #api: Api;
  readonly #service: { namespace: string; name: string; port: number };
  readonly #agent: https.Agent;

  constructor(api: Api, apiService: KubeObject, frontProxy: FrontProxy | undefined) {
    this.#api = api;
    const { service, caBundle, insecureSkipTLSVerify } = apiService["spec"];
    this.#service = { namespace: service.namespace, name: service.name, port: service.port ?? 443 };
    this.#agent = new https.Agent({ keepAlive: true, maxSockets: MAX_CONNECTIONS });
    const servername = `${service.name}.${service.namespace}.svc`;
    // The agent's own dialing knows the host's network only.
    (this.#agent as unknown as { createConnection: () => tls.TLSSocket }).createConnection = () => {
      const { namespace, name, port } = this.#service;
      const target = serviceTarget(api.cache, api.random, namespace, name, port);
      return tls.connect({
        socket: api.dialer.connect(target.host, target.port),
        servername,
        rejectUnauthorized: insecureSkipTLSVerify !== true,
        ...(caBundle ? { ca: Buffer.from(caBundle, "base64").toString("utf8") } : {}),
        ...(frontProxy ? { cert: frontProxy.certPem, key: frontProxy.keyPem } : {}),
      });
    };
  }

  /** Carries a request of a user there and the answer back, streaming. Never throws: a server that does not answer is 503. */
  forward(request: ApiRequest, user: User): Promise<ApiResponse> {
    const headers: Record<string, string | string[]> = {};
    for (const [k, v] of Object.entries(request.headers)) if (v !== undefined && !DROPPED.test(k)) headers[k] = v;
    if (request.sourceAddress) headers["x-forwarded-for"] = request.sourceAddress;
    const body = request.body;
    if (body) headers["content-length"] = String(body.length);
    return new Promise((resolve) => {
      const out = this.#request(request.method, request.path, { ...headers, ...userHeaders(user) }, request.signal, (res) =>
        resolve(relayedResponse(res, (name) => DROPPED.test(name))),
      );
      out.on("error", (e) => resolve(textResponse(503, `error trying to reach service: ${reasonOf(e)}\n`)));
      out.end(body);
    });
  }

  /** A whole document, asked for by the aggregator itself. Throws BackendError when there is no answer in time. */
  ask(path: string, accept: string, groups: readonly string[] = []): Promise<Document> {
    const headers = { accept, ...userHeaders({ name: "system:kube-aggregator", groups }) };
    const { namespace, name, port } = this.#service;
    const where = `https://${name}.${namespace}.svc:${port}${path}`;
    return new Promise((resolve, reject) => {
      const fail = (why: string) => reject(new BackendError(`failing or missing response from ${where}: ${why}`));
      const timer = this.#api.clock.after(ASK_TIMEOUT_MS, () => out.destroy(new Error("context deadline exceeded")), { unref: true });
      const out = this.#request("GET", path, headers, undefined, (res) => {
        const chunks: Buffer[] = [];
        let size = 0;
        res.on("data", (d: Buffer) => {
          size += d.length;
          if (size > MAX_DOCUMENT_BYTES) out.destroy(new Error("the answer is too large"));
          else chunks.push(d);
        });
        res.on("error", (e) => fail(reasonOf(e)));
        res.on("end", () => {
          timer.cancel();
          resolve({ status: res.statusCode ?? 0, headers: res.headers, body: Buffer.concat(chunks).toString("utf8") });
        });
      });
      out.on("error", (e) => {
        timer.cancel();
        fail(`Get ${JSON.stringify(where)}: ${reasonOf(e)}`);
      });
      out.end();
    });
  }

  close(): void {
    this.#agent.destroy();
  }

  #request(
    method: string,
    path: string,
    headers: Record<string, string | string[]>,
    signal: AbortSignal | undefined,
    onResponse: (res: IncomingMessage) => void,
  ) {
    const { namespace, name, port } = this.#service;
    return https.request(
      { agent: this.#agent, method, path, headers, host: `${name}.${namespace}.svc`, port, ...(signal ? { signal } : {}) },
      onResponse,
    );
  }
}

/** X-Remote-User, -Group, -Uid and -Extra-* (client-go/transport.SetAuthProxyHeaders). */
export function userHeaders(user: User): Record<string, string | string[]> {
  const headers: Record<string, string | string[]> = { "x-remote-user": user.name };
  if (user.groups.length > 0) headers["x-remote-group"] = [...user.groups];
  if (user.uid) headers["x-remote-uid"] = user.uid;
  for (const [k, values] of Object.entries(user.extra ?? {}))
    headers[`x-remote-extra-${encodeURIComponent(k.toLowerCase())}`] = [...values];
  return headers;
}
