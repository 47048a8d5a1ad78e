// ResourceQuota: counts what a namespace uses, and refuses what would exceed its quotas (apiserver/pkg/admission/plugin/resourcequota).
// Invariant: usage is raised in the store before the object is; a concurrent request sees it. Only quotas whose status is filled in count.
import { type KubeObject, parseQuantity, Quantity, type ResourceInfo, registry, updateManaged } from "@podwire/api";
import type { Api } from "../call.ts";
import { timeText } from "../verbs/body.ts";
import type { AdmissionPlugin, Attributes } from "./chain.ts";
import { forbiddenBy } from "./forbidden.ts";
import { inScope, type Usage, unsaid, usageOf } from "./quota-usage.ts";

const QUOTA = registry.byResource("", "v1", "resourcequotas") as ResourceInfo;

export function resourceQuota(api: Api): AdmissionPlugin {
  return {
    name: "ResourceQuota",
    operations: ["CREATE", "UPDATE"],
    async validate(a) {
      if (a.subresource !== "" || a.namespace === "" || !a.object || (a.info.group === "" && a.info.resource === "namespaces")) return;
      for (const q of api.cache.of("", "resourcequotas").values(a.namespace)) {
        if (!q.object["status"]?.hard) continue;
        await charge(api, a, q.object);
      }
    },
  };
}

/** Raises one quota's usage by the object, or throws 403. */
async function charge(api: Api, a: Attributes, quota: KubeObject): Promise<void> {
  const o = a.object as KubeObject;
  const hard: Record<string, string> = quota["status"].hard;
  const hardNames = Object.keys(hard);
  const name = quota.metadata.name as string;
  if (!inScope(a.info, o, quota)) return;
  const delta = new Map<string, Quantity>();
  const before: Usage =
    a.operation === "UPDATE" && a.oldObject && inScope(a.info, a.oldObject, quota) ? usageOf(a.info, a.oldObject) : new Map();
  for (const [k, v] of usageOf(a.info, o)) {
    if (!hardNames.includes(k)) continue;
    const more = before.has(k) ? v.sub(before.get(k) as Quantity) : v;
    if (more.sign() !== 0) delta.set(k, more);
  }
  if (a.info.groupResource === "pods" && a.operation === "CREATE") {
    const missing = unsaid(o, hardNames);
    if (missing !== "") throw forbiddenBy(a, `failed quota: ${name}: must specify ${missing}`);
  }
  if (delta.size === 0) return;
  const key = { group: "", resource: "resourcequotas", namespace: a.namespace, name };
  await api.storage.update(
    key,
    (current) => {
      if (!current) return quota;
      const used: Record<string, string> = { ...current["status"]?.used };
      const over: string[] = [];
      for (const [k, more] of delta) {
        const now = parseQuantity(used[k] ?? "0").add(more);
        if (more.sign() > 0 && now.cmp(parseQuantity(hard[k] as string)) > 0) over.push(k);
        used[k] = now.sign() < 0 ? "0" : now.toString();
      }
      if (over.length > 0) throw forbiddenBy(a, exceeded(name, over.sort(), delta, current["status"]?.used ?? {}, hard));
      const next = { ...current, status: { ...current["status"], used } };
      return updateManaged(QUOTA, current, next, {
        manager: "kube-apiserver",
        operation: "Update",
        time: timeText(api.clock.nowMs()),
        subresource: "status",
      });
    },
    { dryRun: a.dryRun },
  );
}

function exceeded(
  quota: string,
  names: readonly string[],
  delta: ReadonlyMap<string, Quantity>,
  used: Record<string, string>,
  hard: Record<string, string>,
): string {
  const text = (of: (k: string) => string) => names.map((k) => `${k}=${of(k)}`).join(",");
  return `exceeded quota: ${quota}, requested: ${text((k) => (delta.get(k) ?? Quantity.fromInt(0)).toString())}, used: ${text((k) => used[k] ?? "0")}, limited: ${text((k) => hard[k] as string)}`;
}
