// Which CertificateSigningRequests are to be signed, and which can never be (certificates.k8s.io/v1, the built-in signers). Pure.
import type { KubeObject } from "@podwire/client";

export const SIGNERS = [
  "kubernetes.io/kube-apiserver-client",
  "kubernetes.io/kube-apiserver-client-kubelet",
  "kubernetes.io/kubelet-serving",
  "kubernetes.io/legacy-unknown",
] as const;

const CLIENT = ["key encipherment", "digital signature", "client auth"];
const SERVING = ["key encipherment", "digital signature", "server auth"];

const conditionTrue = (csr: KubeObject, type: string): boolean =>
  (csr["status"]?.conditions ?? []).some((c: any) => c.type === type && c.status !== "False");

/** Approved, by a signer of ours, and neither answered nor refused yet. */
export function awaitsSignature(csr: KubeObject): boolean {
  return (
    (SIGNERS as readonly string[]).includes(csr["spec"].signerName) &&
    conditionTrue(csr, "Approved") &&
    !conditionTrue(csr, "Denied") &&
    !conditionTrue(csr, "Failed") &&
    !csr["status"]?.certificate
  );
}

export interface Requested {
  commonName: string;
  organizations: readonly string[];
  dnsNames: readonly string[];
  ipAddresses: readonly string[];
  emailAddresses: readonly string[];
  uris: readonly string[];
}

/** Why a signer refuses what is asked for; undefined when it signs. */
export function refusal(csr: KubeObject, r: Requested): string | undefined {
  const usages: string[] = csr["spec"].usages ?? [];
  switch (csr["spec"].signerName) {
    case "kubernetes.io/kube-apiserver-client":
      return badUsage(usages, CLIENT, "client") ?? missingUsage(usages, "client auth");
    case "kubernetes.io/kube-apiserver-client-kubelet": {
      if (!r.commonName.startsWith("system:node:")) return "subject common name does not begin with system:node:";
      if (r.organizations.length !== 1 || r.organizations[0] !== "system:nodes") return "subject organization is not system:nodes";
      if (r.dnsNames.length > 0) return "DNS subjectAltNames are not allowed";
      if (r.ipAddresses.length > 0) return "IP subjectAltNames are not allowed";
      if (r.emailAddresses.length > 0) return "Email subjectAltNames are not allowed";
      if (r.uris.length > 0) return "URI subjectAltNames are not allowed";
      return badUsage(usages, CLIENT, "client") ?? missingUsage(usages, "client auth");
    }
    case "kubernetes.io/kubelet-serving": {
      if (!r.commonName.startsWith("system:node:")) return "subject common name does not begin with system:node:";
      if (r.organizations.length !== 1 || r.organizations[0] !== "system:nodes") return "subject organization is not system:nodes";
      if (r.dnsNames.length === 0 && r.ipAddresses.length === 0) return "DNS or IP subjectAltName is required";
      if (r.emailAddresses.length > 0) return "Email subjectAltNames are not allowed";
      if (r.uris.length > 0) return "URI subjectAltNames are not allowed";
      return badUsage(usages, SERVING, "server") ?? missingUsage(usages, "server auth");
    }
    default:
      return undefined;
  }
}

function badUsage(usages: readonly string[], allowed: readonly string[], kind: string): string | undefined {
  const bad = usages.find((u) => !allowed.includes(u));
  return bad === undefined ? undefined : `invalid usage for ${kind} certificate: ${bad}`;
}

function missingUsage(usages: readonly string[], needed: string): string | undefined {
  return usages.includes(needed) ? undefined : `usages did not include ${JSON.stringify(needed)}`;
}
