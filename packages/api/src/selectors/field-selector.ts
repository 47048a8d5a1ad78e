// Field selectors: "spec.nodeName=n1,status.phase!=Running", and which fields each kind lets be selected (Kubernetes
// 1.34; the conversion functions of its API groups and the attributes of its storage).
import { statusErrors } from "../errors/status-error.ts";
import type { KubeObject } from "../kube-object.ts";
import type { ResourceInfo } from "../resources.ts";

interface Term {
  readonly field: string;
  readonly equal: boolean;
  readonly value: string;
  readonly read: (o: KubeObject) => string;
}

export interface FieldSelectorMatcher {
  matches(object: KubeObject): boolean;
  toString(): string;
  readonly empty: boolean;
  /** The value that an object must have in `field` to match, when the selector demands one. */
  requires(field: string): string | undefined;
  readonly terms: readonly { readonly field: string; readonly equal: boolean; readonly value: string }[];
}

type Readers = Record<string, (o: KubeObject) => string>;

const str = (v: unknown): string => (v === undefined || v === null ? "" : String(v));
const reader = (path: string): ((o: KubeObject) => string) => {
  const keys = path.split(".");
  return (o) => {
    let v: any = o;
    for (const k of keys) v = v?.[k];
    return str(v);
  };
};
const readers = (...paths: string[]): Readers => Object.fromEntries(paths.map((p) => [p, reader(p)]));

const COMMON = readers("metadata.name", "metadata.namespace");
const INVOLVED = ["kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath"];

/** Fields past metadata.name and metadata.namespace, and the sentence for an unknown one. */
const KINDS: Record<string, { fields: Readers; unknown: (label: string) => string }> = {
  "/Pod": {
    fields: {
      ...readers(
        "spec.nodeName",
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.serviceAccountName",
        "status.phase",
        "status.podIP",
        "status.nominatedNodeName",
      ),
      "spec.hostNetwork": (o) => (o.spec?.hostNetwork === true ? "true" : "false"),
      "status.podIPs": (o) => (o.status?.podIPs ?? []).map((p: any) => p.ip).join(","),
    },
    unknown: (l) => `field label not supported: ${l}`,
  },
  "/Node": {
    fields: { "spec.unschedulable": (o) => String(o.spec?.unschedulable === true) },
    unknown: (l) => `field label not supported: ${l}`,
  },
  "/Namespace": { fields: readers("status.phase"), unknown: (l) => `field label not supported: ${l}` },
  "/Secret": { fields: readers("type"), unknown: (l) => `field label not supported: ${l}` },
  "/Service": { fields: readers("spec.clusterIP", "spec.type"), unknown: (l) => `field label not supported: ${l}` },
  "/ReplicationController": {
    fields: { "status.replicas": (o) => String(o.status?.replicas ?? 0) },
    unknown: (l) => `field label not supported: ${l}`,
  },
  "/Event": {
    fields: {
      ...Object.fromEntries(INVOLVED.map((f) => [`involvedObject.${f}`, (o: KubeObject) => str((o.involvedObject ?? o.regarding)?.[f])])),
      ...readers("reason", "type"),
      reportingComponent: (o) => str(o.reportingComponent ?? o.reportingController),
      source: (o) => str((o.source ?? o.deprecatedSource)?.component || o.reportingComponent || o.reportingController),
    },
    unknown: (l) => `field label not supported: ${l}`,
  },
  "events.k8s.io/Event": {
    fields: {
      ...Object.fromEntries(INVOLVED.map((f) => [`regarding.${f}`, (o: KubeObject) => str((o.regarding ?? o.involvedObject)?.[f])])),
      ...readers("reason", "type"),
      reportingController: (o) => str(o.reportingController ?? o.reportingComponent),
    },
    unknown: (l) => `field label not supported: ${l}`,
  },
  "batch/Job": {
    fields: { "status.successful": (o) => String(o.status?.succeeded ?? 0) },
    unknown: (l) => `field label "${l}" not supported for batchv1.Job`,
  },
  "certificates.k8s.io/CertificateSigningRequest": {
    fields: readers("spec.signerName"),
    unknown: (l) => `field label not supported: ${l}`,
  },
};

