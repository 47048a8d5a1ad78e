// Signs a PKCS#10 request with the cluster's authority (RFC 2986, RFC 5280). The certificate says what the request says, but for its
// usages and validity, which are the CertificateSigningRequest's and the signer's.
import "reflect-metadata";
import { createPrivateKey, webcrypto } from "node:crypto";
import * as x509 from "@peculiar/x509";
import type { Requested } from "./plan.ts";

const SERIAL_BYTES = 16;
const SUBJECT_ALTERNATIVE_NAME = "2.5.29.17";
/** Clocks of clients may be a little behind. */
const BACKDATE_MS = 5 * 60_000;

const EXTENDED: Readonly<Record<string, string>> = {
  "server auth": "1.3.6.1.5.5.7.3.1",
  "client auth": "1.3.6.1.5.5.7.3.2",
  "code signing": "1.3.6.1.5.5.7.3.3",
  "email protection": "1.3.6.1.5.5.7.3.4",
};
const KEY_USAGE: Readonly<Record<string, number>> = {
  "digital signature": x509.KeyUsageFlags.digitalSignature,
  signing: x509.KeyUsageFlags.digitalSignature,
  "content commitment": x509.KeyUsageFlags.nonRepudiation,
  "key encipherment": x509.KeyUsageFlags.keyEncipherment,
  "data encipherment": x509.KeyUsageFlags.dataEncipherment,
  "key agreement": x509.KeyUsageFlags.keyAgreement,
  "cert sign": x509.KeyUsageFlags.keyCertSign,
  "crl sign": x509.KeyUsageFlags.cRLSign,
};

export interface Authority {
  certificate: x509.X509Certificate;
  key: webcrypto.CryptoKey;
  algorithm: { name: string; hash?: string };
}

/** Reads the PEM files of --cluster-signing-cert-file and --cluster-signing-key-file. Throws for what is no key or certificate. */
export async function openAuthority(certPem: string, keyPem: string): Promise<Authority> {
  const key = createPrivateKey(keyPem);
  const pkcs8 = key.export({ format: "der", type: "pkcs8" });
  const ec = key.asymmetricKeyType === "ec";
  const curves: Record<string, string> = { prime256v1: "P-256", secp384r1: "P-384", secp521r1: "P-521" };
  const algorithm = ec
    ? { name: "ECDSA", namedCurve: curves[key.asymmetricKeyDetails?.namedCurve ?? ""] ?? "P-256", hash: "SHA-256" }
    : { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" };
  const imported = await webcrypto.subtle.importKey("pkcs8", new Uint8Array(pkcs8), algorithm, false, ["sign"]);
  return { certificate: new x509.X509Certificate(certPem), key: imported, algorithm };
}

export function parseRequest(base64: string): x509.Pkcs10CertificateRequest {
  return new x509.Pkcs10CertificateRequest(Buffer.from(base64, "base64").toString("utf8"));
}

function alternativeNames(request: x509.Pkcs10CertificateRequest): x509.SubjectAlternativeNameExtension | undefined {
  return (request.getExtension(SUBJECT_ALTERNATIVE_NAME) as x509.SubjectAlternativeNameExtension | null) ?? undefined;
}

/** What a request asks for. */
export function requestedOf(request: x509.Pkcs10CertificateRequest): Requested {
  const names: readonly { type: string; value: string }[] = alternativeNames(request)?.names.items ?? [];
  const of = (type: string) => names.filter((n) => n.type === type).map((n) => n.value);
  return {
    commonName: request.subjectName.getField("CN")[0] ?? "",
    organizations: request.subjectName.getField("O"),
    dnsNames: of("dns"),
    ipAddresses: of("ip"),
    emailAddresses: of("email"),
    uris: of("url"),
  };
}

/** The certificate as PEM. Throws when the request's own signature is wrong. */
export async function sign(
  a: Authority,
  request: x509.Pkcs10CertificateRequest,
  o: { usages: readonly string[]; durationMs: number; nowMs: number },
): Promise<string> {
  if (!(await request.verify(webcrypto as any))) throw new Error("the request is not signed by its own key");
  const flags = o.usages.reduce((n, u) => n | (KEY_USAGE[u] ?? 0), 0);
  const extended = o.usages.flatMap((u) => (EXTENDED[u] ? [EXTENDED[u]] : []));
  const names = alternativeNames(request);
  const extensions: x509.Extension[] = [new x509.BasicConstraintsExtension(false, undefined, true)];
  if (flags !== 0) extensions.push(new x509.KeyUsagesExtension(flags, true));
  if (extended.length > 0) extensions.push(new x509.ExtendedKeyUsageExtension(extended));
  if (names) extensions.push(names);
  const certificate = await x509.X509CertificateGenerator.create(
    {
      serialNumber: Buffer.from(webcrypto.getRandomValues(new Uint8Array(SERIAL_BYTES))).toString("hex"),
      subject: request.subjectName.toString(),
      issuer: a.certificate.subjectName.toString(),
      notBefore: new Date(o.nowMs - BACKDATE_MS),
      notAfter: new Date(Math.min(o.nowMs + o.durationMs, a.certificate.notAfter.getTime())),
      publicKey: request.publicKey,
      signingKey: a.key as any,
      signingAlgorithm: a.algorithm as any,
      extensions,
    },
    webcrypto as any,
  );
  return `${certificate.toString("pem")}\n`;
}
