// What a fresh cluster holds: namespaces, RBAC policy, priority classes, flow schemas, the `kubernetes` Service and its endpoints.
// Invariant: objects that exist are left as they are (people may have changed them), but for the endpoints of `kubernetes`, which follow
// --advertise-address.

import type { Logger } from "@podwire/base";
import { AUTOMANAGED } from "../aggregation/aggregator.ts";
import type { WatchCache } from "../cache/watch-cache.ts";
import type { ApiRequest, ApiResponse, User } from "../call.ts";
import { FRONT_PROXY_NAME } from "../transport/pki.ts";
import {
  API_SERVICES,
  CLUSTER_ROLE_BINDINGS,
  CLUSTER_ROLES,
  FLOW_SCHEMAS,
  NAMESPACES,
  PRIORITY_CLASSES,
  PRIORITY_LEVELS,
  ROLE_BINDINGS,
  ROLES,
} from "./generated/tables.ts";

import { OWN_CLUSTER_ROLES, ownBindings } from "./own-policy.ts";

/** An object without kind; `name`, `namespace`, `labels` belong into metadata, the rest stays beside it. */
export interface BootstrapRow {
  name: string;
  namespace?: string;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  [field: string]: unknown;
}

export interface BootstrapOptions {
  handle: (request: ApiRequest, user: User) => Promise<ApiResponse>;
  cache: WatchCache;
  log: Logger;
  securePort: number;
  kubernetesServiceIp: string;
  /** Makes the ServiceCIDR that addresses of Services come from. */
  addresses: () => Promise<void>;
  /** The day, as YYYY-MM-DD. */
  today: string;
  /** Whether metrics.k8s.io is served here. */
  metricsServer?: boolean;
  /** PEM of the authorities of client certificates, and of the front proxy's. */
  clientCa?: string;
  requestHeaderCa?: string;
}

const SELF: User = { name: "system:apiserver", groups: ["system:masters", "system:authenticated"] };
const RBAC = "/apis/rbac.authorization.k8s.io/v1";
const RBAC_DEFAULTS = {
  labels: { "kubernetes.io/bootstrapping": "rbac-defaults" },
  annotations: { "rbac.authorization.kubernetes.io/autoupdate": "true" },
};
/** Written by the server, and kept as it wrote them while this says so. */
const AUTOUPDATED = { annotations: { "apf.kubernetes.io/autoupdate-spec": "true" } };
/** What an installation of metrics-server brings: its group, and the right to read it for whoever may view. */
const METRICS_SERVER = {
  apiServices: [
    {
      name: "v1beta1.metrics.k8s.io",
      labels: { "k8s-app": "metrics-server" },
      spec: { group: "metrics.k8s.io", version: "v1beta1", groupPriorityMinimum: 100, versionPriority: 100 },
    },
  ],
  clusterRoles: [
    {
      name: "system:aggregated-metrics-reader",
      labels: {
        "k8s-app": "metrics-server",
        "rbac.authorization.k8s.io/aggregate-to-admin": "true",
        "rbac.authorization.k8s.io/aggregate-to-edit": "true",
        "rbac.authorization.k8s.io/aggregate-to-view": "true",
      },
      rules: [{ apiGroups: ["metrics.k8s.io"], resources: ["pods", "nodes"], verbs: ["get", "list", "watch"] }],
    },
  ],
};
/** Requests under way at once. */
const PARALLEL = 16;

export async function bootstrap(o: BootstrapOptions): Promise<void> {
  const tasks: (() => Promise<void>)[] = [];
  const rows = (list: readonly BootstrapRow[], path: (r: BootstrapRow) => string, group: string, resource: string, extra: object = {}) => {
    for (const r of list) {
      if (o.cache.of(group, resource).get(r.namespace ?? "", r.name)) continue;
      tasks.push(() => post(o, path(r), objectOf(r, extra)));
    }
  };
  const run = async () => {
    const workers = Array.from({ length: PARALLEL }, async () => {
      for (let t = tasks.shift(); t; t = tasks.shift()) await t();
    });
    await Promise.all(workers);
  };
  rows(NAMESPACES, () => "/api/v1/namespaces", "", "namespaces");
  await run();
  rows(aggregated(CLUSTER_ROLES), () => `${RBAC}/clusterroles`, "rbac.authorization.k8s.io", "clusterroles", RBAC_DEFAULTS);
  rows(OWN_CLUSTER_ROLES, () => `${RBAC}/clusterroles`, "rbac.authorization.k8s.io", "clusterroles");
  const controllers = CLUSTER_ROLES.map((r) => r.name).filter((n) => n.startsWith("system:controller:"));
  rows(ownBindings(controllers), () => `${RBAC}/clusterrolebindings`, "rbac.authorization.k8s.io", "clusterrolebindings");
  rows(CLUSTER_ROLE_BINDINGS, () => `${RBAC}/clusterrolebindings`, "rbac.authorization.k8s.io", "clusterrolebindings", RBAC_DEFAULTS);
  rows(ROLES, (r) => `${RBAC}/namespaces/${r.namespace}/roles`, "rbac.authorization.k8s.io", "roles", RBAC_DEFAULTS);
  rows(ROLE_BINDINGS, (r) => `${RBAC}/namespaces/${r.namespace}/rolebindings`, "rbac.authorization.k8s.io", "rolebindings", RBAC_DEFAULTS);
  rows(PRIORITY_CLASSES, () => "/apis/scheduling.k8s.io/v1/priorityclasses", "scheduling.k8s.io", "priorityclasses");
  const flow = "flowcontrol.apiserver.k8s.io";
  rows(PRIORITY_LEVELS, () => `/apis/${flow}/v1/prioritylevelconfigurations`, flow, "prioritylevelconfigurations", AUTOUPDATED);
  rows(FLOW_SCHEMAS, () => `/apis/${flow}/v1/flowschemas`, flow, "flowschemas", AUTOUPDATED);
  const registered = { labels: { [AUTOMANAGED]: "onstart" } };
  rows(API_SERVICES, () => "/apis/apiregistration.k8s.io/v1/apiservices", "apiregistration.k8s.io", "apiservices", registered);
  if (o.metricsServer)
    rows(METRICS_SERVER.apiServices, () => "/apis/apiregistration.k8s.io/v1/apiservices", "apiregistration.k8s.io", "apiservices");
  if (o.metricsServer) rows(METRICS_SERVER.clusterRoles, () => `${RBAC}/clusterroles`, "rbac.authorization.k8s.io", "clusterroles");
  await run();
  await authenticationConfig(o);
  await tokenTracking(o);
  await kubernetesService(o);
}

