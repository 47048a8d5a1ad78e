// /metrics in the Prometheus text format: requests by verb, resource and code, the cache, the process.
import type { PathHandler, RequestCounters } from "../handler.ts";
import { textResponse } from "../response.ts";

export function metricsPath(gauges: () => Record<string, unknown>, requests: () => RequestCounters): PathHandler {
  return (info) => {
    if (info.path !== "/metrics") return undefined;
    const lines: string[] = ["# TYPE apiserver_request_total counter"];
    for (const [k, n] of requests().requests) {
      const [verb, resource, code] = k.split(" ");
      lines.push(`apiserver_request_total{code="${code}",resource="${resource}",verb="${(verb ?? "").toUpperCase()}"} ${n}`);
    }
    lines.push("# TYPE apiserver_current_inflight_requests gauge", `apiserver_current_inflight_requests ${requests().inFlight}`);
    for (const [k, v] of Object.entries(gauges())) {
      if (typeof v !== "number") continue;
      const name = `podwire_apiserver_${k.replace(/[A-Z]/g, (c) => `_${c.toLowerCase()}`)}`;
      lines.push(`# TYPE ${name} gauge`, `${name} ${v}`);
    }
    const memory = process.memoryUsage();
    const cpu = process.cpuUsage();
    lines.push("# TYPE process_resident_memory_bytes gauge", `process_resident_memory_bytes ${memory.rss}`);
    lines.push("# TYPE process_cpu_seconds_total counter", `process_cpu_seconds_total ${(cpu.user + cpu.system) / 1e6}`);
    const r = textResponse(200, `${lines.join("\n")}\n`);
    r.headers["content-type"] = "text/plain; version=0.0.4; charset=utf-8";
    return r;
  };
}
