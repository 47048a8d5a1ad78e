// The cluster's certificates, made on first start into --cert-dir: CA, serving certificate, admin client, and keys for service accounts.
// Invariant: what lies there is used as it is; files are written whole (temporary name, then rename) and keys are readable by the owner only.
import "reflect-metadata";
import { webcrypto } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as x509 from "@peculiar/x509";
import type { Clock } from "@podwire/base";

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;
const CA_YEARS = 10;
const LEAF_YEARS = 2;
/** Certificates are valid from a little before now, for clocks that differ. */
const BACKDATE_MS = 5 * 60_000;
const YEAR_MS = 365 * 86_400_000;
const CLIENT_AUTH = "1.3.6.1.5.5.7.3.2";
const SERVER_AUTH = "1.3.6.1.5.5.7.3.1";

/** Common name of the certificate that X-Remote-* headers are believed from. */
export const FRONT_PROXY_NAME = "front-proxy-client";

type Key = webcrypto.CryptoKey;
type KeyPair = webcrypto.CryptoKeyPair;

export interface Pki {
  caPem: string;
  caKeyPem: string;
  servingCertPem: string;
  servingKeyPem: string;
  /** PEM of the key that signs service account tokens. */
  serviceAccountKeyPem: string;
  adminCertPem: string;
  adminKeyPem: string;
  /** Client certificate for kubelets' HTTPS ports. */
  kubeletClientCertPem: string;
  kubeletClientKeyPem: string;
  /** Authority and certificate by which extension API servers know this server as the one in front of them. */
  frontProxyCaPem: string;
  frontProxyCertPem: string;
  frontProxyKeyPem: string;
}

/** Loads or makes everything. */
export async function openPki(dir: string, clock: Clock, sans: readonly string[]): Promise<Pki> {
  x509.cryptoProvider.set(webcrypto as never);
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const file = (name: string) => join(dir, name);
  const authority = async (name: string, commonName: string) => {
    if (!existsSync(file(`${name}.crt`)) || !existsSync(file(`${name}.key`))) {
      const made = await makeCa(clock, commonName);
      write(file(`${name}.key`), made.key, 0o600);
      write(file(`${name}.crt`), made.cert, 0o644);
    }
    return { cert: readFileSync(file(`${name}.crt`), "utf8"), key: readFileSync(file(`${name}.key`), "utf8") };
  };
  const hadFrontProxyCa = existsSync(file("front-proxy-ca.crt"));
  const ca = await authority("ca", "kubernetes");
  const frontProxyCa = await authority("front-proxy-ca", "front-proxy-ca");
  const leaf = async (name: string, subject: x509.JsonName, usage: string, names: readonly string[] = [], by = ca) => {
    if (!existsSync(file(`${name}.crt`)) || !existsSync(file(`${name}.key`))) {
      const made = await issue(by, clock, { subject, usage, names });
      write(file(`${name}.key`), made.key, 0o600);
      write(file(`${name}.crt`), made.cert, 0o644);
    }
    return { cert: readFileSync(file(`${name}.crt`), "utf8"), key: readFileSync(file(`${name}.key`), "utf8") };
  };
  const serving = await leaf("apiserver", [{ CN: ["kube-apiserver"] }], SERVER_AUTH, sans);
  // For a controller-manager and a scheduler that come over HTTPS (`podwire up --without`); the names are kubeadm's.
  await leaf("controller-manager", [{ CN: ["system:kube-controller-manager"] }], CLIENT_AUTH);
  await leaf("scheduler", [{ CN: ["system:kube-scheduler"] }], CLIENT_AUTH);
  // kubeadm's name for how the apiserver shows itself to kubelets.
  const kubeletClient = await leaf(
    "apiserver-kubelet-client",
    [{ O: ["system:masters"] }, { CN: ["kube-apiserver-kubelet-client"] }],
    CLIENT_AUTH,
  );
  const admin = await leaf("admin", [{ O: ["system:masters"] }, { CN: ["kubernetes-admin"] }], CLIENT_AUTH);
  // A folder from before there was an authority for it has a client certificate of another.
  if (!hadFrontProxyCa) rmSync(file("front-proxy-client.crt"), { force: true });
  const frontProxy = await leaf("front-proxy-client", [{ CN: [FRONT_PROXY_NAME] }], CLIENT_AUTH, [], frontProxyCa);
  if (!existsSync(file("sa.key"))) write(file("sa.key"), (await newKey()).pem, 0o600);
  return {
    caPem: ca.cert,
    caKeyPem: ca.key,
    servingCertPem: serving.cert,
    servingKeyPem: serving.key,
    serviceAccountKeyPem: readFileSync(file("sa.key"), "utf8"),
    adminCertPem: admin.cert,
    adminKeyPem: admin.key,
    kubeletClientCertPem: kubeletClient.cert,
    kubeletClientKeyPem: kubeletClient.key,
    frontProxyCaPem: frontProxyCa.cert,
    frontProxyCertPem: frontProxy.cert,
    frontProxyKeyPem: frontProxy.key,
  };
}

