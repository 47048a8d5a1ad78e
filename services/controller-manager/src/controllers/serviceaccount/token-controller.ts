// The token controller (pkg/controller/serviceaccount/tokens_controller.go): fills Secrets of type kubernetes.io/service-account-token for the
// account that they name, and removes them with it. Such a Secret is made by a user; none is made for an account by itself.
// Invariant: a Secret is removed only after the API itself, not a cache, has said that its account does not exist.
import { isConflict, isNotFound, type KubeObject, keyOf, objectKey, Resources, runController, splitKey } from "@podwire/client";
import type { ControllerContext, RunningController } from "../../context.ts";
import { filledIn, NAME_ANNOTATION, TOKEN_TYPE, type TokenSigner, tokenSigner, UID_ANNOTATION } from "./legacy-token.ts";

const BY_ACCOUNT = "byServiceAccount";
/** Tries of one Secret until its next change. */
const MAX_TRIES = 10;

const accountOf = (secret: KubeObject): string => secret.metadata.annotations?.[NAME_ANNOTATION] ?? "";
const isToken = (secret: KubeObject): boolean => secret["type"] === TOKEN_TYPE && accountOf(secret) !== "";

export function startServiceAccountToken(c: ControllerContext): RunningController {
  const accounts = c.informers.of(Resources.serviceAccounts);
  const secrets = c.informers.of(Resources.secrets);
  secrets.addIndex(BY_ACCOUNT, (s) => (isToken(s) ? [keyOf(s.metadata.namespace ?? "", accountOf(s))] : []));
  let signer: TokenSigner | undefined;
  const controller = runController({
    name: "serviceaccount-token",
    clock: c.clock,
    log: c.log,
    informers: [accounts, secrets],
    maxTries: MAX_TRIES,
    reconcile,
  });
  const own = (s: KubeObject) => {
    if (isToken(s)) controller.queue.add(objectKey(s));
  };
  const tokensOf = (account: KubeObject) => {
    for (const s of secrets.lister.byIndex(BY_ACCOUNT, objectKey(account))) own(s);
  };
  secrets.handle({
    onAdd: own,
    onUpdate: own,
    onDelete(s) {
      if (isToken(s)) void dropReference(s);
    },
  });
  accounts.handle({ onAdd: tokensOf, onDelete: tokensOf });

  if (c.settings.serviceAccountKey === "") c.log.info({}, "token Secrets are not filled: --service-account-private-key-file is not given");

  async function reconcile(key: string) {
    if (c.settings.serviceAccountKey === "") return undefined;
    const { namespace, name } = splitKey(key);
    const secret = secrets.lister.get(namespace, name);
    if (!secret || !isToken(secret) || secret.metadata.deletionTimestamp) return undefined;
    const account = await accountFor(secret);
    if (!account) {
      const preconditions = { uid: secret.metadata.uid ?? "" };
      try {
        await c.client.delete(Resources.secrets, namespace, name, { preconditions });
      } catch (e) {
        if (!isNotFound(e) && !isConflict(e)) throw e;
      }
      return undefined;
    }
    signer ??= tokenSigner(c.settings.serviceAccountKey);
    const filled = filledIn(secret, account, c.settings.rootCa, signer);
    if (filled) await c.client.update(Resources.secrets, filled);
    return undefined;
  }

  /** The account that a Secret means; what the cache does not know is asked of the API. */
  async function accountFor(secret: KubeObject): Promise<KubeObject | undefined> {
    const namespace = secret.metadata.namespace ?? "";
    const uid = secret.metadata.annotations?.[UID_ANNOTATION];
    const meant = (a: KubeObject | undefined) => (a && (!uid || a.metadata.uid === uid) ? a : undefined);
    const known = meant(accounts.lister.get(namespace, accountOf(secret)));
    if (known) return known;
    try {
      return meant(await c.client.get(Resources.serviceAccounts, namespace, accountOf(secret)));
    } catch (e) {
      if (isNotFound(e)) return undefined;
      throw e;
    }
  }

  /** A Secret that is gone is no longer listed by its account (accounts of before 1.24 list theirs). */
  async function dropReference(secret: KubeObject): Promise<void> {
    const account = accounts.lister.get(secret.metadata.namespace ?? "", accountOf(secret));
    const listed: { name?: string }[] = account?.["secrets"] ?? [];
    if (!account || !listed.some((s) => s.name === secret.metadata.name)) return;
    const kept = listed.filter((s) => s.name !== secret.metadata.name);
    await c.client.update(Resources.serviceAccounts, { ...account, secrets: kept }).catch((e) => {
      if (!isNotFound(e)) c.log.info({ account: objectKey(account) }, "a reference to a deleted token was left behind");
    });
  }
  return controller;
}
