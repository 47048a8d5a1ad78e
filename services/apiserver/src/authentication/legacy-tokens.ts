// Tokens of Secrets of type kubernetes.io/service-account-token (pkg/serviceaccount/legacy.go): without expiry, good while their Secret holds
// just this token, is not marked invalid, and its account is the same. The use of one is noted on its Secret, a label a day (KEP-2799).
import type { KubeObject } from "@podwire/api";
import type { Clock, Logger } from "@podwire/base";
import { reasonOf } from "@podwire/base";
import type { WatchCache } from "../cache/watch-cache.ts";
import type { User } from "../call.ts";
import type { ObjectStorage } from "../storage/object-storage.ts";
import { authenticated } from "./authenticator.ts";
import { TokenRefusedError } from "./token-refused.ts";

export const LEGACY_ISSUER = "kubernetes/serviceaccount";
const CLAIM = "kubernetes.io/serviceaccount";
const LAST_USED = "kubernetes.io/legacy-token-last-used";
const INVALID_SINCE = "kubernetes.io/legacy-token-invalid-since";

/** The user of a token whose signature is right. Throws TokenRefusedError. */
export function legacyUser(
  cache: WatchCache,
  token: string,
  claims: Record<string, unknown>,
  onUse: ((secret: KubeObject) => void) | undefined,
): User {
  const claim = (name: string): string => {
    const value = claims[`${CLAIM}/${name}`];
    return typeof value === "string" ? value : "";
  };
  const [namespace, secretName, name, uid] = [
    claim("namespace"),
    claim("secret.name"),
    claim("service-account.name"),
    claim("service-account.uid"),
  ];
  if (!claims["sub"]) throw new TokenRefusedError("sub claim is missing");
  if (namespace === "") throw new TokenRefusedError("namespace claim is missing");
  if (secretName === "") throw new TokenRefusedError("secretName claim is missing");
  if (name === "") throw new TokenRefusedError("serviceAccountName claim is missing");
  if (uid === "") throw new TokenRefusedError("serviceAccountUID claim is missing");
  if (claims["sub"] !== `system:serviceaccount:${namespace}:${name}`) throw new TokenRefusedError("sub claim is invalid");
  const secret = cache.of("", "secrets").get(namespace, secretName)?.object;
  if (!secret || secret.metadata.deletionTimestamp) throw new TokenRefusedError("service account token has been invalidated");
  if (secret["data"]?.token !== Buffer.from(token).toString("base64"))
    throw new TokenRefusedError("service account token does not match server's copy");
  const account = cache.of("", "serviceaccounts").get(namespace, name)?.object;
  if (!account) throw new TokenRefusedError(`serviceaccounts ${JSON.stringify(name)} not found`);
  if (account.metadata.deletionTimestamp) throw new TokenRefusedError(`ServiceAccount ${namespace}/${name} has been deleted`);
  if (account.metadata.uid !== uid)
    throw new TokenRefusedError(`ServiceAccount UID (${account.metadata.uid}) does not match claim (${uid})`);
  // Only tokens that were made by themselves are ever marked: those that their account lists.
  const listed = (account["secrets"] ?? []).some((s: any) => s.name === secretName);
  if (listed && secret.metadata.labels?.[INVALID_SINCE])
    throw new TokenRefusedError(
      `the token in secret ${namespace}/${secretName} for service account ${namespace}/${name} has been marked invalid. Use tokens from the TokenRequest API or manually created secret-based tokens, or remove the '${INVALID_SINCE}' label from the secret to temporarily allow use of this token`,
    );
  onUse?.(secret);
  const groups = ["system:serviceaccounts", `system:serviceaccounts:${namespace}`];
  return authenticated({ name: `system:serviceaccount:${namespace}:${name}`, uid, groups });
}

/** Notes the day of use on a token's Secret; a failure is tried again with the next use. */
export function noteUse(o: { storage: ObjectStorage; clock: Clock; log: Logger }): (secret: KubeObject) => void {
  const underWay = new Set<string>();
  return (secret) => {
    const today = new Date(o.clock.nowMs()).toISOString().slice(0, 10);
    const { namespace = "", name = "", uid = "" } = secret.metadata;
    if (secret.metadata.labels?.[LAST_USED] === today || underWay.has(uid)) return;
    underWay.add(uid);
    void o.storage
      .update({ group: "", resource: "secrets", namespace, name }, (current) => {
        if (!current || current.metadata.uid !== uid) throw new TokenRefusedError("the Secret is gone");
        return { ...current, metadata: { ...current.metadata, labels: { ...current.metadata.labels, [LAST_USED]: today } } };
      })
      .catch((e) => o.log.info({ secret: `${namespace}/${name}`, reason: reasonOf(e) }, "the use of a token could not be noted"))
      .finally(() => underWay.delete(uid));
  };
}
