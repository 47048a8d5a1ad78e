// Every kubectl that is installed (kubectl.1.27 beside kubectl, as some packages lay them out) runs the commands of daily use against one
// apiserver process. Invariant: what a newer kubectl can do, the older can, with the words that kube-apiserver makes it print.
import { readdirSync, realpathSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type RunningApiServer, startApiServer } from "./apiserver-process.ts";

/** Builds named kubectl.1.N in the folders of the PATH, and in the one that `kubectl` links into. */
function installed(): { version: string; binary: string }[] {
  const folders = new Set<string>();
  for (const folder of (process.env["PATH"] ?? "").split(delimiter)) {
    folders.add(folder);
    try {
      folders.add(dirname(realpathSync(join(folder, "kubectl"))));
    } catch {
      // No kubectl there.
    }
  }
  const found = new Map<string, string>();
  for (const folder of folders) {
    let names: string[] = [];
    try {
      names = readdirSync(folder);
    } catch {
      continue;
    }
    for (const n of names) if (/^kubectl\.1\.\d+$/.test(n)) found.set(n.slice(8), join(folder, n));
  }
  return [...found].map(([version, binary]) => ({ version, binary })).sort((a, b) => a.version.localeCompare(b.version));
}

const LIST = `
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: ConfigMap, metadata: {name: settings}, data: {x: "1"}}
- apiVersion: apps/v1
  kind: Deployment
  metadata: {name: web}
  spec:
    replicas: 2
    selector: {matchLabels: {app: web}}
    template:
      metadata: {labels: {app: web}}
      spec: {containers: [{name: c, image: nginx}]}
`;
const CSR = (name: string, request: string) => `
apiVersion: certificates.k8s.io/v1
kind: CertificateSigningRequest
metadata: {name: ${name}}
spec: {request: ${request}, signerName: kubernetes.io/kube-apiserver-client, usages: [client auth]}
`;
// A request for CN=jane, made once with openssl; nobody signs it here.
const REQUEST =
  "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0KTUlIS01ISUNBUUF3RHpFTk1Bc0dBMVVFQXd3RWFtRnVaVEJaTUJNR0J5cUdTTTQ5QWdFR0NDcUdTTTQ5QXdFSA==";

