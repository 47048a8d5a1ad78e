// Bound service account tokens: JWTs signed with the cluster's key (ES256 or RS256), valid while the account, and the pod, node or secret
// they are bound to, live (pkg/serviceaccount). Invariant: a token of a deleted object is refused at once, whatever its expiry says.
import { createHash, createPrivateKey, createPublicKey, type KeyObject, sign, verify } from "node:crypto";
import type { KubeObject } from "@podwire/api";
import type { WatchCache } from "../cache/watch-cache.ts";
import type { User } from "../call.ts";
import { authenticated, type TokenAuthenticator } from "./authenticator.ts";
import { LEGACY_ISSUER, legacyUser } from "./legacy-tokens.ts";
import { TokenRefusedError } from "./token-refused.ts";

export { TokenRefusedError };

export interface TokenClaims {
  namespace: string;
  serviceAccount: { name: string; uid: string };
  pod?: { name: string; uid: string };
  node?: { name: string; uid: string };
  secret?: { name: string; uid: string };
}

export interface Verified {
  user: User;
  audiences: string[];
}

/** Signatures checked once are remembered up to this many tokens. */
const MAX_REMEMBERED = 10_000;
/** Tolerated difference of clocks. */
const LEEWAY_S = 60;

interface VerificationKey {
  key: KeyObject;
  algorithm: Algorithm;
  id: string;
}

/** JWS algorithms by key: RSA, and the curves P-256, P-384 and P-521. */
type Algorithm = "RS256" | "ES256" | "ES384" | "ES512";
const HASHES: Readonly<Record<Algorithm, string>> = { RS256: "sha256", ES256: "sha256", ES384: "sha384", ES512: "sha512" };

export class ServiceAccountTokens implements TokenAuthenticator {
  readonly #key: KeyObject;
  /** The first is the signing key's. */
  readonly #keys: readonly VerificationKey[];
  readonly #cache: WatchCache;
  readonly #signatures = new Map<string, Record<string, any>>();
  /** The first issues; tokens of the others hold as long as their keys are here. */
  readonly #issuers: readonly [string, ...string[]];
  /** Audiences of the API itself. */
  readonly audiences: readonly string[];
  readonly #nowMs: () => number;
  readonly #uuid: () => string;
  readonly #onLegacyUse: ((secret: KubeObject) => void) | undefined;

