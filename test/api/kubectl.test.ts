// Unmodified kubectl against a real apiserver process, on each store.

import { testNatsBinary } from "@podwire/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type RunningApiServer, startApiServer } from "./apiserver-process.ts";

for (const storage of ["memory", "jetstream"] as const) {
  describe.skipIf(storage === "jetstream" && testNatsBinary === undefined)(
    `kubectl on ${storage}${storage === "jetstream" ? " (skipped without a nats-server)" : ""}`,
    () => {
      let server: RunningApiServer;
      const ok = async (args: string[], stdin?: string) => {
        const r = await server.kubectl(args, stdin);
        expect(r.stderr.replace(/^(WARNING: version|Warning:).*$/gm, "").trim()).toBe("");
        expect(r.code).toBe(0);
        return r.stdout;
      };

      beforeAll(async () => {
        server = await startApiServer(storage);
        await ok(["create", "serviceaccount", "default"]);
      });
      afterAll(async () => server.close());

      test("a fresh cluster has its namespaces, policy and the kubernetes Service", async () => {
        const names = (await ok(["get", "namespaces", "-o", "name"])).trim().split("\n");
        expect(names).toEqual(["namespace/default", "namespace/kube-node-lease", "namespace/kube-public", "namespace/kube-system"]);
        expect(await ok(["get", "service", "kubernetes", "-o", "jsonpath={.spec.clusterIP} {.spec.ports[0].port}"])).toBe("10.96.0.1 443");
        expect(await ok(["get", "endpointslice", "kubernetes", "-o", "jsonpath={.endpoints[0].addresses[0]}"])).toBe("172.30.0.2");
        expect(await ok(["get", "clusterrole", "view", "-o", "jsonpath={.rules[0].verbs}"])).toContain("get");
        expect((await ok(["get", "priorityclasses", "-o", "name"])).split("\n")).toContain(
          "priorityclass.scheduling.k8s.io/system-node-critical",
        );
      });

      test("create, scale, expose, label, patch, delete a deployment", async () => {
        await ok(["create", "deployment", "web", "--image=nginx", "--replicas=2"]);
        await ok(["scale", "deployment", "web", "--replicas=5"]);
        expect(await ok(["get", "deployment", "web", "-o", "jsonpath={.spec.replicas} {.metadata.generation}"])).toBe("5 2");
        await ok(["expose", "deployment", "web", "--port=80", "--type=NodePort"]);
        const [ip = "", port = ""] = (
          await ok(["get", "service", "web", "-o", "jsonpath={.spec.clusterIP} {.spec.ports[0].nodePort}"])
        ).split(" ");
        expect(ip).toMatch(/^10\.(9[6-9]|10\d|11[01])\./);
        expect(Number(port)).toBeGreaterThanOrEqual(30000);
        await ok(["label", "deployment", "web", "tier=front"]);
        await ok(["set", "image", "deployment/web", "nginx=nginx:1.27"]);
        await ok(["rollout", "restart", "deployment/web"]);
        expect(await ok(["get", "deployment", "web", "-o", "jsonpath={.spec.template.spec.containers[0].image}"])).toBe("nginx:1.27");
        await ok(["delete", "deployment", "web"]);
        await ok(["delete", "service", "web"]);
        expect((await server.kubectl(["get", "deployment", "web"])).stderr).toContain('deployments.apps "web" not found');
      });

      test("a second Service cannot take the first one's address", async () => {
        await ok(["create", "service", "clusterip", "one", "--clusterip=10.96.0.77", "--tcp=80:80"]);
        const second = await server.kubectl(["create", "service", "clusterip", "two", "--clusterip=10.96.0.77", "--tcp=80:80"]);
        expect(second.stderr).toContain("provided IP is already allocated");
        await ok(["delete", "service", "one"]);
        await expect
          .poll(async () => (await server.kubectl(["create", "service", "clusterip", "two", "--clusterip=10.96.0.77", "--tcp=80:80"])).code)
          .toBe(0);
      });

      test("a pod is completed by admission, bound, and deleted with grace", async () => {
        await ok(["run", "p", "--image=nginx"]);
        const pod = JSON.parse(await ok(["get", "pod", "p", "-o", "json"]));
        expect(pod.spec.serviceAccountName).toBe("default");
        expect(pod.spec.volumes[0].projected.sources[0].serviceAccountToken.expirationSeconds).toBe(3607);
        expect(pod.spec.tolerations).toHaveLength(2);
        expect(pod.spec.priority).toBe(0);
        const binding = JSON.stringify({
          apiVersion: "v1",
          kind: "Binding",
          metadata: { name: "p" },
          target: { kind: "Node", name: "n1" },
        });
        await ok(["create", "--raw", "/api/v1/namespaces/default/pods/p/binding", "-f", "-"], binding);
        const again = await server.kubectl(["create", "--raw", "/api/v1/namespaces/default/pods/p/binding", "-f", "-"], binding);
        expect(again.stderr).toContain("already assigned to node");
        await ok(["delete", "pod", "p", "--wait=false"]);
        const dying = JSON.parse(await ok(["get", "pod", "p", "-o", "json"]));
        expect(dying.metadata.deletionGracePeriodSeconds).toBe(30);
        await ok(["delete", "pod", "p", "--grace-period=0", "--force"]);
        expect((await server.kubectl(["get", "pod", "p"])).code).toBe(1);
      });

      test("what is malformed gets Kubernetes' errors", async () => {
        const bad = await server.kubectl(
          ["create", "--validate=false", "-f", "-"],
          '{"apiVersion":"v1","kind":"Pod","metadata":{"name":"x"},"spec":{"containers":5}}',
        );
        expect(bad.stderr).toContain("Error from server (BadRequest)");
        const none = await server.kubectl(["get", "--raw", "/apis/apps/v1/nothing"]);
        expect(none.stderr).toContain("the server could not find the requested resource");
      });

      test("objects, addresses and identities survive a kill -9", async () => {
        if (storage === "memory") return;
        await ok(["create", "configmap", "kept", "--from-literal=a=1"]);
        const before = await ok(["get", "configmap", "kept", "-o", "jsonpath={.metadata.uid} {.metadata.resourceVersion}"]);
        await server.restart();
        expect(await ok(["get", "configmap", "kept", "-o", "jsonpath={.metadata.uid} {.metadata.resourceVersion}"])).toBe(before);
        const taken = await server.kubectl(["create", "service", "clusterip", "three", "--clusterip=10.96.0.77", "--tcp=80:80"]);
        expect(taken.stderr).toContain("provided IP is already allocated");
      });
    },
  );
}
