// The podwire command as a person uses it: up, status, nodes, logs, down, up again; two clusters at once; mistakes and exit codes;
// and nothing left behind, however it ends.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, statSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  type Cluster,
  clusterAt,
  eventually,
  forgetHome,
  makeHome,
  missing,
  podwireBin,
  processesOf,
  run,
  startCluster,
} from "./cluster.ts";

describe("a cluster in the background", () => {
  let cluster: Cluster;
  beforeAll(async () => {
    cluster = await startCluster({ nodes: 2 });
  });
  afterAll(() => cluster.stop());

  it("is healthy, and says so in a table and in JSON", async () => {
    const text = (await cluster.podwire(["status", "--wait"])).stdout;
    expect(text).toContain("cluster test: healthy");
    expect(text).toMatch(/^apiserver\s+running\s+\d+\s+0/m);
    expect(text).toMatch(/^node-2\s+Ready\s+running\s+\d+\s+172\.30\.1\.2\s+10\.244\.\d+\.0\/24$/m);
    const json = await cluster.status();
    expect(json.problems).toEqual([]);
    expect(json.nodeHealth.map((n: { ready: boolean }) => n.ready)).toEqual([true, true]);
  });

  it("prints the line to set KUBECONFIG on standard output and nothing else there", async () => {
    const again = await cluster.podwire(["up", "-d"]);
    expect(again.stdout).toBe(`export KUBECONFIG=${cluster.kubeconfig}`);
    expect(again.stderr).toContain("already running (supervisor pid");
    expect(statSync(cluster.kubeconfig).mode & 0o077).toBe(0);
  });

  it("shows logs of chosen components, also as JSON", async () => {
    const lines = (await cluster.podwire(["logs", "^node-1$", "--tail=5", "-o", "json"])).stdout.split("\n").map((l) => JSON.parse(l));
    expect(lines.length).toBeGreaterThan(0);
    expect(new Set(lines.map((l) => l.component))).toEqual(new Set(["node-1"]));
    expect((await cluster.podwire(["logs", "--since=1h", "nats"])).stdout).toMatch(/nats\s+.*Server is ready/);
    const follow = spawn(process.execPath, [podwireBin, "logs", "-f", "^nats$", "--tail=1", "--name=test"], {
      env: { ...process.env, PODWIRE_HOME: cluster.home },
    });
    let followed = "";
    follow.stdout.on("data", (d) => (followed += d));
    await eventually("a line comes at once", () => (followed !== "" ? true : undefined));
    expect(follow.exitCode).toBeNull();
    follow.kill("SIGTERM");
    await once(follow, "exit");
    expect((await cluster.podwire(["logs", "nobody"], { expect: 2 })).stderr).toContain("no component matches");
  });

  it("adds, kills, restarts and removes nodes", async () => {
    expect((await cluster.podwire(["nodes", "add"])).stdout).toBe("node-3");
    await cluster.podwire(["status", "--wait"]);
    await cluster.podwire(["nodes", "kill", "node-3"]);
    const after = await cluster.status();
    expect(after.processes.find((p: { name: string }) => p.name === "node-3")).toMatchObject({
      state: "killed",
      lastExit: "signal SIGKILL",
    });
    expect((await cluster.podwire(["status"], { expect: 3 })).stderr).toContain("node-3 is killed");
    await cluster.podwire(["nodes", "restart", "node-3"]);
    await cluster.podwire(["status", "--wait"]);
    await cluster.podwire(["nodes", "rm", "node-3"]);
    expect((await cluster.podwire(["nodes", "-o", "json"])).stdout).not.toContain("node-3");
    expect((await cluster.podwire(["nodes", "kill", "node-9"], { expect: 1 })).stderr).toContain('no node named "node-9"');
  });

  it("starts a control-plane process again after kill -9", async () => {
    const pidOf = async (name: string) => (await cluster.status()).processes.find((p: { name: string }) => p.name === name).pid as number;
    for (const name of ["scheduler", "controller-manager", "edge"]) {
      const before = await pidOf(name);
      process.kill(before, "SIGKILL");
      await eventually(`${name} runs again`, async () => {
        const now = await pidOf(name);
        return now !== undefined && now !== before ? now : undefined;
      });
    }
    await cluster.podwire(["status", "--wait"]);
  });

  it("runs beside another cluster, whose taken port is reported with its owner", async () => {
    const port = new URL((await cluster.status()).apiUrl).port;
    const refused = await run(process.execPath, [podwireBin, "up", "-d", "--name=other", `--api-port=${port}`], {
      env: { PODWIRE_HOME: cluster.home },
    });
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(new RegExp(`port ${port} .* is taken by .*pid \\d+`));
    const other = await run(process.execPath, [podwireBin, "up", "-d", "--name=other", "--nodes=1"], {
      env: { PODWIRE_HOME: cluster.home },
    });
    expect(other.stderr).toContain("✓ Joining 1 node");
    const second = clusterAt(cluster.home, "other");
    expect((await second.status()).problems).toEqual([]);
    expect((await cluster.status()).problems).toEqual([]);
    expect((await run(process.execPath, [podwireBin, "clusters"], { env: { PODWIRE_HOME: cluster.home } })).stdout).toMatch(
      /^other\s+running/m,
    );
    await second.podwire(["down"]);
  });

  it("keeps its objects, names and certificates over down and up", async () => {
    const skip = missing("kubectl");
    if (!skip) await cluster.kubectl(["create", "configmap", "kept", "--from-literal=a=b"]);
    const ca = readFileSync(join(cluster.home, cluster.name, "pki", "ca.crt"), "utf8");
    await cluster.podwire(["down"]);
    expect(processesOf(join(cluster.home, cluster.name))).toEqual([]);
    expect((await cluster.podwire(["status"], { expect: 3 })).stderr).toContain("is not running");
    await cluster.podwire(["up", "-d"]);
    expect(readFileSync(join(cluster.home, cluster.name, "pki", "ca.crt"), "utf8")).toBe(ca);
    if (!skip) expect(await cluster.kubectl(["get", "configmap", "kept", "-o", "jsonpath={.data.a}"])).toBe("b");
  });
});

