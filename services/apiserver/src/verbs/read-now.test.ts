// Whatever is answered at once is what the long way answers, and what is unusual or refused takes the long way.
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import type { ApiRequest, User } from "../call.ts";
import { type InProcess, startInProcess } from "../in-process.ts";
import { bytesOf } from "../response.ts";

const ADMIN: User = { name: "admin", groups: ["system:masters", "system:authenticated"] };
const NODE: User = { name: "system:node:n", groups: ["system:nodes", "system:authenticated"] };
const NOBODY: User = { name: "nobody", groups: ["system:authenticated"] };
const GROUP = "things.example.org";
let api: InProcess;

beforeAll(async () => {
  api = await startInProcess({ flags: { "disable-admission-plugins": "ServiceAccount" } });
  const names = { plural: "things", singular: "thing", kind: "Thing", listKind: "ThingList" };
  const schema = { openAPIV3Schema: { type: "object", "x-kubernetes-preserve-unknown-fields": true } };
  const version = (name: string, storage: boolean, more: object = {}) => ({ name, served: true, storage, schema, ...more });
  const made = [
    await api.request("POST", "/api/v1/namespaces/default/configmaps", { metadata: { name: "a" }, data: { k: "v" } }),
    await api.request("POST", "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers", {
      metadata: { name: "h" },
      spec: { maxReplicas: 2, scaleTargetRef: { kind: "Deployment", name: "d", apiVersion: "apps/v1" } },
    }),
    await api.request("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", {
      metadata: { name: `things.${GROUP}` },
      spec: { group: GROUP, names, scope: "Namespaced", versions: [version("v1", true), version("v1beta1", false, { deprecated: true })] },
    }),
  ];
  expect(made.map((m) => m.status)).toEqual([201, 201, 201]);
  const things = `/apis/${GROUP}/v1/namespaces/default/things`;
  await vi.waitUntil(async () => (await api.request("POST", things, { metadata: { name: "t" } })).status === 201);
});
afterAll(() => api.stop());

const get = (path: string, headers: ApiRequest["headers"] = {}): ApiRequest => ({ method: "GET", path, headers });

describe("answered at once, as the long way answers", () => {
  it.each([
    ["/api/v1/namespaces/default/configmaps/a", ADMIN],
    ["/api/v1/namespaces/default", ADMIN],
    ["/api/v1/namespaces/default/", ADMIN],
    ["/apis/rbac.authorization.k8s.io/v1/clusterroles/admin", ADMIN],
    ["/apis/rbac.authorization.k8s.io/v1/clusterroles/%61dmin", ADMIN],
    ["/apis/autoscaling/v1/namespaces/default/horizontalpodautoscalers/h", ADMIN],
    [`/apis/${GROUP}/v1/namespaces/default/things/t`, ADMIN],
    ["/api/v1/namespaces/default/services/kubernetes", NODE],
  ])("%s", async (path, user) => {
    for (const headers of [{}, { accept: "application/json" }, { accept: "*/*" }]) {
      const now = api.server.handler.handleNow(get(path, headers), user);
      const later = await api.server.handler.handle(get(path, headers), user);
      expect(now && { ...now, body: Buffer.from(bytesOf(now.body)).toString() }).toEqual({
        ...later,
        body: Buffer.from(bytesOf(later.body)).toString(),
      });
      expect(now?.status).toBe(200);
    }
  });
});

describe("takes the long way", () => {
  const configMap = "/api/v1/namespaces/default/configmaps/a";
  it.each([
    ["what is not there", get("/api/v1/namespaces/default/configmaps/none"), ADMIN, 404],
    ["who may not", get(configMap), NOBODY, 403],
    ["who may not know whether it exists", get("/api/v1/namespaces/default/configmaps/none"), NOBODY, 403],
    ["a query", get(`${configMap}?resourceVersion=0`), ADMIN, 200],
    ["a table", get(configMap, { accept: "application/json;as=Table;v=v1;g=meta.k8s.io" }), ADMIN, 200],
    ["YAML", get(configMap, { accept: "application/yaml" }), ADMIN, 200],
    ["somebody else's request", get(configMap, { "impersonate-user": "nobody" }), ADMIN, 403],
    ["a list", get("/api/v1/namespaces/default/configmaps"), ADMIN, 200],
    ["a subresource", get("/api/v1/namespaces/default/status"), ADMIN, 200],
    ["a warning of the kind", get("/api/v1/namespaces/default/endpoints/kubernetes"), ADMIN, 200],
    ["a warning of the version", get(`/apis/${GROUP}/v1beta1/namespaces/default/things/t`), ADMIN, 200],
    ["what is computed", get("/api/v1/componentstatuses/etcd-0"), ADMIN, 200],
    ["an unknown resource", get("/api/v1/namespaces/default/nothings/a"), ADMIN, 404],
    ["a wrong scope", get("/api/v1/namespaces/default/nodes/a"), ADMIN, 404],
    ["documents", get("/api/v1"), ADMIN, 200],
    ["another method", { ...get(configMap), method: "HEAD" }, ADMIN, 405],
  ])("%s", async (_what, request, user, status) => {
    expect(api.server.handler.handleNow(request, user)).toBeUndefined();
    expect((await api.server.handler.handle(request, user)).status).toBe(status);
  });

  it("what the cache may not have seen yet", async () => {
    const { cache } = api.server.api;
    Object.defineProperty(cache, "isFresh", { value: false, configurable: true });
    expect(api.server.handler.handleNow(get(configMap), ADMIN)).toBeUndefined();
    Reflect.deleteProperty(cache, "isFresh");
    expect(api.server.handler.handleNow(get(configMap), ADMIN)?.status).toBe(200);
  });
});

it("counts what it answers", async () => {
  const { requests } = api.server.handler.counters;
  const before = requests.get("get configmaps 200") ?? 0;
  api.server.handler.handleNow(get("/api/v1/namespaces/default/configmaps/a"), ADMIN);
  expect(requests.get("get configmaps 200")).toBe(before + 1);
});
