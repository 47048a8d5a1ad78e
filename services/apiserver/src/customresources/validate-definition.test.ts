// What is refused of a CustomResourceDefinition, field by field and in kube-apiserver's words.
import type { JsonSchema, KubeObject } from "@podwire/api";
import { errorText } from "@podwire/api";
import { expect, it } from "vitest";
import { withNames } from "./definitions.ts";
import { validateDefinition } from "./validate-definition.ts";

const definition = (schema: object, version: object = {}, more: object = {}): KubeObject => ({
  kind: "CustomResourceDefinition",
  apiVersion: "apiextensions.k8s.io/v1",
  metadata: { name: "foos.example.com" },
  spec: {
    group: "example.com",
    scope: "Namespaced",
    names: { plural: "foos", singular: "foo", kind: "Foo", listKind: "FooList" },
    versions: [
      { name: "v1", served: true, storage: true, schema: { openAPIV3Schema: { type: "object", ...schema } as JsonSchema }, ...version },
    ],
    conversion: { strategy: "None" },
    ...more,
  },
  status: { storedVersions: ["v1"] },
});
const refusals = (d: KubeObject, old?: KubeObject) => validateDefinition(d, old).map(errorText);
const of = (spec: object) => refusals(definition({ properties: { spec } }));
const at = "spec.validation.openAPIV3Schema.properties[spec]";

it("takes what is structural", () => {
  const spec = {
    type: "object",
    required: ["a"],
    properties: {
      a: { type: "string", default: "x", pattern: "^x+$" },
      port: { "x-kubernetes-int-or-string": true, anyOf: [{ type: "integer" }, { type: "string" }] },
      any: { "x-kubernetes-preserve-unknown-fields": true },
      items: {
        type: "array",
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["k"],
        items: { type: "object", required: ["k"], properties: { k: { type: "string" } } },
      },
      labels: { type: "object", additionalProperties: { type: "string" } },
    },
    oneOf: [{ required: ["a"] }, { properties: { a: { minLength: 2 } } }],
  };
  expect(of(spec)).toEqual([]);
});

const wrongs: [string, object, string][] = [
  ["a field without a type", { properties: {} }, `${at}.type: Required value: must not be empty for specified object fields`],
  ["items without a type", { type: "array", items: {} }, `${at}.items.type: Required value: must not be empty for specified array items`],
  ["an array without items", { type: "array" }, `${at}.items: Required value: must be specified`],
  [
    "an unknown type",
    { type: "text" },
    `${at}.type: Unsupported value: "text": supported values: "array", "boolean", "integer", "number", "object", "string"`,
  ],
  [
    "a type below a junctor",
    { type: "string", anyOf: [{ type: "string" }] },
    `${at}.anyOf[0].type: Forbidden: must be empty to be structural`,
  ],
  [
    "a default below a junctor",
    { type: "string", not: { default: "a" } },
    `${at}.not.default: Forbidden: must be undefined to be structural`,
  ],
  [
    "a default that does not fit",
    { type: "integer", default: "a" },
    `${at}.default: Invalid value: "string": ${at}.default in body must be of type integer: "string"`,
  ],
  [
    "a default that would be pruned",
    { type: "object", properties: {}, default: { a: 1 } },
    `${at}.default: Invalid value: {"a":1}: must not have unknown fields`,
  ],
  ["a reference", { type: "object", $ref: "#/x" }, `${at}.$ref: Forbidden: $ref is not supported`],
  [
    "a map type of a string",
    { type: "string", "x-kubernetes-map-type": "atomic" },
    `${at}.type: Invalid value: "string": must be object if x-kubernetes-map-type is specified`,
  ],
  [
    "a map list whose key may be missing",
    {
      type: "array",
      "x-kubernetes-list-type": "map",
      "x-kubernetes-list-map-keys": ["k"],
      items: { type: "object", properties: { k: { type: "string" } } },
    },
    `${at}.items.properties[k].default: Required value: this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property`,
  ],
  [
    "keys of no map list",
    { type: "array", "x-kubernetes-list-map-keys": ["k"], items: { type: "string" } },
    `${at}.x-kubernetes-list-type: Required value: must be map if x-kubernetes-list-map-keys is non-empty`,
  ],
  [
    "an embedded resource that is no object",
    { type: "string", "x-kubernetes-embedded-resource": true, "x-kubernetes-preserve-unknown-fields": true },
    `${at}.type: Invalid value: "string": must be object if x-kubernetes-embedded-resource is true`,
  ],
];
for (const [what, spec, message] of wrongs) it(`refuses ${what}`, () => expect(of(spec)).toContain(message));