async function makeCa(clock: Clock, commonName: string): Promise<{ cert: string; key: string }> {
  const { pair, pem } = await newKey();
  const cert = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serial(),
    name: `CN=${commonName}`,
    notBefore: new Date(clock.nowMs() - BACKDATE_MS),
    notAfter: new Date(clock.nowMs() + CA_YEARS * YEAR_MS),
    signingAlgorithm: ALGORITHM,
    keys: pair,
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(
        x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.digitalSignature | x509.KeyUsageFlags.keyEncipherment,
        true,
      ),
      await x509.SubjectKeyIdentifierExtension.create(pair.publicKey),
      new x509.SubjectAlternativeNameExtension([{ type: "dns", value: commonName }]),
    ],
  });
  return { cert: `${cert.toString("pem")}\n`, key: pem };
}

export interface LeafRequest {
  subject: x509.JsonName;
  /** Extended key usage OID. */
  usage: string;
  /** DNS names and IP addresses. */
  names: readonly string[];
}

async function issue(ca: { cert: string; key: string }, clock: Clock, r: LeafRequest): Promise<{ cert: string; key: string }> {
  const { pair, pem } = await newKey();
  const caCert = new x509.X509Certificate(ca.cert);
  const cert = await x509.X509CertificateGenerator.create({
    serialNumber: serial(),
    subject: new x509.Name(r.subject).toString(),
    issuer: caCert.subject,
    notBefore: new Date(clock.nowMs() - BACKDATE_MS),
    notAfter: new Date(clock.nowMs() + LEAF_YEARS * YEAR_MS),
    signingAlgorithm: ALGORITHM,
    publicKey: pair.publicKey,
    signingKey: await importKey(ca.key),
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature | x509.KeyUsageFlags.keyEncipherment, true),
      new x509.ExtendedKeyUsageExtension([r.usage]),
      await x509.AuthorityKeyIdentifierExtension.create(caCert),
      ...(r.names.length > 0
        ? [new x509.SubjectAlternativeNameExtension(r.names.map((n) => ({ type: isIp(n) ? "ip" : "dns", value: n }) as const))]
        : []),
    ],
  });
  return { cert: `${cert.toString("pem")}\n`, key: pem };
}

async function newKey(): Promise<{ pair: KeyPair; pem: string }> {
  const pair = (await webcrypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"])) as unknown as KeyPair;
  const der = await webcrypto.subtle.exportKey("pkcs8", pair.privateKey as never);
  return { pair, pem: `${x509.PemConverter.encode(der, "PRIVATE KEY")}\n` };
}

async function importKey(pem: string): Promise<Key> {
  const der = x509.PemConverter.decodeFirst(pem);
  return (await webcrypto.subtle.importKey("pkcs8", der, ALGORITHM, true, ["sign"])) as unknown as Key;
}

function serial(): string {
  const bytes = webcrypto.getRandomValues(new Uint8Array(16));
  bytes[0] = ((bytes[0] as number) & 0x7f) | 0x01;
  return Buffer.from(bytes).toString("hex");
}

/** The organizations in a certificate request (base64 of PEM); none when it cannot be read. */
export function subjectOrganizations(request: string): string[] {
  try {
    const csr = new x509.Pkcs10CertificateRequest(Buffer.from(request, "base64").toString("utf8"));
    return csr.subjectName.toJSON().flatMap((n) => n["O"] ?? []);
  } catch {
    return [];
  }
}

/** The common name of a base64 PEM certificate request. Throws when it is none. */
export function subjectCommonName(request: string): string | undefined {
  const csr = new x509.Pkcs10CertificateRequest(Buffer.from(request, "base64").toString("utf8"));
  return csr.subjectName.toJSON().flatMap((n) => n["CN"] ?? [])[0];
}

function isIp(n: string): boolean {
  return /^[\d.]+$/.test(n) || n.includes(":");
}

function write(path: string, text: string, mode: number): void {
  writeFileSync(`${path}.new`, text, { mode });
  renameSync(`${path}.new`, path);
}
