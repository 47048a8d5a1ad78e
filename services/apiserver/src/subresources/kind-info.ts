// ResourceInfo of kinds that are request bodies only (Eviction, Scale, TokenRequest, ...), for decoding and defaulting.
import { type ResourceInfo, resourceInfo } from "@podwire/api";

const made = new Map<string, ResourceInfo>();

export function kindInfo(group: string, version: string, kind: string): ResourceInfo {
  const id = `${group}/${version}/${kind}`;
  let info = made.get(id);
  if (!info) {
    const resource = `${kind.toLowerCase()}s`;
    info = resourceInfo({
      group,
      version,
      resource,
      kind,
      singular: kind.toLowerCase(),
      namespaced: true,
      verbs: ["create"],
      shortNames: [],
      categories: [],
      columns: [],
      subresources: [],
    });
    made.set(id, info);
  }
  return info;
}
