// The shell of the horizontal pod autoscaler: every sync period reads the target's scale and its metrics (of resources, and of adapters
// where the API has some: custom-metrics.ts), and writes the size that they call for.
import { parseLabelSelector, parseQuantity } from "@podwire/api";
import { reasonOf } from "@podwire/base";
import { type KubeObject, objectKey, type ResourceRef, Resources, runController, splitKey, time, timeMs } from "@podwire/client";
import type { ControllerContext, RunningController } from "../../context.ts";
import { equal } from "../../equality.ts";
import { CUSTOM_RESOURCE_DEFINITIONS, collectionOfKind } from "../../resource-table.ts";
import { downLimit, type Recommendation, rulesOf, type ScaleEvent, stabilized, upLimit } from "./behavior.ts";
import { externalMetric, objectMetric, podMetric, replicasForValue } from "./custom-metrics.ts";
import { type PodUse, replicasFor } from "./replicas.ts";

interface Memory {
  recommendations: Recommendation[];
  ups: ScaleEvent[];
  downs: ScaleEvent[];
}

/** A metric that could not be had: the reason for the condition and the message. */
class MetricError extends Error {
  readonly reason: string;
  readonly inner: string;
  constructor(reason: string, inner: string, outer: string) {
    super(outer);
    this.reason = reason;
    this.inner = inner;
  }
}

const MAX_HISTORY = 1000;

