// What a webhook or policy made of an object gets its kind's defaults, as a client's object does; a custom one is pruned by its schema, too.
import { applyDefaults, type KubeObject, type ResourceInfo } from "@podwire/api";
import type { Api } from "../call.ts";
import { kindInfo } from "../subresources/kind-info.ts";
import type { Attributes } from "./chain.ts";

/** Changes `o`, an object of the request's kind. */
export function applyDefaultsOf(api: Api, a: Attributes, o: KubeObject): void {
  const custom = isResourceKind(a) ? api.catalogue.find(a.info.group, a.info.version, a.info.resource)?.custom : undefined;
  if (custom) custom.receive(o, "Ignore", []);
  else applyDefaults(a.kind, o);
}

/** The type of the request's object, which for a subresource may be another than the resource's. */
export function typeOf(a: Attributes): ResourceInfo {
  return isResourceKind(a) ? a.info : kindInfo(a.kind.group, a.kind.version, a.kind.kind);
}

function isResourceKind(a: Attributes): boolean {
  return a.kind.kind === a.info.kind && a.kind.group === a.info.group;
}
