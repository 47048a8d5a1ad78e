// What a parser answers about bytes that are not what they should be: a value, not an exception, because garbage on the
// wire is an everyday input that is counted and dropped.

export class Malformed {
  readonly layer: string;
  /** Stable, low-cardinality: fit for a counter name ("truncated", "bad checksum"). */
  readonly reason: string;
  constructor(layer: string, reason: string) {
    this.layer = layer;
    this.reason = reason;
  }
  toString(): string {
    return `${this.layer}: ${this.reason}`;
  }
}

/** True when a parser refused; narrows the other branch to the meaning. */
export function isMalformed(x: unknown): x is Malformed {
  return x instanceof Malformed;
}
