// How other podwire commands talk to a cluster's supervisor: a Unix socket, one JSON request a connection, answered by JSON lines;
// the last line has `done`. Invariant: whoever can open the socket owns the cluster's folder (mode 0700), so nobody else is asked.
import { existsSync, rmSync } from "node:fs";
import { createConnection, createServer, type Server, type Socket } from "node:net";
import { PodwireError, reasonOf } from "@podwire/base";
import { NotRunningError } from "../errors.ts";
import type { ProcessStatus } from "./process.ts";

/** A request longer than this is not one of ours. */
const MAX_REQUEST_BYTES = 64 * 1024;

export type ControlRequest =
  | { op: "status" }
  | { op: "down" }
  | { op: "node-add"; name?: string; count?: number }
  | { op: "node-rm"; name: string }
  | { op: "node-kill"; name: string }
  | { op: "node-restart"; name: string };

export interface SupervisorStatus {
  cluster: string;
  pid: number;
  startedMs: number;
  version: string;
  /** What `up` is doing now; "running" once it is done. */
  phase: string;
  apiUrl: string;
  natsUrl: string;
  dashboardUrl: string;
  kubeconfig: string;
  processes: ProcessStatus[];
  nodes: { name: string; underlay: string }[];
}

/** The supervisor answered that it cannot. */
export class RefusedError extends PodwireError {}

export type ControlHandler = (request: ControlRequest) => Promise<unknown>;

/** Listens on `path`; takes over a socket file that nobody listens on any more. */
export async function serveControl(path: string, handle: ControlHandler): Promise<Server> {
  if (existsSync(path) && !(await answers(path))) rmSync(path, { force: true });
  const server = createServer((socket) => serveOne(socket, handle));
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(path, resolve);
  });
  server.unref();
  return server;
}

function serveOne(socket: Socket, handle: ControlHandler): void {
  let text = "";
  socket.setEncoding("utf8");
  socket.on("error", () => socket.destroy());
  socket.on("data", (chunk: string) => {
    text += chunk;
    if (text.length > MAX_REQUEST_BYTES) return void socket.destroy();
    const end = text.indexOf("\n");
    if (end < 0) return;
    const line = text.slice(0, end);
    text = "";
    void answer(line, handle).then((reply) => socket.end(`${JSON.stringify(reply)}\n`));
  });
}

type Reply = { done: true; value: unknown } | { done: true; error: string; next?: string };

async function answer(line: string, handle: ControlHandler): Promise<Reply> {
  try {
    return { done: true, value: await handle(JSON.parse(line) as ControlRequest) };
  } catch (e) {
    const next = e instanceof PodwireError ? e.next : undefined;
    return { done: true, error: reasonOf(e), ...(next ? { next } : {}) };
  }
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection(path, () => {
      socket.destroy();
      resolve(true);
    });
    socket.on("error", () => resolve(false));
  });
}

/** Asks the supervisor of `cluster`. Throws NotRunningError when none listens, RefusedError with its reason when it refuses. */
export function askSupervisor<T>(path: string, cluster: string, request: ControlRequest): Promise<T> {
  return new Promise((resolve, reject) => {
    const socket = createConnection(path);
    let text = "";
    socket.setEncoding("utf8");
    socket.on("connect", () => socket.write(`${JSON.stringify(request)}\n`));
    socket.on("data", (chunk: string) => (text += chunk));
    socket.on("error", (e) => reject(new NotRunningError(cluster, e)));
    socket.on("close", () => {
      let reply: Reply;
      try {
        reply = JSON.parse(text) as Reply;
      } catch {
        // It stopped while answering; for `down` that is the answer.
        return request.op === "down" ? resolve(undefined as T) : reject(new NotRunningError(cluster));
      }
      if ("error" in reply) reject(new RefusedError(reply.error, reply.next ? { next: reply.next } : {}));
      else resolve(reply.value as T);
    });
  });
}

/** The supervisor's status, or undefined when the cluster is not running. */
export async function statusIfRunning(path: string, cluster: string): Promise<SupervisorStatus | undefined> {
  try {
    return await askSupervisor<SupervisorStatus>(path, cluster, { op: "status" });
  } catch (e) {
    if (e instanceof NotRunningError) return undefined;
    throw e;
  }
}
