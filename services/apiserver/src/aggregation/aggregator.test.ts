// Aggregated APIs with a real extension API server behind HTTPS: it asks for the front proxy's certificate, believes its headers, serves a
// kind of its own and a stream; its Service is an ExternalName, so that the host's network leads there.
import https from "node:https";
import type tls from "node:tls";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { type HttpsServer, type InProcess, startHttps, startInProcess, testPki } from "../in-process.ts";
import { unavailableBecause, withCondition } from "./availability.ts";

let pki: Awaited<ReturnType<typeof testPki>>;
let api: InProcess;
let extension: HttpsServer;
let broken = false;
const seen: { path: string; headers: Record<string, any>; certificate: string; body: any }[] = [];
const GV = "wardle.example.com/v1alpha1";
const flunder = (name: string) => ({ kind: "Flunder", apiVersion: GV, metadata: { name, namespace: "default" } });
const resources = [
  { name: "flunders", singularName: "flunder", namespaced: true, kind: "Flunder", verbs: ["create", "get", "list"], shortNames: ["fl"] },
  { name: "flunders/status", singularName: "", namespaced: true, kind: "Flunder", verbs: ["get"] },
];

function serve(path: string): { status?: number; body: unknown } {
  if (broken) return { status: 500, body: "broken" };
  if (path === `/apis/${GV}`) return { body: { kind: "APIResourceList", apiVersion: "v1", groupVersion: GV, resources } };
  if (path === "/openapi/v3") return { body: { paths: { [`apis/${GV}`]: { serverRelativeURL: `/openapi/v3/apis/${GV}?hash=H1` } } } };
  if (path.startsWith(`/openapi/v3/apis/${GV}`)) return { body: { openapi: "3.0.0", mine: true } };
  if (path === "/openapi/v2") {
    const schema = { $ref: "#/definitions/wardle.Flunder" };
    return {
      body: {
        swagger: "2.0",
        paths: { [`/apis/${GV}/flunders`]: { get: { responses: { 200: { schema } } } }, "/other": {} },
        definitions: { "wardle.Flunder": { type: "object" }, unused: {} },
      },
    };
  }
  if (path.startsWith(`/apis/${GV}/namespaces/default/flunders/`)) return { body: flunder(path.split("/").at(-1) as string) };
  if (path.startsWith(`/apis/${GV}/namespaces/default/flunders`)) return { status: 201, body: flunder("made") };
  return { status: 404, body: { kind: "Status", code: 404 } };
}

beforeAll(async () => {
  pki = await testPki([]);
  extension = await startHttps(
    ["wardle.kube-system.svc"],
    { ca: pki.frontProxyCaPem, requestCert: true, rejectUnauthorized: false },
    (r) => {
      const peer = (r.socket as tls.TLSSocket).getPeerCertificate();
      const authorized = (r.socket as tls.TLSSocket).authorized;
      seen.push({ path: r.path, headers: r.headers, certificate: authorized ? String(peer.subject.CN) : "", body: r.body });
      return authorized ? serve(r.path) : { status: 401, body: "who are you?" };
    },
  );
  api = await startInProcess({ pki });
  const service = { spec: { type: "ExternalName", externalName: "localhost", ports: [{ port: 443 }] } };
  await api.request("POST", "/api/v1/namespaces/kube-system/services", { metadata: { name: "wardle" }, ...service });
});
afterAll(async () => {
  await api.stop();
  await extension.close();
  pki.remove();
});

const services = "/apis/apiregistration.k8s.io/v1/apiservices";
const condition = async (name: string) => (await api.request("GET", `${services}/${name}`)).body.status?.conditions?.[0] ?? {};

it("lists the server's own groups as local and always available", async () => {
  const apps = (await api.request("GET", `${services}/v1.apps`)).body;
  expect(apps.metadata.labels).toEqual({ "kube-aggregator.kubernetes.io/automanaged": "onstart" });
  expect(apps.status.conditions).toMatchObject([
    { type: "Available", status: "True", reason: "Local", message: "Local APIServices are always available" },
  ]);
});

it("tells extension servers whom to believe", async () => {
  const { data } = (await api.request("GET", "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication")).body;
  expect(data["requestheader-allowed-names"]).toBe('["front-proxy-client"]');
  expect(data["requestheader-client-ca-file"]).toBe(pki.frontProxyCaPem);
  expect(data["client-ca-file"]).toBe(pki.caPem);
});

