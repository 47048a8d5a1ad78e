// compose.yaml on a real Docker engine: nodes that name themselves, a curl through the published ports, a killed container, more nodes.
// The engine is the one of DOCKER_HOST or the default socket, else the one that PODWIRE_DOCKER_OFFLINE (a script: start, stop) makes.
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "@podwire/cli";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { curl, eventually, missing, type Ran, root, run, webManifest } from "./cluster.ts";

const offline = process.env["PODWIRE_DOCKER_OFFLINE"] ?? join(root, "..", "shared", "tools", "docker-offline.sh");
const project = `pwtest${process.pid}`;

/** An engine's environment, or why there is none. */
async function engine(): Promise<{ env: Record<string, string>; stop(): Promise<void> } | string> {
  const own = await run("docker", ["info", "--format", "{{.ServerVersion}}"], { timeoutMs: 10_000 }).catch(() => undefined);
  if (own?.code === 0 && own.stdout !== "") return { env: {}, stop: async () => undefined };
  if (!existsSync(offline)) return "no Docker engine answers";
  if (process.getuid?.() !== 0) return "no Docker engine answers, and starting one needs root";
  const dir = mkdtempSync(join(tmpdir(), "pw-docker-"));
  const started = await run("bash", [offline, "start", dir], { timeoutMs: 400_000 });
  const host = /export DOCKER_HOST=(\S+)/.exec(started.stdout)?.[1];
  if (!host) return `no Docker engine could be started: ${started.stderr.split("\n").at(-1)}`;
  return {
    env: { DOCKER_HOST: host },
    async stop() {
      const pid = Number(readFileSync(join(dir, "pid"), "utf8"));
      await run("bash", [offline, "stop", dir]);
      await eventually("dockerd has ended", () => (existsSync(`/proc/${pid}`) ? undefined : true), 30_000);
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

const skip = missing("kubectl", "curl", "docker") ?? (process.env["PODWIRE_SKIP_COMPOSE"] ? "PODWIRE_SKIP_COMPOSE is set" : undefined);

describe.skipIf(skip)(`docker compose${skip ? ` (skipped: ${skip})` : ""}`, () => {
  let docker: Awaited<ReturnType<typeof engine>>;
  let env: Record<string, string>;
  let kube: string;
  let compose: (...args: string[]) => Promise<Ran>;

  beforeAll(async () => {
    docker = await engine();
    if (typeof docker === "string") return;
    kube = mkdtempSync(join(tmpdir(), "pw-kube-"));
    const edge = await freePort();
    env = {
      ...docker.env,
      PODWIRE_KUBECONFIG_DIR: kube,
      PODWIRE_API_PORT: String(await freePort()),
      PODWIRE_DASHBOARD_PORT: String(await freePort()),
      PODWIRE_EDGE_PORTS: `${edge}-${edge}`,
    };
    const plugin = (await run("docker", ["compose", "version"], { env })).code === 0;
    const [file, first] = plugin ? (["docker", ["compose"]] as const) : (["docker-compose", []] as const);
    compose = (...args) => run(file, [...first, "-p", project, ...args], { env, cwd: root, timeoutMs: 500_000 });
    const up = await compose("up", "-d", "--build");
    if (up.code !== 0) throw new Error(`compose up: ${up.stderr.slice(-3000)}${up.stdout.slice(-3000)}`);
  }, 900_000);

  afterAll(async () => {
    if (docker === undefined || typeof docker === "string") return;
    await compose("down", "-v", "--timeout", "10");
    await docker.stop();
    rmSync(kube, { recursive: true, force: true });
  }, 120_000);

  const kubectl = async (...args: string[]) => {
    const r = await run("kubectl", args, { env: { KUBECONFIG: join(kube, "kubeconfig") } });
    if (r.code !== 0) throw new Error(`kubectl ${args.join(" ")}: ${r.stderr}`);
    return r.stdout;
  };
  const readyNodes = async () =>
    (await kubectl("get", "nodes", "--no-headers"))
      .split("\n")
      .filter((l) => /\sReady\s/.test(l))
      .map((l) => l.split(/\s/)[0]);
  const waitForNodes = (...names: string[]) =>
    eventually(`${names} are Ready`, async () => ((await readyNodes()).join() === names.join() ? true : undefined), 120_000);

  it("comes up, serves, loses and regains a node, and grows", async ({ skip: skipNow }) => {
    if (typeof docker === "string") return skipNow(docker);
    await eventually("the kubeconfig is on the host", () => (existsSync(join(kube, "kubeconfig")) ? true : undefined), 60_000);
    await waitForNodes("node-1", "node-2", "node-3");

    await run("kubectl", ["apply", "--validate=false", "-f", "-"], {
      env: { KUBECONFIG: join(kube, "kubeconfig") },
      input: webManifest({ replicas: 3, type: "LoadBalancer" }),
    });
    await kubectl("rollout", "status", "deployment/web", "--timeout=90s");
    const address = await eventually("an address on this host", async () => {
      const a = await kubectl("get", "service", "web", "-o", "jsonpath={.metadata.annotations.podwire\\.io/host-address}");
      return a === "" ? undefined : a;
    });
    expect(address).toBe(`127.0.0.1:${env["PODWIRE_EDGE_PORTS"]?.split("-")[0]}`);
    expect(await eventually("curl", () => curl(`http://${address}/`))).toContain("web-");

    expect((await compose("up", "-d", "--no-recreate", "--scale", "node-agent=4")).code).toBe(0);
    await waitForNodes("node-1", "node-2", "node-3", "node-4");
    expect((await compose("logs", "node-agent")).stdout).toContain('"component":"node-4"');

    const containers = (await compose("ps", "-q", "node-agent")).stdout.split("\n");
    const ended = async () => (await readyNodes()).length;
    const [victim] = containers as [string];
    expect((await run("docker", ["kill", victim], { env })).code).toBe(0);
    await eventually("its node is NotReady", async () => ((await ended()) === 3 ? true : undefined), 90_000);
    expect((await run("docker", ["start", victim], { env })).code).toBe(0);
    await waitForNodes("node-1", "node-2", "node-3", "node-4");
  }, 600_000);
});
