// API aggregation: APIServices say which group-versions another server answers. This keeps their Available condition, registers the groups
// of custom resources, reads the other servers' discovery and OpenAPI, and finds the server of a request (kube-aggregator).
// Invariants: a group-version is proxied exactly while its APIService names a Service; one that is not available answers 503 at once.
import { type KubeObject, type ResourceInfo, registry, updateManaged } from "@podwire/api";
import { reasonOf, type Timer } from "@podwire/base";
import type { CachedObject } from "../cache/cached-object.ts";
import type { Api, ApiRequest, ApiResponse, User } from "../call.ts";
import { textResponse } from "../response.ts";
import { Deletion } from "../storage/object-storage.ts";
import { timeText } from "../verbs/body.ts";
import { type Availability, LOCAL, PASSED, unavailableBecause, withCondition } from "./availability.ts";
import { Backend, type FrontProxy } from "./backend.ts";
import { type RemoteDocuments, readDocuments } from "./documents.ts";

const GROUP = "apiregistration.k8s.io";
const RESOURCE = "apiservices";
const INFO = registry.byResource(GROUP, "v1", RESOURCE) as ResourceInfo;
/** Whose label says that this server made the object, and takes it away again ("true") or only makes it at start ("onstart"). */
export const AUTOMANAGED = "kube-aggregator.kubernetes.io/automanaged";
/** Custom resources' groups: after every built-in one, before most servers'. */
const CUSTOM_PRIORITY = { groupPriorityMinimum: 1000, versionPriority: 100 };
/** A server that is fine is asked again this often, one that is not sooner and sooner not. */
const RECHECK_MS = 30_000;
const FIRST_RETRY_MS = 250;
/** Questions asked at once; one good answer is enough. */
const ATTEMPTS = 5;
const MAX_SERVERS = 1_000;

interface Remote {
  apiService: KubeObject;
  backend: Backend;
  available: boolean;
  failures: number;
  timer: Timer | undefined;
  checking: boolean;
  again: boolean;
  documents: RemoteDocuments | undefined;
}

export interface RemoteVersion {
  group: string;
  version: string;
  groupPriority: number;
  versionPriority: number;
  available: boolean;
  documents: RemoteDocuments | undefined;
}

export class Aggregator {
  readonly #api: Api;
  readonly #frontProxy: FrontProxy | undefined;
  /** By "group/version". */
  readonly #remotes = new Map<string, Remote>();
  readonly #touched = new Set<string>();
  #sweeping = false;
  #stopped = false;

  constructor(api: Api, frontProxy: FrontProxy | undefined) {
    this.#api = api;
    this.#frontProxy = frontProxy;
  }

