// What the documents claim about the tree, held against the tree: dependencies and their reasons, commands, files and folders.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { root } from "./node.mjs";

const read = (path: string): string => readFileSync(join(root, path), "utf8");
const foldersOf = (path: string): string[] => readdirSync(join(root, path)).map((name) => `${path}/${name}`);
const members = ["", ...["packages", "services"].flatMap(foldersOf)].filter((p) => existsSync(join(root, p, "package.json")));

interface Manifest {
  dependencies?: Record<string, string>;
  devDependencies?: Record<string, string>;
  optionalDependencies?: Record<string, string>;
}
const manifestOf = (member: string): Manifest => JSON.parse(read(join(member, "package.json")));
const foreign = (d: Record<string, string> = {}): string[] => Object.keys(d).filter((name) => !name.startsWith("@podwire/"));

function sourcesBelow(folder: string): string {
  return readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    .filter((p) => /\.(ts|mjs)$/.test(p) && !/(^|\/)(node_modules|dist)\//.test(p))
    .map((p) => read(join(folder, p)))
    .join("\n");
}

/** Names in the first column of the tables of a document. */
const rows = (text: string): string[] =>
  text
    .split("\n")
    .filter((l) => l.startsWith("| ") && !/^\| (package|-)/.test(l))
    .flatMap((l) => (l.split("|")[1] as string).split(",").map((name) => name.trim()));

describe("docs/dependencies.md", () => {
  const text = read("docs/dependencies.md");
  const [atRunTime = "", forDevelopment = ""] = text.split("## For development");

  it("has every package of every package.json, and no other", () => {
    const all = new Set<string>();
    for (const m of members) {
      const manifest = manifestOf(m);
      for (const d of [manifest.dependencies, manifest.devDependencies, manifest.optionalDependencies])
        for (const name of foreign(d)) all.add(name);
    }
    expect([...new Set([...rows(atRunTime), ...rows(forDevelopment)])].sort()).toEqual([...all].sort());
  });

  it("says of each at run time who loads it", () => {
    const loaders = new Map<string, string[]>();
    for (const m of members.filter((m) => m !== ""))
      for (const name of foreign(manifestOf(m).dependencies))
        loaders.set(name, [...(loaders.get(name) ?? []), m.split("/")[1] as string].sort());
    for (const line of atRunTime.split("\n").filter((l) => l.startsWith("| "))) {
      const [names = "", where = ""] = line.split("|").slice(1);
      for (const name of names.split(",").map((n) => n.trim()))
        if (loaders.has(name))
          expect([
            name,
            ...where
              .split(",")
              .map((w) => w.trim())
              .sort(),
          ]).toEqual([name, ...(loaders.get(name) ?? [])]);
    }
  });

  it.each(members.filter((m) => m !== ""))("%s imports what its package.json asks for", (member) => {
    const source = sourcesBelow(join(member, "src"));
    const { dependencies, devDependencies } = manifestOf(member);
    const imported = (name: string) => new RegExp(`["']${name}(/[^"']*)?["']`).test(source);
    expect([...Object.keys(dependencies ?? {}), ...Object.keys(devDependencies ?? {})].filter((name) => !imported(name))).toEqual([]);
  });
});

const documents = ["README.md", "CONTRIBUTING.md", ...foldersOf("docs").filter((p) => p.endsWith(".md")), ...foldersOf("docs/decisions")];

describe.each(documents)("%s", (path) => {
  const text = read(path);

  it("names files, folders and links that exist", () => {
    const named = [...text.matchAll(/`([\w.*<>/-]+)`/g)]
      .map((m) => m[1] as string)
      .filter((n) => /^(bench|docs|examples|packages|scripts|services|test)\//.test(n));
    const linked = [...text.matchAll(/\]\((?!https?:|#)([^)]+)\)/g)].map((m) => join(path, "..", m[1] as string));
    const absent = [...named, ...linked].filter((n) => !/[*<>]/.test(n) && !existsSync(join(root, n)));
    expect(absent).toEqual([]);
  });

  it("shows commands whose programs exist", () => {
    const programs = [...text.matchAll(/node (?:--[\w-]+ )*(?:scripts\/node\.mjs (?:--[\w-]+ )*)?([\w./-]+\.(?:ts|mjs))/g)].map(
      (m) => m[1] as string,
    );
    expect(programs.filter((p) => !existsSync(join(root, p)))).toEqual([]);
  });

  it("tables have as many cells in each row as in the head", () => {
    const odd: string[] = [];
    let cells = 0;
    for (const line of text.split("\n")) {
      if (!line.startsWith("|")) cells = 0;
      else {
        const n = line.replaceAll(/`[^`]*`/g, "").split("|").length;
        if (cells === 0) cells = n;
        if (n !== cells) odd.push(line);
      }
    }
    expect(odd).toEqual([]);
  });
});

it("docs/performance.md says by which command each of its figures is made", () => {
  const sections = read("docs/performance.md").split(/^## /m).slice(1);
  expect(sections.length).toBeGreaterThan(5);
  expect(sections.filter((s) => !/bench\/[\w/]+\.ts/.test(s)).map((s) => s.split("\n")[0])).toEqual([]);
});
