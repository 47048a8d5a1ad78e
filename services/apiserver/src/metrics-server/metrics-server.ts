// metrics.k8s.io/v1beta1, nodes and pods, as metrics-server serves them: every kubelet is asked for its stats over the bus, and usage is
// what its counters grew by between two looks. Nobody is asked while nobody asks here. An APIService that names a Service for the group
// version goes before this. Invariant: one look at the nodes at a time, however many wait for it.
import { type KubeObject, printTable, type ResourceInfo, resourceInfo, StatusError, statusErrors } from "@podwire/api";
import { reasonOf, type Timer } from "@podwire/base";
import type { Api, ApiResponse, Call } from "../call.ts";
import { listOptions } from "../request/options.ts";
import type { Served } from "../resources/catalogue.ts";
import { strategyOf } from "../resources/strategy.ts";
import { includeObjectOf, partial, valueResponse } from "../response.ts";
import type { Route } from "../routing.ts";
import { timeText } from "../verbs/body.ts";
import { containerId, countersOf, durationText, nodeId, resourcesOf, type Sample, type Summary, type Usage, usageOf } from "./usage.ts";

const GROUP = "metrics.k8s.io";
const VERSION = "v1beta1";
const API_VERSION = `${GROUP}/${VERSION}`;
/** --metric-resolution: how often the nodes are looked at while somebody asks. */
const RESOLUTION_MS = 15_000;
/** Looking goes on this long after the last question. */
const IDLE_AFTER_MS = 120_000;
/** Without an earlier look two are taken, this far apart. */
const FIRST_WINDOW_MS = 500;
const SCRAPE_TIMEOUT_MS = 3_000;
const MAX_SUMMARY_BYTES = 16 * 1024 * 1024;

export class MetricsServer {
  readonly #api: Api;
  #before: Sample | undefined;
  #now: Sample | undefined;
  #looking: Promise<void> | undefined;
  #timer: Timer | undefined;
  #askedMs = 0;

  constructor(api: Api) {
    this.#api = api;
    for (const info of RESOURCES) {
      api.catalogue.add(servedOf(info));
      api.virtual.set(info.groupResource, (call, r) => this.#answer(call, r));
    }
  }

  stop(): void {
    this.#timer?.cancel();
  }

  async #answer(call: Call, r: Route): Promise<ApiResponse> {
    await this.#fresh();
    const { info } = call.served;
    const includeObject = call.info.query.get("includeObject");
    const nodes = info.resource === "nodes";
    if (r.verb === "get") {
      const about = this.#api.cache.of("", info.resource).get(call.namespace, call.name)?.object;
      if (!about) throw statusErrors.notFound({ group: "", resource: info.resource }, call.name);
      const one = nodes ? this.#node(about) : this.#pod(about);
      if (!one)
        throw statusErrors.notFound(
          { group: GROUP, resource: info.kind.toLowerCase() },
          nodes ? call.name : `${call.namespace}/${call.name}`,
        );
      if (call.output.shape === "object") return valueResponse(200, one, call.output);
      if (call.output.shape === "PartialObjectMetadata") return valueResponse(200, partial(one, call.output.metaVersion), call.output);
      return valueResponse(200, table(call, [one], includeObject, this.#api.clock.nowMs()), call.output);
    }
    const options = listOptions(call.info.query, this.#selectable(info), false);
    const found: KubeObject[] = [];
    for (const o of this.#api.cache.of("", info.resource).values(call.namespace || undefined)) {
      if (options.labelSelector && !options.labelSelector.matches(o.object.metadata.labels ?? {})) continue;
      if (options.fieldSelector && !options.fieldSelector.matches(o.object)) continue;
      const m = nodes ? this.#node(o.object) : this.#pod(o.object);
      if (m) found.push(m);
    }
    if (call.output.shape === "Table") return valueResponse(200, table(call, found, includeObject, this.#api.clock.nowMs()), call.output);
    if (call.output.shape === "PartialObjectMetadataList") {
      const items = found.map((o) => partial(o, call.output.metaVersion));
      const apiVersion = `meta.k8s.io/${call.output.metaVersion}`;
      return valueResponse(200, { kind: "PartialObjectMetadataList", apiVersion, metadata: {}, items }, call.output);
    }
    return valueResponse(200, { kind: info.listKind, apiVersion: API_VERSION, metadata: {}, items: found }, call.output);
  }

  /** Field selectors are those of the pods and nodes themselves. */
  #selectable(info: ResourceInfo): ResourceInfo {
    return this.#api.catalogue.need("", "v1", info.resource).info;
  }

  #node(node: KubeObject): KubeObject | undefined {
    const u = this.#usage(nodeId(node.metadata.name as string));
    return u && { kind: "NodeMetrics", apiVersion: API_VERSION, ...this.#frame(node, u), usage: resourcesOf(u) };
  }

  /** Only pods all of whose containers are measured count. */
  #pod(pod: KubeObject): KubeObject | undefined {
    const containers: { name: string; usage: { cpu: string; memory: string } }[] = [];
    let frame: Usage | undefined;
    if (pod["status"]?.phase !== "Running") return undefined;
    for (const s of pod["status"]?.containerStatuses ?? []) {
      if (!s.state?.running) continue;
      const u = this.#usage(containerId(pod.metadata.uid as string, s.name));
      if (!u) return undefined;
      if (!frame || u.windowMs < frame.windowMs) frame = u;
      containers.push({ name: s.name, usage: resourcesOf(u) });
    }
    return frame && { kind: "PodMetrics", apiVersion: API_VERSION, ...this.#frame(pod, frame), containers };
  }

  #usage(id: string): Usage | undefined {
    return this.#now && usageOf(id, this.#before, this.#now);
  }

  #frame(o: KubeObject, u: Usage) {
    const { name, namespace, labels } = o.metadata;
    const metadata = {
      name,
      ...(namespace ? { namespace } : {}),
      creationTimestamp: timeText(this.#api.clock.nowMs()),
      ...(labels ? { labels } : {}),
    };
    return { metadata, timestamp: timeText(u.atMs), window: durationText(u.windowMs) };
  }

  /** Resolves when there are two looks, the last of them not older than the resolution. */
  async #fresh(): Promise<void> {
    const { clock } = this.#api;
    this.#askedMs = clock.nowMs();
    const age = () => clock.nowMs() - (this.#now?.atMs ?? Number.NEGATIVE_INFINITY);
    if (age() > 2 * RESOLUTION_MS) {
      await this.#look();
      await clock.sleep(FIRST_WINDOW_MS);
      await this.#look();
    } else if (age() > RESOLUTION_MS) await this.#look();
    this.#timer ??= clock.every(RESOLUTION_MS, () => this.#tick(), { unref: true });
  }

  #tick(): void {
    if (this.#api.clock.nowMs() - this.#askedMs > IDLE_AFTER_MS) {
      this.#timer?.cancel();
      this.#timer = undefined;
    } else void this.#look();
  }

  #look(): Promise<void> {
    this.#looking ??= this.#scrapeAll().finally(() => {
      this.#looking = undefined;
    });
    return this.#looking;
  }

  async #scrapeAll(): Promise<void> {
    const { clock, cache, log } = this.#api;
    const counters: Sample["counters"] = new Map();
    const nodes = [...cache.of("", "nodes").values()].map((n) => n.key.name);
    await Promise.all(
      nodes.map(async (node) => {
        try {
          const s = await this.#scrape(node);
          for (const [id, c] of countersOf(node, s, clock.nowMs())) counters.set(id, c);
        } catch (e) {
          log.debug({ node, reason: reasonOf(e) }, "a node does not tell its stats");
        }
      }),
    );
    this.#before = this.#now;
    this.#now = { atMs: clock.nowMs(), counters };
  }

  async #scrape(node: string): Promise<Summary> {
    const limit = new AbortController();
    const timer = this.#api.clock.after(SCRAPE_TIMEOUT_MS, () => limit.abort(new Error("context deadline exceeded")), { unref: true });
    try {
      const stream = await this.#api.connections.open(node, { op: "stats" }, limit.signal);
      return await new Promise<Summary>((resolve, reject) => {
        const chunks: Uint8Array[] = [];
        let size = 0;
        limit.signal.addEventListener("abort", () => {
          stream.abort({ code: "timeout", message: "context deadline exceeded" });
          reject(limit.signal.reason);
        });
        stream.onFrame((f) => {
          if (!(f instanceof Uint8Array)) return resolve(f as Summary);
          size += f.length;
          if (size <= MAX_SUMMARY_BYTES) chunks.push(f);
          return undefined;
        });
        stream.onEnd(() => (chunks.length > 0 ? resolve(JSON.parse(Buffer.concat(chunks).toString("utf8"))) : undefined));
        stream.onClose((e) => reject(new Error(e?.message ?? "the kubelet ended the stream")));
      });
    } finally {
      timer.cancel();
    }
  }
}

