// GET pods/{name}/log: options checked here, bytes from the node's kubelet (core/pod/strategy.go LogLocation).
import { type FieldError, forbidden, invalid, type KubeObject, required, statusErrors } from "@podwire/api";
import type { Api, ApiResponse, Call } from "../call.ts";
import { boolean, integer } from "../request/options.ts";
import { readOne } from "../verbs/get.ts";

export async function podLog(api: Api, call: Call): Promise<ApiResponse> {
  const q = call.info.query;
  const options = logOptions(call, q);
  const pod = (await readOne(api, call)).object;
  const container = containerOf(pod, q.get("container") ?? "");
  const node = pod["spec"]?.nodeName;
  if (!node) return { status: 204, headers: {} };
  const stream = await api.connections.open(
    node,
    { op: "log", namespace: call.namespace, pod: call.name, uid: pod.metadata.uid, container, ...options },
    call.request.signal,
  );
  return {
    status: 200,
    headers: { "content-type": "text/plain", "cache-control": "no-cache, private" },
    stream: (sink) => {
      sink.onClose(() => stream.abort({ code: "gone", message: "the client has gone" }));
      stream.onFrame((frame) => {
        if (!(frame instanceof Uint8Array) || sink.closed) return;
        if (!sink.write(frame))
          return new Promise<void>((resolve) => {
            sink.onDrain(resolve);
            sink.onClose(resolve);
          });
      });
      stream.onEnd(() => {
        stream.end();
        sink.end();
      });
      stream.onClose(() => sink.end());
    },
  };
}

function logOptions(call: Call, q: URLSearchParams): Record<string, unknown> {
  const o: Record<string, unknown> = {
    follow: boolean(q, "follow") ?? false,
    previous: boolean(q, "previous") ?? false,
    timestamps: boolean(q, "timestamps") ?? false,
  };
  const errors: FieldError[] = [];
  const tailLines = integer(q, "tailLines");
  const limitBytes = integer(q, "limitBytes");
  const sinceSeconds = integer(q, "sinceSeconds");
  const sinceTime = q.get("sinceTime");
  const source = q.get("stream");
  if (tailLines !== undefined && tailLines < 0) errors.push(invalid("tailLines", tailLines, "must be greater than or equal to 0"));
  if (limitBytes !== undefined && limitBytes < 1) errors.push(invalid("limitBytes", limitBytes, "must be greater than 0"));
  if (sinceSeconds !== undefined && sinceTime) errors.push(forbidden("", "at most one of `sinceTime` or `sinceSeconds` may be specified"));
  else if (sinceSeconds !== undefined && sinceSeconds < 1) errors.push(invalid("sinceSeconds", sinceSeconds, "must be greater than 0"));
  if (source !== null && !["All", "Stdout", "Stderr"].includes(source)) errors.push(required("stream"));
  if (errors.length > 0) throw statusErrors.invalid({ group: "", kind: "PodLogOptions" }, call.name, errors);
  if (tailLines !== undefined) o["tailLines"] = tailLines;
  if (limitBytes !== undefined) o["limitBytes"] = limitBytes;
  if (sinceSeconds !== undefined) o["sinceSeconds"] = sinceSeconds;
  if (sinceTime) o["sinceTime"] = sinceTime;
  if (source && source !== "All") o["stream"] = source;
  return o;
}

/** The container that a request means; throws 400 when it must be named, or does not exist. */
export function containerOf(pod: KubeObject, asked: string): string {
  const spec = pod["spec"] ?? {};
  const names = (list: any[] | undefined) => (list ?? []).map((c) => c.name as string);
  const containers = names(spec.containers);
  const name = pod.metadata.name;
  if (asked === "") {
    const byDefault = pod.metadata.annotations?.["kubectl.kubernetes.io/default-container"];
    if (byDefault && containers.includes(byDefault)) return byDefault;
    if (containers.length === 1) return containers[0] as string;
    let text = `a container name must be specified for pod ${name}, choose one of: [${containers.join(" ")}]`;
    const init = names(spec.initContainers);
    if (init.length > 0) text += ` or one of the init containers: [${init.join(" ")}]`;
    const ephemeral = names(spec.ephemeralContainers);
    if (ephemeral.length > 0) text += ` or one of the ephemeral containers: [${ephemeral.join(" ")}]`;
    throw statusErrors.badRequest(text);
  }
  if (![...containers, ...names(spec.initContainers), ...names(spec.ephemeralContainers)].includes(asked))
    throw statusErrors.badRequest(`container ${asked} is not valid for pod ${name}`);
  return asked;
}