  start(): void {
    const { cache } = this.#api;
    for (const o of cache.of(GROUP, RESOURCE).values()) this.#touch(o.key.name);
    for (const gv of this.#customVersions()) this.#touch(nameOf(gv));
    cache.onChange((o) => this.#onChange(o));
  }

  stop(): void {
    this.#stopped = true;
    for (const r of this.#remotes.values()) this.#close(r);
    this.#remotes.clear();
  }

  get isEmpty(): boolean {
    return this.#remotes.size === 0;
  }

  /** Every group-version that another server answers. */
  remotes(): RemoteVersion[] {
    return [...this.#remotes.values()].map(({ apiService: { spec }, available, documents }) => ({
      group: spec.group,
      version: spec.version,
      groupPriority: spec.groupPriorityMinimum,
      versionPriority: spec.versionPriority,
      available,
      documents,
    }));
  }

  /** The answer of another server; undefined when the path is not one of theirs. */
  /** Whether a path may belong to a remote server. */
  serves(path: string): boolean {
    return this.#remotes.size > 0 && path.includes("/apis/");
  }

  forward(request: ApiRequest, path: string, user: User): Promise<ApiResponse> | undefined {
    if (this.#remotes.size === 0) return undefined;
    const m = /^(?:\/openapi\/v3)?\/apis\/([^/]+)\/([^/]+)/.exec(path);
    const r = m && this.#remotes.get(`${m[1]}/${m[2]}`);
    if (!r) return undefined;
    if (!r.available) return Promise.resolve(textResponse(503, "service unavailable\n"));
    return r.backend.forward(request, user);
  }

  #onChange(o: CachedObject): void {
    const { group, resource, namespace, name } = o.key;
    if (group === GROUP && resource === RESOURCE) this.#touch(name);
    else if (group === "apiextensions.k8s.io" && resource === "customresourcedefinitions")
      for (const v of o.object["spec"]?.versions ?? []) this.#touch(`${v.name}.${o.object["spec"].group}`);
    else if (this.#remotes.size > 0 && resource === "services" && group === "") this.#recheck(namespace, name);
    else if (this.#remotes.size > 0 && resource === "endpointslices")
      this.#recheck(namespace, o.object.metadata.labels?.["kubernetes.io/service-name"] ?? "");
  }

  #recheck(namespace: string, name: string): void {
    for (const r of this.#remotes.values()) {
      const s = r.apiService["spec"].service;
      if (s.namespace === namespace && s.name === name) this.#check(r);
    }
  }

  /** Changes of a moment are looked at together, after whoever made them has served them. */
  #touch(name: string): void {
    this.#touched.add(name);
    if (this.#sweeping || this.#stopped) return;
    this.#sweeping = true;
    this.#api.clock.soon(() => {
      void this.#sweep().finally(() => {
        this.#sweeping = false;
        const [next] = this.#touched;
        if (next !== undefined) this.#touch(next);
      });
    });
  }

  async #sweep(): Promise<void> {
    const names = [...this.#touched];
    this.#touched.clear();
    for (const name of names) {
      if (this.#stopped) return;
      try {
        await this.#reconcile(name);
      } catch (e) {
        this.#api.log.warn({ apiService: name, reason: reasonOf(e) }, "an APIService is tried again");
        this.#api.clock.after(FIRST_RETRY_MS, () => this.#touch(name), { unref: true });
      }
    }
  }

  async #reconcile(name: string): Promise<void> {
    const at = name.indexOf(".");
    const [version, group] = [name.slice(0, at), name.slice(at + 1)];
    const apiService = this.#api.cache.of(GROUP, RESOURCE).get("", name)?.object;
    const isCustom = this.#customVersions().some((gv) => gv.group === group && gv.version === version);
    this.#follow(`${group}/${version}`, apiService);
    if (!apiService && isCustom) return this.#register(name, group, version);
    if (!apiService) return;
    if (!isCustom && apiService.metadata.labels?.[AUTOMANAGED] === "true" && !apiService["spec"].service) {
      await this.#api.storage.update(keyOf(name), (current) => new Deletion(current ?? apiService, true)).catch(ignoreAbsence);
      return;
    }
    if (!apiService["spec"].service) await this.#report(name, LOCAL);
  }

  /** Begins, renews or ends the proxying of a group-version. */
  #follow(id: string, apiService: KubeObject | undefined): void {
    const old = this.#remotes.get(id);
    const isRemote = apiService?.["spec"]?.service !== undefined;
    if (old && isRemote && JSON.stringify(old.apiService["spec"]) === JSON.stringify(apiService["spec"])) {
      old.apiService = apiService;
      return;
    }
    if (old) {
      this.#close(old);
      this.#remotes.delete(id);
      this.#api.catalogue.generation++;
    }
    if (!isRemote || this.#remotes.size >= MAX_SERVERS) return;
    const remote: Remote = {
      apiService,
      backend: new Backend(this.#api, apiService, this.#frontProxy),
      available: (apiService["status"]?.conditions ?? []).some((c: any) => c.type === "Available" && c.status === "True"),
      failures: 0,
      timer: undefined,
      checking: false,
      again: false,
      documents: old?.documents,
    };
    this.#remotes.set(id, remote);
    this.#api.catalogue.generation++;
    this.#check(remote);
  }

  /** One check at a time for each server; a change meanwhile asks for another. */
  #check(r: Remote): void {
    if (r.checking) {
      r.again = true;
      return;
    }
    r.timer?.cancel();
    r.checking = true;
    void this.#availability(r)
      .then(async (a) => {
        if (this.#isGone(r)) return;
        const was = r.available;
        r.available = a.status === "True";
        r.failures = r.available ? 0 : r.failures + 1;
        await this.#report(r.apiService.metadata.name as string, a);
        if (r.available) await this.#refresh(r);
        else if (was) this.#api.catalogue.generation++;
      })
      .catch((e) => this.#api.log.warn({ apiService: r.apiService.metadata.name, reason: reasonOf(e) }, "an API server was not checked"))
      .finally(() => {
        r.checking = false;
        if (this.#isGone(r)) return;
        const wait = r.failures === 0 ? RECHECK_MS : Math.min(RECHECK_MS, FIRST_RETRY_MS * 2 ** r.failures);
        if (r.again) {
          r.again = false;
          this.#check(r);
        } else r.timer = this.#api.clock.after(wait, () => this.#check(r), { unref: true });
      });
  }

  async #availability(r: Remote): Promise<Availability> {
    const { cache } = this.#api;
    const { group, version, service } = r.apiService["spec"];
    const slices = [...cache.of("discovery.k8s.io", "endpointslices").values(service.namespace)]
      .map((o) => o.object)
      .filter((o) => o.metadata.labels?.["kubernetes.io/service-name"] === service.name);
    const because = unavailableBecause(r.apiService, cache.of("", "services").get(service.namespace, service.name)?.object, slices);
    if (because) return because;
    const path = `/apis/${group}/${version}`;
    const ask = async () => {
      const d = await r.backend.ask(path, "application/json", ["system:masters"]);
      if (d.status < 200 || d.status >= 300)
        throw new Error(
          `failing or missing response from https://${service.name}.${service.namespace}.svc:${service.port ?? 443}${path}: bad status from https://${service.name}.${service.namespace}.svc:${service.port ?? 443}${path}: ${d.status}`,
        );
    };
    try {
      await Promise.any(Array.from({ length: ATTEMPTS }, ask));
      return PASSED;
    } catch (e) {
      return { status: "False", reason: "FailedDiscoveryCheck", message: reasonOf((e as AggregateError).errors?.at(-1) ?? e) };
    }
  }

  /** Reads the server's documents; what is served changes only when they did. */
  async #refresh(r: Remote): Promise<void> {
    const { group, version } = r.apiService["spec"];
    const before = JSON.stringify(r.documents);
    r.documents = await readDocuments(r.backend, group, version, r.documents);
    if (JSON.stringify(r.documents) !== before) this.#api.catalogue.generation++;
  }

  async #report(name: string, a: Availability): Promise<void> {
    const current = this.#api.cache.of(GROUP, RESOURCE).get("", name)?.object;
    const now = timeText(this.#api.clock.nowMs());
    if (!current || withCondition(current["status"], a, now) === current["status"]) return;
    await this.#api.storage
      .update(keyOf(name), (live) => {
        if (!live) throw new Error("the APIService is gone");
        const next = { ...live, status: withCondition(live["status"], a, now) };
        return updateManaged(INFO, live, next, { manager: "kube-apiserver", operation: "Update", time: now, subresource: "status" });
      })
      .catch(ignoreAbsence);
  }

  async #register(name: string, group: string, version: string): Promise<void> {
    const now = timeText(this.#api.clock.nowMs());
    const object: KubeObject = {
      kind: "APIService",
      apiVersion: `${GROUP}/v1`,
      metadata: { name, uid: this.#api.random.uuid(), creationTimestamp: now, labels: { [AUTOMANAGED]: "true" } },
      spec: { group, version, ...CUSTOM_PRIORITY },
      status: withCondition({}, LOCAL, now),
    };
    const managed = updateManaged(INFO, undefined, object, { manager: "kube-apiserver", operation: "Update", time: now });
    await this.#api.storage.create(keyOf(name), managed).catch((e: { code?: number }) => {
      if (e.code !== 409) throw e; // another apiserver was faster
    });
  }

  #customVersions(): { group: string; version: string }[] {
    const found = new Map<string, { group: string; version: string }>();
    for (const s of this.#api.catalogue.all()) if (s.custom) found.set(s.apiVersion, { group: s.info.group, version: s.info.version });
    return [...found.values()];
  }

  #isGone(r: Remote): boolean {
    const { group, version } = r.apiService["spec"];
    return this.#stopped || this.#remotes.get(`${group}/${version}`) !== r;
  }

  #close(r: Remote): void {
    r.timer?.cancel();
    r.backend.close();
  }
}

function nameOf(gv: { group: string; version: string }): string {
  return `${gv.version}.${gv.group}`;
}

function keyOf(name: string) {
  return { group: GROUP, resource: RESOURCE, namespace: "", name };
}

function ignoreAbsence(e: unknown): void {
  if (!/gone|not found/i.test(reasonOf(e))) throw e;
}