describe("a cluster in the foreground", () => {
  let home: string;
  beforeAll(() => {
    home = makeHome();
  });
  afterAll(() => forgetHome(home));

  async function upInForeground(): Promise<ChildProcess & { output: () => string }> {
    const child = spawn(process.execPath, [podwireBin, "up", "--nodes=1", "--api-port=0", "--name=front"], {
      env: { ...process.env, PODWIRE_HOME: home, NO_COLOR: "1" },
      stdio: ["ignore", "pipe", "pipe"],
    });
    let text = "";
    for (const s of [child.stdout, child.stderr]) s.on("data", (d) => (text += d));
    await eventually("the cluster is up", () => (text.includes("Logs of all components follow") ? true : undefined), 90_000);
    return Object.assign(child, { output: () => text });
  }

  it("stops everything on Ctrl-C and ends with 0", async () => {
    const child = await upInForeground();
    child.kill("SIGINT");
    const [code] = (await once(child, "exit")) as [number];
    expect(code).toBe(0);
    expect(child.output()).toContain("✓ Stopping the cluster");
    expect(processesOf(home)).toEqual([]);
  });

  it("leaves nothing behind when its supervisor is killed, and starts again after that", async () => {
    const child = await upInForeground();
    const { pid } = await clusterAt(home, "front").status();
    const before = processesOf(home).length;
    expect(before).toBeGreaterThan(5);
    process.kill(pid, "SIGKILL");
    await once(child, "exit");
    await eventually("every process is gone", () => (processesOf(home).length === 0 ? true : undefined), 10_000);
    const again = await upInForeground();
    again.kill("SIGINT");
    await once(again, "exit");
  });

  it("stops when its launcher is killed", async () => {
    const child = await upInForeground();
    child.kill("SIGKILL");
    await eventually("every process is gone", () => (processesOf(home).length === 0 ? true : undefined), 15_000);
  });
});

describe("mistakes", () => {
  const podwire = (...args: string[]) => run(process.execPath, [podwireBin, ...args], { env: { PODWIRE_HOME: "/nonexistent-home" } });

  it("are usage errors with exit code 2 and a hint", async () => {
    for (const args of [
      ["frobnicate"],
      ["up", "--nodes=x"],
      ["up", "--name=Not_A_Name"],
      ["up", "--arg=nonsense"],
      ["up", "--arg=nobody=--v=debug"],
      ["logs", "--since=yesterday"],
    ]) {
      const r = await podwire(...args);
      expect([r.code, args]).toEqual([2, args]);
      expect(r.stdout).toBe("");
      expect(r.stderr).not.toBe("");
    }
  });

  it("of state: down and status of a cluster that does not exist", async () => {
    expect((await podwire("down")).code).toBe(0);
    expect((await podwire("status")).code).toBe(3);
    expect((await podwire("nodes")).code).toBe(1);
    expect(existsSync("/nonexistent-home")).toBe(false);
  });

  it("of flags to a component end the start with the component's own words", async () => {
    const home = makeHome();
    const r = await run(process.execPath, [podwireBin, "up", "-d", "--nodes=0", "--api-port=0", "--arg=scheduler=--no-such-flag"], {
      env: { PODWIRE_HOME: home },
    });
    const left = processesOf(home);
    await clusterAt(home, "podwire").stop(); // Also when it did start after all.
    expect(r.code).toBe(1);
    expect(r.stderr).toContain("scheduler does not stay up (exit code 2)");
    expect(r.stderr).toContain("unknown flag: --no-such-flag");
    expect(left).toEqual([]);
  });

  it("of the port: somebody else has it", async () => {
    const home = makeHome();
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as { port: number };
    const r = await run(process.execPath, [podwireBin, "up", "-d", `--api-port=${port}`], { env: { PODWIRE_HOME: home } });
    server.close();
    expect(r.code).toBe(1);
    expect(r.stderr).toContain(`port ${port}`);
    forgetHome(home);
  });
});
