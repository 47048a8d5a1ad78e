// ClusterRoles with an aggregation rule get the rules of the roles that it selects, in order of name, each rule once (rbac/v1).
import { labelSelector } from "@podwire/api";
import { type KubeObject, Resources, runController } from "@podwire/client";
import type { ControllerContext, RunningController } from "../../context.ts";
import { canonical, equal } from "../../equality.ts";

export function aggregateRules(role: KubeObject, all: readonly KubeObject[]): any[] {
  const rules: any[] = [];
  const seen = new Set<string>();
  const ordered = [...all].sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
  for (const s of role["aggregationRule"]?.clusterRoleSelectors ?? []) {
    const selector = labelSelector(s);
    for (const r of ordered) {
      if (r.metadata.name === role.metadata.name || !selector.matches(r.metadata.labels)) continue;
      for (const rule of r["rules"] ?? []) {
        const key = canonical(rule);
        if (seen.has(key)) continue;
        seen.add(key);
        rules.push(rule);
      }
    }
  }
  return rules;
}

export function startClusterRoleAggregation(c: ControllerContext): RunningController {
  const roles = c.informers.of(Resources.clusterRoles);
  const controller = runController({ name: "clusterrole-aggregation", clock: c.clock, log: c.log, informers: [roles], reconcile });
  const wake = () => {
    for (const r of roles.lister.list()) if (r["aggregationRule"]) controller.queue.addAfter(r.metadata.name, 50);
  };
  roles.handle({ onAdd: wake, onUpdate: wake, onDelete: wake });

  async function reconcile(name: string) {
    const role = roles.lister.get("", name);
    if (!role?.["aggregationRule"]) return undefined;
    const rules = aggregateRules(role, roles.lister.list());
    if (equal(role["rules"] ?? [], rules)) return undefined;
    await c.client.update(Resources.clusterRoles, { ...role, rules });
    return undefined;
  }
  return controller;
}
