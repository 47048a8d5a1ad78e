// What a Greeting calls for: a Deployment that serves its text and a Service in front. Pure: the Greeting and what there is in, what there
// should be out.
import { controllerReference, type KubeObject, type ResourceRef } from "@podwire/client";

export const GREETINGS: ResourceRef = {
  group: "example.podwire.io",
  version: "v1",
  resource: "greetings",
  kind: "Greeting",
  namespaced: true,
};
/** Held while a Greeting lives, so that the operator can say goodbye. */
export const FINALIZER = "example.podwire.io/farewell";

export function deploymentOf(greeting: KubeObject): KubeObject {
  const { name, namespace = "" } = greeting.metadata;
  const labels = { "example.podwire.io/greeting": name };
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name, namespace, labels, ownerReferences: [controllerReference(greeting, GREETINGS)] },
    spec: {
      replicas: greeting["spec"].replicas ?? 1,
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: {
          terminationGracePeriodSeconds: 0,
          containers: [
            {
              name: "greeting",
              image: "hashicorp/http-echo",
              args: [`-text=${greeting["spec"].text}`, "-listen=:5678"],
              ports: [{ name: "http", containerPort: 5678 }],
            },
          ],
        },
      },
    },
  };
}

export function serviceOf(greeting: KubeObject): KubeObject {
  const { name, namespace = "" } = greeting.metadata;
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name, namespace, ownerReferences: [controllerReference(greeting, GREETINGS)] },
    spec: { selector: { "example.podwire.io/greeting": name }, ports: [{ name: "http", port: 80, targetPort: "http" }] },
  };
}

/** The merge patch that brings a Deployment to its Greeting; undefined when it is there. */
export function patchFor(existing: KubeObject, wanted: KubeObject): object | undefined {
  const [has, want] = [existing["spec"], wanted["spec"]];
  const text = (spec: any): string => JSON.stringify(spec.template.spec.containers[0].args);
  if (has.replicas === want.replicas && text(has) === text(want)) return undefined;
  return { spec: { replicas: want.replicas, template: want.template } };
}
