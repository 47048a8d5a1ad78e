// Why a write or read of the store did not happen; or that nobody knows whether it did (StoreUnavailableError).
import { PodwireError } from "@podwire/base";
import type { Key } from "./contract.ts";

/** "apps/deployments default/web", for people. */
export function keyText(k: Key): string {
  const resource = k.group === "" ? k.resource : `${k.group}/${k.resource}`;
  return k.namespace === "" ? `${resource} ${k.name}` : `${resource} ${k.namespace}/${k.name}`;
}

/** `create` of a key that lives. */
export class KeyExistsError extends PodwireError {
  readonly key: Key;
  readonly currentRevision: number;
  constructor(key: Key, currentRevision: number) {
    super(`${keyText(key)} exists at revision ${currentRevision}`);
    this.key = key;
    this.currentRevision = currentRevision;
  }
}

/** `update` or `delete` of a key that is absent or deleted. */
export class KeyNotFoundError extends PodwireError {
  readonly key: Key;
  constructor(key: Key) {
    super(`${keyText(key)} does not exist`);
    this.key = key;
  }
}

/** Somebody else wrote since the revision that the caller had seen. */
export class RevisionConflictError extends PodwireError {
  readonly key: Key;
  readonly expectedRevision: number;
  readonly currentRevision: number;
  constructor(key: Key, expectedRevision: number, currentRevision: number) {
    super(`${keyText(key)} is at revision ${currentRevision}, not ${expectedRevision}`);
    this.key = key;
    this.expectedRevision = expectedRevision;
    this.currentRevision = currentRevision;
  }
}

/** The server could not be reached in time. A write that ends so may or may not have happened. */
export class StoreUnavailableError extends PodwireError {
  constructor(what: string, opts: { cause?: unknown } = {}) {
    super(`the store is not available: ${what}`, { ...opts, next: "podwire status" });
  }
}

/** The server answered a store call with an error that is not about revisions. */
export class StoreRefusedError extends PodwireError {
  readonly code: number;
  constructor(call: string, code: number, description: string) {
    super(`${call}: ${description} (${code})`);
    this.code = code;
  }
}

/** The store or feed was closed by its owner. */
export class StoreClosedError extends PodwireError {
  constructor() {
    super("the store is closed");
  }
}
