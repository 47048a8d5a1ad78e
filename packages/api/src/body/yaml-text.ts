// YAML text -> JSON values, with the rules of sigs.k8s.io/yaml: YAML 1.1 booleans (y, no, on) and octals, timestamps and
// base-60 numbers left as text, keys as strings; and libyaml's sentences for the common mistakes.
import { PodwireError } from "@podwire/base";
import { type Document, isAlias, isScalar, LineCounter, parseDocument, visit, type YAMLError } from "yaml";

export class YamlSyntaxError extends PodwireError {}

/** Collections inside each other; sigs.k8s.io/yaml refuses 10,000. */
const DEPTH_MAX = 1_000;
/** Aliases may not multiply a document without bound. */
const ALIASES_MAX = 100;

export interface ParsedYaml {
  value: any;
  /** "line 3: key \"a\" already set in map" */
  duplicates: string[];
}

export function parseYaml(bytes: Uint8Array): ParsedYaml {
  const text = firstDocument(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8"));
  const tooDeep = deepLine(text);
  if (tooDeep > 0) throw new YamlSyntaxError(`yaml: line ${tooDeep}: exceeded max depth of ${DEPTH_MAX}`);
  const lineCounter = new LineCounter();
  const doc = parseDocument(text, {
    version: "1.1",
    merge: true,
    // The parser would compare each key with each other of its map.
    uniqueKeys: false,
    lineCounter,
    prettyErrors: true,
    logLevel: "silent",
    customTags: (tags) =>
      tags.filter((t) => typeof t === "string" || !(t.tag === "tag:yaml.org,2002:timestamp" || ("format" in t && t.format === "TIME"))),
  });
  for (const e of doc.errors) {
    if (e.code === "MULTIPLE_DOCS") break;
    else throw new YamlSyntaxError(`yaml: line ${lineOf(e)}: ${sentence(e)}`);
  }
  doc.errors = [];
  if (text.includes("*")) refuseCycles(doc);
  try {
    const duplicates = duplicateKeys(doc, lineCounter);
    return { value: doc.toJS({ maxAliasCount: ALIASES_MAX }), duplicates };
  } catch (e) {
    throw new YamlSyntaxError("yaml: document contains excessive aliasing", { cause: e });
  }
}

function lineOf(e: YAMLError): number {
  return e.linePos?.[0].line ?? 1;
}

/** Only the first document counts; a marker at the start of a line ends it, wherever it stands. */
function firstDocument(text: string): string {
  const begin = /^(?:[ \t]*(?:#[^\n]*)?\n|%[^\n]*\n)*---(?=\s|$)/.exec(text)?.[0].length ?? 0;
  const end = /\n(?:---|\.\.\.)(?=\s|$)/.exec(text.slice(begin));
  return end ? text.slice(0, begin + end.index + 1) : text;
}

/** The line on which flow collections or compact block ones lie deeper than allowed; 0: none. Brackets in strings count too: few texts have so many. */
function deepLine(text: string): number {
  if (text.length <= DEPTH_MAX) return 0;
  let flow = 0;
  let line = 1;
  let compact = 0;
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c === 0x0a) {
      line++;
      compact = 0;
    } else if (c === 0x5b || c === 0x7b) flow++;
    else if (c === 0x5d || c === 0x7d) flow = Math.max(0, flow - 1);
    else if ((c === 0x2d || c === 0x3f || c === 0x3a) && text.charCodeAt(i + 1) === 0x20 && flow === 0) compact++;
    if (flow > DEPTH_MAX || compact > DEPTH_MAX) return line;
  }
  return 0;
}

/** An alias inside the very node that it stands for would make a value without end. */
function refuseCycles(doc: Document.Parsed): void {
  const anchors = new Map<string, unknown>();
  visit(doc, {
    Node(_, node, path) {
      if (isAlias(node)) {
        const target = anchors.get(node.source);
        if (target !== undefined && path.includes(target as never))
          throw new YamlSyntaxError(`yaml: anchor '${node.source}' value contains itself`);
      } else if ("anchor" in node && node.anchor) anchors.set(node.anchor as string, node);
    },
  });
}

/** Keys that a map has twice, in the words of yaml.v2. */
function duplicateKeys(doc: Document.Parsed, lines: LineCounter): string[] {
  const found: string[] = [];
  visit(doc, {
    Map(_, map) {
      const seen = new Set<unknown>();
      for (const { key } of map.items) {
        if (!isScalar(key) || key.value === "<<") continue;
        if (seen.has(key.value))
          found.push(`line ${lines.linePos(key.range?.[0] ?? 0).line}: key ${JSON.stringify(String(key.value))} already set in map`);
        seen.add(key.value);
      }
    },
  });
  return found;
}

function sentence(e: YAMLError): string {
  switch (e.code) {
    case "BAD_INDENT":
    case "BLOCK_AS_IMPLICIT_KEY":
      if (/^Flow/.test(e.message)) return "did not find expected node content";
      return "mapping values are not allowed in this context";
    case "MISSING_CHAR":
      return /^Flow/.test(e.message) ? "did not find expected node content" : "could not find expected ':'";
    case "TAB_AS_INDENT":
      return "found character that cannot start any token";
    case "UNEXPECTED_TOKEN":
      return "did not find expected node content";
    default:
      return e.message.split("\n")[0]!;
  }
}
