// [sig-cli] Kubectl client: unmodified kubectl against the cluster. Skipped by name where kubectl is not on PATH.
import { spawn } from "node:child_process";
import { expect, inject } from "vitest";
import { missing } from "../../cluster.ts";
import { AGNHOST, type Context, conformance, HTTPD } from "../harness.ts";
import type { Json } from "../rest.ts";

const skip = missing("kubectl");
const NAUTILUS = "registry.k8s.io/e2e-test-images/nautilus:1.7";
const input = (...objects: Json[]) => ({ input: JSON.stringify({ apiVersion: "v1", kind: "List", items: objects }) });
const test = (title: string, body: (t: Context) => Promise<void>) => conformance(`[sig-cli] ${title}`, body, { skip });

const controller = (name: string, replicas: number, spec: Json): Json => ({
  apiVersion: "v1",
  kind: "ReplicationController",
  metadata: { name, labels: { app: "agnhost", role: "primary" } },
  spec: {
    replicas,
    selector: { name },
    template: { metadata: { labels: { name, app: "agnhost", role: "primary" } }, spec: { terminationGracePeriodSeconds: 0, ...spec } },
  },
});
const agnhost = (args: string[], port?: number): Json => ({
  containers: [{ name: "agnhost", image: AGNHOST, args, ...(port ? { ports: [{ name: "primary", containerPort: port }] } : {}) }],
});

/** Pods of a controller that run, by kubectl's own template output. */
async function running(t: Context, name: string, count: number): Promise<string[]> {
  return t.eventually(
    `${count} pods of ${name} run`,
    async () => {
      const names = await t.kubectl([
        "get",
        "pods",
        "-l",
        `name=${name}`,
        "-o",
        "template",
        '--template={{range .items}}{{if eq .status.phase "Running"}}{{if not .metadata.deletionTimestamp}}{{.metadata.name}} {{end}}{{end}}{{end}}',
      ]);
      const list = names.split(" ").filter((n) => n !== "");
      const all = (await t.api.get(t.path("pods"), { query: { labelSelector: `name=${name}` } })).items.length;
      return list.length === count && all === count ? list : undefined;
    },
    60_000,
  );
}

test("Kubectl client Update Demo should create and stop a replication controller [Conformance]", async (t) => {
  const made = await t.kubectl(
    ["create", "-f", "-"],
    input(
      controller("update-demo-nautilus", 2, { containers: [{ name: "update-demo", image: NAUTILUS, ports: [{ containerPort: 80 }] }] }),
    ),
  );
  expect(made).toBe("replicationcontroller/update-demo-nautilus created");
  const pods = await running(t, "update-demo-nautilus", 2);
  expect(await t.kubectl(["get", "pod", pods[0] as string, "-o", "template", "--template={{(index .spec.containers 0).image}}"])).toBe(
    NAUTILUS,
  );
  await t.kubectl(["delete", "--grace-period=0", "--force", "rc", "update-demo-nautilus"]);
  expect(await t.kubectl(["get", "rc", "-l", "name=update-demo-nautilus", "--no-headers"])).toBe("");
  await t.eventually(
    "the pods are gone",
    async () => (await t.kubectl(["get", "pods", "-l", "name=update-demo-nautilus", "--no-headers"])) === "",
  );
});

test("Kubectl client Update Demo should scale a replication controller [Conformance]", async (t) => {
  await t.kubectl(
    ["create", "-f", "-"],
    input(
      controller("update-demo-nautilus", 2, { containers: [{ name: "update-demo", image: NAUTILUS, ports: [{ containerPort: 80 }] }] }),
    ),
  );
  await running(t, "update-demo-nautilus", 2);
  for (const replicas of [1, 2]) {
    expect(await t.kubectl(["scale", "rc", "update-demo-nautilus", `--replicas=${replicas}`, "--timeout=1m"])).toBe(
      "replicationcontroller/update-demo-nautilus scaled",
    );
    await running(t, "update-demo-nautilus", replicas);
  }
});

