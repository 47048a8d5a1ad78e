// Leader election on a coordination.k8s.io Lease, as client-go does it. Invariants: a holder acts only while its last renewal
// is younger than renewDeadline, others take over only after they saw the lease unchanged for leaseDuration of their **own**
// clock; so with leaseDuration > renewDeadline two never act at once, whatever the skew of clocks.
import { type Clock, type Logger, type Random, reasonOf } from "@podwire/base";
import type { ApiClient } from "./api-client.ts";
import { isAlreadyExists, isConflict, isNotFound } from "./errors.ts";
import type { KubeObject } from "./object.ts";
import { Resources } from "./resources.ts";
import { microTime } from "./timestamps.ts";

export interface LeaderElectionOptions {
  client: ApiClient;
  clock: Clock;
  random: Random;
  log: Logger;
  namespace: string;
  name: string;
  /** Unique to this process: "host_uuid". */
  identity: string;
  leaseDurationMs?: number;
  renewDeadlineMs?: number;
  retryPeriodMs?: number;
  onStartedLeading(): void;
  /** The lease is lost or was released: stop writing at once. */
  onStoppedLeading(): void;
  onNewLeader?(identity: string): void;
}

export interface LeaderElection {
  readonly isLeader: boolean;
  readonly leader: string;
  /** Stops; a held lease is released so that the next one need not wait. */
  stop(): Promise<void>;
}

export const LEASE_DURATION_MS = 15_000;
export const RENEW_DEADLINE_MS = 10_000;
export const RETRY_PERIOD_MS = 2_000;
const JITTER = 1.2;
/** Between tries that nobody answered, growing up to the retry period. */
const FIRST_RETRY_MS = 50;

/** Takes part until `stop`. The times default to client-go's: 15 s, 10 s, 2 s. */
export function leaderElection(o: LeaderElectionOptions): LeaderElection {
  const leaseDurationMs = o.leaseDurationMs ?? LEASE_DURATION_MS;
  const renewDeadlineMs = o.renewDeadlineMs ?? RENEW_DEADLINE_MS;
  const retryPeriodMs = o.retryPeriodMs ?? RETRY_PERIOD_MS;
  const abort = new AbortController();
  let leading = false;
  let leader = "";
  let observed: { text: string; atMs: number; lease: KubeObject } | undefined;

  const observe = (lease: KubeObject) => {
    const text = JSON.stringify(lease.spec ?? {});
    if (!observed || observed.text !== text) observed = { text, atMs: o.clock.monotonicMs(), lease };
    else observed.lease = lease;
    const holder = lease.spec?.holderIdentity ?? "";
    if (holder !== leader) {
      leader = holder;
      if (holder !== "") o.onNewLeader?.(holder);
    }
  };

  function record(old: Record<string, any> | undefined): Record<string, unknown> {
    const now = microTime(o.clock.nowMs());
    const mine = old?.["holderIdentity"] === o.identity;
    return {
      holderIdentity: o.identity,
      leaseDurationSeconds: Math.round(leaseDurationMs / 1000),
      acquireTime: mine ? old["acquireTime"] : now,
      renewTime: now,
      leaseTransitions: (old?.["leaseTransitions"] ?? 0) + (old && !mine ? 1 : 0),
    };
  }

  /** The last try failed, but not because somebody else holds the lease. */
  let unanswered = false;

  /** One try to acquire or renew. */
  async function tryHold(): Promise<boolean> {
    unanswered = false;
    try {
      let lease: KubeObject;
      if (leading && observed) lease = observed.lease;
      else {
        try {
          lease = await o.client.get(Resources.leases, o.namespace, o.name);
        } catch (e) {
          if (!isNotFound(e)) throw e;
          const created = await o.client.create(Resources.leases, {
            metadata: { namespace: o.namespace, name: o.name },
            spec: record(undefined),
          });
          observe(created);
          return true;
        }
        observe(lease);
        const holder = lease.spec?.holderIdentity ?? "";
        const heldFor = (lease.spec?.leaseDurationSeconds ?? 0) * 1000;
        if (holder !== "" && holder !== o.identity && (observed?.atMs ?? 0) + heldFor > o.clock.monotonicMs()) return false;
      }
      observe(await o.client.update(Resources.leases, { ...lease, spec: { ...lease.spec, ...record(lease.spec) } }));
      return true;
    } catch (e) {
      o.log.debug({ lease: o.name, reason: reasonOf(e) }, "could not hold the lease");
      unanswered = !isConflict(e) && !isAlreadyExists(e);
      if (leading) {
        // Perhaps somebody else wrote it: look before the next try.
        try {
          observe(await o.client.get(Resources.leases, o.namespace, o.name));
        } catch {
          // The next try says why.
        }
        if (leader !== "" && leader !== o.identity) return false;
      }
      return false;
    }
  }

  async function run(): Promise<void> {
    let quickMs = FIRST_RETRY_MS;
    while (!abort.signal.aborted) {
      if (await tryHold()) break;
      // A cluster that is starting has no API yet; a whole retry period would be most of its start.
      const waitMs = unanswered ? Math.min(quickMs, retryPeriodMs) : retryPeriodMs;
      quickMs = unanswered ? quickMs * 1.5 : FIRST_RETRY_MS;
      await o.clock.sleep(waitMs * (1 + o.random.float() * JITTER), abort.signal);
    }
    if (abort.signal.aborted) return;
    leading = true;
    o.log.info({ lease: o.name, identity: o.identity }, "became leader");
    o.onStartedLeading();
    let renewedMs = o.clock.monotonicMs();
    while (!abort.signal.aborted) {
      await o.clock.sleep(retryPeriodMs, abort.signal);
      const deadline = o.clock
        .sleep(Math.max(0, renewedMs + renewDeadlineMs - o.clock.monotonicMs()), abort.signal)
        .then(() => "late" as const);
      deadline.catch(() => {});
      const startedMs = o.clock.monotonicMs();
      const result = await Promise.race([tryHold(), deadline]);
      if (result === true) renewedMs = startedMs;
      else if (result === "late" || (leader !== "" && leader !== o.identity) || o.clock.monotonicMs() - renewedMs >= renewDeadlineMs) break;
    }
  }

  const running = run()
    .catch((e) => {
      if (!abort.signal.aborted) o.log.error({ reason: reasonOf(e) }, "leader election failed");
    })
    .finally(() => {
      if (!leading) return;
      leading = false;
      o.onStoppedLeading();
    });

  return {
    get isLeader() {
      return leading;
    },
    get leader() {
      return leader;
    },
    async stop() {
      const held = leading;
      abort.abort();
      await running;
      if (!held || !observed || leader !== o.identity) return;
      try {
        const now = microTime(o.clock.nowMs());
        await o.client.update(Resources.leases, {
          ...observed.lease,
          spec: {
            holderIdentity: "",
            leaseDurationSeconds: 1,
            acquireTime: now,
            renewTime: now,
            leaseTransitions: observed.lease.spec?.leaseTransitions ?? 0,
          },
        });
      } catch (e) {
        o.log.debug({ lease: o.name, reason: reasonOf(e) }, "could not release the lease; it expires by itself");
      }
    },
  };
}
