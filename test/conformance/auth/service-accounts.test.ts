// [sig-auth]: ServiceAccounts and the tokens of pods; CertificateSigningRequests as objects.
import { expect, inject } from "vitest";
import { root } from "../../cluster.ts";
import { scenarios } from "../../vectors/suites/api.ts";
import { apiOperations } from "../api-operations.ts";
import { conformance } from "../harness.ts";
import { type Json, restApi } from "../rest.ts";
import { base64, certificateOf, refusal } from "../webhook-server.ts";

const TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount";
const account = (name: string, more: Json = {}): Json => ({ apiVersion: "v1", kind: "ServiceAccount", metadata: { name }, ...more });
const claimsOf = (token: string): Json => JSON.parse(Buffer.from(token.split(".")[1] as string, "base64url").toString());

conformance("[sig-auth] ServiceAccounts should mount an API token into pods [Conformance]", async (t) => {
  await t.create(account("mounts"));
  await t.runPod("p", { spec: { serviceAccountName: "mounts" } });
  const token = await t.exec("p", ["cat", `${TOKEN}/token`]);
  expect(await t.exec("p", ["cat", `${TOKEN}/namespace`])).toBe(t.namespace);
  const ca = await t.api.get(t.path("configmaps/kube-root-ca.crt"));
  expect(await t.exec("p", ["cat", `${TOKEN}/ca.crt`])).toBe(ca.data["ca.crt"]);
  const review = await t.api.create({ apiVersion: "authentication.k8s.io/v1", kind: "TokenReview", metadata: {}, spec: { token } });
  expect(review.status).toMatchObject({ authenticated: true, user: { username: `system:serviceaccount:${t.namespace}:mounts` } });
  expect(review.status.user.groups).toEqual(
    expect.arrayContaining(["system:authenticated", "system:serviceaccounts", `system:serviceaccounts:${t.namespace}`]),
  );
});

conformance("[sig-auth] ServiceAccounts should allow opting out of API token automount [Conformance]", async (t) => {
  const choices = { default: undefined, mount: true, nomount: false } as const;
  for (const [name, automountServiceAccountToken] of Object.entries(choices))
    if (name !== "default") await t.create(account(name, { automountServiceAccountToken }));
  for (const [serviceAccountName, ofAccount] of Object.entries(choices))
    for (const ofPod of [undefined, true, false]) {
      const spec = { serviceAccountName, ...(ofPod === undefined ? {} : { automountServiceAccountToken: ofPod }) };
      const pod = await t.create(t.pod(`${serviceAccountName}-${ofPod ?? "unset"}`, { spec }), { query: { dryRun: "All" } });
      const mounts = (pod.spec.containers[0].volumeMounts ?? []).map((m: Json) => m.mountPath);
      expect(mounts.includes(TOKEN), `account ${serviceAccountName}, pod ${ofPod}`).toBe(ofPod ?? ofAccount ?? true);
    }
});

conformance("[sig-auth] ServiceAccounts should mount projected service account token [Conformance]", async (t) => {
  const sources = [
    { serviceAccountToken: { path: "token", audience: "https://kubernetes.default.svc.cluster.local", expirationSeconds: 86_400 } },
  ];
  const logs = await t.output("p", {
    args: ["mounttest", "--file_content=/var/run/secrets/tokens/token"],
    container: { volumeMounts: [{ name: "t", mountPath: "/var/run/secrets/tokens" }] },
    spec: { volumes: [{ name: "t", projected: { sources } }] },
  });
  const token = /content of file "[^"]+": (\S+)/.exec(logs)?.[1] as string;
  const claims = claimsOf(token);
  expect(claims.aud).toEqual(["https://kubernetes.default.svc.cluster.local"]);
  expect(claims.sub).toBe(`system:serviceaccount:${t.namespace}:default`);
  expect(claims["kubernetes.io"].pod.name).toBe("p");
  expect(claims.exp - claims.iat).toBe(86_400);
});

