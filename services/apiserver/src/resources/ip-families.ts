// Which IP families a Service has: ipFamilyPolicy and ipFamilies filled in, in the order and the words of Kubernetes' Service storage
// (core/service/storage/alloc.go, initIPFamilyFields).
// Invariant: afterwards ipFamilyPolicy is set, ipFamilies holds one or two families, and every one of them is the cluster's (but for
// headless Services without a selector, whose endpoints are somebody else's).
import { type KubeObject, statusErrors } from "@podwire/api";
import { type IpFamily, parseIpNumber } from "./ip-range.ts";

/** `cluster`: the families of --service-cluster-ip-range, the default one first. Changes `service.spec`; throws 422. */
export function decideFamilies(service: KubeObject, before: KubeObject | undefined, cluster: readonly IpFamily[]): void {
  const spec = service["spec"];
  const old = before?.["spec"].type === "ExternalName" ? undefined : before?.["spec"];
  if (old !== undefined && unchangedPreference(spec, old)) return;
  const headless = spec.clusterIP === "None" || spec.clusterIPs?.[0] === "None";
  const open = headless && Object.keys(spec.selector ?? {}).length === 0;
  spec.ipFamilyPolicy ??= old?.ipFamilyPolicy ?? (open ? "RequireDualStack" : "SingleStack");
  if (old !== undefined) trimWithPolicy(spec, old);
  const problems: { field: string; badValue: unknown; detail: string }[] = [];
  const single = spec.ipFamilyPolicy === "SingleStack";
  if (single && spec.clusterIPs?.length === 2) problems.push(needsDual(spec, "clusterIPs"));
  if (single && spec.ipFamilies?.length === 2) problems.push(needsDual(spec, "ipFamilies"));
  const families: IpFamily[] = [...(spec.ipFamilies ?? [])];
  const addresses: string[] = spec.clusterIPs?.length ? spec.clusterIPs : spec.clusterIP ? [spec.clusterIP] : [];
  for (const [i, ip] of addresses.entries()) {
    const family = parseIpNumber(ip)?.family;
    if (ip === "None" || family === undefined || i < families.length) continue;
    if (cluster.includes(family)) families.push(family);
    else problems.push({ field: `spec.clusterIPs[${i}]`, badValue: addresses, detail: `${family} is not configured on this cluster` });
  }
  refuse(service, problems);
  const other = (f: IpFamily): IpFamily => (f === "IPv4" ? "IPv6" : "IPv4");
  if (open) {
    if (families.length === 0) families.push(cluster[0] as IpFamily);
    if (families.length < 2 && !single) families.push(other(families[0] as IpFamily));
    spec.ipFamilies = families;
    return;
  }
  if (spec.ipFamilyPolicy === "RequireDualStack" && cluster.length < 2)
    problems.push({
      field: "spec.ipFamilyPolicy",
      badValue: spec.ipFamilyPolicy,
      detail: "this cluster is not configured for dual-stack services",
    });
  for (const [i, f] of families.entries())
    if (!cluster.includes(f)) problems.push({ field: `spec.ipFamilies[${i}]`, badValue: f, detail: "not configured on this cluster" });
  refuse(service, problems);
  if (families.length === 0) families.push(cluster[0] as IpFamily);
  if (!single && families.length === 1 && cluster.length === 2) families.push(other(families[0] as IpFamily));
  spec.ipFamilies = families;
}

/** A Service that prefers dual-stack is not up- or downgraded because the cluster has changed, only because it has. */
function unchangedPreference(next: any, old: any): boolean {
  const same = (a: unknown, b: unknown) => JSON.stringify(a ?? null) === JSON.stringify(b ?? null);
  return (
    next.ipFamilyPolicy === "PreferDualStack" &&
    old.ipFamilyPolicy === "PreferDualStack" &&
    (old.ipFamilies?.length ?? 0) > 0 &&
    same(next.clusterIPs, old.clusterIPs) &&
    same(next.ipFamilies, old.ipFamilies)
  );
}

/** Who says SingleStack need not take the second address and family out as well. */
function trimWithPolicy(next: any, old: any): void {
  if (next.ipFamilyPolicy !== "SingleStack" || old.ipFamilyPolicy === "SingleStack") return;
  const same = (f: string) => JSON.stringify(next[f]) === JSON.stringify(old[f]);
  if (next.clusterIPs?.length === 2 && same("clusterIPs")) next.clusterIPs = next.clusterIPs.slice(0, 1);
  if (next.ipFamilies?.length === 2 && same("ipFamilies")) next.ipFamilies = next.ipFamilies.slice(0, 1);
}

function needsDual(spec: any, what: string) {
  const detail = `must be RequireDualStack or PreferDualStack when multiple ${what} are specified`;
  return { field: "spec.ipFamilyPolicy", badValue: spec.ipFamilyPolicy, detail };
}

function refuse(service: KubeObject, problems: readonly { field: string; badValue: unknown; detail: string }[]): void {
  if (problems.length === 0) return;
  throw statusErrors.invalid(
    { group: "", kind: "Service" },
    service.metadata.name ?? "",
    problems.map((p) => ({ type: "FieldValueInvalid", ...p })),
  );
}
