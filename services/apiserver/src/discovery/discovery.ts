// Discovery: /api and /apis, each legacy (APIVersions, APIGroupList, APIGroup, APIResourceList) and aggregated (apidiscovery.k8s.io v2 and
// v2beta1). Built from the catalogue and cached until it changes.
import { createHash } from "node:crypto";
import type { ResourceInfo } from "@podwire/api";
import { statusErrors } from "@podwire/api";
import type { RemoteVersion } from "../aggregation/aggregator.ts";
import type { ApiResponse } from "../call.ts";
import type { RequestInfo } from "../request/request-info.ts";
import { apiVersionOf, type Catalogue, compareVersions } from "../resources/catalogue.ts";
import { jsonResponse, textResponse } from "../response.ts";

/** Order of the built-in groups in lists, as kube-apiserver registers them; others follow by priority, then name. */
const GROUP_ORDER = [
  "apiregistration.k8s.io",
  "apps",
  "events.k8s.io",
  "authentication.k8s.io",
  "authorization.k8s.io",
  "autoscaling",
  "batch",
  "certificates.k8s.io",
  "networking.k8s.io",
  "policy",
  "rbac.authorization.k8s.io",
  "storage.k8s.io",
  "admissionregistration.k8s.io",
  "apiextensions.k8s.io",
  "scheduling.k8s.io",
  "coordination.k8s.io",
  "node.k8s.io",
  "discovery.k8s.io",
  "resource.k8s.io",
  "flowcontrol.apiserver.k8s.io",
];

/** Priority of the groups of custom resources among those of other servers. */
const CUSTOM_PRIORITY = 1000;
const CUSTOM_VERSION_PRIORITY = 100;

interface Cached {
  body: string;
  etag: string;
}

export class Discovery {
  readonly #catalogue: Catalogue;
  readonly #serverAddress: string;
  readonly #openApi: (info: RequestInfo, accept: string) => ApiResponse | undefined;
  readonly #remotes: () => readonly RemoteVersion[];
  #generation = 0;
  #documents = new Map<string, Cached>();

  constructor(
    catalogue: Catalogue,
    serverAddress: string,
    openApi: (info: RequestInfo, accept: string) => ApiResponse | undefined = () => undefined,
    remotes: () => readonly RemoteVersion[] = () => [],
  ) {
    this.#remotes = remotes;
    this.#catalogue = catalogue;
    this.#serverAddress = serverAddress;
    this.#openApi = openApi;
  }

  /** undefined: not a discovery path. */
  answer(info: RequestInfo, accept: string, method: string): ApiResponse | undefined {
    const path = info.path.length > 1 ? info.path.replace(/\/+$/, "") : info.path;
    if (path === "/" || path === "") return this.#document("/", () => ({ paths: this.#paths() }));
    if (path.startsWith("/openapi/")) return this.#openApi(info, accept);
    if (path !== "/api" && path !== "/apis" && !path.startsWith("/api/") && !path.startsWith("/apis/")) return undefined;
    if (method !== "GET") throw statusErrors.methodNotAllowed();
    if (path === "/api" || path === "/apis") {
      const version = aggregatedVersion(accept);
      if (version) return this.#aggregated(path === "/api", version);
      return this.#document(path, () => (path === "/api" ? this.#coreVersions() : this.#groupList()));
    }
    const parts = path.split("/").slice(1);
    if (parts[0] === "api") {
      if (parts.length !== 2) return undefined;
      if (parts[1] !== "v1") throw statusErrors.genericNotFound();
      return this.#document(path, () => this.#resourceList("", "v1"));
    }
    const group = parts[1] as string;
    const versions = this.#versions(group);
    if (versions.length === 0 || group === "") return textResponse(404, "404 page not found\n");
    if (parts.length === 2) return this.#document(path, () => this.#group(group, versions));
    const version = parts[2] as string;
    if (!versions.includes(version)) throw statusErrors.genericNotFound();
    return this.#document(path, () => this.#resourceList(group, version));
  }