function table(call: Call, objects: KubeObject[], includeObject: string | null, nowMs: number): unknown {
  const t = call.served.table(objects, { nowMs, includeObject: includeObjectOf(includeObject) }) as Record<string, unknown>;
  t["apiVersion"] = `meta.k8s.io/${call.output.metaVersion}`;
  return t;
}

const row = {
  group: GROUP,
  version: VERSION,
  singular: "",
  verbs: ["get", "list"],
  shortNames: [],
  categories: [],
  columns: [],
  subresources: [],
};
const RESOURCES: readonly ResourceInfo[] = [
  resourceInfo({ ...row, resource: "nodes", kind: "NodeMetrics", namespaced: false }),
  resourceInfo({ ...row, resource: "pods", kind: "PodMetrics", namespaced: true }),
];
const COLUMNS = {
  columns: [
    { name: "Name", type: "string", format: "name", description: "Name of the resource", priority: 0 },
    { name: "cpu", type: "string", format: "", description: "Resource usage of cpu", priority: 0 },
    { name: "memory", type: "string", format: "", description: "Resource usage of memory", priority: 0 },
    { name: "Window", type: "string", format: "duration", description: "The time window in which metrics were collected", priority: 0 },
  ],
  print(o: KubeObject) {
    const usages: { cpu: string; memory: string }[] = o["usage"] ? [o["usage"]] : o["containers"].map((c: any) => c.usage);
    const sum = (field: "cpu" | "memory") => usages.reduce((n, u) => n + Number.parseInt(u[field], 10), 0);
    return [o.metadata.name, `${sum("cpu")}n`, `${sum("memory")}Ki`, o["window"]];
  },
};

/** As a served resource, for routing, discovery and OpenAPI; nothing of it is stored. */
function servedOf(info: ResourceInfo): Served {
  const nothing = (): never => {
    throw new StatusError(405, "MethodNotAllowed", "the server does not allow this method on the requested resource");
  };
  const same = (o: KubeObject) => o;
  return {
    info,
    apiVersion: API_VERSION,
    storage: { group: GROUP, resource: info.resource },
    strategy: strategyOf(info),
    custom: undefined,
    full: nothing,
    members: nothing,
    decoded: nothing,
    toServed: same,
    toStorage: same,
    table: (objects, o) => printTable(info, objects, o as never, COLUMNS as never),
    emptyMembers: {},
  };
}
