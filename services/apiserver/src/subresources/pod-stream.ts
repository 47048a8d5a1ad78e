// exec, attach and port-forward: checked here, then a channelled stream between the client's transport and the node's kubelet.
import { statusErrors } from "@podwire/api";
import type { BusStream } from "@podwire/bus";
import type { Api, ApiResponse, Call, Duplexed } from "../call.ts";
import { boolean } from "../request/options.ts";
import { readOne } from "../verbs/get.ts";
import { admitConnect } from "./connect.ts";
import { containerOf } from "./log.ts";

export async function podStream(api: Api, call: Call, op: "exec" | "attach" | "portforward"): Promise<ApiResponse> {
  const q = call.info.query;
  await admitConnect(api, call);
  const pod = (await readOne(api, call)).object;
  const node = pod["spec"]?.nodeName ?? "";
  const where = { op, namespace: call.namespace, pod: call.name, uid: pod.metadata.uid };
  if (op === "portforward") {
    if (node === "") throw statusErrors.badRequest(`pod ${call.name} does not have a host assigned`);
    return { status: 101, headers: {}, portForward: (port) => api.connections.open(node, { ...where, port }, call.request.signal) };
  }
  const container = containerOf(pod, q.get("container") ?? "");
  if (node === "") throw statusErrors.badRequest(`pod ${call.name} does not have a host assigned`);
  const stdin = boolean(q, "stdin") ?? false;
  const stdout = boolean(q, "stdout") ?? false;
  const stderr = boolean(q, "stderr") ?? false;
  if (!stdin && !stdout && !stderr) throw statusErrors.badRequest("you must specify at least 1 of stdin, stdout, stderr");
  const command = q.getAll("command");
  const body = { ...where, container, stdin, stdout, stderr, tty: boolean(q, "tty") ?? false, ...(op === "exec" ? { command } : {}) };
  const open = () => api.connections.open(node, body, call.request.signal);
  return { status: 101, headers: {}, connection: async () => duplexOf(await open()) };
}

function duplexOf(stream: BusStream): Duplexed {
  return {
    onFrame: (cb) =>
      stream.onFrame((frame) => {
        const { channel, data } = (frame ?? {}) as { channel?: unknown; data?: unknown };
        if (typeof channel === "number" && data instanceof Uint8Array) return cb(channel, data);
        return undefined;
      }),
    onClose: (cb) => {
      let called = false;
      const once = (error: string | undefined) => {
        if (called) return;
        called = true;
        cb(error);
      };
      stream.onEnd(() => once(undefined));
      stream.onClose((e) => once(e?.message));
    },
    send: (channel, data) => (stream.closed ? Promise.resolve() : stream.send({ channel, data })),
    end: (channel) => {
      if (stream.closed) return;
      if (channel === 0) stream.end();
      else stream.abort({ code: "gone", message: "the client has gone" });
    },
  };
}