export function startHorizontalPodAutoscaler(c: ControllerContext): RunningController {
  const autoscalers = c.informers.of(Resources.horizontalPodAutoscalers);
  const pods = c.informers.of(Resources.pods);
  const crds = c.informers.of(CUSTOM_RESOURCE_DEFINITIONS);
  const recorder = c.recorder("horizontal-pod-autoscaler");
  const memories = new Map<string, Memory>();
  const controller = runController({
    name: "horizontalpodautoscaling",
    clock: c.clock,
    log: c.log,
    informers: [autoscalers, pods],
    reconcile,
  });
  autoscalers.handle({
    onAdd: (o) => controller.queue.addAfter(objectKey(o), c.settings.hpaSyncPeriodMs),
    onDelete: (o) => void memories.delete(objectKey(o)),
  });

  async function reconcile(key: string) {
    const { namespace, name } = splitKey(key);
    const hpa = autoscalers.lister.get(namespace, name);
    if (!hpa) return undefined;
    await sync(key, hpa);
    return { requeueAfterMs: c.settings.hpaSyncPeriodMs };
  }

  async function sync(key: string, hpa: KubeObject): Promise<void> {
    const namespace = hpa.metadata.namespace ?? "";
    const nowMs = c.clock.nowMs();
    const status: Record<string, any> = {
      ...hpa["status"],
      currentReplicas: hpa["status"]?.currentReplicas ?? 0,
      desiredReplicas: hpa["status"]?.desiredReplicas ?? 0,
      conditions: [...(hpa["status"]?.conditions ?? [])],
    };
    delete status["observedGeneration"];
    const condition = (type: string, ok: boolean, reason: string, message: string) => {
      const old = status["conditions"].find((x: any) => x.type === type);
      const s = ok ? "True" : "False";
      const lastTransitionTime = old?.status === s ? old.lastTransitionTime : time(nowMs);
      status["conditions"] = [
        ...status["conditions"].filter((x: any) => x !== old),
        { type, status: s, lastTransitionTime, reason, message },
      ];
    };
    const { apiVersion, kind, name } = hpa["spec"].scaleTargetRef;
    const ref = collectionOfKind(crds, apiVersion ?? "v1", kind);
    let scale: KubeObject;
    try {
      if (!ref) throw new Error(`no matches for kind "${kind}" in version "${apiVersion}"`);
      scale = await c.client.get(ref, namespace, name, { subresource: "scale" });
    } catch (e) {
      recorder.event(hpa, "Warning", "FailedGetScale", reasonOf(e));
      condition("AbleToScale", false, "FailedGetScale", `the HPA controller was unable to get the target's current scale: ${reasonOf(e)}`);
      return write(hpa, status);
    }
    condition("AbleToScale", true, "SucceededGetScale", "the HPA controller was able to get the target's current scale");
    const current: number = scale["spec"]?.replicas ?? 0;
    const min: number = hpa["spec"].minReplicas ?? 1;
    const max: number = hpa["spec"].maxReplicas;
    status["currentReplicas"] = scale["status"]?.replicas ?? current;
    if (status["currentReplicas"] === 0) delete status["currentReplicas"];
    let desired = current;
    let reason = "";
    if (current === 0 && min !== 0) {
      condition("ScalingActive", false, "ScalingDisabled", "scaling is disabled since the replica count of the target is zero");
      status["desiredReplicas"] = 0;
      return write(hpa, status);
    }
    if (current > max) {
      desired = max;
      reason = "Current number of replicas above Spec.MaxReplicas";
    } else if (current < min) {
      desired = min;
      reason = "Current number of replicas below Spec.MinReplicas";
    } else {
      const computed = await compute(hpa, scale, current, status, condition);
      if (!computed) return write(hpa, status);
      ({ desired, reason } = limit(key, hpa, current, computed, min, max, condition));
    }
    if (desired !== current) {
      await c.client.patch(ref as ResourceRef, namespace, name, "merge", { spec: { replicas: desired } }, { subresource: "scale" });
      condition("AbleToScale", true, "SucceededRescale", `the HPA controller was able to update the target scale to ${desired}`);
      recorder.event(hpa, "Normal", "SuccessfulRescale", `New size: ${desired}; reason: ${reason}`);
      remember(key, desired - current, nowMs);
      status["lastScaleTime"] = time(nowMs);
    }
    status["desiredReplicas"] = desired;
    await write(hpa, status);
  }

  /** The largest of what the metrics call for; undefined when none can be had (the conditions say why). */
  async function compute(
    hpa: KubeObject,
    scale: KubeObject,
    current: number,
    status: Record<string, any>,
    condition: (type: string, ok: boolean, reason: string, message: string) => void,
  ): Promise<{ replicas: number; metric: string } | undefined> {
    const specs: any[] = hpa["spec"].metrics ?? [];
    let best: { replicas: number; metric: string } | undefined;
    let firstError: MetricError | undefined;
    let invalid = 0;
    const currentMetrics: any[] = [];
    for (const m of specs) {
      try {
        const r = await oneMetric(hpa, scale, current, m);
        currentMetrics.push(r.status);
        if (!best || r.replicas > best.replicas) best = { replicas: r.replicas, metric: r.metric };
      } catch (e) {
        invalid++;
        firstError ??= e instanceof MetricError ? e : new MetricError("FailedGetMetric", reasonOf(e), reasonOf(e));
        currentMetrics.push({ type: "" });
      }
    }
    status["currentMetrics"] = currentMetrics;
    // With a metric missing, only growth is safe.
    if (firstError && (!best || best.replicas < current)) {
      recorder.event(hpa, "Warning", firstError.reason, firstError.inner);
      recorder.event(
        hpa,
        "Warning",
        "FailedComputeMetricsReplicas",
        `invalid metrics (${invalid} invalid out of ${specs.length}), first error is: ${firstError.message}`,
      );
      condition("ScalingActive", false, firstError.reason, `the HPA was unable to compute the replica count: ${firstError.inner}`);
      return undefined;
    }
    if (!best) return undefined;
    condition("ScalingActive", true, "ValidMetricFound", `the HPA was able to successfully calculate a replica count from ${best.metric}`);
    return best;
  }

  async function oneMetric(
    hpa: KubeObject,
    scale: KubeObject,
    current: number,
    m: any,
  ): Promise<{ replicas: number; metric: string; status: any }> {
    const container = m.type === "ContainerResource" ? m.containerResource : undefined;
    const source = container ?? (m.type === "Resource" ? m.resource : undefined);
    const selector = parseLabelSelector(scale["status"]?.selector ?? "");
    const namespace = hpa.metadata.namespace ?? "";
    const mine = pods.lister.list(namespace, (p) => selector.matches(p.metadata.labels));
    if (!source) return adapterMetric(hpa, scale, current, m, mine);
    const byPercent = source.target.type === "Utilization";
    const what = byPercent ? `failed to get ${source.name} utilization: ` : "";
    let uses: Map<string, PodUse>;
    try {
      uses = await podUses(namespace, scale["status"]?.selector ?? "", source.name, container?.container);
    } catch (e) {
      const inner = `${what}unable to get metrics for resource ${source.name}: ${reasonOf(e)}`;
      throw new MetricError(
        `FailedGet${m.type}Metric`,
        inner,
        `failed to get ${source.name} ${container ? "container " : ""}resource metric value: ${inner}`,
      );
    }
    const up = rulesOf(hpa["spec"].behavior, "scaleUp", 0).tolerance ?? c.settings.hpaTolerance;
    const down = rulesOf(hpa["spec"].behavior, "scaleDown", 0).tolerance ?? c.settings.hpaTolerance;
    const requests = byPercent ? requestsOf(mine, source.name, container?.container) : undefined;
    if (requests && "missing" in requests) {
      const inner = `${what}missing request for ${source.name} in container ${requests.missing.container} of Pod ${requests.missing.pod}`;
      throw new MetricError(`FailedGet${m.type}Metric`, inner, `failed to get ${source.name} resource metric value: ${inner}`);
    }
    const r = replicasFor(
      current,
      mine,
      uses,
      {
        resource: source.name,
        ...(byPercent
          ? { targetPercent: source.target.averageUtilization, requests: requests as Map<string, number> }
          : { targetMilli: Number(parseQuantity(source.target.averageValue).milli()) }),
        initialReadinessDelayMs: c.settings.hpaInitialReadinessDelayMs,
        cpuInitializationMs: c.settings.hpaCpuInitializationPeriodMs,
        nowMs: c.clock.nowMs(),
      },
      { up, down },
    );
    if ("error" in r)
      throw new MetricError(
        `FailedGet${m.type}Metric`,
        `${what}${r.error}`,
        `failed to get ${source.name} resource metric value: ${what}${r.error}`,
      );
    const averageValue = source.name === "cpu" ? `${r.averageMilli}m` : String(Math.trunc(r.averageMilli / 1000));
    const now = { averageValue, ...(r.utilization === undefined ? {} : { averageUtilization: r.utilization }) };
    const metric = byPercent ? `${source.name} resource utilization (percentage of request)` : `${source.name} resource`;
    const shown = container
      ? { type: m.type, containerResource: { name: source.name, container: container.container, current: now } }
      : { type: m.type, resource: { name: source.name, current: now } };
    return { replicas: r.replicas, metric, status: shown };
  }

  /** Pods, object and external metrics: from an adapter. */
  async function adapterMetric(hpa: KubeObject, scale: KubeObject, current: number, m: any, mine: readonly KubeObject[]) {
    const kind = m.type.toLowerCase();
    const { metric, target, describedObject } = m[kind];
    const namespace = hpa.metadata.namespace ?? "";
    const tolerance = {
      up: rulesOf(hpa["spec"].behavior, "scaleUp", 0).tolerance ?? c.settings.hpaTolerance,
      down: rulesOf(hpa["spec"].behavior, "scaleDown", 0).tolerance ?? c.settings.hpaTolerance,
    };
    const failed = (inner: string) => new MetricError(`FailedGet${m.type}Metric`, inner, `failed to get ${kind} metric value: ${inner}`);
    try {
      if (m.type === "Pods") {
        const uses = await podMetric(c.client, namespace, scale["status"]?.selector ?? "", metric);
        const targetMilli = Number(parseQuantity(target.averageValue).milli());
        const timing = { initialReadinessDelayMs: 0, cpuInitializationMs: 0, nowMs: c.clock.nowMs() };
        const r = replicasFor(current, mine, uses, { resource: "", targetMilli, ...timing }, tolerance);
        if ("error" in r) throw failed(r.error);
        const status = { type: "Pods", pods: { metric, current: { averageValue: quantityOf(r.averageMilli) } } };
        return { replicas: r.replicas, metric: `pods metric ${metric.name}`, status };
      }
      let milli: number;
      if (m.type === "Object") {
        const ref = collectionOfKind(crds, describedObject.apiVersion ?? "v1", describedObject.kind);
        if (!ref) throw new Error(`no matches for kind "${describedObject.kind}" in version "${describedObject.apiVersion}"`);
        milli = await objectMetric(
          c.client,
          namespace,
          ref.group ? `${ref.resource}.${ref.group}` : ref.resource,
          describedObject.name,
          metric,
        );
      } else milli = await externalMetric(c.client, namespace, metric);
      const statusReplicas: number = scale["status"]?.replicas ?? 0;
      const replicas = replicasForValue(current, statusReplicas, mine, milli, target, tolerance);
      const now =
        target.type === "AverageValue"
          ? { averageValue: quantityOf(Math.ceil(milli / Math.max(1, statusReplicas))) }
          : { value: quantityOf(milli) };
      const about = m.type === "Object" ? { metric, describedObject, current: now } : { metric, current: now };
      const name =
        m.type === "Object"
          ? `${describedObject.kind} metric ${metric.name}`
          : `external metric ${metric.name}(${labelText(metric.selector)})`;
      return { replicas, metric: name, status: { type: m.type, [kind]: about } };
    } catch (e) {
      if (e instanceof MetricError) throw e;
      throw failed(`unable to get metric ${metric.name}: ${reasonOf(e)}`);
    }
  }

  async function podUses(
    namespace: string,
    selector: string,
    resource: string,
    container: string | undefined,
  ): Promise<Map<string, PodUse>> {
    const path = `/apis/metrics.k8s.io/v1beta1/namespaces/${namespace}/pods?labelSelector=${encodeURIComponent(selector)}`;
    const answer = await c.client.raw({ method: "GET", path, headers: { accept: "application/json" } });
    if (answer.status === 404)
      throw new Error(
        "unable to fetch metrics from resource metrics API: the server could not find the requested resource (get pods.metrics.k8s.io)",
      );
    const text = new TextDecoder().decode(answer.body);
    if (answer.status !== 200) throw new Error(`unable to fetch metrics from resource metrics API: ${text.slice(0, 200)}`);
    const body = JSON.parse(text);
    const out = new Map<string, PodUse>();
    for (const item of body.items ?? []) {
      let milli = 0;
      for (const x of item.containers ?? [])
        if (container === undefined || x.name === container) milli += Number(parseQuantity(x.usage?.[resource] ?? "0").milli());
      out.set(item.metadata.name, { milli, atMs: timeMs(item.timestamp) ?? c.clock.nowMs(), windowMs: 30_000 });
    }
    if (out.size === 0) throw new Error("no metrics returned from resource metrics API");
    return out;
  }

  function limit(
    key: string,
    hpa: KubeObject,
    current: number,
    computed: { replicas: number; metric: string },
    min: number,
    max: number,
    condition: (type: string, ok: boolean, reason: string, message: string) => void,
  ): { desired: number; reason: string } {
    const nowMs = c.clock.nowMs();
    const memory = memoryOf(key);
    const up = rulesOf(hpa["spec"].behavior, "scaleUp", 0);
    const down = rulesOf(hpa["spec"].behavior, "scaleDown", c.settings.hpaDownscaleStabilizationMs / 1000);
    const steady = stabilized(current, computed.replicas, memory.recommendations, up, down, nowMs);
    memory.recommendations = [...memory.recommendations.slice(-MAX_HISTORY), { atMs: nowMs, replicas: computed.replicas }];
    if (steady !== computed.replicas && steady === current && computed.replicas < current)
      condition(
        "AbleToScale",
        true,
        "ScaleDownStabilized",
        "recent recommendations were higher than current one, applying the highest recent recommendation",
      );
    else condition("AbleToScale", true, "ReadyForNewScale", "recommended size matches current size");
    let desired = steady;
    let limited: { reason: string; message: string } | undefined;
    if (steady > current) {
      const top = Math.min(max, upLimit(current, memory.ups, up, nowMs));
      if (steady > top) {
        desired = top;
        limited =
          top === max
            ? { reason: "TooManyReplicas", message: "the desired replica count is more than the maximum replica count" }
            : { reason: "ScaleUpLimit", message: "the desired replica count is increasing faster than the maximum scale rate" };
      }
    } else if (steady < current) {
      const bottom = Math.max(min, downLimit(current, memory.downs, down, nowMs));
      if (steady < bottom) {
        desired = bottom;
        limited =
          bottom === min
            ? { reason: "TooFewReplicas", message: "the desired replica count is less than the minimum replica count" }
            : { reason: "ScaleDownLimit", message: "the desired replica count is decreasing faster than the maximum scale rate" };
      }
    }
    if (limited) condition("ScalingLimited", true, limited.reason, limited.message);
    else condition("ScalingLimited", false, "DesiredWithinRange", "the desired count is within the acceptable range");
    const why = desired > current ? `${computed.metric} above target` : desired < current ? "All metrics below target" : "";
    return { desired, reason: why };
  }

  function memoryOf(key: string): Memory {
    let m = memories.get(key);
    if (!m) memories.set(key, (m = { recommendations: [], ups: [], downs: [] }));
    return m;
  }

  function remember(key: string, change: number, atMs: number): void {
    const m = memoryOf(key);
    if (change > 0) m.ups = [...m.ups.slice(-MAX_HISTORY), { atMs, change }];
    else m.downs = [...m.downs.slice(-MAX_HISTORY), { atMs, change: -change }];
  }

  async function write(hpa: KubeObject, status: Record<string, any>): Promise<void> {
    if (!equal(hpa["status"] ?? {}, status)) await c.client.updateStatus(Resources.horizontalPodAutoscalers, { ...hpa, status });
  }

  return controller;
}

/** Thousandths as a quantity, without a suffix where they are whole. */
const quantityOf = (milli: number): string => (milli % 1000 === 0 ? String(milli / 1000) : `${milli}m`);
const labelText = (selector: any): string => JSON.stringify(selector ?? null);

/** What pods ask for in thousandths; or the container that asks for nothing. */
function requestsOf(
  list: readonly KubeObject[],
  resource: string,
  container: string | undefined,
): Map<string, number> | { missing: { container: string; pod: string } } {
  const out = new Map<string, number>();
  for (const p of list) {
    let sum = 0;
    for (const x of p["spec"].containers ?? []) {
      if (container !== undefined && x.name !== container) continue;
      const text = x.resources?.requests?.[resource];
      if (text === undefined) return { missing: { container: x.name, pod: p.metadata.name } };
      sum += Number(parseQuantity(text).milli());
    }
    out.set(p.metadata.name, sum);
  }
  return out;
}
