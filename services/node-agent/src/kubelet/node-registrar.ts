// Registers the node and keeps it alive in the API: status every 10 s when it changed and every 5 min anyway, Lease every 10 s.
// Invariant: nothing here ends the process; an apiserver that is away is tried again for ever.
import type { Node, NodeStatus } from "@podwire/api";
import { type Clock, type Logger, type Random, reasonOf, type Timer } from "@podwire/base";
import { type ApiClient, isAlreadyExists, isConflict, isNotFound, microTime, Resources } from "@podwire/client";
import { type NodeDescription, type NodeHealth, nodeObject, nodeStatus, nodeStatusChanged } from "./node-status.ts";

export interface NodeRegistrarOptions {
  client: ApiClient;
  clock: Clock;
  random: Random;
  log: Logger;
  description: NodeDescription;
  health: () => NodeHealth;
  leaseSeconds: number;
  statusPeriodMs: number;
  /** The Node object, each time it was read or written. */
  onNode(node: Node): void;
}

const RETRY_FIRST_MS = 100;
const RETRY_MAX_MS = 7_000;
const REPORT_ANYWAY_MS = 300_000;
const LEASE_NAMESPACE = "kube-node-lease";

export class NodeRegistrar {
  readonly #o: NodeRegistrarOptions;
  readonly #abort = new AbortController();
  #timers: Timer[] = [];
  #node: (Node & { metadata: any }) | undefined;
  #sent: NodeStatus | undefined;
  #sentMs = 0;
  #lease: any;
  #reporting = false;
  #again = false;
  #renewing = false;

  constructor(o: NodeRegistrarOptions) {
    this.#o = o;
  }

  async start(): Promise<void> {
    await this.#register();
    await this.#report(true);
    await this.#renew();
    const { clock, leaseSeconds, statusPeriodMs } = this.#o;
    this.#timers.push(clock.every(statusPeriodMs, () => void this.#report(false)));
    this.#timers.push(clock.every((leaseSeconds * 1000) / 4, () => void this.#renew()));
  }

  /** Something about the node has changed: tell it now. */
  poke(): void {
    if (this.#node) void this.#report(false);
  }

  /** The object as others see it: what they put into the capacity is made allocatable. */
  observe(node: Node): void {
    if (!this.#node || node.metadata?.uid !== this.#node.metadata.uid) return;
    const text = (n: Node) => JSON.stringify([n.status?.capacity, n.status?.allocatable]);
    if (text(node) === text(this.#node)) return;
    this.#node = {
      ...this.#node,
      status: { ...this.#node.status, capacity: node.status?.capacity, allocatable: node.status?.allocatable },
    } as never;
    this.poke();
  }

  stop(): void {
    this.#abort.abort();
    for (const t of this.#timers) t.cancel();
    this.#timers = [];
  }

  async #register(): Promise<void> {
    let wait = RETRY_FIRST_MS;
    const { client, description, clock, log } = this.#o;
    for (let tries = 0; !this.#abort.signal.aborted; tries++) {
      try {
        try {
          this.#take(await client.create(Resources.nodes, nodeObject(description) as never));
        } catch (e) {
          if (!isAlreadyExists(e)) throw e;
          const live = await client.get(Resources.nodes, "", description.name);
          const labels = nodeObject(description).metadata.labels;
          if (Object.entries(labels).every(([k, v]) => live.metadata.labels?.[k] === v)) this.#take(live);
          else this.#take(await client.patch(Resources.nodes, "", description.name, "merge", { metadata: { labels } }));
        }
        return;
      } catch (e) {
        if (tries % 20 === 0) log.warn({ reason: reasonOf(e) }, "the node could not be registered yet");
        await clock.sleep(wait, this.#abort.signal).catch(() => undefined);
        wait = Math.min(wait * 2, RETRY_MAX_MS);
      }
    }
  }

  #take(node: any): void {
    this.#node = node;
    this.#o.onNode(node);
  }

  async #report(force: boolean): Promise<void> {
    if (this.#abort.signal.aborted) return;
    if (this.#reporting) {
      this.#again = true;
      return;
    }
    this.#reporting = true;
    const { client, clock, description, health, log } = this.#o;
    try {
      const now = clock.nowMs();
      const status = nodeStatus(description, health(), this.#node?.status, now);
      if (!force && now - this.#sentMs < REPORT_ANYWAY_MS && !nodeStatusChanged(this.#sent, status)) return;
      // The list's merge key is the type, which two addresses of two families share: it is replaced whole (as kubelet does).
      const addresses = status.addresses ?? [];
      const shared = new Set(addresses.map((a) => a.type)).size < addresses.length;
      const gone = Object.keys(this.#node?.status?.allocatable ?? {}).filter((k) => status.allocatable?.[k] === undefined);
      const allocatable = { ...status.allocatable, ...Object.fromEntries(gone.map((k) => [k, null])) };
      const patch = { status: { ...status, allocatable, addresses: shared ? [...addresses, { $patch: "replace" }] : addresses } };
      const answer = await client.patch<any>(Resources.nodes, "", description.name, "strategic", patch, { subresource: "status" });
      this.#sent = status;
      this.#sentMs = now;
      this.#take(answer);
    } catch (e) {
      if (isNotFound(e)) await this.#register();
      log.debug({ reason: reasonOf(e) }, "the node's status was not accepted");
    } finally {
      this.#reporting = false;
      // What was told while a report was under way is not in it.
      if (this.#again) clock.soon(() => void this.#report(false));
      this.#again = false;
    }
  }

  async #renew(): Promise<void> {
    if (this.#renewing || this.#abort.signal.aborted) return;
    this.#renewing = true;
    const { client, clock, description, leaseSeconds, log } = this.#o;
    try {
      const spec = { holderIdentity: description.name, leaseDurationSeconds: leaseSeconds, renewTime: microTime(clock.nowMs()) };
      if (this.#lease) {
        this.#lease = await client.update(Resources.leases, { ...this.#lease, spec });
        return;
      }
      const owner = this.#node ? [{ apiVersion: "v1", kind: "Node", name: description.name, uid: this.#node.metadata.uid as string }] : [];
      try {
        this.#lease = await client.create(Resources.leases, {
          metadata: { name: description.name, namespace: LEASE_NAMESPACE, ownerReferences: owner },
          spec,
        });
      } catch (e) {
        if (!isAlreadyExists(e)) throw e;
        const live = await client.get(Resources.leases, LEASE_NAMESPACE, description.name);
        this.#lease = await client.update(Resources.leases, { ...live, spec });
      }
    } catch (e) {
      if (isConflict(e) || isNotFound(e)) this.#lease = undefined;
      log.debug({ reason: reasonOf(e) }, "the node's lease was not renewed");
    } finally {
      this.#renewing = false;
    }
  }
}
