// The tree of a shell program, as the parser makes it and the interpreter walks it.

export interface Redirect {
  /** Descriptor that is changed. */
  fd: number;
  kind: "<" | ">" | ">>" | ">|" | "<>" | ">&" | "<&" | "<<";
  target: Word;
  /** Here-document: its text; a quoted delimiter makes it literal. */
  heredoc?: Word;
}

/** A word is a list of parts; quoting is a property of each part. */
export type Word = WordPart[];

export type WordPart =
  | { t: "lit"; text: string; quoted: boolean }
  /** ${name op word}; `op` "" is a plain reference, "#len" the length. */
  | { t: "param"; name: string; op: string; word: Word | undefined; quoted: boolean }
  | { t: "cmd"; body: Node | undefined; quoted: boolean }
  | { t: "arith"; expr: Word; quoted: boolean }
  /** ${...} that means nothing: an error when it is expanded. */
  | { t: "bad" };

export interface Assignment {
  name: string;
  value: Word;
}

export interface SimpleNode {
  t: "simple";
  assigns: Assignment[];
  words: Word[];
  redirects: Redirect[];
  line: number;
}

export type Node =
  | SimpleNode
  | { t: "pipe"; commands: Node[]; negate: boolean }
  | { t: "and" | "or"; left: Node; right: Node }
  | { t: "seq"; list: Node[] }
  | { t: "background"; body: Node }
  | { t: "subshell" | "group"; body: Node; redirects: Redirect[] }
  | { t: "if"; cond: Node; then: Node; else: Node | undefined; redirects: Redirect[] }
  | { t: "while" | "until"; cond: Node; body: Node; redirects: Redirect[] }
  /** words undefined: "$@". */
  | { t: "for"; name: string; words: Word[] | undefined; body: Node; redirects: Redirect[] }
  | { t: "case"; word: Word; items: { patterns: Word[]; body: Node | undefined }[]; redirects: Redirect[] }
  | { t: "function"; name: string; body: Node };

const NONE: never[] = [];

/** The command with lists that have no spare capacity, and one empty list for all: trees live as long as their shells. */
export function trimmed(n: SimpleNode): SimpleNode {
  const tight = <T>(list: T[]): T[] => (list.length === 0 ? NONE : list.slice());
  return { t: "simple", assigns: tight(n.assigns), words: tight(n.words), redirects: tight(n.redirects), line: n.line };
}
