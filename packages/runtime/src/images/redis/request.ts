// A request of the redis protocol (RESP2), or a plain line as people type it.

/** One request in RESP or as a plain line; undefined when more bytes are needed. */
export function readRequest(b: Buffer): { args: string[]; length: number } | undefined | "malformed" {
  const line = b.indexOf("\r\n");
  const nl = b.indexOf(10);
  if (nl < 0) return undefined;
  if (b[0] !== 42) return { args: b.toString("utf8", 0, nl).trim().split(/\s+/), length: nl + 1 };
  if (line < 0) return undefined;
  const count = Number(b.toString("latin1", 1, line));
  const args: string[] = [];
  let at = line + 2;
  for (let i = 0; i < count; i++) {
    const end = b.indexOf("\r\n", at);
    if (end < 0) return undefined;
    if (b[at] !== 36) return "malformed";
    const length = Number(b.toString("latin1", at + 1, end));
    if (b.length < end + 2 + length + 2) return undefined;
    args.push(b.toString("utf8", end + 2, end + 2 + length));
    at = end + 2 + length + 2;
  }
  return { args, length: at };
}
