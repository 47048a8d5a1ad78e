// Custom resources of two versions with a conversion webhook that is a real HTTPS server: reads, lists, watches and writes in each version.
import { afterAll, beforeAll, beforeEach, expect, it, vi } from "vitest";
import { type HttpsServer, type InProcess, startHttps, startInProcess } from "../in-process.ts";

let api: InProcess;
let hook: HttpsServer;
let calls: { desiredAPIVersion: string; objects: any[]; uid: string }[] = [];
let misbehave: ((review: any) => any) | undefined;

const schema = (host: object) => ({
  openAPIV3Schema: { type: "object", properties: { spec: { type: "object", properties: host } } },
});
const V1 = schema({ hostPort: { type: "string" }, color: { type: "string", default: "blue" } });
const V2 = schema({ host: { type: "string" }, port: { type: "string" }, color: { type: "string" } });
const definition = (stored: "v1" | "v2") => ({
  apiVersion: "apiextensions.k8s.io/v1",
  kind: "CustomResourceDefinition",
  metadata: { name: "gates.stable.example.com" },
  spec: {
    group: "stable.example.com",
    scope: "Namespaced",
    names: { plural: "gates", kind: "Gate" },
    versions: [
      { name: "v1", served: true, storage: stored === "v1", schema: V1 },
      { name: "v2", served: true, storage: stored === "v2", schema: V2, selectableFields: [{ jsonPath: ".spec.host" }] },
    ],
    conversion: {
      strategy: "Webhook",
      webhook: { clientConfig: { url: `${hook.url}/convert`, caBundle: hook.caBundle }, conversionReviewVersions: ["v1"] },
    },
  },
});
const v1 = "/apis/stable.example.com/v1/namespaces/default/gates";
const v2 = "/apis/stable.example.com/v2/namespaces/default/gates";

function convert(o: any, to: string): any {
  const { hostPort, host, port, ...rest } = o.spec ?? {};
  const spec = to.endsWith("v2")
    ? { ...rest, host: hostPort.split(":")[0], port: hostPort.split(":")[1] }
    : { ...rest, hostPort: `${host}:${port}` };
  return { ...o, apiVersion: to, spec };
}

beforeAll(async () => {
  hook = await startHttps([], {}, ({ body }) => {
    const { request } = body;
    calls.push(request);
    const review = {
      kind: "ConversionReview",
      apiVersion: body.apiVersion,
      response: {
        uid: request.uid,
        result: { status: "Success" },
        convertedObjects: request.objects.map((o: any) => convert(o, request.desiredAPIVersion)),
      },
    };
    return { body: misbehave ? misbehave(review) : review };
  });
  api = await startInProcess();
  const made = await api.request("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", definition("v1"));
  expect(made.status).toBe(201);
  await vi.waitFor(async () => expect((await api.request("GET", v1)).status).toBe(200));
});
afterAll(async () => {
  await api.stop();
  await hook.close();
});
beforeEach(async () => {
  misbehave = undefined;
  await api.request("DELETE", v1);
  calls = [];
});

const gate = (name: string, hostPort = "h:80") => ({
  apiVersion: "stable.example.com/v1",
  kind: "Gate",
  metadata: { name, labels: { l: name } },
  spec: { hostPort },
});

it("reads an object in both versions, and asks the webhook once for each", async () => {
  const made = await api.request("POST", v1, gate("a"));
  expect(made.body.spec).toEqual({ hostPort: "h:80", color: "blue" });
  expect(calls).toEqual([]);
  const read = await api.request("GET", `${v2}/a`);
  expect(read.body).toMatchObject({ apiVersion: "stable.example.com/v2", spec: { host: "h", port: "80", color: "blue" } });
  expect(read.body.metadata.resourceVersion).toBe(made.body.metadata.resourceVersion);
  await api.request("GET", `${v2}/a`);
  expect(calls).toHaveLength(1);
});

it("writes in the version that is not stored", async () => {
  const object = { apiVersion: "stable.example.com/v2", kind: "Gate", metadata: { name: "b" }, spec: { host: "x", port: "1" } };
  const made = await api.request("POST", v2, object);
  expect(made.status).toBe(201);
  expect(made.body.spec).toEqual({ host: "x", port: "1", color: "blue" });
  const patched = await api.request("PATCH", `${v2}/b`, { spec: { port: "2" } });
  expect(patched.body.spec).toMatchObject({ host: "x", port: "2" });
  expect((await api.request("GET", `${v1}/b`)).body.spec.hostPort).toBe("x:2");
  const gone = await api.request("DELETE", `${v2}/b`);
  expect(gone.status).toBe(200);
});

it("lists in the other version with one call for all", async () => {
  for (const n of ["c", "d", "e"]) await api.request("POST", v1, gate(n, `${n}:1`));
  const list = await api.request("GET", v2);
  expect(list.body.items.map((i: any) => i.spec.host)).toEqual(["c", "d", "e"]);
  expect(calls.map((c) => c.objects.length)).toEqual([3]);
  const some = await api.request("GET", `${v2}?fieldSelector=spec.host%3Dd`);
  expect(some.body.items.map((i: any) => i.metadata.name)).toEqual(["d"]);
});

it("watches in the other version, in order, with what leaves a selection as deleted", async () => {
  await api.request("POST", v1, gate("f", "f:1"));
  const w = await api.watch(`${v2}?watch=true&labelSelector=l%3Df`);
  await w.until(1);
  await api.request("PATCH", `${v1}/f`, { spec: { hostPort: "f:2" } });
  await api.request("PATCH", `${v1}/f`, { metadata: { labels: { l: "other" } } });
  const events = await w.until(3);
  expect(events.map((e) => [e.type, e.object.apiVersion, e.object.spec.port])).toEqual([
    ["ADDED", "stable.example.com/v2", "1"],
    ["MODIFIED", "stable.example.com/v2", "2"],
    ["DELETED", "stable.example.com/v2", "2"],
  ]);
  w.end();
});

