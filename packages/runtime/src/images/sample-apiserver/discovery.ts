// What the sample API server says about itself: groups, versions and resources (legacy discovery), and OpenAPI of the least size.
import { GROUP, RESOURCES } from "./registry.ts";

export const VERSIONS = ["v1alpha1", "v1beta1"] as const;
/** The version that clients should prefer. */
const PREFERRED = "v1beta1";

const gv = (version: string) => ({ groupVersion: `${GROUP}/${version}`, version });
const VERBS = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];

const group = () => ({ name: GROUP, versions: [PREFERRED, "v1alpha1"].map(gv), preferredVersion: gv(PREFERRED) });

export const apiGroupList = () => ({ kind: "APIGroupList", apiVersion: "v1", groups: [group()] });
export const apiGroup = () => ({ kind: "APIGroup", apiVersion: "v1", ...group() });

export function apiResourceList(version: string): object {
  return {
    kind: "APIResourceList",
    apiVersion: "v1",
    groupVersion: `${GROUP}/${version}`,
    resources: RESOURCES.filter((r) => r.versions.includes(version)).map((r) => ({
      name: r.resource,
      singularName: r.kind.toLowerCase(),
      namespaced: r.namespaced,
      kind: r.kind,
      verbs: VERBS,
      ...(r.kind === "Flunder" ? { shortNames: ["fl"] } : {}),
    })),
  };
}

const INFO = { title: "Wardle", version: "0.1" };

export const openApiV2 = () => ({ swagger: "2.0", info: INFO, paths: {}, definitions: definitions() });

export const openApiV3Index = () => ({
  paths: Object.fromEntries(VERSIONS.map((v) => [`apis/${GROUP}/${v}`, { serverRelativeURL: `/openapi/v3/apis/${GROUP}/${v}?hash=1` }])),
});

export const openApiV3 = (version: string) => ({
  openapi: "3.0.0",
  info: INFO,
  paths: {},
  components: { schemas: definitions(version) },
});

function definitions(only?: string): object {
  const out: { [name: string]: object } = {};
  for (const r of RESOURCES)
    for (const version of r.versions)
      if (only === undefined || only === version)
        out[`io.k8s.sample-apiserver.pkg.apis.wardle.${version}.${r.kind}`] = {
          type: "object",
          properties: {
            apiVersion: { type: "string" },
            kind: { type: "string" },
            metadata: { type: "object" },
            spec: { type: "object" },
            status: { type: "object" },
          },
          "x-kubernetes-group-version-kind": [{ group: GROUP, version, kind: r.kind }],
        };
  return out;
}
