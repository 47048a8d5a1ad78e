// Replays recorded request/response transcripts of a real kube-apiserver against the pure functions of this package:
// decode, default, prepare, validate, patch, apply, print, with an object map in place of a store. Test code.
// Invariant: what needs a server (admission plug-ins, allocation, watches, discovery) is imitated only as far as the
// recorded objects show it, and everything else is left to the replay over HTTPS.

import { parseYaml } from "./body/yaml-text.ts";
import {
  applyDefaults,
  applyManaged,
  decodeBody,
  type FieldError,
  mediaType,
  objectWarnings,
  patchObject,
  prepareForCreate,
  prepareForUpdate,
  printTable,
  type ResourceInfo,
  registry,
  StatusError,
  statusErrors,
  updateManaged,
  validateCreate,
  validateUpdate,
} from "./index.ts";

export interface Step {
  id: string;
  request: { method: string; path: string; headers?: Record<string, string>; body?: any; rawBody?: string; bodyFill?: any; auth?: string };
  response: { status: number; body?: any; warnings?: string[] };
  [option: string]: any;
}

export interface Scenario {
  name: string;
  description: string;
  setup: Step[];
  steps: Step[];
}

export interface Answer {
  status: number;
  body: any;
  warnings: string[];
}

/** The placeholder of the namespace in recorded texts. */
const NS = ["$", "{ns}"].join("");
const BODY_MAX = 3 * 1024 * 1024;
const NOW_MS = Date.parse("2026-01-02T03:04:05Z");
const NOW = "2026-01-02T03:04:05Z";

const ENDPOINTS = "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice";

/** A request that this imitation cannot answer. */
export class NotPureError extends Error {}

export class Replay {
  private readonly objects = new Map<string, any>();
  private readonly answers = new Map<string, any>();
  private readonly ns: string;
  private uids = 0;
  private revision = 100;
  private stopped = false;

  constructor(ns: string) {
    this.ns = ns;
  }

  run(step: Step): Answer {
    const answer = this.answer(step);
    this.answers.set(step.id, answer.body);
    return answer;
  }

  private answer(step: Step): Answer {
    if (this.stopped) throw new NotPureError("after a step that needs a server");
    try {
      return this.attempt(step);
    } catch (e) {
      if (e instanceof NotPureError && step.request.method !== "GET") this.stopped = !/[?&]dryRun=All/.test(step.request.path);
      throw e;
    }
  }

  private attempt(step: Step): Answer {
    const { method } = step.request;
    const path = this.fill(step.request.path);
    const url = new URL(path, "http://x");
    const body = this.body(step.request);
    const type = step.request.headers?.["Content-Type"];
    try {
      return this.dispatch(method, url, body, type, step.request.headers?.["Accept"] ?? "");
    } catch (e) {
      if (!(e instanceof StatusError)) throw e;
      return { status: e.code, body: structuredClone(e.status), warnings: /\/api\/v1\/.*\/endpoints\b/.test(path) ? [ENDPOINTS] : [] };
    }
  }

