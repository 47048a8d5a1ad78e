// One call of an admission or conversion webhook: a POST over TLS to a URL, or to a Service through the apiserver's network card.
// Invariant: an answer larger than the limit, slower than the timeout or not JSON is a failed call, never a half-read object.
import https from "node:https";
import tls from "node:tls";
import { PodwireError, reasonOf } from "@podwire/base";
import type { Api } from "../../call.ts";
import { serviceTarget } from "../../network/endpoints.ts";

export class WebhookCallError extends PodwireError {}

export interface ClientConfig {
  url?: string;
  service?: { namespace: string; name: string; path?: string; port?: number };
  /** Base64 of PEM. */
  caBundle?: string;
}

const MAX_ANSWER_BYTES = 3 * 1024 * 1024;

/** Posts JSON and resolves with the answer's. Throws WebhookCallError in Go's words, behind `prefix`. */
export function callWebhook(
  api: Api,
  config: ClientConfig,
  body: unknown,
  timeoutSeconds: number,
  prefix = "failed to call webhook: ",
): Promise<any> {
  const s = config.service;
  const base =
    config.url ??
    `https://${s?.name}.${s?.namespace}.svc:${s?.port ?? 443}${s?.path?.startsWith("/") || !s?.path ? (s?.path ?? "") : `/${s.path}`}`;
  const url = new URL(base);
  url.searchParams.set("timeout", `${timeoutSeconds}s`);
  const shown = `${base}${base.includes("?") ? "&" : "?"}timeout=${timeoutSeconds}s`;
  const fail = (why: string) => new WebhookCallError(`${prefix}Post ${JSON.stringify(shown)}: ${why}`);
  const text = JSON.stringify(body);
  return new Promise((resolve, reject) => {
    const ca = config.caBundle ? [Buffer.from(config.caBundle, "base64").toString("utf8")] : undefined;
    const options: https.RequestOptions = {
      method: "POST",
      ...(s ? {} : { agent: false }), // An agent, also a new one, would look the name up itself in place of createConnection.
      headers: {
        "content-type": "application/json",
        accept: "application/json, */*",
        "content-length": Buffer.byteLength(text),
        "user-agent": "kube-apiserver-admission",
      },
      ...(ca ? { ca } : {}),
    };
    if (s) {
      const target = serviceTarget(api.cache, api.random, s.namespace, s.name, s.port ?? 443);
      const servername = `${s.name}.${s.namespace}.svc`;
      options.createConnection = () =>
        tls.connect({ socket: api.dialer.connect(target.host, target.port), servername, ...(ca ? { ca } : {}) });
    }
    const request = https.request(url, options, (res) => {
      const chunks: Buffer[] = [];
      let size = 0;
      res.on("data", (d: Buffer) => {
        size += d.length;
        if (size > MAX_ANSWER_BYTES) request.destroy(new Error("the answer is too large"));
        else chunks.push(d);
      });
      res.on("error", (e) => reject(fail(reasonOf(e))));
      res.on("end", () => {
        timer.cancel();
        const answer = Buffer.concat(chunks).toString("utf8");
        if ((res.statusCode ?? 0) < 200 || (res.statusCode ?? 0) >= 300) {
          reject(
            new WebhookCallError(
              `${prefix}an error on the server (${JSON.stringify(answer.slice(0, 256))}) has prevented the request from succeeding`,
            ),
          );
          return;
        }
        try {
          resolve(JSON.parse(answer));
        } catch (e) {
          reject(new WebhookCallError(`${prefix}${reasonOf(e)}`));
        }
      });
    });
    const timer = api.clock.after(timeoutSeconds * 1000, () => request.destroy(new Error("context deadline exceeded")), { unref: true });
    request.on("error", (e) => {
      timer.cancel();
      reject(fail(goReason(e as NodeJS.ErrnoException & { address?: string; port?: number })));
    });
    request.end(text);
  });
}

/** The usual dial errors as Go words them. */
function goReason(e: NodeJS.ErrnoException & { address?: string; port?: number; hostname?: string }): string {
  const where = e.address ? `${e.address}:${e.port}` : "";
  if (e.code === "ECONNREFUSED") return `dial tcp ${where}: connect: connection refused`;
  if (e.code === "ENOTFOUND") return `dial tcp: lookup ${e.hostname}: no such host`;
  if (e.code === "EHOSTUNREACH" || e.code === "ENETUNREACH") return `dial tcp ${where}: connect: no route to host`;
  if (e.code === "ETIMEDOUT") return `dial tcp ${where}: i/o timeout`;
  if (e.code === "ECONNRESET") return "EOF";
  if (e.code?.startsWith("DEPTH_ZERO") || e.code?.startsWith("SELF_SIGNED") || e.code?.startsWith("UNABLE_TO"))
    return "tls: failed to verify certificate: x509: certificate signed by unknown authority";
  return e.message;
}
