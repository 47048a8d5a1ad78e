// Brings pod statuses to the API: one patch at a time per pod, the newest status wins, retried with back-off; the last act of a
// finished pod is its deletion with grace 0 (status/status_manager.go).
// Invariants: statuses of one pod reach the API in order; an unchanged status is not sent; a status that only says that a pod is on
// its way waits for the next one, and of those the node sends one at a time.
import type { Pod, PodStatus } from "@podwire/api";
import { type Clock, type Logger, reasonOf, type Timer } from "@podwire/base";
import { type ApiClient, isConflict, isForbidden, isNotFound, Resources } from "@podwire/client";

const FIRST_RETRY_MS = 100;
const MAX_RETRY_MS = 10_000;
const IDLE_LOOK_MS = 20;
/** A pod that is up sooner is never told to be on its way (kubelet's PLEG looks once a second). */
export const ON_THE_WAY_MS = 300;
/** A status that somebody else changed stands this long before it is restored: time for controllers to act on it (syncPeriod). */
export const RESTORE_AFTER_MS = 10_000;

/**
 * The strategic merge patch from one status to the next: what is the same is not said, so that it stays as somebody else may have set it
 * meanwhile; what the next no longer has is removed (CreateTwoWayMergePatch).
 */
export function statusPatch(old: PodStatus | undefined, next: PodStatus): object {
  const before = (old ?? {}) as Record<string, unknown>;
  const out: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(next)) if (key !== "conditions" && !equal(before[key], value)) out[key] = value;
  for (const key of OWN_FIELDS) if (before[key] !== undefined && !(key in next)) out[key] = null;
  if (!next.conditions) return out;
  const conditions = [
    ...next.conditions.flatMap((c) => {
      const was = old?.conditions?.find((o) => o.type === c.type) as Record<string, unknown> | undefined;
      if (equal(was, c)) return [];
      const gone = ["reason", "message"].filter((k) => was?.[k] !== undefined && !(k in c));
      return [gone.length === 0 ? c : { ...c, ...Object.fromEntries(gone.map((k) => [k, null])) }];
    }),
    ...(old?.conditions ?? [])
      .filter((o) => !next.conditions?.some((c) => c.type === o.type))
      .map((o) => ({ $patch: "delete", type: o.type })),
  ];
  if (conditions.length > 0) out["conditions"] = conditions;
  return out;
}

const equal = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);

/** Whether a status says no more than that containers are being made: no container ran, and none waits for a reason of its own. */
export function isOnTheWay(s: PodStatus): boolean {
  return (
    s.phase === "Pending" &&
    !s.reason &&
    [...(s.initContainerStatuses ?? []), ...(s.containerStatuses ?? [])].every(
      (c) =>
        ["ContainerCreating", "PodInitializing"].includes(c.state?.waiting?.reason ?? "") &&
        c.restartCount === 0 &&
        !c.lastState?.terminated,
    )
  );
}

/** Fields that only the kubelet writes and that may go away again. */
const OWN_FIELDS = ["reason", "message", "podIP", "podIPs", "resize"];

/** Whether the phase and the kubelet's conditions are as it wrote them. */
function sameInPart(there: PodStatus, ours: PodStatus): boolean {
  return (
    there.phase === ours.phase &&
    (ours.conditions ?? []).every((c) => there.conditions?.find((o) => o.type === c.type)?.status === c.status)
  );
}

/** Resource versions are numbers that grow (KEP-5504). */
function isNewer(a: string, b: string): boolean {
  return a.length === b.length ? a > b : a.length > b.length;
}

interface Entry {
  namespace: string;
  name: string;
  wanted: PodStatus | undefined;
  /** As the API has it, as far as we know. */
  known: PodStatus | undefined;
  /** The uid in the API that was written to last. */
  apiUid: string;
  /** Of the object that answered the last patch. */
  resourceVersion: string;
  sentText: string;
  /** The status that somebody else wrote over ours, until it is restored or ours again. */
  foreign: PodStatus | undefined;
  restoring: boolean;
  deleteWhenSent: boolean;
  running: boolean;
  /** When a status that only says "on the way" may be sent; undefined when what is wanted goes at once. */
  heldUntilMs: number | undefined;
}

export class StatusManager {
  readonly #client: ApiClient;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #entries = new Map<string, Entry>();
  readonly counters = { sent: 0, failed: 0, unchanged: 0, deleted: 0 };
  /** Pods whose status is held back, the oldest first. */
  readonly #held = new Map<string, Entry>();
  #heldTimer: Timer | undefined;
  readonly #apiUid: (uid: string) => string | undefined;
  /** `apiUid`: a pod's uid in the API; undefined holds its status back until `retry`. */
  constructor(o: { client: ApiClient; clock: Clock; log: Logger; apiUid?: (uid: string) => string | undefined }) {
    this.#apiUid = o.apiUid ?? ((uid) => uid);
    this.#client = o.client;
    this.#clock = o.clock;
    this.#log = o.log;
  }

