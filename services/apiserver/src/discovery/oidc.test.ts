// The issuer's discovery documents: whoever reads them can check a token of a ServiceAccount without asking the server about it.
import { createPublicKey, verify } from "node:crypto";
import { expect, it } from "vitest";
import { type InProcess, startInProcess, testPki } from "../in-process.ts";

it("takes tokens of every issuer that it is told of, and issues by the first", async () => {
  const pki = await testPki([]);
  const old = await startInProcess({ pki, flags: { "service-account-issuer": "https://old.example.com" } });
  const config = { pki, store: old.store, flags: { "service-account-issuer": "https://new.example.com,https://old.example.com" } };
  const token = async (api: InProcess) =>
    (await api.request("POST", "/api/v1/namespaces/default/serviceaccounts/s/token", { spec: {} })).body.status.token as string;
  await old.request("POST", "/api/v1/namespaces/default/serviceaccounts", { metadata: { name: "s" } });
  const before = await token(old);
  await old.stop();
  const both = await startInProcess(config);
  const other = await startInProcess({ ...config, flags: { "service-account-issuer": "https://new.example.com" } });
  try {
    const after = await token(both);
    expect((await both.server.authenticate(`Bearer ${after}`)).name).toBe("system:serviceaccount:default:s");
    expect((await both.server.authenticate(`Bearer ${before}`)).name).toBe("system:serviceaccount:default:s");
    await expect(other.server.authenticate(`Bearer ${before}`)).rejects.toMatchObject({ code: 401 });
    expect((await both.request("GET", "/.well-known/openid-configuration")).body.issuer).toBe("https://new.example.com");
  } finally {
    await other.stop();
    await both.stop();
    pki.remove();
  }
});

it("publishes the keys that tokens are signed with", async () => {
  const pki = await testPki([]);
  const api = await startInProcess({ pki });
  try {
    await api.request("POST", "/api/v1/namespaces/default/serviceaccounts", { metadata: { name: "s" } });
    const made = await api.request("POST", "/api/v1/namespaces/default/serviceaccounts/s/token", {
      kind: "TokenRequest",
      apiVersion: "authentication.k8s.io/v1",
      spec: { audiences: ["me"] },
    });
    const [head, claims, signature] = (made.body.status.token as string).split(".") as [string, string, string];
    const decoded = (s: string) => JSON.parse(Buffer.from(s, "base64url").toString());
    const configuration = (await api.request("GET", "/.well-known/openid-configuration")).body;
    expect(configuration.issuer).toBe(decoded(claims).iss);
    const jwks = await api.request("GET", new URL(configuration.jwks_uri).pathname);
    expect(jwks.headers["content-type"]).toBe("application/jwk-set+json");
    const jwk = jwks.body.keys.find((k: any) => k.kid === decoded(head).kid);
    const key = createPublicKey({ key: jwk, format: "jwk" });
    const input = Buffer.from(`${head}.${claims}`);
    expect(verify("sha256", input, { key, dsaEncoding: "ieee-p1363" }, Buffer.from(signature, "base64url"))).toBe(true);
  } finally {
    await api.stop();
    pki.remove();
  }
});
