// POSIX regular expressions, basic and extended, as JavaScript's (regex(7)): for grep, sed, awk, expr and find.
// Invariant: what POSIX takes literally is literal here; an unbalanced bracket throws SyntaxError.

/** A basic regular expression as JavaScript's. */
export function bre(pattern: string): string {
  let out = "";
  for (let i = 0; i < pattern.length; i++) {
    const c = pattern[i] as string;
    if (c === "\\") {
      const n = pattern[++i];
      if (n === undefined) return `${out}\\\\`;
      if ("(){}|+?".includes(n)) out += n;
      else if (n === "<" || n === ">") out += "\\b";
      else if (n === "n") out += "\\n";
      else if (n === "t") out += "\\t";
      else if (/[1-9wWsSbB]/.test(n)) out += `\\${n}`;
      else out += /[\w]/.test(n) ? n : `\\${n}`;
    } else if (c === "[") {
      let end = i + 1;
      if (pattern[end] === "^") end++;
      if (pattern[end] === "]") end++;
      while (end < pattern.length && pattern[end] !== "]") {
        if (pattern[end] === "[" && /[:.=]/.test(pattern[end + 1] ?? "")) {
          const close = pattern.indexOf(`${pattern[end + 1]}]`, end + 2);
          if (close > 0) end = close + 1;
        }
        end++;
      }
      if (end >= pattern.length) throw new SyntaxError("brackets ([ ]) not balanced");
      out += bracket(pattern.slice(i, end + 1));
      i = end;
    } else if (c === "*") out += out === "" || out.endsWith("(") || out === "^" ? "\\*" : "*";
    else if ("+?{}()|".includes(c)) out += `\\${c}`;
    else if (c === "^") out += i === 0 || out.endsWith("(") || out.endsWith("|") ? "^" : "\\^";
    else if (c === "$") out += i === pattern.length - 1 || /^\\[)|]/.test(pattern.slice(i + 1)) ? "$" : "\\$";
    else if (c === "/") out += "\\/";
    else out += c;
  }
  return out;
}

const POSIX: Record<string, string> = {
  alpha: "a-zA-Z",
  digit: "0-9",
  alnum: "a-zA-Z0-9",
  upper: "A-Z",
  lower: "a-z",
  space: "\\s",
  blank: " \\t",
  punct: "!-\\/:-@\\[-`{-~",
  print: " -~",
  graph: "!-~",
  cntrl: "\\x00-\\x1f\\x7f",
  xdigit: "0-9A-Fa-f",
};

/** A POSIX bracket expression as JavaScript's. */
export function bracket(text: string): string {
  let body = text.slice(1, -1);
  const negate = body.startsWith("^");
  if (negate) body = body.slice(1);
  body = body.replace(/\[:(\w+):\]|\[[.=](.)[.=]\]|[\\[\]]/g, (w, name: string | undefined, ch: string | undefined) =>
    name !== undefined ? (POSIX[name] ?? "") : ch !== undefined ? `\\${ch}` : `\\${w}`,
  );
  return `[${negate ? "^" : ""}${body}]`;
}

/** An extended regular expression as JavaScript's. */
export function ere(pattern: string): string {
  let out = "";
  for (let i = 0; i < pattern.length; i++) {
    const c = pattern[i] as string;
    if (c === "\\") {
      const n = pattern[++i] ?? "\\";
      if (n === "<" || n === ">") out += "\\b";
      else out += /[1-9wWsSbBnt]/.test(n) || !/\w/.test(n) ? `\\${n}` : n;
    } else if (c === "[") {
      let end = i + 1;
      if (pattern[end] === "^") end++;
      if (pattern[end] === "]") end++;
      while (end < pattern.length && pattern[end] !== "]") {
        if (pattern[end] === "[" && /[:.=]/.test(pattern[end + 1] ?? "")) {
          const close = pattern.indexOf(`${pattern[end + 1]}]`, end + 2);
          if (close > 0) end = close + 1;
        }
        end++;
      }
      if (end >= pattern.length) throw new SyntaxError("brackets ([ ]) not balanced");
      out += bracket(pattern.slice(i, end + 1));
      i = end;
    } else if (c === "{" && !/^\{\d+(,\d*)?\}/.test(pattern.slice(i))) out += "\\{";
    else if (c === "}" && !/\{\d+(,\d*)?$/.test(out)) out += "\\}";
    else if (c === "/") out += "\\/";
    else out += c;
  }
  return out;
}
