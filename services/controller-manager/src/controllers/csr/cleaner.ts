// Removes CertificateSigningRequests that nobody waits for any more (certificates/cleaner/cleaner.go): answered or refused an hour ago,
// without an answer for a day, or with a certificate that has expired.
import { X509Certificate } from "node:crypto";
import { isNotFound, type KubeObject, Resources, timeMs } from "@podwire/client";
import type { ControllerContext, RunningController } from "../../context.ts";
import { periodic } from "../../periodic.ts";

const PERIOD_MS = 60 * 60_000;
const ANSWERED_MS = 60 * 60_000;
const PENDING_MS = 24 * 60 * 60_000;

/** True when `csr` may go. */
export function isStale(csr: KubeObject, nowMs: number): boolean {
  const conditions: any[] = csr["status"]?.conditions ?? [];
  const certificate: string | undefined = csr["status"]?.certificate;
  const older = (at: unknown, ms: number): boolean => {
    const from = timeMs(at as string | undefined);
    return from !== undefined && from + ms < nowMs;
  };
  if (certificate && expiresMs(certificate) < nowMs && conditions.some((c) => c.type === "Approved")) return true;
  for (const c of conditions) {
    if (c.type === "Approved" && certificate && older(c.lastUpdateTime, ANSWERED_MS)) return true;
    if ((c.type === "Denied" || c.type === "Failed") && older(c.lastUpdateTime, ANSWERED_MS)) return true;
    if (c.type === "Approved" && !certificate && older(c.lastUpdateTime, ANSWERED_MS)) return true;
  }
  return conditions.length === 0 && older(csr.metadata.creationTimestamp, PENDING_MS);
}

function expiresMs(base64: string): number {
  try {
    return Date.parse(new X509Certificate(Buffer.from(base64, "base64")).validTo);
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}

export function startCsrCleaner(c: ControllerContext): RunningController {
  const requests = c.informers.of(Resources.certificateSigningRequests);
  return periodic(c, "csrcleaner", [requests], PERIOD_MS, async () => {
    for (const csr of requests.lister.list()) {
      if (!isStale(csr, c.clock.nowMs())) continue;
      try {
        await c.client.delete(Resources.certificateSigningRequests, "", csr.metadata.name);
      } catch (e) {
        if (!isNotFound(e)) throw e;
      }
    }
  });
}
