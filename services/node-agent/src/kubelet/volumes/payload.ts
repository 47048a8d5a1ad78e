// The content of configMap, secret, downwardAPI and projected volumes: names, bytes and modes, pure of any file system.
// Invariant: a payload is complete or an error says what is missing, in the kubelet's words.
import type { ConfigMap, KeyToPath, Pod, Secret } from "@podwire/api";
import { PodwireError } from "@podwire/base";
import { type FieldFacts, fieldValue } from "../field-ref.ts";
import { resourceValue } from "../resource-field.ts";

export class VolumeError extends PodwireError {}
/** Somebody else has not done their part yet: tried again soon, and no event. */
export class VolumePending extends VolumeError {}

export interface PayloadFile {
  bytes: Uint8Array;
  mode: number;
  uid?: number;
}
export type Payload = Map<string, PayloadFile>;

const encoder = new TextEncoder();

/** Bytes of every key of a ConfigMap or Secret. */
export function keysOf(o: ConfigMap | Secret | undefined, kind: "configmap" | "secret"): Map<string, Uint8Array> {
  const out = new Map<string, Uint8Array>();
  if (!o) return out;
  if (kind === "configmap") {
    for (const [k, v] of Object.entries((o as ConfigMap).data ?? {})) out.set(k, encoder.encode(v));
    for (const [k, v] of Object.entries((o as ConfigMap).binaryData ?? {})) out.set(k, Buffer.from(String(v), "base64"));
  } else for (const [k, v] of Object.entries((o as Secret).data ?? {})) out.set(k, Buffer.from(String(v), "base64"));
  return out;
}

/** Adds keys as `items` choose them. */
export function addKeys(
  into: Payload,
  keys: ReadonlyMap<string, Uint8Array>,
  o: { items?: KeyToPath[] | undefined; defaultMode: number; optional: boolean; what: string },
): void {
  if (!o.items || o.items.length === 0) {
    for (const [k, bytes] of keys) into.set(k, { bytes, mode: o.defaultMode });
    return;
  }
  for (const item of o.items) {
    const bytes = keys.get(item.key!);
    if (bytes === undefined) {
      if (o.optional) continue;
      throw new VolumeError(`${o.what} references non-existent ${o.what.startsWith("secret") ? "secret" : "config"} key: ${item.key}`);
    }
    into.set(item.path!, { bytes, mode: item.mode ?? o.defaultMode });
  }
}

export function addDownward(
  into: Payload,
  items: readonly any[] | undefined,
  pod: Pod,
  facts: FieldFacts & { allocatable: Readonly<Record<string, string>> },
  defaultMode: number,
): void {
  for (const item of items ?? []) {
    let text: string | undefined;
    if (item.fieldRef) text = fieldValue(pod, item.fieldRef.fieldPath, facts);
    else if (item.resourceFieldRef) {
      const r = item.resourceFieldRef;
      const c = [...pod.spec!.containers, ...(pod.spec!.initContainers ?? [])].find((x) => x.name === r.containerName);
      if (c) text = resourceValue(c, r.resource, String(r.divisor ?? "0"), facts.allocatable);
    }
    if (text === undefined) throw new VolumeError(`failed to get downwardAPI item ${item.path}`);
    into.set(item.path, { bytes: encoder.encode(text), mode: item.mode ?? defaultMode });
  }
}
