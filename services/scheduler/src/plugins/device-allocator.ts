// Which devices of the published ResourceSlices satisfy claims on one node (resource.k8s.io/v1, dynamic-resource-allocation/structured). Pure.
// Invariants: a device goes to one request, unless for administrators; of a pool only the newest generation counts, and only when all of its
// slices are there; the search ends after MAX_STEPS, as if nothing had been found.
import { CelCompileError, type CelProgram, CelRuntimeError, compileCel } from "@podwire/api";
import { PodwireError } from "@podwire/base";
import type { KubeObject } from "@podwire/client";
import type { NodeInfo } from "../framework/node-info.ts";
import { compileTerms } from "../framework/node-selector.ts";

/** A selector of a class or claim that cannot be evaluated. */
export class SelectorError extends PodwireError {}

/** Devices tried for requests, all ways together. */
const MAX_STEPS = 100_000;
const MAX_PROGRAMS = 1_000;
const DEVICE = { kind: "dyn" };

export interface Device {
  driver: string;
  pool: string;
  name: string;
  spec: any;
  /** How the device is tied to nodes. */
  reach: { node?: string; selector?: any };
}

export const deviceKey = (d: { driver: string; pool: string; device: string }): string => `${d.driver}/${d.pool}/${d.device}`;

/** The devices that can be used on a node, in the order of their slices. */
export function devicesOn(slices: readonly KubeObject[], node: NodeInfo): Device[] {
  const pools = new Map<string, KubeObject[]>();
  for (const s of slices) {
    const key = `${s["spec"].driver}/${s["spec"].pool.name}`;
    const known = pools.get(key);
    const generation = s["spec"].pool.generation ?? 0;
    const newest = known?.[0]?.["spec"].pool.generation ?? Number.NEGATIVE_INFINITY;
    if (generation > newest) pools.set(key, [s]);
    else if (generation === newest) known?.push(s);
  }
  const out: Device[] = [];
  for (const list of pools.values()) {
    if (list.length !== list[0]?.["spec"].pool.resourceSliceCount) continue;
    for (const { spec } of list as any[])
      for (const d of spec.devices ?? []) {
        const at = spec.perDeviceNodeSelection ? d : spec;
        if (!reaches(at, node)) continue;
        const reach = at.nodeName ? { node: at.nodeName } : at.nodeSelector ? { selector: at.nodeSelector } : {};
        out.push({ driver: spec.driver, pool: spec.pool.name, name: d.name, spec: d, reach });
      }
  }
  return out;
}

function reaches(at: any, node: NodeInfo): boolean {
  if (at.allNodes) return true;
  if (at.nodeName) return at.nodeName === node.name;
  return compileTerms(at.nodeSelector?.nodeSelectorTerms)?.(node) === true;
}

const programs = new Map<string, CelProgram>();

function matches(selectors: readonly any[], d: Device): boolean {
  return selectors.every((s) => {
    const expression: string = s.cel?.expression ?? "";
    let program = programs.get(expression);
    try {
      if (!program) {
        if (programs.size >= MAX_PROGRAMS) programs.clear();
        programs.set(expression, (program = compileCel(expression, { device: DEVICE })));
      }
      return program.run({ device: celDevice(d) }).value === true;
    } catch (e) {
      if (e instanceof CelCompileError || e instanceof CelRuntimeError)
        throw new SelectorError(`selector ${expression}: ${e.message}`, { cause: e });
      throw e;
    }
  });
}

const make = {
  quantity: compileCel("quantity(x)", { x: { kind: "string" } }),
  semver: compileCel("semver(x)", { x: { kind: "string" } }),
};
const celDevices = new WeakMap<object, unknown>();

/** The variable `device`: attributes and capacity by domain and name; a name without a domain is the driver's. */
function celDevice(d: Device): unknown {
  const known = celDevices.get(d.spec);
  if (known) return known;
  const byDomain = (all: Record<string, any> | undefined, value: (v: any) => unknown) => {
    const out: Record<string, Record<string, unknown>> = { [d.driver]: {} };
    for (const [full, v] of Object.entries(all ?? {})) {
      const slash = full.indexOf("/");
      const domain = slash < 0 ? d.driver : full.slice(0, slash);
      (out[domain] ??= {})[full.slice(slash + 1)] = value(v);
    }
    return out;
  };
  const attribute = (v: any) =>
    v.int !== undefined ? BigInt(v.int) : v.version !== undefined ? make.semver.run({ x: v.version }).value : (v.bool ?? v.string);
  const device = {
    driver: d.driver,
    attributes: byDomain(d.spec.attributes, attribute),
    capacity: byDomain(d.spec.capacity, (v) => make.quantity.run({ x: String(v.value) }).value),
  };
  celDevices.set(d.spec, device);
  return device;
}

interface Wanted {
  /** "name", or "name/alternative". */
  request: string;
  /** Devices that fit, but for being taken. */
  fit: Device[];
  count: number;
  admin: boolean;
  selection: any;
  /** Keys of constraints that speak of it. */
  constraints: any[];
}

export interface AllocationInput {
  claims: readonly KubeObject[];
  devices: readonly Device[];
  deviceClass(name: string): KubeObject | undefined;
  /** deviceKey of what others have. */
  taken: ReadonlySet<string>;
  node: NodeInfo;
}

