// Which code serves which subresource.
import { statusErrors } from "@podwire/api";
import type { Api, ApiResponse, Call } from "../call.ts";
import type { Route } from "../routing.ts";
import { get } from "../verbs/get.ts";
import { patch } from "../verbs/patch.ts";
import { update } from "../verbs/update.ts";
import { bindPod } from "./binding.ts";
import { evict } from "./eviction.ts";
import { podLog } from "./log.ts";
import { podStream } from "./pod-stream.ts";
import { proxy } from "./proxy.ts";
import { scale } from "./scale.ts";

/** Subresources that are a view of the whole object with rules of their own. */
const VIEWS = new Set(["status", "finalize", "ephemeralcontainers", "resize", "approval"]);

export function subresource(api: Api, call: Call, r: Route): Promise<ApiResponse> {
  const extra = api.subresources.get(`${call.served.info.groupResource}/${r.subresource}`);
  if (extra) return extra(call, r);
  if (r.subresource === "proxy") return proxy(api, call, r);
  if (r.subresource === "scale") return scale(api, call, r.verb);
  if (VIEWS.has(r.subresource)) {
    if (r.verb === "get") return get(api, call);
    if (r.verb === "update") return update(api, call);
    if (r.verb === "patch") return patch(api, call);
    throw statusErrors.methodNotAllowed();
  }
  if (call.served.info.group === "" && call.served.info.resource === "pods") {
    switch (r.subresource) {
      case "binding":
        return bindPod(api, call, call.name);
      case "eviction":
        return evict(api, call);
      case "log":
        return podLog(api, call);
      case "exec":
      case "attach":
      case "portforward":
        return podStream(api, call, r.subresource);
    }
  }
  throw statusErrors.genericNotFound();
}
