// The Node authorizer and NodeRestriction through the whole pipeline: what the kubelet of one node may read and write, in upstream's words.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type InProcess, startInProcess, testPki } from "../in-process.ts";

let api: InProcess;
let pki: Awaited<ReturnType<typeof testPki>>;
let nodeUid = "";
const kubelet = { name: "system:node:n1", groups: ["system:nodes", "system:authenticated"] };
const admin = "/api/v1/namespaces/default";

beforeAll(async () => {
  pki = await testPki([]);
  api = await startInProcess({ serviceAccountKeyPem: pki.serviceAccountKeyPem, flags: { "disable-admission-plugins": "ServiceAccount" } });
  // A node of Podwire may read more than a kubelet; here it is a kubelet.
  await api.request("DELETE", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/podwire:node");
  for (const n of ["n1", "n2"]) {
    const made = await api.request("POST", "/api/v1/nodes", { metadata: { name: n } });
    if (n === "n1") nodeUid = made.body.metadata.uid;
  }
  await api.request("POST", `${admin}/serviceaccounts`, { metadata: { name: "sa" } });
  const token = (audience?: string) => ({
    serviceAccountToken: { path: audience ?? "t", expirationSeconds: 3600, ...(audience ? { audience } : {}) },
  });
  await api.request("POST", `${admin}/pods`, {
    metadata: { name: "mine" },
    spec: {
      nodeName: "n1",
      serviceAccountName: "sa",
      containers: [{ name: "c", image: "i", envFrom: [{ secretRef: { name: "used" } }] }],
      volumes: [
        { name: "t", projected: { sources: [token(), token("vault")] } },
        { name: "d", persistentVolumeClaim: { claimName: "claim" } },
      ],
    },
  });
  await api.request("POST", `${admin}/pods`, {
    metadata: { name: "other" },
    spec: { nodeName: "n2", containers: [{ name: "c", image: "i" }] },
  });
  for (const n of ["used", "unused", "stage"]) await api.request("POST", `${admin}/secrets`, { metadata: { name: n } });
  await api.request("POST", "/api/v1/persistentvolumes", {
    metadata: { name: "pv" },
    spec: {
      capacity: { storage: "1Gi" },
      accessModes: ["ReadWriteOnce"],
      claimRef: { namespace: "default", name: "claim" },
      csi: { driver: "d.example.com", volumeHandle: "h", nodeStageSecretRef: { namespace: "default", name: "stage" } },
    },
  });
});
afterAll(async () => {
  await api.stop();
  pki.remove();
});

async function ask(method: string, path: string, body?: unknown): Promise<[number, string]> {
  const type = method === "PATCH" ? { "content-type": "application/strategic-merge-patch+json" } : {};
  const r = await api.request(method, path, body, { user: kubelet, headers: type as Record<string, string> });
  return [r.status, r.body.message ?? ""];
}

describe("reading", () => {
  test("a node reads what its pods refer to, also by their volumes", async () => {
    expect((await ask("GET", `${admin}/secrets/used`))[0]).toBe(200);
    expect((await ask("GET", `${admin}/secrets/stage`))[0]).toBe(200);
    expect((await ask("GET", "/api/v1/persistentvolumes/pv"))[0]).toBe(200);
    expect(await ask("GET", `${admin}/secrets/unused`)).toEqual([
      403,
      'secrets "unused" is forbidden: User "system:node:n1" cannot get resource "secrets" in API group "" in the namespace "default": no relationship found between node \'n1\' and this object',
    ]);
    expect((await ask("GET", `${admin}/secrets`))[1]).toMatch(/: No Object name found$/);
  });

  test("pods by a field selector of its own name, its own Node", async () => {
    expect((await ask("GET", "/api/v1/pods?fieldSelector=spec.nodeName%3Dn1"))[0]).toBe(200);
    expect((await ask("GET", "/api/v1/pods?fieldSelector=spec.nodeName%3Dn2"))[1]).toMatch(
      /: can only list\/watch pods with spec.nodeName field selector$/,
    );
    expect((await ask("GET", `${admin}/pods/mine`))[0]).toBe(200);
    expect((await ask("GET", `${admin}/pods/other`))[0]).toBe(403);
    expect((await ask("GET", "/api/v1/nodes/n1"))[0]).toBe(200);
    expect((await ask("GET", "/api/v1/nodes/n2"))[1]).toMatch(/: node 'n1' cannot read 'n2', only its own Node object$/);
    expect((await ask("GET", "/api/v1/nodes"))[1]).toMatch(/: node 'n1' cannot read all nodes, only its own Node object$/);
    expect((await ask("GET", "/apis/coordination.k8s.io/v1/namespaces/default/leases/n1"))[1]).toMatch(
      /: can only access leases in the "kube-node-lease" system namespace$/,
    );
  });
});

describe("writing", () => {
  const mirror = (o: { spec?: object; owner?: object; annotations?: object } = {}) => ({
    metadata: {
      name: "m",
      annotations: o.annotations ?? { "kubernetes.io/config.mirror": "x" },
      ownerReferences: [{ apiVersion: "v1", kind: "Node", name: "n1", uid: nodeUid, controller: true, ...o.owner }],
    },
    spec: { nodeName: "n1", containers: [{ name: "c", image: "i" }], ...o.spec },
  });
  const why = async (...q: Parameters<typeof ask>) => (await ask(...q))[1].replace(/^.*? is forbidden: /, "");

  test("mirror pods of its own only, that refer to nothing", async () => {
    const post = (o: object) => why("POST", `${admin}/pods`, mirror(o));
    expect(await post({ annotations: {} })).toBe(
      'pod does not have "kubernetes.io/config.mirror" annotation, node "n1" can only create mirror pods',
    );
    expect(await post({ spec: { nodeName: "n2" } })).toBe('node "n1" can only create pods with spec.nodeName set to itself');
    expect(await post({ owner: { name: "n2" } })).toBe('node "n1" can only create pods with an owner reference set to itself');
    expect(await post({ owner: { controller: false } })).toBe(
      'node "n1" can only create pods with a controller owner reference set to itself',
    );
    expect(await post({ owner: { blockOwnerDeletion: true } })).toBe('node "n1" must not set blockOwnerDeletion on an owner reference');
    expect(await post({ owner: { uid: "u" } })).toBe(`node n1 UID mismatch: expected u got ${nodeUid}`);
    expect(await post({ spec: { serviceAccountName: "sa" } })).toBe('node "n1" can not create pods that reference a service account');
    expect(await post({ spec: { volumes: [{ name: "v", configMap: { name: "x" } }] } })).toBe(
      'node "n1" can not create pods that reference configmaps',
    );
    expect(await post({ spec: { imagePullSecrets: [{ name: "x" }] } })).toBe('node "n1" can not create pods that reference secrets');
    expect(await post({})).toBe("");
    expect(await why("DELETE", `${admin}/pods/other`)).toBe('node "n1" can only delete pods with spec.nodeName set to itself');
  });

  test("its own status and Node, without labels, taints and owners that are not its to set", async () => {
    expect((await ask("PATCH", `${admin}/pods/mine/status`, { status: { message: "x" } }))[0]).toBe(200);
    expect(await why("PATCH", `${admin}/pods/mine/status`, { metadata: { labels: { a: "b" } } })).toBe(
      'node "n1" cannot update labels through pod status',
    );
    expect(await why("PATCH", "/api/v1/nodes/n2", { metadata: { labels: { a: "b" } } })).toBe(
      'node "n1" is not allowed to modify node "n2"',
    );
    expect(await why("PATCH", "/api/v1/nodes/n1/status", { spec: { taints: [{ key: "a", effect: "NoSchedule" }] } })).toBe(
      'node "n1" is not allowed to modify taints',
    );
    const labels = { "node-restriction.kubernetes.io/a": "b", "example.com/c": "d", "kubernetes.io/os": "linux", "foo.k8s.io/x": "y" };
    expect(await why("PATCH", "/api/v1/nodes/n1", { metadata: { labels } })).toBe(
      "is not allowed to modify labels: foo.k8s.io/x, node-restriction.kubernetes.io/a",
    );
    const ownerReferences = [{ apiVersion: "v1", kind: "Node", name: "n2", uid: "u" }];
    expect(await why("PATCH", "/api/v1/nodes/n1", { metadata: { ownerReferences } })).toBe(
      'node "n1" is not allowed to modify ownerReferences',
    );
  });

  test("tokens bound to its pods, for audiences that their volumes name or RBAC allows", async () => {
    const uid = (await api.request("GET", `${admin}/pods/mine`)).body.metadata.uid;
    const token = (spec: object) => ask("POST", `${admin}/serviceaccounts/sa/token`, { spec });
    const boundObjectRef = { apiVersion: "v1", kind: "Pod", name: "mine", uid };
    expect((await token({}))[1]).toMatch(/is forbidden: node requested token not bound to a pod$/);
    expect((await token({ boundObjectRef }))[0]).toBe(201);
    expect((await token({ boundObjectRef, audiences: ["vault"] }))[0]).toBe(201);
    expect((await token({ boundObjectRef, audiences: ["a", "b"] }))[1]).toMatch(/node may only request 0 or 1 audiences$/);
    expect((await token({ boundObjectRef, audiences: ["other"] }))[1]).toMatch(
      /audience "other" not found in pod spec volume, system:node:n1 is not authorized to request tokens for this audience$/,
    );
    await api.request("POST", "/apis/rbac.authorization.k8s.io/v1/clusterroles", {
      metadata: { name: "audience" },
      rules: [{ apiGroups: [""], resources: ["other"], verbs: ["request-serviceaccounts-token-audience"] }],
    });
    await api.request("POST", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", {
      metadata: { name: "audience" },
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "audience" },
      subjects: [{ apiGroup: "rbac.authorization.k8s.io", kind: "Group", name: "system:nodes" }],
    });
    expect((await token({ boundObjectRef, audiences: ["other"] }))[0]).toBe(201);
  });

  test("no certificate in another name", async () => {
    const body = (request: string) => ({
      metadata: { generateName: "csr-" },
      spec: {
        signerName: "kubernetes.io/kubelet-serving",
        usages: ["digital signature", "server auth"],
        request: Buffer.from(request).toString("base64"),
      },
    });
    expect((await ask("POST", "/apis/certificates.k8s.io/v1/certificatesigningrequests", body("nonsense")))[1]).toMatch(
      /is forbidden: unable to parse csr: /,
    );
  });
});
