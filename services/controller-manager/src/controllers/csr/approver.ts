// Approves the client certificates that kubelets ask for, when the one who asks may (certificates/approver/sarapprove.go): for itself
// (certificatesigningrequests/selfnodeclient) or for any node (.../nodeclient). Everything else waits for a person.
import { type KubeObject, Resources, runController, time } from "@podwire/client";
import type { ControllerContext, RunningController } from "../../context.ts";
import { refusal } from "./plan.ts";
import { parseRequest, requestedOf } from "./signer.ts";

const SIGNER = "kubernetes.io/kube-apiserver-client-kubelet";

const isOpen = (csr: KubeObject): boolean =>
  !csr["status"]?.certificate && !(csr["status"]?.conditions ?? []).some((c: any) => c.type === "Approved" || c.type === "Denied");

export function startCsrApproving(c: ControllerContext): RunningController {
  const requests = c.informers.of(Resources.certificateSigningRequests);
  const controller = runController({ name: "csrapproving", clock: c.clock, log: c.log, informers: [requests], reconcile });
  const own = (o: KubeObject) => {
    if (o["spec"].signerName === SIGNER && isOpen(o)) controller.queue.add(o.metadata.name);
  };
  requests.handle({ onAdd: own, onUpdate: own });

  async function reconcile(name: string) {
    const csr = requests.lister.get("", name);
    if (!csr || csr["spec"].signerName !== SIGNER || !isOpen(csr)) return undefined;
    let commonName: string;
    try {
      const requested = requestedOf(parseRequest(csr["spec"].request));
      if (refusal(csr, requested) !== undefined) return undefined;
      commonName = requested.commonName;
    } catch {
      return undefined; // The signer says what is wrong with it, once somebody approves it.
    }
    const own = csr["spec"].username === commonName;
    for (const subresource of own ? ["selfnodeclient", "nodeclient"] : ["nodeclient"]) {
      if (!(await may(csr, subresource))) continue;
      const kind = subresource === "selfnodeclient" ? "self kubelet" : "kubelet";
      await approve(csr, `Auto approving ${kind} client certificate after SubjectAccessReview.`);
      return undefined;
    }
    return undefined;
  }

  async function may(csr: KubeObject, subresource: string): Promise<boolean> {
    const { username, uid, groups, extra } = csr["spec"];
    const resourceAttributes = { group: "certificates.k8s.io", resource: "certificatesigningrequests", verb: "create", subresource };
    const spec = { user: username, uid, groups, extra, resourceAttributes };
    const answer = await c.client.create(Resources.subjectAccessReviews, { metadata: {}, spec } as unknown as KubeObject);
    return answer["status"]?.allowed === true;
  }

  async function approve(csr: KubeObject, message: string): Promise<void> {
    const now = time(c.clock.nowMs());
    const condition = { type: "Approved", status: "True", reason: "AutoApproved", message, lastUpdateTime: now, lastTransitionTime: now };
    const conditions = [...(csr["status"]?.conditions ?? []), condition];
    const object = { ...csr, status: { ...csr["status"], conditions } };
    await c.client.update(Resources.certificateSigningRequests, object, { subresource: "approval" });
  }

  return controller;
}
