// Query parameters as typed options, checked as apiserver/pkg validates ListOptions, CreateOptions, UpdateOptions and PatchOptions.
// Invariant: whatever passes here is well-formed; every refusal is kube-apiserver's Status.
import {
  type FieldError,
  forbidden,
  invalid,
  notSupported,
  parseFieldSelector,
  parseLabelSelector,
  type ResourceInfo,
  required,
  statusErrors,
  tooLong,
} from "@podwire/api";

type LabelSelector = ReturnType<typeof parseLabelSelector>;
type FieldSelector = ReturnType<typeof parseFieldSelector>;

export interface ListOptions {
  labelSelector: LabelSelector | undefined;
  fieldSelector: FieldSelector | undefined;
  /** 0: no limit. */
  limit: number;
  continue: string;
  resourceVersion: string;
  resourceVersionMatch: string;
  watch: boolean;
  allowWatchBookmarks: boolean;
  sendInitialEvents: boolean | undefined;
  timeoutSeconds: number | undefined;
}

export interface WriteOptions {
  dryRun: boolean;
  fieldManager: string;
  fieldValidation: "Ignore" | "Warn" | "Strict";
  force: boolean | undefined;
}

const MAX_FIELD_MANAGER_LENGTH = 128;

/** `selectable` are a custom resource's own field selectors. */
export function listOptions(query: URLSearchParams, info: ResourceInfo, watch: boolean, selectable: readonly string[] = []): ListOptions {
  const labels = query.get("labelSelector");
  const fields = query.get("fieldSelector");
  const o: ListOptions = {
    labelSelector: labels ? parseLabelSelector(labels) : undefined,
    fieldSelector: fields ? parseFieldSelector(fields, info, selectable) : undefined,
    limit: integer(query, "limit") ?? 0,
    continue: query.get("continue") ?? "",
    resourceVersion: query.get("resourceVersion") ?? "",
    resourceVersionMatch: query.get("resourceVersionMatch") ?? "",
    watch,
    allowWatchBookmarks: boolean(query, "allowWatchBookmarks") ?? false,
    sendInitialEvents: boolean(query, "sendInitialEvents"),
    timeoutSeconds: integer(query, "timeoutSeconds"),
  };
  const errors = o.watch ? watchErrors(o) : listErrors(o);
  if (errors.length > 0) throw statusErrors.invalid({ group: "meta.k8s.io", kind: "ListOptions" }, "", errors);
  return o;
}

function watchErrors(o: ListOptions): FieldError[] {
  const errors: FieldError[] = [];
  if (o.sendInitialEvents !== undefined) {
    if (o.resourceVersionMatch !== "NotOlderThan") {
      errors.push(forbidden("resourceVersionMatch", "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"));
      if (o.resourceVersionMatch !== "") errors.push(notSupported("resourceVersionMatch", o.resourceVersionMatch, ["NotOlderThan"]));
    }
    return errors;
  }
  if (o.resourceVersionMatch !== "")
    errors.push(forbidden("resourceVersionMatch", "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"));
  return errors;
}

function listErrors(o: ListOptions): FieldError[] {
  const errors: FieldError[] = [];
  const match = o.resourceVersionMatch;
  if (match !== "") {
    if (o.resourceVersion === "" && o.continue === "")
      errors.push(forbidden("resourceVersionMatch", "resourceVersionMatch is forbidden unless resourceVersion is provided"));
    else if (o.continue !== "")
      errors.push(forbidden("resourceVersionMatch", "resourceVersionMatch is forbidden when continue is provided"));
    if (match !== "Exact" && match !== "NotOlderThan") {
      errors.push(notSupported("resourceVersionMatch", match, ["Exact", "NotOlderThan", ""]));
    } else if (match === "Exact" && o.resourceVersion === "0") {
      errors.push(forbidden("resourceVersionMatch", 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'));
    }
  }
  if (o.sendInitialEvents !== undefined) errors.push(forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list"));
  return errors;
}

/** Options of create, update and patch; `kind` names the options type in error messages. */
export function writeOptions(
  query: URLSearchParams,
  kind: "CreateOptions" | "UpdateOptions" | "PatchOptions",
  isApply = false,
): WriteOptions {
  const errors: FieldError[] = [];
  const force = boolean(query, "force");
  const fieldManager = query.get("fieldManager") ?? "";
  if (kind === "PatchOptions") {
    if (isApply && fieldManager === "") errors.push(required("fieldManager", "is required for apply patch"));
    if (!isApply && force !== undefined) errors.push(forbidden("force", "may not be specified for non-apply patch"));
  }
  errors.push(...fieldManagerErrors(fieldManager));
  const dryRun = dryRunOf(query.getAll("dryRun"), errors);
  const fieldValidation = query.get("fieldValidation") ?? "";
  if (fieldValidation !== "" && fieldValidation !== "Ignore" && fieldValidation !== "Warn" && fieldValidation !== "Strict") {
    errors.push(notSupported("fieldValidation", fieldValidation, ["", "Ignore", "Strict", "Warn"]));
  }
  if (errors.length > 0) throw statusErrors.invalid({ group: "meta.k8s.io", kind }, "", errors);
  return { dryRun, fieldManager, fieldValidation: (fieldValidation || "Warn") as WriteOptions["fieldValidation"], force };
}

export function dryRunOf(values: readonly string[], errors: FieldError[], field = "dryRun"): boolean {
  const given = values.flatMap((v) => v.split(",")).filter((v) => v !== "");
  const wrong = given.filter((v) => v !== "All");
  if (wrong.length > 0) errors.push(notSupported(field, given, ["All"]));
  return given.length > 0;
}

function fieldManagerErrors(manager: string): FieldError[] {
  if (manager.length > MAX_FIELD_MANAGER_LENGTH) return [tooLong("fieldManager", MAX_FIELD_MANAGER_LENGTH)];
  for (let i = 0; i < manager.length; i++) {
    const c = manager.charCodeAt(i);
    if (c < 0x20 || c === 0x7f) return [invalid("fieldManager", manager, "should only contain printable characters")];
  }
  return [];
}

/** Go's ParseBool on a query parameter; anything unreadable counts as true when present, as the conversion of URL values does. */
export function boolean(query: URLSearchParams, name: string): boolean | undefined {
  const v = query.get(name);
  if (v === null) return undefined;
  return !(v === "" || v === "0" || v.toLowerCase() === "false");
}

export function integer(query: URLSearchParams, name: string): number | undefined {
  const v = query.get(name);
  if (v === null || v === "") return undefined;
  if (!/^[+-]?\d{1,19}$/.test(v)) throw statusErrors.badRequest(`strconv.ParseInt: parsing ${JSON.stringify(v)}: invalid syntax`);
  return Number(v);
}
