// meta.k8s.io/v1 Table: what `kubectl get` shows. Columns come from the resource table, cells from a printer per kind; a
// kind without one prints its name and creation time.

import type { ResourceInfo, TableColumn } from "../resources.ts";
import type { Cell, Obj, PrintContext, Printer } from "./cells.ts";
import { CLUSTER } from "./cluster.ts";
import { columnDescription } from "./column-descriptions.ts";
import { podRowConditions, printPod } from "./pods.ts";
import { WORKLOADS } from "./workloads.ts";

export type IncludeObject = "None" | "Metadata" | "Object";

export interface TableOptions {
  nowMs: number;
  includeObject?: IncludeObject;
  /** Metadata of the list: resourceVersion, continue, remainingItemCount. */
  metadata?: Record<string, unknown>;
  /** False in all but the first event of a watch, as kube-apiserver sends them. */
  columns?: boolean;
}

export interface TableRow {
  cells: Cell[];
  conditions?: unknown[];
  object: unknown;
}

export interface Table {
  kind: "Table";
  apiVersion: "meta.k8s.io/v1";
  metadata: Record<string, unknown>;
  columnDefinitions: Required<TableColumn>[] | null;
  rows: TableRow[];
}

const PRINTERS: Record<string, Printer> = { "/Pod": printPod, ...WORKLOADS, ...CLUSTER };

/** Custom resources bring their own columns and cells. */
export interface CustomColumns {
  readonly columns: readonly TableColumn[];
  print(o: Obj, c: PrintContext): Cell[];
}

const FALLBACK: readonly TableColumn[] = [
  {
    name: "Name",
    type: "string",
    format: "name",
    description:
      "Name must be unique within a namespace. Is required when creating resources, although some resources may allow a client to request the generation of an appropriate name automatically. Name is primarily intended for creation idempotence and configuration definition. Cannot be updated. More info: https://kubernetes.io/docs/concepts/overview/working-with-objects/names#names",
  },
  {
    name: "Created At",
    type: "date",
    description:
      "CreationTimestamp is a timestamp representing the server time when this object was created. It is not guaranteed to be set in happens-before order across separate operations. Clients may not set this value. It is represented in RFC3339 form and is in UTC.\n\nPopulated by the system. Read-only. Null for lists. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata",
  },
];

/** The columns of a resource, with every field that the wire format has. */
export function tableColumns(info: ResourceInfo, custom?: CustomColumns): Required<TableColumn>[] {
  const columns = custom?.columns ?? (info.columns.length > 0 ? info.columns : FALLBACK);
  return columns.map((c) => ({
    name: c.name,
    type: c.type,
    format: c.format ?? "",
    description: c.description || columnDescription(info.groupResource, c.name),
    priority: c.priority ?? 0,
  }));
}

const MAX_TIME_MS = 8.64e15;

/** Prints objects of one resource as a Table. */
export function printTable(info: ResourceInfo, objects: readonly Obj[], opts: TableOptions, custom?: CustomColumns): Table {
  const key = `${info.group}/${info.kind}`;
  const printer: Printer = custom
    ? (o, c) => custom.print(o, c)
    : (PRINTERS[key] ?? ((o) => [o.metadata.name, o.metadata.creationTimestamp ?? ""]));
  const context: PrintContext = { nowMs: Math.min(opts.nowMs, MAX_TIME_MS) };
  const include = opts.includeObject ?? "Metadata";
  return {
    kind: "Table",
    apiVersion: "meta.k8s.io/v1",
    metadata: opts.metadata ?? {},
    columnDefinitions: opts.columns === false ? null : tableColumns(info, custom),
    rows: objects.map((o) => {
      const row: TableRow = { cells: printer(o, context), object: rowObject(o, include) };
      const conditions = key === "/Pod" ? podRowConditions(o) : undefined;
      return conditions === undefined ? row : { cells: row.cells, conditions, object: row.object };
    }),
  };
}

const TEMPLATE_GENERATION = "deprecated.daemonset.template.generation";

function rowObject(o: Obj, include: IncludeObject): unknown {
  if (include === "None") return null;
  if (include === "Object") return o;
  const { [TEMPLATE_GENERATION]: generation, ...annotations } = o.metadata?.annotations ?? {};
  if (generation === undefined) return { kind: "PartialObjectMetadata", apiVersion: "meta.k8s.io/v1", metadata: o.metadata };
  // A DaemonSet's template generation is an annotation only on the wire of apps/v1.
  const { annotations: _, ...metadata } = o.metadata;
  if (Object.keys(annotations).length > 0) metadata.annotations = annotations;
  return { kind: "PartialObjectMetadata", apiVersion: "meta.k8s.io/v1", metadata };
}
