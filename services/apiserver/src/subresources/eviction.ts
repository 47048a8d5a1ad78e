// Eviction: a deletion that PodDisruptionBudgets may refuse (core/pod/storage/eviction.go).
import { type KubeObject, labelSelector, StatusError, statusErrors } from "@podwire/api";
import type { Api, ApiResponse, Call } from "../call.ts";
import { writeOptions } from "../request/options.ts";
import { success, valueResponse } from "../response.ts";
import { decodeObject, timeText } from "../verbs/body.ts";
import { attributesOf } from "../verbs/create.ts";
import { type DeleteOptions, deleteObject, validated } from "../verbs/delete.ts";
import { readOne } from "../verbs/get.ts";
import { kindInfo } from "./kind-info.ts";

/** Pods that were let go and are not gone yet: a budget waits for this many at most. */
const MAX_DISRUPTED_PODS = 2000;

export async function evict(api: Api, call: Call): Promise<ApiResponse> {
  const write = writeOptions(call.info.query, "CreateOptions");
  const eviction = decodeObject(call, kindInfo("policy", "v1", "Eviction"), write.fieldValidation);
  if (eviction.metadata?.name !== undefined && eviction.metadata.name !== call.name)
    throw statusErrors.badRequest("name in URL does not match name in Eviction object");
  const { dryRun, ...given } = (eviction["deleteOptions"] ?? {}) as Record<string, any>;
  delete given["kind"];
  delete given["apiVersion"];
  const options: DeleteOptions = validated({ ...given, dryRun: write.dryRun || (dryRun ?? []).length > 0 }, []);
  const pod = (await readOne(api, call)).object;
  const attributes = attributesOf(call, "CREATE", eviction, undefined, write, "CreateOptions");
  await api.admission.admit(attributes);
  await api.admission.validate(attributes);
  const guarded = !ignoresBudgets(pod);
  if (guarded) {
    const budgets = budgetsOf(api, pod);
    if (budgets.length > 1)
      throw new StatusError(
        500,
        "InternalError",
        "Internal error occurred: This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.",
        { causes: [{ message: "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support." }] },
      );
    const budget = budgets[0];
    if (budget && !unhealthyMayGo(pod, budget)) await spend(api, pod, budget, options.dryRun);
  }
  if (!options.dryRun && !pod.metadata.deletionTimestamp) await markEvicted(api, call);
  await deleteObject(api, { ...call, subresource: "" }, call.name, {
    ...options,
    preconditions: { ...options.preconditions, uid: options.preconditions?.uid ?? pod.metadata.uid },
  });
  return valueResponse(201, success(201), call.output);
}

/** The condition by which everybody sees why the pod goes. */
async function markEvicted(api: Api, call: Call): Promise<void> {
  const key = { group: "", resource: "pods", namespace: call.namespace, name: call.name };
  await api.storage.update(key, (pod) => {
    if (!pod) throw statusErrors.notFound(call.served.info, call.name);
    const status = (pod["status"] ??= {});
    const others = (status.conditions ?? []).filter((c: any) => c.type !== "DisruptionTarget");
    const now = timeText(api.clock.nowMs());
    const condition = {
      type: "DisruptionTarget",
      status: "True",
      lastProbeTime: null,
      lastTransitionTime: now,
      reason: "EvictionByEvictionAPI",
      message: "Eviction API: evicting",
    };
    status.conditions = [...others, condition];
    return pod;
  });
}

function ignoresBudgets(pod: KubeObject): boolean {
  const phase = pod["status"]?.phase;
  return phase === "Succeeded" || phase === "Failed" || phase === "Pending" || pod.metadata.deletionTimestamp !== undefined;
}

function budgetsOf(api: Api, pod: KubeObject): KubeObject[] {
  const found: KubeObject[] = [];
  for (const b of api.cache.of("policy", "poddisruptionbudgets").values(pod.metadata.namespace)) {
    const selector = b.object["spec"]?.selector;
    if (selector && labelSelector(selector).matches(pod.metadata.labels ?? {})) found.push(b.object);
  }
  return found;
}

function unhealthyMayGo(pod: KubeObject, budget: KubeObject): boolean {
  const ready = (pod["status"]?.conditions ?? []).some((c: any) => c.type === "Ready" && c.status === "True");
  if (ready) return false;
  if (budget["spec"]?.unhealthyPodEvictionPolicy === "AlwaysAllow") return true;
  const s = budget["status"] ?? {};
  return (s.currentHealthy ?? 0) >= (s.desiredHealthy ?? 0) && (s.desiredHealthy ?? 0) > 0;
}

/** Takes one of the budget's disruptions, or answers 429. */
async function spend(api: Api, pod: KubeObject, budget: KubeObject, dryRun: boolean): Promise<void> {
  const { name = "", namespace = "" } = budget.metadata;
  await api.storage.update(
    { group: "policy", resource: "poddisruptionbudgets", namespace, name },
    (b) => {
      if (!b) throw statusErrors.notFound({ group: "policy", resource: "poddisruptionbudgets" }, name);
      const s = (b["status"] ??= {});
      if ((s.observedGeneration ?? 0) < (b.metadata.generation ?? 0)) {
        throw tooMany(
          "The disruption budget does not allow evicting pods currently: it is still being processed by the server.",
          `The disruption budget ${name} is still being processed by the server.`,
          10,
        );
      }
      if ((s.disruptionsAllowed ?? 0) < 0)
        throw statusErrors.forbidden({ group: "policy", resource: "poddisruptionbudgets" }, name, "pdb disruptions allowed is negative");
      if (Object.keys(s.disruptedPods ?? {}).length > MAX_DISRUPTED_PODS)
        throw statusErrors.forbidden(
          { group: "policy", resource: "poddisruptionbudgets" },
          name,
          "DisruptedPods map too big - too many evictions not confirmed by PDB controller",
        );
      if (!s.disruptionsAllowed) {
        throw tooMany(
          "Cannot evict pod as it would violate the pod's disruption budget.",
          `The disruption budget ${name} needs ${s.desiredHealthy ?? 0} healthy pods and has ${s.currentHealthy ?? 0} currently`,
          0,
        );
      }
      s.disruptionsAllowed--;
      s.disruptedPods = { ...s.disruptedPods, [pod.metadata.name as string]: timeText(api.clock.nowMs()) };
      return b;
    },
    { dryRun },
  );
}

function tooMany(message: string, cause: string, retryAfterSeconds: number): StatusError {
  return statusErrors.tooManyRequests(message, retryAfterSeconds, [{ reason: "DisruptionBudget", message: cause }]);
}
