// DELETE of one object and of a collection: preconditions, grace periods, finalizers, propagation (registry/rest/delete.go,
// registry/generic/registry/store.go). Invariant: an object with finalizers is never removed, only marked; a grace period only shrinks.

import { decodeBody, type FieldError, type KubeObject, notSupported, statusErrors, structType } from "@podwire/api";
import type { Api, ApiResponse, Call } from "../call.ts";
import { CLEANUP_FINALIZER } from "../customresources/definitions.ts";
import { boolean, dryRunOf, integer, listOptions } from "../request/options.ts";
import { listResponse, objectResponse, valueResponse } from "../response.ts";
import { Deletion, type Written } from "../storage/object-storage.ts";
import { header, timeText } from "./body.ts";
import { attributesOf } from "./create.ts";
import { findList } from "./list.ts";

export interface DeleteOptions {
  gracePeriodSeconds?: number;
  preconditions?: { uid?: string; resourceVersion?: string };
  orphanDependents?: boolean;
  propagationPolicy?: string;
  dryRun: boolean;
  ignoreStoreReadErrorWithClusterBreakingPotential?: boolean;
}

/** DeleteOptions come under any group's apiVersion. */
const DELETE_OPTIONS = { group: "", version: "v1", kind: "DeleteOptions", apiVersion: "v1", type: structType("meta/v1.DeleteOptions") };

export interface Deleted {
  written: Written;
  /** False while a grace period or finalizers hold it. */
  gone: boolean;
}

export async function remove(api: Api, call: Call): Promise<ApiResponse> {
  const options = deleteOptions(call);
  if (
    call.served.info.groupResource === "jobs.batch" &&
    options.propagationPolicy === undefined &&
    options.orphanDependents === undefined
  ) {
    call.warnings.push(
      "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove them or set propagationPolicy=Orphan to suppress this warning",
    );
  }
  const deleted = await deleteObject(api, call, call.name, options);
  const status = !deleted.gone && options.orphanDependents === false ? 202 : 200;
  const returnsObject = !deleted.gone || call.served.strategy.returnDeletedObject;
  if (returnsObject) {
    await call.served.prepare?.([deleted.written.cached]);
    return objectResponse(
      status,
      deleted.written.cached,
      call.served,
      call.output,
      api.clock.nowMs(),
      call.info.query.get("includeObject"),
    );
  }
  const { info } = call.served;
  const details = {
    name: call.name,
    ...(info.group ? { group: info.group } : {}),
    kind: info.resource,
    uid: deleted.written.object.metadata.uid,
  };
  return valueResponse(status, { kind: "Status", apiVersion: "v1", metadata: {}, status: "Success", details }, call.output);
}

export async function removeCollection(api: Api, call: Call): Promise<ApiResponse> {
  const options = deleteOptions(call);
  const list = listOptions(call.info.query, call.served.info, false, call.served.custom?.selectableFields);
  const found = await findList(api, call, { ...list, limit: 0, continue: "", resourceVersion: "", resourceVersionMatch: "" });
  for (const o of found.objects) {
    try {
      await deleteObject(api, { ...call, namespace: o.key.namespace, name: o.key.name }, o.key.name, options);
    } catch (e) {
      if ((e as { code?: number }).code !== 404) throw e;
    }
  }
  await call.served.prepare?.(found.objects);
  return listResponse(found.objects, found.meta, call.served, call.output, api.clock.nowMs(), call.info.query.get("includeObject"));
}

/** Options from the body, or from the query when there is none. */
export function deleteOptions(call: Call): DeleteOptions {
  const body = call.request.body;
  const errors: FieldError[] = [];
  let o: DeleteOptions & { dryRunValues?: string[] };
  if (body && body.length > 0) {
    const { object } = decodeBody(DELETE_OPTIONS, body, header(call, "content-type") || "application/json", { fieldValidation: "Ignore" });
    const { dryRun, kind: _kind, apiVersion: _version, ...given } = object as Record<string, any>;
    o = { ...given, dryRun: dryRunOf(dryRun ?? [], errors) };
  } else {
    const q = call.info.query;
    o = { dryRun: dryRunOf(q.getAll("dryRun"), errors) };
    const grace = integer(q, "gracePeriodSeconds");
    if (grace !== undefined) o.gracePeriodSeconds = grace;
    const orphan = boolean(q, "orphanDependents");
    if (orphan !== undefined) o.orphanDependents = orphan;
    const policy = q.get("propagationPolicy");
    if (policy) o.propagationPolicy = policy;
  }
  return validated(o, errors);
}

