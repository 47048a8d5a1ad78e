// What an endpoint takes of an object, kind by kind.
import { expect, it } from "vitest";
import { registry } from "../resources.ts";
import { prepareForUpdate } from "./prepare.ts";

const infoOf = (group: string, version: string, resource: string) => registry.byResource(group, version, resource) as never;

/** Labels and annotations of a stored object after somebody wrote "b" to both of them through the status. */
function afterStatus(group: string, version: string, resource: string) {
  const old = { metadata: { name: "x", labels: { v: "a" }, annotations: { v: "a" } }, spec: { old: true }, status: {} };
  const next: any = { metadata: { name: "x", labels: { v: "b" }, annotations: { v: "b" } }, spec: { old: false }, status: { phase: "P" } };
  prepareForUpdate(infoOf(group, version, resource), next, old as never, "status", { nowMs: 0 });
  expect(next.spec).toEqual({ old: true });
  expect(next.status).toEqual({ phase: "P" });
  return { labels: next.metadata.labels.v, annotations: next.metadata.annotations.v };
}

it.each([
  ["storage.k8s.io", "v1", "volumeattachments"],
  ["flowcontrol.apiserver.k8s.io", "v1", "flowschemas"],
  ["flowcontrol.apiserver.k8s.io", "v1", "prioritylevelconfigurations"],
  ["networking.k8s.io", "v1", "servicecidrs"],
  ["apiregistration.k8s.io", "v1", "apiservices"],
])("the status of %s/%s %s takes no metadata", (group, version, resource) => {
  expect(afterStatus(group, version, resource)).toEqual({ labels: "a", annotations: "a" });
});

it.each([
  ["", "v1", "namespaces"],
  ["apps", "v1", "replicasets"],
  ["batch", "v1", "jobs"],
  ["apiextensions.k8s.io", "v1", "customresourcedefinitions"],
])("the status of %s/%s %s takes labels and annotations", (group, version, resource) => {
  expect(afterStatus(group, version, resource)).toEqual({ labels: "b", annotations: "b" });
});

it("the status of a Deployment takes annotations and no labels", () => {
  expect(afterStatus("apps", "v1", "deployments")).toEqual({ labels: "a", annotations: "b" });
});
