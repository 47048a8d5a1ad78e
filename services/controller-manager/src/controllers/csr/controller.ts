// The shell of the built-in certificate signers: signs what is approved, marks what can never be signed.
import { reasonOf } from "@podwire/base";
import { type KubeObject, Resources, runController, time } from "@podwire/client";
import type { ControllerContext, RunningController } from "../../context.ts";
import { awaitsSignature, refusal } from "./plan.ts";
import { type Authority, openAuthority, parseRequest, requestedOf, sign } from "./signer.ts";

export function startCsrSigning(c: ControllerContext): RunningController {
  const requests = c.informers.of(Resources.certificateSigningRequests);
  let authority: Promise<Authority> | undefined;
  const controller = runController({ name: "csrsigning", clock: c.clock, log: c.log, informers: [requests], reconcile });
  const own = (o: KubeObject) => {
    if (awaitsSignature(o)) controller.queue.add(o.metadata.name);
  };
  requests.handle({ onAdd: own, onUpdate: own });

  async function reconcile(name: string) {
    const csr = requests.lister.get("", name);
    if (!csr || !awaitsSignature(csr)) return undefined;
    let request: ReturnType<typeof parseRequest>;
    try {
      request = parseRequest(csr["spec"].request);
    } catch (e) {
      await fail(csr, `unable to parse csr: ${reasonOf(e)}`);
      return undefined;
    }
    const why = refusal(csr, requestedOf(request));
    if (why !== undefined) {
      // The legacy signer says nothing about what it does not sign.
      if (csr["spec"].signerName !== "kubernetes.io/legacy-unknown") await fail(csr, why);
      return undefined;
    }
    if (c.settings.signingCert === "" || c.settings.signingKey === "") return undefined;
    authority ??= openAuthority(c.settings.signingCert, c.settings.signingKey);
    const seconds = csr["spec"].expirationSeconds;
    const durationMs = Math.min(c.settings.clusterSigningDurationMs, seconds ? Math.max(600, seconds) * 1000 : Number.POSITIVE_INFINITY);
    const pem = await sign(await authority, request, { usages: csr["spec"].usages ?? [], durationMs, nowMs: c.clock.nowMs() });
    await c.client.updateStatus(Resources.certificateSigningRequests, {
      ...csr,
      status: { ...csr["status"], certificate: Buffer.from(pem).toString("base64") },
    });
    return undefined;
  }

  async function fail(csr: KubeObject, message: string): Promise<void> {
    const now = time(c.clock.nowMs());
    const condition = {
      type: "Failed",
      status: "True",
      reason: "SignerValidationFailure",
      message,
      lastUpdateTime: now,
      lastTransitionTime: now,
    };
    await c.client.updateStatus(Resources.certificateSigningRequests, {
      ...csr,
      status: { ...csr["status"], conditions: [...(csr["status"]?.conditions ?? []), condition] },
    });
  }

  return controller;
}