  private fill(text: string): string {
    return text.replaceAll(NS, this.ns).replace(/\$\{(step\w+)\.([^}]+)\}/g, (_, id, path) => String(at(this.answers.get(id), path)));
  }

  private body(r: Step["request"]): Uint8Array | undefined {
    if (r.rawBody !== undefined) return Buffer.from(this.fill(r.rawBody));
    if (r.bodyFill !== undefined)
      return Buffer.from(this.fill(r.bodyFill.prefix) + r.bodyFill.fill.repeat(r.bodyFill.count) + this.fill(r.bodyFill.suffix));
    if (r.body === undefined || r.body === null) return undefined;
    let value = r.body;
    if (value && typeof value === "object" && "$base" in value) {
      value = structuredClone(this.answers.get(value.$base));
      if (value === undefined) throw new NotPureError("an answer that was not imitated");
      for (const [path, v] of Object.entries(r.body.$set ?? {})) put(value, path, v);
      for (const path of r.body.$del ?? []) drop(value, path);
    }
    return Buffer.from(this.fill(JSON.stringify(value)));
  }

  private dispatch(method: string, url: URL, body: Uint8Array | undefined, type: string | undefined, accept: string): Answer {
    const m = /^\/(?:api\/(v1)|apis\/([^/]+)\/([^/]+))(?:\/namespaces\/([^/]+)(?=\/[^/]+))?\/([^/]+)(?:\/([^/]+))?(?:\/([^/]+))?$/.exec(
      url.pathname,
    );
    if (!m) throw new NotPureError(url.pathname);
    const [, core, group = "", version = "v1", namespace, resource, name, sub = ""] = m as unknown as string[];
    const info = this.info(core ? "" : group, core ? "v1" : version, resource!);
    const ns = info.namespaced ? namespace : "";
    if (ns && ns !== this.ns) throw new NotPureError("another namespace");
    if ((body?.length ?? 0) > BODY_MAX) throw new NotPureError("too large");
    if (sub !== "" && !["status", "finalize", "ephemeralcontainers", "resize", "approval"].includes(sub)) throw new NotPureError(sub);
    const q = url.searchParams;
    this.options(method, q, type);
    const validation = (q.get("fieldValidation") || "Warn") as any;
    const manager = q.get("fieldManager") ?? "oracle";
    switch (method) {
      case "POST":
        return this.table(info, accept, this.create(info, ns ?? "", body!, type, validation, manager, q.get("dryRun") === "All"));
      case "GET":
        if (name === undefined) return this.list(info, ns, accept, q);
        return this.table(info, accept, {
          status: 200,
          body: structuredClone(this.get(info, ns, name)),
          warnings: info.kind === "Endpoints" ? [ENDPOINTS] : [],
        });
      case "PUT": {
        const { object, warnings } = decodeBody(info, body ?? new Uint8Array(), type, { fieldValidation: validation });
        return this.update(info, ns ?? "", name!, sub, warnings, manager, q.get("dryRun") === "All", () => object, true);
      }
      case "PATCH":
        return this.patch(info, ns ?? "", name!, sub, body ?? new Uint8Array(), type, validation, manager, q);
      case "DELETE":
        if (
          name === undefined ||
          q.size > 0 ||
          body !== undefined ||
          info.kind === "Pod" ||
          this.get(info, ns, name).metadata.finalizers ||
          info.group === "batch" ||
          info.kind === "ReplicationController"
        )
          throw new NotPureError("delete");
        this.objects.delete(key(info, ns, name));
        return { status: 200, body: undefined, warnings: [] };
      default:
        throw new NotPureError(method);
    }
  }

  private options(method: string, q: URLSearchParams, type: string | undefined): void {
    const kind = method === "POST" ? "CreateOptions" : method === "PATCH" ? "PatchOptions" : method === "PUT" ? "UpdateOptions" : "";
    if (kind === "") return;
    const dry = q.getAll("dryRun").filter(Boolean);
    const manager = q.get("fieldManager");
    const apply = type === "application/apply-patch+yaml";
    if (dry.some((d) => d !== "All") || (manager?.length ?? 0) > 128 || (apply && !manager) || (q.has("force") && !apply))
      throw new NotPureError("options");
    if (!["", "Ignore", "Warn", "Strict"].includes(q.get("fieldValidation") ?? "")) throw new NotPureError("options");
  }

  private info(group: string, version: string, resource: string): ResourceInfo {
    const info = registry.byResource(group, version, resource);
    if (info === undefined) throw new NotPureError(`${group}/${resource}`);
    return info;
  }

  private get(info: ResourceInfo, ns: string | undefined, name: string): any {
    const o = this.objects.get(key(info, ns, name));
    if (o === undefined) throw statusErrors.notFound(info, name);
    return o;
  }

  private create(
    info: ResourceInfo,
    ns: string,
    body: Uint8Array,
    type: string | undefined,
    validation: any,
    manager: string,
    dry: boolean,
    decoded?: any,
  ): Answer {
    let object = decoded;
    let warnings: string[] = [];
    if (object === undefined) ({ object, warnings } = decodeBody(info, body ?? new Uint8Array(), type, { fieldValidation: validation }));
    if (object.metadata.resourceVersion) throw new StatusError(500, "", "resourceVersion should not be set on objects to be created");
    if (info.namespaced) {
      if (object.metadata.namespace && object.metadata.namespace !== ns)
        throw statusErrors.badRequest("the namespace of the provided object does not match the namespace sent on the request");
      object.metadata.namespace = ns;
    }
    applyDefaults(info, object);
    if (object.metadata.generateName && !object.metadata.name) object.metadata.name = `${object.metadata.generateName}abcde`;
    if (decoded === undefined) object = updateManaged(info, undefined, object, { manager, operation: "Update", time: NOW });
    object.metadata.uid = `uid-${++this.uids}`;
    object.metadata.creationTimestamp = NOW;
    this.admit(info, object);
    prepareForCreate(info, object, { nowMs: NOW_MS });
    this.check(info, object, validateCreate(info, object));
    this.allocate(info, object);
    const k = key(info, ns, object.metadata.name);
    if (this.objects.has(k)) throw statusErrors.alreadyExists(info, object.metadata.name);
    if (!dry) {
      object.metadata.resourceVersion = String(++this.revision);
      this.objects.set(k, structuredClone(object));
    }
    if (info.kind === "Endpoints") warnings.push(ENDPOINTS);
    return { status: 201, body: object, warnings: [...warnings, ...objectWarnings(info, object)] };
  }

  private check(info: ResourceInfo, object: any, errors: FieldError[]): void {
    if (errors.length > 0) throw statusErrors.invalid(info, object.metadata.name ?? "", errors);
  }

  /** The admission plug-ins that every recorded Pod shows. */
  private admit(info: ResourceInfo, o: any): void {
    const protection: Record<string, string> = {
      PersistentVolume: "kubernetes.io/pv-protection",
      PersistentVolumeClaim: "kubernetes.io/pvc-protection",
    };
    if (protection[info.kind]) o.metadata.finalizers = [...(o.metadata.finalizers ?? []), protection[info.kind]];
    if (info.kind === "Node") o.spec.taints = [...(o.spec.taints ?? []), { key: "node.kubernetes.io/not-ready", effect: "NoSchedule" }];
    if (info.kind === "CertificateSigningRequest")
      Object.assign(o.spec, { username: "admin", uid: "admin", groups: ["system:masters", "system:authenticated"] });
    if (info.kind === "CertificateSigningRequest") delete o.spec.extra;
    if (info.kind !== "Pod") return;
    o.spec.serviceAccountName ??= "default";
    o.spec.serviceAccount = o.spec.serviceAccountName;
    if (o.spec.priorityClassName || o.spec.serviceAccountName === "nope") throw new NotPureError("admission");
    o.spec.priority = 0;
    o.spec.preemptionPolicy = "PreemptLowerPriority";
    o.spec.tolerations ??= [];
    for (const k of ["not-ready", "unreachable"])
      o.spec.tolerations.push({ key: `node.kubernetes.io/${k}`, operator: "Exists", effect: "NoExecute", tolerationSeconds: 300 });
    o.spec.volumes ??= [];
    const name = "kube-api-access-abcde";
    o.spec.volumes.push({
      name,
      projected: {
        sources: [
          { serviceAccountToken: { expirationSeconds: 3607, path: "token" } },
          { configMap: { name: "kube-root-ca.crt", items: [{ key: "ca.crt", path: "ca.crt" }] } },
          { downwardAPI: { items: [{ path: "namespace", fieldRef: { apiVersion: "v1", fieldPath: "metadata.namespace" } }] } },
        ],
        defaultMode: 420,
      },
    });
    for (const c of [...(o.spec.initContainers ?? []), ...(o.spec.containers ?? [])]) {
      c.volumeMounts ??= [];
      c.volumeMounts.push({ name, readOnly: true, mountPath: "/var/run/secrets/kubernetes.io/serviceaccount" });
    }
  }

  private tolerate(o: any): void {
    o.spec.tolerations ??= [];
    for (const k of ["not-ready", "unreachable"]) {
      const key = `node.kubernetes.io/${k}`;
      if (!o.spec.tolerations.some((t: any) => t.key === key || (t.key === undefined && t.operator === "Exists")))
        o.spec.tolerations.push({ key, operator: "Exists", effect: "NoExecute", tolerationSeconds: 300 });
    }
  }

  private allocate(info: ResourceInfo, o: any): void {
    if (info.kind !== "Service") return;
    const s = o.spec;
    if (s.type === "ExternalName") return;
    if (s.ipFamilyPolicy || s.ipFamilies || (s.ports ?? []).some((p: any) => p.nodePort)) throw new NotPureError("allocation");
    s.ipFamilies ??= ["IPv4"];
    s.ipFamilyPolicy ??= "SingleStack";
    s.clusterIP ??= "10.96.0.77";
    s.clusterIPs ??= [s.clusterIP];
    if (s.type === "NodePort" || s.type === "LoadBalancer") for (const p of s.ports ?? []) p.nodePort ??= 30777;
    if (s.type === "LoadBalancer" && s.externalTrafficPolicy === "Local") s.healthCheckNodePort ??= 30778;
    if (s.clusterIP !== "None" && s.clusterIP !== "10.96.0.77") throw new NotPureError("allocation");
  }

  private update(
    info: ResourceInfo,
    ns: string,
    name: string,
    sub: string,
    warnings: string[],
    manager: string,
    dry: boolean,
    change: (live: any) => any,
    isPut: boolean,
    applied = false,
  ): Answer {
    const live = this.objects.get(key(info, ns, name));
    let next: any;
    if (isPut) {
      next = change(live);
      if (!next.metadata.name)
        throw statusErrors.badRequest(`the name of the object (${name} based on URL) was undeterminable: name must be provided`);
      if (next.metadata.name !== name)
        throw statusErrors.badRequest(`the name of the object (${next.metadata.name}) does not match the name on the URL (${name})`);
      if (info.namespaced && next.metadata.namespace && next.metadata.namespace !== ns)
        throw statusErrors.badRequest("the namespace of the provided object does not match the namespace sent on the request");
      if (live === undefined) throw statusErrors.notFound(info, name);
    } else {
      if (live === undefined) throw statusErrors.notFound(info, name);
      next = change(live);
    }
    if (info.namespaced) next.metadata.namespace ??= ns;
    if (next.metadata.name !== name)
      throw statusErrors.badRequest(`the name of the object (${next.metadata.name}) does not match the name on the URL (${name})`);
    applyDefaults(info, next);
    if (info.kind === "Service" && live.spec.type !== next.spec.type) throw new NotPureError("allocation");
    if (isPut && !next.metadata.resourceVersion && ["Lease", "PodDisruptionBudget"].includes(info.kind))
      throw new NotPureError("unconditional update");
    if (next.metadata.resourceVersion && !/^\d+$/.test(next.metadata.resourceVersion)) throw new NotPureError("revision");
    if (isPut && next.metadata.uid && next.metadata.uid !== live.metadata.uid) throw new NotPureError("uid precondition");
    if (next.metadata.resourceVersion && next.metadata.resourceVersion !== live.metadata.resourceVersion)
      throw statusErrors.conflict(info, name);
    next.metadata.resourceVersion = live.metadata.resourceVersion;
    if (!applied) next = updateManaged(info, live, next, { manager, operation: "Update", time: NOW, subresource: sub || undefined });
    if (info.kind === "Pod" && sub === "") this.tolerate(next);
    prepareForUpdate(info, next, live, sub, { nowMs: NOW_MS });
    this.check(info, next, validateUpdate(info, next, live, sub));
    if (JSON.stringify(sorted(next)) !== JSON.stringify(sorted(live)) && !dry) next.metadata.resourceVersion = String(++this.revision);
    if (!dry) this.objects.set(key(info, ns, name), structuredClone(next));
    if (info.kind === "Endpoints") warnings.push(ENDPOINTS);
    return { status: 200, body: next, warnings: [...warnings, ...objectWarnings(info, next, live)] };
  }

  private patch(
    info: ResourceInfo,
    ns: string,
    name: string,
    sub: string,
    body: Uint8Array,
    type: string | undefined,
    validation: any,
    manager: string,
    q: URLSearchParams,
  ): Answer {
    const dry = q.get("dryRun") === "All";
    if (mediaType(type) !== "application/apply-patch+yaml") {
      let warnings: string[] = [];
      const change = (live: any) => {
        const r = patchObject(info, live, body, type, { fieldValidation: validation });
        warnings = r.warnings;
        return r.object;
      };
      if (
        !["application/json-patch+json", "application/merge-patch+json", "application/strategic-merge-patch+json"].includes(mediaType(type))
      )
        change({});
      const answer = this.update(info, ns, name, sub, [], manager, dry, change, false);
      return { ...answer, warnings: [...warnings, ...answer.warnings] };
    }
    let parsed: ReturnType<typeof parseYaml>;
    try {
      parsed = parseYaml(body);
    } catch (e) {
      throw statusErrors.badRequest(`error decoding YAML: error converting YAML to JSON: ${(e as Error).message}`);
    }
    const config = parsed.value;
    const live = this.objects.get(key(info, ns, name));
    if (config?.kind !== info.kind)
      throw statusErrors.badRequest(
        `invalid object type: ${config?.apiVersion?.includes("/") ? "" : "/"}${config?.apiVersion ?? ""}, Kind=${config?.kind ?? ""}`,
      );
    if (config.metadata?.name && config.metadata.name !== name)
      throw statusErrors.badRequest(`the name of the object (${config.metadata.name}) does not match the name on the URL (${name})`);
    const writer = { manager, time: NOW, force: q.get("force") === "true", subresource: sub || undefined };
    const merged = applyManaged(info, live, config, writer);
    if (live === undefined) return this.create(info, ns, body, type, validation, manager, dry, merged);
    const answer = this.update(info, ns, name, sub, parsed.duplicates, manager, dry, () => merged, false, true);
    return answer;
  }

  private list(info: ResourceInfo, ns: string | undefined, accept: string, q: URLSearchParams): Answer {
    if (!accept.includes("as=Table") || q.has("labelSelector") || info.group === "events.k8s.io") throw new NotPureError("list");
    const prefix = `${info.groupResource}/${ns ?? ""}`;
    const items = [...this.objects.entries()]
      .filter(([k]) => k.startsWith(prefix))
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([, o]) => o);
    const include = (q.get("includeObject") || "Metadata") as any;
    if (!["None", "Metadata", "Object"].includes(include)) throw new NotPureError("includeObject");
    return {
      status: 200,
      body: printTable(info, structuredClone(items), { nowMs: NOW_MS, includeObject: include, metadata: { resourceVersion: "1" } }),
      warnings: info.kind === "Endpoints" ? [ENDPOINTS] : [],
    };
  }

  private table(info: ResourceInfo, accept: string, a: Answer): Answer {
    if (!accept.includes("as=Table") || a.status >= 300) return a;
    return { ...a, body: printTable(info, [a.body], { nowMs: NOW_MS, metadata: { resourceVersion: a.body.metadata.resourceVersion } }) };
  }
}