/** An AllocationResult for each claim, or undefined when they cannot all be had together. Throws SelectorError. */
export function allocate(i: AllocationInput): any[] | undefined {
  const used = new Set(i.taken);
  const budget = { steps: MAX_STEPS };
  const chosen: Chosen[][] = [];
  const next = (k: number): boolean => {
    const claim = i.claims[k];
    if (!claim) return true;
    for (const wanted of alternatives(i, claim)) {
      const picked: Chosen[] = [];
      const done = search(wanted, 0, 0, picked, used, budget, () => {
        chosen[k] = [...picked];
        return next(k + 1);
      });
      if (done) return true;
    }
    return false;
  };
  return next(0) ? i.claims.map((c, k) => result(i, c, chosen[k] as Chosen[])) : undefined;
}

interface Chosen {
  wanted: Wanted;
  device: Device;
}

/** The ways to read a claim: with firstAvailable each request has several, the earlier the better. */
function* alternatives(i: AllocationInput, claim: KubeObject): Generator<Wanted[]> {
  const requests: any[] = claim["spec"]?.devices?.requests ?? [];
  const constraints: any[] = claim["spec"]?.devices?.constraints ?? [];
  function* from(k: number, before: Wanted[]): Generator<Wanted[]> {
    const r = requests[k];
    if (!r) {
      yield before;
      return;
    }
    const options = r.exactly
      ? [{ name: r.name, selection: r.exactly }]
      : (r.firstAvailable ?? []).map((s: any) => ({ name: `${r.name}/${s.name}`, selection: s }));
    for (const { name, selection } of options) {
      const w = wantedOf(
        i,
        name,
        selection,
        constraints.filter((x) => !x.requests?.length || x.requests.includes(r.name) || x.requests.includes(name)),
      );
      if (w) yield* from(k + 1, [...before, w]);
    }
  }
  yield* from(0, []);
}

function wantedOf(i: AllocationInput, request: string, selection: any, constraints: any[]): Wanted | undefined {
  const selectors = [...(i.deviceClass(selection.deviceClassName)?.["spec"]?.selectors ?? []), ...(selection.selectors ?? [])];
  const fit = i.devices.filter((d) => matches(selectors, d));
  const admin = selection.adminAccess === true;
  const isFree = (d: Device) => admin || !i.taken.has(deviceKey({ ...d, device: d.name }));
  if (selection.allocationMode === "All")
    return fit.length > 0 && fit.every(isFree) ? { request, fit, count: fit.length, admin, selection, constraints } : undefined;
  const free = fit.filter(isFree);
  const count = selection.count ?? 1;
  return free.length >= count ? { request, fit: free, count, admin, selection, constraints } : undefined;
}

function search(
  wanted: readonly Wanted[],
  at: number,
  have: number,
  picked: Chosen[],
  used: Set<string>,
  budget: { steps: number },
  found: () => boolean,
): boolean {
  const w = wanted[at];
  if (!w) return found();
  if (have === w.count) return search(wanted, at + 1, 0, picked, used, budget, found);
  for (const device of w.fit) {
    if (--budget.steps < 0) return false;
    const key = deviceKey({ ...device, device: device.name });
    if (w.admin ? picked.some((p) => p.wanted === w && p.device === device) : used.has(key)) continue;
    if (!w.constraints.every((k) => keeps(k, picked, device))) continue;
    picked.push({ wanted: w, device });
    if (!w.admin) used.add(key);
    if (search(wanted, at, have + 1, picked, used, budget, found)) return true;
    picked.pop();
    if (!w.admin) used.delete(key);
  }
  return false;
}

/** All devices of a constraint have the same value of its attribute. */
function keeps(constraint: any, picked: readonly Chosen[], device: Device): boolean {
  const name: string | undefined = constraint.matchAttribute;
  if (name === undefined) return true;
  const value = (d: Device) => {
    const a =
      d.spec.attributes?.[name] ?? (name.startsWith(`${d.driver}/`) ? d.spec.attributes?.[name.slice(d.driver.length + 1)] : undefined);
    return a === undefined ? undefined : JSON.stringify(a);
  };
  const own = value(device);
  if (own === undefined) return false;
  return picked.every((p) => !p.wanted.constraints.includes(constraint) || value(p.device) === own);
}

function result(i: AllocationInput, claim: KubeObject, chosen: readonly Chosen[]): any {
  const results = chosen.map(({ wanted: w, device: d }) => ({
    request: w.request,
    driver: d.driver,
    pool: d.pool,
    device: d.name,
    ...(w.admin ? { adminAccess: true } : {}),
  }));
  const config: any[] = [];
  for (const w of new Set(chosen.map((c) => c.wanted)))
    for (const c of i.deviceClass(w.selection.deviceClassName)?.["spec"]?.config ?? [])
      config.push({ source: "FromClass", requests: [w.request], ...c });
  for (const c of claim["spec"]?.devices?.config ?? []) config.push({ source: "FromClaim", ...c });
  const nodeSelector = selectorOf(chosen.map((c) => c.device));
  return { devices: { results, ...(config.length > 0 ? { config } : {}) }, ...(nodeSelector ? { nodeSelector } : {}) };
}

/** Where the devices can be used together. */
function selectorOf(devices: readonly Device[]): any {
  const local = devices.find((d) => d.reach.node);
  if (local) return { nodeSelectorTerms: [{ matchFields: [{ key: "metadata.name", operator: "In", values: [local.reach.node] }] }] };
  const term: { matchExpressions?: any[]; matchFields?: any[] } = {};
  for (const d of devices)
    for (const field of ["matchExpressions", "matchFields"] as const)
      for (const e of d.reach.selector?.nodeSelectorTerms?.[0]?.[field] ?? []) {
        const list = (term[field] ??= []);
        if (!list.some((x) => JSON.stringify(x) === JSON.stringify(e))) list.push(e);
      }
  return term.matchExpressions || term.matchFields ? { nodeSelectorTerms: [term] } : undefined;
}