export function validated(o: DeleteOptions, errors: FieldError[]): DeleteOptions {
  if (o.propagationPolicy !== undefined) {
    if (!["Foreground", "Background", "Orphan"].includes(o.propagationPolicy))
      errors.unshift(notSupported("propagationPolicy", o.propagationPolicy, ["Foreground", "Background", "Orphan", "nil"]));
    if (o.orphanDependents !== undefined)
      errors.unshift({
        type: "FieldValueInvalid",
        field: "propagationPolicy",
        badValue: o.propagationPolicy,
        detail: "orphanDependents and deletionPropagation cannot be both set",
      });
  }
  if (errors.length > 0) throw statusErrors.invalid({ group: "meta.k8s.io", kind: "DeleteOptions" }, "", errors);
  return o;
}

/** Deletes, or marks as to be deleted. Throws 404, 409. */
export async function deleteObject(api: Api, call: Call, name: string, options: DeleteOptions): Promise<Deleted> {
  const { served } = call;
  const key = { ...served.storage, namespace: call.namespace, name };
  let gone = false;
  let admitted = false;
  let marked: KubeObject | undefined;
  const step = async (stored: KubeObject | undefined): Promise<KubeObject | Deletion> => {
    if (!stored) throw statusErrors.notFound(served.info, name);
    // Our own mark has changed the revision that the caller named.
    if (marked?.metadata.resourceVersion !== stored.metadata.resourceVersion) checkPreconditions(served.info, name, stored, options);
    if (!admitted) {
      const attributes = attributesOf(
        { ...call, name },
        "DELETE",
        undefined,
        await served.toServed(JSON.parse(JSON.stringify(stored))),
        options,
        "DeleteOptions",
      );
      await api.admission.admit(attributes);
      await api.admission.validate(attributes);
      admitted = true;
    }
    gone = false;
    const next = marked && marked.metadata.uid === stored.metadata.uid ? "remove" : mark(api, call, stored, options);
    if (next === "remove") {
      gone = true;
      return new Deletion(stored, true);
    }
    return next.object;
  };
  let written = await api.storage.update(key, step, { dryRun: options.dryRun, errorResource: served.info });
  const m = written.object.metadata;
  const graceIsOver =
    served.strategy.gracePeriod !== undefined && m.deletionTimestamp !== undefined && (m.deletionGracePeriodSeconds ?? 0) === 0;
  if (!gone && graceIsOver && (m.finalizers?.length ?? 0) === 0 && !options.dryRun) {
    marked = written.object;
    try {
      written = await api.storage.update(key, step, { errorResource: served.info });
    } catch (e) {
      if ((e as { code?: number }).code !== 404) throw e;
      gone = true;
    }
  }
  if (gone && !options.dryRun) api.allocators.onDelete(served.info, written.object);
  return { written, gone };
}

function checkPreconditions(info: { group: string; kind: string }, name: string, o: KubeObject, options: DeleteOptions): void {
  const p = options.preconditions;
  const resource = { group: info.group, resource: info.kind };
  if (p?.uid !== undefined && p.uid !== o.metadata.uid) {
    throw statusErrors.conflict(
      resource,
      name,
      `the UID in the precondition (${p.uid}) does not match the UID in record (${o.metadata.uid}). The object might have been deleted and then recreated`,
    );
  }
  if (p?.resourceVersion !== undefined && p.resourceVersion !== o.metadata.resourceVersion) {
    throw statusErrors.conflict(
      resource,
      name,
      `the ResourceVersion in the precondition (${p.resourceVersion}) does not match the ResourceVersion in record (${o.metadata.resourceVersion}). The object might have been modified`,
    );
  }
}

