// Semantics of packages/api that may not be there yet: used when exported, else left out.

import type { FieldError, KubeObject, ResourceInfo } from "@podwire/api";
import * as semantics from "@podwire/api";

const s = semantics as unknown as Record<string, any>;

export interface Manager {
  manager: string;
  operation?: "Update" | "Apply";
  time: string;
  force?: boolean;
  subresource?: string | undefined;
}

export const validateCreate: (info: ResourceInfo, o: KubeObject) => FieldError[] = s["validateCreate"] ?? (() => []);
export const validateUpdate: (info: ResourceInfo, o: KubeObject, old: KubeObject, subresource?: string) => FieldError[] =
  s["validateUpdate"] ?? (() => []);
export const updateManaged: (info: ResourceInfo, live: KubeObject | undefined, next: KubeObject, m: Manager) => KubeObject =
  s["updateManaged"] ?? ((_i: unknown, _l: unknown, next: KubeObject) => next);
export const applyManaged: (info: ResourceInfo, live: KubeObject | undefined, applied: KubeObject, m: Manager) => KubeObject =
  s["applyManaged"] ?? ((_i: unknown, live: KubeObject | undefined, applied: KubeObject) => semantics.applyMergePatch(live ?? {}, applied));