test("Kubectl client Guestbook application should create and stop a working application [Conformance]", async (t) => {
  const service = (name: string, port: number, selector: Json): Json => ({
    apiVersion: "v1",
    kind: "Service",
    metadata: { name },
    spec: { selector, ports: [{ port }] },
  });
  const deployment = (name: string, replicas: number, args: string[], port: number): Json => ({
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name },
    spec: {
      replicas,
      selector: { matchLabels: { book: name } },
      template: {
        metadata: { labels: { book: name } },
        spec: { terminationGracePeriodSeconds: 0, containers: [{ name: "c", image: AGNHOST, args, ports: [{ containerPort: port }] }] },
      },
    },
  });
  const parts = [
    service("agnhost-primary", 6379, { book: "agnhost-primary" }),
    service("agnhost-replica", 6379, { book: "agnhost-replica" }),
    service("frontend", 80, { book: "frontend" }),
    deployment("agnhost-primary", 1, ["guestbook", "--http-port", "6379"], 6379),
    deployment("agnhost-replica", 2, ["guestbook", "--replicaof", "agnhost-primary", "--http-port", "6379"], 6379),
    deployment("frontend", 3, ["guestbook", "--backend-port", "6379"], 80),
  ];
  await t.kubectl(["create", "-f", "-"], input(...parts));
  await t.kubectl(["wait", "deployment", "--all", "--for=condition=Available", "--timeout=90s"]);
  const ask = (query: string) => t.api.call("GET", `${t.path("services/frontend/proxy")}/guestbook?${query}`, { accept: "*/*" });
  const says = (what: string, query: string, answer: string) =>
    t.eventually(
      what,
      async () => {
        const a = await ask(query);
        if (a.code === 200 && a.text.includes(answer)) return true;
        throw new Error(`${a.code}: ${a.text}`);
      },
      60_000,
    );
  await says("the frontend answers", "cmd=get&key=messages&value=", '"data":""');
  await says("an entry is stored", "cmd=set&key=messages&value=TestEntry", '"message":"Updated"');
  await says("the entry is read back", "cmd=get&key=messages&value=", '"data":"TestEntry"');
  await t.kubectl(["delete", "--grace-period=0", "--force", "deployment,service", "--all"]);
  expect(await t.kubectl(["get", "deployment,service", "--no-headers"])).toBe("");
});

test("Kubectl client Kubectl cluster-info should check if Kubernetes control plane services is included in cluster-info [Conformance]", async (t) => {
  const esc = String.fromCharCode(27);
  const out = (await t.kubectl(["cluster-info"])).replaceAll(new RegExp(`${esc}\\[[0-9;]*m`, "g"), "");
  expect(out).toMatch(/^Kubernetes control plane is running at https:\/\/\S+$/m);
});

test("Kubectl client Kubectl diff should check if kubectl diff finds a difference for Deployments [Conformance]", async (t) => {
  const deployment = (image: string): Json => ({
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: "httpd-deployment" },
    spec: {
      replicas: 1,
      selector: { matchLabels: { app: "httpd" } },
      template: { metadata: { labels: { app: "httpd" } }, spec: { containers: [{ name: "httpd", image }] } },
    },
  });
  await t.create(deployment(HTTPD));
  const r = await t.tryKubectl(["diff", "-f", "-"], input(deployment("registry.k8s.io/e2e-test-images/busybox:1.37.0-1")));
  expect(r.code, r.stderr).toBe(1);
  expect(r.stdout).toMatch(new RegExp(`^-\\s+- image: ${HTTPD}$`, "m"));
  expect(r.stdout).toMatch(/^\+\s+- image: registry\.k8s\.io\/e2e-test-images\/busybox:1\.37\.0-1$/m);
});

test("Kubectl client Kubectl expose should create services for rc [Conformance]", async (t) => {
  await t.create(controller("agnhost-primary", 1, agnhost(["netexec", "--http-port=6379"], 6379)));
  await running(t, "agnhost-primary", 1);
  const endpoint = async (service: string, port: number) => {
    const s = await t.api.get(t.path(`services/${service}`));
    expect(s.spec.ports).toEqual([expect.objectContaining({ port, targetPort: 6379 })]);
    await t.eventually(`${service} has its endpoint`, async () => {
      const { subsets } = await t.api.get(t.path(`endpoints/${service}`));
      return subsets?.[0]?.addresses?.length === 1 && subsets[0].ports[0].port === 6379;
    });
  };
  await t.kubectl(["expose", "rc", "agnhost-primary", "--name=rm2", "--port=1234", "--target-port=6379"]);
  await endpoint("rm2", 1234);
  await t.kubectl(["expose", "service", "rm2", "--name=rm3", "--port=2345", "--target-port=6379"]);
  await endpoint("rm3", 2345);
});

test("Kubectl client Kubectl label should update the label on a resource [Conformance]", async (t) => {
  await t.runPod("pause");
  await t.kubectl(["label", "pods", "pause", "testing-label=testing-label-value"]);
  expect(await t.kubectl(["get", "pod", "pause", "-L", "testing-label"])).toMatch(/TESTING-LABEL\n.*testing-label-value$/);
  await t.kubectl(["label", "pods", "pause", "testing-label-"]);
  expect(await t.kubectl(["get", "pod", "pause", "-L", "testing-label"])).not.toContain("testing-label-value");
});

