// What a plan asks for, as data, and the one loop that carries it out. Invariant: actions run in order and stop at the first
// failure, so an event is recorded only after what it tells of has happened; a later write of the same object in one plan
// goes on from the revision of the earlier one.
import {
  type ApiClient,
  type DeleteOptions,
  type EventRecorder,
  type KubeObject,
  keyOf,
  type PatchType,
  type ResourceRef,
} from "@podwire/client";

export type Action =
  | { do: "create"; ref: ResourceRef; object: KubeObject }
  | { do: "update"; ref: ResourceRef; object: KubeObject; subresource?: string }
  | { do: "updateStatus"; ref: ResourceRef; object: KubeObject }
  | { do: "patch"; ref: ResourceRef; namespace: string; name: string; type: PatchType; patch: unknown; subresource?: string }
  /** Server-side apply of the status, by a manager of its own, whoever else said something there. */
  | { do: "applyStatus"; ref: ResourceRef; namespace: string; name: string; patch: unknown; fieldManager: string }
  | { do: "delete"; ref: ResourceRef; namespace: string; name: string; options?: DeleteOptions }
  | { do: "event"; object: KubeObject; type: "Normal" | "Warning"; reason: string; message: string };

/** What an action failed with and which one it was. `error` is what the client threw. */
export class ActionFailure extends Error {
  readonly action: Action;
  readonly error: unknown;
  constructor(action: Action, error: unknown) {
    super("an action failed", { cause: error });
    this.action = action;
    this.error = error;
  }
}

/** Carries out `actions`; returns what the API answered to each write. Throws ActionFailure. */
export async function applyActions(
  client: ApiClient,
  recorder: EventRecorder | undefined,
  actions: readonly Action[],
): Promise<KubeObject[]> {
  const revisions = new Map<string, string>();
  const results: KubeObject[] = [];
  const id = (ref: ResourceRef, o: KubeObject) => `${ref.group}/${ref.resource}/${keyOf(o.metadata.namespace ?? "", o.metadata.name)}`;
  const current = (ref: ResourceRef, o: KubeObject) => {
    const newer = revisions.get(id(ref, o));
    return newer === undefined ? o : { ...o, metadata: { ...o.metadata, resourceVersion: newer } };
  };
  for (const a of actions) {
    try {
      switch (a.do) {
        case "create":
          results.push(await client.create(a.ref, a.object));
          break;
        case "update":
        case "updateStatus": {
          const o = current(a.ref, a.object);
          const subresource = a.do === "updateStatus" ? "status" : a.subresource;
          const answer = await client.update(a.ref, o, subresource === undefined ? {} : { subresource });
          if (answer.metadata.resourceVersion !== undefined) revisions.set(id(a.ref, o), answer.metadata.resourceVersion);
          results.push(answer);
          break;
        }
        case "patch":
          results.push(
            await client.patch(
              a.ref,
              a.namespace,
              a.name,
              a.type,
              a.patch,
              a.subresource === undefined ? {} : { subresource: a.subresource },
            ),
          );
          break;
        case "applyStatus": {
          const opts = { subresource: "status", fieldManager: a.fieldManager, force: true };
          results.push(await client.patch(a.ref, a.namespace, a.name, "apply", a.patch, opts));
          break;
        }
        case "delete":
          results.push(await client.delete(a.ref, a.namespace, a.name, a.options));
          break;
        case "event":
          recorder?.event(a.object, a.type, a.reason, a.message);
          break;
      }
    } catch (e) {
      throw new ActionFailure(a, e);
    }
  }
  return results;
}

/** The error behind an ActionFailure, or the value itself. */
export function causeOf(e: unknown): unknown {
  return e instanceof ActionFailure ? e.error : e;
}
