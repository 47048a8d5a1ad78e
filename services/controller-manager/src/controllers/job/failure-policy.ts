// What a failed pod means by the Job's podFailurePolicy (batch/v1): the first rule that matches decides. Pure.
import type { KubeObject } from "@podwire/client";

export interface Verdict {
  action: "FailJob" | "FailIndex" | "Ignore" | "Count";
  message: string;
}

export function judgeFailure(policy: any, pod: KubeObject): Verdict {
  for (const [i, rule] of (policy?.rules ?? []).entries()) {
    const codes = rule.onExitCodes ? matchExitCodes(rule.onExitCodes, pod) : undefined;
    const where = `matching ${rule.action} rule at index ${i}`;
    if (codes)
      return {
        action: rule.action,
        message: `Container ${codes.container} for pod ${pod.metadata.namespace}/${pod.metadata.name} failed with exit code ${codes.exitCode} ${where}`,
      };
    for (const want of rule.onPodConditions ?? []) {
      const has = (pod["status"]?.conditions ?? []).some((c: any) => c.type === want.type && c.status === (want.status ?? "True"));
      if (has)
        return { action: rule.action, message: `Pod ${pod.metadata.namespace}/${pod.metadata.name} has condition ${want.type} ${where}` };
    }
  }
  return { action: "Count", message: "" };
}

function matchExitCodes(rule: any, pod: KubeObject): { container: string; exitCode: number } | undefined {
  const values = new Set<number>(rule.values ?? []);
  const statuses = [...(pod["status"]?.initContainerStatuses ?? []), ...(pod["status"]?.containerStatuses ?? [])];
  for (const s of statuses) {
    if (rule.containerName && rule.containerName !== s.name) continue;
    const code = s.state?.terminated?.exitCode;
    if (code === undefined || code === 0) continue;
    if (rule.operator === "In" ? values.has(code) : !values.has(code)) return { container: s.name, exitCode: code };
  }
  return undefined;
}
