// GET of a collection: resourceVersion and resourceVersionMatch, limit and continue, selectors; all from the watch cache.
// Invariant: the pages of one chunked list show the state of one revision, whatever is written in between, or the client gets 410.
import { type KubeObject, type StatusError, statusErrors } from "@podwire/api";
import type { CachedObject } from "../cache/cached-object.ts";
import type { Api, ApiResponse, Call } from "../call.ts";
import { type ListOptions, listOptions } from "../request/options.ts";
import { type ListMeta, listResponse, wholeListResponse } from "../response.ts";
import { decodeContinue, encodeContinue } from "./continue-token.ts";
import { awaitRevision, parseRevision } from "./get.ts";

const CONTINUE_EXPIRED =
  "The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.";

export async function list(api: Api, call: Call): Promise<ApiResponse> {
  const options = listOptions(call.info.query, call.served.info, false, call.served.custom?.selectableFields);
  if (isWhole(call, options)) {
    refuseUnreadable(api, call);
    await awaitRevision(api, options.resourceVersion, call.request);
    const { storage, apiVersion, members, custom } = call.served;
    const resources = api.cache.of(storage.group, storage.resource);
    const items = api.lists.items(
      `${apiVersion} ${storage.resource} ${call.namespace}${custom ? ` ${generationOf(custom.definition)}` : ""}`,
      resources,
      () => Array.from(resources.values(call.namespace || undefined), members),
    );
    return wholeListResponse(items, { resourceVersion: String(api.cache.revision) }, call.served);
  }
  const found = await findList(api, call, options);
  await call.served.prepare?.(found.objects);
  return listResponse(found.objects, found.meta, call.served, call.output, api.clock.nowMs(), call.info.query.get("includeObject"));
}

/** A collection of which some object cannot be decrypted is not shown without it. */
function refuseUnreadable(api: Api, call: Call): void {
  const lost = api.unreadable?.(call.served.storage.group, call.served.storage.resource, call.namespace);
  if (lost !== undefined) throw statusErrors.internal(lost);
}

/** Another state of a definition reads the same stored objects otherwise. */
const generationOf = (definition: KubeObject) => `${definition.metadata.uid} ${definition.metadata.generation}`;

/** Whether everything there is now is asked for, as plain JSON that is there without a conversion. */
function isWhole(call: Call, o: ListOptions): boolean {
  if (call.output.shape !== "object" || call.output.encoding !== "json" || call.name !== "" || call.served.prepare) return false;
  if (o.limit > 0 || o.continue !== "" || o.fieldSelector || (o.labelSelector && !o.labelSelector.empty)) return false;
  return o.resourceVersionMatch !== "Exact";
}

/** The objects of a list request and its metadata. */
export async function findList(api: Api, call: Call, o: ListOptions): Promise<{ objects: CachedObject[]; meta: ListMeta }> {
  const resources = api.cache.of(call.served.storage.group, call.served.storage.resource);
  refuseUnreadable(api, call);
  const accept = selection(call, o);
  const limit = Math.max(0, o.limit);
  let revision = 0;
  let after: string | undefined;
  if (o.continue !== "") {
    if (o.resourceVersion !== "" && o.resourceVersion !== "0")
      throw statusErrors.badRequest("specifying resource version is not allowed when using continue");
    const token = decodeContinue(o.continue);
    after = token.after;
    if (token.revision < 0) await awaitRevision(api, "", call.request);
    else {
      await awaitRevision(api, String(token.revision), call.request);
      if (token.revision < resources.windowStart) throw continueExpired(after);
      revision = token.revision;
    }
  } else {
    const asked = await awaitRevision(api, o.resourceVersion, call.request);
    const legacyExact = o.resourceVersionMatch === "" && limit > 0 && asked > 0;
    if (o.resourceVersionMatch === "Exact" || legacyExact) {
      revision = parseRevision(o.resourceVersion);
      if (revision < resources.windowStart) throw statusErrors.expired("The resourceVersion for the provided list is too old.");
    }
  }
  // Field selectors look at the served form.
  if (call.served.prepare && o.fieldSelector) await call.served.prepare([...resources.values(call.namespace || undefined)]);
  const at = revision === 0 ? api.cache.revision : revision;
  const slice = resources.slice({ namespace: call.namespace || undefined, after, limit, revision, accept });
  const meta: ListMeta = { resourceVersion: String(at) };
  if (slice.next !== undefined) {
    meta.continue = encodeContinue({ revision: at, after: slice.next });
    if (!accept) meta.remainingItemCount = slice.remaining;
  }
  return { objects: slice.objects, meta };
}

/** The filter of a list or watch, or undefined when everything passes. */
export function selection(call: Call, o: ListOptions): ((c: CachedObject) => boolean) | undefined {
  const labels = o.labelSelector && !o.labelSelector.empty ? o.labelSelector : undefined;
  const fields = o.fieldSelector;
  const name = call.name;
  if (!labels && !fields && name === "") return undefined;
  const { served } = call;
  return (c) => {
    if (name !== "" && c.key.name !== name) return false;
    if (labels && !labels.matches(c.object.metadata.labels ?? {})) return false;
    return !fields || fields.matches(served.decoded(c));
  };
}

function continueExpired(after: string): StatusError {
  const e = statusErrors.expired(CONTINUE_EXPIRED);
  const status = e.status as unknown as { metadata: Record<string, unknown> };
  status.metadata = { continue: encodeContinue({ revision: -1, after }) };
  return e;
}
