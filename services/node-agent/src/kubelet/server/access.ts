// Who may ask this kubelet what (kubelet authn/authz): a client certificate of the cluster's authority, or a bearer token that the API
// vouches for; then a SubjectAccessReview on a subresource of the node. Decisions are kept for a while, as webhooks' are.
// Invariant: without a user there is no answer but 401; the fine-grained subresource is asked before nodes/proxy (KEP-2862).
import type { Clock } from "@podwire/base";
import { type ApiClient, Resources } from "@podwire/client";

export interface KubeletUser {
  name: string;
  groups: readonly string[];
  extra?: Record<string, string[]>;
}

/** --authentication-token-webhook-cache-ttl, --authorization-webhook-cache-(un)authorized-ttl. */
const TOKEN_TTL_MS = 120_000;
const ALLOWED_TTL_MS = 300_000;
const DENIED_TTL_MS = 30_000;
/** Remembered answers; past it all are forgotten. */
const MAX_REMEMBERED = 1024;

const VERBS: Record<string, string> = { GET: "get", HEAD: "get", POST: "create", PUT: "update", PATCH: "patch", DELETE: "delete" };

export const verbOf = (method: string): string => VERBS[method] ?? "";

/** Subresources of nodes that allow a path, any of them. */
export function subresourcesOf(path: string): string[] {
  const is = (prefix: string) => path === prefix || path.startsWith(`${prefix}/`);
  if (is("/stats")) return ["stats"];
  if (is("/metrics")) return ["metrics"];
  if (is("/logs")) return ["log"];
  if (is("/checkpoint")) return ["checkpoint"];
  if (path === "/healthz" || path.startsWith("/healthz/")) return ["healthz", "proxy"];
  if (path === "/pods" || path === "/runningpods" || path === "/runningpods/") return ["pods", "proxy"];
  if (path === "/configz") return ["configz", "proxy"];
  return ["proxy"];
}

export class KubeletAccess {
  readonly #client: ApiClient;
  readonly #clock: Clock;
  readonly #nodeName: string;
  readonly #tokens = new Map<string, { untilMs: number; user: KubeletUser | undefined }>();
  readonly #decisions = new Map<string, { untilMs: number; allowed: boolean }>();

  constructor(o: { client: ApiClient; clock: Clock; nodeName: string }) {
    this.#client = o.client;
    this.#clock = o.clock;
    this.#nodeName = o.nodeName;
  }

  async userOfToken(token: string): Promise<KubeletUser | undefined> {
    const known = this.#tokens.get(token);
    if (known && known.untilMs > this.#clock.nowMs()) return known.user;
    const answer = (await this.#client.create(Resources.tokenReviews, { metadata: {}, spec: { token } } as never)) as any;
    const u = answer.status?.authenticated ? answer.status.user : undefined;
    const user = u ? { name: u.username as string, groups: u.groups ?? [], ...(u.extra ? { extra: u.extra } : {}) } : undefined;
    remember(this.#tokens, token, { user, untilMs: this.#clock.nowMs() + TOKEN_TTL_MS });
    return user;
  }

  async allows(user: KubeletUser, method: string, path: string): Promise<boolean> {
    for (const subresource of subresourcesOf(path)) if (await this.#allows(user, verbOf(method), subresource)) return true;
    return false;
  }

  async #allows(user: KubeletUser, verb: string, subresource: string): Promise<boolean> {
    const key = JSON.stringify([user.name, user.groups, verb, subresource]);
    const known = this.#decisions.get(key);
    if (known && known.untilMs > this.#clock.nowMs()) return known.allowed;
    const resourceAttributes = { verb, group: "", version: "v1", resource: "nodes", subresource, name: this.#nodeName };
    const spec = { user: user.name, groups: user.groups, ...(user.extra ? { extra: user.extra } : {}), resourceAttributes };
    const answer = (await this.#client.create(Resources.subjectAccessReviews, { metadata: {}, spec } as never)) as any;
    const allowed = answer.status?.allowed === true;
    remember(this.#decisions, key, { allowed, untilMs: this.#clock.nowMs() + (allowed ? ALLOWED_TTL_MS : DENIED_TTL_MS) });
    return allowed;
  }
}

function remember<V>(map: Map<string, V>, key: string, value: V): void {
  if (map.size >= MAX_REMEMBERED) map.clear();
  map.set(key, value);
}
