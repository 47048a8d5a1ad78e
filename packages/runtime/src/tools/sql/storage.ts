// Where a database image keeps its tables: one file in its data folder, and the way a server of it waits and ends.
import type { Process } from "../../kernel/process.ts";
import { Databases, type Dialect } from "./database.ts";

export function openDatabases(p: Process, file: string, dialect: Dialect): Databases {
  return new Databases({
    dialect,
    text: p.fs.exists(file) ? p.fs.readText(file) : undefined,
    save: (text) => p.fs.writeFile(file, text, { mode: 0o600 }),
    now: () => new Date(p.clock.nowMs()).toISOString().slice(0, 19).replace("T", " "),
  });
}

/** An environment variable, or the content of the file that NAME_FILE names, as official images read them. */
export function setting(p: Process, name: string): string | undefined {
  const file = p.env.get(`${name}_FILE`);
  return file === undefined ? p.env.get(name) : p.fs.readText(file).replace(/\n+$/, "");
}

/** Columns under their names, as command-line clients draw them. */
export function plainTable(
  columns: readonly string[],
  rows: readonly (readonly (string | number | null)[])[],
  nothing: string,
): string[][] {
  return [columns.slice(), ...rows.map((r) => r.map((v) => (v === null ? nothing : String(v))))];
}
