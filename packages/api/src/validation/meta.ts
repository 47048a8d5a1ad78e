// Object metadata: names, labels, annotations, owners, finalizers; and what an update may not change (apimachinery
// api/validation and core/validation of Kubernetes 1.34).
import { forbidden, invalid, required, tooLong } from "../errors/field-error.ts";
import {
  byteLength,
  isDns1035Label,
  isDns1123Label,
  isDns1123Subdomain,
  isLabelValue,
  isPathSegmentName,
  isQualifiedName,
} from "../meta/names.ts";
import { deepEqual } from "../patch/json-patch.ts";
import { type Errors, IMMUTABLE, invalidAll, nonNegative, type Obj } from "./rules.ts";

/** Checks a name; `prefix` is true for generateName, which may end in a dash. */
export type NameRule = (name: string, prefix: boolean) => string[];

const maskTrailingDash = (name: string): string => (name.length > 1 && name.endsWith("-") ? `${name.slice(0, -2)}a` : name);
const rule =
  (check: (name: string) => string[]): NameRule =>
  (name, prefix) =>
    check(prefix ? maskTrailingDash(name) : name);

export const SUBDOMAIN_NAME = rule(isDns1123Subdomain);
export const LABEL_NAME = rule(isDns1123Label);
export const DNS1035_NAME = rule(isDns1035Label);
export const PATH_SEGMENT_NAME: NameRule = (name) => isPathSegmentName(name);

const ANNOTATIONS_MAX_BYTES = 256 * 1024;
const STANDARD_FINALIZERS = new Set(["kubernetes", "orphan", "foregroundDeletion"]);
const FIELD_MANAGER_MAX = 128;

export function validateObjectMeta(errs: Errors, m: Obj, opts: { namespaced: boolean; name: NameRule; path?: string }): void {
  const path = opts.path ?? "metadata";
  if (m.generateName) invalidAll(errs, `${path}.generateName`, m.generateName, opts.name(m.generateName, true));
  if (!m.name) errs.push(required(`${path}.name`, "name or generateName is required"));
  else invalidAll(errs, `${path}.name`, m.name, opts.name(m.name, false));
  if (opts.namespaced) {
    if (!m.namespace) errs.push(required(`${path}.namespace`));
    else invalidAll(errs, `${path}.namespace`, m.namespace, isDns1123Label(m.namespace));
  } else if (m.namespace) errs.push(forbidden(`${path}.namespace`, "not allowed on this type"));
  nonNegative(errs, `${path}.generation`, m.generation);
  validateCommon(errs, m, path);
  if (m.finalizers) {
    for (const f of m.finalizers) invalidAll(errs, `${path}.finalizers`, f, isQualifiedName(f));
    finalizerConflict(errs, m.finalizers, path);
  }
  validateManagedFields(errs, m.managedFields, path);
  (m.finalizers ?? []).forEach((f: string, i: number) => {
    if (!f.includes("/") && !STANDARD_FINALIZERS.has(f)) {
      errs.push(invalid(`${path}.finalizers[${i}]`, f, "name is neither a standard finalizer name nor is it fully qualified"));
    }
  });
}

function finalizerConflict(errs: Errors, finalizers: string[], path: string): void {
  if (finalizers.includes("orphan") && finalizers.includes("foregroundDeletion")) {
    errs.push(invalid(`${path}.finalizers`, finalizers, `finalizer orphan and foregroundDeletion cannot be both set`));
  }
}

function validateCommon(errs: Errors, m: Obj, path: string): void {
  if (m.labels) validateLabels(errs, m.labels, `${path}.labels`);
  if (m.annotations) validateAnnotations(errs, m.annotations, `${path}.annotations`);
  if (m.ownerReferences) validateOwners(errs, m.ownerReferences, `${path}.ownerReferences`);
}

const goodKeys = new Set<string>();
const GOOD_KEYS_MAX = 4096;

/** Qualified names repeat endlessly; remember the good ones. */
function keyErrors(key: string): string[] {
  if (goodKeys.has(key)) return [];
  const errs = isQualifiedName(key);
  if (errs.length === 0) {
    if (goodKeys.size >= GOOD_KEYS_MAX) goodKeys.clear();
    goodKeys.add(key);
  }
  return errs;
}

export function validateLabels(errs: Errors, labels: Record<string, string>, path: string): void {
  for (const k in labels) {
    const ke = keyErrors(k);
    if (ke.length > 0) invalidAll(errs, path, k, ke);
    const ve = isLabelValue(labels[k]!);
    if (ve.length > 0) invalidAll(errs, path, labels[k], ve);
  }
}

