import "reflect-metadata";
import { webcrypto } from "node:crypto";
import * as x509 from "@peculiar/x509";
import { expect, test } from "vitest";
import { awaitsSignature, refusal } from "./plan.ts";
import { openAuthority, parseRequest, requestedOf, sign } from "./signer.ts";

const EC = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
const provider = webcrypto as any;

async function authorityPem(): Promise<{ cert: string; key: string }> {
  const keys = await provider.subtle.generateKey(EC, true, ["sign", "verify"]);
  const cert = await x509.X509CertificateGenerator.createSelfSigned(
    {
      name: "CN=kubernetes",
      notBefore: new Date(0),
      notAfter: new Date(4e12),
      keys,
      signingAlgorithm: EC,
      extensions: [new x509.BasicConstraintsExtension(true)],
    },
    provider,
  );
  const der = Buffer.from(await provider.subtle.exportKey("pkcs8", keys.privateKey)).toString("base64");
  return { cert: cert.toString("pem"), key: `-----BEGIN PRIVATE KEY-----\n${der}\n-----END PRIVATE KEY-----\n` };
}

async function request(name: string): Promise<string> {
  const keys = await provider.subtle.generateKey(EC, true, ["sign", "verify"]);
  const csr = await x509.Pkcs10CertificateRequestGenerator.create({ name, keys, signingAlgorithm: EC }, provider);
  return Buffer.from(csr.toString("pem")).toString("base64");
}

const csr = (signerName: string, usages: string[], conditions: object[] = []) => ({
  metadata: { name: "c" },
  spec: { signerName, usages },
  status: { conditions },
});

test("an approved client certificate is issued by the authority with the usages that were asked for", async () => {
  const { cert, key } = await authorityPem();
  const parsed = parseRequest(await request("CN=alice, O=team"));
  expect(requestedOf(parsed)).toMatchObject({ commonName: "alice", organizations: ["team"] });
  const nowMs = Date.UTC(2026, 0, 1);
  const pem = await sign(await openAuthority(cert, key), parsed, {
    usages: ["client auth", "digital signature"],
    durationMs: 3_600_000,
    nowMs,
  });
  const issued = new x509.X509Certificate(pem);
  expect(issued.issuer).toBe("CN=kubernetes");
  expect(issued.subjectName.getField("CN")).toEqual(["alice"]);
  expect(issued.notAfter.getTime()).toBe(nowMs + 3_600_000);
  expect(issued.getExtension(x509.ExtendedKeyUsageExtension)?.usages).toEqual(["1.3.6.1.5.5.7.3.2"]);
  expect(await issued.verify({ publicKey: new x509.X509Certificate(cert).publicKey, signatureOnly: true }, provider)).toBe(true);
});

test("signers refuse what they do not sign, and wait for approval", () => {
  const nobody = { commonName: "alice", organizations: [], dnsNames: [], ipAddresses: [], emailAddresses: [], uris: [] };
  const client = "kubernetes.io/kube-apiserver-client";
  expect(refusal(csr(client, ["client auth", "server auth"]), nobody)).toBe("invalid usage for client certificate: server auth");
  expect(refusal(csr(client, ["client auth"]), nobody)).toBeUndefined();
  expect(refusal(csr("kubernetes.io/kubelet-serving", ["server auth"]), nobody)).toBe(
    "subject common name does not begin with system:node:",
  );
  expect(awaitsSignature(csr(client, []))).toBe(false);
  expect(awaitsSignature(csr(client, [], [{ type: "Approved", status: "True" }]))).toBe(true);
  expect(
    awaitsSignature(
      csr(
        client,
        [],
        [
          { type: "Approved", status: "True" },
          { type: "Denied", status: "True" },
        ],
      ),
    ),
  ).toBe(false);
  expect(awaitsSignature(csr("example.com/own", [], [{ type: "Approved", status: "True" }]))).toBe(false);
});