/** The state to write for a deletion that must wait, or "remove" when nothing holds the object. */
function mark(api: Api, call: Call, o: KubeObject, options: DeleteOptions): { object: KubeObject } | "remove" {
  const { strategy, info } = call.served;
  const m = o.metadata;
  const nowMs = api.clock.nowMs();
  if (info.group === "" && info.resource === "namespaces") return markNamespace(o, nowMs, options);
  if (info.groupResource === "customresourcedefinitions.apiextensions.k8s.io" && m.deletionTimestamp === undefined) {
    if (!m.finalizers?.includes(CLEANUP_FINALIZER)) m.finalizers = [...(m.finalizers ?? []), CLEANUP_FINALIZER];
  }
  const requested = options.gracePeriodSeconds !== undefined && options.gracePeriodSeconds < 0 ? 1 : options.gracePeriodSeconds;
  let graceful = false;
  if (strategy.gracePeriod) {
    if (m.deletionTimestamp !== undefined) {
      const pending = m.deletionGracePeriodSeconds;
      if (pending !== undefined) {
        if (requested === undefined || requested >= pending) return pending === 0 && !m.finalizers?.length ? "remove" : { object: o };
        const begun = Date.parse(m.deletionTimestamp) - pending * 1000;
        m.deletionTimestamp = timeText(begun + requested * 1000);
        m.deletionGracePeriodSeconds = requested;
        graceful = true;
      }
    } else {
      const period = strategy.gracePeriod(o, requested);
      m.deletionTimestamp = timeText(nowMs + period * 1000);
      m.deletionGracePeriodSeconds = period;
      if ((m.generation ?? 0) > 0) m.generation = (m.generation ?? 0) + 1;
      graceful = true;
    }
  }
  setFinalizers(o, options, strategy.dependents);
  const held = (m.finalizers?.length ?? 0) > 0;
  if (graceful) return { object: o };
  if (!held) return "remove";
  if (m.deletionTimestamp === undefined) {
    m.deletionTimestamp = timeText(nowMs);
    if ((m.generation ?? 0) > 0) m.generation = (m.generation ?? 0) + 1;
  }
  m.deletionGracePeriodSeconds = 0;
  return { object: o };
}

/** Namespaces wait for their spec.finalizers, which the namespace controller empties (core/namespace/storage). */
function markNamespace(o: KubeObject, nowMs: number, options: DeleteOptions): { object: KubeObject } | "remove" {
  const m = o.metadata;
  if (m.deletionTimestamp === undefined) {
    m.deletionTimestamp = timeText(nowMs);
    o["status"] = { ...o["status"], phase: "Terminating" };
    if (options.propagationPolicy === "Orphan" || options.orphanDependents) {
      const finalizers = m.finalizers ?? [];
      if (!finalizers.includes("orphan")) m.finalizers = [...finalizers, "orphan"];
    }
    return { object: o };
  }
  if ((o["spec"]?.finalizers?.length ?? 0) > 0) {
    throw statusErrors.conflict(
      { group: "", resource: "namespaces" },
      m.name ?? "",
      "The system is ensuring all content is removed from this namespace.  Upon completion, this namespace will automatically be purged by the system.",
    );
  }
  return (m.finalizers?.length ?? 0) > 0 ? { object: o } : "remove";
}

/** The finalizers by which the garbage collector learns of the wish to orphan or to delete dependents first. */
function setFinalizers(o: KubeObject, options: DeleteOptions, byDefault: "background" | "orphan" | "none"): void {
  const before = o.metadata.finalizers ?? [];
  if (byDefault === "none") return;
  const wish = options.orphanDependents !== undefined ? (options.orphanDependents ? "Orphan" : "Background") : options.propagationPolicy;
  let orphan = wish === "Orphan";
  let foreground = wish === "Foreground";
  if (wish === undefined) {
    orphan = before.includes("orphan") || (byDefault === "orphan" && !before.includes("foregroundDeletion"));
    foreground = before.includes("foregroundDeletion");
  }
  const after = before.filter((f) => f !== "orphan" && f !== "foregroundDeletion");
  if (orphan) after.push("orphan");
  if (foreground) after.push("foregroundDeletion");
  const same = after.length === before.length && after.every((f) => before.includes(f));
  if (same) return;
  if (after.length > 0) o.metadata.finalizers = after;
  else delete o.metadata.finalizers;
}