export function validateAnnotations(errs: Errors, annotations: Record<string, string>, path: string): void {
  let bytes = 0;
  for (const k in annotations) {
    const ke = keyErrors(k.toLowerCase());
    if (ke.length > 0) invalidAll(errs, path, k, ke);
    bytes += byteLength(k) + byteLength(annotations[k]!);
  }
  if (bytes > ANNOTATIONS_MAX_BYTES) errs.push(tooLong(path, ANNOTATIONS_MAX_BYTES));
}

function validateOwners(errs: Errors, owners: Obj[], path: string): void {
  let controller: string | undefined;
  for (const o of owners) {
    const version = o.apiVersion.slice(o.apiVersion.indexOf("/") + 1);
    if (version === "") errs.push(invalid(`${path}.apiVersion`, o.apiVersion, "version must not be empty"));
    if (o.kind === "") errs.push(invalid(`${path}.kind`, o.kind, "must not be empty"));
    if (o.name === "") errs.push(invalid(`${path}.name`, o.name, "must not be empty"));
    if (o.uid === "") errs.push(invalid(`${path}.uid`, o.uid, "must not be empty"));
    if (o.kind === "Event" && (o.apiVersion === "v1" || o.apiVersion === "events.k8s.io/v1")) {
      errs.push(invalid(path, o, `${o.apiVersion}, Kind=${o.kind} is disallowed from being an owner`));
    }
    if (o.controller !== true) continue;
    const name = `${o.kind}/${o.name}`;
    if (controller !== undefined) {
      errs.push(
        invalid(
          path,
          owners,
          `Only one reference can have Controller set to true. Found "true" in references for ${controller} and ${name}`,
        ),
      );
    } else controller = name;
  }
}

function validateManagedFields(errs: Errors, entries: Obj[] | undefined, path: string): void {
  (entries ?? []).forEach((e, i) => {
    const p = `${path}.managedFields[${i}]`;
    if (e.operation !== "Apply" && e.operation !== "Update")
      errs.push(invalid(`${p}.operation`, e.operation ?? "", "must be `Apply` or `Update`"));
    if (e.fieldsType !== undefined && e.fieldsType !== "FieldsV1")
      errs.push(invalid(`${p}.fieldsType`, e.fieldsType, "must be `FieldsV1`"));
    if (e.manager !== undefined) validateFieldManager(errs, e.manager, `${p}.manager`);
  });
}

export function validateFieldManager(errs: Errors, manager: string, path: string): void {
  if (byteLength(manager) > FIELD_MANAGER_MAX) errs.push(tooLong(path, FIELD_MANAGER_MAX));
  else if (!/^[\x20-\x7e\u00a0-\uffff]*$/u.test(manager)) errs.push(invalid(path, manager, "should only contain printable characters"));
}

/** metadata of an update against what is stored: the generic store looks first, then the kind's strategy looks again, and both report. */
export function validateObjectMetaUpdate(errs: Errors, m: Obj, old: Obj, path = "metadata"): void {
  const found: Errors = [];
  metaUpdate(found, m, old, path);
  errs.push(...found, ...found);
}

function metaUpdate(errs: Errors, m: Obj, old: Obj, path: string): void {
  if (old.deletionTimestamp) {
    const added = (m.finalizers ?? []).filter((f: string) => !(old.finalizers ?? []).includes(f));
    if (added.length > 0) {
      const text = `[]string{${added.map((f: string) => JSON.stringify(f)).join(", ")}}`;
      errs.push(
        forbidden(`${path}.finalizers`, `no new finalizers can be added if the object is being deleted, found new finalizers ${text}`),
      );
    }
  }
  if (!m.resourceVersion) errs.push(invalid(`${path}.resourceVersion`, "", "must be specified for an update"));
  if ((m.generation ?? 0) < (old.generation ?? 0)) errs.push(invalid(`${path}.generation`, m.generation ?? 0, "must not be decremented"));
  for (const f of ["name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"]) {
    if (!deepEqual(m[f] ?? null, old[f] ?? null))
      errs.push(invalid(`${path}.${f}`, m[f] ?? (typeof old[f] === "string" && f !== "deletionTimestamp" ? "" : null), IMMUTABLE));
  }
  validateCommon(errs, m, path);
  validateManagedFields(errs, m.managedFields, path);
}