  groups(): string[] {
    const remotes = this.#remotes();
    const present = new Set([...this.#catalogue.groups().keys(), ...remotes.map((r) => r.group)]);
    present.delete("");
    const rank = (g: string) => {
      const i = GROUP_ORDER.indexOf(g);
      return i < 0 ? GROUP_ORDER.length : i;
    };
    const own = this.#catalogue.groups();
    const priority = (g: string) =>
      Math.max(own.has(g) ? CUSTOM_PRIORITY : 0, ...remotes.filter((r) => r.group === g).map((r) => r.groupPriority));
    return [...present].sort((a, b) => rank(a) - rank(b) || priority(b) - priority(a) || (a < b ? -1 : 1));
  }

  /** Versions of a group in order of preference, those of other servers among them. */
  #versions(group: string): readonly string[] {
    const own = this.#catalogue.groups().get(group) ?? [];
    const remotes = this.#remotes().filter((r) => r.group === group);
    if (remotes.length === 0) return own;
    const priority = new Map<string, number>(own.map((v) => [v, CUSTOM_VERSION_PRIORITY]));
    for (const r of remotes) priority.set(r.version, r.versionPriority);
    return [...priority.keys()].sort((a, b) => (priority.get(b) as number) - (priority.get(a) as number) || compareVersions(a, b));
  }

  #document(id: string, make: () => unknown, contentType = "application/json"): ApiResponse {
    if (this.#generation !== this.#catalogue.generation) {
      this.#documents.clear();
      this.#generation = this.#catalogue.generation;
    }
    let d = this.#documents.get(id);
    if (!d) {
      const body = JSON.stringify(make());
      d = { body, etag: `"${createHash("sha512").update(body).digest("hex").toUpperCase()}"` };
      this.#documents.set(id, d);
    }
    const r = jsonResponse(200, null);
    r.body = d.body;
    r.headers["content-type"] = contentType;
    if (contentType !== "application/json") {
      r.headers["etag"] = d.etag;
      r.headers["vary"] = "Accept";
    }
    return r;
  }

  #aggregated(core: boolean, version: "v2" | "v2beta1"): ApiResponse {
    const contentType = `application/json;g=apidiscovery.k8s.io;v=${version};as=APIGroupDiscoveryList`;
    return this.#document(
      `${core ? "/api" : "/apis"} ${version}`,
      () => ({
        kind: "APIGroupDiscoveryList",
        apiVersion: `apidiscovery.k8s.io/${version}`,
        metadata: {},
        items: (core ? [""] : this.groups()).map((g) => this.#groupDiscovery(g)),
      }),
      contentType,
    );
  }

  #groupDiscovery(group: string): unknown {
    const remotes = new Map(this.#remotes().map((r) => [`${r.group}/${r.version}`, r]));
    return {
      metadata: group === "" ? {} : { name: group },
      versions: this.#versions(group).map((version) => {
        const remote = remotes.get(`${group}/${version}`);
        if (!remote)
          return {
            version,
            resources: this.#catalogue.inVersion(group, version).map((s) => resourceDiscovery(s.info)),
            freshness: "Current",
          };
        const { available, documents } = remote;
        const resources = documents?.resources ?? [];
        return { version, ...(resources.length > 0 ? { resources } : {}), freshness: available && documents ? "Current" : "Stale" };
      }),
    };
  }

  #coreVersions(): unknown {
    return {
      kind: "APIVersions",
      versions: ["v1"],
      serverAddressByClientCIDRs: [{ clientCIDR: "0.0.0.0/0", serverAddress: this.#serverAddress }],
    };
  }

  #groupList(): unknown {
    return {
      kind: "APIGroupList",
      apiVersion: "v1",
      groups: this.groups().map((g) => groupBody(g, this.#versions(g))),
    };
  }

  #group(group: string, versions: readonly string[]): unknown {
    return { kind: "APIGroup", apiVersion: "v1", ...groupBody(group, versions) };
  }

  #resourceList(group: string, version: string): unknown {
    const resources: unknown[] = [];
    for (const { info } of this.#catalogue.inVersion(group, version)) {
      resources.push(legacyResource(info));
      for (const s of info.subresources) {
        resources.push({
          name: `${info.resource}/${s.name}`,
          singularName: "",
          namespaced: info.namespaced,
          ...(s.foreign ? { group: s.group, version: s.version } : {}),
          kind: s.kind,
          verbs: [...s.verbs].sort(),
        });
      }
    }
    (resources as { name: string }[]).sort((a, b) => (a.name < b.name ? -1 : 1));
    return {
      kind: "APIResourceList",
      ...(group === "" ? {} : { apiVersion: "v1" }),
      groupVersion: apiVersionOf(group, version),
      resources,
    };
  }

  #paths(): string[] {
    const paths = [
      "/.well-known/openid-configuration",
      "/openid/v1/jwks",
      "/api",
      "/api/v1",
      "/apis",
      "/healthz",
      "/livez",
      "/metrics",
      "/openapi/v2",
      "/openapi/v3",
      "/readyz",
      "/version",
    ];
    for (const g of this.groups()) paths.push(`/apis/${g}`, ...this.#versions(g).map((v) => `/apis/${g}/${v}`));
    return paths.sort();
  }
}