it("proxies a group-version once its server is available", async () => {
  const spec = {
    group: "wardle.example.com",
    version: "v1alpha1",
    groupPriorityMinimum: 2000,
    versionPriority: 200,
    caBundle: extension.caBundle,
    service: { namespace: "kube-system", name: "wardle", port: extension.port },
  };
  const made = await api.request("POST", services, { metadata: { name: "v1alpha1.wardle.example.com" }, spec });
  expect(made.status).toBe(201);
  await vi.waitFor(async () => expect(await condition("v1alpha1.wardle.example.com")).toMatchObject({ status: "True", reason: "Passed" }));
  seen.length = 0;
  const user = { name: "eve", uid: "7", groups: ["system:masters", "g,h"], extra: { "Example.com/Scope": ["a"] } };
  const headers = { "x-remote-user": "mallory", authorization: "Bearer t", "impersonate-group": "x" };
  const answer = await api.request("GET", `/apis/${GV}/namespaces/default/flunders/f?a=b`, undefined, {
    user,
    headers: { "x-remote-user": headers["x-remote-user"], authorization: headers.authorization },
  });
  expect([answer.status, answer.body.kind]).toEqual([200, "Flunder"]);
  const got = seen.find((r) => r.path === `/apis/${GV}/namespaces/default/flunders/f?a=b`);
  expect(got?.certificate).toBe("front-proxy-client");
  expect(got?.headers).toMatchObject({ "x-remote-user": "eve", "x-remote-uid": "7", "x-remote-extra-example.com%2fscope": "a" });
  expect(got?.headers["x-remote-group"]).toContain("system:masters");
  expect(got?.headers["authorization"]).toBeUndefined();
  const posted = await api.request("POST", `/apis/${GV}/namespaces/default/flunders`, { hello: 1 });
  expect(posted.status).toBe(201);
  expect(seen.find((r) => r.body?.hello)?.path).toBe(`/apis/${GV}/namespaces/default/flunders`);
});

it("authorizes before it proxies", async () => {
  const user = { name: "nobody", groups: ["system:authenticated"] };
  const answer = await api.request("GET", `/apis/${GV}/namespaces/default/flunders`, undefined, { user });
  expect(answer.status).toBe(403);
  expect(answer.body.message).toContain('cannot list resource "flunders" in API group "wardle.example.com"');
});

it("shows the group in discovery of every form", async () => {
  const accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
  const find = async () =>
    (await api.request("GET", "/apis", undefined, { headers: { accept } })).body.items.find(
      (g: any) => g.metadata.name === "wardle.example.com",
    );
  await vi.waitFor(async () => expect((await find()).versions[0].freshness).toBe("Current"));
  expect((await find()).versions[0].resources).toMatchObject([
    { resource: "flunders", scope: "Namespaced", shortNames: ["fl"], subresources: [{ subresource: "status" }] },
  ]);
  const groups = (await api.request("GET", "/apis")).body.groups;
  expect(groups.at(-1)).toMatchObject({ name: "wardle.example.com", preferredVersion: { groupVersion: GV } });
  expect((await api.request("GET", "/apis/wardle.example.com")).body.versions).toEqual([{ groupVersion: GV, version: "v1alpha1" }]);
  expect((await api.request("GET", `/apis/${GV}`)).body.resources).toHaveLength(2);
  expect((await api.request("GET", "/")).body.paths).toContain(`/apis/${GV}`);
});

it("merges the server's OpenAPI", async () => {
  const index = (await api.request("GET", "/openapi/v3")).body.paths;
  expect(index[`apis/${GV}`].serverRelativeURL).toBe(`/openapi/v3/apis/${GV}?hash=H1`);
  expect((await api.request("GET", `/openapi/v3/apis/${GV}?hash=H1`)).body.mine).toBe(true);
  const v2 = (await api.request("GET", "/openapi/v2")).body;
  expect(v2.definitions["wardle.Flunder"]).toEqual({ type: "object" });
  expect(v2.definitions["io.k8s.api.core.v1.Pod"]).toBeDefined();
  expect([v2.definitions.unused, v2.paths["/other"]]).toEqual([undefined, undefined]);
  expect(v2.paths[`/apis/${GV}/flunders`]).toBeDefined();
});

it("answers 503 and goes stale while the server fails, and comes back", async () => {
  const name = "v1alpha1.wardle.example.com";
  broken = true;
  const nudge = () =>
    api.request("PATCH", "/api/v1/namespaces/kube-system/services/wardle", { metadata: { labels: { n: String(Math.random()) } } });
  await nudge();
  await vi.waitFor(async () => expect(await condition(name)).toMatchObject({ status: "False", reason: "FailedDiscoveryCheck" }));
  expect((await condition(name)).message).toContain(": 500");
  const answer = await api.request("GET", `/apis/${GV}/namespaces/default/flunders/f`);
  expect([answer.status, answer.body]).toEqual([503, "service unavailable\n"]);
  const accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
  const discovery = (await api.request("GET", "/apis", undefined, { headers: { accept } })).body;
  expect(discovery.items.find((g: any) => g.metadata.name === "wardle.example.com").versions[0].freshness).toBe("Stale");
  broken = false;
  await vi.waitFor(async () => expect((await condition(name)).status).toBe("True"), { timeout: 5_000 });
});

