// Where a Service's traffic goes when the apiserver itself calls it: a ready endpoint from the watch cache.
import { type KubeObject, StatusError, statusErrors } from "@podwire/api";
import type { Random } from "@podwire/base";
import type { WatchCache } from "../cache/watch-cache.ts";

export interface Target {
  host: string;
  port: number;
}

/** A ready endpoint of a Service's port, by name or number. Throws 404 and 503 as kube-apiserver. */
export function serviceTarget(cache: WatchCache, random: Random, namespace: string, name: string, port: string | number): Target {
  const service = cache.of("", "services").get(namespace, name)?.object;
  if (!service) throw statusErrors.notFound({ group: "", resource: "services" }, name);
  // An external name is called on whatever port was asked for, declared or not.
  if (service["spec"]?.type === "ExternalName" && Number(port) > 0) return { host: service["spec"].externalName, port: Number(port) };
  const wanted = portOf(service, port);
  const targets: Target[] = [];
  for (const s of cache.of("discovery.k8s.io", "endpointslices").values(namespace)) {
    const slice = s.object;
    if (slice.metadata.labels?.["kubernetes.io/service-name"] !== name) continue;
    const p = (slice["ports"] ?? []).find((x: any) => (x.name ?? "") === (wanted?.name ?? ""));
    if (!p?.port) continue;
    for (const e of slice["endpoints"] ?? [])
      if (e.conditions?.ready !== false) for (const host of e.addresses ?? []) targets.push({ host, port: p.port });
  }
  if (targets.length === 0) throw statusErrors.serviceUnavailable(`no endpoints available for service ${JSON.stringify(name)}`);
  return random.pick(targets);
}

function portOf(service: KubeObject, port: string | number): { name?: string; port: number } | undefined {
  const ports: any[] = service["spec"]?.ports ?? [];
  if (port === "" && ports.length === 1) return ports[0];
  const found = ports.find((p) => p.name === port || String(p.port) === String(port));
  if (!found && port !== "")
    throw new StatusError(
      503,
      "ServiceUnavailable",
      `no service port ${JSON.stringify(String(port))} found for service ${JSON.stringify(service.metadata.name)}`,
    );
  return found;
}