function aggregatedVersion(accept: string): "v2" | "v2beta1" | undefined {
  for (const clause of accept.split(",")) {
    const m =
      /g=apidiscovery\.k8s\.io/.test(clause) && /as=APIGroupDiscoveryList/.test(clause)
        ? /v=(v2beta1|v2)(;|$)/.exec(clause.replace(/\s/g, ""))
        : null;
    if (m && clause.trim().startsWith("application/json")) return m[1] as "v2" | "v2beta1";
    if (clause.trim() === "application/json") return undefined;
  }
  return undefined;
}

function groupBody(group: string, versions: readonly string[]): Record<string, unknown> {
  const list = versions.map((version) => ({ groupVersion: `${group}/${version}`, version }));
  return { name: group, versions: list, preferredVersion: list[0] };
}

function legacyResource(info: ResourceInfo): Record<string, unknown> {
  const stored = info.verbs.includes("list") && info.verbs.includes("create");
  return {
    name: info.resource,
    singularName: info.singular,
    namespaced: info.namespaced,
    kind: info.kind,
    verbs: info.custom === undefined ? [...info.verbs].sort() : [...info.verbs],
    ...(info.shortNames.length > 0 ? { shortNames: info.shortNames } : {}),
    ...(info.categories.length > 0 ? { categories: info.categories } : {}),
    ...(stored ? { storageVersionHash: hashOf(info) } : {}),
  };
}

function hashOf(info: ResourceInfo): string {
  return createHash("sha256").update(`${info.group}/${info.version}/${info.kind}`).digest().subarray(0, 8).toString("base64");
}

function resourceDiscovery(info: ResourceInfo): Record<string, unknown> {
  // Built-in resources leave their own group and version empty; clients fill them in from where they read it.
  const own = info.custom === undefined ? { group: "", version: "" } : { group: info.group, version: info.version };
  const subresources = info.subresources.map((s) => ({
    subresource: s.name,
    responseKind: { group: s.foreign ? s.group : own.group, version: s.foreign ? s.version : own.version, kind: s.kind },
    verbs: [...s.verbs].sort(),
  }));
  return {
    resource: info.resource,
    responseKind: { ...own, kind: info.kind },
    scope: info.namespaced ? "Namespaced" : "Cluster",
    singularResource: info.singular,
    verbs: [...info.verbs].sort(),
    ...(info.shortNames.length > 0 ? { shortNames: info.shortNames } : {}),
    ...(info.categories.length > 0 ? { categories: info.categories } : {}),
    ...(subresources.length > 0 ? { subresources } : {}),
  };
}
