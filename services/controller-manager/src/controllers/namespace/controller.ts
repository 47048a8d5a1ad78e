// Deletes what a terminating namespace holds, pods first, and lets the namespace go when nothing is left.
// Invariant: the finalizer "kubernetes" is removed only after every collection was listed and found empty.

import { reasonOf } from "@podwire/base";
import { isNotFound, type KubeObject, Resources, runController } from "@podwire/client";
import type { ControllerContext, RunningController } from "../../context.ts";
import { equal } from "../../equality.ts";
import { builtinCollections, type Collection, CUSTOM_RESOURCE_DEFINITIONS, customCollections } from "../../resource-table.ts";
import { type DeletionReport, namespaceConditions, type Remaining } from "./plan.ts";

const FINALIZER = "kubernetes";
/** How long until a namespace with content is looked at again; doubled each time. */
const FIRST_LOOK_MS = 100;
const MAX_LOOK_MS = 3_000;
/** Collections that are emptied at the same time. */
const PARALLEL = 8;

export function startNamespace(c: ControllerContext): RunningController {
  const namespaces = c.informers.of(Resources.namespaces);
  const crds = c.informers.of(CUSTOM_RESOURCE_DEFINITIONS);
  const looks = new Map<string, number>();
  const controller = runController({ name: "namespace", clock: c.clock, log: c.log, informers: [namespaces], workers: 10, reconcile });
  const own = (o: KubeObject) => {
    if (o.metadata.deletionTimestamp) controller.queue.add(o.metadata.name);
  };
  namespaces.handle({ onAdd: own, onUpdate: own, onDelete: (o) => void looks.delete(o.metadata.name) });

  async function reconcile(name: string) {
    let ns = namespaces.lister.get("", name);
    if (!ns?.metadata.deletionTimestamp) return undefined;
    if (ns["status"]?.phase !== "Terminating")
      ns = await c.client.updateStatus(Resources.namespaces, { ...ns, status: { ...ns["status"], phase: "Terminating" } });
    if (!(ns["spec"]?.finalizers ?? []).includes(FINALIZER)) return undefined;
    const report = await emptyOut(name);
    const clean = report.failures.length === 0 && report.remaining.every((r) => r.count === 0);
    const conditions = namespaceConditions(ns["status"]?.conditions ?? [], report, c.clock.nowMs());
    if (!clean || (ns["status"]?.conditions ?? []).length > 0) {
      if (!equal(ns["status"]?.conditions, conditions)) {
        try {
          ns = await c.client.updateStatus(Resources.namespaces, { ...ns, status: { ...ns["status"], conditions } });
        } catch (e) {
          if (isNotFound(e)) return undefined;
          throw e;
        }
      }
    }
    if (!clean) {
      const n = looks.get(name) ?? 0;
      looks.set(name, n + 1);
      return { requeueAfterMs: Math.min(MAX_LOOK_MS, FIRST_LOOK_MS * 2 ** n) };
    }
    const finalizers = (ns["spec"]?.finalizers ?? []).filter((f: string) => f !== FINALIZER);
    try {
      await c.client.update(Resources.namespaces, { ...ns, spec: { ...ns["spec"], finalizers } }, { subresource: "finalize" });
    } catch (e) {
      if (!isNotFound(e)) throw e;
    }
    return undefined;
  }

  /** Asks for the deletion of everything; reports what is still there. */
  async function emptyOut(namespace: string): Promise<DeletionReport> {
    const collections = [...builtinCollections(), ...customCollections(crds.lister.list())].filter((x) => x.ref.namespaced);
    const report = { remaining: [] as Remaining[], failures: [] as string[] };
    const pods = collections.filter((x) => x.ref.group === "" && x.ref.resource === "pods");
    await each(pods, (x) => empty(namespace, x, report));
    // The rest waits for the pods: a pod must not lose its secrets or its network policy while it shuts down.
    if (report.remaining.some((r) => r.count > 0)) return report;
    await each(
      collections.filter((x) => !pods.includes(x)),
      (x) => empty(namespace, x, report),
    );
    return report;
  }

  async function empty(namespace: string, x: Collection, report: { remaining: Remaining[]; failures: string[] }): Promise<void> {
    const resource = `${x.ref.resource}.${x.ref.group}`;
    try {
      let { items } = await c.client.list(x.ref, { namespace });
      if (items.some((o) => !o.metadata.deletionTimestamp)) {
        if (x.verbs.includes("deletecollection"))
          await c.client.deleteCollection(x.ref, { namespace }, { propagationPolicy: "Background" });
        else
          for (const o of items)
            await c.client.delete(x.ref, namespace, o.metadata.name, { propagationPolicy: "Background" }).catch((e) => {
              if (!isNotFound(e)) throw e;
            });
        ({ items } = await c.client.list(x.ref, { namespace }));
      }
      if (items.length === 0) return;
      const finalizers = new Map<string, number>();
      for (const o of items) for (const f of o.metadata.finalizers ?? []) finalizers.set(f, (finalizers.get(f) ?? 0) + 1);
      report.remaining.push({ resource, count: items.length, finalizers });
    } catch (e) {
      if (isNotFound(e)) return;
      report.failures.push(reasonOf(e));
    }
  }

  return controller;
}

async function each<T>(list: readonly T[], fn: (x: T) => Promise<void>): Promise<void> {
  let at = 0;
  await Promise.all(
    Array.from({ length: Math.min(PARALLEL, list.length) }, async () => {
      while (at < list.length) await fn(list[at++] as T);
    }),
  );
}
