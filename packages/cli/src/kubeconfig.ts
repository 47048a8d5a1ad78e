// The kubeconfig of a cluster, from the certificates that its API server wrote into the pki folder: CA, and a client certificate
// of the group system:masters. Certificates are inside the file, so that it can be copied anywhere.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { stringify } from "yaml";

export const PKI_FILES = ["ca.crt", "admin.crt", "admin.key"] as const;

export function hasCertificates(pki: string): boolean {
  return PKI_FILES.every((f) => existsSync(join(pki, f)));
}

export function kubeconfig(cluster: string, server: string, pki: string): string {
  const [ca, cert, key] = PKI_FILES.map((f) => readFileSync(join(pki, f)).toString("base64"));
  const name = cluster === "podwire" ? "podwire" : `podwire-${cluster}`;
  return stringify({
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name, cluster: { server, "certificate-authority-data": ca } }],
    users: [{ name: `${name}-admin`, user: { "client-certificate-data": cert, "client-key-data": key } }],
    contexts: [{ name, context: { cluster: name, user: `${name}-admin` } }],
    "current-context": name,
    preferences: {},
  });
}
