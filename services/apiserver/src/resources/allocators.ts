// ClusterIPs and node ports of Services (core/service/storage/alloc.go). Each allocation is an object in the store, created before the
// Service and removed after it: IPAddress objects (networking.k8s.io) and, for ports, keys of an internal resource.
// Invariant: two Services never hold one address or port, with several apiservers too, for the store refuses the second key.
import { type KubeObject, type ResourceInfo, StatusError, statusErrors } from "@podwire/api";
import type { Clock, Logger, Random } from "@podwire/base";
import { KeyNotFoundError, RevisionConflictError } from "@podwire/store";
import type { WatchCache } from "../cache/watch-cache.ts";
import type { ObjectStorage } from "../storage/object-storage.ts";
import { timeText } from "../verbs/body.ts";
import { decideFamilies } from "./ip-families.ts";
import { addressAt, contains, type IpFamily, type IpRange, parseIpNumber, staticBand, usable } from "./ip-range.ts";
import { allRanges, readyRanges } from "./service-ranges.ts";

export interface Allocation {
  /** Gives back what was allocated; for a write that failed or was a dry run. */
  release(): void;
}

export interface PortRange {
  first: number;
  size: number;
}

const SERVICE_CIDRS = { group: "networking.k8s.io", resource: "servicecidrs" };
const PORTS = { group: "internal.podwire", resource: "nodeports" };
const ADDRESSES = { group: "networking.k8s.io", resource: "ipaddresses" };
/** Random picks before a range is gone through in order. */
const PICKS = 64;
/** Random picks of a port before the range counts as full. */
const PORT_PICKS = 1_024;
/** Addresses of a range that are gone through; past it the range counts as full. */
const MAX_WALK = 65_536;
/** What tells the allocator's IPAddress objects from others'. */
export const MANAGED_BY = { "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io" } as const;
export const FAMILY_LABEL = "ipaddress.kubernetes.io/ip-family";
/** An allocation whose Service is not there after this long was left by a crash. */
const LEAK_AFTER_MS = 60_000;

export class Allocators {
  readonly #storage: ObjectStorage;
  readonly #cache: WatchCache;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #log: Logger;
  /** Of the flags, the primary family's first; they say which families the cluster has. */
  readonly ranges: readonly [IpRange, ...IpRange[]];
  readonly ports: PortRange;

  constructor(o: {
    storage: ObjectStorage;
    cache: WatchCache;
    clock: Clock;
    random: Random;
    log: Logger;
    ranges: readonly [IpRange, ...IpRange[]];
    ports: PortRange;
  }) {
    this.#storage = o.storage;
    this.#cache = o.cache;
    this.#clock = o.clock;
    this.#random = o.random;
    this.#log = o.log;
    this.ranges = o.ranges;
    this.ports = o.ports;
  }

  /** Fills in addresses and ports of a new Service. Throws 422 when a chosen one is taken or outside the range. */
  async onCreate(info: ResourceInfo, o: KubeObject, dryRun: boolean): Promise<Allocation | undefined> {
    if (!isService(info)) return undefined;
    return this.#allocate(o, undefined, dryRun);
  }

  /** What an update leaves out is taken from the current Service, before validation looks at it. */
  inherit(info: ResourceInfo, next: KubeObject, current: KubeObject): void {
    if (isService(info)) inheritAllocated(next["spec"] ?? {}, current["spec"] ?? {});
  }

  async onUpdate(info: ResourceInfo, next: KubeObject, current: KubeObject, dryRun: boolean): Promise<Allocation | undefined> {
    if (!isService(info)) return undefined;
    return this.#allocate(next, current, dryRun);
  }

  /** Gives back what an update no longer uses, once it is written. */
  afterUpdate(info: ResourceInfo, next: KubeObject, current: KubeObject): void {
    if (!isService(info)) return;
    const kept = new Set([...addressesOf(next), ...portsOf(next).map(String)]);
    for (const a of addressesOf(current)) if (!kept.has(a)) this.#free(ADDRESSES, a);
    for (const p of portsOf(current)) if (!kept.has(String(p))) this.#free(PORTS, String(p));
  }

