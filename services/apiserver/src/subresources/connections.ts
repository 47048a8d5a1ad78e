// The way to a pod's node: streams to its kubelet over the bus. One operation a stream; the open body says which:
//   {op: "log", namespace, pod, container, follow, previous, timestamps, tailLines?, sinceSeconds?, sinceTime?, limitBytes?} frames: bytes
//   {op: "exec"|"attach", namespace, pod, container, command?, stdin, stdout, stderr, tty}   frames: {channel, data}, channels as below
//   {op: "portforward", namespace, pod, port}                                                 frames: bytes, both ways
// Channels: 0 stdin, 1 stdout, 2 stderr, 3 Status JSON at the end, 4 resize {"Width","Height"}. The end of stdin is the stream's half-close.
import { statusErrors } from "@podwire/api";
import { type Bus, type BusStream, NoRespondersError, subjectsOf } from "@podwire/bus";

/** How long a kubelet may take to accept a stream. */
const OPEN_TIMEOUT_MS = 10_000;

export interface ProcessConnections {
  /** Throws a Status when the node does not answer or refuses. */
  open(node: string, body: Record<string, unknown>, signal?: AbortSignal): Promise<BusStream>;
}

export function busConnections(bus: Bus): ProcessConnections {
  const subjects = subjectsOf(bus.cluster);
  return {
    async open(node, body, signal) {
      try {
        return await bus.openStream(subjects.kubelet(node), body, { timeoutMs: OPEN_TIMEOUT_MS, ...(signal ? { signal } : {}) });
      } catch (e) {
        if (e instanceof NoRespondersError)
          throw statusErrors.internal(`error dialing backend: no kubelet answers for node ${JSON.stringify(node)}`, e);
        const code = (e as { code?: unknown }).code;
        const message = e instanceof Error ? e.message : String(e);
        if (code === "bad-request") throw statusErrors.badRequest(message);
        if (code === "not-found") throw statusErrors.badRequest(message);
        throw statusErrors.internal(`error dialing backend: ${message}`, e);
      }
    },
  };
}

export const noConnections: ProcessConnections = {
  open: (node) => Promise.reject(statusErrors.internal(`error dialing backend: no kubelet answers for node ${JSON.stringify(node)}`)),
};
