// The kubeconfigs of a cluster, from the certificates that its API server wrote into the pki folder: the administrator's (a client
// certificate of the group system:masters), and those of a controller-manager and a scheduler that somebody else runs.
// Certificates are inside the file, so that it can be copied anywhere.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { stringify } from "yaml";

export const PKI_FILES = ["ca.crt", "admin.crt", "admin.key"] as const;

export function hasCertificates(pki: string): boolean {
  return PKI_FILES.every((f) => existsSync(join(pki, f)));
}

/** `user`: whose certificate, by the name of its files. */
export function kubeconfig(cluster: string, server: string, pki: string, user = "admin"): string {
  const [ca, cert, key] = ["ca.crt", `${user}.crt`, `${user}.key`].map((f) => readFileSync(join(pki, f)).toString("base64"));
  const name = cluster === "podwire" ? "podwire" : `podwire-${cluster}`;
  return stringify({
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name, cluster: { server, "certificate-authority-data": ca } }],
    users: [{ name: `${name}-${user}`, user: { "client-certificate-data": cert, "client-key-data": key } }],
    contexts: [{ name, context: { cluster: name, user: `${name}-${user}` } }],
    "current-context": name,
    preferences: {},
  });
}
