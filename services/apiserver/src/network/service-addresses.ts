// Keeps what the addresses of Services rest on: the ServiceCIDR `kubernetes` out of the flags, with its condition
// (controlplane/controller/defaultservicecidr), and an IPAddress object for each address of each Service and for no other
// (core/service/ipallocator/controller/repairip.go).
// Invariants: an existing ServiceCIDR's Ready condition is not overwritten; an IPAddress is removed only when it has had the time in which its
// Service could have been written. Objects of other owners (label managed-by) are left alone.
import { type KubeObject, statusErrors } from "@podwire/api";
import { reasonOf, type Timer } from "@podwire/base";
import type { Api, ApiRequest, ApiResponse, User } from "../call.ts";
import { FAMILY_LABEL, MANAGED_BY } from "../resources/allocators.ts";
import { parseIpNumber } from "../resources/ip-range.ts";
import { DEFAULT_SERVICE_CIDR } from "../resources/service-ranges.ts";
import { timeText } from "../verbs/body.ts";

/** How often the default ServiceCIDR is looked at; and all addresses, beside what changes call for. */
const PERIOD_MS = 10_000;
const REPAIR_PERIOD_MS = 180_000;
/** After a change of an IPAddress its Service is looked at: the write that goes with it has then happened. */
const SETTLE_MS = 1_000;
/** A Service may still be written this long after its address (the request timeout). */
const GRACE_MS = 60_000;
const CIDRS = "/apis/networking.k8s.io/v1/servicecidrs";
const SELF: User = { name: "system:apiserver", groups: ["system:masters", "system:authenticated"] };
const DEFAULT_CONTROLLER = "kubernetes-service-cidr-controller";
const REPAIR_CONTROLLER = "ipallocator-repair-controller";

export interface ServiceAddressesOptions {
  api: Api;
  handle: (request: ApiRequest, user: User) => Promise<ApiResponse>;
}

export class ServiceAddresses {
  readonly #o: ServiceAddressesOptions;
  readonly #timers: Timer[] = [];
  #settling: Timer | undefined;
  #busy = false;
  #stopped = false;
  /** What was said once. */
  readonly #reported = new Set<string>();

  constructor(o: ServiceAddressesOptions) {
    this.#o = o;
  }

  /** Resolves when the ServiceCIDR of the flags exists; its status follows. */
  async start(): Promise<void> {
    await this.#ensureDefault();
  }

