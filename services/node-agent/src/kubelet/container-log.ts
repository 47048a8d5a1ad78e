// Which log a request for a container's log means, and from where (kubelet_pods.go GetKubeletContainerLogs, validateContainerLogStatus):
// the same over the apiserver's streams and on the kubelet's own port.
import { PodwireError } from "@podwire/base";
import { timeMs } from "@podwire/client";
import type { LogOptions } from "./log-reader.ts";
import type { LogStore } from "./log-store.ts";
import type { PodRecord } from "./pod-record.ts";

/** PodLogOptions, as far as a kubelet is told. */
export interface LogRequest {
  pod: string;
  container: string;
  follow?: boolean | undefined;
  previous?: boolean | undefined;
  timestamps?: boolean | undefined;
  tailLines?: number | undefined;
  sinceSeconds?: number | undefined;
  sinceTime?: string | undefined;
  limitBytes?: number | undefined;
  stream?: string | undefined;
}

/** There is no such log; the message is for the user. */
export class LogUnavailableError extends PodwireError {}

export function containerLog(record: PodRecord, r: LogRequest, logs: LogStore, nowMs: number): { file: string; options: LogOptions } {
  const c = record.containers.get(r.container);
  if (!c) throw new LogUnavailableError(`container ${r.container} in pod ${r.pod} is not available`);
  if (r.previous && !(c.last || (c.terminated && c.waiting.reason !== "")))
    throw new LogUnavailableError(`previous terminated container "${r.container}" in pod "${r.pod}" not found`);
  if (!c.running && !c.terminated && !c.last) {
    const pulling = c.waiting.reason === "ErrImagePull" || c.waiting.reason === "ImagePullBackOff";
    const why = pulling ? "trying and failing to pull image" : c.waiting.reason || "ContainerCreating";
    throw new LogUnavailableError(`container "${r.container}" in pod "${r.pod}" is waiting to start: ${why}`);
  }
  // While a crashed container waits, its last run is the current log.
  const before = r.previous && (c.running !== undefined || (c.last !== undefined && c.waiting.reason === ""));
  const sinceMs = r.sinceSeconds !== undefined ? nowMs - r.sinceSeconds * 1000 : timeMs(r.sinceTime);
  return {
    file: logs.fileOf(record.pod, r.container, before ? c.restartCount - 1 : c.restartCount),
    options: {
      follow: (r.follow ?? false) && !r.previous,
      timestamps: r.timestamps ?? false,
      ...(r.tailLines === undefined ? {} : { tailLines: r.tailLines }),
      ...(r.limitBytes === undefined ? {} : { limitBytes: r.limitBytes }),
      ...(sinceMs === undefined ? {} : { sinceMs }),
      ...(r.stream === "Stdout" ? { stream: "stdout" } : r.stream === "Stderr" ? { stream: "stderr" } : {}),
    },
  };
}
