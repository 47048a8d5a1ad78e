// What a command may write to: data on standard output, everything else on standard error, colour only where it is wanted
// (https://no-color.org, and a terminal at the other end).
export interface Terminal {
  /** Data: a line, without its newline. */
  out(line: string): void;
  /** Progress, hints and errors. */
  err(line: string): void;
  /** Text that rewrites the current line; only meaningful when `live`. */
  raw(text: string): void;
  /** Standard error is a terminal that takes cursor movements. */
  live: boolean;
  outColour: boolean;
  errColour: boolean;
  columns: number;
}

export function systemTerminal(env: Readonly<Record<string, string | undefined>>): Terminal {
  const plain = (env["NO_COLOR"] ?? "") !== "" || env["TERM"] === "dumb";
  return {
    out: (line) => void process.stdout.write(`${line}\n`),
    err: (line) => void process.stderr.write(`${line}\n`),
    raw: (text) => void process.stderr.write(text),
    live: process.stderr.isTTY === true && env["TERM"] !== "dumb",
    outColour: process.stdout.isTTY === true && !plain,
    errColour: process.stderr.isTTY === true && !plain,
    columns: process.stdout.columns ?? 120,
  };
}

const CODES = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, blue: 34, magenta: 35, cyan: 36 } as const;
export type Colour = keyof typeof CODES;

export function paint(on: boolean, colour: Colour, text: string): string {
  return on ? `\x1b[${CODES[colour]}m${text}\x1b[0m` : text;
}

/** Rows under upper-case heads in aligned columns, as kubectl prints them. */
export function table(heads: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const all = [heads, ...rows];
  const widths = heads.map((_, i) => Math.max(...all.map((r) => (r[i] ?? "").length)));
  return all.map((r) =>
    heads
      .map((_, i) => (r[i] ?? "").padEnd(i === heads.length - 1 ? 0 : (widths[i] as number) + 3))
      .join("")
      .trimEnd(),
  );
}

/** kubectl's short ages: 45s, 3m10s, 5h, 2d. */
export function age(ms: number): string {
  const s = Math.max(0, Math.floor(ms / 1000));
  if (s < 120) return `${s}s`;
  const m = Math.floor(s / 60);
  if (m < 10) return s % 60 === 0 ? `${m}m` : `${m}m${s % 60}s`;
  if (m < 180) return `${m}m`;
  const h = Math.floor(m / 60);
  return h < 48 ? `${h}h` : `${Math.floor(h / 24)}d`;
}
