// Errors of single fields, with the type names and messages of apimachinery's field package (Kubernetes 1.34).
// Invariant: `errorBody(e)` is the message of the cause and `errorText(e)` that of the whole Status.

export type FieldErrorType =
  | "FieldValueNotFound"
  | "FieldValueRequired"
  | "FieldValueDuplicate"
  | "FieldValueInvalid"
  | "FieldValueNotSupported"
  | "FieldValueForbidden"
  | "FieldValueTooLong"
  | "FieldValueTooMany"
  | "InternalError"
  | "FieldValueTypeInvalid";

export interface FieldError {
  readonly type: FieldErrorType;
  /** "spec.containers[0].name"; "" prints as "<nil>". */
  readonly field: string;
  readonly detail: string;
  /** The offending value; OMIT prints none. */
  readonly badValue: unknown;
}

export const OMIT = Symbol("no bad value");

/** A value that prints without quotes, as Go's Stringer types do (quantities, times). */
export class Verbatim {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

const TYPE_TEXT: Record<FieldErrorType, string> = {
  FieldValueNotFound: "Not found",
  FieldValueRequired: "Required value",
  FieldValueDuplicate: "Duplicate value",
  FieldValueInvalid: "Invalid value",
  FieldValueNotSupported: "Unsupported value",
  FieldValueForbidden: "Forbidden",
  FieldValueTooLong: "Too long",
  FieldValueTooMany: "Too many",
  InternalError: "Internal error",
  FieldValueTypeInvalid: "Invalid value",
};

/** Go's %q of a string. */
export function goQuote(s: string): string {
  let out = '"';
  for (const ch of s) {
    const c = ch.codePointAt(0)!;
    if (ch === '"' || ch === "\\") out += `\\${ch}`;
    else if (c === 0x0a) out += "\\n";
    else if (c === 0x0d) out += "\\r";
    else if (c === 0x09) out += "\\t";
    else if (c === 0x07) out += "\\a";
    else if (c === 0x08) out += "\\b";
    else if (c === 0x0c) out += "\\f";
    else if (c === 0x0b) out += "\\v";
    else if (c < 0x20 || c === 0x7f) out += `\\x${c.toString(16).padStart(2, "0")}`;
    else if ((c >= 0x80 && c < 0xa0) || c === 0xad || c === 0x200b || c === 0xfeff) out += `\\u${c.toString(16).padStart(4, "0")}`;
    else out += ch;
  }
  return `${out}"`;
}

/** What is wrong, without the field: "Invalid value: ...: ...". */
export function errorBody(e: FieldError): string {
  let s = TYPE_TEXT[e.type];
  const silent =
    e.type === "FieldValueRequired" || e.type === "FieldValueForbidden" || e.type === "FieldValueTooLong" || e.type === "InternalError";
  if (!silent && e.badValue !== OMIT) s += `: ${printValue(e.badValue)}`;
  return e.detail === "" ? s : `${s}: ${e.detail}`;
}

/** JSON as Go's encoder prints it: <, > and & are escaped. */
export function goJson(v: unknown): string {
  return JSON.stringify(v).replace(/[<>&\u2028\u2029]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

function printValue(v: unknown): string {
  if (v === null || v === undefined) return '"null"';
  if (v instanceof Verbatim) return v.text;
  if (typeof v === "string") return goQuote(v);
  if (typeof v === "number" || typeof v === "boolean" || typeof v === "bigint") return String(v);
  return goJson(v);
}

/** The whole error as Kubernetes prints it: "spec.x: Required value". */
export function errorText(e: FieldError): string {
  return `${e.field === "" ? "<nil>" : e.field}: ${errorBody(e)}`;
}

/** A value must be there. */
export const required = (field: string, detail = ""): FieldError => ({ type: "FieldValueRequired", field, detail, badValue: "" });
/** A value breaks a rule that `detail` says. */
export const invalid = (field: string, badValue: unknown, detail: string): FieldError => ({
  type: "FieldValueInvalid",
  field,
  detail,
  badValue,
});
/** A value that may stand once stands again. */
export const duplicate = (field: string, badValue: unknown): FieldError => ({ type: "FieldValueDuplicate", field, detail: "", badValue });
/** A value names what is not there. */
export const notFound = (field: string, badValue: unknown): FieldError => ({ type: "FieldValueNotFound", field, detail: "", badValue });
/** A value may not be there. */
export const forbidden = (field: string, detail: string): FieldError => ({ type: "FieldValueForbidden", field, detail, badValue: "" });
/** Something went wrong that is not the value's fault. */
export const internalError = (field: string, detail: string): FieldError => ({ type: "InternalError", field, detail, badValue: null });
/** A value is of the wrong type. */
export const typeInvalid = (field: string, badValue: unknown, detail: string): FieldError => ({
  type: "FieldValueTypeInvalid",
  field,
  detail,
  badValue,
});

/** Lists the values in the order given, as Kubernetes does; callers sort where the original holds a set. */
export function notSupported(field: string, badValue: unknown, values: readonly string[]): FieldError {
  return {
    type: "FieldValueNotSupported",
    field,
    badValue,
    detail: values.length === 0 ? "" : `supported values: ${values.map(goQuote).join(", ")}`,
  };
}

/** A text or map is longer than `maxBytes`; a negative limit is not said. */
export function tooLong(field: string, maxBytes: number): FieldError {
  return {
    type: "FieldValueTooLong",
    field,
    badValue: "",
    detail: maxBytes >= 0 ? `may not be more than ${maxBytes} ${maxBytes === 1 ? "byte" : "bytes"}` : "value is too long",
  };
}

export function tooMany(field: string, actual: number, max: number): FieldError {
  const detail = max >= 0 ? `must have at most ${max} ${max === 1 ? "item" : "items"}` : "has too many items";
  return { type: "FieldValueTooMany", field, badValue: actual >= 0 ? actual : OMIT, detail };
}
