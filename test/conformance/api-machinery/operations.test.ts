// [sig-api-machinery]: kinds whose API operations are a behaviour of their own; ValidatingAdmissionPolicy's variables.
import { expect } from "vitest";
import { apiOperations } from "../api-operations.ts";
import { conformance } from "../harness.ts";
import { refusal } from "../webhook-server.ts";

conformance("[sig-api-machinery] API priority and fairness should support FlowSchema API operations [Conformance]", (t) =>
  apiOperations(t, {
    group: "flowcontrol.apiserver.k8s.io",
    version: "v1",
    resource: "flowschemas",
    object: (name) => ({
      apiVersion: "flowcontrol.apiserver.k8s.io/v1",
      kind: "FlowSchema",
      metadata: { name },
      spec: {
        matchingPrecedence: 10_000,
        priorityLevelConfiguration: { name: "global-default" },
        distinguisherMethod: { type: "ByUser" },
        rules: [
          {
            subjects: [{ kind: "User", user: { name: "example-e2e-non-existent-user" } }],
            nonResourceRules: [{ verbs: ["*"], nonResourceURLs: ["*"] }],
          },
        ],
      },
    }),
    status: {
      patch: { type: "PatchStatusFailed", status: "False", reason: "E2E", message: "set by patch" },
      update: { type: "StatusUpdate", status: "True", reason: "E2E", message: "set by update" },
    },
  }),
);

conformance("[sig-api-machinery] API priority and fairness should support PriorityLevelConfiguration API operations [Conformance]", (t) =>
  apiOperations(t, {
    group: "flowcontrol.apiserver.k8s.io",
    version: "v1",
    resource: "prioritylevelconfigurations",
    object: (name) => ({
      apiVersion: "flowcontrol.apiserver.k8s.io/v1",
      kind: "PriorityLevelConfiguration",
      metadata: { name },
      spec: { type: "Limited", limited: { nominalConcurrencyShares: 2, limitResponse: { type: "Reject" } } },
    }),
    status: {
      patch: { type: "PatchStatusFailed", status: "False", reason: "E2E", message: "set by patch" },
      update: { type: "StatusUpdate", status: "True", reason: "E2E", message: "set by update" },
    },
  }),
);

conformance(
  "[sig-api-machinery] ValidatingAdmissionPolicy [Privileged:ClusterAdmin] should support ValidatingAdmissionPolicy API operations [Conformance]",
  (t) =>
    apiOperations(t, {
      group: "admissionregistration.k8s.io",
      version: "v1",
      resource: "validatingadmissionpolicies",
      object: (name) => ({
        apiVersion: "admissionregistration.k8s.io/v1",
        kind: "ValidatingAdmissionPolicy",
        metadata: { name },
        spec: {
          failurePolicy: "Ignore",
          matchConstraints: {
            resourceRules: [{ apiGroups: ["apps"], apiVersions: ["v1"], operations: ["CREATE"], resources: ["deployments"] }],
          },
          validations: [{ expression: "object.spec.replicas <= 100" }],
        },
      }),
      status: {
        patch: {
          type: "StatusPatched",
          status: "True",
          reason: "E2E",
          message: "set by patch",
          lastTransitionTime: "2024-01-01T00:00:00Z",
        },
        update: {
          type: "StatusUpdated",
          status: "True",
          reason: "E2E",
          message: "set by update",
          lastTransitionTime: "2024-01-01T00:00:00Z",
        },
      },
    }),
);

conformance(
  "[sig-api-machinery] ValidatingAdmissionPolicy [Privileged:ClusterAdmin] should allow expressions to refer variables. [Conformance]",
  async (t) => {
    const name = `${t.namespace}.policy.example.com`;
    await t.createForCluster({
      apiVersion: "admissionregistration.k8s.io/v1",
      kind: "ValidatingAdmissionPolicy",
      metadata: { name },
      spec: {
        matchConstraints: {
          resourceRules: [{ apiGroups: ["apps"], apiVersions: ["v1"], operations: ["CREATE"], resources: ["deployments"] }],
        },
        variables: [
          { name: "replicas", expression: "object.spec.replicas" },
          { name: "oddReplicas", expression: "variables.replicas % 2 == 1" },
        ],
        validations: [
          { expression: "variables.replicas > 1" },
          { expression: "variables.oddReplicas", messageExpression: "'an even number: ' + string(variables.replicas)" },
        ],
      },
    });
    await t.createForCluster({
      apiVersion: "admissionregistration.k8s.io/v1",
      kind: "ValidatingAdmissionPolicyBinding",
      metadata: { name },
      spec: {
        policyName: name,
        validationActions: ["Deny"],
        matchResources: { namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": t.namespace } } },
      },
    });
    const create = (replicas: number) =>
      refusal(
        t.create(
          {
            apiVersion: "apps/v1",
            kind: "Deployment",
            metadata: { name: `of-${replicas}` },
            spec: {
              replicas,
              selector: { matchLabels: { app: "x" } },
              template: {
                metadata: { labels: { app: "x" } },
                spec: { containers: [{ name: "c", image: "registry.k8s.io/pause:3.10.1" }] },
              },
            },
          },
          { query: { dryRun: "All" } },
        ),
      );
    await t.eventually("the policy is enforced", async () => (await create(1))?.includes("failed expression: variables.replicas > 1"));
    expect(await create(2)).toContain(`ValidatingAdmissionPolicy '${name}' with binding '${name}' denied request: an even number: 2`);
    expect(await create(3)).toBeUndefined();
  },
);