describe.each(installed())("kubectl $version", ({ version, binary }) => {
  let server: RunningApiServer;
  const ns = `v${version.replace(".", "-")}`;
  const run = (args: string[], stdin?: string) => server.kubectl(["--namespace", ns, ...args], stdin, binary);
  const ok = async (args: string[], stdin?: string) => {
    const r = await run(args, stdin);
    expect(r.stderr.replace(/^(WARNING|Warning|Flag).*$/gm, "").trim(), args.join(" ")).toBe("");
    expect(r.code, args.join(" ")).toBe(0);
    return r.stdout;
  };

  beforeAll(async () => {
    server = await shared();
    await ok(["create", "namespace", ns]);
    await ok(["create", "serviceaccount", "default"]);
  });

  test("apply, edit, patch, replace, label, annotate, diff, wait, delete", async () => {
    expect(await ok(["apply", "-f", "-"], LIST)).toBe("configmap/settings created\ndeployment.apps/web created\n");
    const unknown = await run(["apply", "-f", "-"], LIST.replace("image: nginx", "image: nginx, bogus: 1"));
    expect(unknown.stderr).toContain('unknown field "bogus" in io.k8s.api.core.v1.Container');
    expect(await ok(["apply", "--server-side", "--force-conflicts", "-f", "-"], LIST)).toContain("deployment.apps/web serverside-applied");
    expect(await ok(["apply", "--server-side", "--force-conflicts", "-f", "-"], LIST)).toContain("serverside-applied");
    const diff = await run(["diff", "-f", "-"], LIST.replace("replicas: 2", "replicas: 3"));
    expect([diff.code, diff.stdout]).toEqual([1, expect.stringMatching(/-\s+replicas: 2\n\+\s+replicas: 3/)]);
    await ok(["patch", "deployment", "web", "-p", '{"spec":{"template":{"spec":{"containers":[{"name":"c","image":"nginx:2"}]}}}}']);
    await ok(["patch", "deployment", "web", "--type=json", "-p", '[{"op":"replace","path":"/spec/replicas","value":4}]']);
    await ok(["patch", "deployment", "web", "--type=merge", "-p", '{"metadata":{"labels":{"merged":"yes"}}}']);
    await ok(["label", "deployment", "web", "tier=front"]);
    await ok(["annotate", "deployment", "web", "note=hello"]);
    await ok(["scale", "deployment", "web", "--replicas=5"]);
    const web = JSON.parse(await ok(["get", "deployment", "web", "-o", "json"]));
    expect([web.spec.replicas, web.spec.template.spec.containers[0].image]).toEqual([5, "nginx:2"]);
    expect(web.metadata.labels).toEqual({ merged: "yes", tier: "front" });
    expect(web.metadata.annotations.note).toBe("hello");
    delete web.status;
    web.spec.replicas = 1;
    await ok(["replace", "-f", "-"], JSON.stringify(web));
    expect(await ok(["wait", "--for=jsonpath={.spec.replicas}=1", "deployment/web", "--timeout=10s"])).toContain("condition met");
    expect(await ok(["delete", "-f", "-"], LIST)).toContain('deployment.apps "web" deleted');
  });

  test("get in every output, explain, api-resources, api-versions", async () => {
    await ok(["create", "configmap", "shown", "--from-literal=a=1"]);
    expect(await ok(["get", "configmap", "shown"])).toMatch(/^NAME +DATA +AGE\nshown +1 +\S+\n$/);
    expect(await ok(["get", "cm", "shown", "-o", "wide", "--show-labels"])).toContain("LABELS");
    expect(await ok(["get", "cm", "shown", "-o", "name"])).toBe("configmap/shown\n");
    expect(await ok(["get", "cm", "shown", "-o", "yaml"])).toContain('\ndata:\n  a: "1"\nkind: ConfigMap\n');
    expect(await ok(["get", "cm", "shown", "-o", "jsonpath={.data.a}"])).toBe("1");
    expect(await ok(["get", "cm", "shown", "-o", "go-template={{.data.a}}"])).toBe("1");
    expect(await ok(["get", "cm", "shown", "-o", "custom-columns=A:.data.a"])).toBe("A\n1\n");
    expect(await ok(["get", "cm", "--sort-by=.metadata.name", "--no-headers"])).toMatch(/^settings|^shown/);
    expect(await ok(["explain", "pods.spec.containers.ports"])).toMatch(/containerPort\t<integer> -required-/);
    expect((await ok(["explain", "deployment", "--recursive"])).split("\n").length).toBeGreaterThan(1000);
    expect(await ok(["api-resources", "--api-group=apps", "--no-headers", "-o", "name"])).toContain("deployments.apps\n");
    expect((await ok(["api-versions"])).split("\n")).toContain("networking.k8s.io/v1");
    if (Number(version.slice(2)) < 32)
      expect(await ok(["explain", "--output=plaintext-openapiv2", "pods.spec"])).toContain("activeDeadlineSeconds\t<integer>");
  });

  test("auth can-i and whoami, certificate approve, create token", async () => {
    expect(await ok(["auth", "can-i", "delete", "nodes"])).toBe("yes\n");
    const not = await run(["auth", "can-i", "list", "pods", `--as=system:serviceaccount:${ns}:default`]);
    expect([not.code, not.stdout]).toEqual([1, "no\n"]);
    expect(await ok(["auth", "can-i", "--list", `--as=system:serviceaccount:${ns}:default`])).toContain("selfsubjectreviews");
    if (Number(version.slice(2)) > 27) expect(await ok(["auth", "whoami"])).toContain("system:masters");
    const token = (await ok(["create", "token", "default", "--duration=15m"])).trim();
    expect(JSON.parse(Buffer.from(token.split(".")[1] as string, "base64url").toString())["sub"]).toBe(
      `system:serviceaccount:${ns}:default`,
    );
    const csr = await run(["create", "-f", "-"], CSR(ns, REQUEST));
    expect(csr.stderr).toContain("spec.request");
  });

  test("cordon, taint, drain", async () => {
    const node = `node-${ns}`;
    await ok(["create", "-f", "-"], JSON.stringify({ apiVersion: "v1", kind: "Node", metadata: { name: node } }));
    await ok([
      "run",
      "victim",
      "--image=nginx",
      "--overrides",
      JSON.stringify({ spec: { nodeName: node, terminationGracePeriodSeconds: 0 } }),
    ]);
    expect(await ok(["cordon", node])).toContain("cordoned");
    await ok(["taint", "nodes", node, "k=v:NoSchedule"]);
    expect(await ok(["drain", node, "--force", "--ignore-daemonsets", "--timeout=20s"])).toContain("drained");
    expect((await run(["get", "pod", "victim"])).stderr).toContain("NotFound");
    expect(await ok(["uncordon", node])).toContain("uncordoned");
    expect(JSON.parse(await ok(["get", "node", node, "-o", "json"])).spec.taints.map((t: { key: string }) => t.key)).toContain("k");
  });
});

let one: Promise<RunningApiServer> | undefined;
function shared(): Promise<RunningApiServer> {
  one ??= startApiServer("memory");
  return one;
}
afterAll(async () => {
  await (await one)?.close();
});
