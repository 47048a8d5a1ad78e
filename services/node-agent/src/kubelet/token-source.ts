// ServiceAccount tokens for pods: asked for by TokenRequest, kept until 80 % of their life (or 24 h) has passed.
import type { Pod } from "@podwire/api";
import type { Clock, Random } from "@podwire/base";
import { type ApiClient, Resources, timeMs } from "@podwire/client";

interface Held {
  token: string;
  refreshMs: number;
}

const MAX_AGE_MS = 24 * 3600_000;

export class TokenSource {
  readonly #client: ApiClient;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #held = new Map<string, Held>();
  constructor(o: { client: ApiClient; clock: Clock; random: Random }) {
    this.#client = o.client;
    this.#clock = o.clock;
    this.#random = o.random;
  }

  async token(pod: Pod, o: { audience: string; expirationSeconds: number }): Promise<string> {
    const { name, namespace, uid } = pod.metadata!;
    const account = pod.spec!.serviceAccountName || "default";
    const key = `${uid}/${account}/${o.audience}/${o.expirationSeconds}`;
    const now = this.#clock.nowMs();
    const held = this.#held.get(key);
    if (held && now < held.refreshMs) return held.token;
    const answer = await this.#client.createSubresource(Resources.serviceAccounts, namespace!, account, "token", {
      apiVersion: "authentication.k8s.io/v1",
      kind: "TokenRequest",
      metadata: { name: account, namespace },
      spec: {
        audiences: o.audience === "" ? [] : [o.audience],
        expirationSeconds: o.expirationSeconds,
        boundObjectRef: { apiVersion: "v1", kind: "Pod", name, uid },
      },
    });
    const token = answer["status"]?.token as string;
    const lifeMs = (timeMs(answer["status"]?.expirationTimestamp) ?? now + o.expirationSeconds * 1000) - now;
    this.#held.set(key, { token, refreshMs: now + Math.min(lifeMs * 0.8, MAX_AGE_MS) - this.#random.below(10_000) });
    return token;
  }

  /** Milliseconds until the first token of a pod wants to be refreshed; undefined when it has none. */
  forget(uid: string): void {
    for (const k of [...this.#held.keys()]) if (k.startsWith(`${uid}/`)) this.#held.delete(k);
  }
}
