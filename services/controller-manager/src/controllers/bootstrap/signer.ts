// Bootstrap tokens (Secrets of type bootstrap.kubernetes.io/token in kube-system): the signer keeps a detached JWS (RFC 7515, HS256) of
// kube-public's ConfigMap cluster-info for each token that may sign; the cleaner removes tokens that have expired.
// Invariant: signatures of tokens that are gone are gone, too. Both are off unless --controllers names them, as in kube-controller-manager.
import { createHmac } from "node:crypto";
import { isNotFound, type KubeObject, Resources, runController } from "@podwire/client";
import type { ControllerContext, RunningController } from "../../context.ts";
import { equal } from "../../equality.ts";

const TOKEN_TYPE = "bootstrap.kubernetes.io/token";
const NAME_PREFIX = "bootstrap-token-";
const SIGNATURE_PREFIX = "jws-kubeconfig-";
const CONFIG = "kubeconfig";
const SYSTEM = "kube-system";
const PUBLIC = "kube-public";
const CLUSTER_INFO = "cluster-info";

const text = (secret: KubeObject, key: string): string => Buffer.from(secret["data"]?.[key] ?? "", "base64").toString("utf8");

export interface BootstrapToken {
  id: string;
  secret: string;
}

/** The token of a Secret, when it is well formed and has not expired. */
export function tokenOf(secret: KubeObject, nowMs: number): BootstrapToken | undefined {
  if (secret["type"] !== TOKEN_TYPE || secret.metadata.deletionTimestamp) return undefined;
  const id = text(secret, "token-id");
  const value = text(secret, "token-secret");
  if (secret.metadata.name !== `${NAME_PREFIX}${id}` || !/^[a-z0-9]{6}$/.test(id) || !/^[a-z0-9]{16}$/.test(value)) return undefined;
  return (expiryMs(secret) ?? Number.POSITIVE_INFINITY) <= nowMs ? undefined : { id, secret: value };
}

/** When a token expires; undefined: never. What is no time has expired already. */
export function expiryMs(secret: KubeObject): number | undefined {
  const at = text(secret, "expiration");
  if (at === "") return undefined;
  const ms = Date.parse(at);
  return Number.isNaN(ms) ? 0 : ms;
}

/** A compact JWS without its payload: "<header>..<signature>". */
export function detachedSignature(content: string, token: BootstrapToken): string {
  const header = Buffer.from(`{"alg":"HS256","kid":${JSON.stringify(token.id)}}`).toString("base64url");
  const payload = Buffer.from(content).toString("base64url");
  const mac = createHmac("sha256", token.secret).update(`${header}.${payload}`).digest("base64url");
  return `${header}..${mac}`;
}

/** The ConfigMap's data as it should be. */
export function signedData(data: Readonly<Record<string, string>>, tokens: readonly BootstrapToken[]): Record<string, string> {
  const out: Record<string, string> = {};
  for (const [k, v] of Object.entries(data)) if (!k.startsWith(SIGNATURE_PREFIX)) out[k] = v;
  const content = data[CONFIG];
  if (content !== undefined) for (const t of tokens) out[`${SIGNATURE_PREFIX}${t.id}`] = detachedSignature(content, t);
  return out;
}

export function startBootstrapSigner(c: ControllerContext): RunningController {
  const secrets = c.informers.of(Resources.secrets);
  const maps = c.informers.of(Resources.configMaps);
  const controller = runController({
    name: "bootstrapsigner",
    clock: c.clock,
    log: c.log,
    informers: [secrets, maps],
    reconcile,
    workers: 1,
  });
  const wake = () => controller.queue.add(CLUSTER_INFO);
  const onSecret = (o: KubeObject) => {
    if (o.metadata.namespace === SYSTEM && o["type"] === TOKEN_TYPE) wake();
  };
  const onMap = (o: KubeObject) => {
    if (o.metadata.namespace === PUBLIC && o.metadata.name === CLUSTER_INFO) wake();
  };
  secrets.handle({ onAdd: onSecret, onUpdate: onSecret, onDelete: onSecret });
  maps.handle({ onAdd: onMap, onUpdate: onMap });

  async function reconcile() {
    const info = maps.lister.get(PUBLIC, CLUSTER_INFO);
    if (!info) return undefined;
    const tokens = secrets.lister
      .list(SYSTEM)
      .filter((s) => text(s, "usage-bootstrap-signing") === "true")
      .flatMap((s) => tokenOf(s, c.clock.nowMs()) ?? []);
    const data = signedData(info["data"] ?? {}, tokens);
    if (!equal(info["data"] ?? {}, data)) await c.client.update(Resources.configMaps, { ...info, data });
    return undefined;
  }
  return controller;
}

export function startTokenCleaner(c: ControllerContext): RunningController {
  const secrets = c.informers.of(Resources.secrets);
  const controller = runController({ name: "tokencleaner", clock: c.clock, log: c.log, informers: [secrets], reconcile });
  const own = (o: KubeObject) => {
    if (o.metadata.namespace === SYSTEM && o["type"] === TOKEN_TYPE) controller.queue.add(o.metadata.name);
  };
  secrets.handle({ onAdd: own, onUpdate: own });

  async function reconcile(name: string) {
    const secret = secrets.lister.get(SYSTEM, name);
    const at = secret && expiryMs(secret);
    if (at === undefined) return undefined;
    const wait = at - c.clock.nowMs();
    if (wait > 0) return { requeueAfterMs: wait };
    try {
      await c.client.delete(Resources.secrets, SYSTEM, name, { preconditions: { uid: secret?.metadata.uid ?? "" } });
    } catch (e) {
      if (!isNotFound(e)) throw e;
    }
    return undefined;
  }
  return controller;
}
