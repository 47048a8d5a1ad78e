// Brings pod statuses to the API: one patch at a time per pod, the newest status wins, retried with back-off; the last act of a
// finished pod is its deletion with grace 0 (status/status_manager.go).
// Invariant: statuses of one pod reach the API in order; an unchanged status is not sent.
import type { Pod, PodStatus } from "@podwire/api";
import { type Clock, type Logger, reasonOf } from "@podwire/base";
import { type ApiClient, isConflict, isForbidden, isNotFound, Resources } from "@podwire/client";

const FIRST_RETRY_MS = 100;
const MAX_RETRY_MS = 10_000;

interface Entry {
  namespace: string;
  name: string;
  wanted: PodStatus | undefined;
  sentText: string;
  deleteWhenSent: boolean;
  running: boolean;
}

export class StatusManager {
  readonly #client: ApiClient;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #entries = new Map<string, Entry>();
  readonly counters = { sent: 0, failed: 0, unchanged: 0, deleted: 0 };
  constructor(o: { client: ApiClient; clock: Clock; log: Logger }) {
    this.#client = o.client;
    this.#clock = o.clock;
    this.#log = o.log;
  }

  set(pod: Pod, status: PodStatus): void {
    const e = this.#entry(pod);
    const text = JSON.stringify(status);
    if (text === e.sentText && e.wanted === undefined) {
      this.counters.unchanged++;
      return;
    }
    e.wanted = status;
    this.#pump(pod.metadata!.uid!, e);
  }

  /** Deletes the pod with grace 0 after its last status has arrived. */
  remove(pod: Pod): void {
    const e = this.#entry(pod);
    e.deleteWhenSent = true;
    this.#pump(pod.metadata!.uid!, e);
  }

  forget(uid: string): void {
    this.#entries.delete(uid);
  }

  #entry(pod: Pod): Entry {
    const uid = pod.metadata!.uid!;
    let e = this.#entries.get(uid);
    if (!e) {
      e = {
        namespace: pod.metadata!.namespace!,
        name: pod.metadata!.name!,
        wanted: undefined,
        sentText: "",
        deleteWhenSent: false,
        running: false,
      };
      this.#entries.set(uid, e);
    }
    return e;
  }

  #pump(uid: string, e: Entry): void {
    if (e.running) return;
    e.running = true;
    void this.#send(uid, e).finally(() => {
      e.running = false;
    });
  }

  async #send(uid: string, e: Entry): Promise<void> {
    let retryMs = FIRST_RETRY_MS;
    while (this.#entries.get(uid) === e && (e.wanted !== undefined || e.deleteWhenSent)) {
      const status = e.wanted;
      e.wanted = undefined;
      try {
        if (status !== undefined) {
          await this.#client.patch(
            Resources.pods,
            e.namespace,
            e.name,
            "strategic",
            { metadata: { uid }, status },
            { subresource: "status" },
          );
          e.sentText = JSON.stringify(status);
          this.counters.sent++;
        } else {
          await this.#client.delete(Resources.pods, e.namespace, e.name, { gracePeriodSeconds: 0, preconditions: { uid } });
          this.counters.deleted++;
          return;
        }
        retryMs = FIRST_RETRY_MS;
      } catch (err) {
        if (isNotFound(err) || (status === undefined && isConflict(err))) return;
        this.counters.failed++;
        this.#log.debug({ pod: `${e.namespace}/${e.name}`, reason: reasonOf(err) }, "a pod's status was not accepted");
        if (isForbidden(err) && status === undefined) return;
        e.wanted ??= status;
        await this.#clock.sleep(retryMs);
        retryMs = Math.min(retryMs * 2, MAX_RETRY_MS);
      }
    }
  }
}
