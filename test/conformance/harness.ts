// One behaviour of the conformance suite is one test: `conformance("[sig-node] Pods should ...", async (t) => {...})`.
//
// `t` has a namespace of its own ("default" service account ready), deleted when the test ends, and the means to act on the cluster that all files share (setup.ts):
// `t.api` (plain JSON over HTTPS, rest.ts), `t.kubectl`, `t.exec`, `t.logs`, `t.eventually` and builders of pods.
// Tests of one file run concurrently: nothing outside the own namespace may be disturbed; cluster-wide objects carry `t.namespace` in their name and are
// handed to `t.defer` for removal. What must disturb the cluster stands in test/serial with a cluster of its own.
// The tests say nothing that only Podwire has, so that they run against any cluster (PODWIRE_CONFORMANCE_KUBECONFIG).
import { Writable } from "node:stream";
import { Exec, KubeConfig } from "@kubernetes/client-node";
import { inject, it } from "vitest";
import { eventually, type Ran, run } from "../cluster.ts";
import { ApiError, type Json, type RestApi, restApi } from "./rest.ts";

export const AGNHOST = "registry.k8s.io/e2e-test-images/agnhost:2.56";
export const BUSYBOX = "registry.k8s.io/e2e-test-images/busybox:1.37.0-1";
export const NGINX = "registry.k8s.io/e2e-test-images/nginx:1.15-4";
export const HTTPD = "registry.k8s.io/e2e-test-images/httpd:2.4.38-4";
export const PAUSE = "registry.k8s.io/pause:3.10.1";

export interface Executed {
  stdout: string;
  stderr: string;
  /** Exit code; undefined when the command could not be run (`message` says why). */
  code: number | undefined;
  message: string | undefined;
}

export interface PodOptions {
  image?: string;
  command?: string[];
  args?: string[];
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  env?: Json[];
  ports?: Json[];
  /** Merged into the one container, named "c". */
  container?: Json;
  /** Merged into the specification. */
  spec?: Json;
}

export type Context = ReturnType<typeof context>["t"];

let shared: RestApi | undefined;
let own: string | undefined;
const kubeconfig = (): string => own ?? inject("kubeconfig");
/** The tests of this file act on a cluster of their own (test/), not on the one that the conformance files share. */
export function useKubeconfig(file: string): void {
  own = file;
  shared = undefined;
}
/** The API as the kubeconfig's user (an administrator), one connection pool for a file. */
export const api = (): RestApi => (shared ??= restApi(kubeconfig()));

/** A pod of one container "c" (agnhost pause by default) that leaves at once when it is deleted. */
export function podOf(namespace: string, name: string, o: PodOptions = {}): Json {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace, labels: { app: name, ...o.labels }, ...(o.annotations ? { annotations: o.annotations } : {}) },
    spec: {
      terminationGracePeriodSeconds: 0,
      containers: [
        {
          name: "c",
          image: o.image ?? AGNHOST,
          ...(o.command ? { command: o.command } : {}),
          ...(o.args ? { args: o.args } : o.command || o.image ? {} : { args: ["pause"] }),
          ...(o.env ? { env: o.env } : {}),
          ...(o.ports ? { ports: o.ports } : {}),
          ...o.container,
        },
      ],
      ...o.spec,
    },
  };
}

export const isReady = (pod: Json): boolean =>
  pod?.status?.conditions?.some((c: Json) => c.type === "Ready" && c.status === "True") && !pod.metadata.deletionTimestamp;

