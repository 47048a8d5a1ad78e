// How awk's next, exit, break, continue and return leave where they stand.
import type { Value } from "./awk-values.ts";

export class Next extends Error {}
export class Exit extends Error {}
export class Break extends Error {}
export class Continue extends Error {}
export class Return extends Error {
  readonly value: Value;
  constructor(value: Value) {
    super();
    this.value = value;
  }
}
