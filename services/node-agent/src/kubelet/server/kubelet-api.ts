// What the kubelet answers over HTTP, path by path (kubelet/server/server.go), without the transport.
// Invariant: whoever gets here may ask; an unknown path is 404, an operation that exists only over the apiserver's streams is refused by name.
import fs from "node:fs";
import path from "node:path";
import type { Pod } from "@podwire/api";
import { reasonOf } from "@podwire/base";
import { StartError } from "@podwire/runtime";
import { containerLog, LogUnavailableError } from "../container-log.ts";
import { readLog } from "../log-reader.ts";
import type { LogStore } from "../log-store.ts";
import type { PodRecord } from "../pod-record.ts";

export interface KubeletRequest {
  method: string;
  path: string;
  query: URLSearchParams;
}

export interface KubeletAnswer {
  status: number;
  type: string;
  body: string | Uint8Array;
  /** Instead of the body: called with a way to write, until the promise resolves. */
  stream?: (sink: { send(bytes: Uint8Array): Promise<void>; readonly closed: boolean }) => Promise<void>;
}

export interface KubeletApiSources {
  pods(): readonly Pod[];
  find(namespace: string, pod: string, uid: string | undefined): { record: PodRecord } | undefined;
  running(): { pod: Pod; containers: string[] }[];
  summary(onlyCpuAndMemory: boolean): object;
  metrics(kind: "kubelet" | "resource" | "cadvisor" | "probes"): string;
  config(): object;
  logs: LogStore;
  nowMs(): number;
  /** Folder that /logs/ shows, as /var/log. */
  logFolder: string;
}

const JSON_TYPE = "application/json";
const TEXT = "text/plain; charset=utf-8";
const PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8; escaping=underscores";
/** What /run may print. */
const MAX_RUN_BYTES = 1024 * 1024;

const json = (value: unknown): KubeletAnswer => ({ status: 200, type: JSON_TYPE, body: JSON.stringify(value) });
const text = (body: string, status = 200): KubeletAnswer => ({ status, type: TEXT, body });
const notFound = text("404 page not found\n", 404);

export async function answerKubelet(r: KubeletRequest, s: KubeletApiSources): Promise<KubeletAnswer> {
  const [, head = "", ...rest] = r.path.split("/");
  const reads = r.method === "GET" || r.method === "HEAD";
  switch (head) {
    case "healthz":
      return rest.length === 0 || ["ping", "log", "syncloop"].includes(rest[0] as string) ? text("ok") : notFound;
    case "pods":
      return reads ? json(podList(s.pods())) : text("405: Method Not Allowed", 405);
    case "runningpods":
      return json(podList(s.running().map(runningPod)));
    case "configz":
      return json({ kubeletconfig: s.config() });
    case "stats":
      if (rest[0] !== "summary") return notFound;
      return json(s.summary(r.query.get("only_cpu_and_memory") === "true"));
    case "metrics": {
      const kind = rest[0] ?? "";
      if (kind === "") return prometheus(s.metrics("kubelet"));
      return kind === "resource" || kind === "cadvisor" || kind === "probes" ? prometheus(s.metrics(kind)) : notFound;
    }
    case "containerLogs":
      return containerLogs(rest, r.query, s);
    case "logs":
      return logFile(rest.map(decodeURIComponent), s);
    case "run":
      return run(rest, r, s);
    case "exec":
    case "attach":
    case "portForward":
      return text(`${head}: streams of this kubelet go through the apiserver (pods/${head.toLowerCase()})\n`, 501);
    default:
      return notFound;
  }
}

const prometheus = (body: string): KubeletAnswer => ({ status: 200, type: PROMETHEUS, body });
const podList = (items: readonly Pod[]) => ({ kind: "PodList", apiVersion: "v1", metadata: {}, items });

function runningPod({ pod, containers }: { pod: Pod; containers: string[] }): Pod {
  const { name, namespace, uid } = pod.metadata!;
  const of = (n: string) => pod.spec!.containers.find((c) => c.name === n);
  return {
    metadata: { name, namespace, uid },
    spec: { containers: containers.map((n) => ({ name: n, image: of(n)?.image ?? "", resources: {} })) },
    status: {},
  } as never;
}

