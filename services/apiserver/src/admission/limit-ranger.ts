// LimitRanger: defaults and bounds of what containers, pods and claims ask for (plugin/pkg/admission/limitranger).
import { type KubeObject, parseQuantity, type Quantity } from "@podwire/api";
import type { Api } from "../call.ts";
import type { AdmissionPlugin, Attributes } from "./chain.ts";
import { forbiddenBy } from "./forbidden.ts";

type Amounts = Record<string, string>;

export function limitRanger(api: Api): AdmissionPlugin {
  const ranges = (a: Attributes) => [...api.cache.of("", "limitranges").values(a.namespace)].map((r) => r.object);
  const concerns = (a: Attributes) =>
    a.object !== undefined &&
    a.subresource === "" &&
    a.info.group === "" &&
    ((a.info.resource === "pods" && a.operation === "CREATE") || a.info.resource === "persistentvolumeclaims");
  return {
    name: "LimitRanger",
    operations: ["CREATE", "UPDATE"],
    admit(a) {
      if (!concerns(a) || a.info.resource !== "pods") return;
      for (const r of ranges(a)) addDefaults(a.object as KubeObject, r);
    },
    validate(a) {
      if (!concerns(a)) return;
      for (const r of ranges(a)) {
        const errors = a.info.resource === "pods" ? podErrors(a.object as KubeObject, r) : claimErrors(a.object as KubeObject, r);
        if (errors.length > 0) throw forbiddenBy(a, errors.length === 1 ? (errors[0] as string) : `[${errors.join(", ")}]`);
      }
    },
  };
}

function addDefaults(pod: KubeObject, range: KubeObject): void {
  const limits: Amounts = {};
  const requests: Amounts = {};
  for (const l of range["spec"]?.limits ?? []) {
    if (l.type !== "Container") continue;
    Object.assign(requests, l.defaultRequest);
    Object.assign(limits, l.default);
  }
  const notes: string[] = [];
  for (const [list, word] of [
    [pod["spec"]?.containers, "container"],
    [pod["spec"]?.initContainers, "init container"],
  ] as const) {
    for (const c of list ?? []) {
      const resources = (c.resources ??= {});
      const set = (kind: "requests" | "limits", from: Amounts) => {
        const added = Object.keys(from).filter((k) => resources[kind]?.[k] === undefined);
        for (const k of added) resources[kind] = { ...resources[kind], [k]: from[k] };
        return added.sort();
      };
      const setLimits = set("limits", limits);
      const setRequests = set("requests", requests);
      if (setRequests.length > 0) notes.push(`${setRequests.join(", ")} request for ${word} ${c.name}`);
      if (setLimits.length > 0) notes.push(`${setLimits.join(", ")} limit for ${word} ${c.name}`);
    }
  }
  if (notes.length === 0) return;
  pod.metadata.annotations = { ...pod.metadata.annotations, "kubernetes.io/limit-ranger": `LimitRanger plugin set: ${notes.join("; ")}` };
}

function podErrors(pod: KubeObject, range: KubeObject): string[] {
  const errors: string[] = [];
  const containers: any[] = [...(pod["spec"]?.containers ?? []), ...(pod["spec"]?.initContainers ?? [])];
  for (const l of range["spec"]?.limits ?? []) {
    if (l.type === "Container")
      for (const c of containers) errors.push(...bounds("Container", l, c.resources?.requests ?? {}, c.resources?.limits ?? {}));
    if (l.type === "Pod") errors.push(...bounds("Pod", l, podTotal(pod, "requests"), podTotal(pod, "limits")));
  }
  return errors;
}

function claimErrors(claim: KubeObject, range: KubeObject): string[] {
  const errors: string[] = [];
  const requests: Amounts = claim["spec"]?.resources?.requests ?? {};
  for (const l of range["spec"]?.limits ?? []) {
    if (l.type !== "PersistentVolumeClaim") continue;
    for (const [k, min] of entries(l.min)) errors.push(...minimum(l.type, k, min, requests, {}));
    for (const [k, max] of entries(l.max)) {
      const asked = requests[k];
      if (asked === undefined) errors.push(`maximum ${k} usage per ${l.type} is ${max}.  No request is specified`);
      else if (q(asked).cmp(q(max)) > 0) errors.push(`maximum ${k} usage per ${l.type} is ${max}, but request is ${q(asked)}`);
    }
  }
  return errors;
}

function bounds(type: string, l: any, requests: Amounts, limits: Amounts): string[] {
  const errors: string[] = [];
  for (const [k, min] of entries(l.min)) errors.push(...minimum(type, k, min, requests, limits));
  for (const [k, max] of entries(l.max)) errors.push(...maximum(type, k, max, requests, limits));
  for (const [k, ratio] of entries(l.maxLimitRequestRatio)) errors.push(...ratioOf(type, k, ratio, requests, limits));
  return errors;
}

function minimum(type: string, k: string, min: string, requests: Amounts, limits: Amounts): string[] {
  const asked = requests[k];
  const limit = limits[k];
  if (asked === undefined) return [`minimum ${k} usage per ${type} is ${min}.  No request is specified`];
  if (q(asked).cmp(q(min)) < 0) return [`minimum ${k} usage per ${type} is ${min}, but request is ${q(asked)}`];
  if (limit !== undefined && q(limit).cmp(q(min)) < 0) return [`minimum ${k} usage per ${type} is ${min}, but limit is ${q(limit)}`];
  return [];
}

function maximum(type: string, k: string, max: string, requests: Amounts, limits: Amounts): string[] {
  const asked = requests[k];
  const limit = limits[k];
  if (limit === undefined) return [`maximum ${k} usage per ${type} is ${max}.  No limit is specified`];
  if (q(limit).cmp(q(max)) > 0) return [`maximum ${k} usage per ${type} is ${max}, but limit is ${q(limit)}`];
  if (asked !== undefined && q(asked).cmp(q(max)) > 0) return [`maximum ${k} usage per ${type} is ${max}, but request is ${q(asked)}`];
  return [];
}

function ratioOf(type: string, k: string, ratio: string, requests: Amounts, limits: Amounts): string[] {
  const asked = requests[k];
  const limit = limits[k];
  const start = `${k} max limit to request ratio per ${type} is ${ratio}`;
  if (asked === undefined || q(asked).isZero()) return [`${start}, but no request is specified or request is 0`];
  if (limit === undefined || q(limit).isZero()) return [`${start}, but no limit is specified or limit is 0`];
  const observed = q(limit).toNumber() / q(asked).toNumber();
  return observed > q(ratio).toNumber() ? [`${start}, but provided ratio is ${observed.toFixed(6)}`] : [];
}

/** Sums containers, and init containers as far as they need more at once (sidecars count with the containers). */
function podTotal(pod: KubeObject, kind: "requests" | "limits"): Amounts {
  const totals = new Map<string, Quantity>();
  for (const c of pod["spec"]?.containers ?? [])
    for (const [k, v] of entries(c.resources?.[kind])) totals.set(k, totals.get(k)?.add(q(v)) ?? q(v));
  for (const c of pod["spec"]?.initContainers ?? []) {
    for (const [k, v] of entries(c.resources?.[kind])) {
      const there = totals.get(k);
      if (!there || there.cmp(q(v)) < 0) totals.set(k, q(v));
    }
  }
  return Object.fromEntries([...totals].map(([k, v]) => [k, v.toString()]));
}

function entries(a: Amounts | undefined): [string, string][] {
  return Object.entries(a ?? {}).sort(([x], [y]) => (x < y ? -1 : 1));
}

function q(text: string): Quantity {
  return parseQuantity(text);
}
