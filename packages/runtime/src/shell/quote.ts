// Text that the shell reads back as the same word: for `set`, `export -p`, `trap`, `alias` (always quoted) and `set -x`.

/** ash's single_quote: 'a'"'"'b'. */
export function singleQuoted(s: string): string {
  let out = "";
  for (const piece of s.split(/('+)/)) {
    if (piece === "") continue;
    out += piece.startsWith("'") ? `"${piece}"` : `'${piece}'`;
  }
  return out === "" ? "''" : out;
}

/** For xtrace: quoted only when needed (maybe_single_quote). */
export function maybeQuoted(s: string): string {
  if (s !== "" && /^[^\s!"#$%&'()*;<=>?[\\^`{|}~]*$/.test(s) && !/^[-+.,/:@\]_\w]*$/.test(s)) return s;
  if (s !== "" && /^[-+.,/:@\]_\w]*$/.test(s)) return s;
  return singleQuoted(s);
}
