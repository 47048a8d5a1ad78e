// Sequence numbers modulo 2^32 (RFC 9293 3.4) and timestamps (RFC 7323 5.2), kept as int32 so that a field never needs a heap
// number. Invariant: comparisons hold while two numbers are less than 2^31 apart.

/** a - b as a signed distance. */
export function distance(a: number, b: number): number {
  return (a - b) | 0;
}

export function before(a: number, b: number): boolean {
  return ((a - b) | 0) < 0;
}

export function beforeOrAt(a: number, b: number): boolean {
  return ((a - b) | 0) <= 0;
}

export function after(a: number, b: number): boolean {
  return ((a - b) | 0) > 0;
}

export function add(a: number, n: number): number {
  return (a + n) | 0;
}

export function later(a: number, b: number): number {
  return ((a - b) | 0) > 0 ? a : b;
}