it("is gone with its APIService", async () => {
  expect((await api.request("DELETE", `${services}/v1alpha1.wardle.example.com`)).status).toBe(200);
  await vi.waitFor(async () => expect((await api.request("GET", `/apis/${GV}/namespaces/default/flunders`)).status).toBe(404));
  expect((await api.request("GET", "/apis")).body.groups.map((g: any) => g.name)).not.toContain("wardle.example.com");
});

it("says why a server is not available", async () => {
  const spec = {
    group: "g.example.com",
    version: "v1",
    groupPriorityMinimum: 10,
    versionPriority: 10,
    service: { namespace: "n", name: "s" },
  };
  await api.request("POST", services, { metadata: { name: "v1.g.example.com" }, spec });
  await vi.waitFor(async () => expect((await condition("v1.g.example.com")).reason).toBe("ServiceNotFound"));
  expect((await condition("v1.g.example.com")).message).toBe('service/s in "n" is not present');
  const table = await api.request("GET", services, undefined, { headers: { accept: "application/json;as=Table;g=meta.k8s.io;v=v1" } });
  const row = table.body.rows.find((r: any) => r.cells[0] === "v1.g.example.com");
  expect(row.cells.slice(1, 3)).toEqual(["n/s", "False (ServiceNotFound)"]);
});

it("registers the groups of custom resources, and takes them away again", async () => {
  const definition = {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: "foos.custom.example.com" },
    spec: {
      group: "custom.example.com",
      scope: "Cluster",
      names: { plural: "foos", kind: "Foo" },
      versions: [{ name: "v1", served: true, storage: true, schema: { openAPIV3Schema: { type: "object" } } }],
    },
  };
  const path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
  await api.request("POST", path, definition);
  await vi.waitFor(async () => expect((await condition("v1.custom.example.com")).reason).toBe("Local"));
  const made = (await api.request("GET", `${services}/v1.custom.example.com`)).body;
  expect(made.spec).toEqual({ group: "custom.example.com", version: "v1", groupPriorityMinimum: 1000, versionPriority: 100 });
  await api.request("DELETE", `${path}/foos.custom.example.com`);
  await vi.waitFor(async () => expect((await api.request("GET", `${services}/v1.custom.example.com`)).status).toBe(404));
});

it("believes a front proxy's headers, and nobody else's", async () => {
  const whoAmI = (cert: string, key: string) =>
    new Promise<any>((resolve, reject) => {
      const body = JSON.stringify({ kind: "SelfSubjectReview", apiVersion: "authentication.k8s.io/v1" });
      const headers = {
        "content-type": "application/json",
        "x-remote-user": "eve",
        "x-remote-group": "readers",
        "x-remote-extra-a%2fb": "c",
      };
      const path = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
      const o = { port: api.server.port, method: "POST", path, headers, cert, key, ca: pki.caPem, agent: false as const };
      const request = https.request(o, (res) => {
        let text = "";
        res.on("data", (d) => {
          text += d;
        });
        res.on("end", () => resolve(JSON.parse(text).status?.userInfo));
      });
      request.on("error", reject);
      request.end(body);
    });
  expect(await whoAmI(pki.frontProxyCertPem, pki.frontProxyKeyPem)).toEqual({
    username: "eve",
    groups: ["readers", "system:authenticated"],
    extra: { "a/b": ["c"] },
  });
  expect((await whoAmI(pki.adminCertPem, pki.adminKeyPem)).username).toBe("kubernetes-admin");
});

it("reads availability off Services and EndpointSlices", () => {
  const o = (spec: object): any => ({ metadata: { name: "x" }, spec });
  const apiService = o({ service: { namespace: "n", name: "s", port: 443 } });
  const service = o({ type: "ClusterIP", ports: [{ name: "https", port: 443 }] });
  const slice = (ready: boolean, name = "https"): any => ({
    metadata: { name: "e" },
    endpoints: [{ addresses: ["10.0.0.1"], conditions: { ready } }],
    ports: [{ name, port: 8443 }],
  });
  const reason = (s: any, slices: any[]) => unavailableBecause(apiService, s, slices)?.reason;
  expect(reason(o({ type: "ClusterIP", ports: [{ port: 80 }] }), [])).toBe("ServicePortError");
  expect(reason(service, [])).toBe("EndpointsNotFound");
  expect(reason(service, [slice(false)])).toBe("MissingEndpoints");
  expect(reason(service, [slice(true, "http")])).toBe("MissingEndpoints");
  expect(reason(service, [slice(true)])).toBeUndefined();
  const a = { status: "True", reason: "Passed", message: "m" } as const;
  const first = withCondition(undefined, a, "t1");
  expect(withCondition(first, a, "t2")).toBe(first);
  expect(withCondition(first, { ...a, message: "other" }, "t2")["conditions"][0].lastTransitionTime).toBe("t1");
});
