// Which FlowSchema a request belongs to, and which of its flows (apiserver/pkg/util/flowcontrol/rule.go). Pure.
// Invariant: the schema of least matchingPrecedence that matches wins, then the first by name; `exempt` and `catch-all` are always there.
import type { KubeObject } from "@podwire/api";
import type { User } from "../call.ts";

/** What classification looks at of a request. */
export interface Digest {
  user: User;
  verb: string;
  isResource: boolean;
  group: string;
  /** With its subresource, "pods/log". */
  resource: string;
  namespace: string;
  path: string;
}

export interface FlowSchema {
  name: string;
  uid: string;
  level: string;
  precedence: number;
  distinguisher: "" | "ByUser" | "ByNamespace";
  rules: readonly Rule[];
}

interface Rule {
  subjects?: { kind: string; user?: Named; group?: Named; serviceAccount?: Named & { namespace: string } }[];
  resourceRules?: { verbs: string[]; apiGroups: string[]; resources: string[]; clusterScope?: boolean; namespaces?: string[] }[];
  nonResourceRules?: { verbs: string[]; nonResourceURLs: string[] }[];
}
interface Named {
  name: string;
}

export function flowSchemaOf(o: KubeObject): FlowSchema {
  const spec = o["spec"] ?? {};
  return {
    name: o.metadata.name as string,
    uid: o.metadata.uid ?? "",
    level: spec.priorityLevelConfiguration?.name ?? "",
    precedence: spec.matchingPrecedence ?? 1000,
    distinguisher: spec.distinguisherMethod?.type ?? "",
    rules: spec.rules ?? [],
  };
}

/** In the order in which they are asked. */
export function inOrder(schemas: readonly FlowSchema[]): FlowSchema[] {
  return [...schemas].sort((a, b) => a.precedence - b.precedence || (a.name < b.name ? -1 : 1));
}

export function matches(s: FlowSchema, d: Digest): boolean {
  return s.rules.some((r) => subjectMatches(r, d.user) && (d.isResource ? resourceMatches(r, d) : pathMatches(r, d)));
}

/** Whether the outcome for a user depends on which namespace a request names, and not only on whether it names one. */
export function looksAtNamespaces(schemas: readonly FlowSchema[]): boolean {
  const picks = (namespaces: readonly string[] = []) => namespaces.length > 0 && !namespaces.includes("*");
  return schemas.some((s) => s.rules.some((r) => (r.resourceRules ?? []).some((x) => picks(x.namespaces))));
}

export function distinguisherOf(s: FlowSchema, d: Digest): string {
  if (s.distinguisher === "ByUser") return d.user.name;
  return s.distinguisher === "ByNamespace" ? d.namespace : "";
}

function subjectMatches(r: Rule, user: User): boolean {
  return (r.subjects ?? []).some((s) => {
    if (s.kind === "User") return s.user?.name === "*" || s.user?.name === user.name;
    if (s.kind === "Group") return s.group?.name === "*" || user.groups.includes(s.group?.name ?? "");
    if (s.kind !== "ServiceAccount") return false;
    const prefix = `system:serviceaccount:${s.serviceAccount?.namespace}:`;
    return s.serviceAccount?.name === "*" ? user.name.startsWith(prefix) : user.name === `${prefix}${s.serviceAccount?.name}`;
  });
}

const among = (values: readonly string[] | undefined, v: string): boolean =>
  values !== undefined && (values.includes("*") || values.includes(v));

function resourceMatches(r: Rule, d: Digest): boolean {
  return (r.resourceRules ?? []).some(
    (x) =>
      among(x.verbs, d.verb) &&
      among(x.apiGroups, d.group) &&
      among(x.resources, d.resource) &&
      (d.namespace === "" ? x.clusterScope === true : among(x.namespaces, d.namespace)),
  );
}

function pathMatches(r: Rule, d: Digest): boolean {
  return (r.nonResourceRules ?? []).some(
    (x) =>
      among(x.verbs, d.verb) &&
      x.nonResourceURLs.some((u) => u === "*" || u === d.path || (u.endsWith("*") && d.path.startsWith(u.slice(0, -1)))),
  );
}
