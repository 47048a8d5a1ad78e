// A real apiserver process for tests of the API: standing alone on memory, or on a nats-server of its own.
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { startTestNats, type TestNats } from "@podwire/testkit";

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
const main = join(root, "services/apiserver/src/main.ts");
const START_TIMEOUT_MS = 30_000;

/** How the supervisor starts an apiserver (packages/cli/src/supervisor/components.ts). */
const AS_SUPERVISED = {
  flags: ["--expose-gc", "--single-threaded-gc", "--max-semi-space-size=8"],
  env: { MALLOC_ARENA_MAX: "1", MALLOC_TRIM_THRESHOLD_: "65536" },
} as const;

export const TOKEN = "test-token";

export interface RunningApiServer {
  readonly url: string;
  readonly port: number;
  readonly folder: string;
  readonly nats: TestNats | undefined;
  readonly pid: number;
  /** Runs kubectl; resolves with what it printed and its exit code. */
  kubectl(args: readonly string[], stdin?: string): Promise<{ code: number; stdout: string; stderr: string }>;
  kill(): Promise<void>;
  /** SIGKILL and start again on the same port, certificates and store. */
  restart(): Promise<void>;
  close(): Promise<void>;
}

/** `beside` another one, on its store and with its certificates. */
export async function startApiServer(
  storage: "memory" | "jetstream",
  flags: readonly string[] = [],
  beside?: RunningApiServer,
): Promise<RunningApiServer> {
  const folder = beside?.folder ?? (await mkdtemp(join(tmpdir(), "podwire-test-api-")));
  await writeFile(join(folder, "tokens.csv"), `${TOKEN},admin,admin-uid,"system:masters"\n`);
  const nats = beside?.nats ?? (storage === "jetstream" ? await startTestNats() : undefined);
  const identity = nats ? [`--identity-file=${await nats.writeIdentityFile("apiserver")}`] : ["--storage-backend=memory"];
  let port = 0;
  let child: ChildProcess;
  const launch = async () => {
    const args = [
      ...AS_SUPERVISED.flags,
      main,
      ...identity,
      `--secure-port=${port}`,
      `--cert-dir=${join(folder, "pki")}`,
      `--token-auth-file=${join(folder, "tokens.csv")}`,
    ];
    child = spawn(process.execPath, [...args, ...flags], {
      stdio: ["ignore", "pipe", "inherit"],
      env: { ...AS_SUPERVISED.env, ...process.env },
    });
    port = await listeningPort(child);
    await ready(port);
  };
  await launch();
  const kubeconfig = join(folder, `kubeconfig-${port}`);
  await writeFile(kubeconfig, kubeconfigOf(`https://127.0.0.1:${port}`, join(folder, "pki")));
  const stop = (signal: NodeJS.Signals) =>
    new Promise<void>((resolve) => {
      if (child.exitCode !== null || child.signalCode !== null) return resolve();
      child.once("exit", () => resolve());
      child.kill(signal);
    });
  return {
    url: `https://127.0.0.1:${port}`,
    port,
    folder,
    nats,
    get pid() {
      return child.pid as number;
    },
    kubectl: (args, stdin) =>
      new Promise((resolve) => {
        const env = { ...process.env, KUBECONFIG: kubeconfig, HOME: folder };
        const p = execFile("kubectl", [...args], { env, timeout: 60_000, maxBuffer: 1 << 26 }, (err, stdout, stderr) =>
          resolve({ code: err ? Number(err.code ?? 1) : 0, stdout, stderr }),
        );
        p.stdin?.end(stdin ?? "");
      }),
    kill: () => stop("SIGKILL"),
    restart: async () => {
      await stop("SIGKILL");
      await launch();
    },
    close: async () => {
      await stop("SIGTERM");
      if (beside) return;
      await nats?.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function listeningPort(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    let text = "";
    const timer = setTimeout(() => reject(new Error(`the apiserver does not listen: ${text}`)), START_TIMEOUT_MS);
    child.once("exit", (code) => reject(new Error(`the apiserver ended with ${code}: ${text}`)));
    child.stdout?.on("data", (d) => {
      text += d;
      const m = /"port":(\d+)/.exec(text);
      if (!m) return;
      clearTimeout(timer);
      resolve(Number(m[1]));
    });
  });
}

async function ready(port: number): Promise<void> {
  const { request } = await import("node:https");
  const until = Date.now() + START_TIMEOUT_MS;
  for (;;) {
    const status = await new Promise<number>((resolve) => {
      const r = request({ host: "127.0.0.1", port, path: "/readyz", rejectUnauthorized: false }, (res) => {
        res.resume();
        resolve(res.statusCode ?? 0);
      });
      r.on("error", () => resolve(0));
      r.end();
    });
    if (status === 200) return;
    if (Date.now() > until) throw new Error(`the apiserver does not become ready: /readyz answers ${status}`);
    await new Promise((r) => setTimeout(r, 50));
  }
}

function kubeconfigOf(server: string, pki: string): string {
  return JSON.stringify({
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name: "c", cluster: { server, "certificate-authority": join(pki, "ca.crt") } }],
    users: [{ name: "u", user: { "client-certificate": join(pki, "admin.crt"), "client-key": join(pki, "admin.key") } }],
    contexts: [{ name: "x", context: { cluster: "c", user: "u" } }],
    "current-context": "x",
  });
}