test("Kubectl client Kubectl patch should add annotations for pods in rc [Conformance]", async (t) => {
  await t.create(controller("agnhost-primary", 1, agnhost(["pause"])));
  const pods = await running(t, "agnhost-primary", 1);
  for (const pod of pods) await t.kubectl(["patch", "pod", pod, "-p", '{"metadata":{"annotations":{"x":"y"}}}']);
  for (const pod of pods) expect((await t.getPod(pod)).metadata.annotations).toMatchObject({ x: "y" });
});

test("Kubectl client Kubectl replace should update a single-container pod''s image [Conformance]", async (t) => {
  await t.kubectl(["run", "e2e-test-httpd-pod", `--image=${HTTPD}`, "--labels=run=e2e-test-httpd-pod"]);
  await t.podReady("e2e-test-httpd-pod");
  const pod = JSON.parse(await t.kubectl(["get", "pod", "e2e-test-httpd-pod", "-o", "json"]));
  const image = "registry.k8s.io/e2e-test-images/busybox:1.37.0-1";
  pod.spec.containers[0].image = image;
  await t.eventually("it is replaced", async () => {
    // The kubelet's status came between when the version is no longer the last.
    const r = await t.tryKubectl(["replace", "-f", "-"], {
      input: JSON.stringify({ ...pod, metadata: { ...pod.metadata, resourceVersion: undefined } }),
    });
    if (r.code !== 0) throw new Error(r.stderr);
    return true;
  });
  expect((await t.getPod("e2e-test-httpd-pod")).spec.containers[0].image).toBe(image);
});

test("Kubectl client Kubectl server-side dry-run should check if kubectl can dry-run update Pods [Conformance]", async (t) => {
  await t.kubectl(["run", "e2e-test-httpd-pod", `--image=${HTTPD}`]);
  const patch = '{"spec":{"containers":[{"name":"e2e-test-httpd-pod","image":"registry.k8s.io/e2e-test-images/busybox:1.37.0-1"}]}}';
  expect(
    await t.kubectl(["patch", "pod", "e2e-test-httpd-pod", "-p", patch, "--dry-run=server", "-o", "jsonpath={.spec.containers[0].image}"]),
  ).toContain("busybox");
  expect((await t.getPod("e2e-test-httpd-pod")).spec.containers[0].image).toBe(HTTPD);
});

test("Kubectl client Kubectl version should check is all data is printed [Conformance]", async (t) => {
  const version = JSON.parse(await t.kubectl(["version", "-o", "json"]));
  for (const side of ["clientVersion", "serverVersion"])
    for (const field of ["major", "minor", "gitVersion", "gitCommit", "goVersion", "compiler", "platform", "buildDate"])
      expect(version[side][field], `${side}.${field}`).toMatch(/\S/);
});

test("Kubectl client Proxy server should support proxy with --port 0 [Conformance]", async (t) => {
  const proxy = spawn("kubectl", ["proxy", "--port=0", "--disable-filter"], { env: { ...process.env, KUBECONFIG: inject("kubeconfig") } });
  t.defer(() => proxy.kill("SIGKILL"));
  let said = "";
  proxy.stdout.on("data", (d) => {
    said += d;
  });
  const port = await t.eventually("the proxy says its port", () => /Starting to serve on 127\.0\.0\.1:(\d+)/.exec(said)?.[1]);
  const versions = (await (await fetch(`http://127.0.0.1:${port}/api/`)).json()) as Json;
  expect(versions.versions).toEqual(["v1"]);
});

test("Kubectl logs logs should be able to retrieve and filter logs [Conformance]", async (t) => {
  await t.kubectl([
    "run",
    "logs-generator",
    `--image=${AGNHOST}`,
    "--restart=Never",
    "--",
    "logs-generator",
    "--log-lines-total",
    "100",
    "--run-duration",
    "12s",
  ]);
  const logs = (...args: string[]) => t.kubectl(["logs", "logs-generator", "logs-generator", ...args]);
  await t.eventually("a line came", async () => /\d/.test((await t.tryKubectl(["logs", "logs-generator"])).stdout));
  const [one] = [await logs("--tail=1")];
  expect(one.split("\n")).toHaveLength(1);
  expect((await t.api.call("GET", t.path("pods/logs-generator/log"), { accept: "*/*", query: { limitBytes: 1 } })).text).toHaveLength(1);
  expect(await logs("--limit-bytes=1")).toHaveLength(1);
  const stamped = await logs("--tail=1", "--timestamps");
  expect(stamped).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+(Z|[+-]\d\d:\d\d) /);
  expect(Math.abs(Date.parse(stamped.split(" ")[0] as string) - Date.now())).toBeLessThan(300_000);
  await t.eventually("enough lines for a second to matter", async () => (await logs()).split("\n").length > 30, 20_000);
  const [recent, whole] = [(await logs("--since=1s")).split("\n").length, (await logs("--since=24h")).split("\n").length];
  expect(recent).toBeLessThan(whole);
});