conformance("[sig-auth] ServiceAccounts should guarantee kube-root-ca.crt exist in any namespace [Conformance]", async (t) => {
  const path = t.path("configmaps/kube-root-ca.crt");
  const first = await t.eventually("the config map", () => t.api.find(path));
  expect(first.data["ca.crt"]).toContain("BEGIN CERTIFICATE");
  await t.api.delete(path);
  await t.eventually("it is made again", async () => {
    const again = await t.api.find(path);
    return again && again.metadata.uid !== first.metadata.uid;
  });
  await t.api.patch(path, { data: { "ca.crt": "changed" } });
  await t.eventually("its content is put back", async () => (await t.api.get(path)).data["ca.crt"] === first.data["ca.crt"]);
});

conformance(
  "[sig-auth] ServiceAccounts should create a serviceAccountToken and ensure a successful TokenReview [Conformance]",
  async (t) => {
    await t.create(account("reviewed"));
    const request = { apiVersion: "authentication.k8s.io/v1", kind: "TokenRequest", metadata: {}, spec: {} };
    const { status } = await t.api.ask("POST", t.path("serviceaccounts/reviewed/token"), { body: request });
    expect(Date.parse(status.expirationTimestamp)).toBeGreaterThan(Date.now());
    const review = await t.api.create({
      apiVersion: "authentication.k8s.io/v1",
      kind: "TokenReview",
      metadata: {},
      spec: { token: status.token },
    });
    expect(review.status.error).toBeUndefined();
    expect(review.status).toMatchObject({ authenticated: true, user: { username: `system:serviceaccount:${t.namespace}:reviewed` } });
    // The token opens the API as that account, and no longer when the account is gone.
    const asAccount = restApi(inject("kubeconfig"), { token: status.token });
    t.defer(asAccount.close);
    expect((await asAccount.call("GET", t.path("pods"))).code).toBe(403);
    await t.api.delete(t.path("serviceaccounts/reviewed"));
    await t.eventually("the token is refused", async () => (await asAccount.call("GET", t.path("pods"))).code === 401);
  },
);

conformance("[sig-auth] ServiceAccounts should run through the lifecycle of a ServiceAccount [Conformance]", async (t) => {
  const query = { labelSelector: "test-serviceaccount-static=true" };
  const { metadata } = await t.api.get(t.path("serviceaccounts"), { query });
  await t.create({
    ...account("testserviceaccount"),
    metadata: { name: "testserviceaccount", labels: { "test-serviceaccount-static": "true" } },
  });
  const path = t.path("serviceaccounts");
  await t.api.patch(`${path}/testserviceaccount`, { automountServiceAccountToken: false }, "strategic");
  const found = (await t.api.get("/api/v1/serviceaccounts", { query })).items.filter((s: Json) => s.metadata.namespace === t.namespace);
  expect(found).toHaveLength(1);
  expect(found[0]).toMatchObject({ metadata: { name: "testserviceaccount" }, automountServiceAccountToken: false });
  await t.api.delete(path, {}, { query });
  expect((await t.api.get(path, { query })).items).toEqual([]);
  const seen: unknown[] = [];
  const since = { ...query, resourceVersion: metadata.resourceVersion };
  for await (const e of t.api.watch(path, { query: since, signal: AbortSignal.timeout(20_000) })) {
    seen.push([e.type, e.object.metadata.name, e.object.automountServiceAccountToken]);
    if (e.type === "DELETED") break;
  }
  expect(seen).toEqual([
    ["ADDED", "testserviceaccount", undefined],
    ["MODIFIED", "testserviceaccount", false],
    ["DELETED", "testserviceaccount", false],
  ]);
});

conformance("[sig-auth] ServiceAccounts should update a ServiceAccount [Conformance]", async (t) => {
  await t.create(account("e2e-sa", { automountServiceAccountToken: false }));
  const updated = await t.modify(t.path("serviceaccounts/e2e-sa"), (s) => {
    s.automountServiceAccountToken = true;
  });
  expect(updated.automountServiceAccountToken).toBe(true);
  expect((await t.api.get(t.path("serviceaccounts/e2e-sa"))).automountServiceAccountToken).toBe(true);
});

