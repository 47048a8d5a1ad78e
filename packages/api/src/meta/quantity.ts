// Quantities (resource.Quantity): fixed-point numbers with SI, binary or exponent suffixes.
// Invariant: value is exact in nano units (finer fractions round up, away from zero, as in Kubernetes), and toString()
// is the canonical form that kube-apiserver stores. Specification: apimachinery resource.Quantity.

import { PodwireError } from "@podwire/base";
import { lookup } from "../schema/lookup.ts";

export class QuantityError extends PodwireError {}

type Format = "DecimalSI" | "BinarySI" | "DecimalExponent";

const NANO = 1_000_000_000n;
const MAX_NANO = 9_223_372_036_854_775_807n * NANO;
const SI: Record<string, number> = lookup({ n: -9, u: -6, m: -3, "": 0, k: 3, M: 6, G: 9, T: 12, P: 15, E: 18 });
const SI_BY_EXPONENT = new Map(Object.entries(SI).map(([s, e]) => [e, s]));
const BINARY: Record<string, number> = lookup({ Ki: 1, Mi: 2, Gi: 3, Ti: 4, Pi: 5, Ei: 6 });
const BINARY_SUFFIX = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
const SYNTAX = /^([+-]?)(\d*)(?:\.(\d*))?(n|u|m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei|[eE][+-]?\d+)?$/;
const WRONG_FORMAT = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
const MAX_TEXT_LENGTH = 128;

export class Quantity {
  /** The value in units of 10^-9. */
  readonly nano: bigint;
  readonly format: Format;
  private text: string | undefined;

  constructor(nano: bigint, format: Format = "DecimalSI") {
    this.nano = nano > MAX_NANO ? MAX_NANO : nano < -MAX_NANO ? -MAX_NANO : nano;
    this.format = format;
  }

  static fromInt(value: number | bigint, format: Format = "DecimalSI"): Quantity {
    return new Quantity(BigInt(value) * NANO, format);
  }

  static fromMilli(milli: number | bigint, format: Format = "DecimalSI"): Quantity {
    return new Quantity(BigInt(milli) * 1_000_000n, format);
  }

  /** Go's Value(): rounded up to an integer. */
  value(): bigint {
    return ceilDiv(this.nano, NANO);
  }

  /** Go's MilliValue(): rounded up to thousandths. */
  milli(): bigint {
    return ceilDiv(this.nano, 1_000_000n);
  }

  toNumber(): number {
    return Number(this.nano) / 1e9;
  }

  isZero(): boolean {
    return this.nano === 0n;
  }

  sign(): -1 | 0 | 1 {
    return this.nano < 0n ? -1 : this.nano > 0n ? 1 : 0;
  }

  cmp(other: Quantity): -1 | 0 | 1 {
    return this.nano < other.nano ? -1 : this.nano > other.nano ? 1 : 0;
  }

  /** The sum keeps this quantity's format, unless this one is zero. */
  add(other: Quantity): Quantity {
    return new Quantity(this.nano + other.nano, this.nano === 0n ? other.format : this.format);
  }

  sub(other: Quantity): Quantity {
    return new Quantity(this.nano - other.nano, this.nano === 0n ? other.format : this.format);
  }

  neg(): Quantity {
    return new Quantity(-this.nano, this.format);
  }

  toString(): string {
    this.text ??= print(this.nano, this.format);
    return this.text;
  }

  toJSON(): string {
    return this.toString();
  }
}

/** Parses a quantity; throws QuantityError with Kubernetes' message. */
export function parseQuantity(text: string): Quantity {
  const known = cache.get(text);
  if (known !== undefined) return known;
  const q = parseUncached(text);
  if (cache.size >= CACHE_ENTRIES) cache.clear();
  cache.set(text, q);
  return q;
}

/** The canonical text of a quantity: "1024Ki" -> "1Mi". */
export function canonicalQuantity(text: string): string {
  return parseQuantity(text).toString();
}

const CACHE_ENTRIES = 4096;
const cache = new Map<string, Quantity>();

function parseUncached(text: string): Quantity {
  if (text === "") throw new QuantityError(WRONG_FORMAT);
  const m = text.length <= MAX_TEXT_LENGTH ? SYNTAX.exec(text) : null;
  if (m === null)
    throw new QuantityError(/^[+-]?[0-9.]+[^0-9.+-]*[+-]?[0-9]*$/.test(text) && !/\..*\./.test(text) ? suffixError(text) : WRONG_FORMAT);
  const [, sign, whole, fraction = "", suffix = ""] = m;
  if (whole === "" && fraction === "") throw new QuantityError(WRONG_FORMAT);
  let format: Format = "DecimalSI";
  let digits = BigInt(`${whole}${fraction}` || "0");
  let exponent = 9 - fraction.length;
  const binary = BINARY[suffix];
  if (binary !== undefined) {
    format = "BinarySI";
    digits <<= BigInt(10 * binary);
  } else if (SI[suffix] !== undefined) {
    exponent += SI[suffix];
  } else {
    format = "DecimalExponent";
    exponent += clampExponent(suffix.slice(1));
  }
  let nano = exponent >= 0 ? digits * 10n ** BigInt(exponent) : -floorDiv(-digits, 10n ** BigInt(-exponent));
  if (sign === "-") nano = -nano;
  return new Quantity(nano, format);
}

/** Exponents past any representable value only say "huge" or "tiny". */
function clampExponent(text: string): number {
  const n = Number(text);
  return Math.max(-200, Math.min(200, n));
}

function suffixError(text: string): string {
  return /^[+-]?[0-9.]+$/.test(text) ? "unable to parse numeric part of quantity" : "unable to parse quantity's suffix";
}

function print(nano: bigint, format: Format): string {
  if (nano === 0n) return "0";
  if (format === "BinarySI" && nano > -1024n * NANO && nano < 1024n * NANO) return printDecimal(nano, "DecimalSI");
  if (format !== "BinarySI") return printDecimal(nano, format);
  let n = nano < 0n ? -ceilDiv(-nano, NANO) : ceilDiv(nano, NANO);
  let power = 0;
  while (power < 6 && n % 1024n === 0n) {
    n /= 1024n;
    power++;
  }
  return `${n}${BINARY_SUFFIX[power]}`;
}

function printDecimal(nano: bigint, format: Format): string {
  let n = nano;
  let exponent = -9;
  while (exponent < 18 && n % 1000n === 0n) {
    n /= 1000n;
    exponent += 3;
  }
  if (format === "DecimalSI") return `${n}${SI_BY_EXPONENT.get(exponent)}`;
  return exponent === 0 ? `${n}` : `${n}e${exponent}`;
}

function floorDiv(a: bigint, b: bigint): bigint {
  const q = a / b;
  return a % b !== 0n && a < 0n !== b < 0n ? q - 1n : q;
}

function ceilDiv(a: bigint, b: bigint): bigint {
  return -floorDiv(-a, b);
}