  constructor(o: {
    keyPem: string;
    /** Other public keys whose signatures count, PEM. */
    otherKeys?: readonly string[];
    issuers: readonly [string, ...string[]];
    audiences: readonly string[];
    cache: WatchCache;
    nowMs: () => number;
    uuid: () => string;
    /** A token that lies in this Secret was good. */
    onLegacyUse?: (secret: KubeObject) => void;
  }) {
    this.#key = createPrivateKey(o.keyPem);
    const keys = [createPublicKey(this.#key), ...(o.otherKeys ?? []).map((pem) => createPublicKey(pem))].map(verificationKey);
    this.#keys = keys.filter((k, i) => keys.findIndex((other) => other.id === k.id) === i);
    this.#issuers = o.issuers;
    this.audiences = o.audiences.length > 0 ? o.audiences : o.issuers;
    this.#cache = o.cache;
    this.#nowMs = o.nowMs;
    this.#uuid = o.uuid;
    this.#onLegacyUse = o.onLegacyUse;
  }

  issue(claims: TokenClaims, audiences: readonly string[], expirationSeconds: number): string {
    const now = Math.floor(this.#nowMs() / 1000);
    const { namespace, serviceAccount, pod, node, secret } = claims;
    const body = {
      aud: audiences,
      exp: now + expirationSeconds,
      iat: now,
      iss: this.#issuers[0],
      jti: this.#uuid(),
      "kubernetes.io": {
        namespace,
        ...(node ? { node } : {}),
        ...(pod ? { pod } : {}),
        ...(secret ? { secret } : {}),
        serviceaccount: serviceAccount,
      },
      nbf: now,
      sub: `system:serviceaccount:${namespace}:${serviceAccount.name}`,
    };
    const own = this.#keys[0] as VerificationKey;
    const text = `${part({ alg: own.algorithm, kid: own.id })}.${part(body)}`;
    const signature = sign(HASHES[own.algorithm], Buffer.from(text), { key: this.#key, dsaEncoding: "ieee-p1363" });
    return `${text}.${signature.toString("base64url")}`;
  }

  authenticate(token: string): User | undefined {
    return this.verify(token, this.audiences)?.user;
  }

  /** undefined: not a token of this issuer. Throws TokenRefusedError. */
  verify(token: string, audiences: readonly string[]): Verified | undefined {
    const claims = this.#checked(token);
    if (!claims) return undefined;
    if (claims["iss"] === LEGACY_ISSUER) {
      // These name no audience: they are for the API, whatever it is called.
      const common = this.audiences.filter((a) => audiences.includes(a));
      if (common.length === 0) throw new TokenRefusedError(refusedAudience(this.audiences, audiences));
      return { user: legacyUser(this.#cache, token, claims, this.#onLegacyUse), audiences: common };
    }
    const now = this.#nowMs() / 1000;
    if (typeof claims["exp"] === "number" && now > claims["exp"]) throw new TokenRefusedError("service account token has expired");
    if (typeof claims["nbf"] === "number" && now + LEEWAY_S < claims["nbf"])
      throw new TokenRefusedError("service account token is not valid yet");
    const granted: string[] = Array.isArray(claims["aud"]) ? claims["aud"] : [];
    const common = granted.filter((a) => audiences.includes(a));
    if (common.length === 0) throw new TokenRefusedError(refusedAudience(granted, audiences));
    return { user: this.#user(claims), audiences: common };
  }

  /** The claims of a token whose issuer and signature are right. */
  #checked(token: string): Record<string, any> | undefined {
    const known = this.#signatures.get(token);
    if (known) return known;
    const [head, body, signature, ...rest] = token.split(".");
    if (!head || !body || !signature || rest.length > 0) return undefined;
    let claims: Record<string, any>;
    let header: { alg?: unknown; kid?: unknown };
    try {
      claims = JSON.parse(Buffer.from(body, "base64url").toString("utf8"));
      header = JSON.parse(Buffer.from(head, "base64url").toString("utf8"));
    } catch {
      return undefined;
    }
    if (!this.#issuers.includes(claims?.["iss"]) && claims?.["iss"] !== LEGACY_ISSUER) return undefined;
    const text = Buffer.from(`${head}.${body}`);
    const bytes = Buffer.from(signature, "base64url");
    const good = this.#keys.some(
      (k) =>
        header?.alg === k.algorithm &&
        (header.kid === undefined || header.kid === k.id) &&
        verify(HASHES[k.algorithm], text, { key: k.key, dsaEncoding: "ieee-p1363" }, bytes),
    );
    if (!good) return undefined;
    if (this.#signatures.size >= MAX_REMEMBERED) this.#signatures.clear();
    this.#signatures.set(token, claims);
    return claims;
  }

  #user(claims: Record<string, any>): User {
    const k = claims["kubernetes.io"] ?? {};
    const namespace = String(k.namespace ?? "");
    const account = k.serviceaccount ?? {};
    const live = this.#cache.of("", "serviceaccounts").get(namespace, String(account.name));
    if (!live) throw new TokenRefusedError(`serviceaccounts ${JSON.stringify(account.name)} not found`);
    if (live.object.metadata.uid !== account.uid)
      throw new TokenRefusedError(`service account UID (${live.object.metadata.uid}) does not match claim (${account.uid})`);
    this.#checkBound("pods", namespace, k.pod);
    this.#checkBound("secrets", namespace, k.secret);
    // A pod is there only as long as its node: only a token bound to the node alone is asked for it.
    if (!k.pod) this.#checkBound("nodes", "", k.node);
    const extra: Record<string, string[]> = { "authentication.kubernetes.io/credential-id": [`JTI=${claims["jti"]}`] };
    if (k.node) {
      extra["authentication.kubernetes.io/node-name"] = [k.node.name];
      if (k.node.uid) extra["authentication.kubernetes.io/node-uid"] = [k.node.uid];
    }
    if (k.pod) {
      extra["authentication.kubernetes.io/pod-name"] = [k.pod.name];
      extra["authentication.kubernetes.io/pod-uid"] = [k.pod.uid];
    }
    const groups = ["system:serviceaccounts", `system:serviceaccounts:${namespace}`];
    return authenticated({ name: `system:serviceaccount:${namespace}:${account.name}`, uid: account.uid, groups, extra });
  }

  #checkBound(resource: string, namespace: string, bound: { name: string; uid: string } | undefined): void {
    if (!bound) return;
    const live = this.#cache.of("", resource).get(namespace, bound.name);
    if (!live) throw new TokenRefusedError("service account token has been invalidated");
    if (live.object.metadata.uid !== bound.uid)
      throw new TokenRefusedError(
        `${resource.slice(0, -1)} UID (${live.object.metadata.uid}) does not match service account ${resource.slice(0, -1)} ref claim (${bound.uid})`,
      );
    const deleted = live.object.metadata.deletionTimestamp;
    if (deleted && Date.parse(deleted) + LEEWAY_S * 1000 < this.#nowMs())
      throw new TokenRefusedError("service account token has been invalidated");
  }

  /** The OpenID Connect discovery document and key set. */
  discovery(jwksUri: string): { configuration: unknown; keys: unknown } {
    return {
      configuration: {
        issuer: this.#issuers[0],
        jwks_uri: jwksUri,
        response_types_supported: ["id_token"],
        subject_types_supported: ["public"],
        id_token_signing_alg_values_supported: [...new Set(this.#keys.map((k) => k.algorithm))].sort(),
      },
      keys: { keys: this.#keys.map((k) => ({ use: "sig", ...k.key.export({ format: "jwk" }), kid: k.id, alg: k.algorithm })) },
    };
  }
}

function refusedAudience(granted: readonly string[], audiences: readonly string[]): string {
  const quoted = (list: readonly string[]) => `[${list.map((a) => JSON.stringify(a)).join(" ")}]`;
  return `token audiences ${quoted(granted)} is invalid for the target audiences ${quoted(audiences)}`;
}

function verificationKey(key: KeyObject): VerificationKey {
  const id = createHash("sha256")
    .update(key.export({ type: "spki", format: "der" }))
    .digest("base64url");
  const curve = key.asymmetricKeyDetails?.namedCurve;
  const algorithm = key.asymmetricKeyType === "rsa" ? "RS256" : curve === "secp384r1" ? "ES384" : curve === "secp521r1" ? "ES512" : "ES256";
  return { key, algorithm, id };
}

function part(o: unknown): string {
  return Buffer.from(JSON.stringify(o)).toString("base64url");
}