const key = (info: ResourceInfo, ns: string | undefined, name: string): string => `${info.groupResource}/${ns ?? ""}/${name}`;

function steps(path: string): string[] {
  return path
    .replace(/\[(\d+)\]/g, ".$1")
    .split(".")
    .map((p) => p.replaceAll("~1", "."));
}

function at(o: any, path: string): any {
  return steps(path).reduce((v, k) => v?.[k], o);
}

function put(o: any, path: string, value: any): void {
  const keys = steps(path);
  const last = keys.pop()!;
  let v = o;
  for (const k of keys) v = v[k] ??= {};
  v[last] = value;
}

function drop(o: any, path: string): void {
  const keys = steps(path);
  const last = keys.pop()!;
  const v = keys.reduce((x, k) => x?.[k], o);
  if (v) delete v[last];
}

export function sorted(v: any): any {
  if (Array.isArray(v)) return v.map(sorted);
  if (v === null || typeof v !== "object") return v;
  return Object.fromEntries(
    Object.keys(v)
      .sort()
      .map((k) => [k, sorted(v[k])]),
  );
}

/** Differences between what was recorded and what came, placeholders matching anything of their kind. */
export function differences(want: any, got: any, ns: string, path = ""): string[] {
  if (typeof want === "string" && /^<(port|age)/.test(want) && typeof got === "number") return [];
  if (typeof want === "string") {
    if (typeof got === "string" && pattern(want, ns).test(got)) return [];
    return [`${path}: want ${JSON.stringify(want)}, got ${JSON.stringify(got)}`];
  }
  if (want === null || typeof want !== "object")
    return want === got ? [] : [`${path}: want ${JSON.stringify(want)}, got ${JSON.stringify(got)}`];
  if (Array.isArray(want)) {
    if (!Array.isArray(got)) return [`${path}: want a list, got ${JSON.stringify(got)}`];
    if (want.length !== got.length)
      return [
        `${path}: want ${want.length} items ${JSON.stringify(want).slice(0, 300)}, got ${got.length}: ${JSON.stringify(got).slice(0, 300)}`,
      ];
    const isManaged = path.endsWith(".managedFields");
    const byWriter = (l: any[]) => [...l].sort((a, b) => (writer(a) < writer(b) ? -1 : 1));
    const w = isManaged ? byWriter(want) : want;
    const g = isManaged ? byWriter(got) : got;
    return w.flatMap((x: any, i: number) => differences(x, g[i], ns, `${path}[${i}]`));
  }
  if (got === null || typeof got !== "object" || Array.isArray(got))
    return [`${path}: want ${JSON.stringify(want).slice(0, 200)}, got ${JSON.stringify(got)}`];
  const out: string[] = [];
  const named = (k: string) => k.replaceAll(NS, ns);
  for (const k of Object.keys(want)) {
    if (!(named(k) in got)) out.push(`${path}.${k}: missing (want ${JSON.stringify(want[k]).slice(0, 200)})`);
    else out.push(...differences(want[k], got[named(k)], ns, `${path}.${k}`));
  }
  for (const k of Object.keys(got))
    if (got[k] !== undefined && !Object.keys(want).some((w) => named(w) === k))
      out.push(`${path}.${k}: unexpected ${JSON.stringify(got[k]).slice(0, 200)}`);
  return out;
}

const writer = (e: any): string => `${e.manager}/${e.operation}/${e.subresource ?? ""}`;

const patterns = new Map<string, RegExp>();
function pattern(text: string, ns: string): RegExp {
  let re = patterns.get(`${ns}\0${text}`);
  if (re === undefined) {
    const source = text
      .replaceAll(NS, ns)
      .split(/(<(?:uid|rv|rand|ip|port|time|microtime|continue|token|hash|age)(?::\d+)?>)/)
      .map((p, i) => (i % 2 === 1 ? ".+?" : p.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")))
      .join("");
    re = new RegExp(`^${source}$`, "s");
    patterns.set(`${ns}\0${text}`, re);
  }
  return re;
}
