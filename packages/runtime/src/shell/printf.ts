// printf and echo as busybox has them (printf.c, echo.c). Text is handled as bytes, one character each, so that "\377" is one byte.

const ESCAPES: Record<string, number> = { a: 7, b: 8, e: 27, f: 12, n: 10, r: 13, t: 9, v: 11, "\\": 92 };

/** A string whose characters are bytes. */
export function bytesOf(text: string): string {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 127) return Buffer.from(text, "utf8").toString("latin1");
  return text;
}

/** "\n", "\0nnn", "\nnn", "\xhh" at text[i] (a backslash): the bytes and how far it goes; undefined for "\c". */
function escapeAt(text: string, i: number, zeroOctal: boolean): { out: string; next: number } | undefined {
  const c = text[i + 1];
  if (c === undefined) return { out: "\\", next: i + 1 };
  if (c === "c") return undefined;
  if (c in ESCAPES) return { out: String.fromCharCode(ESCAPES[c] as number), next: i + 2 };
  if (c === "x") {
    const m = /^[0-9a-fA-F]{1,2}/.exec(text.slice(i + 2, i + 4));
    return m ? { out: String.fromCharCode(Number.parseInt(m[0], 16)), next: i + 2 + m[0].length } : { out: "\\x", next: i + 2 };
  }
  if (/[0-7]/.test(c)) {
    const m = (zeroOctal && c === "0" ? /^0?[0-7]{0,3}/ : /^[0-7]{1,3}/).exec(text.slice(i + 1, i + 5)) as RegExpExecArray;
    const digits = zeroOctal && c === "0" ? m[0].slice(1) || "0" : m[0];
    return { out: String.fromCharCode(Number.parseInt(digits, 8) & 255), next: i + 1 + m[0].length };
  }
  return { out: `\\${c}`, next: i + 2 };
}

/** echo's output. */
export function echo(args: readonly string[]): string {
  let i = 0;
  let newline = true;
  let escapes = false;
  for (; i < args.length; i++) {
    const a = args[i] as string;
    if (!/^-[neE]+$/.test(a)) break;
    for (const c of a.slice(1)) {
      if (c === "n") newline = false;
      else escapes = c === "e";
    }
  }
  const text = bytesOf(args.slice(i).join(" "));
  if (!escapes) return newline ? `${text}\n` : text;
  let out = "";
  for (let at = 0; at < text.length; ) {
    if (text[at] !== "\\") {
      out += text[at++];
      continue;
    }
    const e = escapeAt(text, at, true);
    if (e === undefined) return out;
    out += e.out;
    at = e.next;
  }
  return newline ? `${out}\n` : out;
}

export interface PrintfResult {
  out: string;
  /** Lines for standard error, without the program's name. */
  errors: string[];
  code: number;
}

export function printf(args: readonly string[]): PrintfResult {
  const r: PrintfResult = { out: "", errors: [], code: 0 };
  if (args.length === 0) return { out: "", errors: ["usage: printf FORMAT [ARGUMENT...]"], code: 1 };
  const format = bytesOf(args[0] as string);
  const rest = args.slice(1).map(bytesOf);
  let next = 0;
  for (;;) {
    const before = next;
    const stop = once(format, () => rest[next++], r);
    if (stop || next === before || next >= rest.length) return r;
  }
}

