// What the tests of [sig-network] share: netexec pods and who answers for them. Names of pods are asked for from inside a pod, so that
// every request crosses the cluster's network.
import { AGNHOST, type Context } from "../harness.ts";
import type { Json } from "../rest.ts";

/** Arguments of a pod that tells its name by HTTP on 8080 and UDP on 8081, and asks others (`dial`). */
export const NETEXEC = ["netexec", "--http-port=8080", "--udp-port=8081"];

export interface Dial {
  port: number;
  protocol?: "http" | "udp";
  tries?: number;
}

/** Host names that answered `tries` requests of pod `from`; errors are thrown. */
export async function dial(t: Context, from: string, host: string, o: Dial): Promise<string[]> {
  const query = new URLSearchParams({
    request: "hostname",
    protocol: o.protocol ?? "http",
    host,
    port: String(o.port),
    tries: String(o.tries ?? 1),
  });
  const answer = JSON.parse(await t.exec(from, ["curl", "-g", "-q", "-s", "--max-time", "25", `http://127.0.0.1:8080/dial?${query}`]));
  if (answer.errors?.length) throw new Error(answer.errors.join("; "));
  return answer.responses;
}

/** Waits until exactly `names` answer. */
export function answeredBy(t: Context, from: string, host: string, o: Dial, names: string[]): Promise<true> {
  const tries = names.length === 1 ? 3 : 8 * names.length;
  return t.eventually(`${names} answer at ${host}:${o.port}`, async () => {
    const seen = new Set(await dial(t, from, host, { tries, ...o }));
    return (seen.size === names.length && names.every((n) => seen.has(n))) || undefined;
  });
}

/** Waits until nobody answers. */
export function unanswered(t: Context, from: string, host: string, o: Dial): Promise<true> {
  return t.eventually(`nobody answers at ${host}:${o.port}`, async () => {
    try {
      await dial(t, from, host, o);
      return undefined;
    } catch {
      return true;
    }
  });
}

/** One name, always the same, or several: what session affinity decides. */
export function affinity(t: Context, from: string, host: string, port: number, sticky: boolean): Promise<true> {
  return t.eventually(`${host}:${port} ${sticky ? "sticks" : "does not stick"} to one endpoint`, async () => {
    const seen = new Set(await dial(t, from, host, { port, tries: 15 }));
    return (seen.size === 1) === sticky || undefined;
  });
}

export function netexec(t: Context, name: string, o: Parameters<Context["runPod"]>[1] = {}): Promise<Json> {
  return t.runPod(name, { image: AGNHOST, args: NETEXEC, ...o });
}

/** Names and InternalIPs of nodes that take pods. */
export async function workers(t: Context): Promise<{ name: string; address: string }[]> {
  const { items } = await t.api.get("/api/v1/nodes");
  return items
    .filter((n: Json) => !n.spec.unschedulable && !n.spec.taints?.some((x: Json) => x.effect !== "PreferNoSchedule"))
    .map((n: Json) => ({ name: n.metadata.name, address: n.status.addresses.find((a: Json) => a.type === "InternalIP").address }));
}

export function service(name: string, spec: Json, labels?: Record<string, string>): Json {
  return { apiVersion: "v1", kind: "Service", metadata: { name, ...(labels ? { labels } : {}) }, spec };
}

/** "address:port" of every ready endpoint in the slices of a Service, sorted. */
export async function sliceEndpoints(t: Context, serviceName: string): Promise<string[]> {
  const { items } = await t.api.get(t.path("endpointslices", "discovery.k8s.io/v1"), {
    query: { labelSelector: `kubernetes.io/service-name=${serviceName}` },
  });
  return items
    .flatMap((s: Json) =>
      (s.endpoints ?? [])
        .filter((e: Json) => e.conditions?.ready !== false)
        .flatMap((e: Json) => (s.ports ?? []).map((p: Json) => `${e.addresses[0]}:${p.port}`)),
    )
    .sort();
}

/** The same of the Service's Endpoints object. */
export async function objectEndpoints(t: Context, name: string): Promise<string[]> {
  const o = await t.api.find(t.path(`endpoints/${name}`));
  return (o?.subsets ?? [])
    .flatMap((s: Json) => (s.addresses ?? []).flatMap((a: Json) => (s.ports ?? []).map((p: Json) => `${a.ip}:${p.port}`)))
    .sort();
}