  /** From now on things are kept as they should be. */
  follow(): void {
    const { api } = this.#o;
    const quietly = (work: () => Promise<void>, what: string) => () =>
      void work().catch((e) => api.log.warn({ reason: reasonOf(e) }, `${what}: tried again later`));
    const cidr = quietly(() => this.#ensureDefault(), "the default ServiceCIDR");
    const repair = quietly(() => this.repair(), "the addresses of Services");
    this.#timers.push(api.clock.every(PERIOD_MS, cidr, { unref: true }), api.clock.every(REPAIR_PERIOD_MS, repair, { unref: true }));
    api.cache.onChange((o, deleted) => {
      if (o.key.group !== "networking.k8s.io" || this.#stopped) return;
      const lost = o.key.resource === "ipaddresses" && (deleted || !this.#allocators(o.object));
      if (lost && !this.#settling)
        this.#settling = api.clock.after(
          SETTLE_MS,
          () => {
            this.#settling = undefined;
            repair();
          },
          { unref: true },
        );
    });
    cidr();
  }

  stop(): void {
    this.#stopped = true;
    this.#settling?.cancel();
    for (const t of this.#timers) t.cancel();
  }

  /** Whether the object is as the allocator writes them. */
  #allocators(ip: KubeObject): boolean {
    const labels = ip.metadata.labels ?? {};
    const managed = Object.entries(MANAGED_BY).every(([k, v]) => labels[k] === v);
    return managed && labels[FAMILY_LABEL] === parseIpNumber(ip.metadata.name ?? "")?.family;
  }

  async #ensureDefault(): Promise<void> {
    const { api } = this.#o;
    const wanted = api.allocators.ranges.map((r) => r.text);
    const there = api.cache.of("networking.k8s.io", "servicecidrs").get("", DEFAULT_SERVICE_CIDR)?.object;
    if (!there) {
      await this.#send("POST", CIDRS, { metadata: { name: DEFAULT_SERVICE_CIDR }, spec: { cidrs: wanted } }, [201, 409]);
      return;
    }
    if (there.metadata.deletionTimestamp) return;
    const has: string[] = there["spec"]?.cidrs ?? [];
    if (wanted.length === 2 && has.length === 1 && has[0] === wanted[0]) {
      await this.#send("PUT", `${CIDRS}/${DEFAULT_SERVICE_CIDR}`, { ...there, spec: { cidrs: wanted } }, [200, 409]);
      return;
    }
    if (has.join() !== wanted.join()) {
      const list = (l: readonly string[]) => `[${l.join(" ")}]`;
      const message = `The default ServiceCIDR ${list(has)} does not match the controller flag configurations ${list(wanted)}`;
      await this.#once("KubernetesDefaultServiceCIDRInconsistent", there, message);
      return;
    }
    const ready = (there["status"]?.conditions ?? []).find((c: any) => c.type === "Ready");
    if (ready?.status === "False") await this.#once(ready.reason, there, `Configuration matches, but ${ready.message}`);
    if (ready !== undefined && ready.status !== "Unknown") return;
    const message = "Kubernetes default Service CIDR is ready";
    const condition = { type: "Ready", status: "True", reason: "", message, lastTransitionTime: timeText(api.clock.nowMs()) };
    const body = {
      apiVersion: "networking.k8s.io/v1",
      kind: "ServiceCIDR",
      metadata: { name: DEFAULT_SERVICE_CIDR },
      status: { conditions: [condition] },
    };
    const path = `${CIDRS}/${DEFAULT_SERVICE_CIDR}/status?fieldManager=${DEFAULT_CONTROLLER}&force=true`;
    await this.#send("PATCH", path, body, [200, 404, 409], "application/apply-patch+yaml");
  }

  async #once(reason: string, about: KubeObject, message: string): Promise<void> {
    const id = `${reason}/${about.metadata.uid}`;
    if (this.#reported.has(id)) return;
    this.#reported.add(id);
    await this.#event(DEFAULT_CONTROLLER, "ServiceCIDR", "networking.k8s.io/v1", about, reason, "ServiceCIDRConfiguration", message);
  }

  /** Every address has its object, every object its Service. */
  async repair(): Promise<void> {
    if (this.#busy || this.#stopped) return;
    this.#busy = true;
    try {
      const { cache } = this.#o.api;
      for (const s of [...cache.of("", "services").values()]) await this.#repairService(s.object);
      for (const ip of [...cache.of("networking.k8s.io", "ipaddresses").values()]) await this.#repairAddress(ip.object);
    } finally {
      this.#busy = false;
    }
  }

  async #repairService(service: KubeObject): Promise<void> {
    const { cache, allocators } = this.#o.api;
    if (service["spec"].type === "ExternalName") return;
    for (const address of (service["spec"].clusterIPs ?? []) as string[]) {
      const family = parseIpNumber(address)?.family;
      if (family === undefined) continue;
      const say = (reason: string, message: string) =>
        this.#event(REPAIR_CONTROLLER, "Service", "v1", service, reason, "ClusterIPAllocation", message);
      if (!allocators.inRange(address)) {
        const message = `Cluster IP [${family}]: ${address} is not within any configured Service CIDR; please recreate service`;
        if (!this.#reported.has(`${address}/${service.metadata.uid}`)) await say("ClusterIPOutOfRange", message);
        this.#reported.add(`${address}/${service.metadata.uid}`);
        continue;
      }
      const ip = cache.of("networking.k8s.io", "ipaddresses").get("", address)?.object;
      if (!ip) {
        await say("ClusterIPNotAllocated", `Cluster IP [${family}]: ${address} is not allocated; repairing`);
        await this.#restore(address, service);
        continue;
      }
      const ref = ip["spec"]?.parentRef ?? {};
      const { namespace = "", name = "" } = service.metadata;
      const isService = (ref.group ?? "") === "" && ref.resource === "services";
      const mine = isService && ref.namespace === namespace && ref.name === name;
      const other = isService && !mine ? cache.of("", "services").get(ref.namespace ?? "", ref.name ?? "")?.object : undefined;
      if (!mine && !other) {
        const where = `${namespace}/${name}`;
        await say("ClusterIPNotAllocated", `the ClusterIP [${family}]: ${address} for Service ${where} has a wrong reference; repairing`);
        await this.#restore(address, service);
      } else if (other && ((other["spec"].clusterIPs ?? []) as string[]).includes(address)) {
        const message = `Cluster IP [${family}]:${address} was assigned to multiple services; please recreate service`;
        await say("ClusterIPAlreadyAllocated", message);
      } else if (!this.#allocators(ip)) await this.#restore(address, service);
    }
  }

  async #repairAddress(ip: KubeObject): Promise<void> {
    const { cache, allocators, clock } = this.#o.api;
    if (ip.metadata.labels?.["ipaddress.kubernetes.io/managed-by"] !== MANAGED_BY["ipaddress.kubernetes.io/managed-by"]) return;
    const ref = ip["spec"]?.parentRef ?? {};
    const address = ip.metadata.name ?? "";
    const drop = async (reason: string, message: string) => {
      await this.#event(REPAIR_CONTROLLER, "IPAddress", "networking.k8s.io/v1", ip, reason, "IPAddressAllocation", message);
      await allocators.dropAddress(address);
    };
    const parent = `${ref.namespace ?? ""}/${ref.name ?? ""}`;
    if ((ref.group ?? "") !== "" || ref.resource !== "services") {
      const text = `&ParentReference{Group:${ref.group ?? ""},Resource:${ref.resource ?? ""},Namespace:${ref.namespace ?? ""},Name:${ref.name ?? ""},}`;
      await drop(
        "IPAddressNotAllocated",
        `IPAddress ${address} appears to have been modified, not referencing a Service ${text}: cleaning up`,
      );
      return;
    }
    const service = cache.of("", "services").get(ref.namespace ?? "", ref.name ?? "")?.object;
    // Between its address and a Service, or the other way round when it goes, lies a moment.
    if (clock.nowMs() - Date.parse(ip.metadata.creationTimestamp ?? "") <= GRACE_MS) return;
    if (!service) await drop("IPAddressNotAllocated", `IPAddress: ${address} for Service ${parent} appears to have leaked: cleaning up`);
    else if (!((service["spec"].clusterIPs ?? []) as string[]).includes(address))
      await drop("IPAddressWrongReference", `IPAddress: ${address} for Service ${parent} has a wrong reference; cleaning up`);
  }

  async #restore(address: string, service: KubeObject): Promise<void> {
    try {
      await this.#o.api.allocators.repairAddress(address, service);
    } catch (e) {
      // Another server was faster; what is still wrong is seen the next time.
      this.#o.api.log.info({ address, reason: reasonOf(e) }, "an address could not be repaired");
    }
  }

  async #event(component: string, kind: string, apiVersion: string, o: KubeObject, reason: string, action: string, note: string) {
    const { clock, random } = this.#o.api;
    const { namespace = "default", name = "", uid } = o.metadata;
    const now = new Date(clock.nowMs()).toISOString().replace("Z", "000Z");
    const regarding = { apiVersion, kind, name, uid, ...(o.metadata.namespace ? { namespace } : {}) };
    const event = {
      apiVersion: "events.k8s.io/v1",
      kind: "Event",
      metadata: { name: `${name}.${random.uuid().slice(0, 13).replace("-", "")}`, namespace },
      eventTime: now,
      reportingController: component,
      reportingInstance: component,
      type: "Warning",
      ...{ reason, action, note, regarding },
    };
    await this.#send("POST", `/apis/events.k8s.io/v1/namespaces/${namespace}/events`, event, [201, 403, 404]);
  }

  async #send(method: string, path: string, body: unknown, good: readonly number[], type = "application/json"): Promise<void> {
    const headers = { "content-type": type, "user-agent": "kube-apiserver/v1.34" };
    const r = await this.#o.handle({ method, path, headers, body: new TextEncoder().encode(JSON.stringify(body)) }, SELF);
    if (!good.includes(r.status)) throw statusErrors.internal(`${method} ${path}: ${r.status} ${String(r.body).slice(0, 200)}`);
  }
}