/** One pass over the format; true when the output ends here ("\c", a bad format). */
function once(format: string, take: () => string | undefined, r: PrintfResult): boolean {
  for (let i = 0; i < format.length; ) {
    const c = format[i] as string;
    if (c === "\\") {
      const e = escapeAt(format, i, false);
      if (e === undefined) return true;
      r.out += e.out;
      i = e.next;
      continue;
    }
    if (c !== "%") {
      r.out += c;
      i++;
      continue;
    }
    if (format[i + 1] === "%") {
      r.out += "%";
      i += 2;
      continue;
    }
    const m = /^%([-+ #0]*)(\*|\d+)?(?:\.(\*|\d+)?)?([hlLqjzt]*)(.?)/s.exec(format.slice(i)) as RegExpExecArray;
    let flags = m[1] as string;
    const precisionGiven = /^%[-+ #0]*(?:\*|\d+)?\./.test(format.slice(i));
    let width = m[2] === "*" ? integer(take(), r) : Number(m[2] ?? 0);
    const precision = m[3] === "*" ? integer(take(), r) : m[3] === undefined ? (precisionGiven ? 0 : undefined) : Number(m[3]);
    if (width < 0) {
      flags += "-";
      width = -width;
    }
    const kind = m[5] as string;
    if (m[4]?.includes("q") || !"bcdiouxXeEfgGas".includes(kind) || kind === "") {
      r.errors.push(
        `${format.slice(i + (m[4]?.includes("q") || kind === "" ? 0 : m[0].length - (format.length > i + m[0].length ? 0 : 0)), format.length).replace(/^/, "")}: invalid format`,
      );
      r.errors[r.errors.length - 1] = `${badFormat(format, i, m)}: invalid format`;
      r.code = 1;
      return true;
    }
    i += m[0].length;
    const arg = take();
    if (kind === "b") {
      const text = arg ?? "";
      for (let at = 0; at < text.length; ) {
        if (text[at] !== "\\") {
          r.out += text[at++];
          continue;
        }
        const e = escapeAt(text, at, true);
        if (e === undefined) return true;
        r.out += e.out;
        at = e.next;
      }
      continue;
    }
    r.out += pad(convert(kind, arg, flags, precision, r), width, flags, kind);
  }
  return false;
}

function badFormat(format: string, at: number, m: RegExpExecArray): string {
  // busybox cuts the flags off and names the rest; with %z only the part behind the length letter is left.
  const lengthEnd = at + m[0].length - (m[5] as string).length;
  return m[4] && !m[4].includes("q") ? `%${format.slice(lengthEnd)}` : format.slice(at);
}

function pad(text: string, width: number, flags: string, kind: string): string {
  if (text.length >= width) return text;
  if (flags.includes("-")) return text.padEnd(width);
  if (flags.includes("0") && "diouxXeEfgGa".includes(kind)) {
    const sign = /^[+\- ]?(0[xX])?/.exec(text)?.[0] ?? "";
    return sign + text.slice(sign.length).padStart(width - sign.length, "0");
  }
  return text.padStart(width);
}

function integer(arg: string | undefined, r: PrintfResult): number {
  return Number(big(arg, r));
}

function big(arg: string | undefined, r: PrintfResult): bigint {
  const s = (arg ?? "").replace(/^\s+/, "");
  if (arg === undefined || s === "") {
    if (arg !== undefined && arg === "") {
      r.errors.push("invalid number ''");
      r.code = 1;
    }
    return 0n;
  }
  if (s[0] === '"' || s[0] === "'") return BigInt(s.charCodeAt(1) || 0);
  const m = /^([+-]?)(0[xX][0-9a-fA-F]+|[0-9]+)/.exec(s);
  if (!m || m[0].length !== s.length) {
    r.errors.push(`invalid number '${arg}'`);
    r.code = 1;
  }
  if (!m) return 0n;
  const digits = m[2] as string;
  const v = /^0[0-7]+$/.test(digits) ? BigInt(`0o${digits.slice(1)}`) : /^0\d/.test(digits) ? 0n : BigInt(digits);
  return m[1] === "-" ? -v : v;
}

function convert(kind: string, arg: string | undefined, flags: string, precision: number | undefined, r: PrintfResult): string {
  switch (kind) {
    case "s":
      return precision === undefined ? (arg ?? "") : (arg ?? "").slice(0, precision);
    case "c":
      return (arg ?? "").slice(0, 1);
    case "d":
    case "i": {
      const v = big(arg, r);
      const digits = (v < 0n ? -v : v).toString().padStart(precision ?? 0, "0");
      return (v < 0n ? "-" : flags.includes("+") ? "+" : flags.includes(" ") ? " " : "") + digits;
    }
    case "u":
    case "o":
    case "x":
    case "X": {
      const v = BigInt.asUintN(64, big(arg, r));
      let digits = v.toString(kind === "o" ? 8 : kind === "u" ? 10 : 16).padStart(precision ?? 0, "0");
      if (flags.includes("#") && v !== 0n) digits = kind === "o" ? `0${digits}` : kind === "u" ? digits : `0x${digits}`;
      return kind === "X" ? digits.toUpperCase() : digits;
    }
    default: {
      const s = (arg ?? "").trim();
      const v = s === "" ? 0 : Number(s);
      if (Number.isNaN(v)) {
        r.errors.push(`invalid number '${arg}'`);
        r.code = 1;
      }
      return formatFloat(Number.isNaN(v) ? 0 : v, kind, precision, flags);
    }
  }
}

/** C's %e %f %g of a number. */
export function formatFloat(v: number, kind: string, precision: number | undefined, flags: string): string {
  const upper = kind === kind.toUpperCase();
  const sign = v < 0 || Object.is(v, -0) ? "-" : flags.includes("+") ? "+" : flags.includes(" ") ? " " : "";
  const a = Math.abs(v);
  let text: string;
  if (!Number.isFinite(a)) text = Number.isNaN(a) ? "nan" : "inf";
  else {
    const k = kind.toLowerCase();
    const p = precision ?? 6;
    if (k === "f" && tie(a, p)) text = evenDown(a, p);
    else if (k === "f") text = a >= 1e21 ? BigInt(a).toString() + (p > 0 ? `.${"0".repeat(p)}` : "") : a.toFixed(Math.min(p, 100));
    else if (k === "e") text = exponent(a.toExponential(Math.min(p, 100)));
    else {
      const digits = Math.max(1, p);
      const e = a === 0 ? 0 : Number(a.toExponential(digits - 1).split("e")[1]);
      text = e < -4 || e >= digits ? exponent(a.toExponential(digits - 1)) : a.toFixed(Math.min(100, Math.max(0, digits - 1 - e)));
      if (!flags.includes("#"))
        text = text.includes("e") ? text.replace(/\.?0+e/, "e") : text.includes(".") ? text.replace(/\.?0+$/, "") : text;
    }
    if (flags.includes("#") && !text.includes(".")) text += ".";
  }
  return sign + (upper ? text.toUpperCase() : text);
}

/** Exactly half way between two numbers of `p` decimals. */
function tie(a: number, p: number): boolean {
  const twice = a * 10 ** p * 2;
  return p < 15 && Number.isSafeInteger(twice) && twice % 2 === 1;
}

/** C rounds a tie to the even neighbour, toFixed away from zero. */
function evenDown(a: number, p: number): string {
  const low = Math.floor(a * 10 ** p);
  return ((low % 2 === 0 ? low : low + 1) / 10 ** p).toFixed(p);
}

function exponent(s: string): string {
  return s.replace(/e([+-])(\d)$/, "e$10$2");
}