it("refuses a field that only a junctor knows", () => {
  const root = "spec.validation.openAPIV3Schema";
  expect(refusals(definition({ properties: {}, allOf: [{ properties: { b: { minLength: 1 } } }] }))).toContain(
    `${root}.properties[b]: Required value: because it is defined in ${root}.allOf[0].properties[b]`,
  );
});

it("leaves metadata alone but for names", () => {
  const refused =
    "spec.validation.openAPIV3Schema.properties[metadata]: Forbidden: must not specify anything other than name and generateName, but metadata is implicitly specified";
  const metadata = (properties: object) => refusals(definition({ properties: { metadata: { type: "object", properties } } }));
  expect(metadata({ name: { type: "string", maxLength: 3 } })).toEqual([]);
  expect(metadata({ labels: { type: "object" } })).toContain(refused);
});

it("judges columns, scale, selectable fields and warnings", () => {
  const schema = {
    properties: { spec: { type: "object", properties: { color: { type: "string" }, size: { type: "array", items: { type: "string" } } } } },
  };
  const version = (v: object) => refusals(definition(schema, v));
  expect(version({ additionalPrinterColumns: [{ name: "A", type: "text", jsonPath: "spec" }] })).toEqual([
    'spec.additionalPrinterColumns[0].type: Invalid value: "text": must be one of boolean,date,integer,number,string',
    'spec.additionalPrinterColumns[0].JSONPath: Invalid value: "spec": must be a simple json path starting with .',
  ]);
  expect(version({ subresources: { scale: { specReplicasPath: ".status.replicas" } } })).toEqual([
    'spec.subresources.scale.specReplicasPath: Invalid value: ".status.replicas": should be a json path under .spec',
    "spec.subresources.scale.statusReplicasPath: Required value",
  ]);
  expect(
    version({
      selectableFields: [{ jsonPath: ".spec.color" }, { jsonPath: ".spec.size" }, { jsonPath: ".spec.none" }, { jsonPath: ".spec.color" }],
    }),
  ).toEqual([
    'spec.selectableFields[1].jsonPath: Invalid value: ".spec.size": must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed.',
    'spec.selectableFields[2].jsonPath: Invalid value: ".spec.none": is an invalid path: does not refer to a valid field',
    'spec.selectableFields[3].jsonPath: Duplicate value: ".spec.color"',
  ]);
  expect(version({ deprecationWarning: "old" })).toEqual([
    'spec.versions[0].deprecationWarning: Invalid value: "old": can only be set for deprecated versions',
  ]);
});

it("asks for an approval of the community's groups, and says in the status what it was", () => {
  const of = (annotation?: string): KubeObject => {
    const d = definition({}, {}, { group: "x.k8s.io" });
    d.metadata.name = "foos.x.k8s.io";
    if (annotation !== undefined) d.metadata.annotations = { "api-approved.kubernetes.io": annotation };
    return d;
  };
  const field = "metadata.annotations[api-approved.kubernetes.io]";
  expect(refusals(of())).toEqual([
    `${field}: Required value: protected groups must have approval annotation "api-approved.kubernetes.io", see https://github.com/kubernetes/enhancements/pull/1111`,
  ]);
  expect(refusals(of("perhaps"))[0]).toContain(`${field}: Invalid value: "perhaps": protected groups must have approval annotation`);
  expect(refusals(of("unapproved, a test"))).toEqual([]);
  expect(refusals(of("https://github.com/kubernetes/kubernetes/pull/1"))).toEqual([]);
  expect(refusals(of(), of())).toEqual([]);
  const condition = (d: KubeObject) =>
    (withNames(d, [], "t") as any).conditions.find((c: any) => c.type === "KubernetesAPIApprovalPolicyConformant");
  expect(condition(of("https://a.example.com/1"))).toMatchObject({
    status: "True",
    reason: "ApprovedAnnotation",
    message: "approved in https://a.example.com/1",
  });
  expect(condition(of("unapproved"))).toMatchObject({
    status: "False",
    reason: "UnapprovedAnnotation",
    message: 'not approved: "unapproved"',
  });
});
