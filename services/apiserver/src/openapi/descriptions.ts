// Field descriptions for OpenAPI: the documentation comments of @kubernetes/client-node's models, read where that package is installed.
// Without it documents carry no descriptions; nothing else depends on them.
import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

export interface TypeDocs {
  text: string | undefined;
  fields: ReadonlyMap<string, string>;
}

export interface Descriptions {
  /** By registry name, "core/v1.PodSpec". */
  of(ref: string): TypeDocs | undefined;
  /** Of a type that is no struct: "Time", "Quantity". */
  special(name: string): string | undefined;
}

export const NO_DESCRIPTIONS: Descriptions = { of: () => undefined, special: () => undefined };

/** Looks for the package from this file upwards. */
export function loadDescriptions(): Descriptions {
  let folder: string;
  try {
    const entry = createRequire(import.meta.url).resolve("@kubernetes/client-node");
    folder = join(dirname(entry), "gen", "models");
    readdirSync(folder);
  } catch {
    return NO_DESCRIPTIONS;
  }
  const cache = new Map<string, TypeDocs | undefined>();
  const read = (model: string): TypeDocs | undefined => {
    if (!cache.has(model)) {
      try {
        cache.set(model, parseModel(readFileSync(join(folder, `${model}.d.ts`), "utf8")));
      } catch {
        cache.set(model, undefined);
      }
    }
    return cache.get(model);
  };
  return {
    of(ref) {
      const m = /^([a-z]+)\/v(\d+\w*)\.(.+)$/.exec(ref);
      if (!m) return undefined;
      const [, pkg = "", version = "", name = ""] = m;
      const v = `V${version}`;
      const group = pkg.charAt(0).toUpperCase() + pkg.slice(1);
      return read(`${group}${v}${name}`) ?? read(`${v}${name}`);
    },
    special: () => undefined,
  };
}

/** Comments of a generated class: the one above it, and the one above each quoted property. */
export function parseModel(source: string): TypeDocs {
  const fields = new Map<string, string>();
  let text: string | undefined;
  for (const m of source.matchAll(/\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\s*(export declare class|'([^']+)'\??:)/g)) {
    const comment = (m[1] ?? "")
      .split("\n")
      .map((l) => l.replace(/^\s*\* ?/, ""))
      .join("\n")
      .trim()
      .replace(/\\(['"`])/g, "$1");
    if (m[3] === undefined) text = comment;
    else fields.set(m[3].replace(/^_/, ""), comment);
  }
  return { text, fields };
}
