// A cluster without controllers and scheduler of its own: it waits for foreign ones. Here they are processes that come over HTTPS with
// the kubeconfigs of `podwire up --without`, two of each with leader election; and once, instead of a scheduler, a few lines that
// bind pods. Killing a leader makes nothing twice.
import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { systemClock } from "@podwire/base";
import { credentialsOfKubeconfig, type KubeObject, Resources, restClient } from "@podwire/client";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Cluster, eventually, missing, root, startCluster } from "./cluster.ts";

const why = missing("kubectl");
const unless = why ? ` (skipped: ${why})` : "";
const FAST_ELECTION = ["--leader-elect-lease-duration=3s", "--leader-elect-renew-deadline=2s", "--leader-elect-retry-period=300ms"];

let cluster: Cluster;
const processes = new Set<ChildProcess>();

/** A component of ours as a stranger: told only its kubeconfig and its flags. */
function foreign(component: "controller-manager" | "scheduler", ...flags: string[]): ChildProcess {
  const program = join(root, "services", component, "src", "main.ts");
  const kubeconfig = join(cluster.home, cluster.name, `${component}.kubeconfig`);
  const child = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", program, `--kubeconfig=${kubeconfig}`, ...flags], {
    stdio: ["ignore", "inherit", "inherit"],
  });
  processes.add(child);
  child.on("exit", () => processes.delete(child));
  return child;
}

const holderOf = (name: string) => async (): Promise<string | undefined> =>
  (await cluster.object("get", "lease", "-n", "kube-system", name)).spec.holderIdentity || undefined;

beforeAll(async () => {
  if (why) return;
  cluster = await startCluster({ nodes: 1, up: ["--without=controller-manager,scheduler"] });
});
afterAll(async () => {
  for (const p of processes) p.kill("SIGKILL");
  await cluster?.stop();
});

test.skipIf(why)(`up --without comes up and waits${unless}`, async () => {
  const { processes: own } = await cluster.status();
  expect(own.map((p: { name: string }) => p.name)).not.toContain("scheduler");
  const [node] = (await cluster.object("get", "nodes")).items;
  expect(node.status.conditions.find((c: { type: string }) => c.type === "Ready").status).toBe("False"); // No podCIDR.
});

test.skipIf(why)(`pods that any client binds run; the controllers are foreign${unless}`, async () => {
  const manager = foreign("controller-manager", ...managerFlags(), ...FAST_ELECTION);
  await eventually("the node is Ready", async () =>
    (await cluster.kubectl(["get", "nodes", "--no-headers"])).includes(" Ready ") ? true : undefined,
  );
  await cluster.kubectl(["create", "deployment", "bound-by-hand", "--image=podwire/echo"]);
  const client = restClient({
    ...credentialsOfKubeconfig(join(cluster.home, cluster.name, "scheduler.kubeconfig")),
    clock: systemClock,
  });
  try {
    const pod = await eventually("a pod waits for a scheduler", async () => {
      const { items } = await client.list(Resources.pods, { namespace: "default" });
      return items.find((p) => p["spec"].nodeName === undefined);
    });
    const { namespace = "", name } = pod.metadata;
    const target = { kind: "Node", name: "node-1" };
    await client.createSubresource(Resources.pods, namespace, name, "binding", { metadata: { name, namespace }, target } as KubeObject);
  } finally {
    await client.close();
  }
  await cluster.kubectl(["rollout", "status", "deployment/bound-by-hand", "--timeout=30s"]);
  await cluster.kubectl(["delete", "deployment", "bound-by-hand"]);
  expect(manager.exitCode).toBeNull();
});

test.skipIf(why)(`two of each; the leaders are killed in the middle of the work, nothing is done twice${unless}`, async () => {
  const second = foreign("controller-manager", ...managerFlags(), ...FAST_ELECTION);
  const schedulers = [foreign("scheduler", ...FAST_ELECTION)];
  await eventually("a scheduler leads", holderOf("kube-scheduler"));
  schedulers.push(foreign("scheduler", ...FAST_ELECTION));
  await eventually("cluster DNS is placed by the foreign scheduler", async () =>
    (await cluster.object("get", "pods", "-n", "kube-system")).items.every((p: KubeObject) => p["spec"].nodeName) ? true : undefined,
  );
  const leaders = [await holderOf("kube-controller-manager")(), await holderOf("kube-scheduler")()];
  await cluster.kubectl(["create", "deployment", "many", "--image=podwire/echo", "--replicas=30"]);
  await cluster.kubectl(["create", "-f", "-"], { input: JOB });
  await eventually("the work has begun", async () => ((await podsOf("app=many")).length > 3 ? true : undefined));
  // The first manager has led since the test before, the first scheduler since it was alone.
  const [manager] = [...processes].filter((p) => p !== second && !schedulers.includes(p));
  for (const leader of [manager, schedulers[0]]) leader?.kill("SIGKILL");
  await eventually("others lead", async () => {
    const now = [await holderOf("kube-controller-manager")(), await holderOf("kube-scheduler")()];
    return now.every((n, i) => n !== undefined && n !== leaders[i]) ? true : undefined;
  });
  await cluster.kubectl(["rollout", "status", "deployment/many", "--timeout=60s"]);
  await cluster.kubectl(["wait", "--for=condition=complete", "job/once", "--timeout=60s"]);
  // Nothing was made and thrown away: all pods that ever were are there, each bound once.
  const many = await podsOf("app=many");
  expect(many).toHaveLength(30);
  expect(await podsOf("job-name=once")).toHaveLength(5);
  const events = (await cluster.object("get", "events")).items as KubeObject[];
  const count = (reason: string, name: (n: string) => boolean) =>
    events.filter((e) => e["reason"] === reason && name(e["involvedObject"].name)).reduce((n, e) => n + (e["count"] ?? 1), 0);
  expect(count("SuccessfulDelete", () => true) - count("SuccessfulDelete", (n) => n.startsWith("bound-by-hand"))).toBe(0);
  for (const p of many) expect(count("Scheduled", (n) => n === p.metadata.name)).toBeLessThanOrEqual(1);
  expect((await cluster.object("get", "replicasets", "-l", "app=many")).items).toHaveLength(1);
  expect((await cluster.object("get", "job", "once")).status).toMatchObject({ succeeded: 5 });
});

const podsOf = async (selector: string): Promise<KubeObject[]> => (await cluster.object("get", "pods", "-l", selector)).items;

/** What docs/architecture.md tells the owner of a foreign controller-manager. */
function managerFlags(): string[] {
  const pki = join(cluster.home, cluster.name, "pki");
  return [
    "--cluster-cidr=10.244.0.0/16",
    `--root-ca-file=${join(pki, "ca.crt")}`,
    `--cluster-signing-cert-file=${join(pki, "ca.crt")}`,
    `--cluster-signing-key-file=${join(pki, "ca.key")}`,
    `--service-account-private-key-file=${join(pki, "sa.key")}`,
  ];
}

const JOB = `apiVersion: batch/v1
kind: Job
metadata: { name: once }
spec:
  completions: 5
  parallelism: 5
  template:
    spec:
      restartPolicy: Never
      terminationGracePeriodSeconds: 0
      containers: [{ name: c, image: busybox, command: [sleep, "2"] }]
`;
