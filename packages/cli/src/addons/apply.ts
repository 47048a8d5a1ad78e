// Creates objects of a manifest that are not there yet. What exists is left alone: it is the user's after its first creation.

import { PodwireError } from "@podwire/base";
import { type ApiClient, apiVersionOf, isAlreadyExists, isNotFound, type KubeObject, type ResourceRef, Resources } from "@podwire/client";

/** Returns "Kind/name" of what it created. */
export async function createMissing(api: ApiClient, objects: readonly KubeObject[]): Promise<string[]> {
  const created = await Promise.all(
    objects.map(async (object) => {
      const ref = refOf(object);
      // Asked for first: a Service that exists holds its own address, and the server says that before it says "exists".
      if (await exists(api, ref, object)) return undefined;
      try {
        await api.create(ref, object);
        return `${object.kind}/${object.metadata.name}`;
      } catch (e) {
        if (isAlreadyExists(e)) return undefined;
        throw e;
      }
    }),
  );
  return created.filter((c) => c !== undefined);
}

async function exists(api: ApiClient, ref: ResourceRef, object: KubeObject): Promise<boolean> {
  try {
    await api.get(ref, object.metadata.namespace ?? "", object.metadata.name ?? "");
    return true;
  } catch (e) {
    if (isNotFound(e)) return false;
    throw e;
  }
}

function refOf(object: KubeObject): ResourceRef {
  const ref = Object.values(Resources).find((r) => r.kind === object.kind && apiVersionOf(r) === object.apiVersion);
  if (!ref) throw new PodwireError(`no resource for ${object.apiVersion} ${object.kind}`);
  return ref;
}
