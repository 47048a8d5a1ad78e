// The endpoints of the Service `kubernetes`: the addresses of the apiservers that are alive on this store, each of which keeps a lease there
// (pkg/controlplane/reconcilers/lease.go). One server alone writes its lease once; with others about, every one renews its own.
// Invariants: a server lists itself as long as it runs; it removes another only after that one's lease has run out.
import { type KubeObject, statusErrors } from "@podwire/api";
import { reasonOf, type Timer } from "@podwire/base";
import type { Api, ApiRequest, ApiResponse, User } from "../call.ts";
import { Deletion } from "../storage/object-storage.ts";
import { timeText } from "../verbs/body.ts";

const LEASES = { group: "internal.podwire", resource: "masterleases", namespace: "" };
/** --endpoint-reconciler-type=lease: what a lease is good for, and how often it is renewed. */
const LEASE_MS = 15_000;
const PERIOD_MS = 10_000;
const SLICES = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices";

export interface KubernetesEndpointsOptions {
  api: Api;
  handle: (request: ApiRequest, user: User) => Promise<ApiResponse>;
  /** Where pods reach this server. */
  address: string;
  port: number;
}

const SELF: User = { name: "system:apiserver", groups: ["system:masters", "system:authenticated"] };

export class KubernetesEndpoints {
  readonly #o: KubernetesEndpointsOptions;
  #timer: Timer | undefined;
  #renewedMs = Number.NEGATIVE_INFINITY;
  /** When another's lease was last seen to change, by address: clocks of other machines are not compared. */
  readonly #seen = new Map<string, { text: string; atMs: number }>();
  #busy = false;
  #again = false;
  #stopped = false;

  constructor(o: KubernetesEndpointsOptions) {
    this.#o = o;
  }

  async start(): Promise<void> {
    const { api } = this.#o;
    await this.#renew();
    await this.#reconcile();
    api.cache.onChange((o) => {
      if (this.#stopped || o.key.group !== LEASES.group || o.key.resource !== LEASES.resource) return;
      if (o.key.name !== this.#o.address) this.#touch();
    });
    this.#timer = api.clock.every(PERIOD_MS, () => this.#touch(), { unref: true });
  }

  /** With others to take over, says good-bye. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    if (this.#alive().length < 2) return;
    try {
      await this.#o.api.storage.update(this.#key(), (current) => {
        if (!current) throw statusErrors.notFound({ group: LEASES.group, resource: LEASES.resource }, this.#o.address);
        return new Deletion(current, true);
      });
      await this.#write(this.#alive().filter((a) => a !== this.#o.address));
    } catch (e) {
      this.#o.api.log.info({ reason: reasonOf(e) }, "the others will find out that this apiserver has gone");
    }
  }

  #touch(): void {
    if (this.#busy) {
      this.#again = true;
      return;
    }
    this.#busy = true;
    const step = async () => {
      const others = this.#alive().length > 1;
      if (others && this.#o.api.clock.monotonicMs() - this.#renewedMs > PERIOD_MS / 2) await this.#renew();
      await this.#reconcile();
    };
    void step()
      .catch((e) => this.#o.api.log.warn({ reason: reasonOf(e) }, "the endpoints of the Service kubernetes are tried again"))
      .finally(() => {
        this.#busy = false;
        if (!this.#again || this.#stopped) return;
        this.#again = false;
        this.#touch();
      });
  }

  #key() {
    return { ...LEASES, name: this.#o.address };
  }

  async #renew(): Promise<void> {
    const { api, address } = this.#o;
    this.#renewedMs = api.clock.monotonicMs();
    await api.storage.update(this.#key(), (current) => {
      const object: KubeObject = current ?? { kind: "MasterLease", apiVersion: "internal.podwire/v1", metadata: { name: address } };
      const count = (object["spec"]?.renewals ?? 0) + 1;
      return { ...object, spec: { renewals: count, renewTime: timeText(api.clock.nowMs()) } };
    });
  }

  /** Addresses of servers whose lease has changed lately, this one's among them; in order. */
  #alive(): string[] {
    const { api, address } = this.#o;
    const now = api.clock.monotonicMs();
    const alive = new Set([address]);
    const there = new Set<string>();
    for (const o of api.cache.of(LEASES.group, LEASES.resource).values()) {
      const name = o.key.name;
      there.add(name);
      if (name === address) continue;
      const text = String(o.revision);
      let seen = this.#seen.get(name);
      if (seen?.text !== text) {
        seen = { text, atMs: now };
        this.#seen.set(name, seen);
      }
      if (now - seen.atMs <= LEASE_MS) alive.add(name);
    }
    for (const name of this.#seen.keys()) if (!there.has(name)) this.#seen.delete(name);
    for (const name of there) if (!alive.has(name)) this.#forget(name);
    return [...alive].sort();
  }

  /** The lease of a server that is gone. */
  #forget(address: string): void {
    const { storage } = this.#o.api;
    const key = { ...LEASES, name: address };
    void storage
      .read(key, false)
      .then((o) => o && storage.delete(key, o.copy(), o.revision))
      .catch(() => {}); // It was renewed, or another was faster.
  }

  async #reconcile(): Promise<void> {
    if (!this.#stopped) await this.#write(this.#alive());
  }

  async #write(addresses: readonly string[]): Promise<void> {
    const { cache } = this.#o.api;
    const there = cache.of("discovery.k8s.io", "endpointslices").get("default", "kubernetes")?.object;
    const listed = ((there?.["endpoints"] ?? []) as { addresses: string[] }[]).flatMap((e) => e.addresses).sort();
    const endpoints = cache.of("", "endpoints").get("default", "kubernetes")?.object;
    const old = ((endpoints?.["subsets"]?.[0]?.addresses ?? []) as { ip: string }[]).map((a) => a.ip).sort();
    const wanted = addresses.join();
    const ports = [{ name: "https", protocol: "TCP", port: this.#o.port }];
    if (old.join() !== wanted || endpoints?.["subsets"]?.[0]?.ports?.[0]?.port !== this.#o.port)
      await this.#put("/api/v1/namespaces/default/endpoints/kubernetes", {
        kind: "Endpoints",
        apiVersion: "v1",
        metadata: { name: "kubernetes", namespace: "default", labels: { "endpointslice.kubernetes.io/skip-mirror": "true" } },
        subsets: [{ addresses: addresses.map((ip) => ({ ip })), ports }],
      });
    if (listed.join() === wanted && there?.["ports"]?.[0]?.port === this.#o.port) return;
    const slice = {
      kind: "EndpointSlice",
      apiVersion: "discovery.k8s.io/v1",
      metadata: { name: "kubernetes", namespace: "default", labels: { "kubernetes.io/service-name": "kubernetes" } },
      addressType: "IPv4",
      endpoints: addresses.map((a) => ({ addresses: [a], conditions: { ready: true } })),
      ports,
    };
    if (there) await this.#put(`${SLICES}/kubernetes`, slice);
    else await this.#send("POST", SLICES, slice);
  }

  #put(path: string, body: unknown): Promise<void> {
    return this.#send("PUT", path, body);
  }

  async #send(method: string, path: string, body: unknown): Promise<void> {
    const headers = { "content-type": "application/json", "user-agent": "kube-apiserver/v1.34" };
    const r = await this.#o.handle({ method, path, headers, body: new TextEncoder().encode(JSON.stringify(body)) }, SELF);
    if (r.status >= 300 && r.status !== 409) throw new Error(`${method} ${path}: ${r.status} ${String(r.body).slice(0, 200)}`);
  }
}
