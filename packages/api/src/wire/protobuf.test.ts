import { describe, expect, test } from "vitest";
import { conform } from "../schema/conform.ts";
import { structType } from "../schema/registry.ts";
import { decodeEnvelope, decodeProtobuf, isProtobuf } from "./protobuf-decode.ts";
import { encodeProtobuf } from "./protobuf-encode.ts";

const roundTrip = (apiVersion: string, kind: string, ref: string, value: any) => {
  const canonical = conform(structType(ref), structuredClone(value));
  return [decodeProtobuf(encodeProtobuf(apiVersion, kind, canonical)).object, { ...canonical, apiVersion, kind }];
};

describe("protobuf", () => {
  test("a Pod with every special type survives the wire", () => {
    const [got, want] = roundTrip("v1", "Pod", "core/v1.Pod", {
      metadata: {
        name: "p",
        labels: { a: "b", empty: "" },
        creationTimestamp: "2024-01-02T03:04:05Z",
        generation: 3,
        managedFields: [
          {
            manager: "m",
            operation: "Update",
            fieldsType: "FieldsV1",
            fieldsV1: { "f:spec": { "f:x": {} } },
            time: "2024-01-02T03:04:05Z",
          },
        ],
        ownerReferences: [{ apiVersion: "v1", kind: "X", name: "n", uid: "u", controller: false }],
      },
      spec: {
        containers: [
          {
            name: "c",
            resources: { limits: { cpu: "500m", memory: "1Gi" } },
            livenessProbe: { httpGet: { port: "web", path: "/" }, initialDelaySeconds: 2 },
            readinessProbe: { tcpSocket: { port: 80 } },
            env: [{ name: "E", valueFrom: { configMapKeyRef: { name: "cm", key: "k", optional: false } } }],
          },
        ],
        volumes: [
          { name: "v", configMap: { name: "cm", defaultMode: 0 } },
          { name: "e", emptyDir: {} },
        ],
        terminationGracePeriodSeconds: 0,
        tolerations: [{ operator: "Exists", tolerationSeconds: -1 }],
      },
      status: { conditions: [{ type: "Ready", status: "True", lastTransitionTime: "2024-01-02T03:04:05Z" }] },
    });
    expect(got).toEqual(want);
  });

  test("secrets, leases, CRDs, reviews", () => {
    for (const [apiVersion, kind, ref, value] of [
      ["v1", "Secret", "core/v1.Secret", { metadata: { name: "s" }, data: { a: "AAEC", b: "" }, immutable: false }],
      [
        "coordination.k8s.io/v1",
        "Lease",
        "coordination/v1.Lease",
        { metadata: { name: "l" }, spec: { renewTime: "2024-01-02T03:04:05.123456Z", leaseDurationSeconds: 15 } },
      ],
      [
        "apiextensions.k8s.io/v1",
        "CustomResourceDefinition",
        "apiextensions/v1.CustomResourceDefinition",
        {
          metadata: { name: "x" },
          spec: {
            group: "g",
            names: { plural: "xs", kind: "X" },
            scope: "Namespaced",
            versions: [
              {
                name: "v1",
                served: true,
                storage: true,
                schema: {
                  openAPIV3Schema: {
                    type: "object",
                    properties: {
                      a: { type: "array", items: { type: "string" }, default: [1, "x"] },
                      b: { additionalProperties: true, minimum: 1.5 },
                    },
                    additionalProperties: { type: "integer" },
                  },
                },
              },
            ],
          },
        },
      ],
      [
        "authentication.k8s.io/v1",
        "TokenReview",
        "authentication/v1.TokenReview",
        { metadata: {}, spec: { token: "t" }, status: { user: { extra: { a: ["b", "c"] } } } },
      ],
      [
        "apps/v1",
        "Deployment",
        "apps/v1.Deployment",
        {
          metadata: { name: "d" },
          spec: { replicas: 0, selector: {}, template: {}, strategy: { rollingUpdate: { maxSurge: "25%", maxUnavailable: 0 } } },
        },
      ],
    ] as const) {
      const [got, want] = roundTrip(apiVersion, kind, ref, value);
      expect(got, kind).toEqual(want);
    }
  });

  test("bytes as Go writes them", () => {
    // A Namespace "a" as client-go marshals it: empty strings of non-pointer fields are present.
    const b = encodeProtobuf("v1", "Namespace", { metadata: { name: "a" } });
    expect(isProtobuf(b)).toBe(true);
    const env = decodeEnvelope(b);
    expect([env.apiVersion, env.kind]).toEqual(["v1", "Namespace"]);
    // metadata: name, generateName "", namespace "", selfLink "", uid "", resourceVersion "", generation 0, creationTimestamp {}
    expect(Buffer.from(env.raw).toString("hex")).toBe(
      "0a11" + "0a0161" + "1200" + "1a00" + "2200" + "2a00" + "3200" + "3800" + "4200" + "1200" + "1a02" + "0a00",
    );
  });

  test("garbage is refused, never a crash", () => {
    const good = encodeProtobuf(
      "v1",
      "Pod",
      conform(structType("core/v1.Pod"), { metadata: { name: "p" }, spec: { containers: [{ name: "c", image: "i" }] } }),
    );
    for (let cut = 0; cut < good.length; cut++) {
      const b = good.slice(0, cut);
      try {
        decodeProtobuf(b);
      } catch (e) {
        expect((e as Error).constructor.name).toMatch(/ProtobufError/);
      }
    }
  });
});