async function containerLogs(rest: string[], q: URLSearchParams, s: KubeletApiSources): Promise<KubeletAnswer> {
  const [namespace = "", name = "", container = ""] = rest;
  if (namespace === "" || name === "" || container === "")
    return text(
      JSON.stringify({ message: `Missing ${namespace === "" ? "podNamespace" : name === "" ? "podID" : "container name"}.` }),
      400,
    );
  const found = s.find(namespace, name, undefined);
  if (!found) return text(JSON.stringify({ message: `Pod "${name}" does not exist` }), 404);
  const c = found.record.containers.get(container);
  if (!c) return text(JSON.stringify({ message: `Container "${container}" not found in Pod "${name}"` }), 404);
  const number = (key: string) => (q.has(key) ? Number(q.get(key)) : undefined);
  const flag = (key: string) => q.get(key) === "true" || q.get(key) === "1";
  const wrong = ["tailLines", "limitBytes", "sinceSeconds"].find(
    (k) => q.has(k) && !(Number.isInteger(number(k)) && (number(k) as number) >= 0),
  );
  if (wrong) return text(JSON.stringify({ message: `Invalid request: ${wrong}: ${q.get(wrong)}` }), 422);
  const request = {
    pod: name,
    container,
    follow: flag("follow"),
    previous: flag("previous"),
    timestamps: flag("timestamps"),
    tailLines: number("tailLines"),
    limitBytes: number("limitBytes"),
    sinceSeconds: number("sinceSeconds"),
    sinceTime: q.get("sinceTime") ?? undefined,
    stream: q.get("stream") ?? undefined,
  };
  try {
    const { file, options } = containerLog(found.record, request, s.logs, s.nowMs());
    return { status: 200, type: "text/plain", body: "", stream: (sink) => readLog(file, s.logs.live(file), options, sink) };
  } catch (e) {
    if (e instanceof LogUnavailableError) return text(e.message, 400);
    throw e;
  }
}

/** Files below the node's /var/log, and listings of its folders. */
function logFile(parts: string[], s: KubeletApiSources): KubeletAnswer {
  const names = parts.filter((p) => p !== "");
  const at = path.join(s.logFolder, ...names);
  if (names.includes("..") || !fs.existsSync(at)) return notFound;
  if (!fs.statSync(at).isDirectory()) return { status: 200, type: TEXT, body: fs.readFileSync(at) };
  const entries = fs.readdirSync(at, { withFileTypes: true }).map((e) => (e.isDirectory() ? `${e.name}/` : e.name));
  const lines = entries.sort().map((n) => `<a href="${encodeURI(n)}">${n}</a>\n`);
  return {
    status: 200,
    type: "text/html; charset=utf-8",
    body: `<!doctype html>\n<meta name="viewport" content="width=device-width">\n<pre>\n${lines.join("")}</pre>\n`,
  };
}

/** POST /run/{namespace}/{pod}/[{uid}/]{container}?cmd=...: the command's output. */
async function run(rest: string[], r: KubeletRequest, s: KubeletApiSources): Promise<KubeletAnswer> {
  if (r.method !== "POST") return text("405: Method Not Allowed", 405);
  const [namespace = "", pod = ""] = rest;
  const container = rest.at(-1) ?? "";
  const found = s.find(namespace, pod, rest.length === 4 ? rest[2] : undefined);
  if (!found) return text("pod does not exist", 404);
  const c = found.record.containers.get(container)?.container;
  if (!c?.running) return text(`container not found ("${container}")`, 500);
  try {
    const session = c.execute((r.query.get("cmd") ?? "").split(" ").filter((w) => w !== ""));
    const out: Buffer[] = [];
    let size = 0;
    session.onOutput((_stream, bytes) => {
      if (size < MAX_RUN_BYTES) out.push(Buffer.from(bytes));
      size += bytes.length;
    });
    await session.wait();
    return { status: 200, type: TEXT, body: Buffer.concat(out) };
  } catch (e) {
    if (e instanceof StartError) return text(reasonOf(e), 500);
    throw e;
  }
}
