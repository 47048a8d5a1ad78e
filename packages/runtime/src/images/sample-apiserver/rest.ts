// One request of the sample API server: paths of the Kubernetes API for one group, health, discovery, and the verbs of its resources.
import type http from "node:http";
import { humanDuration, parseYaml, type StatusError, statusErrors, YamlSyntaxError } from "@podwire/api";
import type { Process } from "../../kernel/process.ts";
import { apiGroup, apiGroupList, apiResourceList, openApiV2, openApiV3, openApiV3Index, VERSIONS } from "./discovery.ts";
import { GROUP, RESOURCES, type Registry, type ResourceKind, type Selection, type Wardle, type WatchEvent } from "./registry.ts";

interface Target {
  version: string;
  kind: ResourceKind;
  namespace: string | undefined;
  name: string | undefined;
  status: boolean;
}

export function respond(p: Process, registry: Registry, req: http.IncomingMessage, res: http.ServerResponse, body: Buffer): void {
  const url = new URL(req.url ?? "/", "http://x");
  const fixed = FIXED[url.pathname.replace(/(.)\/$/, "$1")];
  if (fixed !== undefined) {
    const answer = fixed();
    if (typeof answer === "string") res.writeHead(200, { "content-type": "text/plain; charset=utf-8" }).end(answer);
    else send(res, 200, answer);
    return;
  }
  const t = target(url.pathname);
  if (t === undefined) throw statusErrors.genericNotFound();
  const r = new Request(p, registry, t, url.searchParams, req, res, body);
  r.run();
}

const FIXED: { [path: string]: () => object | string } = {
  "/healthz": () => "ok",
  "/livez": () => "ok",
  "/readyz": () => "ok",
  "/apis": apiGroupList,
  [`/apis/${GROUP}`]: apiGroup,
  "/openapi/v2": openApiV2,
  "/openapi/v3": openApiV3Index,
  "/version": () => ({ major: "1", minor: "29", gitVersion: "v1.29.2", platform: "linux/amd64" }),
  ...Object.fromEntries(VERSIONS.map((v) => [`/apis/${GROUP}/${v}`, () => apiResourceList(v)])),
  ...Object.fromEntries(VERSIONS.map((v) => [`/openapi/v3/apis/${GROUP}/${v}`, () => openApiV3(v)])),
};

const PATH = new RegExp(
  `^/apis/${GROUP.replaceAll(".", "\\.")}/(v1alpha1|v1beta1)(?:/namespaces/([^/]+))?/([a-z]+)(?:/([^/]+))?(/status)?$`,
);

function target(path: string): Target | undefined {
  const [, version, namespace, resource, name, status] = PATH.exec(path) ?? [];
  const kind = RESOURCES.find((r) => r.resource === resource && r.versions.includes(version as string));
  if (kind === undefined || version === undefined) return undefined;
  if (!kind.namespaced && namespace !== undefined) return undefined;
  if (kind.namespaced && name !== undefined && namespace === undefined) return undefined;
  return { version, kind, namespace, name: name === undefined ? undefined : decodeURIComponent(name), status: status !== undefined };
}

function send(res: http.ServerResponse, code: number, value: unknown): void {
  const text = `${JSON.stringify(value)}\n`;
  res.writeHead(code, { "content-type": "application/json", "content-length": String(Buffer.byteLength(text)) });
  res.end(text);
}

class Request {
  readonly #p: Process;
  readonly #registry: Registry;
  readonly #t: Target;
  readonly #query: URLSearchParams;
  readonly #req: http.IncomingMessage;
  readonly #res: http.ServerResponse;
  readonly #body: Buffer;
  constructor(
    p: Process,
    registry: Registry,
    t: Target,
    query: URLSearchParams,
    req: http.IncomingMessage,
    res: http.ServerResponse,
    body: Buffer,
  ) {
    this.#p = p;
    this.#registry = registry;
    this.#t = t;
    this.#query = query;
    this.#req = req;
    this.#res = res;
    this.#body = body;
  }