/** Fields of a kind that watches and lists may select on, past metadata.name and metadata.namespace. */
export function selectableFields(info: ResourceInfo): string[] {
  return Object.keys(KINDS[`${info.group}/${info.kind}`]?.fields ?? {});
}

class Selector implements FieldSelectorMatcher {
  readonly terms: readonly Term[];
  constructor(terms: readonly Term[]) {
    this.terms = terms;
  }
  get empty(): boolean {
    return this.terms.length === 0;
  }
  matches(object: KubeObject): boolean {
    for (const t of this.terms) if ((t.read(object) === t.value) !== t.equal) return false;
    return true;
  }
  requires(field: string): string | undefined {
    return this.terms.find((t) => t.field === field && t.equal)?.value;
  }
  toString(): string {
    return this.terms.map((t) => `${t.field}${t.equal ? "=" : "!="}${t.value.replace(/[\\,=]/g, (c) => `\\${c}`)}`).join(",");
  }
}

const own = (r: Readers | undefined, field: string) => (r !== undefined && Object.hasOwn(r, field) ? r[field] : undefined);

const MAX_SELECTOR_LENGTH = 256 * 1024;

/** Parses a field selector for a kind; throws a BadRequest StatusError. `extra` are a custom resource's selectable fields ("spec.color"). */
export function parseFieldSelector(text: string, info: ResourceInfo, extra: readonly string[] = []): FieldSelectorMatcher {
  if (text.length > MAX_SELECTOR_LENGTH) throw statusErrors.badRequest("field selector is too long");
  const kind = KINDS[`${info.group}/${info.kind}`];
  const terms: Term[] = [];
  for (const part of splitTerms(text)) {
    if (part === "") continue;
    const t = splitTerm(part);
    if (t === undefined) throw statusErrors.badRequest(`invalid selector: '${text}'; can't understand '${part}'`);
    const read = own(COMMON, t.field) ?? own(kind?.fields, t.field) ?? (extra.includes(t.field) ? reader(t.field) : undefined);
    if (read === undefined) throw statusErrors.badRequest(kind ? kind.unknown(t.field) : unknownField(t.field, extra));
    terms.push({ ...t, value: unescapeValue(t.value), read });
  }
  return new Selector(terms);
}

function unknownField(label: string, extra: readonly string[]): string {
  const known = ["metadata.name", "metadata.namespace", ...extra].map((f) => `"${f}"`).join(", ");
  return extra.length > 0 ? `field label not supported: ${label}` : `"${label}" is not a known field selector: only ${known}`;
}

function splitTerms(text: string): string[] {
  const out: string[] = [];
  let start = 0;
  for (let i = 0; i < text.length; i++) {
    if (text[i] === "\\") i++;
    else if (text[i] === ",") {
      out.push(text.slice(start, i));
      start = i + 1;
    }
  }
  out.push(text.slice(start));
  return out;
}

function splitTerm(part: string): { field: string; equal: boolean; value: string } | undefined {
  for (let i = 0; i < part.length; i++) {
    const rest = part.slice(i, i + 2);
    if (rest === "!=") return { field: part.slice(0, i), equal: false, value: part.slice(i + 2) };
    if (rest === "==") return { field: part.slice(0, i), equal: true, value: part.slice(i + 2) };
    if (part[i] === "=") return { field: part.slice(0, i), equal: true, value: part.slice(i + 1) };
  }
  return undefined;
}

/** Only "\\", "\," and "\=" are escapes; anything else after a backslash is refused. */
function unescapeValue(value: string): string {
  if (/(^|[^\\])(\\\\)*\\([^\\,=]|$)/.test(value))
    throw statusErrors.badRequest(`invalid field selector: invalid escape sequence in value: ${value}`);
  if (/(^|[^\\])(\\\\)*[=]/.test(value)) throw statusErrors.badRequest(`invalid field selector: unescaped character in value: ${value}`);
  return value.replace(/\\([\\,=])/g, "$1");
}

/** The empty selector. */
export const EVERY_FIELD: FieldSelectorMatcher = new Selector([]);
