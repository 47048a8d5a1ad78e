// GET of one object: resourceVersion unset reads what is newest, 0 whatever the cache has, N what is not older than N.
import { StatusError, statusErrors } from "@podwire/api";
import type { CachedObject } from "../cache/cached-object.ts";
import type { Api, ApiResponse, Call } from "../call.ts";
import { objectResponse } from "../response.ts";

/** How long a read waits for a revision that the cache has not seen yet (apiserver/pkg/storage/cacher). */
const WAIT_FOR_REVISION_MS = 3_000;

export async function get(api: Api, call: Call): Promise<ApiResponse> {
  const o = await readOne(api, call, call.info.query.get("resourceVersion") ?? "");
  await call.served.prepare?.([o]);
  return objectResponse(200, o, call.served, call.output, api.clock.nowMs(), call.info.query.get("includeObject"));
}

/** The object of a call, or 404. */
export async function readOne(api: Api, call: Call, resourceVersion = ""): Promise<CachedObject> {
  await awaitRevision(api, resourceVersion, call.request);
  const { group, resource } = call.served.storage;
  const o = api.cache.of(group, resource).get(call.namespace, call.name);
  if (!o) {
    const lost = api.unreadable?.(group, resource, call.namespace, call.name);
    if (lost !== undefined) throw statusErrors.internal(lost);
    throw statusErrors.notFound(call.served.info, call.name);
  }
  return o;
}

/** "" waits until the cache is as fresh as the store, "0" does not wait, N waits for N or answers 504. */
export async function awaitRevision(api: Api, resourceVersion: string, request: { readonly signal?: AbortSignal }): Promise<number> {
  if (resourceVersion === "") {
    await api.readFresh(request);
    return 0;
  }
  if (resourceVersion === "0") return 0;
  const revision = parseRevision(resourceVersion);
  if (api.cache.revision >= revision) return revision;
  const timeout = new AbortController();
  const timer = api.clock.after(WAIT_FOR_REVISION_MS, () => timeout.abort(), { unref: true });
  try {
    await api.cache.reached(revision, timeout.signal);
  } catch {
    throw statusErrors.tooLargeResourceVersion(revision, api.cache.revision, 1);
  } finally {
    timer.cancel();
  }
  return revision;
}

export function parseRevision(text: string): number {
  if (!/^\d{1,19}$/.test(text)) {
    throw new StatusError(
      500,
      "",
      `resourceVersion: Invalid value: ${JSON.stringify(text)}: strconv.ParseUint: parsing ${JSON.stringify(text)}: invalid syntax`,
    );
  }
  return Number(text);
}
