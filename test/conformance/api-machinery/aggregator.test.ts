// [sig-api-machinery] Aggregator: an API server of its own behind an APIService, used as the suite uses it.
import { expect } from "vitest";
import { conformance } from "../harness.ts";
import type { Json } from "../rest.ts";
import { base64, certificateOf } from "../webhook-server.ts";

const GROUP = "wardle.example.com";
const SAMPLE = "registry.k8s.io/e2e-test-images/sample-apiserver:1.29.2";
const ETCD = "registry.k8s.io/etcd:3.6.4-0";
const CERTIFICATES = "/apiserver.local.config/certificates";

conformance(
  "[sig-api-machinery] Aggregator Should be able to support the 1.17 Sample API Server using the current Aggregator [Conformance]",
  async (t) => {
    const tls = await certificateOf(`sample-api.${t.namespace}.svc`);
    await t.create({
      apiVersion: "v1",
      kind: "Secret",
      metadata: { name: "sample-apiserver-secret" },
      data: { "tls.crt": base64(tls.cert), "tls.key": base64(tls.key) },
    });
    const rbac = "rbac.authorization.k8s.io";
    const subjects = [{ kind: "ServiceAccount", name: "default", namespace: t.namespace }];
    await t.createForCluster({
      apiVersion: `${rbac}/v1`,
      kind: "ClusterRoleBinding",
      metadata: { name: `wardler:${t.namespace}:auth-delegator` },
      roleRef: { apiGroup: rbac, kind: "ClusterRole", name: "system:auth-delegator" },
      subjects,
    });
    await t.createForCluster({
      apiVersion: `${rbac}/v1`,
      kind: "RoleBinding",
      metadata: { name: `wardler-${t.namespace}-auth-reader`, namespace: "kube-system" },
      roleRef: { apiGroup: rbac, kind: "Role", name: "extension-apiserver-authentication-reader" },
      subjects,
    });
    const labels = { app: "sample-apiserver", apiserver: "true" };
    await t.create({
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata: { name: "sample-apiserver-deployment", labels },
      spec: {
        replicas: 1,
        selector: { matchLabels: labels },
        template: {
          metadata: { labels },
          spec: {
            terminationGracePeriodSeconds: 0,
            volumes: [{ name: "certs", secret: { secretName: "sample-apiserver-secret" } }],
            containers: [
              {
                name: "sample-apiserver",
                image: SAMPLE,
                volumeMounts: [{ name: "certs", mountPath: CERTIFICATES, readOnly: true }],
                args: [
                  "--etcd-servers=http://127.0.0.1:2379",
                  `--tls-cert-file=${CERTIFICATES}/tls.crt`,
                  `--tls-private-key-file=${CERTIFICATES}/tls.key`,
                  "--audit-log-path=-",
                  "--audit-log-maxage=0",
                  "--audit-log-maxbackup=0",
                ],
                readinessProbe: { httpGet: { scheme: "HTTPS", port: 443, path: "/readyz" }, periodSeconds: 1 },
              },
              {
                name: "etcd",
                image: ETCD,
                command: [
                  "/usr/local/bin/etcd",
                  "--listen-client-urls",
                  "http://127.0.0.1:2379",
                  "--advertise-client-urls",
                  "http://127.0.0.1:2379",
                ],
              },
            ],
          },
        },
      },
    });
    await t.create({
      apiVersion: "v1",
      kind: "Service",
      metadata: { name: "sample-api" },
      spec: { selector: { apiserver: "true" }, ports: [{ port: 7443, targetPort: 443 }] },
    });
    await t.eventually(
      "the sample server is available",
      async () => {
        const { status } = await t.api.get(t.path("deployments/sample-apiserver-deployment", "apps/v1"));
        return status.availableReplicas === 1;
      },
      90_000,
    );
    const service = await t.createForCluster({
      apiVersion: "apiregistration.k8s.io/v1",
      kind: "APIService",
      metadata: { name: `v1alpha1.${GROUP}` },
      spec: {
        service: { namespace: t.namespace, name: "sample-api", port: 7443 },
        group: GROUP,
        version: "v1alpha1",
        caBundle: base64(tls.ca),
        groupPriorityMinimum: 2000,
        versionPriority: 200,
      },
    });
    const at = await t.api.pathOf(service);
    await t.eventually(
      "the APIService is available",
      async () => {
        const { status } = await t.api.get(at);
        const available = status?.conditions?.find((c: Json) => c.type === "Available");
        if (available?.status === "True") return true;
        throw new Error(JSON.stringify(status));
      },
      60_000,
    );

    const flunders = `/apis/${GROUP}/v1alpha1/namespaces/${t.namespace}/flunders`;
    const flunder = (name: string): Json => ({
      apiVersion: `${GROUP}/v1alpha1`,
      kind: "Flunder",
      metadata: { name, labels: { "sample-label": t.namespace } },
      spec: {},
    });
    await t.eventually("the group is served", async () => (await t.api.call("GET", flunders)).code === 200);
    const made = await t.api.ask("POST", flunders, { body: flunder("rest-flunder") });
    expect(made).toMatchObject({ kind: "Flunder", metadata: { name: "rest-flunder" } });
    await t.api.ask("POST", flunders, { body: flunder("dynamic-flunder") });
    expect((await t.api.get(flunders)).items).toHaveLength(2);
    const { groups } = await t.api.get("/apis");
    expect(groups.find((g: Json) => g.name === GROUP).versions).toContainEqual({ groupVersion: `${GROUP}/v1alpha1`, version: "v1alpha1" });
    await t.eventually("kubectl's discovery finds the kind", async () => {
      const { resources } = await t.api.get(`/apis/${GROUP}/v1alpha1`);
      return resources.some((r: Json) => r.name === "flunders");
    });
    const aggregated = await t.api.get("/apis", { accept: "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList" });
    expect(aggregated.items.map((g: Json) => g.metadata.name)).toContain(GROUP);
    await t.api.delete(`${flunders}/rest-flunder`);
    await t.api.delete(flunders, {}, { query: { labelSelector: `sample-label=${t.namespace}` } });
    expect((await t.api.get(flunders)).items).toHaveLength(0);

    const patched = await t.api.patch(at, { metadata: { labels: { "patched-service": "yes" } }, spec: { versionPriority: 400 } });
    expect(patched).toMatchObject({ metadata: { labels: { "patched-service": "yes" } }, spec: { versionPriority: 400 } });
    const status = await t.modify(
      at,
      (s) =>
        s.status.conditions.push({
          type: "StatusUpdated",
          status: "True",
          reason: "E2E",
          message: "from an e2e test",
          lastTransitionTime: null,
        }),
      "status",
    );
    expect(status.status.conditions.map((c: Json) => c.type)).toContain("StatusUpdated");
    expect((await t.api.get(`${at}/status`)).status.conditions.map((c: Json) => c.type)).toContain("Available");
    const query = { labelSelector: "patched-service=yes" };
    expect((await t.api.get("/apis/apiregistration.k8s.io/v1/apiservices", { query })).items).toHaveLength(1);
    await t.api.delete("/apis/apiregistration.k8s.io/v1/apiservices", {}, { query });
    await t.eventually("the group is not served any more", async () => (await t.api.call("GET", flunders)).code === 404);
  },
);
