// /debug/api_priority_and_fairness/: what priority levels, queues and waiting requests look like now, as comma-separated columns
// (apiserver/pkg/util/flowcontrol/apf_controller_debug.go).
import type { PathHandler } from "../handler.ts";
import type { RequestInfo } from "../request/request-info.ts";
import { apiVersionOf } from "../resources/catalogue.ts";
import { textResponse } from "../response.ts";
import type { Flow, FlowControl } from "./flow-control.ts";

const ROOT = "/debug/api_priority_and_fairness/";
const LEVEL_COLUMNS = ["PriorityLevelName", "ActiveQueues", "IsIdle", "IsQuiescing", "WaitingRequests", "ExecutingRequests"];
const QUEUE_COLUMNS = [
  "PriorityLevelName",
  "Index",
  "PendingRequests",
  "ExecutingRequests",
  "SeatsInUse",
  "NextDispatchR",
  "InitialSeatsSum",
  "MaxSeatsSum",
  "TotalWorkSum",
];
const REQUEST_COLUMNS = [
  "PriorityLevelName",
  "FlowSchemaName",
  "QueueIndex",
  "RequestIndexInQueue",
  "FlowDistingsher",
  "ArriveTime",
  "InitialSeats",
  "FinalSeats",
  "AdditionalLatency",
];
const DETAIL_COLUMNS = ["UserName", "Verb", "APIPath", "Namespace", "Name", "APIVersion", "Resource", "SubResource"];

export function flowControlDumps(control: FlowControl): PathHandler {
  return (info) => {
    if (!info.path.startsWith(ROOT)) return undefined;
    switch (info.path.slice(ROOT.length)) {
      case "dump_priority_levels":
        return textResponse(200, text([LEVEL_COLUMNS, ...levelRows(control)]));
      case "dump_queues":
        return textResponse(200, text([QUEUE_COLUMNS, ...queueRows(control)]));
      case "dump_requests": {
        const details = (info.query.get("includeRequestDetails") ?? "") !== "";
        return textResponse(200, text([[...REQUEST_COLUMNS, ...(details ? DETAIL_COLUMNS : [])], ...requestRows(control, details)]));
      }
      default:
        return undefined;
    }
  };
}

function levelRows(control: FlowControl): string[][] {
  return [...control.levels].map(({ config, queues: q }) => {
    if (config.exempt) return [config.name, ...Array<string>(5).fill("<none>")];
    const active = q.queues.filter((x) => x.waiting.length > 0).length;
    return [config.name, active, q.waiting + q.executing === 0, false, q.waiting, q.executing].map(String);
  });
}

function queueRows(control: FlowControl): string[][] {
  return [...control.levels].flatMap(({ config, queues: set }) => {
    if (config.exempt) return [[config.name, ...Array<string>(8).fill("<none>")]];
    return set.queues.map((q, i) => {
      const seats = q.waiting.reduce((n, w) => n + w.seats, 0);
      return [config.name, i, q.waiting.length, q.executing, q.seatsInUse, q.nextR.toFixed(8), seats, seats, `${seats.toFixed(8)}ss`].map(
        String,
      );
    });
  });
}

function requestRows(control: FlowControl, details: boolean): string[][] {
  const rows: string[][] = [];
  for (const { config, queues: set } of control.levels)
    for (const [i, q] of set.queues.entries())
      for (const [j, w] of q.waiting.entries()) {
        const row = [config.name, w.schema, String(i), String(j), w.flow, new Date(w.arrivedMs).toISOString(), String(w.seats), "0", "0s"];
        if (details) {
          const { info, flow } = w.about as { info: RequestInfo; flow: Flow };
          const resource = [apiVersionOf(info.group, info.version), info.resource, info.subresource];
          row.push(flow.digest.user.name, info.verb, info.path, info.namespace, info.name, ...resource);
        }
        rows.push(row);
      }
  return rows;
}

/** Columns end in a comma and are padded to the widest, as Go's tabwriter does. */
function text(rows: readonly string[][]): string {
  const widths: number[] = [];
  for (const r of rows) for (const [i, c] of r.entries()) widths[i] = Math.max(widths[i] ?? 0, c.length + 2, 8);
  const line = (r: readonly string[]) => r.map((c, i) => (i === r.length - 1 ? c : `${c},`.padEnd(widths[i] as number))).join("");
  return `${rows.map(line).join("\n")}\n`;
}
