// A real cluster for a test: the podwire command with a state folder of its own, kubectl and curl as a user would run them.
// Invariant: `stop` leaves no process and no file behind, also when the test failed.
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("..", import.meta.url));
export const podwireBin = join(root, "bin", "podwire.mjs");

export interface Ran {
  code: number | undefined;
  stdout: string;
  stderr: string;
}

/** Why a test cannot run here, or undefined: a program that is not on PATH. */
export function missing(...programs: string[]): string | undefined {
  const dirs = (process.env["PATH"] ?? "").split(delimiter);
  const absent = programs.filter((p) => !dirs.some((d) => existsSync(join(d, p))));
  return absent.length === 0 ? undefined : `${absent.join(" and ")} not on PATH`;
}

/** A folder for clusters' state; remove it with `forgetHome`. */
export const makeHome = (): string => mkdtempSync(join(tmpdir(), "pw-"));
export const forgetHome = (home: string): void => rmSync(home, { recursive: true, force: true });

export interface RunOptions {
  env?: Record<string, string>;
  input?: string;
  cwd?: string;
  timeoutMs?: number;
}

/** Runs a program to its end; a program that does not end in time is killed (code undefined). */
export function run(file: string, args: readonly string[], o: RunOptions = {}): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const env = { ...process.env, NO_COLOR: "1", ...o.env };
    const child = spawn(file, [...args], { env, ...(o.cwd === undefined ? {} : { cwd: o.cwd }) });
    const killer = setTimeout(() => child.kill("SIGKILL"), o.timeoutMs ?? 180_000);
    let stdout = "";
    let stderr = "";
    child.stdout.setEncoding("utf8").on("data", (d) => (stdout += d));
    child.stderr.setEncoding("utf8").on("data", (d) => (stderr += d));
    child.stdin.on("error", () => undefined); // It ended without reading.
    child.stdin.end(o.input ?? "");
    child.on("error", reject);
    child.on("close", (code) => {
      clearTimeout(killer);
      resolve({ code: code ?? undefined, stdout: stdout.trimEnd(), stderr: stderr.trimEnd() });
    });
  });
}

export interface Cluster {
  name: string;
  home: string;
  kubeconfig: string;
  /** Runs `podwire <args> --name <cluster>`; throws unless it ends with `expect` (0). */
  podwire(args: readonly string[], o?: { expect?: number }): Promise<Ran>;
  /** kubectl's standard output; throws when it fails, unless `fails`: then its standard error. */
  kubectl(args: readonly string[], o?: { input?: string; fails?: boolean }): Promise<string>;
  /** The object as JSON. */
  object(...args: string[]): Promise<any>;
  status(): Promise<any>;
  stop(): Promise<void>;
}

export interface StartOptions {
  nodes?: number;
  /** `component=--flag=value`. */
  args?: string[];
  /** More flags of `podwire up`. */
  up?: string[];
  /** Keep using the state of an earlier cluster. */
  home?: string;
  name?: string;
  /** The API's port; any when absent. */
  port?: number;
}

/** What makes failures of nodes visible within seconds in tests; Kubernetes' defaults are 40 s and 300 s. */
export const FAST_NODE_FAILURE = [
  "controller-manager=--node-monitor-grace-period=6s",
  "controller-manager=--node-monitor-period=1s",
  "node-agent=--node-lease-duration-seconds=4", // Renewed four times as often.
];

export async function startCluster(o: StartOptions = {}): Promise<Cluster> {
  const home = o.home ?? makeHome();
  const name = o.name ?? "test";
  const cluster = clusterAt(home, name);
  const args = ["up", "-d", `--api-port=${o.port ?? 0}`, `--nodes=${o.nodes ?? 3}`];
  args.push(...(o.args ?? []).map((a) => `--arg=${a}`), ...(o.up ?? []));
  const up = await run(process.execPath, [podwireBin, ...args, `--name=${name}`], { env: { PODWIRE_HOME: home } });
  if (up.code === 0) return cluster;
  const logs = await run(process.execPath, [podwireBin, "logs", "--tail=60", `--name=${name}`], { env: { PODWIRE_HOME: home } });
  await cluster.stop();
  throw new Error(`podwire up failed (${up.code}):\n${up.stderr}\n${logs.stdout}`);
}