  onDelete(info: ResourceInfo, o: KubeObject): void {
    if (!isService(info)) return;
    for (const a of addressesOf(o)) this.#free(ADDRESSES, a);
    for (const p of portsOf(o)) this.#free(PORTS, String(p));
  }

  async #allocate(service: KubeObject, before: KubeObject | undefined, dryRun: boolean): Promise<Allocation> {
    const taken: [typeof PORTS, string][] = [];
    const release = () => {
      for (const [where, name] of taken) this.#free(where, name);
      taken.length = 0;
    };
    try {
      await this.#address(service, before, dryRun, taken);
      await this.#nodePorts(service, before, dryRun, taken);
    } catch (e) {
      release();
      throw e;
    }
    return { release };
  }

  /** One address of each family that the Service has: those it holds stay, those it names are taken, the others are chosen. */
  async #address(service: KubeObject, before: KubeObject | undefined, dryRun: boolean, taken: [typeof PORTS, string][]): Promise<void> {
    const spec = service["spec"];
    if (spec.type === "ExternalName") return;
    decideFamilies(
      service,
      before,
      this.ranges.map((r) => r.family),
    );
    if (spec.clusterIP === "None") {
      spec.clusterIPs = ["None"];
      return;
    }
    const held = before ? addressesOf(before) : [];
    const wanted: string[] = [...(spec.clusterIPs ?? [])];
    if (spec.clusterIP && wanted.length === 0) wanted.push(spec.clusterIP);
    const addresses: string[] = [];
    for (const [i, family] of (spec.ipFamilies as IpFamily[]).entries()) {
      const address = wanted[i];
      if (address && held.includes(address)) addresses.push(address);
      else if (address) addresses.push(await this.#ownAddress(address, family, wanted, service, dryRun, taken));
      else addresses.push(await this.#pickAddress(family, service, dryRun, taken));
    }
    spec.clusterIPs = addresses;
    spec.clusterIP = addresses[0];
  }

  async #ownAddress(
    address: string,
    family: IpFamily,
    all: readonly string[],
    service: KubeObject,
    dryRun: boolean,
    taken: [typeof PORTS, string][],
  ): Promise<string> {
    const why = await this.#takeAddress(address, family, service, dryRun, taken);
    if (why === undefined) return address;
    throw statusErrors.invalid({ group: "", kind: "Service" }, service.metadata.name ?? "", [
      { type: "FieldValueInvalid", field: "spec.clusterIPs", badValue: [...all], detail: `failed to allocate IP ${address}: ${why}` },
    ]);
  }

  async #pickAddress(family: IpFamily, service: KubeObject, dryRun: boolean, taken: [typeof PORTS, string][]): Promise<string> {
    for (const range of this.#readyRanges(family)) {
      const address = await this.#pickIn(range, service, dryRun, taken);
      if (address !== undefined) return address;
    }
    throw new StatusError(500, "InternalError", "Internal error occurred: failed to allocate a serviceIP: range is full", {
      causes: [{ message: "failed to allocate a serviceIP: range is full" }],
    });
  }

  /** A free address of the range, above the band for chosen ones while there is one. */
  async #pickIn(range: IpRange, service: KubeObject, dryRun: boolean, taken: [typeof PORTS, string][]): Promise<string | undefined> {
    const band = staticBand(range);
    const n = usable(range);
    const take = async (offset: number) => {
      const address = addressAt(range, offset);
      const there = this.#cache.of(ADDRESSES.group, ADDRESSES.resource).get("", address);
      if (there && !this.#leaked(there.object)) return undefined;
      return (await this.#takeAddress(address, range.family, service, dryRun, taken)) === undefined ? address : undefined;
    };
    for (let i = 0; i < PICKS && n > band; i++) {
      const address = await take(band + 1 + this.#random.below(n - band));
      if (address !== undefined) return address;
    }
    const first = n > band ? this.#random.below(n - band) : 0;
    for (let i = 0; i < n && i < MAX_WALK; i++) {
      // First what lies above the band, from anywhere and around, then the band.
      const above = n - band;
      const address = await take(i < above ? band + 1 + ((first + i) % above) : i - above + 1);
      if (address !== undefined) return address;
    }
    return undefined;
  }

  #serviceCidrs(): KubeObject[] {
    return [...this.#cache.of(SERVICE_CIDRS.group, SERVICE_CIDRS.resource).values()].map((c) => c.object);
  }

  #readyRanges(family: IpFamily): IpRange[] {
    return readyRanges(this.#serviceCidrs(), this.ranges, family);
  }

  /** Whether any ServiceCIDR has the address. */
  inRange(address: string): boolean {
    const n = parseIpNumber(address);
    return n !== undefined && allRanges(this.#serviceCidrs(), this.ranges).some((r) => contains(r, n));
  }

  /** Why the address cannot be had, or undefined when it is ours now. */
  async #takeAddress(
    address: string,
    family: IpFamily,
    service: KubeObject,
    dryRun: boolean,
    taken: [typeof PORTS, string][],
  ): Promise<string | undefined> {
    const n = parseIpNumber(address);
    if (n === undefined || !this.#readyRanges(family).some((r) => contains(r, n)))
      return "the provided network does not match the current range";
    const object = this.#addressObject(address, family, service);
    return (await this.#take(ADDRESSES, address, object, dryRun, taken)) ? undefined : "provided IP is already allocated";
  }

  #addressObject(address: string, family: IpFamily, service: KubeObject): KubeObject {
    const { namespace = "", name = "" } = service.metadata;
    return {
      kind: "IPAddress",
      apiVersion: "networking.k8s.io/v1",
      metadata: { ...this.#system(address), labels: { [FAMILY_LABEL]: family, ...MANAGED_BY } },
      spec: { parentRef: { resource: "services", namespace, name } },
    };
  }

  /** Writes the IPAddress object that a Service's address lacks, or in place of one that says something else. */
  async repairAddress(address: string, service: KubeObject): Promise<void> {
    const family = parseIpNumber(address)?.family;
    if (family === undefined) return;
    const key = { ...ADDRESSES, namespace: "", name: address };
    const wrong = await this.#storage.read(key, true);
    if (wrong) await this.#storage.delete(key, wrong.copy(), wrong.revision);
    await this.#storage.create(key, this.#addressObject(address, family, service));
  }

  /** Removes an IPAddress object that no Service holds. */
  async dropAddress(address: string): Promise<void> {
    const key = { ...ADDRESSES, namespace: "", name: address };
    const there = await this.#storage.read(key, true);
    if (there) await this.#storage.delete(key, there.copy(), there.revision).catch(ignoreRaces);
  }

  async #nodePorts(service: KubeObject, before: KubeObject | undefined, dryRun: boolean, taken: [typeof PORTS, string][]): Promise<void> {
    const spec = service["spec"];
    const wanted = spec.type === "NodePort" || (spec.type === "LoadBalancer" && spec.allocateLoadBalancerNodePorts !== false);
    const held = new Set(before ? portsOf(before) : []);
    const mine = new Set<number>();
    if (spec.type === "NodePort" || spec.type === "LoadBalancer") {
      for (const [i, p] of ((spec.ports ?? []) as any[]).entries()) {
        if (p.nodePort) await this.#ownPort(service, p.nodePort, `spec.ports[${i}].nodePort`, held, mine, dryRun, taken);
      }
    }
    if (wanted) {
      for (const p of (spec.ports ?? []) as any[]) {
        if (p.nodePort) continue;
        // The same port in another protocol shares its node port.
        const twin = (spec.ports as any[]).find((q) => q !== p && q.port === p.port && q.protocol !== p.protocol && q.nodePort);
        p.nodePort = twin ? twin.nodePort : await this.#pickPort(service, held, mine, dryRun, taken);
      }
    }
    if (spec.type === "LoadBalancer" && spec.externalTrafficPolicy === "Local") {
      if (spec.healthCheckNodePort)
        await this.#ownPort(service, spec.healthCheckNodePort, "spec.healthCheckNodePort", held, mine, dryRun, taken);
      else spec.healthCheckNodePort = await this.#pickPort(service, held, mine, dryRun, taken);
    }
  }

  async #ownPort(
    service: KubeObject,
    port: number,
    field: string,
    held: Set<number>,
    mine: Set<number>,
    dryRun: boolean,
    taken: [typeof PORTS, string][],
  ) {
    if (held.has(port) || mine.has(port)) return;
    let why: string | undefined;
    if (port < this.ports.first || port >= this.ports.first + this.ports.size) {
      why = `provided port is not in the valid range. The range of valid ports is ${this.ports.first}-${this.ports.first + this.ports.size - 1}`;
    } else if (!(await this.#take(PORTS, String(port), this.#portObject(port, service), dryRun, taken)))
      why = "provided port is already allocated";
    if (why)
      throw statusErrors.invalid({ group: "", kind: "Service" }, service.metadata.name ?? "", [
        { type: "FieldValueInvalid", field, badValue: port, detail: why },
      ]);
    mine.add(port);
  }

  async #pickPort(
    service: KubeObject,
    held: Set<number>,
    mine: Set<number>,
    dryRun: boolean,
    taken: [typeof PORTS, string][],
  ): Promise<number> {
    const band = this.ports.size < 16 ? 0 : Math.min(Math.max(16, Math.floor(this.ports.size / 32)), 128);
    for (let i = 0; i < PORT_PICKS; i++) {
      const low = i < PORT_PICKS / 2 ? band : 0;
      const port = this.ports.first + low + this.#random.below(this.ports.size - low);
      if (held.has(port) || mine.has(port)) continue;
      if (!(await this.#take(PORTS, String(port), this.#portObject(port, service), dryRun, taken))) continue;
      mine.add(port);
      return port;
    }
    throw statusErrors.internal("failed to allocate a nodePort: range is full");
  }

  #portObject(port: number, service: KubeObject): KubeObject {
    const { namespace = "", name = "" } = service.metadata;
    return {
      kind: "NodePort",
      apiVersion: "internal.podwire/v1",
      metadata: this.#system(String(port)),
      spec: { parentRef: { resource: "services", namespace, name } },
    };
  }

  #system(name: string) {
    return { name, uid: this.#random.uuid(), creationTimestamp: timeText(this.#clock.nowMs()) };
  }

  async #take(where: typeof PORTS, name: string, object: KubeObject, dryRun: boolean, taken: [typeof PORTS, string][]): Promise<boolean> {
    const there = this.#cache.of(where.group, where.resource).get("", name);
    if (there && !this.#leaked(there.object)) return false;
    if (dryRun) return true;
    const key = { ...where, namespace: "", name };
    if (there) await this.#storage.delete(key, there.copy(), there.revision).catch(ignoreRaces);
    try {
      await this.#storage.create(key, object);
    } catch (e) {
      if (StatusError.is(e, "AlreadyExists")) return false;
      throw e;
    }
    taken.push([where, name]);
    return true;
  }

  #leaked(o: KubeObject): boolean {
    const parent = o["spec"]?.parentRef;
    if (this.#clock.nowMs() - Date.parse(o.metadata.creationTimestamp ?? "") < LEAK_AFTER_MS) return false;
    return this.#cache.of("", "services").get(parent?.namespace ?? "", parent?.name ?? "") === undefined;
  }

  #free(where: typeof PORTS, name: string): void {
    const key = { ...where, namespace: "", name };
    void this.#storage
      .read(key, true)
      .then((o) => o && this.#storage.delete(key, o.copy(), o.revision))
      .catch(ignoreRaces)
      .catch((err) => this.#log.warn({ err, name }, "an allocation could not be given back; it is reclaimed when its Service is missed"));
  }
}

function ignoreRaces(e: unknown): void {
  if (!(e instanceof RevisionConflictError) && !(e instanceof KeyNotFoundError)) throw e;
}

function isService(info: ResourceInfo): boolean {
  return info.group === "" && info.resource === "services";
}

function addressesOf(o: KubeObject): string[] {
  return (o["spec"]?.clusterIPs ?? [o["spec"]?.clusterIP]).filter((a: unknown) => typeof a === "string" && a !== "" && a !== "None");
}

function portsOf(o: KubeObject): number[] {
  const spec = o["spec"] ?? {};
  const ports = (spec.ports ?? []).map((p: any) => p.nodePort).filter((p: unknown) => typeof p === "number" && p > 0);
  if (spec.healthCheckNodePort) ports.push(spec.healthCheckNodePort);
  return [...new Set<number>(ports)];
}

/** patchAllocatedValues and dropTypeDependentFields of Kubernetes' Service strategy. */
function inheritAllocated(next: any, current: any): void {
  const hasIp = (s: any) => s.type !== "ExternalName";
  const hasPorts = (s: any) => s.type === "NodePort" || s.type === "LoadBalancer";
  if (hasIp(next) && hasIp(current)) {
    if (!next.clusterIP) next.clusterIP = current.clusterIP;
    if (!next.clusterIPs?.length && next.clusterIP === current.clusterIP && current.clusterIPs) next.clusterIPs = [...current.clusterIPs];
    next.ipFamilies ??= current.ipFamilies;
    next.ipFamilyPolicy ??= current.ipFamilyPolicy;
  }
  if (!hasIp(next) && hasIp(current)) {
    if (next.clusterIP === current.clusterIP) delete next.clusterIP;
    delete next.clusterIPs;
    delete next.ipFamilies;
    delete next.ipFamilyPolicy;
  }
  if (hasPorts(next) && hasPorts(current)) {
    const used = new Set((next.ports ?? []).map((p: any) => p.nodePort).filter(Boolean));
    const byName = new Map((current.ports ?? []).map((p: any) => [p.name ?? "", p.nodePort]));
    for (const p of next.ports ?? []) {
      const old = byName.get(p.name ?? "");
      if (!p.nodePort && old && !used.has(old)) {
        p.nodePort = old;
        used.add(old);
      }
    }
    if (next.type === "LoadBalancer" && next.externalTrafficPolicy === "Local" && !next.healthCheckNodePort && current.healthCheckNodePort)
      next.healthCheckNodePort = current.healthCheckNodePort;
  }
  const external = (s: any) => hasPorts(s) || (s.type === "ClusterIP" && s.externalIPs?.length > 0);
  const balanced = (s: any) => s.type === "LoadBalancer";
  const drop = (field: string, needs: (s: any) => boolean) => {
    if (needs(current) && !needs(next) && next[field] === current[field]) delete next[field];
  };
  drop("externalTrafficPolicy", external);
  drop("allocateLoadBalancerNodePorts", balanced);
  drop("loadBalancerClass", balanced);
  drop("internalTrafficPolicy", hasIp);
  if (!hasPorts(next) && hasPorts(current)) {
    const old = new Set((current.ports ?? []).map((p: any) => p.nodePort));
    for (const p of next.ports ?? []) if (old.has(p.nodePort)) delete p.nodePort;
    if (next.healthCheckNodePort === current.healthCheckNodePort) delete next.healthCheckNodePort;
  }
}
