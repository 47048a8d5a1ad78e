// The legacy token cleaner (KEP-2799): tokens that were made by themselves for an account (before 1.24: those that the account lists), that
// no pod uses and nobody has used for --legacy-service-account-token-clean-up-period are marked invalid, and after as long again removed.
// The choice is pure. Invariant: nothing is touched before use has been tracked for a whole period.
import { isConflict, isNotFound, type KubeObject, Resources, timeMs } from "@podwire/client";
import type { ControllerContext, RunningController } from "../../context.ts";
import { periodic } from "../../periodic.ts";
import { NAME_ANNOTATION, TOKEN_TYPE, UID_ANNOTATION } from "./legacy-token.ts";

export const LAST_USED = "kubernetes.io/legacy-token-last-used";
export const INVALID_SINCE = "kubernetes.io/legacy-token-invalid-since";
const TRACKING = { namespace: "kube-system", name: "kube-apiserver-legacy-service-account-token-tracking" };
const SYNC_MS = 86_400_000;
const DAY_MS = 86_400_000;

const date = (ms: number): string => new Date(ms).toISOString().slice(0, 10);
const isDate = (s: string | undefined): s is string => s !== undefined && /^\d{4}-\d\d-\d\d$/.test(s) && !Number.isNaN(Date.parse(s));

export interface CleaningState {
  secrets: readonly KubeObject[];
  account(namespace: string, name: string): KubeObject | undefined;
  pods(namespace: string): readonly KubeObject[];
  /** The day since which use is tracked. */
  since: string;
  periodMs: number;
  nowMs: number;
}

export function planCleaning(s: CleaningState): { invalidate: KubeObject[]; remove: KubeObject[] } {
  const plan = { invalidate: [] as KubeObject[], remove: [] as KubeObject[] };
  // Tracking counts from the day after it began.
  if (!isDate(s.since) || s.nowMs < Date.parse(s.since) + DAY_MS + s.periodMs) return plan;
  const before = s.nowMs - s.periodMs;
  for (const secret of s.secrets) {
    if (secret["type"] !== TOKEN_TYPE || secret.metadata.deletionTimestamp) continue;
    if ((timeMs(secret.metadata.creationTimestamp) ?? s.nowMs) >= before) continue;
    const used = secret.metadata.labels?.[LAST_USED];
    if (used !== undefined && (!isDate(used) || used >= date(before))) continue;
    const namespace = secret.metadata.namespace ?? "";
    const account = s.account(namespace, secret.metadata.annotations?.[NAME_ANNOTATION] ?? "");
    const uid = secret.metadata.annotations?.[UID_ANNOTATION];
    if (!account || (uid && uid !== account.metadata.uid)) continue;
    if (!(account["secrets"] ?? []).some((r: any) => r.name === secret.metadata.name)) continue;
    if (s.pods(namespace).some((p) => secretNames(p["spec"]).has(secret.metadata.name))) continue;
    const invalid = secret.metadata.labels?.[INVALID_SINCE];
    if (!isDate(invalid)) plan.invalidate.push(secret);
    else if (invalid < date(before)) plan.remove.push(secret);
  }
  return plan;
}

/** The Secrets that a pod names. */
export function secretNames(spec: any): Set<string> {
  const out = new Set<string>();
  const add = (name: string | undefined) => {
    if (name) out.add(name);
  };
  for (const p of spec?.imagePullSecrets ?? []) add(p.name);
  for (const c of [...(spec?.initContainers ?? []), ...(spec?.containers ?? []), ...(spec?.ephemeralContainers ?? [])]) {
    for (const e of c.envFrom ?? []) add(e.secretRef?.name);
    for (const e of c.env ?? []) add(e.valueFrom?.secretKeyRef?.name);
  }
  for (const v of spec?.volumes ?? []) {
    add(v.secret?.secretName);
    add(v.azureFile?.secretName);
    for (const s of v.projected?.sources ?? []) add(s.secret?.name);
    for (const plugin of ["cephfs", "cinder", "flexVolume", "rbd", "scaleIO", "iscsi", "storageos"]) add(v[plugin]?.secretRef?.name);
    add(v.csi?.nodePublishSecretRef?.name);
  }
  return out;
}

export function startLegacyTokenCleaner(c: ControllerContext): RunningController {
  const accounts = c.informers.of(Resources.serviceAccounts);
  const secrets = c.informers.of(Resources.secrets);
  const pods = c.informers.of(Resources.pods);
  return periodic(c, "legacy-token-cleaner", [accounts, secrets, pods], SYNC_MS, async () => {
    const tracking = await c.client.get(Resources.configMaps, TRACKING.namespace, TRACKING.name).catch((e) => {
      if (isNotFound(e)) return undefined;
      throw e;
    });
    const { invalidate, remove } = planCleaning({
      secrets: secrets.lister.list(),
      account: (namespace, name) => accounts.lister.get(namespace, name),
      pods: (namespace) => pods.lister.list(namespace),
      since: tracking?.["data"]?.since ?? "",
      periodMs: c.settings.legacyTokenCleanUpPeriodMs,
      nowMs: c.clock.nowMs(),
    });
    const labels = { [INVALID_SINCE]: date(c.clock.nowMs()) };
    for (const { metadata } of invalidate) {
      const patch = { metadata: { uid: metadata.uid, labels } };
      await tolerant(c.client.patch(Resources.secrets, metadata.namespace ?? "", metadata.name, "merge", patch));
    }
    for (const { metadata } of remove) {
      const preconditions = { resourceVersion: metadata.resourceVersion ?? "" };
      await tolerant(c.client.delete(Resources.secrets, metadata.namespace ?? "", metadata.name, { preconditions }));
    }
  });
}

/** What somebody else changed or removed meanwhile is looked at again a day later. */
async function tolerant(write: Promise<unknown>): Promise<void> {
  await write.catch((e) => {
    if (!isNotFound(e) && !isConflict(e)) throw e;
  });
}