conformance(
  "[sig-auth] ServiceAccounts ServiceAccountIssuerDiscovery should support OIDC discovery of service account issuer [Conformance]",
  async (t) => {
    const sources = [{ serviceAccountToken: { path: "sa-token", audience: "oidc-discovery-test", expirationSeconds: 7_200 } }];
    const logs = await t.output("oidc", {
      args: [
        "test-service-account-issuer-discovery",

        "--token-path=/var/run/secrets/tokens/sa-token",
        "--audience=oidc-discovery-test",
      ],
      container: { volumeMounts: [{ name: "t", mountPath: "/var/run/secrets/tokens", readOnly: true }] },
      spec: { volumes: [{ name: "t", projected: { sources } }] },
    });
    expect(logs).toContain("OK: Got token");
    expect(logs).toContain("Validated signature on JWT");
    const discovery = await t.api.get("/.well-known/openid-configuration");
    expect(discovery).toMatchObject({ response_types_supported: ["id_token"], subject_types_supported: ["public"] });
    expect((await t.api.get("/openid/v1/jwks")).keys[0]).toMatchObject({ use: "sig", kid: expect.any(String) });
  },
);

conformance("[sig-auth] Certificates API [Privileged:ClusterAdmin] should support CSR API operations [Conformance]", async (t) => {
  const recorded = scenarios(`${root}/test/vectors/api`).find((s) => s.name === "sub-csr")?.steps[0]?.request.body;
  const object = (name: string): Json => ({
    apiVersion: "certificates.k8s.io/v1",
    kind: "CertificateSigningRequest",
    metadata: { name },
    spec: {
      request: recorded.spec.request,
      signerName: "example.com/e2e",
      usages: ["digital signature", "key encipherment", "server auth"],
      expirationSeconds: 3_600,
    },
  });
  await apiOperations(t, { group: "certificates.k8s.io", version: "v1", resource: "certificatesigningrequests", object });
  const path = await t.api.pathOf(await t.createForCluster(object(t.namespace)));
  const approved = await t.api.patch(`${path}/approval`, {
    metadata: { annotations: { patchedapproval: "true" } },
    status: { conditions: [{ type: "ApprovalPatch", status: "True", reason: "e2e" }] },
  });
  expect(approved.status.conditions.map((c: Json) => c.type)).toEqual(["ApprovalPatch"]);
  expect(approved.metadata.annotations).toMatchObject({ patchedapproval: "true" });
  const verdict = { status: { conditions: [...approved.status.conditions, { type: "Approved", status: "True", reason: "E2E" }] } };
  const refused = await refusal(t.api.patch(`${path}/status`, verdict)); // Only the approval endpoint gives verdicts.
  expect(refused).toContain('updates may not add a condition of type "Approved"');
  const updated = await t.modify(
    path,
    (c) => c.status.conditions.push({ type: "Approved", status: "True", reason: "E2E", message: "from an e2e test" }),
    "approval",
  );
  expect(updated.status.conditions.map((c: Json) => c.type)).toEqual(["ApprovalPatch", "Approved"]);
  const certificate = base64((await certificateOf("example.com")).cert);
  const issued = await t.api.patch(`${path}/status`, { metadata: { annotations: { patchedstatus: "true" } }, status: { certificate } });
  expect(issued).toMatchObject({ metadata: { annotations: { patchedstatus: "true" } }, status: { certificate } });
  const status = await t.modify(
    path,
    (c) => c.status.conditions.push({ type: "StatusUpdate", status: "True", reason: "E2E", message: "from an e2e test" }),
    "status",
  );
  expect(status.status.conditions.map((c: Json) => c.type)).toEqual(["ApprovalPatch", "Approved", "StatusUpdate"]);
});