  /** `before` is the status that the API is known to have, for a pod that is new here. */
  set(pod: Pod, status: PodStatus, before?: PodStatus): void {
    const e = this.#entry(pod, before);
    const text = JSON.stringify(status);
    if (text === e.sentText && e.wanted === undefined) {
      this.counters.unchanged++;
      return;
    }
    e.wanted = status;
    const uid = pod.metadata!.uid!;
    if (!isOnTheWay(status)) return void this.#pump(uid, e);
    e.heldUntilMs ??= this.#clock.nowMs() + ON_THE_WAY_MS;
    this.#held.set(uid, e);
    this.#serveHeld();
  }

  /** Sends the oldest held status when its time has come, and looks at the next when that has arrived. */
  #serveHeld(): void {
    if (this.#heldTimer) return;
    const [first] = this.#held;
    if (!first) return;
    const [uid, e] = first;
    const waitMs = (e.heldUntilMs ?? 0) - this.#clock.nowMs();
    this.#heldTimer = this.#clock.after(
      Math.max(0, waitMs),
      () => {
        const over = () => {
          this.#heldTimer = undefined;
          this.#serveHeld();
        };
        // A final status took its place, or the pod is gone.
        if (this.#held.get(uid) !== e || this.#entries.get(uid) !== e) {
          this.#held.delete(uid);
          return over();
        }
        void this.#pump(uid, e).then(over);
      },
      { unref: true },
    );
  }

  /** The API knows the pod now. */
  retry(uid: string): void {
    const e = this.#entries.get(uid);
    if (!e) return;
    if (e.apiUid !== "" && e.apiUid !== this.#apiUid(uid)) {
      e.wanted ??= e.known;
      e.known = undefined;
    }
    if (e.wanted) void this.#pump(uid, e);
  }

  /** The object as a watch shows it: when somebody else has changed our part of the status, it is sent again after a while. */
  observe(pod: Pod): void {
    const uid = pod.metadata!.uid!;
    const e = this.#entries.get(uid);
    const version = pod.metadata!.resourceVersion ?? "";
    if (!e?.known || e.running || e.resourceVersion === "" || !isNewer(version, e.resourceVersion)) return;
    e.foreign = sameInPart(pod.status ?? {}, e.known) ? undefined : pod.status;
    if (e.foreign === undefined || e.restoring) return;
    e.restoring = true;
    this.#clock.after(RESTORE_AFTER_MS, () => this.#restore(uid, e), { unref: true });
  }

  #restore(uid: string, e: Entry): void {
    e.restoring = false;
    const { foreign } = e;
    e.foreign = undefined;
    if (foreign === undefined || this.#entries.get(uid) !== e) return;
    e.wanted ??= e.known;
    e.known = foreign;
    void this.#pump(uid, e);
  }

  /** Deletes the pod with grace 0 after its last status has arrived. */
  remove(pod: Pod): void {
    const e = this.#entry(pod);
    e.deleteWhenSent = true;
    void this.#pump(pod.metadata!.uid!, e);
  }

  /** Resolves when everything that was asked for has been sent. */
  async idle(): Promise<void> {
    for (const [uid, e] of [...this.#held]) void this.#pump(uid, e);
    while ([...this.#entries.values()].some((e) => e.running)) await this.#clock.sleep(IDLE_LOOK_MS);
  }

  forget(uid: string): void {
    this.#entries.delete(uid);
    this.#held.delete(uid);
  }

  #entry(pod: Pod, known?: PodStatus): Entry {
    const uid = pod.metadata!.uid!;
    let e = this.#entries.get(uid);
    if (!e) {
      e = {
        namespace: pod.metadata!.namespace!,
        name: pod.metadata!.name!,
        wanted: undefined,
        known,
        apiUid: "",
        resourceVersion: "",
        sentText: "",
        foreign: undefined,
        restoring: false,
        deleteWhenSent: false,
        running: false,
        heldUntilMs: undefined,
      };
      this.#entries.set(uid, e);
    }
    return e;
  }

  /** Sends what is wanted now; resolves when nothing more is to be sent at once. */
  async #pump(uid: string, e: Entry): Promise<void> {
    e.heldUntilMs = undefined;
    this.#held.delete(uid);
    if (e.running) return;
    e.running = true;
    await this.#send(uid, e);
  }

  /** `running` ends in the turn of the last look at what is wanted: what is asked for later starts anew. */
  async #send(uid: string, e: Entry): Promise<void> {
    let retryMs = FIRST_RETRY_MS;
    try {
      while (this.#entries.get(uid) === e && ((e.wanted !== undefined && e.heldUntilMs === undefined) || e.deleteWhenSent)) {
        const status = e.wanted;
        const apiUid = this.#apiUid(uid);
        if (apiUid === undefined) return;
        e.wanted = undefined;
        e.apiUid = apiUid;
        try {
          if (status !== undefined) {
            const answer = await this.#client.patch<any>(
              Resources.pods,
              e.namespace,
              e.name,
              "strategic",
              { metadata: { uid: apiUid }, status: statusPatch(e.known, status) },
              { subresource: "status" },
            );
            e.sentText = JSON.stringify(status);
            e.known = status;
            e.foreign = undefined;
            e.resourceVersion = answer?.metadata?.resourceVersion ?? "";
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
    } finally {
      e.running = false;
    }
  }
}
