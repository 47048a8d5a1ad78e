// Creates objects of a manifest that are not there yet. What exists is left alone: it is the user's after its first creation.

import { PodwireError } from "@podwire/base";
import { type ApiClient, apiVersionOf, isAlreadyExists, type KubeObject, type ResourceRef, Resources } from "@podwire/client";

/** Returns "Kind/name" of what it created. */
export async function createMissing(api: ApiClient, objects: readonly KubeObject[]): Promise<string[]> {
  const created = await Promise.all(
    objects.map(async (object) => {
      try {
        await api.create(refOf(object), object);
        return `${object.kind}/${object.metadata.name}`;
      } catch (e) {
        if (isAlreadyExists(e)) return undefined;
        throw e;
      }
    }),
  );
  return created.filter((c) => c !== undefined);
}

function refOf(object: KubeObject): ResourceRef {
  const ref = Object.values(Resources).find((r) => r.kind === object.kind && apiVersionOf(r) === object.apiVersion);
  if (!ref) throw new PodwireError(`no resource for ${object.apiVersion} ${object.kind}`);
  return ref;
}
