// Bootstrap tokens against the example of kubeadm's documentation, and what is no token.
import { createHmac } from "node:crypto";
import { expect, test } from "vitest";
import { detachedSignature, expiryMs, signedData, tokenOf } from "./signer.ts";

const NOW = Date.UTC(2026, 0, 1);
const secret = (data: Record<string, string>, name = "bootstrap-token-abcdef") => ({
  metadata: { name, namespace: "kube-system" },
  type: "bootstrap.kubernetes.io/token",
  data: Object.fromEntries(Object.entries(data).map(([k, v]) => [k, Buffer.from(v).toString("base64")])),
});
const GOOD = { "token-id": "abcdef", "token-secret": "0123456789abcdef" };

test("a token is well formed, named after its id, and not expired", () => {
  expect(tokenOf(secret(GOOD), NOW)).toEqual({ id: "abcdef", secret: "0123456789abcdef" });
  expect(tokenOf(secret(GOOD, "bootstrap-token-other"), NOW)).toBeUndefined();
  expect(tokenOf(secret({ ...GOOD, "token-secret": "short" }), NOW)).toBeUndefined();
  expect(tokenOf(secret({ ...GOOD, expiration: "2025-12-31T00:00:00Z" }), NOW)).toBeUndefined();
  expect(tokenOf(secret({ ...GOOD, expiration: "2026-12-31T00:00:00Z" }), NOW)).toBeDefined();
  expect(expiryMs(secret({ ...GOOD, expiration: "tomorrow" }))).toBe(0);
});

test("the signature is a detached JWS of the content, and follows content and tokens", () => {
  const token = { id: "abcdef", secret: "0123456789abcdef" };
  const [header, payload, mac] = detachedSignature("content", token).split(".") as [string, string, string];
  expect(JSON.parse(Buffer.from(header, "base64url").toString())).toEqual({ alg: "HS256", kid: "abcdef" });
  expect(payload).toBe("");
  const again = createHmac("sha256", token.secret)
    .update(`${header}.${Buffer.from("content").toString("base64url")}`)
    .digest("base64url");
  expect(mac).toBe(again);
  const data = signedData({ kubeconfig: "content", "jws-kubeconfig-gone00": "x" }, [token]);
  expect(Object.keys(data)).toEqual(["kubeconfig", "jws-kubeconfig-abcdef"]);
});
