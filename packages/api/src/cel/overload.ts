// What an implementation answers when it does not know the types it was given.
import { CelRuntimeError } from "./values.ts";

export const NO_OVERLOAD = Symbol("no such overload");

export function noOverload(): CelRuntimeError {
  return new CelRuntimeError("no such overload");
}
