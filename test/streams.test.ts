// kubectl's streams against a real cluster: a shell in a real terminal, cp, debug, attach, port-forward and every way of reading logs.
import { spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Cluster, eventually, missing, run, startCluster } from "./cluster.ts";
import { openTerminal } from "./terminal.ts";

const skip = missing("kubectl");
const noTerminal = missing("tmux");

const PODS = `
apiVersion: v1
kind: Pod
metadata: {name: shell}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{name: shell, image: "busybox:1.36", command: [sleep, "100000"]}]
---
apiVersion: v1
kind: Pod
metadata: {name: cat}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{name: cat, image: "busybox:1.36", command: [cat], stdin: true}]
---
apiVersion: v1
kind: Pod
metadata: {name: talker}
spec:
  terminationGracePeriodSeconds: 0
  containers:
    - name: talker
      image: busybox:1.36
      command: [sh, -c, 'i=0; while true; do i=$((i+1)); echo "line $i"; sleep 0.2; done']
---
apiVersion: v1
kind: Pod
metadata: {name: fails}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{name: fails, image: "busybox:1.36", command: [sh, -c, 'echo "run of $(hostname)"; echo last words >&2; sleep 1; exit 3']}]
---
apiVersion: v1
kind: Pod
metadata: {name: redis}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{name: redis, image: "redis:7", ports: [{containerPort: 6379}]}]
`;