/** The handle of a cluster that runs, or did. */
export function clusterAt(home: string, name: string): Cluster {
  const kubeconfig = join(home, name, "kubeconfig");
  const cluster: Cluster = {
    name,
    home,
    kubeconfig,
    async podwire(args, { expect = 0 } = {}) {
      const r = await run(process.execPath, [podwireBin, ...args, `--name=${name}`], { env: { PODWIRE_HOME: home } });
      if (r.code !== expect) throw new Error(`podwire ${args.join(" ")}: exit code ${r.code}, not ${expect}\n${r.stdout}\n${r.stderr}`);
      return r;
    },
    async kubectl(args, { input, fails = false } = {}) {
      const r = await run("kubectl", args, { env: { KUBECONFIG: kubeconfig }, ...(input === undefined ? {} : { input }) });
      if ((r.code !== 0) !== fails) throw new Error(`kubectl ${args.join(" ")}: exit code ${r.code}\n${r.stdout}\n${r.stderr}`);
      return fails ? r.stderr : r.stdout;
    },
    object: async (...args) => JSON.parse(await cluster.kubectl([...args, "-o", "json"])),
    status: async () => {
      const r = await run(process.execPath, [podwireBin, "status", "-o", "json", `--name=${name}`], { env: { PODWIRE_HOME: home } });
      return JSON.parse(r.stdout);
    },
    async stop() {
      await run(process.execPath, [podwireBin, "down", `--name=${name}`], { env: { PODWIRE_HOME: home } });
      const left = processesOf(home);
      for (const p of left) process.kill(p.pid, "SIGKILL");
      if (left.length > 0) throw new Error(`left behind by ${name}:\n${left.map((p) => p.args).join("\n")}`);
      forgetHome(home);
    },
  };
  return cluster;
}

/** Processes whose command line names the state folder. */
export function processesOf(home: string): { pid: number; args: string }[] {
  const { stdout } = spawnSync("ps", ["-eo", "pid=,args="], { encoding: "utf8" });
  return stdout
    .split("\n")
    .map((l) => /^\s*(\d+) (.*)$/.exec(l))
    .filter((m): m is RegExpExecArray => m !== null && (m[2] as string).includes(home) && !(m[2] as string).includes("vitest"))
    .map((m) => ({ pid: Number(m[1]), args: m[2] as string }));
}

/** Asks until the answer is not undefined; throws with the last error or `what` when it never comes. */
export async function eventually<T>(what: string, ask: () => Promise<T | undefined> | T | undefined, timeoutMs = 30_000): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  let last: unknown;
  while (Date.now() < deadline) {
    try {
      const value = await ask();
      if (value !== undefined && value !== false) return value;
      last = undefined;
    } catch (e) {
      last = e;
    }
    await sleep(100);
  }
  throw new Error(`not within ${timeoutMs / 1000} s: ${what}`, { cause: last });
}

export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** A Deployment of the echo server and its Service, as YAML. */
export function webManifest(o: { name?: string; replicas?: number; type?: string; node?: string } = {}): string {
  const name = o.name ?? "web";
  const selector = o.node ? `\n      nodeSelector: { kubernetes.io/hostname: ${o.node} }` : "";
  return `apiVersion: apps/v1
kind: Deployment
metadata: { name: ${name}, labels: { app: ${name} } }
spec:
  replicas: ${o.replicas ?? 1}
  selector: { matchLabels: { app: ${name} } }
  template:
    metadata: { labels: { app: ${name} } }
    spec:${selector}
      containers:
        - name: web
          image: podwire/echo
          ports: [{ name: http, containerPort: 8080 }]
          readinessProbe: { httpGet: { path: /, port: http }, periodSeconds: 1 }
---
apiVersion: v1
kind: Service
metadata: { name: ${name}, labels: { app: ${name} } }
spec:
  type: ${o.type ?? "ClusterIP"}
  selector: { app: ${name} }
  ports: [{ name: http, port: 80, targetPort: http }]
`;
}

/** The address on this host where the edge serves a Service, "127.0.0.1:8080". */
export async function hostAddress(cluster: Cluster, service: string): Promise<string> {
  return eventually(`Service ${service} has an address on this host`, async () => {
    const s = await cluster.object("get", "service", service);
    return s.metadata.annotations?.["podwire.io/host-address"] as string | undefined;
  });
}

/** curl's output; throws when curl fails. */
export async function curl(url: string, ...args: string[]): Promise<string> {
  const r = await run("curl", ["--silent", "--show-error", "--fail", "--max-time", "5", ...args, url]);
  if (r.code !== 0) throw new Error(`curl ${url}: exit code ${r.code}: ${r.stderr}`);
  return r.stdout;
}