  run(): void {
    const { kind, namespace, name, status } = this.#t;
    const registry = this.#registry;
    const dryRun = this.#query.get("dryRun") === "All";
    switch (this.#req.method) {
      case "GET":
        if (name !== undefined) return void this.#answer(200, registry.get(kind, namespace, name));
        if (["true", "1"].includes(this.#query.get("watch") ?? "")) this.#watch();
        else this.#list();
        return;
      case "POST":
        if (name !== undefined) break;
        return void this.#answer(201, registry.create(kind, namespace, this.#object(), dryRun));
      case "PUT":
        if (name === undefined) break;
        return void this.#answer(200, registry.update(kind, namespace, name, this.#object(), { status, dryRun }));
      case "PATCH": {
        if (name === undefined) break;
        const type = (this.#req.headers["content-type"] ?? "").split(";")[0] as string;
        return void this.#answer(200, registry.patch(kind, namespace, name, type, this.#decoded(), { status, dryRun }));
      }
      case "DELETE":
        if (name !== undefined) {
          const gone = registry.delete(kind, namespace, name);
          const details = { name, group: GROUP, kind: kind.resource, uid: gone.metadata.uid };
          return void send(this.#res, 200, { kind: "Status", apiVersion: "v1", metadata: {}, status: "Success", details });
        }
        for (const o of registry.list(kind, this.#selection())) registry.delete(kind, o.metadata.namespace, o.metadata.name);
        return void this.#list();
    }
    throw statusErrors.methodNotAllowed();
  }

  #selection(): Selection {
    const { namespace } = this.#t;
    return {
      ...(namespace === undefined ? {} : { namespace }),
      labelSelector: this.#query.get("labelSelector") ?? "",
      fieldSelector: this.#query.get("fieldSelector") ?? "",
    };
  }

  #object(): Wardle {
    const o = this.#decoded() as Wardle;
    if (o.kind !== this.#t.kind.kind)
      throw statusErrors.badRequest(
        `${o.kind ?? ""} in version "${this.#t.version}" cannot be handled as a ${this.#t.kind.kind}: converting (${o.kind ?? ""})`,
      );
    const wrong = o.metadata?.namespace !== undefined && this.#t.namespace !== undefined && o.metadata.namespace !== this.#t.namespace;
    if (wrong) throw statusErrors.badRequest("the namespace of the provided object does not match the namespace sent on the request");
    return o;
  }

  #decoded(): unknown {
    const type = this.#req.headers["content-type"] ?? "application/json";
    if (type.includes("protobuf"))
      throw statusErrors.unsupportedMediaType(["application/json", "application/yaml", "application/merge-patch+json"]);
    try {
      return type.includes("yaml") ? parseYaml(this.#body).value : (JSON.parse(this.#body.toString("utf8")) as unknown);
    } catch (e) {
      if (!(e instanceof SyntaxError || e instanceof YamlSyntaxError)) throw e;
      throw badBody(e);
    }
  }

  /** Stored without a version: every version shows the same fields. */
  #versioned(o: Wardle): Wardle {
    return { ...o, apiVersion: `${GROUP}/${this.#t.version}`, kind: this.#t.kind.kind };
  }

  get #wantsTable(): boolean {
    return (this.#req.headers.accept ?? "").split(",")[0]?.includes("as=Table") ?? false;
  }

  #answer(code: number, o: Wardle): void {
    send(this.#res, code, this.#wantsTable ? this.#table([o]) : this.#versioned(o));
  }

  #list(): void {
    const items = this.#registry.list(this.#t.kind, this.#selection());
    if (this.#wantsTable) return void send(this.#res, 200, this.#table(items));
    send(this.#res, 200, {
      kind: `${this.#t.kind.kind}List`,
      apiVersion: `${GROUP}/${this.#t.version}`,
      metadata: { resourceVersion: this.#registry.revision },
      items: items.map((o) => this.#versioned(o)),
    });
  }

  #table(items: readonly Wardle[]): object {
    const age = (o: Wardle) => humanDuration(this.#p.clock.nowMs() - Date.parse(o.metadata.creationTimestamp ?? ""));
    return {
      kind: "Table",
      apiVersion: "meta.k8s.io/v1",
      metadata: { resourceVersion: this.#registry.revision },
      columnDefinitions: [
        { name: "Name", type: "string", format: "name", description: "", priority: 0 },
        { name: "Age", type: "date", format: "", description: "", priority: 0 },
      ],
      rows: items.map((o) => ({
        cells: [o.metadata.name, age(o)],
        object: { kind: "PartialObjectMetadata", apiVersion: "meta.k8s.io/v1", metadata: o.metadata },
      })),
    };
  }

  #watch(): void {
    const emit = (e: WatchEvent) => void this.#res.write(`${JSON.stringify({ type: e.type, object: this.#shown(e.object) })}\n`);
    const w = this.#registry.watch(this.#t.kind, this.#selection(), this.#query.get("resourceVersion") ?? undefined, emit);
    if (w === undefined) throw statusErrors.expired("The resourceVersion for the provided watch is too old.");
    this.#res.writeHead(200, { "content-type": "application/json", "cache-control": "no-cache, private" });
    this.#res.flushHeaders();
    for (const e of w.first) emit(e);
    const seconds = Number(this.#query.get("timeoutSeconds") ?? 0);
    const timer = seconds > 0 ? this.#p.clock.after(seconds * 1000, () => void this.#res.end(), { unref: true }) : undefined;
    this.#res.on("close", () => {
      timer?.cancel();
      w.stop();
    });
  }

  #shown(o: Wardle): object {
    return this.#wantsTable ? this.#table([o]) : this.#versioned(o);
  }
}

const badBody = (e: Error): StatusError =>
  statusErrors.badRequest(`the object provided is unrecognized (must be of type Flunder): ${e.message}`);