/** How extension API servers recognize this one and its users (kube-system/extension-apiserver-authentication). */
async function authenticationConfig(o: BootstrapOptions): Promise<void> {
  if (o.clientCa === undefined || o.requestHeaderCa === undefined) return;
  const name = "extension-apiserver-authentication";
  const data = {
    "client-ca-file": o.clientCa,
    "requestheader-allowed-names": JSON.stringify([FRONT_PROXY_NAME]),
    "requestheader-client-ca-file": o.requestHeaderCa,
    "requestheader-extra-headers-prefix": JSON.stringify(["X-Remote-Extra-"]),
    "requestheader-group-headers": JSON.stringify(["X-Remote-Group"]),
    "requestheader-uid-headers": JSON.stringify(["X-Remote-Uid"]),
    "requestheader-username-headers": JSON.stringify(["X-Remote-User"]),
  };
  const config = { kind: "ConfigMap", apiVersion: "v1", metadata: { name, namespace: "kube-system" }, data };
  const path = "/api/v1/namespaces/kube-system/configmaps";
  const there = o.cache.of("", "configmaps").get("kube-system", name)?.object;
  if (!there) await post(o, path, config);
  else if (JSON.stringify(there["data"]) !== JSON.stringify(data)) await put(o, `${path}/${name}`, config);
}

/** Since when the use of legacy tokens is noted (controlplane/controller/legacytokentracking). */
async function tokenTracking(o: BootstrapOptions): Promise<void> {
  const name = "kube-apiserver-legacy-service-account-token-tracking";
  if (o.cache.of("", "configmaps").get("kube-system", name)) return;
  const config = { kind: "ConfigMap", apiVersion: "v1", metadata: { name, namespace: "kube-system" }, data: { since: o.today } };
  await post(o, "/api/v1/namespaces/kube-system/configmaps", config);
}

async function kubernetesService(o: BootstrapOptions): Promise<void> {
  const labels = { component: "apiserver", provider: "kubernetes" };
  await o.addresses();
  if (!o.cache.of("", "services").get("default", "kubernetes")) {
    const ports = [{ name: "https", protocol: "TCP", port: 443, targetPort: o.securePort }];
    await post(o, "/api/v1/namespaces/default/services", {
      metadata: { name: "kubernetes", labels },
      spec: { type: "ClusterIP", clusterIP: o.kubernetesServiceIp, ports, sessionAffinity: "None" },
    });
  }
}

/** The rules of roles that collect others' by label, as the aggregation controller would fill them in. */
export function aggregated(roles: readonly BootstrapRow[]): BootstrapRow[] {
  const rulesOf = (role: BootstrapRow, depth: number): unknown[] => {
    const selectors = (role["aggregationRule"] as { clusterRoleSelectors?: { matchLabels?: Record<string, string> }[] } | undefined)
      ?.clusterRoleSelectors;
    if (!selectors || depth > 4) return (role["rules"] as unknown[]) ?? [];
    const parts = roles.filter((r) => selectors.some((s) => Object.entries(s.matchLabels ?? {}).every(([k, v]) => r.labels?.[k] === v)));
    const seen = new Set<string>();
    return parts
      .sort((a, b) => (a.name < b.name ? -1 : 1))
      .flatMap((r) => rulesOf(r, depth + 1))
      .filter((r) => {
        const text = JSON.stringify(r);
        if (seen.has(text)) return false;
        seen.add(text);
        return true;
      });
  };
  return roles.map((r) => (r["aggregationRule"] ? { ...r, rules: rulesOf(r, 0) } : r));
}

function objectOf(r: BootstrapRow, extra: { labels?: object; annotations?: object }): unknown {
  const { name, namespace, labels, annotations, ...rest } = r;
  return {
    metadata: {
      name,
      ...(namespace ? { namespace } : {}),
      labels: { ...extra.labels, ...labels },
      annotations: { ...extra.annotations, ...annotations },
    },
    ...rest,
  };
}

async function post(o: BootstrapOptions, path: string, body: unknown): Promise<void> {
  await send(o, "POST", path, body, [201, 409]);
}

async function put(o: BootstrapOptions, path: string, body: unknown): Promise<void> {
  await send(o, "PUT", path, body, [200, 201, 409]);
}

async function send(o: BootstrapOptions, method: string, path: string, body: unknown, good: readonly number[]): Promise<void> {
  const headers = { "content-type": "application/json", "user-agent": "kube-apiserver/v1.34" };
  const r = await o.handle({ method, path, headers, body: new TextEncoder().encode(JSON.stringify(body)) }, SELF);
  if (!good.includes(r.status))
    o.log.error({ method, path, status: r.status, answer: String(r.body).slice(0, 500) }, "a bootstrap object could not be written");
}
