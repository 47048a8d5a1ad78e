// pods/proxy, services/proxy and nodes/proxy: an HTTP request carried to a pod, an endpoint or a node as packets.
import http from "node:http";
import tls from "node:tls";
import { StatusError, statusErrors } from "@podwire/api";
import { reasonOf } from "@podwire/base";
import type { Api, ApiResponse, Call } from "../call.ts";
import { serviceTarget, type Target } from "../network/endpoints.ts";
import { relayedResponse } from "../network/relayed-response.ts";
import type { Route } from "../routing.ts";
import { readOne } from "../verbs/get.ts";
import { admitConnect } from "./connect.ts";

/** Headers that belong to one hop (RFC 9110, 7.6.1), and credentials that are the apiserver's business. */
const DROPPED = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "transfer-encoding",
  "te",
  "trailer",
  "upgrade",
  "host",
  "authorization",
  "content-length",
]);

export async function proxy(api: Api, call: Call, r: Route): Promise<ApiResponse> {
  await admitConnect(api, call, r.rest);
  const m = /^(?:(https?):)?([^:]*)(?::(.*))?$/.exec(call.name);
  const name = m?.[2] ?? "";
  const port = m?.[3] ?? "";
  const target = await targetOf(api, { ...call, name }, port);
  const scheme = target.kubelet ? "https" : (m?.[1] ?? "http");
  const identity = target.kubelet && api.kubeletClient ? { cert: api.kubeletClient.certPem, key: api.kubeletClient.keyPem } : {};
  const query = call.info.query.toString();
  const path = `/${r.rest.map(encodeURIComponent).join("/")}${call.info.path.endsWith("/") && r.rest.length > 0 ? "/" : ""}${query ? `?${query}` : ""}`;
  const headers: Record<string, string | string[]> = { host: `${target.host}:${target.port}`, "x-forwarded-uri": call.info.path };
  for (const [k, v] of Object.entries(call.request.headers))
    if (!DROPPED.has(k) && !k.startsWith(":") && !k.startsWith("impersonate-") && v !== undefined) headers[k] = v;
  if (call.request.sourceAddress) headers["x-forwarded-for"] = call.request.sourceAddress;
  const body = call.request.body;
  if (body) headers["content-length"] = String(body.length);
  return new Promise((resolve, reject) => {
    const request = http.request(
      {
        method: call.request.method,
        path,
        headers,
        setHost: false,
        // Without an agent: one would dial by itself.
        createConnection: () => {
          const socket = api.dialer.connect(target.host, target.port);
          return (scheme === "https" ? tls.connect({ socket: socket as never, rejectUnauthorized: false, ...identity }) : socket) as never;
        },
        ...(call.request.signal ? { signal: call.request.signal } : {}),
      },
      (res) => resolve(relayedResponse(res, (name) => DROPPED.has(name))),
    );
    request.on("error", (e) => reject(new StatusError(503, "ServiceUnavailable", `error trying to reach service: ${reasonOf(e)}`)));
    request.end(body);
  });
}

/** A node's kubelet speaks HTTPS and wants to know who asks; any other port of a node is as a pod's. */
async function targetOf(api: Api, call: Call, port: string): Promise<Target & { kubelet?: boolean }> {
  const { resource } = call.served.info;
  if (resource === "services") return serviceTarget(api.cache, api.random, call.namespace, call.name, port);
  const o = (await readOne(api, call)).object;
  if (resource === "nodes") {
    const host = o["status"]?.addresses?.find((a: any) => a.type === "InternalIP")?.address;
    if (!host) throw statusErrors.badRequest(`node ${call.name} has no address`);
    const kubelet = o["status"]?.daemonEndpoints?.kubeletEndpoint?.Port ?? 10250;
    return port === "" || Number(port) === kubelet ? { host, port: kubelet, kubelet: true } : { host, port: Number(port) };
  }
  const host = o["status"]?.podIP;
  if (!host) throw statusErrors.badRequest("address not allowed");
  if (port !== "") {
    const named = (o["spec"]?.containers ?? []).flatMap((c: any) => c.ports ?? []).find((p: any) => p.name === port);
    return { host, port: named?.containerPort ?? Number(port) };
  }
  const first = (o["spec"]?.containers ?? []).flatMap((c: any) => c.ports ?? [])[0]?.containerPort;
  return { host, port: first ?? 80 };
}
