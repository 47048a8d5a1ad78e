// The long-lived token of a Secret of type kubernetes.io/service-account-token (pkg/serviceaccount/legacy.go): a JWT (RFC 7519) without
// expiry, good as long as its Secret holds it. Pure but for the signature.
import { createHash, createPrivateKey, createPublicKey, type KeyObject, sign } from "node:crypto";
import type { KubeObject } from "@podwire/client";

export const TOKEN_TYPE = "kubernetes.io/service-account-token";
export const NAME_ANNOTATION = "kubernetes.io/service-account.name";
export const UID_ANNOTATION = "kubernetes.io/service-account.uid";
const ISSUER = "kubernetes/serviceaccount";
const CLAIM = "kubernetes.io/serviceaccount";

export interface TokenSigner {
  token(account: KubeObject, secretName: string): string;
}

/** Signs with the key of --service-account-private-key-file, RSA or elliptic curve. Throws for what is no private key. */
export function tokenSigner(keyPem: string): TokenSigner {
  const key = createPrivateKey(keyPem);
  const { alg, hash } = algorithmOf(key);
  const der = createPublicKey(key).export({ type: "spki", format: "der" });
  const kid = createHash("sha256").update(der).digest("base64url");
  const part = (o: object) => Buffer.from(JSON.stringify(o)).toString("base64url");
  return {
    token(account, secretName) {
      const { namespace = "", name, uid = "" } = account.metadata;
      const claims = {
        iss: ISSUER,
        [`${CLAIM}/namespace`]: namespace,
        [`${CLAIM}/secret.name`]: secretName,
        [`${CLAIM}/service-account.name`]: name,
        [`${CLAIM}/service-account.uid`]: uid,
        sub: `system:serviceaccount:${namespace}:${name}`,
      };
      const text = `${part({ alg, kid })}.${part(claims)}`;
      return `${text}.${sign(hash, Buffer.from(text), { key, dsaEncoding: "ieee-p1363" }).toString("base64url")}`;
    },
  };
}

function algorithmOf(key: KeyObject): { alg: string; hash: string } {
  if (key.asymmetricKeyType === "rsa") return { alg: "RS256", hash: "sha256" };
  switch (key.asymmetricKeyDetails?.namedCurve) {
    case "secp384r1":
      return { alg: "ES384", hash: "sha384" };
    case "secp521r1":
      return { alg: "ES512", hash: "sha512" };
    default:
      return { alg: "ES256", hash: "sha256" };
  }
}

/** The Secret with what it lacks filled in; undefined when it lacks nothing. */
export function filledIn(secret: KubeObject, account: KubeObject, rootCa: string, signer: TokenSigner): KubeObject | undefined {
  const data: Record<string, string> = { ...secret["data"] };
  const put = (name: string, text: string) => {
    data[name] = Buffer.from(text).toString("base64");
  };
  let changed = false;
  if (rootCa !== "" && data["ca.crt"] !== Buffer.from(rootCa).toString("base64")) {
    put("ca.crt", rootCa);
    changed = true;
  }
  if (!data["namespace"]) {
    put("namespace", secret.metadata.namespace ?? "");
    changed = true;
  }
  if (!data["token"]) {
    put("token", signer.token(account, secret.metadata.name));
    changed = true;
  }
  const annotations = { ...secret.metadata.annotations };
  if (annotations[UID_ANNOTATION] !== account.metadata.uid) {
    annotations[UID_ANNOTATION] = account.metadata.uid ?? "";
    changed = true;
  }
  return changed ? { ...secret, metadata: { ...secret.metadata, annotations }, data } : undefined;
}
