// CertificateApproval, CertificateSigning and CertificateSubjectRestriction (plugin/pkg/admission/certificates): who may approve or sign
// for a signer, and no client certificate for system:masters.
import { may } from "../authorization/may.ts";
import type { Api } from "../call.ts";
import type { AdmissionPlugin, Attributes } from "./chain.ts";
import { forbiddenBy } from "./forbidden.ts";

const RESOURCE = "certificatesigningrequests.certificates.k8s.io";

export function certificateAdmission(api: Api, subjectOf: (request: string) => string[]): AdmissionPlugin {
  return {
    name: "CertificateApproval",
    operations: ["CREATE", "UPDATE"],
    validate(a) {
      if (a.info.groupResource !== RESOURCE || !a.object) return;
      if (a.operation === "CREATE") {
        const spec = a.object["spec"] ?? {};
        if (spec.signerName === "kubernetes.io/kube-apiserver-client" && subjectOf(spec.request ?? "").includes("system:masters")) {
          throw forbiddenBy(a, `use of kubernetes.io/kube-apiserver-client signer with system:masters group is not allowed`);
        }
        return;
      }
      const signer = a.oldObject?.["spec"]?.signerName ?? "";
      if (a.subresource === "approval" && !maySign(api, a, "approve", signer))
        throw forbiddenBy(a, `user not permitted to approve requests with signerName ${JSON.stringify(signer)}`);
      const before = a.oldObject?.["status"] ?? {};
      const now = a.object["status"] ?? {};
      const signs = before.certificate !== now.certificate || JSON.stringify(before.conditions) !== JSON.stringify(now.conditions);
      if (a.subresource === "status" && signs && !maySign(api, a, "sign", signer))
        throw forbiddenBy(a, `user not permitted to sign requests with signerName ${JSON.stringify(signer)}`);
    },
  };
}

function maySign(api: Api, a: Attributes, verb: string, signer: string): boolean {
  const signers = { verb, group: "certificates.k8s.io", resource: "signers", namespace: "" };
  return [signer, `${signer.split("/")[0]}/*`].some((name) => may(api, a, { ...signers, name }));
}
