// Resources that are not stored: bindings and the reviews. A POST computes an answer; componentstatuses are looked at now.
import { statusErrors } from "@podwire/api";
import type { Api, ApiResponse, Call } from "../call.ts";
import { valueResponse } from "../response.ts";
import type { Route } from "../routing.ts";
import { bindPod } from "./binding.ts";

/** undefined: a stored resource. */
export function virtualResource(api: Api, call: Call, r: Route): Promise<ApiResponse> | undefined {
  const { group, resource } = call.served.info;
  const extra = api.virtual.get(call.served.info.groupResource);
  if (extra) return extra(call, r);
  if (group === "" && resource === "bindings") return bindPod(api, call, undefined);
  if (group === "" && resource === "componentstatuses") return componentStatuses(call, r);
  return undefined;
}

async function componentStatuses(call: Call, r: Route): Promise<ApiResponse> {
  const items = ["controller-manager", "scheduler", "etcd-0"].map((name) => ({
    metadata: { name },
    conditions: [{ type: "Healthy", status: "True", message: "ok" }],
  }));
  call.warnings.push("v1 ComponentStatus is deprecated in v1.19+");
  if (r.verb === "list") return valueResponse(200, { kind: "ComponentStatusList", apiVersion: "v1", metadata: {}, items }, call.output);
  const one = items.find((i) => i.metadata.name === call.name);
  if (!one) throw statusErrors.notFound(call.served.info, call.name);
  return valueResponse(200, { kind: "ComponentStatus", apiVersion: "v1", ...one }, call.output);
}