it("keeps metadata but for labels and annotations", async () => {
  await api.request("POST", v1, gate("g"));
  misbehave = (r) => {
    const m = r.response.convertedObjects[0].metadata;
    m.labels = { added: "by-hook" };
    m.finalizers = ["hook.example.com/f"];
    m.generation = 17;
    return r;
  };
  const read = await api.request("GET", `${v2}/g`);
  expect(read.body.metadata).toMatchObject({ labels: { added: "by-hook" }, generation: 1 });
  expect(read.body.metadata.finalizers).toBeUndefined();
});

/** Changes an answer before it is sent. */
const changed = (change: (response: any, object: any) => void) => (review: any) => {
  change(review.response, review.response.convertedObjects[0]);
  return review;
};
const kind = "stable.example.com/v1, Kind=Gate";
const wrongs: [string, (r: any) => any, string][] = [
  [
    "a failure with its message",
    changed((r) => Object.assign(r, { result: { status: "Failed", message: "no way" } })),
    `conversion webhook for ${kind} failed: no way`,
  ],
  [
    "a failure without one",
    changed((r) => Object.assign(r, { result: {} })),
    `conversion webhook for ${kind} failed: response.result.status was '', not 'Success'`,
  ],
  ["another uid", changed((r) => Object.assign(r, { uid: "u" })), "failed: expected response.uid="],
  [
    "no response",
    () => ({ kind: "ConversionReview", apiVersion: "apiextensions.k8s.io/v1" }),
    `conversion webhook for ${kind} failed: no response provided`,
  ],
  [
    "too few objects",
    changed((r) => Object.assign(r, { convertedObjects: [] })),
    `conversion webhook for ${kind} returned 0 objects, expected 1`,
  ],
  [
    "another version",
    changed((_, o) => Object.assign(o, { apiVersion: "stable.example.com/v3" })),
    `conversion webhook for ${kind} returned invalid object at index 0: invalid groupVersion (expected stable.example.com/v2, received stable.example.com/v3)`,
  ],
  [
    "another name",
    changed((_, o) => Object.assign(o.metadata, { name: "z" })),
    `conversion webhook for ${kind} returned invalid object: must have the same name: w != z`,
  ],
  [
    "a label that is no string",
    changed((_, o) => Object.assign(o.metadata, { labels: { a: 1 } })),
    `conversion webhook for ${kind} returned invalid metadata: metadata.labels[a] must be a string, but is int64 in converted object`,
  ],
];
for (const [what, how, message] of wrongs)
  it(`says what is wrong with ${what}`, async () => {
    await api.request("POST", v1, gate("w"));
    misbehave = how;
    const read = await api.request("GET", `${v2}/w`);
    expect([read.status, read.body.kind]).toEqual([500, "Status"]);
    expect(read.body.message).toContain(message);
    expect((await api.request("GET", v2)).status).toBe(500);
    const w = await api.watch(`${v2}?watch=true`);
    expect((await w.until(1))[0]).toMatchObject({ type: "ERROR", object: { code: 500 } });
    expect((await api.request("GET", `${v1}/w`)).status).toBe(200);
  });

it("remembers every version that was stored, and converts what lies there in an older one", async () => {
  await api.request("POST", v1, gate("old", "o:1"));
  const path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/gates.stable.example.com";
  const changed = await api.request("PATCH", path, { spec: { versions: definition("v2").spec.versions } });
  expect(changed.body.status.storedVersions).toEqual(["v1", "v2"]);
  await api.request("POST", v1, gate("new", "n:1"));
  const list = await api.request("GET", v2);
  expect(list.body.items.map((i: any) => i.spec.host)).toEqual(["n", "o"]);
  expect(calls.some((c) => c.desiredAPIVersion === "stable.example.com/v2" && c.objects[0].metadata.name === "new")).toBe(true);
});

it("closes watches when the definition changes, and when it goes", async () => {
  const path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/gates.stable.example.com";
  const first = await api.watch(`${v1}?watch=true`);
  await api.request("PATCH", path, { metadata: { labels: { a: "b" } } });
  expect(first.ended).toBe(false);
  await api.request("PATCH", path, { spec: { names: { categories: ["all"] } } });
  await vi.waitFor(() => expect(first.ended).toBe(true));
  await vi.waitFor(async () => expect((await api.request("GET", v1)).status).toBe(200));
  const second = await api.watch(`${v1}?watch=true`);
  await api.request("DELETE", path);
  await vi.waitFor(() => expect(second.ended).toBe(true));
});

it("validates spec.conversion as kube-apiserver does", async () => {
  const d: any = definition("v1");
  d.metadata.name = "doors.stable.example.com";
  d.spec.names = { plural: "doors", kind: "Door" };
  d.spec.conversion = { strategy: "Webhook" };
  const path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
  const messages = (r: any) => r.body.details.causes.map((c: any) => `${c.field}: ${c.message}`);
  expect(messages(await api.request("POST", path, d))).toEqual([
    "spec.conversion.webhookClientConfig: Required value: required when strategy is set to Webhook",
    "spec.conversion.conversionReviewVersions: Required value",
  ]);
  d.spec.conversion = { strategy: "Webhook", webhook: { clientConfig: { url: "http://x" }, conversionReviewVersions: ["v7"] } };
  expect(messages(await api.request("POST", path, d)).join("\n")).toContain("must include at least one of v1, v1beta1");
});
