// The head of a plain HTTP/1.1 request (RFC 9112, sections 3 and 5), as Kubernetes' clients send it.
// Invariant: what is taken here has one meaning only. Everything else is `undefined`, which is no refusal: Node's own parser reads it instead.

/** A header section and what it says about the message. */
export interface HeaderBlock {
  /** Names in lower case; no name came twice. */
  readonly headers: Readonly<Record<string, string>>;
  /** 0 without a body. */
  readonly contentLength: number;
  /** The client wants the connection to end with the answer. */
  readonly close: boolean;
}

export interface RequestLine {
  readonly method: string;
  readonly target: string;
}

const REQUEST_LINE = /^(GET|POST|PUT|PATCH|DELETE) (\/[\x21-\x7e]*) HTTP\/1\.1$/;
const FIELDS = /^(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e]*\r\n)+$/;
const LENGTH = /^\d{1,10}$/;
/** Fields that change how the message or the connection is read. */
const UNUSUAL = ["transfer-encoding", "upgrade", "expect", "trailer"] as const;

/** A request line without its CRLF. */
export function parseRequestLine(line: string): RequestLine | undefined {
  const m = REQUEST_LINE.exec(line);
  return m ? { method: m[1] as string, target: m[2] as string } : undefined;
}

/** The field lines, each with its CRLF. */
export function parseHeaderBlock(text: string): HeaderBlock | undefined {
  if (!FIELDS.test(text)) return undefined;
  const headers: Record<string, string> = {};
  for (let at = 0; at < text.length; ) {
    const end = text.indexOf("\r\n", at);
    const colon = text.indexOf(":", at);
    const name = text.slice(at, colon).toLowerCase();
    // Twice the same, or a name that every object has.
    if (name in headers) return undefined;
    headers[name] = text.slice(colon + 1, end).trim();
    at = end + 2;
  }
  for (const name of UNUSUAL) if (headers[name] !== undefined) return undefined;
  const { connection, host } = headers;
  const length = headers["content-length"];
  if (host === undefined || (length !== undefined && !LENGTH.test(length))) return undefined;
  const close = connection?.toLowerCase() === "close";
  if (connection !== undefined && !close && connection.toLowerCase() !== "keep-alive") return undefined;
  return { headers, contentLength: length === undefined ? 0 : Number(length), close };
}
