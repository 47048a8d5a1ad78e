// The audit trail of real requests: levels, stages, objects, annotations, and the rotation of the log.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { startInProcess } from "../in-process.ts";
import { AuditPolicy, AuditPolicyError } from "./policy.ts";

const folder = mkdtempSync(join(tmpdir(), "podwire-audit-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const POLICY = `
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: None
  users: ["system:apiserver"]
- level: Metadata
  resources: [{group: "", resources: ["secrets"]}]
- level: RequestResponse
  omitManagedFields: true
  verbs: [create, update, patch, delete]
  resources: [{group: "", resources: ["configmaps", "pods/*"]}]
- level: Request
  namespaces: [default]
- level: Metadata
  nonResourceURLs: ["/healthz*"]
  omitStages: []
`;

async function audited(name: string, flags: Record<string, string> = {}, policy = POLICY) {
  const path = join(folder, name);
  const s = await startInProcess({ flags: { "audit-log-path": path, ...flags }, files: { auditPolicy: policy } });
  const events = async () => {
    await new Promise((r) => setImmediate(() => setImmediate(r)));
    return readFileSync(path, "utf8")
      .trim()
      .split("\n")
      .map((l) => JSON.parse(l));
  };
  return { ...s, events };
}

describe("audit", () => {
  test("levels by resource: a Secret's content is never written, a ConfigMap's is, without managedFields", async () => {
    const s = await audited("levels.log");
    await s.request("POST", "/api/v1/namespaces/default/secrets", { metadata: { name: "s" }, stringData: { p: "hunter2" } });
    await s.request("POST", "/api/v1/namespaces/default/configmaps?fieldManager=m", { metadata: { name: "c" }, data: { a: "1" } });
    await s.request("GET", "/api/v1/namespaces/default/configmaps/c");
    await s.request("GET", "/api/v1/namespaces/default/configmaps/nope");
    await s.request("GET", "/apis/apps/v1/deployments");
    await s.request("GET", "/healthz/ping");
    const all = await s.events();
    expect(all.map((e) => [e.level, e.verb, e.objectRef?.resource ?? e.requestURI, e.responseStatus.code])).toEqual([
      ["Metadata", "create", "secrets", 201],
      ["RequestResponse", "create", "configmaps", 201],
      ["Request", "get", "configmaps", 200],
      ["Request", "get", "configmaps", 404],
      ["Metadata", "get", "/healthz/ping", 200],
    ]);
    expect(JSON.stringify(all[0])).not.toContain("hunter2");
    const created = all[1];
    expect(created).toMatchObject({
      kind: "Event",
      apiVersion: "audit.k8s.io/v1",
      stage: "ResponseComplete",
      requestURI: "/api/v1/namespaces/default/configmaps?fieldManager=m",
      user: { username: "admin", groups: ["system:masters", "system:authenticated"] },
      sourceIPs: ["10.1.2.3"],
      userAgent: "test/1",
      objectRef: { resource: "configmaps", namespace: "default", name: "c", apiVersion: "v1" },
      requestObject: { metadata: { name: "c" }, data: { a: "1" } },
      responseObject: { kind: "ConfigMap", data: { a: "1" } },
      annotations: { "authorization.k8s.io/decision": "allow", "authorization.k8s.io/reason": "" },
    });
    expect(created.responseObject.metadata.managedFields).toBeUndefined();
    expect(created.requestReceivedTimestamp).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
    expect(all[3].responseStatus).toMatchObject({
      status: "Failure",
      reason: "NotFound",
      code: 404,
      message: 'configmaps "nope" not found',
    });
    await s.server.stop();
  });

  test("impersonation, refusals and the Audit-Id header", async () => {
    const s = await audited(
      "who.log",
      {},
      "apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived]\nrules: [{level: None, users: [system:apiserver]}, {level: Metadata}]\n",
    );
    const r = await s.request("GET", "/api/v1/nodes", undefined, { headers: { "impersonate-user": "jane", "audit-id": "my-id" } });
    expect([r.status, r.headers["audit-id"]]).toEqual([403, "my-id"]);
    const [e] = await s.events();
    expect(e).toMatchObject({
      auditID: "my-id",
      user: { username: "admin" },
      impersonatedUser: { username: "jane", groups: ["system:authenticated"] },
      responseStatus: { code: 403, reason: "Forbidden" },
      annotations: { "authorization.k8s.io/decision": "forbid" },
    });
    await s.server.stop();
  });

  test("a watch is recorded when it starts and when it ends", async () => {
    const s = await audited("watch.log", {}, "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: Metadata, verbs: [watch]}]\n");
    const r = await s.server.handler.handle(
      { method: "GET", path: "/api/v1/pods?watch=1", headers: {} },
      { name: "u", groups: ["system:masters"] },
    );
    let close = () => {};
    r.stream?.({
      write: () => true,
      end: () => {},
      closed: false,
      backlog: 0,
      onClose: (cb) => {
        const before = close;
        close = () => {
          before();
          cb();
        };
      },
      onDrain: () => {},
    });
    expect((await s.events()).map((e) => e.stage)).toEqual(["RequestReceived", "ResponseStarted"]);
    close();
    expect((await s.events()).map((e) => e.stage)).toEqual(["RequestReceived", "ResponseStarted", "ResponseComplete"]);
    await s.server.stop();
  });

  test("the log is rotated by size and old files go", async () => {
    const s = await audited(
      "rotated.log",
      { "audit-log-maxsize": "1", "audit-log-maxbackup": "2" },
      'apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: RequestResponse, resources: [{group: "", resources: [configmaps]}]}]\n',
    );
    const body = { data: { a: "x".repeat(200_000) } };
    for (let i = 0; i < 12; i++) {
      await s.request("POST", "/api/v1/namespaces/default/configmaps", { ...body, metadata: { name: `c${i}` } });
      await new Promise((r) => setTimeout(r, 5));
    }
    await s.events();
    const files = readdirSync(folder).filter((f) => f.startsWith("rotated"));
    expect(files).toHaveLength(3);
    expect(files.filter((f) => /^rotated-\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.\d{3}\.log$/.test(f))).toHaveLength(2);
    await s.server.stop();
  });
});

describe("audit policy", () => {
  const request = {
    user: { name: "u", groups: ["g"] },
    verb: "get",
    isResource: true,
    group: "apps",
    resource: "deployments",
    subresource: "scale",
    namespace: "n",
    name: "d",
    path: "/x",
  };
  const level = (rules: string, r = {}) =>
    new AuditPolicy(`apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: ${rules}\n`).decide({ ...request, ...r }).level;
  test.each([
    ["[{level: Request, userGroups: [g]}]", "Request"],
    ["[{level: Request, userGroups: [h]}]", "None"],
    ["[{level: Request, verbs: [list]}, {level: Metadata}]", "Metadata"],
    ["[{level: Request, resources: [{group: apps}]}]", "Request"],
    ["[{level: Request, resources: [{group: apps, resources: [deployments]}]}]", "None"],
    ["[{level: Request, resources: [{group: apps, resources: ['*/scale']}]}]", "Request"],
    ["[{level: Request, resources: [{group: apps, resources: ['deployments/*']}]}]", "Request"],
    ["[{level: Request, resources: [{group: apps, resources: ['*'], resourceNames: [d]}]}]", "Request"],
    ["[{level: Request, resources: [{group: apps, resources: ['*'], resourceNames: [e]}]}]", "None"],
    ["[{level: Request, namespaces: [m]}]", "None"],
    ["[{level: Request, nonResourceURLs: ['*']}]", "None"],
  ])("%s", (rules, want) => expect(level(rules)).toBe(want));

  test("paths", () => {
    const path = { isResource: false, path: "/healthz/etcd" };
    expect(level("[{level: Request, nonResourceURLs: ['/healthz*']}]", path)).toBe("Request");
    expect(level("[{level: Request, nonResourceURLs: ['/healthz']}]", path)).toBe("None");
  });

  test("what is wrong is named", () => {
    expect(() => level("[]")).toThrow("loaded illegal policy with 0 rules");
    expect(() => level("[{level: Everything}]")).toThrow(AuditPolicyError);
    expect(() => level("[{level: Metadata, nonResourceURLs: [healthz]}]")).toThrow("must begin with a '/'");
    expect(() => new AuditPolicy("kind: Pod\n")).toThrow("want Policy");
    expect(() => level("{level: Metadata}")).toThrow("failed decoding");
    expect(() => level("[null]")).toThrow(AuditPolicyError);
  });
});
