// Resource names and amounts: containers, quotas, limit ranges, claims (core/validation of Kubernetes 1.34).
import { duplicate, invalid, notFound, required } from "../errors/field-error.ts";
import { isQualifiedName } from "../meta/names.ts";
import { parseQuantity } from "../meta/quantity.ts";
import { type Errors, invalidAll, NOT_NEGATIVE, type Obj } from "./rules.ts";

const CONTAINER = new Set(["cpu", "memory", "ephemeral-storage"]);
const QUOTA_SCOPABLE = [
  "cpu",
  "memory",
  "ephemeral-storage",
  "requests.cpu",
  "requests.memory",
  "requests.storage",
  "requests.ephemeral-storage",
  "limits.cpu",
  "limits.memory",
  "limits.ephemeral-storage",
  "pods",
  "resourcequotas",
  "services",
  "replicationcontrollers",
  "secrets",
  "persistentvolumeclaims",
  "configmaps",
  "services.nodeports",
  "services.loadbalancers",
  "storage",
  "count/",
];
const STANDARD = new Set([...QUOTA_SCOPABLE, ...CONTAINER]);
const INTEGER = new Set([
  "pods",
  "resourcequotas",
  "services",
  "replicationcontrollers",
  "secrets",
  "configmaps",
  "persistentvolumeclaims",
  "services.nodeports",
  "services.loadbalancers",
]);

export const isHugePage = (name: string): boolean => name.startsWith("hugepages-");
const isPrefixed = (name: string): boolean => name.startsWith("requests.hugepages-") || name.startsWith("limits.hugepages-");
export const isNative = (name: string): boolean => !name.includes("/") || name.includes("kubernetes.io/");
/** Resources of devices and the like, which cannot be overcommitted. */
export function isExtended(name: string): boolean {
  if (isNative(name) || name.startsWith("requests.")) return false;
  return isQualifiedName(`requests.${name}`).length === 0;
}
const isStandardContainer = (name: string): boolean => CONTAINER.has(name) || isHugePage(name);
export const isStandardQuota = (name: string): boolean => STANDARD.has(name) || isHugePage(name) || isPrefixed(name);
export const isIntegerResource = (name: string): boolean => INTEGER.has(name) || isExtended(name);

/** The name of any resource. */
export function validateResourceName(errs: Errors, name: string, path: string): void {
  const bad = isQualifiedName(name);
  invalidAll(errs, path, name, bad);
  if (bad.length > 0) return;
  if (!name.includes("/") && !isStandardQuota(name)) errs.push(invalid(path, name, "must be a standard resource type or fully qualified"));
}

function validateContainerResourceName(errs: Errors, name: string, path: string): void {
  validateResourceName(errs, name, path);
  if (!name.includes("/")) {
    if (!isStandardContainer(name)) errs.push(invalid(path, name, "must be a standard resource for containers"));
  } else if (!isNative(name) && !isExtended(name)) {
    errs.push(invalid(path, name, "doesn't follow extended resource name standard"));
  }
}

export function validateAmount(errs: Errors, name: string, amount: string, path: string): void {
  const q = parseQuantity(amount);
  if (q.sign() < 0) errs.push(invalid(path, amount, NOT_NEGATIVE));
  if (isIntegerResource(name) && q.nano % 1_000_000_000n !== 0n) errs.push(invalid(path, amount, "must be an integer"));
}

/** `resources` of a container. `claims` are the names of the pod's resource claims. */
export function validateContainerResources(errs: Errors, r: Obj, path: string, claims: ReadonlySet<string>): void {
  if (r === undefined) return;
  const limits: Record<string, string> = r.limits ?? {};
  const requests: Record<string, string> = r.requests ?? {};
  let hasCpuOrMemory = false;
  let hasHugePages = false;
  for (const name in limits) {
    const p = `${path}.limits[${name}]`;
    validateContainerResourceName(errs, name, p);
    validateAmount(errs, name, limits[name]!, p);
    if (isHugePage(name)) {
      hasHugePages = true;
      validateHugePageAmount(errs, name, limits[name]!, p);
    }
    if (name === "cpu" || name === "memory") hasCpuOrMemory = true;
  }
  for (const name in requests) {
    const p = `${path}.requests[${name}]`;
    validateContainerResourceName(errs, name, p);
    validateAmount(errs, name, requests[name]!, p);
    const limit = limits[name];
    if (limit !== undefined) {
      const cmp = parseQuantity(requests[name]!).cmp(parseQuantity(limit));
      if (isExtendedOrHuge(name) && cmp !== 0) {
        errs.push(invalid(`${path}.requests`, requests[name], `must be equal to ${name} limit of ${limit}`));
      } else if (cmp > 0) {
        errs.push(invalid(`${path}.requests`, requests[name], `must be less than or equal to ${name} limit of ${limit}`));
      }
    } else if (isExtendedOrHuge(name)) {
      errs.push(required(`${path}.limits`, "Limit must be set for non overcommitable resources"));
    }
    if (isHugePage(name)) {
      hasHugePages = true;
      validateHugePageAmount(errs, name, requests[name]!, p);
    }
    if (name === "cpu" || name === "memory") hasCpuOrMemory = true;
  }
  if (hasHugePages && !hasCpuOrMemory)
    errs.push({ type: "FieldValueForbidden", field: path, detail: "HugePages require cpu or memory", badValue: "" });
  validateClaims(errs, r.claims ?? [], `${path}.claims`, claims);
}

const isExtendedOrHuge = (name: string): boolean => isExtended(name) || isHugePage(name);

function validateHugePageAmount(errs: Errors, name: string, amount: string, path: string): void {
  let size: bigint;
  try {
    size = parseQuantity(name.slice("hugepages-".length)).value();
  } catch {
    return;
  }
  if (size > 0n && parseQuantity(amount).value() % size !== 0n)
    errs.push(invalid(path, amount, `must be a multiple of page size ${name.slice("hugepages-".length)}`));
}

function validateClaims(errs: Errors, claims: Obj[], path: string, known: ReadonlySet<string>): void {
  const seen = new Set<string>();
  claims.forEach((c, i) => {
    if (c.name === "") errs.push(required(`${path}[${i}].name`));
    else {
      const key = `${c.name}/${c.request ?? ""}`;
      if (seen.has(key)) errs.push(duplicate(`${path}[${i}]`, c.name));
      seen.add(key);
      if (!known.has(c.name)) errs.push(notFound(`${path}[${i}]`, c.name));
    }
  });
}
