// The approver against an API whose authorizer and approval endpoint are played here.
import "reflect-metadata";
import { webcrypto } from "node:crypto";
import * as x509 from "@peculiar/x509";
import { seededRandom } from "@podwire/base";
import type { ApiTransport, KubeObject } from "@podwire/client";
import { Resources } from "@podwire/client";
import { virtualClock } from "@podwire/testkit";
import { expect, test } from "vitest";
import { simulation } from "../../simulation.ts";

const EC = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };

async function request(name: string, username: string, subject: string): Promise<KubeObject> {
  const keys = (await webcrypto.subtle.generateKey(EC, true, ["sign", "verify"])) as any;
  const csr = await x509.Pkcs10CertificateRequestGenerator.create({ name: subject, keys, signingAlgorithm: EC }, webcrypto as any);
  const usages = ["key encipherment", "digital signature", "client auth"];
  const signerName = "kubernetes.io/kube-apiserver-client-kubelet";
  return {
    metadata: { name },
    spec: { username, groups: ["system:nodes"], signerName, usages, request: Buffer.from(csr.toString("pem")).toString("base64") },
  };
}

test("approves what the asker may have, and nothing else", async () => {
  const clock = virtualClock();
  const approved: Record<string, string> = {};
  const json = (status: number, body: unknown) => ({ status, headers: {}, body: new TextEncoder().encode(JSON.stringify(body)) });
  const play = (inner: ApiTransport): ApiTransport => ({
    ...inner,
    async request(r, o) {
      const body = r.body ? JSON.parse(new TextDecoder().decode(r.body)) : {};
      if (r.path.includes("subjectaccessreviews")) {
        const { user, resourceAttributes } = body.spec;
        const allowed = user.startsWith("system:node:") && resourceAttributes.subresource === "selfnodeclient";
        return json(201, { ...body, status: { allowed } });
      }
      if (r.method === "PUT" && r.path.includes("/approval")) {
        approved[body.metadata.name] = body.status.conditions[0].message;
        return json(200, body);
      }
      return inner.request(r, o);
    },
  });
  const sim = simulation({
    clock,
    random: seededRandom(1),
    controllers: ["certificatesigningrequest-approving-controller"],
    wrapTransport: play,
  });
  const node = "CN=system:node:a, O=system:nodes";
  const made = await Promise.all([
    request("own", "system:node:a", node),
    request("others", "system:node:b", node),
    request("person", "alice", "CN=alice"),
  ]);
  const started = sim.start();
  await clock.advance(2_000);
  await started;
  for (const csr of made) void sim.client.create(Resources.certificateSigningRequests, csr);
  await clock.advance(5_000);
  expect(approved).toEqual({ own: "Auto approving self kubelet client certificate after SubjectAccessReview." });
  const stopped = sim.stop();
  await clock.advance(1_000);
  await stopped;
});