describe.skipIf(skip)(`streams${skip ? ` (skipped: ${skip})` : ""}`, () => {
  let cluster: Cluster;
  let kubectl: Cluster["kubectl"];
  const env = () => ({ KUBECONFIG: cluster.kubeconfig });
  beforeAll(async () => {
    cluster = await startCluster({ nodes: 1 });
    kubectl = cluster.kubectl;
    await kubectl(["apply", "-f", "-"], { input: PODS });
    await kubectl(["wait", "--for=condition=Ready", "pod/shell", "pod/cat", "pod/talker", "pod/redis", "--timeout=60s"]);
  });
  afterAll(() => cluster?.stop());

  describe.skipIf(noTerminal)(`in a terminal${noTerminal ? ` (skipped: ${noTerminal})` : ""}`, () => {
    it("exec -it: editing, history, Ctrl-C, jobs, resize, exit code", async () => {
      const t = await openTerminal(["kubectl", "exec", "-it", "shell", "--", "sh"], { env: env(), columns: 100, rows: 30 });
      try {
        await t.see(/^\/ #$/m);
        await t.type("echo hexlo wrld");
        await t.keys("BSpace", "BSpace", "BSpace");
        await t.type("orld");
        await t.keys("C-a", "Right", "Right", "Right", "Right", "Right", "Right", "Right", "DC");
        await t.type("l");
        await t.keys("Enter");
        await t.see(/^hello world$/m);
        await t.keys("Up", "C-w");
        await t.type("again");
        await t.keys("Enter");
        await t.see(/^hello again$/m);
        await t.type("stty size");
        await t.keys("Enter");
        await t.see(/^30 100$/m);
        await t.resize(70, 20);
        await eventually("the shell knows the new size", async () => {
          await t.type("stty size");
          await t.keys("Enter");
          return /^20 70$/m.test(await t.screen()) ? true : undefined;
        });
        await t.type("sleep 1000");
        await t.keys("Enter");
        await t.see(/sleep 1000$/);
        await t.keys("C-c");
        await t.see(/\^C\s+\/ #$/);
        await t.type("echo status $?");
        await t.keys("Enter");
        await t.see("status 130");
        await t.keys("C-l");
        await t.type("sleep 500");
        await t.keys("Enter");
        await t.see(/sleep 500$/);
        await t.keys("C-z");
        await t.see(/\[1\]\+\s+Stopped\s+sleep 500/);
        await t.type("bg; jobs");
        await t.keys("Enter");
        await t.see(/\[1\]\+\s+Running\s+sleep 500/);
        await t.type("kill %1; cd /etc");
        await t.keys("Enter");
        await t.see(/^\/etc #$/m);
        await t.type("ls pass");
        await t.keys("Tab", "Enter");
        await t.see(/^passwd$/m);
        await t.type("exit 7");
        await t.keys("Enter");
        await t.see("command terminated with exit code 7");
        await t.see("ended with 7");
      } finally {
        await t.close();
      }
    });

    it("run -it --rm ends with its shell", async () => {
      const t = await openTerminal(["kubectl", "run", "tmp", "-it", "--rm", "--restart=Never", "--image=busybox:1.36", "--", "sh"], {
        env: env(),
      });
      try {
        // The shell's first prompt went to nobody: kubectl attaches when the pod runs.
        await t.see(/try pressing enter|^\/ #$/m);
        await t.keys("Enter");
        await t.see(/^\/ #$/m);
        await t.type("echo in $(hostname)");
        await t.keys("Enter");
        await t.see(/^in tmp$/m);
        await t.keys("C-d");
        await t.see("ended with 0");
      } finally {
        await t.close();
      }
    });
  });

  it("cp there and back gives the same bytes", async () => {
    const dir = mkdtempSync(join(tmpdir(), "pw-cp-"));
    try {
      const bytes = randomBytes(3_000_000);
      writeFileSync(join(dir, "there"), bytes);
      await kubectl(["cp", join(dir, "there"), "shell:/tmp/copied"]);
      const hash = createHash("sha256").update(bytes).digest("hex");
      expect(await kubectl(["exec", "shell", "--", "sha256sum", "/tmp/copied"])).toBe(`${hash}  /tmp/copied`);
      await kubectl(["cp", "shell:/tmp/copied", join(dir, "back")]);
      expect(
        createHash("sha256")
          .update(readFileSync(join(dir, "back")))
          .digest("hex"),
      ).toBe(hash);
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  });

  it("exec -i passes standard input, and its end", async () => {
    const r = await run("kubectl", ["exec", "-i", "shell", "--", "sh", "-c", "wc -c; exit 5"], { env: env(), input: "x".repeat(200_000) });
    expect(r).toMatchObject({ code: 5, stdout: "200000" });
  });

  it("debug adds a container that shares the pod's network", async () => {
    await kubectl([
      "debug",
      "redis",
      "--image=busybox:1.36",
      "--container=look",
      "--",
      "sh",
      "-c",
      "echo PING | nc -w 2 127.0.0.1 6379; sleep 1000",
    ]);
    await eventually("the debugger has its answer", async () =>
      (await kubectl(["logs", "redis", "-c", "look"])) === "+PONG" ? true : undefined,
    );
    const pod = await cluster.object("get", "pod", "redis");
    expect(pod.status.ephemeralContainerStatuses[0]).toMatchObject({ name: "look", state: { running: {} } });
  });

  it("attach -i talks to the first process", async () => {
    const child = spawn("kubectl", ["attach", "-i", "cat"], { env: { ...process.env, ...env() } });
    let text = "";
    child.stdout.on("data", (d) => (text += d));
    child.stdin.write("to and fro\n");
    await eventually("cat answers", () => (text.includes("to and fro") ? true : undefined));
    child.kill("SIGKILL");
    expect(await kubectl(["logs", "cat"])).toBe("to and fro");
  });

  it("port-forward carries connections to redis", async () => {
    const child = spawn("kubectl", ["port-forward", "pod/redis", ":6379"], { env: { ...process.env, ...env() } });
    try {
      let said = "";
      child.stdout.on("data", (d) => (said += d));
      const port = Number(await eventually("a port", () => /127\.0\.0\.1:(\d+) ->/.exec(said)?.[1]));
      const ask = (command: string) =>
        new Promise<string>((resolve, reject) => {
          const s = net.connect(port, "127.0.0.1", () => s.write(`${command}\r\n`));
          s.on("error", reject);
          s.once("data", (d) => {
            s.destroy();
            resolve(d.toString());
          });
        });
      expect(await ask("SET colour green")).toBe("+OK\r\n");
      expect(await Promise.all(Array.from({ length: 5 }, () => ask("GET colour")))).toEqual(Array(5).fill("$5\r\ngreen\r\n"));
      expect(await kubectl(["exec", "redis", "-c", "redis", "--", "redis-cli", "GET", "colour"])).toContain("green");
    } finally {
      child.kill("SIGTERM");
    }
  });

  it("logs: -f, --tail, --since, --timestamps, --limit-bytes, --previous", async () => {
    const follow = spawn("kubectl", ["logs", "-f", "--tail=1", "talker"], { env: { ...process.env, ...env() } });
    let text = "";
    follow.stdout.on("data", (d) => (text += d));
    await eventually("lines as they come", () => (text.split("\n").length > 5 ? true : undefined));
    follow.kill("SIGKILL");
    const numbers = [...text.matchAll(/line (\d+)\n/g)].map((m) => Number(m[1]));
    expect(numbers).toEqual(numbers.map((_, i) => (numbers[0] as number) + i));

    expect((await kubectl(["logs", "--tail=3", "talker"])).split("\n")).toHaveLength(3);
    expect((await kubectl(["logs", "--limit-bytes=7", "talker"])).length).toBeLessThanOrEqual(7);
    const all = (await kubectl(["logs", "--timestamps", "talker"])).split("\n");
    expect(all[0]).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z line 1$/);
    expect(all.map((l) => l.slice(0, 30))).toEqual(all.map((l) => l.slice(0, 30)).sort());
    const recent = (await kubectl(["logs", "--since=1s", "talker"])).split("\n");
    expect(recent.length).toBeGreaterThan(0);
    expect(recent.length).toBeLessThan(all.length);

    await eventually("a second run", async () =>
      (await cluster.object("get", "pod", "fails")).status.containerStatuses[0].restartCount > 0 ? true : undefined,
    );
    expect(await kubectl(["logs", "--previous", "fails"])).toBe("run of fails\nlast words");
    expect(await kubectl(["logs", "--previous", "shell"], { fails: true })).toContain(
      'previous terminated container "shell" in pod "shell" not found',
    );
  });
});
