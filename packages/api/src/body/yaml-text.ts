// YAML text -> JSON values, with the rules of sigs.k8s.io/yaml: YAML 1.1 booleans (y, no, on) and octals, timestamps and
// base-60 numbers left as text, keys as strings; and libyaml's sentences for the common mistakes.
import { PodwireError } from "@podwire/base";
import { parseDocument, type YAMLError } from "yaml";

export class YamlSyntaxError extends PodwireError {}

/** Aliases may not multiply a document without bound. */
const ALIASES_MAX = 100;

export interface ParsedYaml {
  value: any;
  /** "line 3: key \"a\" already set in map" */
  duplicates: string[];
}

export function parseYaml(bytes: Uint8Array): ParsedYaml {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8");
  const doc = parseDocument(text, {
    version: "1.1",
    merge: true,
    uniqueKeys: true,
    prettyErrors: true,
    logLevel: "silent",
    customTags: (tags) =>
      tags.filter((t) => typeof t === "string" || !(t.tag === "tag:yaml.org,2002:timestamp" || ("format" in t && t.format === "TIME"))),
  });
  const duplicates: string[] = [];
  for (const e of doc.errors) {
    if (e.code === "DUPLICATE_KEY") duplicates.push(`line ${lineOf(e)}: key ${JSON.stringify(keyAt(text, e))} already set in map`);
    else if (e.code === "MULTIPLE_DOCS") break;
    else throw new YamlSyntaxError(`yaml: line ${lineOf(e)}: ${sentence(e)}`);
  }
  try {
    doc.errors = [];
    return { value: doc.toJS({ maxAliasCount: ALIASES_MAX }), duplicates };
  } catch (e) {
    throw new YamlSyntaxError("yaml: document contains excessive aliasing", { cause: e });
  }
}

function lineOf(e: YAMLError): number {
  return e.linePos?.[0].line ?? 1;
}

function keyAt(text: string, e: YAMLError): string {
  return text
    .slice(e.pos[0], e.pos[1])
    .replace(/:.*$/s, "")
    .trim()
    .replace(/^["']|["']$/g, "");
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
