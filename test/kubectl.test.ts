// Unmodified kubectl against a cluster of three nodes: what people type every day.
import { spawn } from "node:child_process";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Cluster, eventually, missing, startCluster, webManifest } from "./cluster.ts";

const skip = missing("kubectl");

describe.skipIf(skip)(`kubectl${skip ? ` (skipped: ${skip})` : ""}`, () => {
  let cluster: Cluster;
  let kubectl: Cluster["kubectl"];
  beforeAll(async () => {
    cluster = await startCluster({ nodes: 3 });
    kubectl = cluster.kubectl;
  });
  afterAll(() => cluster?.stop());

  it("get nodes -o wide", async () => {
    const lines = (await kubectl(["get", "nodes", "-o", "wide"])).split("\n");
    expect(lines[0]).toMatch(/^NAME\s+STATUS\s+ROLES\s+AGE\s+VERSION\s+INTERNAL-IP\s+EXTERNAL-IP\s+OS-IMAGE/);
    expect(lines).toHaveLength(4);
    for (const [i, line] of lines.slice(1).entries())
      expect(line).toMatch(new RegExp(`^node-${i + 1}\\s+Ready\\s.*v1\\.34.*172\\.30\\.1\\.${i + 1}\\s`));
  });

  it("apply -f, rollout status, wait, get pods -A -o wide", async () => {
    expect(await kubectl(["apply", "-f", "-"], { input: webManifest({ replicas: 3 }) })).toBe(
      "deployment.apps/web created\nservice/web created",
    );
    expect(await kubectl(["rollout", "status", "deployment/web", "--timeout=60s"])).toContain('deployment "web" successfully rolled out');
    expect(await kubectl(["wait", "--for=condition=Available", "deployment/web", "--timeout=30s"])).toBe(
      "deployment.apps/web condition met",
    );
    const pods = (await kubectl(["get", "pods", "-A", "-o", "wide"])).split("\n");
    expect(pods[0]).toMatch(/^NAMESPACE\s+NAME\s+READY\s+STATUS\s+RESTARTS\s+AGE\s+IP\s+NODE\s/);
    const web = pods.filter((l) => / web-/.test(l));
    expect(web).toHaveLength(3);
    expect(new Set(web.map((l) => /node-\d/.exec(l)?.[0])).size).toBe(3);
    for (const l of web) expect(l).toMatch(/^default\s+web-\S+\s+1\/1\s+Running\s+0\s+\d+s\s+10\.244\.\d+\.\d+\s+node-\d/);
    expect(await kubectl(["apply", "-f", "-"], { input: webManifest({ replicas: 3 }) })).toBe(
      "deployment.apps/web unchanged\nservice/web unchanged",
    );
  });

  it("create deployment, scale, expose, delete", async () => {
    await kubectl(["create", "deployment", "hello", "--image=podwire/echo", "--replicas=2", "--port=8080"]);
    await kubectl(["rollout", "status", "deployment/hello", "--timeout=60s"]);
    expect(await kubectl(["scale", "deployment/hello", "--replicas=4"])).toBe("deployment.apps/hello scaled");
    await kubectl(["wait", "--for=jsonpath={.status.readyReplicas}=4", "deployment/hello", "--timeout=60s"]);
    expect(await kubectl(["expose", "deployment/hello", "--port=80", "--target-port=8080"])).toBe("service/hello exposed");
    await eventually("four endpoints", async () => {
      const slices = await cluster.object("get", "endpointslices", "-l", "kubernetes.io/service-name=hello");
      const ready = slices.items.flatMap((s: any) => s.endpoints ?? []).filter((e: any) => e.conditions.ready);
      return ready.length === 4 ? true : undefined;
    });
    expect(await kubectl(["delete", "deployment,service", "hello"])).toContain('deployment.apps "hello" deleted');
    await eventually(
      "its pods are gone",
      async () => ((await cluster.object("get", "pods", "-l", "app=hello")).items.length === 0 ? true : undefined),
      60_000,
    );
  });

  it("logs and logs -f", async () => {
    expect(await kubectl(["logs", "deployment/web"])).not.toBe("");
    const follow = spawn("kubectl", ["logs", "-f", "deployment/web", "--tail=1"], {
      env: { ...process.env, KUBECONFIG: cluster.kubeconfig },
    });
    let text = "";
    follow.stdout.on("data", (d) => (text += d));
    await eventually("a line was followed", () => (text !== "" ? true : undefined), 20_000);
    expect(follow.exitCode).toBeNull();
    follow.kill();
  });

  it("get -w sees changes as they happen", async () => {
    const watch = spawn("kubectl", ["get", "configmap", "-w", "-o", "name"], { env: { ...process.env, KUBECONFIG: cluster.kubeconfig } });
    let text = "";
    watch.stdout.on("data", (d) => (text += d));
    await eventually("the list came", () => (text.includes("kube-root-ca.crt") ? true : undefined));
    await kubectl(["create", "configmap", "seen"]);
    await eventually("the new object came", () => (text.includes("configmap/seen") ? true : undefined), 5_000);
    watch.kill();
  });

  it("describe pod, node and service; get events", async () => {
    const pod = (await cluster.object("get", "pods", "-l", "app=web")).items[0].metadata.name as string;
    const described = await kubectl(["describe", "pod", pod]);
    for (const text of ["Image:          podwire/echo", "Ready:          True", "Successfully assigned default/", "Started container web"])
      expect(described).toContain(text);
    expect(await kubectl(["describe", "node", "node-1"])).toMatch(/PodCIDR:\s+10\.244\.\d+\.0\/24/);
    expect(await kubectl(["describe", "service", "web"])).toMatch(/Endpoints:\s+10\.244\.\d+\.\d+:8080/);
    const events = await kubectl(["get", "events", "--sort-by=.lastTimestamp"]);
    for (const reason of ["Scheduled", "Pulled", "Created", "Started", "SuccessfulCreate", "ScalingReplicaSet"])
      expect(events).toContain(reason);
  });

  it("rollout restart replaces every pod without losing availability", async () => {
    const before = new Set((await cluster.object("get", "pods", "-l", "app=web")).items.map((p: any) => p.metadata.uid));
    expect(await kubectl(["rollout", "restart", "deployment/web"])).toBe("deployment.apps/web restarted");
    await kubectl(["rollout", "status", "deployment/web", "--timeout=90s"]);
    await eventually(
      "only new pods",
      async () => {
        const pods = (await cluster.object("get", "pods", "-l", "app=web")).items;
        return pods.length === 3 && pods.every((p: any) => !before.has(p.metadata.uid)) ? true : undefined;
      },
      60_000,
    );
  });

  it("errors in Kubernetes' words", async () => {
    expect(await kubectl(["get", "pod", "nobody"], { fails: true })).toBe('Error from server (NotFound): pods "nobody" not found');
    expect(await kubectl(["get", "flurbs"], { fails: true })).toBe('error: the server doesn\'t have a resource type "flurbs"');
    await kubectl(["create", "namespace", "twice"]);
    expect(await kubectl(["create", "namespace", "twice"], { fails: true })).toBe(
      'Error from server (AlreadyExists): namespaces "twice" already exists',
    );
    const bad = webManifest().replace("replicas: 1", "replicas: many");
    expect(await kubectl(["create", "--validate=false", "-f", "-"], { input: bad, fails: true })).toContain(
      "cannot unmarshal string into Go struct field",
    );
    expect(await kubectl(["create", "--validate=false", "-f", "-"], { input: "{ not yaml: [", fails: true })).toContain("error");
    const name = webManifest({ name: "UPPER" });
    expect(await kubectl(["create", "--validate=false", "-f", "-"], { input: name, fails: true })).toContain(
      'is invalid: metadata.name: Invalid value: "UPPER"',
    );
  });

  it("deletes what it applied", async () => {
    await kubectl(["delete", "-f", "-"], { input: webManifest({ replicas: 3 }) });
    await eventually(
      "its pods are gone",
      async () => ((await cluster.object("get", "pods")).items.length === 0 ? true : undefined),
      60_000,
    );
  });
});
