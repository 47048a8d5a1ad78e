// The example operator (examples/operator): the same program outside the cluster with a kubeconfig, and inside as a pod of the image
// `node` with nothing but its ServiceAccount.
import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Cluster, eventually, missing, root, startCluster } from "./cluster.ts";

const why = missing("kubectl");
const unless = why ? ` (skipped: ${why})` : "";
const folder = join(root, "examples", "operator");
let cluster: Cluster;
let outside: ChildProcess | undefined;

beforeAll(async () => {
  if (why) return;
  cluster = await startCluster({ nodes: 1, name: "operator" });
  await cluster.kubectl(["apply", "-f", join(folder, "crd.yaml")]);
  await cluster.kubectl(["wait", "--for=condition=Established", "crd/greetings.example.podwire.io", "--timeout=30s"]);
});
afterAll(async () => {
  outside?.kill("SIGKILL");
  await cluster?.stop();
});

const greeting = (name: string, text: string, replicas: number): string =>
  JSON.stringify({ apiVersion: "example.podwire.io/v1", kind: "Greeting", metadata: { name }, spec: { text, replicas } });
const readyReplicas = (name: string, count: number) =>
  eventually(`greeting ${name} has ${count} ready replicas`, async () => {
    const g = await cluster.object("get", "greeting", name);
    return g.status?.readyReplicas === count ? g : undefined;
  });

/** A Greeting's whole life, whoever looks after it. */
async function life(name: string): Promise<void> {
  await cluster.kubectl(["apply", "-f", "-"], { input: greeting(name, "hello", 1) });
  const made = await readyReplicas(name, 1);
  expect(made.metadata.finalizers).toEqual(["example.podwire.io/farewell"]);
  const owner = (await cluster.object("get", "service", name)).metadata.ownerReferences[0];
  expect(owner).toMatchObject({ kind: "Greeting", name, controller: true });
  const answer = () => cluster.kubectl(["get", "--request-timeout=3s", "--raw", `/api/v1/namespaces/default/services/${name}:http/proxy/`]);
  expect(await eventually("it greets", answer)).toContain("hello");

  await cluster.kubectl(["apply", "-f", "-"], { input: greeting(name, "goodbye", 2) });
  await readyReplicas(name, 2);
  await eventually("it says the new text", async () => (await answer()).includes("goodbye"));
  // What somebody else takes away comes back.
  await cluster.kubectl(["delete", "deployment", name]);
  await eventually("the Deployment is back", () => cluster.kubectl(["get", "deployment", name]));
  await readyReplicas(name, 2);

  await cluster.kubectl(["delete", "greeting", name, "--timeout=30s"]);
  await eventually("what it owned is gone", async () => {
    const left = await cluster.kubectl(["get", "deployments,services", "--ignore-not-found", name]).catch(() => "");
    return left === "";
  });
  const { items } = await cluster.object("get", "events", "--field-selector", `involvedObject.name=${name},reason=Farewell`);
  expect(items.map((e: { message: string }) => e.message)).toEqual([`Goodbye from ${name}`]);
}

test.skipIf(why)(
  `outside the cluster, with a kubeconfig${unless}`,
  async () => {
    const program = join(folder, "operator.ts");
    outside = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", program, `--kubeconfig=${cluster.kubeconfig}`], {
      stdio: ["ignore", "ignore", "inherit"],
    });
    await life("outer");
    expect(outside.exitCode).toBeNull();
    outside.kill("SIGKILL");
  },
  180_000,
);

test.skipIf(why)(
  `inside the cluster, as a JavaScript pod with its ServiceAccount${unless}`,
  async () => {
    outside?.kill("SIGKILL");
    const bundle = join(cluster.home, "operator.cjs");
    await build({
      entryPoints: [join(folder, "operator.ts")],
      outfile: bundle,
      bundle: true,
      minify: true,
      platform: "node",
      format: "cjs",
      target: "node24",
      logLevel: "silent",
    });
    expect(readFileSync(bundle).length).toBeLessThan(1_000_000); // A ConfigMap's limit.
    await cluster.kubectl(["create", "configmap", "greeting-operator", `--from-file=${bundle}`]);
    await cluster.kubectl(["apply", "-f", join(folder, "deploy.yaml")]);
    await cluster.kubectl(["rollout", "status", "deployment/greeting-operator", "--timeout=60s"]);
    await life("inner");
    const pods = (await cluster.object("get", "pods", "-l", "app=greeting-operator")).items;
    expect(pods[0].status.containerStatuses[0].restartCount).toBe(0);
  },
  180_000,
);