function context(namespace: string) {
  const rest = api();
  const undo: (() => unknown)[] = [];
  const pods = `/api/v1/namespaces/${namespace}/pods`;
  const here = (object: Json) => (object.metadata.namespace ? object : { ...object, metadata: { namespace, ...object.metadata } });

  const t = {
    namespace,
    api: rest,
    /** The path of the namespace in the core group, or in `group` ("apps/v1"). */
    path: (resource: string, group = "") => `${group ? `/apis/${group}` : "/api/v1"}/namespaces/${namespace}/${resource}`,
    /** Creates an object (in the test's namespace when it says none). */
    create: (object: Json, o?: Parameters<RestApi["create"]>[1]) => rest.create(here(object), o),
    /** Creates an object outside the namespace, removed when the test ends. */
    createForCluster: async (object: Json): Promise<Json> => {
      const made = await rest.create(object);
      const path = await rest.pathOf(made);
      undo.push(() => rest.delete(path));
      return made;
    },
    /** Runs when the test ends, last first, failed or not. */
    defer: (f: () => unknown) => undo.push(f),
    pod: (name: string, o?: PodOptions) => podOf(namespace, name, o),
    /** Creates pods as `podOf` makes them and waits until each is Ready. */
    runPod: async (name: string, o?: PodOptions): Promise<Json> => {
      await rest.create(podOf(namespace, name, o));
      return t.podReady(name);
    },
    getPod: (name: string) => rest.get(`${pods}/${name}`),
    deletePod: (name: string, graceSeconds = 0) => rest.delete(`${pods}/${name}`, { gracePeriodSeconds: graceSeconds }),
    /** Waits until the pod is as `holds` says; fails with the pod's last status. */
    podWhen: async (name: string, what: string, holds: (pod: Json) => boolean, timeoutMs = 60_000): Promise<Json> => {
      let last: Json;
      try {
        return await eventually(
          `pod ${name} ${what}`,
          async () => {
            last = await rest.get(`${pods}/${name}`);
            return holds(last) ? last : undefined;
          },
          timeoutMs,
        );
      } catch (e) {
        throw new Error(`${(e as Error).message}; its status: ${JSON.stringify(last?.status)}`, { cause: e });
      }
    },
    podReady: (name: string) => t.podWhen(name, "is Ready", isReady),
    podSucceeded: (name: string) =>
      t.podWhen(name, "succeeded", (p) => {
        if (p.status.phase === "Failed") throw new Error(`pod ${name} failed: ${JSON.stringify(p.status)}`);
        return p.status.phase === "Succeeded";
      }),
    podGone: (name: string, uid?: string) =>
      eventually(`pod ${name} is gone`, async () => {
        const p = await rest.find(`${pods}/${name}`);
        return p === undefined || (uid !== undefined && p.metadata.uid !== uid);
      }),
    /** What a pod that runs to its end printed. */
    output: async (name: string, o: PodOptions): Promise<string> => {
      await rest.create(podOf(namespace, name, { ...o, spec: { restartPolicy: "Never", ...o.spec } }));
      await t.podSucceeded(name);
      return t.logs(name);
    },
    logs: async (name: string, container?: string, query: Record<string, string | number | boolean> = {}): Promise<string> => {
      const a = await rest.call("GET", `${pods}/${name}/log`, { accept: "*/*", query: { ...(container ? { container } : {}), ...query } });
      if (a.code >= 400) throw new ApiError(`logs of ${name}`, a.code, JSON.parse(a.text), a.headers);
      return a.text;
    },
    /** Runs a command in a container over a WebSocket, as client-node does it; never throws for an exit code. */
    tryExec: (name: string, command: string[], container = "c"): Promise<Executed> =>
      new Promise((resolve, reject) => {
        const config = new KubeConfig();
        config.loadFromFile(kubeconfig());
        const out = { stdout: "", stderr: "" };
        const sink = (stream: "stdout" | "stderr") =>
          new Writable({
            write(chunk, _encoding, done) {
              out[stream] += chunk;
              done();
            },
          });
        new Exec(config)
          .exec(namespace, name, container, command, sink("stdout"), sink("stderr"), null, false, (status: Json) => {
            const cause = status.details?.causes?.find((c: Json) => c.reason === "ExitCode");
            const code = status.status === "Success" ? 0 : cause ? Number(cause.message) : undefined;
            resolve({ ...out, code, message: status.message });
          })
          .then((socket) => socket.on("error", reject), reject);
      }),
    /** Standard output of a command that must succeed. */
    exec: async (name: string, command: string[] | string, container = "c"): Promise<string> => {
      const argv = typeof command === "string" ? ["sh", "-c", command] : command;
      const r = await t.tryExec(name, argv, container);
      if (r.code !== 0) throw new Error(`${argv.join(" ")} in ${name}: exit code ${r.code}\n${r.stdout}\n${r.stderr}\n${r.message ?? ""}`);
      return r.stdout;
    },
    /** kubectl in the test's namespace; throws unless it ends with 0. Costs half a second of CPU: only where kubectl is what is tested. */
    kubectl: async (args: string[], o: { input?: string } = {}): Promise<string> => {
      const r = await t.tryKubectl(args, o);
      if (r.code !== 0) throw new Error(`kubectl ${args.join(" ")}: exit code ${r.code}\n${r.stdout}\n${r.stderr}`);
      return r.stdout;
    },
    tryKubectl: (args: string[], o: { input?: string } = {}): Promise<Ran> =>
      run("kubectl", ["--namespace", namespace, ...args], { env: { KUBECONFIG: kubeconfig() }, ...o }),
    eventually,
    /** Read, change, PUT; again when another writer came between. */
    modify: async (path: string, change: (object: Json) => void, sub = ""): Promise<Json> => {
      for (let tries = 0; ; tries++) {
        const object = await rest.get(sub ? `${path}/${sub}` : path);
        change(object);
        try {
          return await rest.ask("PUT", sub ? `${path}/${sub}` : path, { body: object });
        } catch (e) {
          if (!(e instanceof ApiError) || e.code !== 409 || tries >= 20) throw e;
        }
      }
    },
  };
  return { t, undo };
}

let made = 0;

export interface ConformanceOptions {
  timeoutMs?: number;
  /** Labels of the test's namespace. */
  labels?: Record<string, string>;
  /** Why it cannot run here; undefined runs it. */
  skip?: string | undefined;
}

/** A test in a namespace of its own. `title` is the behaviour's name. */
export function conformance(title: string, body: (t: Context) => Promise<void>, o: ConformanceOptions = {}): void {
  it.skipIf(o.skip !== undefined).concurrent(
    o.skip === undefined ? title : `${title} (skipped: ${o.skip})`,
    async () => {
      const rest = api();
      const namespace = `e2e-${process.pid}-${++made}`;
      await rest.create({ apiVersion: "v1", kind: "Namespace", metadata: { name: namespace, labels: { ...o.labels } } });
      const { t, undo } = context(namespace);
      try {
        await eventually("the default service account", () => rest.find(`/api/v1/namespaces/${namespace}/serviceaccounts/default`));
        await body(t);
      } finally {
        for (const f of undo.reverse()) await Promise.resolve(f()).catch(() => undefined);
        await rest.delete(`/api/v1/namespaces/${namespace}`).catch(() => undefined);
      }
    },
    o.timeoutMs ?? 120_000,
  );
}
