// An Ingress without a class gets the default one; two defaults are refused, as upstream refuses them.
import { afterAll, beforeAll, expect, test } from "vitest";
import { type InProcess, startInProcess } from "../in-process.ts";

let api: InProcess;
beforeAll(async () => {
  api = await startInProcess();
});
afterAll(() => api.stop());

const ingress = (name: string, o: { annotations?: object; spec?: object } = {}) =>
  api.request("POST", "/apis/networking.k8s.io/v1/namespaces/default/ingresses", {
    metadata: { name, annotations: o.annotations },
    spec: { defaultBackend: { service: { name: "s", port: { number: 80 } } }, ...o.spec },
  });
const ingressClass = (name: string) =>
  api.request("POST", "/apis/networking.k8s.io/v1/ingressclasses", {
    metadata: { name, annotations: { "ingressclass.kubernetes.io/is-default-class": "true" } },
    spec: { controller: "example.com/c" },
  });

test("the default class, when there is one and nothing else is said", async () => {
  expect((await ingress("before")).body.spec.ingressClassName).toBeUndefined();
  await ingressClass("a");
  expect((await ingress("default")).body.spec.ingressClassName).toBe("a");
  expect((await ingress("own", { spec: { ingressClassName: "b" } })).body.spec.ingressClassName).toBe("b");
  const annotated = await ingress("old", { annotations: { "kubernetes.io/ingress.class": "nginx" } });
  expect(annotated.body.spec.ingressClassName).toBeUndefined();
  await ingressClass("c");
  const two = await ingress("two");
  expect([two.status, two.body.message]).toEqual([
    403,
    'ingresses.networking.k8s.io "two" is forbidden: Internal error occurred: 2 default IngressClasses were found, only 1 allowed',
  ]);
});
