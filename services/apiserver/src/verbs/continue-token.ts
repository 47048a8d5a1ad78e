// The `continue` token of a chunked list: base64url of {"v":"meta.k8s.io/v1","rv":N,"start":"key\u0000"} (apiserver/pkg/storage/continue.go).
// rv -1 means: go on from the key in whatever state is newest.
import { statusErrors } from "@podwire/api";

export interface ContinueToken {
  revision: number;
  /** The key of the last object that was delivered. */
  after: string;
}

export function encodeContinue(t: ContinueToken): string {
  return Buffer.from(JSON.stringify({ v: "meta.k8s.io/v1", rv: t.revision, start: `${t.after}\u0000` })).toString("base64url");
}

export function decodeContinue(text: string): ContinueToken {
  const invalid = (why: string) => statusErrors.badRequest(`invalid continue token: continue key is not valid: ${why}`);
  if (!/^[A-Za-z0-9_-]*={0,2}$/.test(text)) {
    const at = text.search(/[^A-Za-z0-9_-]/);
    throw invalid(`illegal base64 data at input byte ${at}`);
  }
  const bytes = Buffer.from(text, "base64url");
  let value: any;
  try {
    value = JSON.parse(bytes.toString("utf8"));
  } catch {
    throw invalid(goSyntaxError(bytes));
  }
  if (value?.v !== "meta.k8s.io/v1") throw invalid(`server does not recognize this encoded version ${JSON.stringify(value?.v ?? "")}`);
  if (typeof value.rv !== "number" || value.rv === 0) throw invalid("incorrect encoded start resourceVersion (version meta.k8s.io/v1)");
  if (typeof value.start !== "string" || value.start === "") throw invalid("encoded start key empty (version meta.k8s.io/v1)");
  if (value.start.split("/").includes("..") || value.start.startsWith("/")) throw invalid(value.start);
  const start: string = value.start;
  return { revision: value.rv, after: start.endsWith("\u0000") ? start.slice(0, -1) : start };
}

/** encoding/json's complaint about bytes whose first one already is wrong (the usual case for a token that is garbage). */
function goSyntaxError(bytes: Buffer): string {
  const c = bytes[0];
  if (c === undefined) return "unexpected end of JSON input";
  if (c === 0x7b || c === 0x5b || c === 0x22) return "unexpected end of JSON input";
  const shown =
    c === 0x27
      ? "\\'"
      : c < 0x20 || (c >= 0x7f && c <= 0xa0) || c === 0xad
        ? c < 0x80
          ? `\\x${c.toString(16).padStart(2, "0")}`
          : `\\u${c.toString(16).padStart(4, "0")}`
        : String.fromCharCode(c);
  return `invalid character '${shown}' looking for beginning of value`;
}
