// examples/ as users apply them, each asked over HTTP; and what the containers of a pod share that other pods do not.
import { spawn } from "node:child_process";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Cluster, eventually, missing, root, startCluster } from "./cluster.ts";

const skip = missing("kubectl");

describe.skipIf(skip)(`examples${skip ? ` (skipped: ${skip})` : ""}`, () => {
  let cluster: Cluster;
  let kubectl: Cluster["kubectl"];
  const exec = (pod: string, container: string, ...command: string[]) => kubectl(["exec", pod, "-c", container, "--", ...command]);
  /** curl from a pod of the cluster. */
  const curl = (...args: string[]) => kubectl(["exec", "client", "--", "curl", "-s", "--max-time", "10", ...args]);
  const apply = async (name: string) => {
    await kubectl(["apply", "-f", join(root, "examples", name)]);
    await kubectl(["wait", "--for=condition=Available", "deployment", "--all", "--timeout=120s"]);
  };

  beforeAll(async () => {
    cluster = await startCluster({ nodes: 2 });
    kubectl = cluster.kubectl;
    await kubectl(["run", "client", "--image=curlimages/curl", "--command", "--", "sleep", "100000"]);
    await kubectl(["wait", "--for=condition=Ready", "pod/client", "--timeout=60s"]);
  });
  afterAll(() => cluster?.stop());

  it("guestbook: what is written to the leader is read from a follower", async () => {
    await apply("guestbook.yaml");
    const front = "http://frontend/guestbook.php";
    expect(await curl(`${front}?cmd=set&key=messages&value=hello`)).toBe('{"message":"Updated"}');
    await eventually("a follower has it", async () =>
      (await curl(`${front}?cmd=get&key=messages`)) === '{"data":"hello"}' ? true : undefined,
    );
    expect(await curl("http://frontend/")).toContain('<pre id="messages">hello</pre>');
    const follower = (await kubectl(["get", "pods", "-l", "role=follower", "-o", "name"])).split("\n")[0] as string;
    expect(await kubectl(["exec", follower, "--", "redis-cli", "GET", "messages"])).toContain("hello");
  });

  it("nginx with its configuration from a ConfigMap", async () => {
    await apply("nginx-configmap.yaml");
    expect(await curl("http://front/api/hello")).toBe("from the backend");
    expect(await curl("http://front/healthz")).toBe("ok");
    expect(await curl("-D", "-", "-o", "/dev/null", "http://front/")).toMatch(/^X-Front: front-/im);
  });

  it("a Node.js program from a ConfigMap: counts, logs, and closes when its pod is deleted", async () => {
    await apply("nodejs.yaml");
    expect(JSON.parse(await curl("http://visits/"))).toMatchObject({ greeting: "hello", visits: 1 });
    const second = JSON.parse(await curl("http://visits/page"));
    expect(second.visits).toBe(2);
    expect(await kubectl(["logs", second.pod])).toBe("listening on 3000\nGET / 1\nGET /page 2");
    const follow = spawn("kubectl", ["logs", "-f", second.pod], { env: { ...process.env, KUBECONFIG: cluster.kubeconfig } });
    let log = "";
    follow.stdout.on("data", (d) => (log += d));
    const over = new Promise((resolve) => follow.on("close", resolve));
    await eventually("the log is followed", () => log.includes("/page") || undefined);
    await kubectl(["delete", "pod", second.pod]);
    await over;
    expect(log).toContain("closing");
    await kubectl(["rollout", "status", "deployment/visits", "--timeout=60s"]);
    expect(JSON.parse(await curl("http://visits/")).visits).toBe(1);
  });

  it("WordPress and MySQL with volumes: a post outlives the database's pod", async () => {
    await apply("wordpress.yaml");
    expect(await curl("-L", "http://wordpress/")).toContain("Install WordPress");
    expect(await curl("-d", "weblog_title=Podwire+Blog", "http://wordpress/wp-admin/install.php?step=2")).toContain("Success!");
    expect(await curl("http://wordpress/")).toContain("<h1>Podwire Blog</h1>");
    await kubectl(["delete", "pod", "-l", "app=wordpress,tier=mysql"]);
    await kubectl(["rollout", "status", "deployment/wordpress-mysql", "--timeout=60s"]);
    // The database's name may lead to its old address for as long as an answer lives in CoreDNS's cache (30 s).
    let seen = "";
    const again = async () => {
      seen = await curl("http://wordpress/");
      return seen.includes("Hello world!") ? true : undefined;
    };
    await eventually("the post is there again", again, 60_000).catch(async (e: unknown) => {
      throw new Error(`${seen}\n${await kubectl(["get", "pods", "-o", "wide"])}\n${await kubectl(["logs", "deployment/wordpress"])}`, {
        cause: e,
      });
    });
  });

  it("a pod's containers share localhost, a Unix socket, a FIFO, shared memory, a volume and signals; another pod only the network", async () => {
    const manifest = (name: string, containers: string[]) => `
apiVersion: v1
kind: Pod
metadata: {name: ${name}}
spec:
  shareProcessNamespace: true
  terminationGracePeriodSeconds: 0
  volumes: [{name: shared, emptyDir: {}}]
  containers:
${containers.map((c) => `    - {name: ${c}, image: "busybox:1.36", command: [sleep, "100000"], volumeMounts: [{name: shared, mountPath: /shared}]}`).join("\n")}
---`;
    await kubectl(["apply", "-f", "-"], { input: manifest("pair", ["a", "b"]) + manifest("other", ["c"]) });
    await kubectl(["wait", "--for=condition=Ready", "pod/pair", "pod/other", "--timeout=60s"]);
    const a = (script: string) => exec("pair", "a", "sh", "-c", script);
    const b = (script: string) => exec("pair", "b", "sh", "-c", script);
    const c = (script: string) => exec("other", "c", "sh", "-c", script);

    const localhost = a("echo by localhost | nc -l -p 7000");
    await eventually("localhost", async () =>
      (await b("nc -w 2 127.0.0.1 7000 < /dev/null || true")) === "by localhost" ? true : undefined,
    );
    await localhost;
    await expect(c("nc -w 1 127.0.0.1 7000 < /dev/null")).rejects.toThrow(/refused/);

    const socket = a("echo by socket | nc -lU /shared/s");
    await eventually("the Unix socket", async () =>
      (await b("nc -w 2 -U /shared/s < /dev/null || true")) === "by socket" ? true : undefined,
    );
    await socket;
    await a("mkfifo /shared/fifo; echo file > /shared/file; echo memory > /dev/shm/m");
    const fifo = a("cat /shared/fifo");
    await b("echo by fifo > /shared/fifo");
    expect(await fifo).toBe("by fifo");
    expect(await b("cat /shared/file /dev/shm/m")).toBe("file\nmemory");
    expect(await c("ls /shared /dev/shm")).not.toMatch(/file|fifo|m$/m);

    const trapped = a("trap 'echo got a signal; exit' USR1; echo $$ > /shared/pid; while :; do sleep 0.1; done");
    await eventually("the signal's target", async () =>
      (await b("test -s /shared/pid && echo yes || true")) === "yes" ? true : undefined,
    );
    await b("kill -USR1 $(cat /shared/pid)");
    expect(await trapped).toBe("got a signal");
    const pid = await a("sleep 50 & echo $!; exit");
    await expect(c(`kill -0 ${pid} && test ${pid} -gt 3`)).rejects.toThrow();

    const ip = (await cluster.object("get", "pod", "pair")).status.podIP as string;
    const served = a("echo by network | nc -l -p 7001");
    await eventually("the network", async () => ((await c(`nc -w 2 ${ip} 7001 < /dev/null || true`)) === "by network" ? true : undefined));
    await served;
  });
});
